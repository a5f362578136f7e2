"""What stages that compare texts across the corpus take out of single documents, and which they drop.

Such a stage (``dedup_lines``, ``dedup_substrings``, ``decontaminate``) sees hashes of many texts at once and edits
none. It writes down byte ranges, ``TEXT_CUT``; pass 2 carries them out in the order of the stages. Ranges count in the
text as that stage sees it: extracted, lines cleaned, cut by the stages before it.

A stage hands in raw ranges; ``settle_cuts`` brings them into the form that every reader expects: sorted, joined where
they touch, with the white space that would be left at either end of the text. A text of which nothing else is left
has its document dropped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import ShardError
from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.text_ranges import Ranges, cut_ranges, first_bad_range, kept_bounds

RANGES = pa.list_(pa.int64())

TEXT_CUT = pa.schema(
    [
        ("doc_id", pa.string()),
        ("unit", pa.string()),
        ("row_index", pa.int64()),  # row in documents/part-<unit>.parquet
        ("starts", RANGES),  # UTF-8 bytes into the text as the stage sees it: sorted, disjoint
        ("ends", RANGES),
        ("num_bytes_cut", pa.int64()),
        ("dropped_reason", pa.string()),  # null where the document stays, without its ranges
        ("value", pa.float64()),  # when dropped: what was held against the threshold
        ("threshold", pa.float64()),
        ("kept_doc_id", pa.string()),  # when dropped as the copy of one document: that one
        ("detail", pa.string()),  # what was found, for people
    ]
)
"""``_work/<stage>/``: one row per document that the stage touched, by ``row_index``."""


class SettledCuts(NamedTuple):
    """Ranges in order, and what they leave.

    Args:
        starts, ends: ``list<int64>``, one list a row; empty where nothing is cut.
        num_bytes_cut: int64, shape (num_rows,).
        is_emptied: bool, shape (num_rows,): something was cut, and nothing but white space would stay. Such a row is
            cut from end to end.
    """

    starts: pa.ListArray
    ends: pa.ListArray
    num_bytes_cut: np.ndarray
    is_emptied: np.ndarray


def emptied_reason(stage: str) -> str:
    """Why a document is dropped of which the cuts of ``stage`` leave nothing."""
    return f"emptied_by_{stage}"


def settle_cuts(text: pa.Array, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> SettledCuts:
    """Bring ranges into order.

    Args:
        text: string or large_string, as the stage sees it.
        rows: int64, shape (num_ranges,): the row of ``text`` that each range is of.
        starts, ends: bytes into that row's text; in any order, overlapping or not. Each begins and ends between
            characters and has at least one byte.
    """
    bounds, starts, ends = _joined(len(text), rows, starts, ends)
    buffers = text_buffers(text)
    first, end = kept_bounds(buffers, (bounds, starts, ends))
    lengths = np.where(buffers.is_valid, np.diff(buffers.offsets), 0)
    is_cut = np.diff(bounds) > 0
    here = np.flatnonzero(is_cut)
    trimmed = np.concatenate([here[first[here] > 0], here[end[here] < lengths[here]]])
    at_front = int((first[here] > 0).sum())
    more_starts = np.concatenate([np.zeros(at_front, np.int64), end[trimmed[at_front:]]])
    more_ends = np.concatenate([first[trimmed[:at_front]], lengths[trimmed[at_front:]]])
    bounds, starts, ends = _joined(
        len(text),
        np.concatenate([np.repeat(np.arange(len(text)), np.diff(bounds)), trimmed]),
        np.concatenate([starts, more_starts]),
        np.concatenate([ends, more_ends]),
    )
    num_bytes_cut = np.zeros(len(text), np.int64)
    np.add.at(num_bytes_cut, np.repeat(np.arange(len(text)), np.diff(bounds)), ends - starts)
    offsets = pa.array(bounds, pa.int32())
    return SettledCuts(
        starts=pa.ListArray.from_arrays(offsets, pa.array(starts)),
        ends=pa.ListArray.from_arrays(offsets, pa.array(ends)),
        num_bytes_cut=num_bytes_cut,
        is_emptied=is_cut & (num_bytes_cut == lengths),
    )


def _joined(num_rows: int, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Ranges:
    """Ranges sorted by row and start, those that overlap or touch made one."""
    order = np.lexsort((starts, rows))
    rows, starts, ends = rows[order], starts[order].astype(np.int64), ends[order].astype(np.int64)
    if not len(rows):
        return np.zeros(num_rows + 1, np.int64), starts, ends
    span = int(ends.max()) + 1  # as if the texts lay one behind the other, apart
    reached = np.maximum.accumulate(rows * span + ends)
    begins = np.concatenate([[True], rows[1:] * span + starts[1:] > reached[:-1]])
    firsts = np.flatnonzero(begins)
    bounds = np.zeros(num_rows + 1, np.int64)
    np.add.at(bounds, rows[firsts] + 1, 1)
    lasts = np.concatenate([firsts[1:] - 1, [len(rows) - 1]])
    return np.cumsum(bounds), starts[firsts], reached[lasts] - rows[firsts] * span


def cut_texts(text: pa.Array, starts: pa.Array, ends: pa.Array) -> pa.Array:
    """``text`` without the given ranges.

    Args:
        text: string or large_string; null stays null.
        starts, ends: ``list<int64>`` as ``settle_cuts`` gives them; a null or empty list leaves its text as it is.

    Raises:
        ShardError: if a range does not fit its text, so that the cuts were made for another one.
    """
    counts = pc.fill_null(pc.list_value_length(starts), 0).to_numpy(zero_copy_only=False)
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    buffers, ranges = text_buffers(text), (bounds, _flat(starts), _flat(ends))
    row, number = first_bad_range(buffers, ranges)
    if row >= 0:
        begin, end = starts[row].as_py()[number], ends[row].as_py()[number]
        raise ShardError(
            f"text of row {row} has {len((text[row].as_py() or '').encode())} bytes and a cut from {begin} to {end}; "
            f"expected sorted cuts of whole characters inside it: they were made for another text; run again"
        )
    data, offsets = cut_ranges(buffers, ranges)
    wide = pa.Array.from_buffers(
        pa.large_string(),
        len(text),
        [pc.is_valid(text).buffers()[1] if text.null_count else None, pa.py_buffer(offsets), pa.py_buffer(data)],
    )
    return wide.cast(text.type)


def _flat(lists: pa.Array) -> np.ndarray:
    """All items of a column of lists, int64."""
    return np.ascontiguousarray(pc.list_flatten(lists).to_numpy(zero_copy_only=False), np.int64)
