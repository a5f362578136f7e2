"""Marking rows that go no further.

Every stage that drops a page does it through ``mark_ended``, so one rule holds everywhere: the first fault counts.
A row that has ended keeps its stage, reason, value and threshold, and a record that could not be read (its
``error_class`` is set) is the quarantine's and is never also dropped; otherwise a page would be counted twice.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.schema import ENDED
from pipeline.stage import with_columns


def mark_ended(
    batch: pa.RecordBatch,
    *,
    stage: pa.Array | str,
    reason: pa.Array,
    value: pa.Array | None = None,
    threshold: pa.Array | None = None,
) -> pa.RecordBatch:
    """End those rows of ``batch`` that have a reason and are still alive.

    Args:
        batch: any columns; ``ended_*`` are added where absent.
        stage: name of the stage (or filter) that ends the rows, one for all or one a row.
        reason: string, one a row; null where the row does not end here.
        value: float64, the number found; null, or left out, where the fault is not a number.
        threshold: float64, the limit that it passed; null or left out likewise.

    Returns:
        ``batch`` with its ``ENDED`` columns filled in for the rows that end here, all other rows as they were.
    """
    num_rows = batch.num_rows
    if isinstance(stage, str):
        stage = pa.repeat(pa.scalar(stage, pa.string()), num_rows)
    found = {
        "ended_stage": stage,
        "ended_reason": reason,
        "ended_value": _or_nulls(value, num_rows),
        "ended_threshold": _or_nulls(threshold, num_rows),
    }
    ends_here = pc.and_(is_alive(batch), pc.is_valid(reason))
    columns = {}
    for field in ENDED:
        before = batch.column(field.name) if field.name in batch.schema.names else pa.nulls(num_rows, field.type)
        columns[field.name] = pc.if_else(ends_here, found[field.name].cast(field.type), before)
    return with_columns(batch, columns)


def is_alive(batch: pa.RecordBatch) -> pa.Array:
    """Which rows have neither ended nor failed to be read; bool, shape (num_rows,), no nulls."""
    alive = pa.repeat(pa.scalar(True), batch.num_rows)
    for name in ("ended_reason", "error_class"):
        if name in batch.schema.names:
            alive = pc.and_(alive, pc.is_null(batch.column(name)))
    return alive


def _or_nulls(values: pa.Array | None, num_rows: int) -> pa.Array:
    return pa.nulls(num_rows, pa.float64()) if values is None else values
