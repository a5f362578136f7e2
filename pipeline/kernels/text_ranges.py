"""Byte ranges taken out of texts: checked, trimmed, and cut.

The ranges of row ``i`` are ``starts[bounds[i]:bounds[i + 1]]`` and ``ends`` likewise, in bytes from the row's first,
sorted and disjoint. Each function is one pass over ranges or bytes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.kernels.arrow_text import TextBuffers
from pipeline.kernels.compilation import kernel
from pipeline.kernels.unicode_tables import SPACE, character_flags

Ranges = tuple[np.ndarray, np.ndarray, np.ndarray]
"""``bounds``, ``starts``, ``ends``: int64."""


def first_bad_range(text: TextBuffers, ranges: Ranges) -> tuple[int, int]:
    """The first range that is not one: row and number of the range; (-1, -1) if all are.

    A range must not be empty, overlap the one before or end behind its text, and must begin and end between characters.
    """
    row, number = _first_bad_range(*text, *ranges)
    return int(row), int(number)


def cut_ranges(text: TextBuffers, ranges: Ranges) -> tuple[np.ndarray, np.ndarray]:
    """What is left of each text: ``data``, uint8, and ``offsets``, int64, shape (num_rows + 1,)."""
    lengths = np.diff(text.offsets)[text.is_valid].sum(dtype=np.int64)
    out = np.empty(int(lengths), dtype=np.uint8)
    offsets = np.zeros(len(text.is_valid) + 1, dtype=np.int64)
    _cut_all(*text, *ranges, out, offsets)
    return out[: offsets[-1]], offsets


def kept_bounds(text: TextBuffers, ranges: Ranges) -> tuple[np.ndarray, np.ndarray]:
    """First byte of each text that neither goes nor is white space before all that stays, and the end of the last such.

    Returns:
        ``first`` and ``end``, int64, shape (num_rows,); equal where nothing but white space stays.
    """
    first, end = np.zeros((2, len(text.is_valid)), dtype=np.int64)
    _find_bounds(*text, *ranges, *character_flags(), first, end)
    return first, end


@njit(nogil=True, cache=True)
def _first_bad_range(data, offsets, is_valid, bounds, starts, ends):
    for row in range(is_valid.size):
        begin = offsets[row]
        length = offsets[row + 1] - begin if is_valid[row] else 0
        last = 0
        for i in range(bounds[row], bounds[row + 1]):
            if not last <= starts[i] < ends[i] <= length:
                return row, i - bounds[row]
            for position in (starts[i], ends[i]):
                if position < length and data[begin + position] & 0xC0 == 0x80:
                    return row, i - bounds[row]
            last = ends[i]
    return -1, -1


@njit(nogil=True, cache=True)
def _cut_all(data, offsets, is_valid, bounds, starts, ends, out, out_offsets):
    position = 0
    for row in range(is_valid.size):
        if is_valid[row]:
            begin, stop = offsets[row], offsets[row + 1]
            at = begin
            for i in range(bounds[row], bounds[row + 1]):
                position = _copy(data, at, begin + starts[i], out, position)
                at = begin + ends[i]
            position = _copy(data, at, stop, out, position)
        out_offsets[row + 1] = position


@kernel
def _copy(data, start, end, out, position):
    for i in range(start, end):
        out[position] = data[i]
        position += 1
    return position


@njit(nogil=True, cache=True)
def _find_bounds(data, offsets, is_valid, bounds, starts, ends, blocks, flags, first, end):
    for row in range(is_valid.size):
        if not is_valid[row]:
            continue
        begin, stop = offsets[row], offsets[row + 1]
        low, high = bounds[row], bounds[row + 1]
        first[row] = end[row] = stop - begin
        at = begin
        for i in range(low, high + 1):  # pieces that stay, from the front
            piece_end = begin + starts[i] if i < high else stop
            at = _skip_space(data, at, piece_end, blocks, flags)
            if at < piece_end:
                first[row] = at - begin
                break
            at = begin + ends[i] if i < high else stop
        if first[row] == stop - begin:
            continue
        at = stop
        for i in range(high - 1, low - 2, -1):  # and from the back; one of them has a character
            piece_start = begin + ends[i] if i >= low else begin
            at = _skip_space_back(data, piece_start, at, blocks, flags)
            if at > piece_start:
                end[row] = at - begin
                break
            at = begin + starts[i]


@kernel
def _skip_space(data, start, end, blocks, flags):
    """The first character of ``data[start:end]`` that is not white space; ``end`` if there is none."""
    while start < end:
        after = start + 1
        while after < end and data[after] & 0xC0 == 0x80:
            after += 1
        if not _is_space(data, start, after, blocks, flags):
            break
        start = after
    return start


@kernel
def _skip_space_back(data, start, end, blocks, flags):
    """Where the last character of ``data[start:end]`` that is not white space ends; ``start`` if there is none."""
    while end > start:
        lead = end - 1
        while lead > start and data[lead] & 0xC0 == 0x80:
            lead -= 1
        if not _is_space(data, lead, end, blocks, flags):
            break
        end = lead
    return end


@kernel
def _is_space(data, start, end, blocks, flags):
    """Whether the one character ``data[start:end]`` is white space."""
    code = np.int64(data[start])
    if end - start > 1:
        code &= 0x7F >> (end - start)
        for i in range(start + 1, end):
            code = (code << 6) | np.int64(data[i] & 0x3F)
    return flags[(np.int64(blocks[code >> 8]) << 8) | (code & 0xFF)] & SPACE != 0
