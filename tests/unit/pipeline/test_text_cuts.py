"""Byte ranges that go: brought into order, trimmed, carried out, refused where they do not fit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ShardError
from pipeline.text_cuts import cut_texts, emptied_reason, settle_cuts


def settle(texts: list[str | None], ranges: list[tuple[int, int, int]], kind: pa.DataType | None = None):
    """Ranges as (row, start, end)."""
    columns = np.array(ranges, np.int64).reshape(-1, 3).T
    return settle_cuts(pa.array(texts, kind or pa.string()), *columns)


def reference(text: str, ranges: list[tuple[int, int]]) -> str:
    """What is left of a text: bytes that are in no range, without the white space at the ends."""
    gone = {i for start, end in ranges for i in range(start, end)}
    left = bytes(byte for i, byte in enumerate(text.encode()) if i not in gone).decode()
    return left.strip() if ranges else left


@pytest.mark.parametrize(
    ("text", "ranges", "left"),
    [
        ("one\ntwo\nthree", [(4, 8)], "one\nthree"),
        ("one\ntwo\nthree", [(8, 13)], "one\ntwo"),
        ("one\ntwo\nthree", [(0, 3)], "two\nthree"),
        ("one\ntwo\nthree", [(8, 13), (0, 4)], "two"),
        ("one\ntwo\nthree", [(2, 6), (4, 9), (9, 10)], "onree"),
        (" \u2003über\u3000 x ", [(13, 14)], "über"),
        ("one", [], "one"),
        (" one ", [], " one "),
    ],
    ids=["middle", "end", "front", "both ends", "overlapping and touching", "wide spaces", "nothing", "left as it is"],
)
def test_what_is_left_of_a_text(text: str, ranges: list[tuple[int, int]], left: str) -> None:
    cuts = settle([text], [(0, *found) for found in ranges])
    assert cut_texts(pa.array([text]), cuts.starts, cuts.ends).to_pylist() == [left]
    assert cuts.num_bytes_cut.tolist() == [len(text.encode()) - len(left.encode())]
    assert cuts.is_emptied.tolist() == [False]


def test_a_text_without_anything_left_is_cut_from_end_to_end() -> None:
    cuts = settle(["\n one \n", "", None, "  "], [(0, 2, 5)])
    assert cuts.is_emptied.tolist() == [True, False, False, False]
    assert (cuts.starts.to_pylist(), cuts.ends.to_pylist()) == ([[0], [], [], []], [[7], [], [], []])
    assert emptied_reason("dedup_lines") == "emptied_by_dedup_lines"


def test_slices_nulls_and_large_strings() -> None:
    texts = pa.array(["no", "one two", None, "drei vier"], pa.large_string()).slice(1)
    cuts = settle_cuts(texts, np.array([2, 0]), np.array([0, 0]), np.array([5, 4]))
    left = cut_texts(texts, cuts.starts, cuts.ends)
    assert (left.type, left.to_pylist()) == (pa.large_string(), ["two", None, "vier"])
    untouched = pa.nulls(3, pa.list_(pa.int64()))
    assert cut_texts(texts, untouched, untouched).equals(texts)


@pytest.mark.parametrize(
    ("starts", "ends"),
    [([1], [4]), ([0], [3]), ([4], [4]), ([5, 4], [6, 5]), ([4, 5], [6, 7]), ([4], [9]), ([-2], [2])],
    ids=["begins in a character", "ends in a character", "empty", "unsorted", "overlapping", "too long", "negative"],
)
def test_cuts_that_were_made_for_another_text_are_refused(starts: list[int], ends: list[int]) -> None:
    text = pa.array(["kept", "éébcd"])
    lists = [pa.array([[], side], pa.list_(pa.int64())) for side in (starts, ends)]
    with pytest.raises(ShardError, match="text of row 1 has 7 bytes and a cut from"):
        cut_texts(text, *lists)


@st.composite
def texts_and_ranges(draw: st.DrawFn) -> tuple[list[str], list[tuple[int, int, int]]]:
    texts = draw(st.lists(st.text("aé€\U0001f426 \n\u3000\x1c", max_size=12), min_size=1, max_size=4))
    ranges = []
    for row, text in enumerate(texts):
        ends = np.cumsum([0, *(len(char.encode()) for char in text)])
        for _ in range(draw(st.integers(0, 4)) if text else 0):
            first, last = sorted(draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2, unique=True)))
            ranges.append((row, int(ends[first]), int(ends[last])))
    return texts, draw(st.permutations(ranges))


@settings(deadline=None)
@given(texts_and_ranges())
def test_ranges_in_any_order_leave_what_the_bytes_say(case: tuple[list[str], list[tuple[int, int, int]]]) -> None:
    texts, ranges = case
    cuts = settle(texts, ranges)
    left = cut_texts(pa.array(texts, pa.string()), cuts.starts, cuts.ends).to_pylist()
    expected = [reference(text, [found[1:] for found in ranges if found[0] == row]) for row, text in enumerate(texts)]
    assert left == expected
    touched = {row for row, *_ in ranges}
    assert cuts.is_emptied.tolist() == [row in touched and not text for row, text in enumerate(expected)]
    for starts, ends in zip(cuts.starts.to_pylist(), cuts.ends.to_pylist(), strict=True):
        assert all(start < end for start, end in zip(starts, ends, strict=True))
        assert all(end < start for end, start in zip(ends, starts[1:], strict=False))
