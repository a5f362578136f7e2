"""What goes from a document that holds evaluation text: windows around it, and pieces too short to be worth keeping.

Source: Brown et al. 2020 (GPT-3), appendix C: "we also removed a 200 character window around it, splitting the original
document into pieces. [...] Pieces less than 200 characters long were discarded. Documents split into more than 10
pieces were considered contaminated and removed entirely." Deviations: a window is widened to whole words, by 50
characters at most, and takes the white space behind it; the pieces stay one document, in their order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

_MOST_WIDENED_CHARS = 50  # scripts without spaces would widen a window to the whole line


class Windows(NamedTuple):
    """What goes: UTF-8 byte ranges, sorted and disjoint; and how many pieces the windows leave, short ones included."""

    starts: list[int]
    ends: list[int]
    num_pieces: int


def cut_windows(text: str, matches: Iterable[tuple[int, int]], *, window_chars: int, min_piece_chars: int) -> Windows:
    """Windows around matches.

    Args:
        matches: byte ranges of ``text`` in UTF-8, in any order; at least one.
        window_chars: characters that go on each side of a match.
        min_piece_chars: a piece between windows, or before or behind them, with fewer characters goes too.
    """
    is_start = (np.frombuffer(text.encode(), np.uint8) & 0xC0) != 0x80
    byte_of = np.append(np.flatnonzero(is_start), len(is_start))  # of each character, and the end
    edges = np.searchsorted(byte_of, np.array(sorted(matches), np.int64))
    merged: list[list[int]] = []
    for first, last in edges.tolist():
        start, end = _widened(text, max(0, first - window_chars), min(len(text), last + window_chars))
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    borders = [0, *(edge for window in merged for edge in window), len(text)]
    pieces = [(start, end) for start, end in zip(borders[::2], borders[1::2], strict=True) if text[start:end].strip()]
    kept = [(start, end) for start, end in pieces if end - start >= min_piece_chars]
    borders = [0, *(edge for piece in kept for edge in piece), len(text)]
    gone = [(start, end) for start, end in zip(borders[::2], borders[1::2], strict=True) if start < end]
    return Windows([int(byte_of[start]) for start, _ in gone], [int(byte_of[end]) for _, end in gone], len(pieces))


def _widened(text: str, start: int, end: int) -> tuple[int, int]:
    """A window moved outwards to whole words, and over the white space behind it."""
    furthest = max(0, start - _MOST_WIDENED_CHARS)
    while start > furthest and not text[start - 1].isspace():
        start -= 1
    furthest = min(len(text), end + _MOST_WIDENED_CHARS)
    while end < furthest and not text[end].isspace():
        end += 1
    while end < len(text) and text[end].isspace():
        end += 1
    return start, end
