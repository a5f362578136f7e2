"""Dumps deduplicated one after the other through the store, against all of them at once, page by page."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from jobs.build_corpus import line_of, prepare
from jobs.config import RunConfig
from jobs.explain_document import explain
from jobs.explanation_text import render
from jobs.run_folder import RunFolder
from jobs.run_record import write_run_record
from jobs.what_if_settle import settle
from pipeline.config import parse
from pipeline.dedup_store import entries, faults
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow  # seven runs

DUMPS = ("winter", "spring")
Run = Callable[..., dict[str, tuple[Any, ...]]]


def texts(draw: random.Random) -> dict[str, list[str]]:
    """Pages of the dumps, with copies and ever less similar near copies within them and between them."""
    found: dict[str, list[str]] = {dump: [] for dump in DUMPS}
    for _ in range(50):
        words = [f"w{draw.randrange(10**6)}" for _ in range(60)]
        for _ in range(draw.randrange(1, 7)):
            found[draw.choice(DUMPS)].append(" ".join(words) + "  " * draw.randrange(2) + "." * draw.randrange(3))
            for place in draw.sample(range(60), draw.choice((0, 0, 1, 2, 4))):  # the next one is of this one
                words[place] = f"v{draw.randrange(10**6)}"
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dumps")
    for dump, pages in texts(random.Random(5)).items():
        lines = [json.dumps({"text": text, "url": f"http://{dump}.example/{n}"}) for n, text in enumerate(pages)]
        for part in range(2):
            (folder / f"{dump}-{part}.jsonl").write_text("\n".join(lines[part::2]), encoding="utf-8")
    return folder


def config_of(folder: Path, name: str, dumps: tuple[str, ...], **dedup: Any) -> RunConfig:
    return parse(
        {
            "run": {"output": str(folder / name), "seed": 3},
            "input": [
                {"name": dump, "paths": [str(folder / f"{dump}-*.jsonl")], "columns": {"url": "url"}} for dump in dumps
            ],
            "dedup": {"exact": {}, "near": {"min_similarity": 0.6}, **dedup},
            "mixture": {"validation_fraction": 0.0, "alpha": 1.0},
        },
        RunConfig,
        where="test",
    )


@pytest.fixture(scope="module")
def run(spark: SparkSession, folder: Path) -> Run:
    """The line up to its entry in the store, in the session of the tests; gives what became of each page."""

    def run_line(name: str, *dumps: str, num_partitions: int = 4, **dedup: Any) -> dict[str, tuple[Any, ...]]:
        config = config_of(folder, name, dumps, **dedup)
        spark.conf.set("spark.sql.shuffle.partitions", str(num_partitions))
        context = prepare(config, base_dir=".")
        context._spark = spark
        write_run_record(context)
        for step in line_of(config):
            if step.name in ("redact_pii", "train_tokenizer"):
                break
            context.perform(step)
        columns = ["doc_id", "stage", "reason", "value", "kept_doc_id"]
        rows = RunFolder(config.run.output).rows("decisions", columns).to_pylist()
        return {row["doc_id"]: tuple(row[name] for name in columns[1:]) for row in rows}

    return run_line


@pytest.fixture(scope="module")
def at_once(run: Run) -> dict[str, tuple[Any, ...]]:
    return run("at-once", *DUMPS, num_partitions=7, dump_order=list(DUMPS))


@pytest.fixture(scope="module")
def one_by_one(run: Run, folder: Path) -> list[dict[str, tuple[Any, ...]]]:
    return [
        run(dump, dump, num_partitions=number + 1, store={"path": str(folder / "store"), "name": f"run-{dump}"})
        for number, dump in enumerate(DUMPS)
    ]


def test_one_after_the_other_keeps_what_all_at_once_keep(
    at_once: dict[str, tuple[Any, ...]], one_by_one: list[dict[str, tuple[Any, ...]]]
) -> None:
    """Survivor, similarity and reason included."""
    assert {doc_id: fate for fates in one_by_one for doc_id, fate in fates.items()} == at_once
    reasons = Counter(reason for _, reason, *_ in at_once.values())
    assert len(reasons) == 5, "kept, or a copy in four ways"
    assert min(reasons.values()) > 3
    of_first = {reason for _, reason, *_ in one_by_one[0].values()}
    assert of_first == {None, "exact_duplicate", "near_duplicate"}


def test_a_what_if_honours_the_order_of_dumps(folder: Path, at_once: dict[str, tuple[Any, ...]]) -> None:
    config = config_of(folder, "at-once", DUMPS, dump_order=list(DUMPS))
    settled = settle(RunFolder(config.run.output), config)
    ids = settled.pages.column("doc_id").to_pylist()
    reasons = settled.pages.column("reason").to_pylist()
    kept = [None if reason is None else ids[place] for reason, place in zip(reasons, settled.kept_place, strict=True)]
    expected = {doc_id: (reason, kept_doc_id) for doc_id, (_, reason, _, kept_doc_id) in at_once.items()}
    assert dict(zip(ids, zip(reasons, kept, strict=True), strict=True)) == expected


def test_what_the_store_holds(folder: Path, one_by_one: list[dict[str, tuple[Any, ...]]]) -> None:
    store = str(folder / "store")
    found = entries(store)
    assert [(entry.name, entry.dumps, list(entry.older)) for entry in found] == [
        ("run-winter", ("winter",), []),
        ("run-spring", ("spring",), ["run-winter"]),
    ]
    assert faults(store) == []
    rows = pq.read_table(f"{found[1].folder}/{found[1].manifest.files[0].path}").to_pylist()
    fates = one_by_one[1]
    kept_of = {doc_id: kept_doc_id or doc_id for doc_id, (*_, kept_doc_id) in fates.items()}
    in_dump = {doc_id for doc_id, (_, reason, *_) in fates.items() if reason == "exact_duplicate"}
    assert {row["doc_id"]: row["kept_doc_id"] for row in rows} == {
        doc_id: kept for doc_id, kept in kept_of.items() if doc_id not in in_dump
    }
    assert all(row["text_hash"] and row["signature"] and row["num_bytes"] for row in rows)


def test_a_page_of_the_store_is_named_with_its_run(folder: Path, one_by_one: list[dict[str, tuple[Any, ...]]]) -> None:
    doc_id, fate = next((key, fate) for key, fate in one_by_one[1].items() if fate[1] == "near_duplicate_of_older_dump")
    shown = render(explain(str(folder / "spring"), doc_id))
    told = f"kept in its place: {fate[-1]} (dump winter, entry run-winter of the store)"
    assert told in " ".join(shown.split())


def test_a_store_has_no_what_if(folder: Path, one_by_one: list[dict[str, tuple[Any, ...]]]) -> None:
    store = {"path": str(folder / "store"), "name": "run-spring"}
    with pytest.raises(ConfigError, match="whose documents a what-if does not look at"):
        settle(RunFolder(str(folder / "spring")), config_of(folder, "spring", ("spring",), store=store))


def test_a_step_is_done_again_when_its_entry_is_gone(
    spark: SparkSession, folder: Path, one_by_one: list[dict[str, tuple[Any, ...]]]
) -> None:
    def is_finished() -> bool:
        store = {"path": str(folder / "store"), "name": "run-spring"}
        config = config_of(folder, "spring", ("spring",), store=store)
        context = prepare(config, base_dir=".")
        return {step.name: context.is_finished(step) for step in line_of(config)}["dedup_store"]

    assert is_finished()
    entry = folder / "store" / "run-spring"
    entry.rename(folder / "elsewhere")
    assert not is_finished()
    (folder / "elsewhere").rename(entry)


def test_the_same_input_under_another_name_is_refused(
    run: Run, folder: Path, one_by_one: list[dict[str, tuple[Any, ...]]]
) -> None:
    with pytest.raises(ConfigError, match=r"entry 'run-winter' .* made from the same input files"):
        run("winter", "winter", store={"path": str(folder / "store"), "name": "winter-again"})


def test_other_signatures_are_refused(folder: Path, one_by_one: list[dict[str, tuple[Any, ...]]]) -> None:
    store = {"path": str(folder / "store"), "name": "run-autumn"}
    config = config_of(folder, "autumn", ("spring",), store=store, minhash={"seed": 9})
    with pytest.raises(ConfigError, match=r"'run-winter' .* was made with seed = 1 where this run has 9"):
        line_of(config)
