"""What corpus-wide stages cut and dropped: as workers read it, in an explanation, report, what-if and ledger."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.config import RunConfig
from jobs.explain_document import explain
from jobs.explanation_text import render
from jobs.kept_text import UnitCuts, documents_of
from jobs.report_edits import line_cleaning
from jobs.run_folder import RunFolder, stages_after_rules
from jobs.steps_ledger import stage_order
from jobs.text_stages import TABLES, text_stages
from jobs.what_if_changes import read_changes
from jobs.what_if_drops import dropped_by_text_stages
from pipeline.errors import ConfigError, LedgerError
from pipeline.ledger import EditCount, Ledger, TextCutCount, check
from pipeline.manifest import commit, file_entry
from pipeline.stage import fuse
from pipeline.text_cuts import TEXT_CUT
from stages import cut_text
from stages.dedup_lines import LineDedupConfig

BASE = {"run": {"output": "unused"}, "input": ({"name": "toy", "paths": ("x.warc",)},)}


def cut_row(doc_id: str, unit: str, row_index: int, ranges: list[tuple[int, int]], **options: Any) -> dict[str, Any]:
    starts, ends = ([pair[side] for pair in ranges] for side in (0, 1))
    row = dict.fromkeys(TEXT_CUT.names)
    found = {"doc_id": doc_id, "unit": unit, "row_index": row_index, "starts": starts, "ends": ends}
    return {**row, **found, "num_bytes_cut": sum(ends) - sum(starts), "detail": "1 of 2 lines repeat", **options}


def write_cuts(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Commit the cuts of one unit."""
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist(rows, schema=TEXT_CUT)
    name = f"part-{rows[0]['unit']}.parquet"
    pq.write_table(table, folder / name)
    entry = file_entry(str(folder), name, table.num_rows)
    commit(str(folder), name=folder.name, identities=(), upstream={}, files=[entry], schema=TEXT_CUT)


def with_line_dedup(folder: str) -> None:
    """Enter the stage in the record of a run."""
    record = json.loads((Path(folder) / "run.json").read_text())
    record["config"]["dedup"] = {"lines": LineDedupConfig().model_dump(mode="json")}
    (Path(folder) / "run.json").write_text(json.dumps(record))


def test_stages_stand_between_deduplication_and_sampling_if_their_table_does() -> None:
    config = RunConfig.model_validate({**BASE, "dedup": {"lines": {}}})
    assert text_stages(config) == text_stages(config.model_dump(mode="json")) == ("dedup_lines",)
    assert text_stages(RunConfig.model_validate(BASE)) == text_stages({"filters": {}}) == ()
    order = [*stages_after_rules(tuple(TABLES))]
    assert order[2:] == ["dedup_semantic", "dedup_lines", "dedup_substrings", "decontaminate", "sample_mixture"]
    assert stage_order(config)[-2:] == ["dedup_lines", "sample_mixture"]


def test_workers_read_texts_without_the_cuts_of_earlier_stages(tmp_path: Path) -> None:
    texts = [f"one {i}\ntwo {i}" for i in range(5000)]
    (tmp_path / "documents").mkdir()
    pq.write_table(pa.table({"text": texts, "other": texts}), tmp_path / "documents/part-u.parquet")
    rows = [
        cut_row("a", "u", 4999, [(0, 9)]),
        cut_row("b", "u", 7, [(0, 6)]),
        cut_row("c", "u", 3, [], dropped_reason="x"),
    ]
    write_cuts(tmp_path / "lines", rows)
    cuts = UnitCuts({"dedup_lines": str(tmp_path / "lines"), "decontaminate": str(tmp_path / "none")}, "u")
    assert cuts.dropped_rows().to_pylist() == [3]
    keep_list = pa.table({"row_index": [4999, 7, 8, 2000], "lang": ["d", "a", "b", "c"]})
    apply = fuse([cut_text.make_stage("dedup_lines"), cut_text.make_stage("decontaminate")])
    found = []
    for documents, kept in documents_of(str(tmp_path / "documents"), "u", keep_list, ["text"]):
        assert documents.schema.names == ["text"]
        batch = apply(cuts.attach(documents, kept.column("row_index")))
        found += zip(kept.column("lang").to_pylist(), batch.column("text").to_pylist(), strict=True)
    assert found == [("a", "two 7"), ("b", "one 8\ntwo 8"), ("c", "one 2000\ntwo 2000"), ("d", "two 4999")]
    assert list(documents_of(str(tmp_path / "documents"), "u", keep_list.slice(0, 0))) == []


def test_an_explanation_shows_what_was_cut(build_small_run) -> None:  # type: ignore[no-untyped-def]
    run = build_small_run()
    page = next(page for page in run.pages if page["text"] is not None)
    assert explain(run.folder, page["doc_id"]).records[0].text_cuts == ()
    with_line_dedup(run.folder)
    row = cut_row(page["doc_id"], page["unit"], page["row_index"], [(0, 4), (7, 10)])
    write_cuts(Path(run.folder) / "_work/dedup_lines", [row])
    explanation = explain(run.folder, page["doc_id"])
    (cut,) = explanation.records[0].text_cuts
    assert (cut.stage, cut.num_ranges, cut.num_bytes) == ("dedup_lines", 2, 7)
    text = page["text"].encode()
    assert [piece.text.encode() for piece in cut.pieces] == [text[:4], text[7:10]]
    shown = render(explanation, width_columns=200)
    assert "dedup_lines  2       7      1 of 2 lines repeat" in shown
    assert "dedup_lines  0–4    page" in shown
    assert "dedup_lines" in [stage.stage for stage in explanation.records[0].stages]


def test_the_report_shows_what_was_cut(build_small_run) -> None:  # type: ignore[no-untyped-def]
    run = build_small_run()
    with_line_dedup(run.folder)
    dropped = {"stage": "dedup_lines", "num_dropped": 3}
    ledger = run.ledger.model_copy(
        update={
            "edits": (EditCount(stage="dedup_lines", bytes_before=1000, bytes_after=900),),
            "text_cuts": (TextCutCount(stage="dedup_lines", num_documents=run.ledger.num_kept, num_bytes=100),),
            "stages": (*run.ledger.stages, run.ledger.stages[-1].model_copy(update=dropped)),
        }
    )
    (Path(run.folder) / "ledger.json").write_text(ledger.model_dump_json())
    edits, cuts = line_cleaning(RunFolder(run.folder)).tables
    assert edits.rows == [("dedup_lines", "1,000", "900", "-100", "10.0 %")]
    assert cuts.rows == [("dedup_lines", f"{ledger.num_kept}", "100.0 %", "100", "3")]


def test_bytes_found_and_bytes_carried_out_must_agree(build_small_run) -> None:  # type: ignore[no-untyped-def]
    ledger: Ledger = build_small_run().ledger
    assert "text_cuts" not in ledger.model_dump(mode="json")
    before = sum(entry.bytes_kept for entry in ledger.languages)
    edits = (EditCount(stage="dedup_lines", bytes_before=before, bytes_after=before - 9),)
    cuts = TextCutCount(stage="dedup_lines", num_documents=1, num_bytes=9)
    fits = ledger.model_copy(update={"edits": edits, "text_cuts": (cuts,)})
    check(fits)
    assert Ledger.model_validate(fits.model_dump(mode="json")) == fits
    wrong = fits.model_copy(update={"text_cuts": (cuts.model_copy(update={"num_bytes": 8}),)})
    with pytest.raises(LedgerError, match="bytes cut by dedup_lines, as found and as carried out: 8 against 9"):
        check(wrong)


def test_a_what_if_takes_over_what_the_run_dropped() -> None:
    decided = pa.table(
        {
            "doc_id": ["c", "a"],
            "stage": ["dedup_lines", "decontaminate"],
            "reason": ["emptied_by_dedup_lines", "contaminated"],
            "value": pa.array([1.0, 0.5]),
            "threshold": pa.array([None, 0.2]),
            "kept_doc_id": pa.array([None, "b"]),
        }
    )
    run: Any = SimpleNamespace(text_stages=("dedup_lines", "decontaminate"), rows=lambda *_: decided)
    found = dropped_by_text_stages(run, pa.chunked_array([["a", "b"], ["c"]]))
    assert found.is_dropped.tolist() == [True, False, True]
    assert [(stage, reason, ends.tolist()) for stage, reason, ends in found.by_reason()] == [
        ("decontaminate", "contaminated", [True, False, False]),
        ("dedup_lines", "emptied_by_dedup_lines", [False, False, True]),
    ]
    assert (found.value.to_pylist(), found.threshold.to_pylist()) == ([0.5, None, 1.0], [0.2, None, None])
    assert found.kept_place.tolist() == [1, 1, 2]
    without: Any = SimpleNamespace(text_stages=())
    nothing = dropped_by_text_stages(without, pa.chunked_array([["a", "b"]]))
    assert not nothing.is_dropped.any() and list(nothing.by_reason()) == []
    assert np.array_equal(nothing.kept_place, [0, 1])


@pytest.mark.parametrize("key", ["dedup.lines.min_count=3", "decontaminate.fields=['x']"])
def test_a_what_if_cannot_compare_texts(key: str) -> None:
    with pytest.raises(ConfigError, match="compares texts, so an answer needs the text again"):
        read_changes([key], None)
