"""Lines as 64-bit hashes that ignore how they are set: boilerplate is known again under other digits and punctuation.

What is hashed of a line: its letters in lower case with their marks, and "0" for every digit; all else is left out.
That is CCNet's normalisation of paragraphs (Wenzek et al. 2020, section 3.2), but for accents, which are kept because
they tell words apart. A line without letters or digits has no hash: it is in no list.

Among m listed lines a line that is not listed is taken for one of them with a chance of m / 2^64: for a list of ten
million lines, 5 * 10^-13.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import njit

from pipeline.kernels.arrow_text import TextBuffers
from pipeline.kernels.compilation import kernel
from pipeline.kernels.unicode_tables import ALPHA, DIGIT, EXTEND, FLAGS, character_flags, decode_utf8

NO_HASH = np.uint64(0)
_START = np.uint64(0x9AE16A3B2F90404F)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_ZERO = np.uint32(ord("0"))
_BLOCK = 256
_NUM_CODES = 0x20000  # no letter above has another case


@functools.cache
def lower_case_table() -> tuple[np.ndarray, np.ndarray]:
    """Lower case of every code point below 0x20000 whose lower case is one character, in two stages.

    Returns:
        ``blocks``, uint8, shape (512,), and ``lower``, uint32: the lower case of ``code`` stands at
        ``lower[blocks[code >> 8] << 8 | code & 255]``, as the distance from ``code`` modulo 2^32.
    """
    folded = (ord(low) if len(low := chr(code).lower()) == 1 else code for code in range(_NUM_CODES))
    lower = np.fromiter(folded, dtype=np.uint32, count=_NUM_CODES) - np.arange(_NUM_CODES, dtype=np.uint32)
    unique, blocks = np.unique(lower.reshape(-1, _BLOCK), axis=0, return_inverse=True)
    return blocks.ravel().astype(np.uint8), np.ascontiguousarray(unique).ravel()


@kernel
def hash_line(codes, flags, start, end, blocks, lower):
    """Hash of ``codes[start:end]``; ``NO_HASH`` if it has neither a letter nor a digit."""
    value = _START
    num_hashed = 0
    for i in range(start, end):
        flag = flags[i]
        if not flag & (ALPHA | DIGIT | EXTEND):
            continue
        code = codes[i]
        if flag & DIGIT:
            code = _ZERO
        elif code < _NUM_CODES:
            code = np.uint32(code + lower[(np.uint32(blocks[code >> 8]) << 8) | (code & np.uint32(0xFF))])
        num_hashed += flag & (ALPHA | DIGIT) != 0
        value = (value ^ np.uint64(code)) * _MULTIPLIER
        value ^= value >> _HALF
    if num_hashed == 0:
        return NO_HASH
    return value if value != NO_HASH else np.uint64(1)


def hash_lines(lines: TextBuffers) -> np.ndarray:
    """Hash of each line, uint64, shape (num_lines,); ``NO_HASH`` for null rows and lines without letters or digits."""
    hashes = np.zeros(len(lines.is_valid), dtype=np.uint64)
    most_bytes = int(np.diff(lines.offsets)[lines.is_valid].max(initial=0))
    _hash_all(*lines, character_flags(), lower_case_table(), most_bytes, hashes)
    return hashes


@njit(nogil=True, cache=True)
def _hash_all(data, offsets, is_valid, flag_table, lower_case, most_bytes, hashes):
    codes, flags = np.empty(most_bytes + 1, np.uint32), np.empty(most_bytes + 1, FLAGS)
    for row in range(is_valid.size):
        if is_valid[row]:
            num_chars = decode_utf8(data, offsets[row], offsets[row + 1], flag_table[0], flag_table[1], codes, flags)
            hashes[row] = hash_line(codes, flags, 0, num_chars, lower_case[0], lower_case[1])
