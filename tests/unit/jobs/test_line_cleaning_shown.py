"""What line cleaning took, in the report and in an explanation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from filters.line_rules import CleanLinesConfig
from filters.signals import MeasureConfig
from jobs.config import RunConfig
from jobs.explain_document import explain
from jobs.explanation import LineEdit
from jobs.explanation_text import render
from jobs.report_edits import line_cleaning
from jobs.run_folder import RunFolder
from pipeline.config import parse
from pipeline.ledger import EditCount, LineRuleCount


def with_cleaning(folder: str, **options: Any) -> None:
    """Enter line cleaning in the record of a run."""
    record = json.loads((Path(folder) / "run.json").read_text())
    record["config"]["clean_lines"] = CleanLinesConfig(**options).model_dump(mode="json")
    record["config"]["measure"] = MeasureConfig().model_dump(mode="json")
    (Path(folder) / "run.json").write_text(json.dumps(record))


def test_an_explanation_shows_what_line_rules_took(build_small_run) -> None:  # type: ignore[no-untyped-def]
    run = build_small_run()
    page = next(page for page in run.pages if page["text"] is not None)
    assert explain(run.folder, page["doc_id"]).records[0].line_edits == ()
    with_cleaning(run.folder, apply=("c4",), boilerplate_files=({"path": "/not/on/this/machine"},))
    explanation = explain(run.folder, page["doc_id"])
    size = len(page["text"].encode())
    assert explanation.records[0].line_edits == (
        LineEdit(rule="c4_no_terminal_punctuation", num_lines=1, num_bytes=size),
    )
    assert f"c4_no_terminal_punctuation  1      {size:,}" in render(explanation, width_columns=200)


def test_the_report_shows_bytes_by_edit_and_rule(build_small_run) -> None:  # type: ignore[no-untyped-def]
    run = build_small_run()
    section = line_cleaning(RunFolder(run.folder))
    assert section.text == ["Nothing: the config has no [clean_lines] and no [pii]."] and not section.tables
    edited = run.ledger.model_copy(
        update={
            "edits": (EditCount(stage="clean_lines", bytes_before=1000, bytes_after=900),),
            "line_rules": (
                LineRuleCount(rule="boilerplate", num_lines=0, num_bytes=0),
                LineRuleCount(rule="refinedweb_counter", num_lines=3, num_bytes=40),
                LineRuleCount(rule="c4_policy", num_lines=1, num_bytes=60),
            ),
        }
    )
    (Path(run.folder) / "ledger.json").write_text(edited.model_dump_json())
    edits, rules = line_cleaning(RunFolder(run.folder)).tables
    assert edits.rows == [("clean_lines", "1,000", "900", "-100", "10.0 %")]
    assert rules.rows == [("c4_policy", "1", "60", "6.0 %"), ("refinedweb_counter", "3", "40", "4.0 %")]


@pytest.mark.parametrize(
    ("cleaning", "has_filter"),
    [
        ({}, False),
        ({"refinedweb": {"min_words": 3}}, False),
        ({"apply": ["c4"]}, True),
        ({"boilerplate_files": [{"path": "x"}]}, True),
    ],
)
def test_a_run_that_cleans_lines_judges_what_is_left(cleaning: dict[str, Any], has_filter: bool) -> None:
    document = {"run": {"output": "o"}, "input": [{"name": "n", "paths": ["p"]}], "clean_lines": cleaning}
    assert (parse(document, RunConfig, where="t.toml").filters.clean_lines is not None) == has_filter
    document["filters"] = {"clean_lines": {"min_words": 7}}
    assert parse(document, RunConfig, where="t.toml").filters.clean_lines.min_words == 7  # type: ignore[union-attr]
