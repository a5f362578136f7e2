"""From the survivors of document deduplication to the corpus: repeated lines go, and documents of nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import steps_corpus, steps_text_dedup
from jobs.between import VERDICT
from jobs.config import RunConfig
from jobs.run_context import RunContext
from jobs.steps_dedup_lines import dedup_lines_step
from jobs.steps_text_dedup import bytes_cut, survivors_step
from pipeline.input_unit import InputUnit
from pipeline.manifest import commit, file_entry
from pipeline.schema import CLUSTER, DOCUMENT
from stages.dedup_lines import LineDedupConfig

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

INPUTS = tuple({"name": name, "paths": ("x",)} for name in ("web", "books"))
MENU = "Home\nAbout us\n"
TEXTS = {  # by unit; 1 is the best document of all, being the longest
    "u0": ["Nothing here.\n" + MENU, MENU + "The first text of all, and the longest one here.", "HOME\nabout us!"],
    "u1": ["Only mine.\nYet another line.", MENU.lower() + "Short own text."],
}


def rows_of(unit: str) -> list[dict[str, Any]]:
    return [
        {
            "doc_id": f"{int(unit[1:]) * 10 + index:032x}",
            "source": "web",
            "domain": "web",
            "url": f"http://pond.example/{unit}/{index}",
            "lang": "eng_Latn",
            "num_bytes": len(text.encode()),
            "text": text,
            "unit": unit,
            "page_index": index,
            "row_index": index,
        }
        for index, text in enumerate(TEXTS[unit])
    ]


def write_table(folder: Path, name: str, schema: pa.Schema, parts: dict[str, list[dict[str, Any]]]) -> None:
    (folder / name).mkdir(parents=True)
    entries = []
    for unit, rows in parts.items():
        full = [{**dict.fromkeys(schema.names), **row} for row in rows]
        pq.write_table(pa.Table.from_pylist(full, schema=schema), folder / name / f"part-{unit}.parquet")
        entries.append(file_entry(str(folder / name), f"part-{unit}.parquet", len(rows)))
    commit(str(folder / name), name=name, identities=(), upstream={}, files=entries, schema=schema)


def context_of(spark: SparkSession, folder: Path, **dedup: Any) -> RunContext:
    config = RunConfig.model_validate(
        {
            "run": {"output": str(folder)},
            "input": ({"name": "web", "paths": ("x.warc",)},),
            "dedup": dedup,
            "mixture": {"validation_fraction": 0.0},
        }
    )
    units = [
        InputUnit(unit=unit, source="web", domain="web", location="x", warc_file=unit, format="warc", size_bytes=100)
        for unit in TEXTS
    ]
    context = RunContext(
        config=config, output=str(folder), files=units, units=units, inputs_fingerprint="x", _spark=spark
    )
    context.fingerprints |= dict.fromkeys(("extract", "decide", "dedup_exact", "dedup_near"), "done")
    context.steps["dedup_near"] = steps_corpus.dedup_near_step(config)
    return context


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has come to deduplication, which found nothing."""
    folder = tmp_path_factory.mktemp("run")
    parts = {unit: rows_of(unit) for unit in TEXTS}
    write_table(folder, "documents", DOCUMENT, parts)
    write_table(folder, "signals", pa.schema([VERDICT.field("doc_id")]), parts)
    write_table(folder, "_work/verdicts", VERDICT, parts)
    write_table(folder, "clusters", CLUSTER, {})
    return folder


def finish(context: RunContext) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Names of the steps that ran, and ``decisions/`` by URL."""
    config = context.config
    steps = [survivors_step(config), dedup_lines_step(config)] if config.dedup.lines is not None else []
    steps += [steps_corpus.decisions_step(config), steps_corpus.redact_step(config)]
    ran = [step.name for step in steps if context.perform(step)]
    rows = pq.read_table(Path(context.output) / "decisions").to_pylist()
    return ran, {row["url"].partition("example/")[2]: row for row in rows}


def corpus(folder: Path) -> dict[str, str]:
    rows = pq.read_table(folder / "corpus", columns=["url", "text"]).to_pylist()
    return {row["url"].partition("example/")[2]: row["text"] for row in rows}


def test_repeated_lines_go_and_what_is_left_of_nothing_is_dropped(spark: SparkSession, folder: Path) -> None:
    context = context_of(spark, folder, lines={})
    ran, decisions = finish(context)
    assert ran == ["survivors", "dedup_lines", "sample_mixture", "redact_pii"]
    assert corpus(folder) == {
        "u0/0": "Nothing here.",
        "u0/1": TEXTS["u0"][1],
        "u1/0": TEXTS["u1"][0],
        "u1/1": "Short own text.",
    }
    dropped = decisions["u0/2"]
    assert (dropped["verdict"], dropped["stage"], dropped["reason"]) == (
        "dropped",
        "dedup_lines",
        "emptied_by_dedup_lines",
    )
    assert (dropped["value"], dropped["threshold"], dropped["copies"]) == (1.0, None, 0)
    gone = sum(len(text.encode()) for unit in TEXTS.values() for text in unit) - len(TEXTS["u0"][2].encode())
    gone -= sum(len(text.encode()) for text in corpus(folder).values())
    assert bytes_cut(context) == [{"stage": "dedup_lines", "num_documents": 2, "num_bytes": gone}]
    counted = {entry["stage"]: entry["num_bytes"] for entry in context.manifest("corpus").details["text_bytes"]}
    assert counted["extract_text"] - counted["dedup_lines"] == gone
    assert not (folder / "_work/dedup_lines_scratch").exists()

    assert finish(context_of(spark, folder, lines={}))[0] == []  # nothing changed
    ran, decisions = finish(context_of(spark, folder, lines={"keep": "none", "max_cut_share": 0.6}))
    assert ran == ["dedup_lines", "sample_mixture", "redact_pii"]
    assert decisions["u1/1"]["verdict"] == "kept"
    assert (decisions["u0/2"]["reason"], corpus(folder)["u0/1"]) == (
        "emptied_by_dedup_lines",
        "The first text of all, and the longest one here.",
    )

    ran, decisions = finish(context_of(spark, folder))
    assert ran == ["sample_mixture", "redact_pii"]
    assert corpus(folder) == {f"{unit}/{i}": text for unit, texts in TEXTS.items() for i, text in enumerate(texts)}
    assert {row["verdict"] for row in decisions.values()} == {"kept"}


def test_a_score_and_a_priority_may_decide_which_line_is_kept() -> None:
    dedup = {"lines": {"survivor_order": ("-num_words",)}, "source_priority": ("books", "web")}
    config = RunConfig.model_validate({"run": {"output": "x"}, "input": INPUTS, "dedup": dedup})
    assert steps_text_dedup.survivor_schema(config).names[-1] == "source_priority"
    step = dedup_lines_step(config)
    assert step.identities[-1]["config"]["survivor_order"] == ["source_priority", "-num_words"]
    assert step.upstream == ("extract", "survivors")
    with pytest.raises(ValueError, match=r"survivor_order \[dedup.lines\] names 'quality_x'"):
        RunConfig.model_validate(
            {
                "run": {"output": "x"},
                "input": INPUTS,
                "dedup": {"lines": LineDedupConfig(survivor_order=("quality_x",))},
            }
        )
