"""The step ``decontaminate`` on a run folder made by hand: what it leaves there, whatever the partitioning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from made_survivors import make_survivors

from jobs.config import RunConfig
from jobs.explain_evaluation import evaluation_items
from jobs.report_decontamination import decontamination
from jobs.run_context import RunContext
from jobs.run_folder import RunFolder
from jobs.steps_decontaminate import decontaminate_step
from pipeline import storage
from pipeline.progress import StageProgress
from pipeline.text_cuts import TEXT_CUT
from stages.decontaminate import FINDING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NUM_UNITS = 3
QUESTION = "A heron catches three fish an hour and eats two of them: how many fish are left after eight hours?"
SHORT = "Who built the old stone bridge?"
FILLER = (
    "The swifts come back to the tower in May and leave it again before the end of July when the nights grow long. "
)
TEXTS = [
    FILLER * 8,
    f"{FILLER * 8}{QUESTION.upper()} {FILLER * 8}",
    f"{FILLER * 8}{SHORT} {FILLER * 8}",
    f"{FILLER * 8}{SHORT.lower()} {FILLER * 8}",
    f"{FILLER}{QUESTION} {SHORT}",
    "",
]


def make_run(folder: Path, spark: SparkSession, num_partitions: int, **settings: Any) -> RunContext:
    """The run as it is when the step begins."""
    evals = folder.with_name("birds.jsonl")
    evals.write_text("".join(json.dumps({"q": text}) + "\n" for text in (QUESTION, SHORT, "Why?")), encoding="utf-8")
    tables = {
        "spark": {"partitions": num_partitions},
        "decontaminate": {"set": [{"name": "birds", "path": str(evals), "fields": ["q"]}], **settings},
    }
    context = make_survivors(folder, [{"text": text} for text in TEXTS], NUM_UNITS, tables, spark)
    storage.write_json(storage.join(str(folder), "run.json"), {"config": context.config.model_dump(mode="json")})
    return context


def perform(context: RunContext) -> dict[str, list[dict[str, Any]]]:
    """Run the step; rows of its folders, by document."""
    step = decontaminate_step(context.config)
    context.fingerprints.update(dict.fromkeys(step.upstream, "0" * 32))
    assert not context.is_finished(step)
    step.run(context, StageProgress(step.name))
    assert context.is_finished(step)
    found = {}
    for folder, schema in (("_work/decontaminate", TEXT_CUT), ("decontamination", FINDING)):
        manifest = context.manifest(folder)
        tables = [pq.read_table(storage.join(context.folder(folder), entry.path)) for entry in manifest.files]
        assert all(table.schema == schema for table in tables)
        assert manifest.num_rows == sum(table.num_rows for table in tables)
        found[folder] = sorted((row for t in tables for row in t.to_pylist()), key=lambda row: row["doc_id"])
    return found


@pytest.fixture(scope="module")
def cut_run(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> tuple[RunContext, dict[str, Any]]:
    context = make_run(tmp_path_factory.mktemp("decontaminate") / "run", spark, 3)
    return context, perform(context)


def test_documents_are_cut_or_dropped(cut_run: tuple[RunContext, dict[str, Any]]):
    cuts = {int(row["doc_id"], 16): row for row in cut_run[1]["_work/decontaminate"]}
    assert sorted(cuts) == [1, 2, 3, 4]
    assert [cuts[i]["dropped_reason"] for i in (1, 2, 3, 4)] == [None, None, None, "emptied_by_decontaminate"]
    assert [cuts[i]["unit"] for i in (1, 2, 3, 4)] == ["u1", "u2", "u0", "u1"]
    assert all(cuts[i]["num_bytes_cut"] > 400 for i in (1, 2, 3))


def test_items_are_reported_with_their_documents(cut_run: tuple[RunContext, dict[str, Any]]):
    context, found = cut_run
    rows = found["decontamination"]
    assert [(int(row["doc_id"], 16), row["item_index"], row["share"]) for row in rows] == [
        (1, 0, 1.0),
        (2, 1, 1.0),
        (3, 1, 1.0),
        (4, 0, 1.0),
        (4, 1, 1.0),
    ]
    at = TEXTS[1].encode()[rows[0]["starts"][0] : rows[0]["ends"][0]].decode()
    assert at == QUESTION.upper().rstrip("?")
    assert context.manifest("decontamination").details["sets"] == [
        {
            "set": "birds",
            "num_items": 3,
            "num_passages": 3,
            "num_passages_too_short": 1,
            "num_items_found": 2,
            "num_documents": 4,
        }
    ]


def test_report_and_explain_name_set_and_item(cut_run: tuple[RunContext, dict[str, Any]]):
    run = RunFolder(cut_run[0].output)
    section = decontamination(run)
    of_sets, of_findings = section.tables
    assert list(of_sets.rows[0]) == ["birds", "3", "2", "66.7 %", "4", "3", "1"]
    assert [row[:4] for row in of_findings.rows][:2] == [("birds", "0", "q", "8 of 8"), ("birds", "0", "q", "8 of 8")]
    items = evaluation_items(run, f"{4:032x}")
    assert [(item.set, item.item_index, item.num_ngrams_found) for item in items] == [("birds", 0, 8), ("birds", 1, 1)]
    assert evaluation_items(run, f"{0:032x}") == ()


@pytest.mark.slow
def test_partitions_do_not_show(tmp_path: Path, spark: SparkSession, cut_run: tuple[RunContext, dict[str, Any]]):
    context = make_run(tmp_path / "run", spark, 1)
    assert perform(context) == cut_run[1]
    for folder in ("_work/decontaminate", "decontamination"):
        files = [[entry.sha256 for entry in run.manifest(folder).files] for run in (context, cut_run[0])]
        assert files[0] == files[1]


def test_an_ngram_in_too_many_documents_does_not_count(tmp_path: Path, spark: SparkSession):
    context = make_run(tmp_path / "run", spark, 2, max_documents_per_ngram=2, action="drop")
    found = perform(context)  # the short question is in three documents
    assert [(int(row["doc_id"], 16), row["item_index"]) for row in found["decontamination"]] == [(1, 0), (4, 0)]
    assert [row["dropped_reason"] for row in found["_work/decontaminate"]] == ["holds_evaluation_text"] * 2
    assert context.manifest("decontamination").details["num_ngrams_too_common"] == 1
    assert "1 n-gram in more than 2 documents did not count." in decontamination(RunFolder(context.output)).text


def test_a_run_without_the_table_has_no_such_step():
    config = RunConfig.model_validate({"run": {"output": "x"}, "input": [{"name": "a", "paths": ["a.jsonl"]}]})
    with pytest.raises(ValueError, match=r"without \[decontaminate\]"):
        decontaminate_step(config)
