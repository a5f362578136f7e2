"""What line cleaning takes out of one document: asked again of the document's text, since a corpus does not keep it."""

from __future__ import annotations

import pyarrow as pa

from filters.line_rules import LINE_RULES, CleanLinesConfig, LineRulesConfig, clean, resolve
from filters.signals import MeasureConfig
from jobs.explanation import LineEdit
from jobs.run_folder import RunFolder
from pipeline import storage
from pipeline.config import parse


def line_rules(run: RunFolder) -> tuple[LineRulesConfig | None, bool]:
    """The run's line rules, as far as their lists are on this machine, and whether all are; None if it cleans none."""
    stored = run.record["config"]
    cleaning = parse(stored.get("clean_lines", {}), CleanLinesConfig, where=run.path("run.json"))
    here = tuple(file for file in cleaning.boilerplate_files if storage.exists(file.path))
    is_whole = len(here) == len(cleaning.boilerplate_files)
    cleaning = cleaning.model_copy(update={"boilerplate_files": here})
    if not cleaning.edits:
        return None, is_whole
    return resolve(cleaning, parse(stored["measure"], MeasureConfig, where=run.path("run.json"))), is_whole


def line_edits(run: RunFolder, unit: str, row_index: int, lang: str | None) -> tuple[LineEdit, ...]:
    """What each line rule took, or would take, of a document; empty where lines are not cleaned.

    A list of boilerplate that is not on this machine leaves its rule out.

    Args:
        unit, row_index: where the document lies in ``documents/``.
        lang: its language.
    """
    rules, _ = line_rules(run)
    if rules is None:
        return ()
    text = run.row_at(f"documents/part-{unit}.parquet", row_index, ["text"])["text"]
    cleaned = clean(pa.array([text], pa.string()), pa.array([lang], pa.string()), rules)
    taken = zip(LINE_RULES, cleaned.lines_by_rule[0].tolist(), cleaned.bytes_by_rule[0].tolist(), strict=True)
    return tuple(LineEdit(rule=rule, num_lines=lines, num_bytes=size) for rule, lines, size in taken if size)
