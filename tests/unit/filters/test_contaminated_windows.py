"""Windows by hand, and what holds for any text: nothing matched stays, nothing far from a match goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.contaminated_windows import Windows, cut_windows

TEXT = "one two three four five six seven eight nine ten eleven twelve"


def byte_range(text: str, piece: str) -> tuple[int, int]:
    start = text.index(piece)
    return len(text[:start].encode()), len(text[: start + len(piece)].encode())


def left(text: str, windows: Windows) -> list[str]:
    data = text.encode()
    borders = [0, *(edge for pair in zip(windows.starts, windows.ends, strict=True) for edge in pair), len(data)]
    return [piece for a, b in zip(borders[::2], borders[1::2], strict=True) if (piece := data[a:b].decode())]


@pytest.mark.parametrize(
    ("matches", "window_chars", "min_piece_chars", "expected", "num_pieces"),
    [
        (["six"], 0, 0, ["one two three four five ", "seven eight nine ten eleven twelve"], 2),
        (["six"], 1, 0, ["one two three four ", "eight nine ten eleven twelve"], 2),  # the white space, then the word
        (["six"], 5, 0, ["one two three four ", "eight nine ten eleven twelve"], 2),
        (["six"], 6, 0, ["one two three ", "eight nine ten eleven twelve"], 2),
        (["six", "eight"], 0, 0, ["one two three four five ", "seven ", "nine ten eleven twelve"], 3),
        (["six", "eight"], 0, 7, ["one two three four five ", "nine ten eleven twelve"], 3),
        (["eight", "six", "five six seven"], 2, 0, ["one two three ", "ten eleven twelve"], 2),
        (["one"], 0, 0, ["two three four five six seven eight nine ten eleven twelve"], 1),
        (["twelve"], 0, 0, ["one two three four five six seven eight nine ten eleven "], 1),
        (["six"], 100, 0, [], 0),
        (["six"], 0, 100, [], 2),
    ],
)
def test_windows(matches: list[str], window_chars: int, min_piece_chars: int, expected: list[str], num_pieces: int):
    ranges = [byte_range(TEXT, match) for match in matches]
    windows = cut_windows(TEXT, ranges, window_chars=window_chars, min_piece_chars=min_piece_chars)
    assert left(TEXT, windows) == expected
    assert windows.num_pieces == num_pieces


def test_windows_are_counted_in_characters():
    text = "火" * 300 + "水" * 10 + "木" * 300
    windows = cut_windows(text, [byte_range(text, "水" * 10)], window_chars=200, min_piece_chars=0)
    assert left(text, windows) == ["火" * 50, "木" * 50]  # widened by 50, there being no white space


def test_white_space_is_no_piece():
    text = "one  \n  two"
    windows = cut_windows(text, [(0, 3), (8, 11)], window_chars=0, min_piece_chars=0)
    assert (windows.starts, windows.ends, windows.num_pieces) == ([0], [11], 0)


@given(
    st.lists(st.sampled_from(["a", "bc", "日本", "é", " ", "\n", "longer"]), min_size=1, max_size=80).map("".join),
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 30)), min_size=1, max_size=5),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_what_is_matched_goes_and_what_stays_is_whole(
    text: str, places: list[tuple[int, int]], window_chars: int, min_piece_chars: int
):
    chars = [(min(start, len(text) - 1), min(start + length, len(text))) for start, length in places]
    chars = [(start, max(end, start + 1)) for start, end in chars]
    ranges = [(len(text[:start].encode()), len(text[:end].encode())) for start, end in chars]
    windows = cut_windows(text, ranges, window_chars=window_chars, min_piece_chars=min_piece_chars)
    edges = [edge for pair in zip(windows.starts, windows.ends, strict=True) for edge in pair]
    assert edges == sorted(set(edges))
    gone = {i for a, b in zip(windows.starts, windows.ends, strict=True) for i in range(a, b)}
    assert all(set(range(start, end)) <= gone for start, end in ranges)
    pieces = left(text, windows)
    assert all(len(piece) >= max(1, min_piece_chars) and piece.strip() for piece in pieces)
    assert len(pieces) <= windows.num_pieces
    far = window_chars + 50
    if min_piece_chars == 0:
        kept = {len(text[:i].encode()) for i in range(len(text))} - gone
        reach = {i for start, end in chars for i in range(start - far, end + far)}
        assert all(i in reach or text[i].isspace() or len(text[:i].encode()) in kept for i in range(len(text)))
