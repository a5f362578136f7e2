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
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import fasttext
import pyarrow as pa
import pytest
from pydantic import BaseModel

from filters.gopher_quality import GOPHER_QUALITY
from filters.registry import FILTERS
from filters.rule import Filter, Rule
from jobs.config import DedupConfig, RunConfig, load_run_config
from jobs.steps_extract import row_stages
from pipeline.input_unit import InputUnit
from pipeline.models import locate
from pipeline.stage import fuse
from pipeline.storage import sha256_of
from stages import decide, dedup_exact, dedup_near, minhash_signatures, read_warc, sample_mixture

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DECIDING = ("read", "url", "extract", "language", "measure", "filters", "dedup", "mixture")
OTHERS = ("run", "input", "spark", "pii", "tokenizer", "shards", "train")  # say from what, or change what is kept after
WITHOUT_A_SAY = {
    "language.sha256": "names the file that [language] model must be; another one is refused",
    "dedup.near.max_single_task_edges": "chooses between two ways to the same components",
    "dedup.near.max_rounds": "ends a run whose components have not settled",
}
FEW_WORDS = "The heron stands still at the edge of the pond."
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


def load(folder: Path, settings: dict[str, Any]) -> RunConfig:
    """The config of a TOML text with one line per key."""
    lines = ['run.output = "run"', 'input = [{name = "pages", paths = ["pages.warc"]}]']
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


LIST = "<ul><li>reed warblers, three pairs</li><li>kingfisher, one</li></ul>"
LINES = "<p>It was cold.</p><p>It was wet.</p><p>We saw the heron.</p>"
PAGE_CASES: dict[str, PageCase] = {
    "read.max_payload_bytes": PageCase(values=(20, 2000)),
    "read.keep_truncated": PageCase(
        values=(True, False), page=Page(body=FEW_WORDS, warc_headers="WARC-Truncated: length\r\n")
    ),
    "read.verify_digests": PageCase(
        values=(True, False), page=Page(body=FEW_WORDS, warc_headers=f"WARC-Block-Digest: sha1:{'A' * 32}\r\n")
    ),
    "url.blocked_domains": PageCase(values=([], ["pond.example"])),
    "url.blocked_tlds": PageCase(values=(["xxx"], ["example"])),
    "url.blocked_words": PageCase(values=(["casino"], ["heron"])),
    "url.max_url_chars": PageCase(values=(24, 25)),
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
    "language.max_chars": PageCase(
        values=(len(FEW_WORDS), 1000),
        page=Page(body=f"<p>{FEW_WORDS} {'Цапля стоит у самого края пруда и терпеливо ждёт рыбу. ' * 9}</p>"),
        others={"filters.language": {"languages": ["en"], "min_score": False}},
    ),
    "measure.stop_words": PageCase(
        values=(["the", "of"], ["le", "la"]), others={"filters.gopher_quality.min_words": 1}
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


def _models(tmp_path: Path) -> tuple[Any, Any]:
    """The registered model, and one to which all text is German."""
    (tmp_path / "train.txt").write_text("__label__de heron pond\n__label__fr fisch teich\n" * 50, encoding="utf-8")
    # fasttext 0.9.3 fills its input matrix in ten parts, one a thread: dim must be divisible by ten
    trained = fasttext.train_supervised(str(tmp_path / "train.txt"), dim=10, thread=10, epoch=5, verbose=0)
    trained.save_model(str(tmp_path / "tiny.bin"))
    return str(locate("lid.176.ftz")), str(tmp_path / "tiny.bin")


FILE_CASES: dict[str, Callable[[Path], tuple[Any, Any]]] = {
    "url.blocked_domain_files": _blocked_domain_files,
    "language.model": _models,
}


def test_a_file_of_blocked_domains(tmp_path: Path):
    archive = archive_of(tmp_path, Page(body=FEW_WORDS))
    configs = two_configs(tmp_path, "url.blocked_domain_files", _blocked_domain_files(tmp_path), {})
    assert [len(kept_urls(config, archive)) for config in configs] == [1, 0]


def test_another_language_model(tmp_path: Path):
    """With its hash, without which it is refused."""
    archive = archive_of(tmp_path, Page(body=f"<p>{FEW_WORDS}</p>"))
    configs = [
        load(
            tmp_path,
            {"language.model": model, "language.sha256": sha256_of(model), "filters.language": {"languages": ["en"]}},
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
        "Why? 12 34.</pre>",
    ]
)
RULES = [(filter_, rule) for filter_ in FILTERS for rule in filter_.rules]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The archive with the page, and what is measured on it."""
    folder = tmp_path_factory.mktemp("faulty")
    archive = archive_of(folder, Page(body=EVERY_FAULT))
    (row,) = judged(load(folder, {"extract.main_content": False}), archive)
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
    others = {"extract.main_content": False, **only(filter_)}
    key = f"filters.{filter_.name}.{rule.threshold}"
    configs = two_configs(tmp_path, key, (keeps, drops), others)
    assert [len(kept_urls(config, archive)) for config in configs] == [1, 0]
    (ended,) = judged(configs[1], archive)
    assert (ended["ended_stage"], ended["ended_reason"]) == (filter_.name, str(rule.reason))
    assert (ended["ended_value"], ended["ended_threshold"]) == (value, drops)
    assert kept_urls(load(tmp_path, {**others, key: False}), archive), "false turns the rule off"


@pytest.mark.parametrize("filter_", FILTERS, ids=lambda filter_: filter_.name)
def test_languages_of_a_filter(filter_: Filter, faulty: tuple[Path, dict[str, Any]], tmp_path: Path):
    """[filters.language] keeps the languages named; any other filter judges no others."""
    archive, row = faulty
    rule = filter_.rules[0]
    _, drops = either_side(rule, row[rule.signal])
    others = {"extract.main_content": False} | only(
        filter_, **({} if filter_.name == "language" else {rule.threshold: drops})
    )
    assert row["lang"] == "en"
    configs = two_configs(tmp_path, f"filters.{filter_.name}.languages", (["en"], ["de"]), others)
    kept = [bool(kept_urls(config, archive)) for config in configs]
    assert kept == ([True, False] if filter_.name == "language" else [False, True])


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
    "dedup.minhash.threshold": ((0.3, 0.9), {}),
    "dedup.minhash.shingle_words": ((1, 9), {}),
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


def copies(spark: SparkSession, config: DedupConfig) -> DataFrame:
    stage = minhash_signatures.make_stage(config.minhash)
    sketched = stage.apply(pa.record_batch({"text": [text for *_, text in COPIES]}))
    columns = ("signature", "bands", "text_hash")
    rows = [
        (*facts, *sketch)
        for (*facts, _), *sketch in zip(COPIES, *(sketched.column(name).to_pylist() for name in columns), strict=True)
    ]
    schema = "doc_id string, num_bytes long, fetch_time long, signature binary, bands array<long>, text_hash binary"
    return spark.createDataFrame(rows, schema).withColumn("fetch_time", _seconds("fetch_time"))


def _seconds(column: str) -> Any:
    from pyspark.sql import functions as F

    return F.timestamp_seconds(column)


def kept_copies(spark: SparkSession, folder: Path, config: DedupConfig) -> set[str]:
    """Documents left by deduplication, exact or near."""
    documents = copies(spark, config)
    if config.exact is not None:
        clusters = dedup_exact.make_stage(config.exact).apply(documents)
    else:
        clusters = dedup_near.make_stage(config.near, scratch=str(folder / "scratch")).apply(documents)
    gone = {row["doc_id"] for row in clusters.collect() if row["doc_id"] != row["kept_doc_id"]}
    return {doc_id for doc_id, *_ in COPIES} - gone


NEAR = {"dedup.minhash.num_bands": 112, "dedup.near.min_similarity": 0.1, "dedup.near.survivor_order": ["-num_bytes"]}
COPY_CASES: dict[str, tuple[tuple[Any, Any], dict[str, Any], list[set[str]]]] = {
    "dedup.exact.survivor_order": ((["-num_bytes"], ["fetch_time"]), {}, [{"b", "c"}, {"a", "b"}]),
    "dedup.near.survivor_order": ((["-num_bytes"], ["-fetch_time"]), NEAR, [{"b"}, {"c"}]),
    "dedup.near.min_similarity": ((0.1, 1.0), NEAR, [{"b"}, {"b", "c"}]),
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
            deduplicated[config.dedup] = kept_copies(spark, tmp_path, config.dedup)
        kept.append(deduplicated[config.dedup])
    assert kept == expected


# --- mixture


SMALL_BUDGET = {"mixture.budget_bytes": 20_000}
MIXTURE_CASES: dict[str, tuple[tuple[Any, Any], dict[str, Any]]] = {
    "mixture.alpha": ((0.0, 1.0), SMALL_BUDGET),
    "mixture.budget_bytes": ((10_000, 20_000), {}),
    "mixture.budget_fraction": ((0.2, 0.5), {}),
    "mixture.max_epochs": ((1.0, 4.0), {"mixture.alpha": 0.0}),
    "mixture.validation_fraction": ((0.0, 0.5), SMALL_BUDGET),
    "mixture.seed": ((1, 2), SMALL_BUDGET),
}


@pytest.fixture(scope="module")
def survivors(spark: SparkSession) -> DataFrame:
    rows = [(f"{number:032x}", "en" if number % 10 else "km", "web", 100) for number in range(400)]
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
    with_a_case = {*PAGE_CASES, *FILE_CASES, *MINHASH_CASES, *COPY_CASES, *MIXTURE_CASES, *WITHOUT_A_SAY}
    with_a_case |= {f"filters.{filter_.name}.{rule.threshold}" for filter_, rule in RULES}
    with_a_case |= {f"filters.{filter_.name}.languages" for filter_ in FILTERS}
    without = [key for key in deciding_keys() if key not in with_a_case]
    assert not without, f"no case for {', '.join(without)}"
    gone = sorted(with_a_case.difference(deciding_keys()))
    assert not gone, f"a case for {', '.join(gone)}, of which no config model knows"
