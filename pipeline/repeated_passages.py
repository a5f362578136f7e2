"""Which words of a document repeat an earlier passage: from occurrences of passages to byte ranges.

A *passage* is any run of ``min_tokens`` = N words; it is known by a 64-bit hash. A *place* is the number of a
document in the order of survivors, and the position of the passage's first word in it; places are ordered by
document, then by position. Two places of one document that lie less than N words apart overlap and do not count as a
repeat of each other: of a text that repeats a word for ever, the first N words are a passage, not a copy.

Of each passage no more than the first and the last place in the corpus has to be known (``OCCURRENCE``). That is
enough to judge every place in between: a place overlaps all others exactly if it overlaps the first and the last.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.token_spans import TokenSpans, token_spans
from pipeline.text_cuts import TEXT_CUT, emptied_reason, settle_cuts

CANDIDATE = pa.schema(
    [
        ("doc_id", pa.string()),
        ("row_index", pa.int64()),
        ("number", pa.int64()),  # of the document, in the order of survivors
        ("positions", pa.list_(pa.int32())),  # words before each passage, ascending
        ("passages", pa.list_(pa.int64())),  # their hashes
    ]
)
"""One row per document that has passages which may be repeated."""

OCCURRENCE = pa.schema(
    [
        ("passage", pa.int64()),
        ("first_number", pa.int64()),
        ("first_position", pa.int32()),
        ("last_number", pa.int64()),
        ("last_position", pa.int32()),
    ]
)
"""Where a passage is first and last."""

_OF_SPARK = ("kept_doc_id", "detail")  # told by the number of a document, whose id no unit knows
FOUND_CUT = pa.schema(
    [
        *(field for field in TEXT_CUT if field.name not in _OF_SPARK),
        ("num_runs", pa.int64()),
        ("longest_tokens", pa.int64()),  # words of the longest run
        ("longest_source", pa.int64()),  # number of the document that has all its passages, or SEVERAL
        ("only_source", pa.int64()),  # the same for all runs of the document
    ]
)
"""What a unit finds: ``TEXT_CUT``, with numbers for documents."""

SEVERAL = -1


class Runs(NamedTuple):
    """Stretches of words to be cut, in order of row and position.

    Args:
        rows: int64, shape (num_runs,): the row of the ``CANDIDATE`` batch.
        begins, ends: int64: first word, and the one behind the last.
        sources: int64: number of the document that has the other place of each passage of the run; ``SEVERAL`` if
            they are in more than one.
    """

    rows: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    sources: np.ndarray


def occurrences(candidates: pa.RecordBatch) -> pa.RecordBatch:
    """First and last place of each passage of a ``CANDIDATE`` batch; ``OCCURRENCE``, one row per passage."""
    passages, positions, rows = _flat(candidates)
    numbers = candidates.column("number").to_numpy()[rows]
    order = np.lexsort((positions, numbers, passages))
    passages, positions, numbers = passages[order], positions[order], numbers[order]
    changes = np.flatnonzero(passages[1:] != passages[:-1]) + 1
    firsts = np.concatenate([[0], changes]) if len(passages) else changes
    lasts = np.concatenate([changes - 1, [len(passages) - 1]]) if len(passages) else changes
    columns = (passages[firsts], numbers[firsts], positions[firsts], numbers[lasts], positions[lasts])
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=OCCURRENCE)


def redundant_runs(
    candidates: pa.RecordBatch, repeated: dict[str, np.ndarray], *, min_tokens: int, keep_first: bool
) -> Runs:
    """Words that are cut of each document.

    Args:
        candidates: columns of ``CANDIDATE``.
        repeated: columns of ``OCCURRENCE`` by name, over the whole corpus, sorted by ``passage``; passages that are
            not in it occur once.
        keep_first: cut every place but those that are, or overlap, a passage's first; otherwise cut every place of a
            passage that has another place.
    """
    passages, positions, rows = _flat(candidates)
    numbers = candidates.column("number").to_numpy()[rows]
    at = np.minimum(np.searchsorted(repeated["passage"], passages), max(len(repeated["passage"]) - 1, 0))
    is_known = repeated["passage"][at] == passages if len(repeated["passage"]) else np.zeros(len(passages), bool)
    passages, positions, rows, numbers, at = (column[is_known] for column in (passages, positions, rows, numbers, at))
    first_numbers, last_numbers = repeated["first_number"][at], repeated["last_number"][at]
    is_first = (first_numbers == numbers) & (positions - repeated["first_position"][at] < min_tokens)
    is_last = (last_numbers == numbers) & (repeated["last_position"][at] - positions < min_tokens)
    is_cut = ~is_first if keep_first else ~(is_first & is_last)
    sources = np.where(is_first, last_numbers, first_numbers)
    rows, positions, sources = rows[is_cut], positions[is_cut].astype(np.int64), sources[is_cut]
    apart = (rows[1:] != rows[:-1]) | (positions[1:] > positions[:-1] + min_tokens)
    if not len(rows):
        return Runs(*(np.zeros(0, np.int64) for _ in Runs._fields))
    begins = np.flatnonzero(np.concatenate([[True], apart]))
    ends = np.concatenate([begins[1:] - 1, [len(rows) - 1]])
    return Runs(rows[begins], positions[begins], positions[ends] + min_tokens, _common(sources, begins))


def _common(sources: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """The one value in each stretch of ``sources`` that begins at ``begins``, or ``SEVERAL``."""
    smallest, largest = np.minimum.reduceat(sources, begins), np.maximum.reduceat(sources, begins)
    return np.where(smallest == largest, smallest, SEVERAL)


def cut_rows(documents: pa.RecordBatch, runs: Runs, *, stage: str, min_tokens: int) -> pa.RecordBatch:
    """What is cut of a batch of documents.

    Args:
        documents: ``doc_id``, ``unit``, ``row_index`` and ``text``; each has a run, in the same order.
        runs: of these documents, at least one; ``rows`` counts rows of the batch.

    Returns:
        ``FOUND_CUT``.
    """
    text = documents.column("text")
    cuts = settle_cuts(text, runs.rows, *byte_ranges(token_spans(text_buffers(text)), runs))
    begins = np.flatnonzero(np.concatenate([[True], runs.rows[1:] != runs.rows[:-1]]))
    lengths = runs.ends - runs.begins
    longest_first = np.lexsort((np.arange(len(lengths)), -lengths, runs.rows))
    longest = longest_first[begins]
    kept = pa.array(~cuts.is_emptied)
    reason = pa.repeat(pa.scalar(emptied_reason(stage)), documents.num_rows)

    def if_dropped(values: pa.Array) -> pa.Array:
        return pc.if_else(kept, pa.scalar(None, values.type), values)

    columns = {
        **{name: documents.column(name) for name in ("doc_id", "unit", "row_index")},
        "starts": cuts.starts,
        "ends": cuts.ends,
        "num_bytes_cut": pa.array(cuts.num_bytes_cut),
        "dropped_reason": if_dropped(reason),
        "value": if_dropped(pa.array(lengths[longest], pa.float64())),
        "threshold": if_dropped(pa.array(np.full(documents.num_rows, float(min_tokens)))),
        "num_runs": pa.array(np.diff(np.append(begins, len(lengths)))),
        "longest_tokens": pa.array(lengths[longest]),
        "longest_source": pa.array(runs.sources[longest]),
        "only_source": pa.array(_common(runs.sources, begins)),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in FOUND_CUT.names], schema=FOUND_CUT)


def byte_ranges(spans: TokenSpans, runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """Bytes of each run, with white space of one side, so that the rest does not stick together or fall apart.

    Between words of a line the white space behind the run goes; where the run ends its line but does not begin it,
    the white space before: the line break stays.

    Args:
        spans: words of the texts that ``runs.rows`` counts.

    Returns:
        ``starts`` and ``ends``, int64, shape (num_runs,), bytes into the run's text.
    """
    first = spans.bounds[runs.rows] + runs.begins
    last = spans.bounds[runs.rows] + runs.ends - 1
    has_next = last + 1 < spans.bounds[runs.rows + 1]
    following = np.where(has_next, last + 1, last)
    ends_line = ~has_next | spans.begins_line[following]
    takes_before = ends_line & ~spans.begins_line[first]
    starts = np.where(takes_before, spans.ends[np.maximum(first - 1, 0)], spans.starts[first])
    ends = np.where(takes_before | ~has_next, spans.ends[last], spans.starts[following])
    return starts.astype(np.int64), ends.astype(np.int64)


def _flat(candidates: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``passages``, ``positions`` and the row of each, over all documents of a batch."""
    passages, positions = candidates.column("passages"), candidates.column("positions")
    rows = np.repeat(np.arange(candidates.num_rows), np.diff(passages.offsets.to_numpy()))
    return passages.flatten().to_numpy(), positions.flatten().to_numpy(), rows
