"""A text as the set of its shingles: every run of so many words, or of so many characters, hashed to 32 bits.

Both kinds begin with the normalisation of ``word_hashes``: letters lower-cased, marks and digits kept, apostrophes and
invisible characters gone, everything else a boundary. For character shingles a run of boundaries is one space between
words, and none stands at either end; a character of a script without spaces is itself, with no space beside it.

A text shorter than one shingle has one all the same, made of what there is: two short texts are then alike if they are
equal and strangers if they are not, instead of all being alike (every set empty) or all being lost (no set at all).
A text without a single word has no shingle.

Two ways to 32 bits:

* ``mix64``: a polynomial over word hashes (or over hashed code points, rolled along the text), closed with the
  MurmurHash3 finaliser, the low half of it. A multiplication or two a word or character.
* ``sha1``: the first four bytes of SHA-1 of the shingle in UTF-8, words joined by one space, as ``datasketch.MinHash``
  hashes what it is given: signatures are then datasketch's own. In Python, a microsecond a shingle
  (``sha1_shingles.py``).

With 32 bits, two different shingles of a pair of texts with n shingles in all are taken for one with a probability
below n² / 2^33: for two pages of 1,000 words, one time in 2,000, and then the similarity is off by a thousandth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np
import pyarrow as pa

from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.sha1_shingles import sha1_shingles
from pipeline.kernels.word_hashes import IGNORED, OWN_WORD, action_of, character_table, decode, hash_words, mix64

_SHINGLE_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
_SHINGLE_START = np.uint64(0xA0761D6478BD642F)
_SPACE = np.uint64(0x20)
_CODE_POINT = np.uint32(OWN_WORD - 1)  # without the flag of a character that is a word of its own


@dataclass(frozen=True)
class Shingling:
    """What a text is cut into.

    Args:
        size: words or characters in a shingle, 1 or more.
        unit: of which.
        hashing: how a shingle becomes 32 bits; see the module.
    """

    size: int
    unit: Literal["words", "characters"] = "words"
    hashing: Literal["mix64", "sha1"] = "mix64"


def shingle_hashes(text: pa.Array, shingling: Shingling) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the shingles of each text, in their order, repeated ones repeated.

    Args:
        text: string or large_string, with or without nulls.

    Returns:
        ``hashes``, uint32, shape (num_shingles,); and ``ends``, int64, shape (num_rows + 1,): row i has
        ``hashes[ends[i]:ends[i + 1]]``, nothing if it is null or without a word.
    """
    if shingling.hashing == "sha1":
        return sha1_shingles(text, shingling.size, of_characters=shingling.unit == "characters")
    data, offsets, is_valid = text_buffers(text)
    lengths = np.where(is_valid, np.diff(offsets), 0)
    room = lengths + 1 if shingling.unit == "characters" else lengths // 2 + 1
    scratch = np.empty(int(room.max(initial=0)), dtype=np.uint64)
    hashes = np.empty(int(room.sum()), dtype=np.uint32)
    ends = np.zeros(len(text) + 1, dtype=np.int64)
    fill = _hash_character_shingles if shingling.unit == "characters" else _hash_word_shingles
    fill(data, offsets, is_valid, character_table(), shingling.size, scratch, hashes, ends)
    return hashes[: ends[-1]], ends


@numba.njit(nogil=True, cache=True)
def _hash_word_shingles(data, offsets, is_valid, table, size, scratch, hashes, ends):
    written = 0
    for row in range(len(is_valid)):
        if is_valid[row]:
            num_words = hash_words(data, offsets[row], offsets[row + 1], table, scratch)
            for i in range(shingle_in_place(scratch, num_words, size)):
                hashes[written] = np.uint32(scratch[i])
                written += 1
        ends[row + 1] = written


@numba.njit(nogil=True, cache=True)
def shingle_in_place(hashes: np.ndarray, num_words: int, size: int) -> int:
    """Replace word hashes by the hashes of their shingles; returns how many: one or more, none of no words."""
    width = min(size, num_words)
    num_shingles = num_words - width + 1 if num_words else 0
    for i in range(num_shingles):
        value = _SHINGLE_START
        for j in range(i, i + width):
            value = value * _SHINGLE_MULTIPLIER + hashes[j]
        hashes[i] = mix64(value)
    return num_shingles


@numba.njit(nogil=True, cache=True)
def _hash_character_shingles(data, offsets, is_valid, table, size, scratch, hashes, ends):
    written = 0
    for row in range(len(is_valid)):
        if is_valid[row]:
            num_chars = _normal_characters(data, offsets[row], offsets[row + 1], table, scratch)
            for i in range(_roll_in_place(scratch, num_chars, size)):
                hashes[written] = np.uint32(scratch[i])
                written += 1
        ends[row + 1] = written


@numba.njit(nogil=True, cache=True)
def _normal_characters(data, start, end, table, out):
    """Write the normalised characters of ``data[start:end]``, each hashed by itself; returns how many."""
    num_chars = 0
    is_apart = False  # a boundary has come since the last character
    position = start
    while position < end:
        byte = data[position]
        if byte < 0x80:
            action = table[byte]
            position += 1
        else:
            code_point, length = decode(data, position, end)
            position += length
            action = action_of(code_point, table)
        if action > IGNORED:
            if is_apart and num_chars:
                out[num_chars] = mix64(_SPACE)
                num_chars += 1
            is_apart = False
            out[num_chars] = mix64(np.uint64(action & _CODE_POINT))
            num_chars += 1
        elif action != IGNORED:
            is_apart = True
    return num_chars


@numba.njit(nogil=True, cache=True)
def _roll_in_place(values, num_chars, size):
    """Replace hashed characters by the hashes of their shingles; returns how many.

    The polynomial of a shingle follows from that of the one before it, so that a character costs the same whatever
    the size.
    """
    width = min(size, num_chars)
    highest = np.uint64(1)
    value = np.uint64(0)
    for j in range(width):
        value = value * _SHINGLE_MULTIPLIER + values[j]
        highest *= _SHINGLE_MULTIPLIER
    num_shingles = num_chars - width + 1 if num_chars else 0
    for i in range(num_shingles):
        oldest = values[i]
        values[i] = mix64(value)
        if i + width < num_chars:
            value = value * _SHINGLE_MULTIPLIER - oldest * highest + values[i + width]
    return num_shingles
