"""64-bit hashes of the normalised words of a text, read straight from Arrow buffers.

Normalisation, code point by code point, so that one table look-up decides:

* letters, marks and digits make words; letters are lower-cased (one to one: U+0130 becomes ``i``, final sigma keeps
  its own form). Digits stay as they are: FineWeb replaces runs of digits by ``0``, which merges pages that differ in
  numbers only, such as price lists and timetables;
* apostrophes and invisible characters (soft hyphen, joiners, variation selectors) vanish: ``don't`` equals ``dont``;
* everything else (white space, punctuation, symbols, controls) ends a word, so that ``word—word`` equals
  ``word — word``. FineWeb deletes punctuation instead, and joins the two words;
* in scripts written without spaces (Han, Kana, Thai, Lao, Khmer, Myanmar) every character is a word of its own.

Diacritics are kept and no Unicode normal form is applied: in many scripts, marks carry the vowels.

A word's hash is a multiplicative chain over its lower-cased code points, closed with the MurmurHash3 finaliser. The
cost is one multiplication a character, about 2 ns.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numba
import numpy as np

from pipeline.kernels.word_break_classes import UNSPACED_SCRIPTS

_TABLE_SIZE = 0x20000  # planes 0 and 1; plane 2 and 3 hold Han only, the rest tags and private use
_HAN_PLANES_END = 0x40000
IGNORED = 1  # 0 is a boundary between words; everything above is part of one
OWN_WORD = 1 << 31  # flag: the character is a word by itself

_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_APOSTROPHES = frozenset("'\u2019\u02bc\uff07")

_CHAIN_START = np.uint64(0x9AE16A3B2F90404F)
_CHAIN_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@cache
def character_table() -> np.ndarray:
    """What each code point below 0x20000 does to a word; shape (131072,), uint32.

    0 ends a word, 1 is ignored, any other value is the lower-cased code point, with bit 31 set where the character
    is a word of its own.
    """
    table = np.zeros(_TABLE_SIZE, dtype=np.uint32)
    unspaced = np.zeros(_TABLE_SIZE, dtype=bool)
    unspaced[UNSPACED_SCRIPTS[UNSPACED_SCRIPTS < _TABLE_SIZE]] = True
    for code_point in range(_TABLE_SIZE):
        character = chr(code_point)
        category = unicodedata.category(character)
        if category == "Cf" or character in _APOSTROPHES or code_point in _VARIATION_SELECTORS:
            table[code_point] = IGNORED
        elif category[0] in "LMN":
            table[code_point] = ord(character.lower()[0]) | (OWN_WORD if unspaced[code_point] else 0)
    table.flags.writeable = False
    return table


@numba.njit(nogil=True, cache=True, inline="always")
def mix64(value: np.uint64) -> np.uint64:
    """MurmurHash3's 64-bit finaliser, a bijection in which every input bit changes half the output bits."""
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@numba.njit(nogil=True, cache=True, inline="always")
def decode(data: np.ndarray, position: int, end: int) -> tuple[int, int]:
    """Code point of the multi-byte sequence at ``position`` and its length in bytes; (0, rest) where it is cut off."""
    lead = data[position]
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if position + length > end:
        return 0, end - position
    code_point = int(lead) & (0x7F >> length)
    for i in range(1, length):
        code_point = (code_point << 6) | (int(data[position + i]) & 0x3F)
    return code_point, length


@numba.njit(nogil=True, cache=True, inline="always")
def action_of(code_point: int, table: np.ndarray) -> np.uint32:
    """What any code point does to a word; see ``character_table`` for those below 0x20000."""
    if code_point < _TABLE_SIZE:
        return table[code_point]
    return np.uint32(code_point | OWN_WORD) if code_point < _HAN_PLANES_END else np.uint32(IGNORED)


@numba.njit(nogil=True, cache=True)
def hash_words(data: np.ndarray, start: int, end: int, table: np.ndarray, out: np.ndarray) -> int:
    """Write the hashes of the words in ``data[start:end]`` to ``out`` and return how many there are.

    Args:
        data: UTF-8 bytes, shape (num_bytes,), uint8.
        table: ``character_table()``.
        out: uint64, room for (end - start) // 2 + 1 words: a word takes a letter and a boundary, or three bytes.
    """
    num_words = 0
    chain = _CHAIN_START
    in_word = False
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
        if action > IGNORED and action < OWN_WORD:
            chain = (chain ^ np.uint64(action)) * _CHAIN_MULTIPLIER
            in_word = True
        elif action != IGNORED:
            if in_word:
                out[num_words] = mix64(chain)
                num_words += 1
                chain = _CHAIN_START
                in_word = False
            if action >= OWN_WORD:
                own = np.uint64(action ^ np.uint32(OWN_WORD))
                out[num_words] = mix64((_CHAIN_START ^ own) * _CHAIN_MULTIPLIER)
                num_words += 1
    if in_word:
        out[num_words] = mix64(chain)
        num_words += 1
    return num_words
