"""Where the fields of a WARC or HTTP header lie that reading needs, found in one pass.

A regular expression for one field takes as long as this for all. A header that is written otherwise than nearly all are
(folded lines, blanks around names) is told apart and left to ``pipeline/archive/headers.py``.

Cost: 1.5 µs a header of 400 bytes, half of it the call.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numba.np.unsafe.ndarray import to_fixed_tuple

from pipeline.kernels.compilation import kernel
from pipeline.kernels.eight_bytes import eight_bytes, first_bytes

NAMES = (
    "warc-type",
    "warc-target-uri",
    "warc-record-id",
    "warc-refers-to",
    "warc-date",
    "warc-truncated",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
)
"""Fields that are looked for; up to 24 bytes."""

RECORD_TYPES = (
    "response",
    "request",
    "metadata",
    "warcinfo",
    "revisit",
    "resource",
    "conversion",
    "continuation",
)
"""Values of ``warc-type`` that are known; up to 24 bytes."""

END, IS_ODD, RECORD_TYPE, LENGTH, PLACES = range(5)
NUM_FOUND = PLACES + len(NAMES)


def _packed(words: tuple[str, ...]) -> np.ndarray:
    """Each word's bytes as three numbers, its first byte lowest; shape (num_words, 3), uint64."""
    return np.array([np.frombuffer(word.encode().ljust(24, b"\0"), "<u8") for word in words], dtype=np.uint64)


_NAMES, _TYPES = _packed(NAMES), _packed(RECORD_TYPES)
_TYPE_PLACE, _LENGTH_PLACE = PLACES, PLACES + NAMES.index("content-length")
_NEWLINE, _RETURN, _BLANK, _TAB, _COLON, _DELETE, _0, _9 = 10, 13, 32, 9, 58, 127, 48, 57
_NEWLINES, _ONES = np.uint64(0x0A0A0A0A0A0A0A0A), np.uint64(0x0101010101010101)
_HIGH, _LOWER = np.uint64(0x8080808080808080), np.uint64(0x2020202020202020)
_START, _END = np.uint64(32), np.uint64(0xFFFFFFFF)
_MAX_DIGITS = 18


@njit(cache=True)  # keeps the GIL: threads share ``found``
def scan_header(data, start, limit, found):
    """Look for a header's end and for the values of ``NAMES``, the first of each.

    Args:
        data: bytes.
        start, limit: the header begins at ``start`` and is looked at up to ``limit``.
        found: int64, shape (NUM_FOUND,): memory to work in.

    Returns:
        NUM_FOUND numbers: ``END``, the position behind the header's blank line, -1 if there is none; ``IS_ODD``, 1 if
        what follows may be wrong; ``RECORD_TYPE``, which of ``RECORD_TYPES``; ``LENGTH``, the value of
        ``content-length``; from ``PLACES`` on, for each name, where its value begins (behind the colon) times 2^32 and
        where it ends (before the line feed). -1 stands for what is absent, or is no such type or number.
    """
    _scan(data, np.uint64(start), np.uint64(limit), found)
    return to_fixed_tuple(found, NUM_FOUND)  # type: ignore[call-arg]  # an intrinsic of two arguments


@kernel
def _scan(data, start, limit, found):
    found[:] = -1
    found[IS_ODD] = 0
    position = _line_end(data, start, limit) + np.uint64(1)
    while position < limit:
        blank = position
        while blank < limit and data[blank] == _RETURN:
            blank += np.uint64(1)
        if blank < limit and data[blank] == _NEWLINE:
            found[END] = blank + np.uint64(1)
            break
        if data[position] in (_BLANK, _TAB):
            found[IS_ODD] = 1
        position = _field(data, position, limit, found)
    if found[_TYPE_PLACE] >= 0:
        found[RECORD_TYPE] = _known_type(data, np.uint64(found[_TYPE_PLACE]))
    if found[_LENGTH_PLACE] >= 0:
        found[LENGTH] = _number(data, np.uint64(found[_LENGTH_PLACE]))


@kernel
def _line_end(data, position, limit):
    """Position of the first line feed from ``position`` on; ``limit`` if there is none before it."""
    while position < limit:
        differing = eight_bytes(data, position) ^ _NEWLINES
        if (differing - _ONES) & ~differing & _HIGH:
            break
        position += np.uint64(8)
    while position < limit and data[position] != _NEWLINE:
        position += np.uint64(1)
    return min(position, limit)


@kernel
def _field(data, start, limit, found):
    """Note the place of the field that begins at ``start``, if it is one of ``NAMES``; returns where the line ends."""
    position = start
    while position < limit:
        byte = data[position]
        if byte in (_COLON, _NEWLINE):
            break
        if byte <= _BLANK or byte >= _DELETE:
            found[IS_ODD] = 1
        position += np.uint64(1)
    end = _line_end(data, position, limit)
    if position < end:
        name = _index(data, start, position, _NAMES)
        if name >= 0 and found[PLACES + name] < 0:
            found[PLACES + name] = (position + np.uint64(1)) << _START | end
    return end + np.uint64(1)


@kernel
def _index(data, start, end, words):
    """Which of ``words`` stands, in any case, between ``start`` and ``end``; -1 for none.

    To lower a letter is to set a bit. Of all other bytes, that makes a hyphen of a carriage return only, which no place
    holds that comes here.
    """
    size = end - start
    if size > np.uint64(24):
        return -1
    first = _lowered(data, start, size)
    for i in range(words.shape[0]):
        if words[i, 0] == first:
            second = _lowered(data, start + np.uint64(8), size - np.uint64(8)) if size > 8 else np.uint64(0)
            third = _lowered(data, start + np.uint64(16), size - np.uint64(16)) if size > 16 else np.uint64(0)
            if words[i, 1] == second and words[i, 2] == third:
                return i
    return -1


@kernel
def _lowered(data, start, size):
    count = min(size, np.uint64(8))
    return first_bytes(eight_bytes(data, start) | _LOWER, count)


@kernel
def _known_type(data, place):
    start, end = _trimmed(data, place >> _START, place & _END)
    return _index(data, start, end, _TYPES)


@kernel
def _number(data, place):
    start, end = _trimmed(data, place >> _START, place & _END)
    if start == end or end - start > np.uint64(_MAX_DIGITS):
        return np.int64(-1)
    value = np.int64(0)
    for position in range(start, end):
        digit = data[position]
        if digit < _0 or digit > _9:
            return np.int64(-1)
        value = 10 * value + np.int64(digit - _0)
    return value


@kernel
def _trimmed(data, start, end):
    """Without the blanks in front, and without the carriage returns and blanks at the end."""
    while start < end and data[start] in (_BLANK, _TAB):
        start += np.uint64(1)
    while start < end and data[end - np.uint64(1)] in (_BLANK, _TAB, _RETURN):
        end -= np.uint64(1)
    return start, end
