"""Every key that decides what is kept does so: two TOML texts that differ in that key alone keep different documents.

The keys are read off the config models, so a new one fails here until it has a case. Pages go from an archive through
the line's own reader, row stages and rules; clusters and samples are made by the line's own frame stages.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import fasttext
import numpy as np
import pyarrow as pa
import pytest
from pydantic import BaseModel

from filters.cutoffs import find_all_cutoffs
from filters.dsir import bag_of
from filters.evaluation_sets import read_passages
from filters.fasttext_training import FastTextConfig, train_classifier
from filters.gopher_quality import GOPHER_QUALITY
from filters.registry import FILTERS
from filters.rule import Filter, Rule
from jobs.build_corpus import line_of
from jobs.config import DedupConfig, RunConfig, load_run_config
from jobs.copies_in_memory import ranks
from jobs.dedup_scope import plan_of, resolve_scope, signature_facts, with_priority
from jobs.steps_extract import row_stages
from jobs.steps_semantic import embed_unit
from jobs.what_if_copies import copies_among
from pipeline import sentence_encoder
from pipeline.dedup_store import STORED
from pipeline.input_unit import InputUnit
from pipeline.kernels.shingle_sets import shingle_sets
from pipeline.manifest import commit
from pipeline.models import locate
from pipeline.ngram_index import build_index
from pipeline.repeated_passages import occurrences, redundant_runs
from pipeline.stage import fuse
from pipeline.storage import sha256_of
from stages import (
    decide,
    decontaminate,
    dedup_exact,
    dedup_lines,
    dedup_near,
    dedup_substrings,
    minhash_signatures,
    read_warc,
    sample_mixture,
)
from stages.decontaminate import DecontaminateConfig
from stages.dedup_lines import LineDedupConfig
from stages.dedup_semantic import SemanticDedupConfig, nearest_earlier, semantic_duplicates
from stages.dedup_substrings import SubstringDedupConfig, numbered

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DECIDING = (
    *("read", "url", "extract", "language", "measure", "quality", "clean_lines", "filters", "dedup", "mixture"),
    "decontaminate",
)
OTHERS = (  # say from what, or change what is kept after
    *("run", "input", "page_metadata", "spark", "pii", "tokenizer", "control_token", "shards", "train"),
)
WITHOUT_A_SAY = {
    "read.split_bytes": "cuts archives into part files; the rows are the same",
    "language.sha256": "names the file that [language] model must be; another one is refused",
    "language.per_line": "measures what filters.language.min_line_share is about; without it that is refused",
    "quality.dsir.sha256": "names the file that [quality.dsir] path must be; another one is refused",
    "dedup.near.max_single_task_edges": "chooses between two ways to the same components",
    "dedup.near.max_rounds": "ends a run whose components have not settled",
    "dedup.substrings.window_tokens": "changes what finding repeated passages costs, not which there are",
}
FEW_WORDS = "The heron stands still at the edge of the pond."
MEASURED = {"extract.main_content": False, "language.per_line": True, "clean_lines.apply": ["refinedweb"]}
MIXED = {**MEASURED, "filters.language.min_score": False, "filters.language.min_line_share": 0.9}
LEFT_BY_RULES = {"filters.c4.min_sentences": 1}  # a sentence on a line that C4's line rules leave


# --- the keys, read off the models


def tables(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every table below ``model``, and its model."""
    yield prefix, model
    for name, info in model.model_fields.items():
        of_table = () if get_origin(info.annotation) is tuple else get_args(info.annotation)
        for choice in (info.annotation, *of_table):
            if isinstance(choice, type) and issubclass(choice, BaseModel):
                yield from tables(choice, f"{prefix}.{name}".strip("."))


def keys(model: type[BaseModel]) -> list[str]:
    """Every key that can take more than one value; a list of tables is one key."""
    inner = dict(tables(model))
    found = [f"{table}.{name}".strip(".") for table, owner in inner.items() for name in owner.model_fields]
    return [key for key in found if key not in inner and not _is_constant(inner, key)]


def _is_constant(inner: dict[str, type[BaseModel]], key: str) -> bool:
    table, _, name = key.rpartition(".")
    annotation = inner[table].model_fields[name].annotation
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1


def test_every_section_either_decides_or_does_not():
    assert set(RunConfig.model_fields) == {*DECIDING, *OTHERS}


def deciding_keys() -> list[str]:
    return [key for key in keys(RunConfig) if key.split(".")[0] in DECIDING]


# --- two texts that differ in one line


def load(folder: Path, settings: dict[str, Any], sources: tuple[str, ...] = ("pages",)) -> RunConfig:
    """The config of a TOML text with one line per key."""
    inputs = ", ".join(f'{{name = "{source}", paths = ["{source}.warc"]}}' for source in sources)
    lines = ['run.output = "run"', f"input = [{inputs}]"]
    lines += [f"{key} = {_toml(value)}" for key, value in settings.items()]
    path = folder / "run.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_run_config(path)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def two_configs(folder: Path, key: str, values: tuple[Any, Any], others: dict[str, Any]) -> list[RunConfig]:
    return [load(folder, {**others, key: value}) for value in values]


# --- pages: archive, row stages, rules


@dataclass(frozen=True, kw_only=True)
class Page:
    body: str
    url: str = "http://pond.example/heron"
    warc_headers: str = ""

    def record(self) -> bytes:
        body = self.body.encode()
        http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {self.url}\r\nWARC-Date: 2026-01-02T03:04:05Z\r\n"
            f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-000000000001>\r\n{self.warc_headers}"
            f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
        )
        return head.encode() + http + b"\r\n\r\n"


def judged(config: RunConfig, archive: Path) -> list[dict[str, Any]]:
    """The rows of ``archive`` after the row stages and the rules."""
    unit = InputUnit(
        unit="pages",
        source="pages",
        domain="pages",
        location=str(archive),
        warc_file=archive.name,
        format="warc",
        size_bytes=archive.stat().st_size,
    )
    apply = fuse([*row_stages(config), decide.make_stage(config.filters)])
    return [row for batch in read_warc.read(unit, config.read, Counter()) for row in apply(batch).to_pylist()]


def kept_urls(config: RunConfig, archive: Path) -> set[str]:
    return {row["url"] for row in judged(config, archive) if not (row["ended_reason"] or row["error_class"])}


def only(filter_: Filter, **settings: Any) -> dict[str, Any]:
    """Settings with which ``filter_`` runs without any rule but those in ``settings``."""
    off = {rule.threshold: False for rule in filter_.rules}
    return {f"filters.{filter_.name}.{name}": value for name, value in (off | settings).items()}


@dataclass(frozen=True, kw_only=True)
class PageCase:
    """The page is kept under one of ``values`` and not under the other, with ``others`` as they are."""

    values: tuple[Any, Any]
    page: Page = Page(body=f"<p>{FEW_WORDS}</p>")
    others: dict[str, Any] = field(default_factory=dict)


def _extracted(body: str, **options: Any) -> PageCase:
    return PageCase(values=(True, False), page=Page(body=body), **options)


def _blocks(body: str, values: tuple[Any, Any], others: dict[str, Any]) -> PageCase:
    return PageCase(values=values, page=Page(body=body), others={"extract.extractor": "blocks"} | others)


def _trafilatura(body: str, values: tuple[Any, Any] = (True, False), *, min_chars: int) -> PageCase:
    others = {"extract.extractor": "trafilatura", "extract.min_chars": min_chars}
    return PageCase(values=values, page=Page(body=f"<html><body>{body}</body></html>"), others=others)


PROSE = "The heron stands still at the edge of the pond, and waits for the fish to come near enough to it. " * 3
LIST = "<ul><li>reed warblers, three pairs</li><li>kingfisher, one</li></ul>"
LINES = "<p>It was cold.</p><p>It was wet.</p><p>We saw the heron.</p>"
PAGE_CASES: dict[str, PageCase] = {
    "read.max_payload_bytes": PageCase(values=(20, 2000)),
    "read.keep_truncated": PageCase(
        values=(True, False), page=Page(body=FEW_WORDS, warc_headers="WARC-Truncated: length\r\n")
    ),
    "read.respect_robots": PageCase(
        values=(["noai"], ["noindex"]), page=Page(body=f"<meta name=robots content=noindex><p>{FEW_WORDS}</p>")
    ),
    "read.robots_agents": PageCase(
        values=([], ["ccbot"]),
        page=Page(body=f"<meta name=ccbot content=noindex><p>{FEW_WORDS}</p>"),
        others={"read.respect_robots": ["noindex"]},
    ),
    "read.verify_digests": PageCase(
        values=(True, False), page=Page(body=FEW_WORDS, warc_headers=f"WARC-Block-Digest: sha1:{'A' * 32}\r\n")
    ),
    "url.blocked_domains": PageCase(values=([], ["pond.example"])),
    "url.blocked_tlds": PageCase(values=(["xxx"], ["example"])),
    "url.blocked_words": PageCase(values=(["casino"], ["heron"])),
    "url.blocked_subwords": PageCase(values=(["reeds"], ["ndexam"])),
    "url.soft_blocked_words": PageCase(values=(["heron"], ["heron", "pond"])),
    "url.min_soft_words": PageCase(values=(2, 3), others={"url.soft_blocked_words": ["heron", "pond"]}),
    "url.drop_private_hosts": PageCase(values=(True, False), page=Page(body=FEW_WORDS, url="http://printer.local/x")),
    "url.drop_ip_addresses": PageCase(values=(True, False), page=Page(body=FEW_WORDS, url="http://8.8.8.8/x")),
    "url.drop_curated_sources": PageCase(
        values=(True, False), page=Page(body=FEW_WORDS, url="http://en.wikipedia.org/wiki/Heron")
    ),
    "url.max_url_chars": PageCase(values=(24, 25)),
    "filters.keep_rejected": PageCase(values=(True, False)),
    "extract.main_content": _extracted(f"<body><nav><ul><li><a href='/'>{FEW_WORDS}</a></li></ul></nav></body>"),
    "extract.list_bullets": _extracted(
        LIST, others=only(GOPHER_QUALITY, max_bullet_line_fraction=0.5) | {"extract.main_content": False}
    ),
    "extract.alt_texts": _extracted("<p><img src='heron.png' alt='A heron at dawn'></p>"),
    "extract.links": _extracted("<p><a href='http://pond.example/long/way'>x</a></p>", others={"extract.min_chars": 9}),
    "extract.form_fields": _extracted(f"<form><textarea>{FEW_WORDS}</textarea></form>"),
    "extract.noscript": _extracted(f"<body><noscript>{FEW_WORDS}</noscript></body>"),
    "extract.comments": _extracted(f"<article><div class='comments'><p>{FEW_WORDS}</p></div></article>"),
    "extract.preserve_formatting": _extracted(LINES, others={"filters.fineweb.max_newline_to_word_ratio": 0.1}),
    "extract.min_chars": PageCase(values=(len(FEW_WORDS), len(FEW_WORDS) + 1)),
    "extract.max_html_bytes": PageCase(values=(20, 2000)),
    "extract.max_html_depth": PageCase(
        values=(2, 4), page=Page(body=f"{'<div>' * 3}{FEW_WORDS}{'</div>' * 3}"), others={"extract.main_content": False}
    ),
    "extract.max_html_nodes": PageCase(values=(6, 7), page=Page(body=f"<p>{'<b>' * 3}{FEW_WORDS}")),
    "extract.extractor": PageCase(
        values=("resiliparse", "blocks"), page=Page(body=f"<body><ul><li><a href='/'>{FEW_WORDS}</a></li></ul></body>")
    ),
    "extract.blocks.min_score": _blocks(PROSE, (0.01, 0.9999), {"extract.blocks.fallback_min_score": 0.9999}),
    "extract.blocks.fallback_min_score": _blocks(PROSE, (0.01, 0.9999), {"extract.blocks.min_score": 0.9999}),
    "extract.blocks.list_bullets": _blocks(
        LIST,
        (True, False),
        {"extract.blocks.min_score": 0.0001} | only(GOPHER_QUALITY, max_bullet_line_fraction=0.5),
    ),
    "extract.trafilatura.favor": _trafilatura(
        f"<div><p>{PROSE[:98]}</p><p><a href=a>One link of the page</a> <a href=b>another link there</a></p></div>",
        ("balanced", "precision"),
        min_chars=1,
    ),
    "extract.trafilatura.comments": _trafilatura(
        f"<article>{PROSE}</article><div id='comments'><div class='comment'><p>{PROSE}</p></div></div>",
        min_chars=2 * len(PROSE),
    ),
    "extract.trafilatura.tables": _trafilatura(
        f"<article><p>{PROSE}</p><table><tr><td>reed warblers, three pairs</td><td>kingfisher, one</td></tr></table>",
        min_chars=len(PROSE) + 20,
    ),
    "extract.trafilatura.links": _trafilatura(
        f"<article>{PROSE}<p>See <a href='http://pond.example/long/way'>here</a> for more of it.</p></article>",
        min_chars=len(PROSE) + 50,
    ),
    "extract.trafilatura.formatting": _trafilatura(
        f"<article>{PROSE}<p>It was <b>cold</b>.</p></article>", min_chars=len(PROSE) + 14
    ),
    "extract.trafilatura.max_html_tags": _trafilatura(f"<p>{PROSE}</p>", (2, 3), min_chars=1),
    "language.max_chars": PageCase(
        values=(len(FEW_WORDS), 1000),
        page=Page(body=f"<p>{FEW_WORDS} {'Цапля стоит у самого края пруда и терпеливо ждёт рыбу. ' * 9}</p>"),
        others={"filters.language": {"languages": ["eng_Latn"], "min_score": False}},
    ),
    "language.min_line_chars": PageCase(
        values=(10, 100),
        page=Page(body=f"<pre>{FEW_WORDS}\nЦапля стоит у края пруда и ждёт.\n{FEW_WORDS * 7}</pre>"),
        others=MIXED,
    ),
    "language.min_line_score": PageCase(values=(0.0, 0.99999), page=Page(body=f"<pre>{FEW_WORDS}</pre>"), others=MIXED),
    "measure.segmentation": PageCase(
        values=("unicode", "datatrove"),
        page=Page(body="<p>Well-known can't-do state-of-the-art ways (see 8): the end.</p>"),
        others={  # marks cling to letters in more words of one mode than of the other
            "filters.gopher_quality": {
                "min_words": False,
                "min_stop_words": False,
                "min_alphabetic_word_fraction": False,
                "min_mean_word_chars": 3.35,
            }
        },
    ),
    "measure.fineweb_lines": PageCase(
        values=("as_extracted", "as_c4_left_them"),
        page=Page(body=f"<p>{FEW_WORDS}</p><p>no end</p><p>no stop</p>"),
        others={"filters.fineweb": {"min_terminal_punctuation_line_fraction": 0.5, "max_short_line_fraction": False}},
    ),
    "measure.stop_words": PageCase(
        values=({"en": ["the", "of"]}, {"en": ["le", "la"]}), others={"filters.gopher_quality.min_words": 1}
    ),
    "measure.short_line_chars": PageCase(
        values=(len(FEW_WORDS) - 1, len(FEW_WORDS)), others={"filters.fineweb.max_short_line_fraction": 0.5}
    ),
    "measure.c4_terminal_punctuation": PageCase(
        values=(True, False), page=Page(body=f"<p>{FEW_WORDS[:-1]}</p>"), others=LEFT_BY_RULES
    ),
    "measure.c4_min_line_words": PageCase(values=(10, 11), others=LEFT_BY_RULES),
    "measure.c4_max_word_chars": PageCase(values=(5, 6), others=LEFT_BY_RULES),
    "measure.c4_drop_javascript_lines": PageCase(
        values=(True, False), page=Page(body="<p>Please switch javascript on.</p>"), others=LEFT_BY_RULES
    ),
    "measure.c4_drop_policy_lines": PageCase(
        values=(True, False), page=Page(body="<p>Read our privacy policy first.</p>"), others=LEFT_BY_RULES
    ),
}


CLEANED = {"clean_lines.apply": ["refinedweb"], "extract.main_content": False}


def _line(text: str, values: tuple[Any, Any]) -> PageCase:
    """One line is all there is of a page, so that a rule on lines decides on the page."""
    return PageCase(values=values, page=Page(body=f"<p>{text}</p>"), others=CLEANED)


PAGE_CASES |= {
    "clean_lines.apply": PageCase(
        values=([], ["refinedweb"]), page=Page(body="<p>Heron</p>"), others={"extract.main_content": False}
    ),
    "clean_lines.languages": PageCase(
        values=(["en"], ["de"]), others={**CLEANED, "clean_lines.refinedweb.min_words": 20}
    ),
    "clean_lines.refinedweb.max_upper_case_fraction": _line("THE HERON STANDS", (0.5, 0.9)),
    "clean_lines.refinedweb.drop_digit_lines": _line("12 34 56", (True, False)),
    "clean_lines.refinedweb.counted": _line("3 herons", (["herons"], ["likes"])),
    "clean_lines.refinedweb.min_words": _line("Three herons came", (3, 4)),
    "clean_lines.refinedweb.max_edited_words": _line("Items in cart", (2, 3)),
    "clean_lines.refinedweb.cut_at_start": _line("Three herons came", (["herons"], ["three herons came"])),
    "clean_lines.refinedweb.cut_at_end": _line("Three herons came", (["herons"], ["herons came"])),
    "clean_lines.refinedweb.cut_anywhere": _line("Three herons came", (["geese"], ["herons came"])),
}


def archive_of(folder: Path, *pages: Page) -> Path:
    archive = folder / "pages.warc"
    archive.write_bytes(b"".join(page.record() for page in pages))
    return archive


@pytest.mark.parametrize("key", PAGE_CASES)
def test_a_key_on_pages(key: str, tmp_path: Path):
    case = PAGE_CASES[key]
    archive = archive_of(tmp_path, case.page)
    kept = [kept_urls(config, archive) for config in two_configs(tmp_path, key, case.values, case.others)]
    assert sorted(kept, key=len) == [set(), {case.page.url}]


def _blocked_domain_files(tmp_path: Path) -> tuple[Any, Any]:
    (tmp_path / "blocked.txt").write_text("pond.example\n", encoding="utf-8")
    return [], [{"path": str(tmp_path / "blocked.txt")}]


def _lists(tmp_path: Path) -> tuple[Any, Any]:
    """In the UT1 layout: a folder a category, in it a file of URLs."""
    (tmp_path / "ut1" / "birds").mkdir(parents=True)
    (tmp_path / "ut1" / "birds" / "urls").write_text("pond.example/heron\n", encoding="utf-8")
    return [], [{"path": str(tmp_path / "ut1"), "categories": ["birds"]}]


def _boilerplate_files(tmp_path: Path) -> tuple[Any, Any]:
    (tmp_path / "lines.txt").write_text(f"{FEW_WORDS}\n", encoding="utf-8")
    return [], [{"path": str(tmp_path / "lines.txt")}]


def _models(tmp_path: Path) -> tuple[Any, Any]:
    """The registered model, and one to which all text is German."""
    (tmp_path / "train.txt").write_text("__label__de heron pond\n__label__fr fisch teich\n" * 50, encoding="utf-8")
    # fasttext 0.9.3 fills its input matrix in ten parts, one a thread: dim must be divisible by ten
    trained = fasttext.train_supervised(str(tmp_path / "train.txt"), dim=10, thread=10, epoch=5, verbose=0)
    trained.save_model(str(tmp_path / "tiny.bin"))
    return str(locate("lid.176.ftz")), str(tmp_path / "tiny.bin")


FILE_CASES: dict[str, Callable[[Path], tuple[Any, Any]]] = {
    "url.blocked_domain_files": _blocked_domain_files,
    "url.lists": _lists,
    "clean_lines.boilerplate_files": _boilerplate_files,
    "language.model": _models,
}


@pytest.mark.parametrize("key", ["url.blocked_domain_files", "url.lists", "clean_lines.boilerplate_files"])
def test_a_list_in_a_file(key: str, tmp_path: Path):
    archive = archive_of(tmp_path, Page(body=FEW_WORDS))
    configs = two_configs(tmp_path, key, FILE_CASES[key](tmp_path), {})
    assert [len(kept_urls(config, archive)) for config in configs] == [1, 0]


def test_another_language_model(tmp_path: Path):
    """With its hash, without which it is refused."""
    archive = archive_of(tmp_path, Page(body=f"<p>{FEW_WORDS}</p>"))
    configs = [
        load(
            tmp_path,
            {
                "language.model": model,
                "language.sha256": sha256_of(model),
                "filters.language": {"languages": ["eng_Latn"]},
            },
        )
        for model in _models(tmp_path)
    ]
    assert [len(kept_urls(config, archive)) for config in configs] == [1, 0]


# --- rules: a threshold on either side of what was measured on a page that has every fault

EVERY_FAULT = "\n".join(
    [
        "<pre>The heron of the pond and the fish that have to be there ...",
        *["• one heron, two herons, three herons, four herons and five herons in all the reeds of the pond #"] * 2,
        "",
        *["Lorem ipsum is what they say; { is a brace of the reeds."] * 2,
        "",
        *["Lorem ipsum is what they say; { is a brace of the reeds."] * 2,
        "",
        *["The heron stands still, and waits for the fish of the pond to come to it, as herons do in winter."] * 3,
        "Цапля неподвижно стоит на краю пруда и терпеливо ждёт рыбу.",
        "1234",
        "Why? 12 34.</pre>",
    ]
)
RULES = [(filter_, rule) for filter_ in FILTERS for rule in filter_.rules]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The archive with the page, and what is measured on it."""
    folder = tmp_path_factory.mktemp("faulty")
    archive = archive_of(folder, Page(body=EVERY_FAULT))
    (row,) = judged(load(folder, MEASURED), archive)
    assert row["ended_reason"] is None, "a filter without a table does not judge"
    return archive, row


def either_side(rule: Rule, value: float) -> tuple[float, float]:
    """A threshold that keeps a document with ``value``, and one that drops it."""
    step = 1 if isinstance(value, int) else value * 1e-6
    return (value, value + step) if rule.drop_if == "<" else (value, value - step)


@pytest.mark.parametrize(
    ("filter_", "rule"), [pytest.param(*case, id=f"{case[0].name}-{case[1].threshold}") for case in RULES]
)
def test_a_rule(filter_: Filter, rule: Rule, faulty: tuple[Path, dict[str, Any]], tmp_path: Path):
    archive, row = faulty
    value = row[rule.signal]
    assert value > 0, f"the page with every fault has no {rule.signal}"
    keeps, drops = either_side(rule, value)
    others = {**MEASURED, **only(filter_)}
    key = f"filters.{filter_.name}.{rule.threshold}"
    configs = two_configs(tmp_path, key, (keeps, drops), others)
    assert [len(kept_urls(config, archive)) for config in configs] == [1, 0]
    (ended,) = judged(configs[1], archive)
    assert (ended["ended_stage"], ended["ended_reason"]) == (filter_.name, str(rule.reason))
    assert (ended["ended_value"], ended["ended_threshold"]) == (value, drops)
    assert kept_urls(load(tmp_path, {**others, key: False}), archive), "false turns the rule off"
    if "lang" in filter_.config_type.model_fields:
        of_language = f"filters.{filter_.name}.lang.en.{rule.threshold}"
        assert not kept_urls(load(tmp_path, {**others, key: False, of_language: drops}), archive), "but for a language"


@pytest.mark.parametrize("filter_", FILTERS, ids=lambda filter_: filter_.name)
def test_languages_of_a_filter(filter_: Filter, faulty: tuple[Path, dict[str, Any]], tmp_path: Path):
    """[filters.language] keeps the languages named; any other filter judges no others."""
    archive, row = faulty
    rule = filter_.rules[0]
    _, drops = either_side(rule, row[rule.signal])
    others = MEASURED | only(filter_, **({} if filter_.name == "language" else {rule.threshold: drops}))
    assert row["lang"] == "eng_Latn"
    configs = two_configs(tmp_path, f"filters.{filter_.name}.languages", (["eng_Latn"], ["deu_Latn"]), others)
    kept = [bool(kept_urls(config, archive)) for config in configs]
    assert kept == ([True, False] if filter_.name == "language" else [False, True])


# --- scores: of documents whose scores are given, and models whose scores are measured

ANY_FILE = {"path": "model", "sha256": "0" * 64}
SCORERS: dict[str, Any] = {
    "quality.models": [
        {"name": name, "kind": kind, **ANY_FILE} for kind in ("quality", "toxicity") for name in ("a", "b")
    ],
    "quality.bad_words": [{"language": "en", **ANY_FILE}],
    "quality.perplexity": [{"language": "en", **ANY_FILE}],
    "quality.dsir": ANY_FILE,
}
A = {"model": "a"}
BEST = {"model": "a", "method": "top_fraction", "keep_fraction": 0.5}
DRAWN = {"model": "a", "method": "pareto"}
LIMITS = {"max_head_perplexity": 100.0, "max_middle_perplexity": 200.0}
SCORE_CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # two tables that differ in the key
    "filters.quality.model": ({"model": "a", "min_score": 0.5}, {"model": "b", "min_score": 0.5}),
    "filters.quality.method": ({**A, "method": "threshold", "min_score": 0.5}, DRAWN),
    "filters.quality.min_score": ({**A, "min_score": 0.5}, {**A, "min_score": 0.6}),
    "filters.quality.keep_fraction": (BEST, {**BEST, "keep_fraction": 0.4}),
    "filters.quality.pareto_alpha": (DRAWN, {**DRAWN, "pareto_alpha": 2.0}),
    "filters.quality.seed": ({**DRAWN, "seed": 1}, {**DRAWN, "seed": 2}),
    "filters.quality.languages": ({**A, "min_score": 0.5}, {**A, "min_score": 0.5, "languages": ["de"]}),
    "filters.quality.lang.min_score": (
        {**A, "min_score": 0.5},
        {**A, "min_score": 0.5, "lang": {"de": {"min_score": 0.1}}},
    ),
    "filters.quality.lang.keep_fraction": (BEST, {**BEST, "lang": {"de": {"keep_fraction": 0.1}}}),
    "filters.toxicity.model": ({"model": "a"}, {"model": "b"}),
    "filters.toxicity.max_score": ({"model": "a"}, {"model": "a", "max_score": 0.6}),
    "filters.toxicity.languages": ({"model": "a"}, {"model": "a", "languages": ["de"]}),
    "filters.toxicity.lang.max_score": ({"model": "a"}, {"model": "a", "lang": {"de": {"max_score": 0.1}}}),
    "filters.bad_words.max_bad_words": ({}, {"max_bad_words": 1}),
    "filters.bad_words.keep_fraction": ({}, {"keep_fraction": 0.5}),
    "filters.bad_words.seed": ({"keep_fraction": 0.5, "seed": 1}, {"keep_fraction": 0.5, "seed": 2}),
    "filters.bad_words.languages": ({}, {"languages": ["de"]}),
    "filters.bad_words.lang.max_bad_words": ({}, {"lang": {"de": {"max_bad_words": 1}}}),
    "filters.ccnet.keep": (LIMITS, {**LIMITS, "keep": ["head"]}),
    "filters.ccnet.max_head_perplexity": (
        {**LIMITS, "keep": ["head"]},
        {**LIMITS, "keep": ["head"], "max_head_perplexity": 90.0},
    ),
    "filters.ccnet.max_middle_perplexity": (LIMITS, {**LIMITS, "max_middle_perplexity": 210.0}),
    "filters.ccnet.head_fraction": ({"keep": ["head"]}, {"keep": ["head"], "head_fraction": 0.5}),
    "filters.ccnet.middle_fraction": ({}, {"middle_fraction": 0.6}),
    "filters.ccnet.languages": ({}, {"languages": ["de"]}),
    "filters.ccnet.lang.max_head_perplexity": (
        {"keep": ["head"], "lang": {"de": LIMITS}},
        {"keep": ["head"], "lang": {"de": {**LIMITS, "max_head_perplexity": 50.0}}},
    ),
    "filters.ccnet.lang.max_middle_perplexity": (
        {"lang": {"de": LIMITS}},
        {"lang": {"de": {**LIMITS, "max_middle_perplexity": 150.0}}},
    ),
    "filters.dsir.keep_fraction": ({"keep_fraction": 0.5}, {"keep_fraction": 0.4}),
    "filters.dsir.seed": ({"keep_fraction": 0.5, "seed": 1}, {"keep_fraction": 0.5, "seed": 2}),
    "filters.dsir.languages": ({"keep_fraction": 0.5}, {"keep_fraction": 0.5, "languages": ["de"]}),
    "filters.dsir.lang.keep_fraction": (
        {"keep_fraction": 0.5},
        {"keep_fraction": 0.5, "lang": {"de": {"keep_fraction": 0.1}}},
    ),
}


def scored_documents() -> pa.RecordBatch:
    """Forty documents, every other one German, with scores from low to high."""
    numbers = range(40)
    return pa.record_batch(
        {
            "doc_id": [f"{number:032x}" for number in numbers],
            "lang": ["deu_Latn" if number % 2 else "eng_Latn" for number in numbers],
            **{name: pa.nulls(40, pa.string()) for name in ("ended_stage", "ended_reason")},
            **{name: pa.nulls(40, pa.float64()) for name in ("ended_value", "ended_threshold")},
            **{
                f"{kind}_{name}": pa.array([abs(number - start) / 40 for number in numbers], pa.float32())
                for kind in ("quality", "toxicity")
                for name, start in (("a", 0), ("b", 40))
            },
            "num_bad_words": pa.array([number // 4 % 3 for number in numbers], pa.int64()),
            "perplexity": pa.array([10 * number + 1 for number in numbers], pa.float32()),
            "dsir_log_weight": pa.array([number / 20 for number in numbers], pa.float32()),
        }
    )


def kept_of(batches: list[pa.RecordBatch], config: RunConfig) -> set[str]:
    """Ids of the documents that the rules leave; ranks are among all of them."""
    cutoffs = find_all_cutoffs(lambda function: [function(batch) for batch in batches], config.filters)
    apply = fuse([decide.make_stage(config.filters, cutoffs)])
    return {row["doc_id"] for batch in batches for row in apply(batch).to_pylist() if not row["ended_reason"]}


@pytest.mark.parametrize("key", SCORE_CASES)
def test_a_key_on_scores(key: str, tmp_path: Path):
    table = ".".join(key.split(".")[:2])
    configs = two_configs(tmp_path, table, SCORE_CASES[key], SCORERS)
    first, second = (kept_of([scored_documents()], config) for config in configs)
    assert first != second
    assert first and second, "a filter that drops everything shows nothing"


SPAM = "Buy now, buy cheap, the offer ends today: click here."


def _described(path: Path, **settings: Any) -> dict[str, Any]:
    return {"path": str(path), "sha256": sha256_of(str(path)), **settings}


def _classifiers(folder: Path) -> tuple[Any, Any, dict[str, Any]]:
    """One model, of which one class or the other is the score."""
    path = folder / "model.bin"
    config = FastTextConfig(dim=4, epochs=20, learning_rate=0.5)
    train_classifier([FEW_WORDS, SPAM] * 10, ["kept", "web"] * 10, config, str(path))
    kept, web = ([_described(path, name="m", label=label)] for label in ("kept", "web"))
    return kept, web, {"filters.quality": {"model": "m", "min_score": 0.5}}


def _word_lists(folder: Path) -> tuple[Any, Any, dict[str, Any]]:
    for word in ("heron", "cheap"):
        (folder / f"{word}.txt").write_text(f"{word}\n", encoding="utf-8")
    lists = ([_described(folder / f"{word}.txt", language="en")] for word in ("heron", "cheap"))
    return *lists, {"filters.bad_words": {}}


def _language_models(folder: Path) -> tuple[Any, Any, dict[str, Any]]:
    """Two models to which "heron" is likely or not; all other words are one."""
    for name, log10 in (("likely", -0.1), ("unlikely", -4.0)):
        words = [f"{value}\t{word}\t0" for word, value in (("<unk>", -1), ("<s>", -1), ("</s>", -1), ("heron", log10))]
        lines = ["\\data\\", "ngram 1=4", "ngram 2=1", "", "\\1-grams:", *words, "", "\\2-grams:", "-1\t<s> </s>", ""]
        (folder / f"{name}.arpa").write_text("\n".join([*lines, "\\end\\", ""]), encoding="utf-8")
    models = ([_described(folder / f"{name}.arpa", language="en")] for name in ("unlikely", "likely"))
    return *models, {"filters.ccnet": {"keep": ["head"], "max_head_perplexity": 10.0, "max_middle_perplexity": 10.0}}


def _bags(folder: Path) -> tuple[Any, Any, dict[str, Any]]:
    """Two models of which one's target is the other's raw text."""
    bags = [bag_of(pa.array([text]), 1000).tolist() for text in (FEW_WORDS, SPAM)]
    for name, (target, raw) in (("first", bags), ("second", bags[::-1])):
        (folder / f"{name}.json").write_text(json.dumps({"target": target, "raw": raw}), encoding="utf-8")
    models = (_described(folder / f"{name}.json") for name in ("first", "second"))
    return *models, {"filters.dsir": {"keep_fraction": 0.5}}


SCORER_CASES: dict[str, Callable[[Path], tuple[Any, Any, dict[str, Any]]]] = {
    "quality.models": _classifiers,
    "quality.bad_words": _word_lists,
    "quality.perplexity": _language_models,
    "quality.dsir": _bags,
}


def kept_pages(config: RunConfig, archive: Path) -> list[str]:
    """URLs that remain after the row stages and the rules, those that rank among them."""
    unit = InputUnit(
        unit="pages", source="s", domain="s", location=str(archive), warc_file="a", format="warc", size_bytes=1
    )
    apply = fuse(row_stages(config))
    batches = [apply(batch) for batch in read_warc.read(unit, config.read, Counter())]
    kept = kept_of(batches, config)
    return [row["url"][-5:] for batch in batches for row in batch.to_pylist() if row["doc_id"] in kept]


@pytest.mark.parametrize("key", SCORER_CASES)
def test_a_model_that_scores(key: str, tmp_path: Path):
    archive = archive_of(tmp_path, Page(body=FEW_WORDS), Page(body=SPAM, url="http://pond.example/cheap"))
    first, second, others = SCORER_CASES[key](tmp_path)
    kept = [kept_pages(config, archive) for config in two_configs(tmp_path, key, (first, second), others)]
    assert kept[0] != kept[1]
    assert all(kept)


class CountingEncoder:
    """In place of sentence-transformers: a text is embedded as its number of words."""

    def encode(self, texts: list[str], show_progress_bar: bool) -> list[list[float]]:
        return [[float(len(text.split()))] for text in texts]


def test_a_regression_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two heads, of which one likes long texts and the other short ones."""
    monkeypatch.setattr(sentence_encoder, "load_encoder", lambda folder: CountingEncoder())
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}", encoding="utf-8")
    heads = []
    for name, weight, intercept in (("long", 1.0, -9.5), ("short", -1.0, 20.0)):
        head = {
            "encoder_sha256": sentence_encoder.folder_sha256(str(tmp_path / "encoder")),
            "weights": [weight],
            "intercept": intercept,
            "lowest": 0.0,
            "highest": 20.0,
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(head), encoding="utf-8")
        heads.append([_described(tmp_path / f"{name}.json", name="edu", encoder=str(tmp_path / "encoder"))])
    archive = archive_of(tmp_path, Page(body=FEW_WORDS), Page(body="Buy now.", url="http://pond.example/cheap"))
    others = {"filters.quality": {"model": "edu", "min_score": 0.5}}
    configs = two_configs(tmp_path, "quality.embeddings", (heads[0], heads[1]), others)
    assert [kept_pages(config, archive) for config in configs] == [["heron"], ["heron", "cheap"]]


def test_languages_of_the_weights(tmp_path: Path):
    archive = archive_of(tmp_path, Page(body=FEW_WORDS), Page(body=SPAM, url="http://pond.example/cheap"))
    bags, _, others = _bags(tmp_path)
    configs = two_configs(tmp_path, "quality.dsir", (bags, {**bags, "languages": ["de"]}), others)
    assert [kept_pages(config, archive) for config in configs] == [["heron"], ["heron", "cheap"]]


# --- copies: what shares a band, and what of it is kept


def near_copies() -> list[str]:
    """Texts in pairs that share more and more of their words, from none to all."""
    draw = random.Random(5)
    texts = []
    for num_changed in range(0, 60, 2):
        words = [f"w{draw.randrange(10**6)}" for _ in range(60)]
        changed = [f"v{draw.randrange(10**6)}" if place < num_changed else word for place, word in enumerate(words)]
        texts += [" ".join(words), " ".join(changed)]
    return texts


def kept_by_bands(config: RunConfig) -> set[int]:
    """Texts left when the second of two that share a band goes, without verification."""
    stage = minhash_signatures.make_stage(config.dedup.minhash)
    batch = stage.apply(pa.record_batch({"text": pa.array(near_copies(), pa.string())}))
    bands = [set(row) for row in batch.column("bands").to_pylist()]
    return {place for place in range(len(bands)) if place % 2 == 0 or not bands[place] & bands[place - 1]}


MINHASH_CASES: dict[str, tuple[tuple[Any, Any], dict[str, Any]]] = {
    "dedup.minhash.num_perm": ((14, 112), {}),
    "dedup.minhash.num_bands": ((7, 28), {}),
    "dedup.minhash.preset": (("fineweb", "slimpajama"), {}),
    "dedup.minhash.threshold": ((0.3, 0.9), {}),
    "dedup.minhash.recall": ((0.1, 0.99), {"dedup.minhash.threshold": 0.5}),
    "dedup.minhash.shingle_words": ((1, 9), {}),
    "dedup.minhash.shingle_chars": ((2, 30), {}),
    "dedup.minhash.shingle_hash": (("mix64", "sha1"), {"dedup.minhash.num_bands": 28}),
    "dedup.minhash.scheme": (("affine32", "legacy"), {"dedup.minhash.num_bands": 28}),
    "dedup.minhash.seed": ((1, 2), {"dedup.minhash.num_bands": 28}),
}


@pytest.mark.parametrize("key", MINHASH_CASES)
def test_a_key_of_minhash(key: str, tmp_path: Path):
    values, others = MINHASH_CASES[key]
    first, second = (kept_by_bands(config) for config in two_configs(tmp_path, key, values, others))
    assert first != second


COPIES = [  # doc_id, num_bytes, fetch_time in seconds, text
    ("a", 10, 2, "the heron stands still at the edge of the pond and waits for fish"),
    ("b", 20, 1, "the heron stands still at the edge of the pond and waits for a fish"),
    ("c", 15, 3, "the heron stands still at the edge of the pond and waits for fish"),
]


AT_THIRD_HAND = [  # all share a band; the first is unlike the third, and the second like both
    ("a", 30, 1, "the heron stands still at the edge of the pond and waits for fish"),
    ("b", 20, 1, "the heron stands still at the edge of a pond and waits for fish"),
    ("c", 10, 1, "the heron walks slowly at the edge of a pond and waits for fish"),
]
COARSE = {f"dedup.minhash.{key}": value for key, value in {"num_perm": 8, "num_bands": 2, "shingle_words": 1}.items()}


def copies(spark: SparkSession, config: DedupConfig, documents: list[tuple[str, int, int, str]]) -> DataFrame:
    stage = minhash_signatures.make_stage(config.minhash)
    sketched = stage.apply(pa.record_batch({"text": [text for *_, text in documents]}))
    columns = ("signature", "bands", "text_hash")
    rows = [
        (*facts, *sketch)
        for (*facts, _), *sketch in zip(
            documents, *(sketched.column(name).to_pylist() for name in columns), strict=True
        )
    ]
    schema = "doc_id string, num_bytes long, fetch_time long, signature binary, bands array<long>, text_hash binary"
    return spark.createDataFrame(rows, schema).withColumn("fetch_time", _seconds("fetch_time"))


def _seconds(column: str) -> Any:
    from pyspark.sql import functions as F

    return F.timestamp_seconds(column)


def kept_copies(spark: SparkSession, folder: Path, config: DedupConfig, key: str) -> set[str]:
    """Documents left by deduplication, exact or near."""
    texts = AT_THIRD_HAND if key == "dedup.near.hubs_per_bucket" else COPIES
    documents = copies(spark, config, texts)
    if config.exact is not None:
        clusters = dedup_exact.make_stage(config.exact).apply(documents)
    else:
        sets = shingle_sets(pa.array([text for *_, text in texts]), config.minhash.shingling()).to_pylist()
        rows = [(doc_id, shingles) for (doc_id, *_), shingles in zip(texts, sets, strict=True)]
        source = spark.createDataFrame(rows, "doc_id string, shingles binary")
        clusters = dedup_near.make_stage(
            config.near, scratch=str(folder / "scratch"), shingle_sets=lambda _: source
        ).apply(documents)
    gone = {row["doc_id"] for row in clusters.collect() if row["doc_id"] != row["kept_doc_id"]}
    return {doc_id for doc_id, *_ in texts} - gone


NEAR = {"dedup.minhash.num_bands": 112, "dedup.near.min_similarity": 0.1, "dedup.near.survivor_order": ["-num_bytes"]}
COPY_CASES: dict[str, tuple[tuple[Any, Any], dict[str, Any], list[set[str]]]] = {
    "dedup.exact.survivor_order": ((["-num_bytes"], ["fetch_time"]), {}, [{"b", "c"}, {"a", "b"}]),
    "dedup.near.survivor_order": ((["-num_bytes"], ["-fetch_time"]), NEAR, [{"b"}, {"c"}]),
    "dedup.near.min_similarity": ((0.1, 1.0), NEAR, [{"b"}, {"b", "c"}]),
    "dedup.near.verify": (  # .79 by the signature, .75 in truth
        ("signature", "exact"),
        {**NEAR, "dedup.near.min_similarity": 0.77},
        [{"b"}, {"b", "c"}],
    ),
    "dedup.near.hubs_per_bucket": (
        (1, 2),
        {**COARSE, "dedup.minhash.seed": 51, "dedup.near.min_similarity": 0.75},
        [{"a", "c"}, {"a"}],
    ),
}


@pytest.fixture(scope="module")
def deduplicated() -> dict[DedupConfig, set[str]]:
    """What was kept under each config so far: a Spark job is too slow to be done twice."""
    return {}


@pytest.mark.parametrize("key", COPY_CASES)
def test_a_key_on_copies(
    key: str, spark: SparkSession, tmp_path: Path, deduplicated: dict[DedupConfig, set[str]]
) -> None:
    values, others, expected = COPY_CASES[key]
    kept = []
    for config in two_configs(tmp_path, key, values, others):
        if config.dedup not in deduplicated:
            deduplicated[config.dedup] = kept_copies(spark, tmp_path, config.dedup, key)
        kept.append(deduplicated[config.dedup])
    assert kept == expected


# --- which copies are compared


DUMPS = ("winter", "spring", "summer")
SCOPE_CASES: dict[str, tuple[tuple[Any, Any], dict[str, Any], list[str]]] = {
    "dedup.scope": (("global", "dump"), {}, ["b", "abc"]),  # one pool: the longest
    "dedup.dump_order": ((list(DUMPS), list(DUMPS[::-1])), {}, ["a", "c"]),
    "dedup.window_dumps": ((2, 3), {"dedup.scope": "window", "dedup.dump_order": list(DUMPS)}, ["abc", "ab"]),
    "dedup.source_priority": ((["winter", "spring"], ["summer", "winter"]), {}, ["a", "c"]),
}


@pytest.mark.parametrize("key", SCOPE_CASES)
def test_a_key_on_which_copies_are_compared(key: str, tmp_path: Path) -> None:
    """The same text in three dumps, or, for the window, in the first and the last of them."""
    values, others, expected = SCOPE_CASES[key]
    kept = []
    for value in values:
        config = load(tmp_path, {"dedup.exact.survivor_order": ["-num_bytes"], **others, key: value}, DUMPS)
        pages = pa.table(
            {
                "doc_id": ["a", "b", "c"],
                "source": list(DUMPS),
                "num_bytes": [10, 20, 15],
                "text_hash": [b"same", b"other" if key == "dedup.window_dumps" else b"same", b"same"],
                "bands": pa.nulls(3, pa.list_(pa.int64())),
            }
        )
        dedup = with_priority(config.dedup)
        nothing: Callable[[Any], pa.Array] = lambda places: pa.array([])  # noqa: E731
        found = copies_among(pages, np.arange(3), plan_of(config), dedup, sketches=nothing, signatures=nothing)
        kept.append("".join(doc_id for doc_id, gone in zip("abc", found.is_any, strict=True) if not gone))
    assert kept == expected


STORE_CASES: dict[str, tuple[tuple[Any, Any], dict[str, Any]]] = {
    "dedup.store.path": (("store", "elsewhere"), {}),
    "dedup.store.name": (("first", "second"), {}),
    "dedup.store.read": ((True, False), {}),
    "dedup.store.write": ((True, False), {}),
}


@pytest.mark.parametrize("key", STORE_CASES)
def test_a_key_of_the_store(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the entries that are read, and whether one is written."""
    values, others = STORE_CASES[key]
    monkeypatch.chdir(tmp_path)
    store = {"dedup.exact": {}, "dedup.store.path": "store", "dedup.store.name": "second", **others}
    first = load(tmp_path, {**store, "dedup.store.name": "first"})
    details = {"position": 0, "dumps": ["pages"], "older": {}, "minhash": signature_facts(first.dedup.minhash)}
    columns = pa.schema([*STORED, ("num_bytes", pa.int64()), ("fetch_time", pa.int64())])
    commit("store/first", name="first", identities=[], upstream={}, files=[], schema=columns, details=details)
    seen = []
    for value in values:
        config = load(tmp_path, {**store, key: value})
        steps = [step.name for step in line_of(config)]
        seen.append(([entry.name for entry in resolve_scope(config).older], "dedup_store" in steps))
    assert seen[0] != seen[1]


# --- repeated lines


WITH_REPEATED_LINES = [  # doc_id, source, num_bytes, fetch_time in seconds, text
    ("a", "dump1", 90, 2, "Shared line here.\nhome\n\nOne came. Two left. My own."),
    ("b", "dump1", 80, 1, "shared line here!\nhome\nOne came. Two left. Other end."),
    ("c", "dump2", 70, 3, "Shared line here.\nNothing else."),
    ("d", "dump1", 60, 4, "New here. Two left. My own. Yes."),
]
LINE_CASES: dict[str, tuple[tuple[Any, Any], dict[str, Any]]] = {
    "dedup.lines.unit": (("line", "paragraph"), {}),
    "dedup.lines.sentences_per_span": ((2, 3), {"dedup.lines.unit": "sentence_span"}),
    "dedup.lines.scope": (("source", "language"), {}),
    "dedup.lines.min_count": ((2, 3), {}),
    "dedup.lines.keep": (("first", "none"), {}),
    "dedup.lines.min_chars": ((1, 10), {}),
    "dedup.lines.normalise": ((True, False), {}),
    "dedup.lines.max_cut_share": ((False, 0.3), {}),
    "dedup.lines.survivor_order": ((["-num_bytes"], ["fetch_time"]), {}),
}


def cut_lines(spark: SparkSession, config: LineDedupConfig) -> list[tuple[str, int, str | None]]:
    """What goes of which document, and why it is dropped."""
    names = ["doc_id", "source", "num_bytes", "fetch_time", "text"]
    columns = dict(zip(names, map(list, zip(*WITH_REPEATED_LINES, strict=True)), strict=True))
    milliseconds = [1000 * seconds for seconds in columns["fetch_time"]]
    columns["fetch_time"] = pa.array(milliseconds, pa.timestamp("ms", tz="UTC"))
    batch = pa.record_batch({**columns, "lang": ["eng_Latn"] * 4, "unit": ["u"] * 4, "row_index": [0, 1, 2, 3]})
    found, documents = dedup_lines.keys_of([batch], config)
    counted = dedup_lines.count_keys("u", found, documents, ranks(documents, config.survivor_order))
    repeated = dedup_lines.repeated_keys(spark.createDataFrame(counted.to_pandas()), config).collect()
    rows = sorted((row.asDict() for row in repeated), key=lambda row: row["key"])
    cut = dedup_lines.RepeatedKeys(pa.Table.from_pylist(rows, schema=dedup_lines.REPEATED)).cut(batch, config)
    return [(row["doc_id"], row["num_bytes_cut"], row["dropped_reason"]) for row in cut.to_pylist()]


@pytest.mark.parametrize("key", LINE_CASES)
def test_a_key_on_repeated_lines(key: str, spark: SparkSession, tmp_path: Path) -> None:
    values, others = LINE_CASES[key]
    first, second = (cut_lines(spark, config.dedup.lines) for config in two_configs(tmp_path, key, values, others))
    assert first != second


# --- evaluation text


ASKED = "how many fish does the heron catch in the morning when the fog lies on the pond for an hour"
AROUND = "The swifts come back to the tower in May and leave it again before the end of July. "
WITH_EVALUATION_TEXT = [
    f"{AROUND * 3}{ASKED} {AROUND * 6}",
    f"{AROUND * 6}{' '.join(ASKED.split()[:14])} {AROUND * 6}",
    f"{AROUND * 6}who rings the tower bell {AROUND * 6}",
]
EVALUATION_SETS = [
    [{"name": "birds", "path": "{folder}/evals.jsonl", "fields": [field]}] for field in ("question", "title")
]
ASKED_OF = {"decontaminate.set": EVALUATION_SETS[0]}
EVALUATION_CASES: dict[str, tuple[tuple[Any, Any], dict[str, Any]]] = {
    "decontaminate.set": ((EVALUATION_SETS[0], EVALUATION_SETS[1]), {}),
    "decontaminate.ngram_words": ((13, 16), ASKED_OF),
    "decontaminate.min_item_words": ((5, 6), ASKED_OF),
    "decontaminate.min_item_share": ((False, 0.9), ASKED_OF),
    "decontaminate.max_documents_per_ngram": ((False, 1), ASKED_OF),
    "decontaminate.action": (("cut", "drop"), ASKED_OF),
    "decontaminate.window_chars": ((200, 20), ASKED_OF),
    "decontaminate.min_piece_chars": ((10, 250), {**ASKED_OF, "decontaminate.window_chars": 20}),
    "decontaminate.max_pieces": ((False, 1), ASKED_OF),
}


def cut_evaluation_text(spark: SparkSession, config: DecontaminateConfig) -> list[dict[str, Any]]:
    """What goes of which document, and why it is dropped."""
    passages = read_passages(config.set)
    text = passages.column("text").combine_chunks()
    index = build_index(text, ngram_words=config.ngram_words, min_words=config.min_item_words)
    rows = range(len(WITH_EVALUATION_TEXT))
    names = {"doc_id": [str(row) for row in rows], "unit": ["u" for _ in rows], "text": WITH_EVALUATION_TEXT}
    documents = pa.record_batch({**names, "row_index": pa.array(rows, pa.int64())})
    hits = decontaminate.find_hits(documents, index)
    common: list[int] = []
    if config.max_documents_per_ngram is not None:
        frame = spark.createDataFrame(hits.to_pandas())
        found = decontaminate.common_ngrams(frame, config.max_documents_per_ngram).collect()
        common = [row["ngram"] for row in found]
    too_common = np.array(common, np.int32)
    cuts, _ = decontaminate.judge_hits(
        documents, hits, index=index, passages=passages, too_common=too_common, config=config
    )
    return cuts.to_pylist()


@pytest.mark.parametrize("key", EVALUATION_CASES)
def test_a_key_on_evaluation_text(key: str, spark: SparkSession, tmp_path: Path) -> None:
    items = [{"question": ASKED, "title": "At the pond on a morning"}, {"question": "Who rings the tower bell?"}]
    (tmp_path / "evals.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    values, others = json.loads(json.dumps(EVALUATION_CASES[key]).replace("{folder}", str(tmp_path)))
    first, second = (
        cut_evaluation_text(spark, config.decontaminate) for config in two_configs(tmp_path, key, values, others)
    )
    assert first != second


# --- repeated passages


WITH_REPEATED_PASSAGES = [  # doc_id, source, num_bytes, fetch_time in seconds, text
    ("a", "dump1", 90, 2, "The heron stands still at the edge of the pond."),
    ("b", "dump2", 80, 1, "In the morning the heron stands still at the edge of the pond and waits."),
    ("c", "dump1", 70, 3, "A heron stands still at the edge of the lake and waits."),
]
PASSAGE_CASES: dict[str, tuple[tuple[Any, Any], dict[str, Any]]] = {
    "dedup.substrings.min_tokens": ((4, 9), {}),
    "dedup.substrings.keep": (("first", "none"), {"dedup.substrings.min_tokens": 4}),
    "dedup.substrings.scope": (("global", "source"), {"dedup.substrings.min_tokens": 4}),
    "dedup.substrings.survivor_order": (
        (["-num_bytes"], ["fetch_time"]),
        {"dedup.substrings.min_tokens": 4},
    ),
}


def cut_passages(spark: SparkSession, config: SubstringDedupConfig) -> list[tuple[str, int, int]]:
    """Which words go of which document."""
    names = ["doc_id", "source", "num_bytes", "fetch_time", "text"]
    columns = dict(zip(names, map(list, zip(*WITH_REPEATED_PASSAGES, strict=True)), strict=True))
    facts = zip(*(columns[name] for name in ("doc_id", "num_bytes", "fetch_time")), strict=True)
    frame = spark.createDataFrame(list(facts), "doc_id string, num_bytes long, fetch_time long")
    documents = frame.withColumn("fetch_time", _seconds("fetch_time"))
    numbers = {row["doc_id"]: row["number"] for row in numbered(documents, config.survivor_order).collect()}
    columns |= {"number": [numbers[doc_id] for doc_id in columns["doc_id"]], "row_index": [0, 1, 2]}
    batch = pa.record_batch(columns)
    tokens = dedup_substrings.tokens_of(batch, config)
    anchors = dedup_substrings.anchor_rows(tokens, config, "00000").to_pydict()
    repeated = [anchor for anchor, places in zip(anchors["anchor"], anchors["num_places"], strict=True) if places > 1]
    in_order = np.sort(np.array(repeated, np.int64).view(np.uint64)).view(np.int64)
    candidates = dedup_substrings.candidate_rows(tokens, batch, in_order, config)
    found = occurrences(candidates)
    places = {name: found.column(name).to_numpy() for name in found.schema.names}
    runs = redundant_runs(candidates, places, min_tokens=config.min_tokens, keep_first=config.keep == "first")
    return [
        (candidates.column("doc_id")[row].as_py(), begin, end)
        for row, begin, end in zip(runs.rows.tolist(), runs.begins.tolist(), runs.ends.tolist(), strict=True)
    ]


@pytest.mark.parametrize("key", PASSAGE_CASES)
def test_a_key_on_repeated_passages(key: str, spark: SparkSession, tmp_path: Path) -> None:
    values, others = PASSAGE_CASES[key]
    first, second = (
        cut_passages(spark, config.dedup.substrings) for config in two_configs(tmp_path, key, values, others)
    )
    assert first != second


# --- documents that say the same


SEMANTIC = {"dedup.semantic.encoder": "sines", "dedup.semantic.min_similarity": 0.995, "dedup.semantic.num_clusters": 8}
SEMANTIC_CASES: dict[str, tuple[Any, Any]] = {
    "dedup.semantic.encoder": ("sines", "squares"),
    "dedup.semantic.min_similarity": (0.995, 0.99),
    "dedup.semantic.max_chars": (8000, 2),
    "dedup.semantic.num_clusters": (8, 4),
    "dedup.semantic.documents_per_cluster": (8800, 8),
    "dedup.semantic.sample_per_cluster": (256, 2),
    "dedup.semantic.max_iterations": (20, 2),
    "dedup.semantic.same_language": (True, False),
    "dedup.semantic.keep": ("best", "farthest"),
    "dedup.semantic.survivor_order": (["-num_bytes", "fetch_time", "doc_id"], ["num_bytes"]),
    "dedup.semantic.seed": (0, 1),
}


class WrittenAngle:
    """In place of sentence-transformers: a text is an angle in degrees."""

    def __init__(self, folder: str) -> None:
        self.turns = 1 if folder == "sines" else 2

    def encode(self, texts: list[str], show_progress_bar: bool) -> np.ndarray:
        angles = np.radians([float(text) for text in texts]) * self.turns
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def say_the_same(spark: SparkSession, folder: Path, config: SemanticDedupConfig) -> set[str]:
    """Documents that semantic deduplication drops."""
    draw = random.Random(3)
    facts = [
        (f"{draw.getrandbits(128):032x}", draw.choice(["eng_Latn", "deu_Latn"]), draw.randrange(50, 99), 0, 0, 0)
        for _ in range(60)
    ]
    texts = [str(draw.randrange(100, 360)) for _ in facts]
    batch = pa.record_batch({"doc_id": [row[0] for row in facts], "text": texts})
    source = SimpleNamespace(read=lambda unit: [batch])
    report = SimpleNamespace(counts=Counter())
    (written,) = embed_unit(source, config)("u", report)
    rows = [(row["doc_id"], row["embedding"]) for row in written["rows"].to_pylist()]
    documents = spark.createDataFrame(
        facts, "doc_id string, lang string, num_bytes long, fetch_time long, age long, dump_index long"
    )
    nearest = nearest_earlier(
        spark.createDataFrame(rows, "doc_id string, embedding array<float>"),
        documents.withColumn("fetch_time", _seconds("fetch_time")),
        config,
        reach_dumps=1,
        scratch=str(folder / "scratch"),
    )
    return {row["doc_id"] for row in semantic_duplicates(nearest, config.min_similarity).collect()}


@pytest.fixture(scope="module")
def said() -> dict[SemanticDedupConfig, set[str]]:
    """What was dropped under each config so far, as ``deduplicated``."""
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("key", SEMANTIC_CASES)
def test_a_key_on_what_says_the_same(
    key: str,
    spark: SparkSession,
    tmp_path: Path,
    said: dict[SemanticDedupConfig, set[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sentence_encoder, "load_encoder", WrittenAngle)
    base = {name: value for name, value in SEMANTIC.items() if name != key}
    if key == "dedup.semantic.documents_per_cluster":
        del base["dedup.semantic.num_clusters"]
    dropped = []
    for config in two_configs(tmp_path, key, SEMANTIC_CASES[key], base):
        if config.dedup.semantic not in said:
            said[config.dedup.semantic] = say_the_same(spark, tmp_path, config.dedup.semantic)
        dropped.append(said[config.dedup.semantic])
    assert dropped[0] != dropped[1]
    assert all(dropped)


# --- mixture


SMALL_BUDGET = {"mixture.budget_bytes": 20_000}
MIXTURE_CASES: dict[str, tuple[tuple[Any, Any], dict[str, Any]]] = {
    "mixture.alpha": ((0.0, 1.0), SMALL_BUDGET),
    "mixture.budget_bytes": ((10_000, 20_000), {}),
    "mixture.budget_fraction": ((0.2, 0.5), {}),
    "mixture.max_epochs": ((1.0, 4.0), {"mixture.alpha": 0.0}),
    "mixture.validation_fraction": ((0.0, 0.5), SMALL_BUDGET),
    "mixture.seed": ((1, 2), SMALL_BUDGET),
    "mixture.by": (("lang", "domain"), SMALL_BUDGET),
    "mixture.weights": (({"eng_Latn": 0.5, "khm_Khmr": 0.5}, {"eng_Latn": 0.9, "khm_Khmr": 0.1}), SMALL_BUDGET),
}


@pytest.fixture(scope="module")
def survivors(spark: SparkSession) -> DataFrame:
    rows = [
        (f"{number:032x}", "eng_Latn" if number % 10 else "khm_Khmr", "web" if number % 4 else "books", 100)
        for number in range(400)
    ]
    return spark.createDataFrame(rows, "doc_id string, lang string, domain string, num_bytes long").coalesce(1).cache()


@pytest.mark.parametrize("key", MIXTURE_CASES)
def test_a_key_of_the_mixture(key: str, survivors: DataFrame, tmp_path: Path):
    values, others = MIXTURE_CASES[key]
    kept = [
        {
            row["doc_id"]
            for row in sample_mixture.make_stage(config.mixture).apply(survivors).where("copies > 0").collect()
        }
        for config in two_configs(tmp_path, key, values, others)
    ]
    assert kept[0] != kept[1]


# --- and none is left out


def test_no_key_is_without_a_case():
    with_a_case = {*PAGE_CASES, *FILE_CASES, *MINHASH_CASES, *COPY_CASES, *LINE_CASES, *MIXTURE_CASES, *WITHOUT_A_SAY}
    with_a_case |= {*SEMANTIC_CASES, *PASSAGE_CASES, *SCOPE_CASES, *STORE_CASES, *EVALUATION_CASES}
    with_a_case |= {f"filters.{filter_.name}.{rule.threshold}" for filter_, rule in RULES}
    with_a_case |= {
        f"filters.{filter_.name}.lang.{rule.threshold}"
        for filter_, rule in RULES
        if "lang" in filter_.config_type.model_fields
    }
    with_a_case |= {f"filters.{filter_.name}.languages" for filter_ in FILTERS}
    with_a_case |= {*SCORE_CASES, *SCORER_CASES} - {"quality.dsir"}
    with_a_case |= {"quality.dsir.path", "quality.dsir.languages", "quality.embeddings"}
    without = [key for key in deciding_keys() if key not in with_a_case]
    assert not without, f"no case for {', '.join(without)}"
    gone = sorted(with_a_case.difference(deciding_keys()))
    assert not gone, f"a case for {', '.join(gone)}, of which no config model knows"
