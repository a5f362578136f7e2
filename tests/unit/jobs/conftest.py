"""A small run by the contracts of ``pipeline/schema.py``, without Spark: what ``report`` and ``explain`` read."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_shards import MadeDocument, write_shards

from filters.mixture import MixtureConfig
from filters.registry import FiltersConfig, enabled_filters, judge
from filters.signals import SIGNALS_SCHEMA
from jobs.run_folder import STAGES_AFTER_RULES, STAGES_BEFORE_RULES
from pipeline.config import parse
from pipeline.hashing import document_id, hash_key
from pipeline.ledger import Archive, LanguageCount, Ledger, ReasonCount, check, stage_balances
from pipeline.manifest import commit, file_entry
from pipeline.schema import CLUSTER, CORPUS, DECISION, DOCUMENT, ENDED, HOST, LANGUAGE, LOCATION, PAGE, QUARANTINE

EVIL = "http://evil.example/<script>alert(1)</script>?a=1&b='\"></script><img src=x onerror=alert(2)>"
UNITS = ("0001-en", "0002-ru")
LANGS = {"0001-en": "eng_Latn", "0002-ru": "rus_Cyrl"}
PAGES_PER_UNIT = 40
SIGNALS = pa.schema(
    [
        *[PAGE.field(name) for name in ("doc_id", "source", "domain", "url", "warc_file", "warc_record_id")],
        *[PAGE.field(name) for name in ("warc_offset", "record_type", "fetch_time", "http_status")],
        *HOST,
        ("num_bytes", pa.int64()),
        ("num_chars", pa.int64()),
        *LANGUAGE,
        *SIGNALS_SCHEMA,
        ("signature", pa.binary()),
        ("bands", pa.list_(pa.int64())),
        *ENDED,
        *LOCATION,
    ]
)
DEFAULT_FILTERS: dict[str, Any] = {"gopher_quality": {}}


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A finished run of 80 pages in two archives: ``folder``, ``pages``, ``decisions``, ``ledger``."""
    return build_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def build_small_run(tmp_path: Path) -> Any:
    """Builds a run up to a folder: ``build_small_run(until="decisions")``."""
    return lambda **options: build_run(tmp_path / "run", **options)


def build_run(
    root: Path,
    *,
    until: str | None = None,
    with_train: bool = True,
    drop_hostile: bool = False,
    filters: dict[str, Any] | None = None,
) -> SimpleNamespace:
    root.mkdir(parents=True, exist_ok=True)
    config = parse(filters or DEFAULT_FILTERS, FiltersConfig, where="conftest")
    pages = [page for unit in UNITS for page in _pages_of(unit)]
    if drop_hostile:
        for page in pages:
            if page["host"] == "evil.example":
                page.update(ended_stage="filter_url", ended_reason="blocked_host")
    write_json(root / "run.json", _record(config, with_train=with_train))
    run = SimpleNamespace(folder=str(root), pages=pages, ledger=None)
    archives = [_archive(unit) for unit in UNITS]
    _commit_table(root, "signals", SIGNALS, _by_unit(pages), details={"archives": archives})
    _commit_table(root, "documents", DOCUMENT, _by_unit([page for page in pages if page["text"] is not None]))
    _commit_table(root, "quarantine", QUARANTINE, {UNITS[0]: [_unreadable()]})
    if until == "signals":
        return run
    clusters = _clusters(pages)
    _commit_table(root, "clusters", CLUSTER, {"00000": clusters})
    run.decisions = _decide(pages, clusters, config)
    _commit_table(root, "decisions", DECISION, _by_unit(run.decisions))
    if until == "decisions":
        return run
    _write_corpus(root, pages, run.decisions)
    _write_tokenizer(root)
    _write_shards(root, run.decisions)
    run.ledger = _ledger(run.decisions, config)
    write_json(root / "ledger.json", run.ledger.model_dump(mode="json"))
    if with_train:
        _write_train(root)
    return run


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def _record(config: FiltersConfig, *, with_train: bool) -> dict[str, Any]:
    return {
        "config": {
            "run": {"seed": 7},
            "input": [{"name": "toy", "paths": ["*.warc.gz"]}],
            "filters": config.model_dump(mode="json"),
            "mixture": MixtureConfig(alpha=0.5).model_dump(mode="json"),
            "pii": {"entities": ["EMAIL_ADDRESS"]},
            "train": {"num_steps": 3} if with_train else None,
        },
        "config_fingerprint": "c" * 32,
        "inputs_fingerprint": "1" * 32,
        "seed": 7,
        "versions": {"python": "3.11.0", "chaffinch": "0.1.0"},
        "inputs": [{"source": "toy", "warc_file": f"{unit}.warc.gz"} for unit in UNITS],
    }


def _pages_of(unit: str) -> list[dict[str, Any]]:
    """40 pages: 404s, short ones, copies, and good ones of growing length; page 6 of each has a hostile URL."""
    pages, num_documents = [], 0
    for index in range(PAGES_PER_UNIT):
        missing = index % 10 == 9
        num_words = 20 if index % 5 == 3 else 200 + 17 * index
        text = None if missing else f"page {index % 37} of {unit} " + "word " * num_words
        host = "evil.example" if index == 6 else f"{unit.partition('-')[2]}.example"
        url = EVIL + unit if index == 6 else f"http://{host}/docs/page-{index:02d}.html"
        ended = {"ended_stage": "read_warc", "ended_reason": "http_status", "ended_value": 404.0} if missing else {}
        pages.append(
            {
                **dict.fromkeys((*ENDED.names, *LANGUAGE.names)),
                **dict.fromkeys(SIGNALS_SCHEMA.names, None if missing else 0),
                **({} if missing else _good_signals(num_words, index)),
                "doc_id": document_id("toy", unit, index),
                "source": "toy",
                "domain": "docs",
                "url": url,
                "warc_file": f"{unit}.warc.gz",
                "warc_record_id": f"<urn:uuid:{unit}-{index}>",
                "warc_offset": 1000 * index,
                "record_type": "response",
                "fetch_time": datetime(2024, 5, 1, 12, 0, index, tzinfo=UTC),
                "http_status": 404 if missing else 200,
                "content_type": "text/html",
                "charset": "utf-8",
                "host": host,
                "registered_domain": host,
                "text": text,
                "num_bytes": None if missing else len(text.encode()),
                "num_chars": None if missing else len(text),
                "lang": None if missing else LANGS[unit],
                "lang_score": None if missing else 0.9,
                "signature": None,
                "bands": None,
                "unit": unit,
                "page_index": index,
                "row_index": None if missing else num_documents,
                **ended,
            }
        )
        num_documents += not missing
    return pages


def _good_signals(num_words: int, index: int) -> dict[str, float]:
    """Values that pass Gopher's quality rules whatever else they are, but for the number of words."""
    values: dict[str, float] = {}
    for name, field in zip(SIGNALS_SCHEMA.names, SIGNALS_SCHEMA, strict=True):
        if pa.types.is_integer(field.type):
            values[name] = num_words if "words" in name else index % 7 + 3
        elif "mean_word" in name or "word_length" in name or "word_chars" in name:
            values[name] = 4 + index / 40
        elif "alpha" in name:
            values[name] = 0.95
        else:
            values[name] = index / 1000
    return values


def _unreadable() -> dict[str, Any]:
    return {
        "doc_id": document_id("toy", "broken"),
        "source": "toy",
        "domain": "docs",
        "url": "http://broken.example/<b>",
        "warc_file": f"{UNITS[0]}.warc.gz",
        "warc_record_id": None,
        "warc_offset": 123_456,
        "record_type": "response",
        "error_class": "RecordError",
        "error_message": "chunk header '<zz>' is not hexadecimal",
    }


def _archive(unit: str) -> dict[str, Any]:
    unreadable = {"unreadable": 1} if unit == UNITS[0] else {}
    return {
        "source": "toy",
        "warc_file": f"{unit}.warc.gz",
        "format": "warc",
        "size_bytes": 55_555,
        "sha256": hashlib.sha256(unit.encode()).hexdigest(),
        "records": {"request": PAGES_PER_UNIT, "response": PAGES_PER_UNIT, "warcinfo": 1, **unreadable},
    }


def _clusters(pages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """In each unit pages 0 and 37 are exact copies; 1, 2 and 38 are near copies, 38 being kept."""
    rows = []
    by_place = {(page["unit"], page["page_index"]): page["doc_id"] for page in pages}
    for unit in UNITS:
        for kind, kept, others, similarity in (("exact", 37, [0], 1.0), ("near", 30, [1, 2], 0.875)):
            ids = [by_place[unit, index] for index in (kept, *others)]
            for doc_id in ids:
                own = 1.0 if doc_id == ids[0] else similarity
                rows.append(
                    {
                        "doc_id": doc_id,
                        "cluster_id": min(ids),
                        "kept_doc_id": ids[0],
                        "similarity": own,
                        "kind": kind,
                    }
                )
    return sorted(rows, key=lambda row: (row["cluster_id"], row["kind"], row["doc_id"]))


def _decide(pages: list[dict[str, Any]], clusters: list[dict[str, Any]], config: FiltersConfig) -> list[dict[str, Any]]:
    outcome = judge(pa.RecordBatch.from_pylist(pages, schema=SIGNALS), config)
    copies = {row["doc_id"]: row for row in clusters if row["doc_id"] != row["kept_doc_id"]}
    rows = []
    for number, page in enumerate(pages):
        row = {name: page.get(name) for name in DECISION.names}
        row.update(verdict="dropped", copies=0)
        if page["ended_reason"] is not None:
            row.update({name: page[f"ended_{name}"] for name in ("stage", "reason", "value", "threshold")})
        elif (reason := outcome.reason[number].as_py()) is not None:
            found = {name: getattr(outcome, name)[number].as_py() for name in ("stage", "value", "threshold")}
            row.update(reason=reason, **found)
        elif (copy := copies.get(page["doc_id"])) is not None:
            row.update(stage=f"dedup_{copy['kind']}", reason=f"{copy['kind']}_duplicate", value=copy["similarity"])
            row["kept_doc_id"] = copy["kept_doc_id"]
        elif page["page_index"] == 20:
            row.update(stage="sample_mixture", reason="over_language_budget", value=0.9, threshold=0.8)
        else:
            split = "validation" if page["page_index"] == 21 else "train"
            row.update(verdict="kept", copies=2 if page["page_index"] == 22 else 1, split=split)
        rows.append(row)
    return rows


def _write_corpus(root: Path, pages: list[dict[str, Any]], decisions: list[dict[str, Any]]) -> None:
    texts = {page["doc_id"]: page["text"] for page in pages}
    schema = pa.schema([field for field in CORPUS if field.name != "lang"])
    files = {}
    for unit in UNITS:
        kept = [row for row in decisions if row["unit"] == unit and row["verdict"] == "kept"]
        rows = [
            {**row, "text": f"<EMAIL_ADDRESS> {texts[row['doc_id']]}", "num_redactions": row["page_index"] % 2}
            for row in kept
        ]
        files[f"lang={LANGS[unit]}/part-{unit}.parquet"] = rows
    redactions = sum(row["num_redactions"] for rows in files.values() for row in rows)
    _commit_files(root / "corpus", schema, files, details={"num_redactions": redactions})


def _write_tokenizer(root: Path) -> None:
    def candidate(kind: str, bytes_per_token: float) -> dict[str, Any]:
        measured = {
            "num_documents": 2, "num_bytes": 1000, "num_words": 150, "num_tokens": 300,
            "num_round_trip_failures": 0, "bytes_per_token": bytes_per_token, "tokens_per_word": 2.0,
        }  # fmt: skip
        per_language = {"eng_Latn": {**measured, "bytes_per_token": bytes_per_token + 0.5}, "rus_Cyrl": measured}
        return {
            "kind": kind,
            "vocab_size": 512,
            "eos_token_id": 0,
            "tokenizer_sha256": "a" * 64,
            "sample_bytes": {"eng_Latn": 1, "rus_Cyrl": 1},
            "evaluated_split": "validation",
            "evaluation": {"overall": measured, "per_language": per_language},
        }

    report = {"use": "bpe", "candidates": [candidate("bpe", 3.25), candidate("unigram", 3.125)]}
    write_json(root / "tokenizer" / "report.json", report)
    commit(
        str(root / "tokenizer"),
        name="tokenizer",
        identities=[],
        upstream={},
        files=[file_entry(str(root / "tokenizer"), "report.json")],
    )


def _write_shards(root: Path, decisions: list[dict[str, Any]]) -> None:
    folder = root / "shards"
    shards = {}
    for name, split in (("train-00000", "train"), ("validation-docs", "validation")):
        documents = [
            MadeDocument(
                tokens=np.zeros(10 + row["page_index"], int),
                epoch=epoch,
                **{key: row[key] for key in ("num_bytes", "lang", "doc_id", "domain")},
            )
            for row in decisions
            if row["split"] == split
            for epoch in range(row["copies"])
        ]
        shards[name] = sorted(documents, key=lambda document: hash_key(7, "shuffle", document.doc_id, document.epoch))
    write_shards(folder, shards, vocab_size=512, seed=7, tokenizer_sha256="a" * 64)
    files = [file_entry(str(folder), f"{name}.docs.parquet") for name in shards]
    commit(str(folder), name="shards", identities=[], upstream={}, files=files)


def _write_train(root: Path) -> None:
    folder = root / "training"
    score = {
        "bits_per_byte": 1.9375, "unigram_bits_per_byte": 3.0625, "bits_per_token": 6.5,
        "tokens": 62, "bytes": 2000, "documents": 2,
    }  # fmt: skip
    per_language = {"eng_Latn": {**score, "bits_per_byte": 1.75}, "rus_Cyrl": {**score, "bits_per_byte": 2.125}}
    evaluation = {"step": 3, "overall": score, "per_language": per_language, "per_domain": {"docs": score}}
    write_json(folder / "evaluation.json", evaluation)
    lines = [json.dumps({"step": s, "tokens": 256 * s, "loss": 7.0 - s, "learning_rate": 0.1}) for s in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    files = [file_entry(str(folder), name) for name in ("evaluation.json", "metrics.jsonl")]
    commit(str(folder), name="train", identities=[], upstream={}, files=files)


def _ledger(decisions: list[dict[str, Any]], config: FiltersConfig) -> Ledger:
    dropped: dict[tuple[str, str, str | None], list[int]] = {}
    languages: dict[str | None, list[int]] = {}
    for row in decisions:
        is_kept = row["verdict"] == "kept"
        size_bytes = row["num_bytes"] or 0
        sums = languages.setdefault(row["lang"], [0, 0, 0, 0])
        found = (1, size_bytes, is_kept, size_bytes * is_kept)
        languages[row["lang"]] = [total + value for total, value in zip(sums, found, strict=True)]
        if not is_kept:
            entry = dropped.setdefault((row["stage"], row["reason"], row["lang"]), [0, 0])
            dropped[row["stage"], row["reason"], row["lang"]] = [entry[0] + 1, entry[1] + size_bytes]
    reasons = [
        ReasonCount(stage=stage, reason=reason, lang=lang, num_documents=documents, num_bytes=size_bytes)
        for (stage, reason, lang), (documents, size_bytes) in sorted(dropped.items(), key=str)
    ]
    archives = []
    for unit in UNITS:
        facts = _archive(unit)
        lost = facts["records"].get("unreadable", 0)
        archives.append(
            Archive(
                **facts,
                num_records=sum(facts["records"].values()),
                num_pages=PAGES_PER_UNIT,
                num_quarantined=lost,
            )
        )
    names = [filter_.name for filter_, _ in enabled_filters(config)]
    order = [*STAGES_BEFORE_RULES, *names, *STAGES_AFTER_RULES]
    verdicts = Counter(row["verdict"] for row in decisions)
    copies = sum(row["copies"] for row in decisions)
    tokens = sum(row["copies"] * (10 + row["page_index"]) for row in decisions)
    ledger = Ledger(
        archives=tuple(archives),
        non_pages={"request": 80, "warcinfo": 2},
        num_records=sum(archive.num_records for archive in archives),
        num_pages=len(decisions),
        num_quarantined=1,
        num_kept=verdicts["kept"],
        num_dropped=verdicts["dropped"],
        stages=tuple(stage_balances(len(decisions) + 1, {"read_warc": 1}, reasons, order)),
        reasons=tuple(reasons),
        languages=tuple(
            LanguageCount(lang=lang, num_documents=n, num_bytes=b, num_kept=k, bytes_kept=kb)
            for lang, (n, b, k, kb) in languages.items()
        ),
        outputs={
            "corpus_documents": verdicts["kept"],
            "copies": copies,
            "sequences": copies,
            "tokens": tokens,
            "shards": 2,
        },
    )
    check(ledger)
    return ledger


def _by_unit(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {unit: [row for row in rows if row["unit"] == unit] for unit in UNITS}


def _commit_table(
    root: Path, name: str, schema: pa.Schema, parts: dict[str, list[dict[str, Any]]], **extra: Any
) -> None:
    _commit_files(root / name, schema, {f"part-{part}.parquet": rows for part, rows in parts.items()}, **extra)


def _commit_files(
    folder: Path, schema: pa.Schema, files: dict[str, list[dict[str, Any]]], details: dict[str, Any] | None = None
) -> None:
    entries = []
    for path, rows in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist([{key: row[key] for key in schema.names} for row in rows], schema=schema)
        pq.write_table(table, folder / path, row_group_size=16)
        entries.append(file_entry(str(folder), path, len(rows)))
    commit(str(folder), name=folder.name, identities=[], upstream={}, files=entries, schema=schema, details=details)
