"""The words of a batch of texts as flat arrays: hash, place in bytes, and whether a line begins there.

Words are those of ``word_segmentation`` in mode ``unicode``; their hashes tell case, marks and punctuation apart. White
space is between words, so two texts with the same words are equal here however they are set. O(characters).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from pipeline.kernels.arrow_text import TextBuffers
from pipeline.kernels.compilation import kernel
from pipeline.kernels.special_words import special_word_table
from pipeline.kernels.unicode_tables import character_flags, decode_utf8
from pipeline.kernels.word_hashes import mix64
from pipeline.kernels.word_segmentation import BROKEN, UNICODE_MODE, segment_words


class TokenSpans(NamedTuple):
    """Words of a batch; those of row ``i`` stand at ``bounds[i]:bounds[i + 1]``.

    Args:
        bounds: int64, shape (num_rows + 1,). A null row has no words.
        hashes: uint64, shape (num_words,): of the word's characters, all 64 bits mixed.
        starts, ends: int32, shape (num_words,): UTF-8 bytes from the row's first.
        begins_line: bool, shape (num_words,): a line break, or nothing, stands between the word and the one before.
    """

    bounds: np.ndarray
    hashes: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    begins_line: np.ndarray


def token_spans(text: TextBuffers) -> TokenSpans:
    """Words of every text."""
    lengths = np.diff(text.offsets)[text.is_valid]
    room = int(lengths.sum()) + 1  # a word takes a byte or more
    spans = TokenSpans(
        bounds=np.zeros(len(text.is_valid) + 1, np.int64),
        hashes=np.empty(room, np.uint64),
        starts=np.empty(room, np.int32),
        ends=np.empty(room, np.int32),
        begins_line=np.empty(room, np.bool_),
    )
    _fill(*text, character_flags(), special_word_table(), int(lengths.max(initial=0)), spans)
    num_words = int(spans.bounds[-1])
    return TokenSpans(spans.bounds, *(column[:num_words] for column in spans[1:]))


@njit(nogil=True, cache=True)
def _fill(data, offsets, is_valid, flag_table, special, most_bytes, spans):
    room = most_bytes + 3
    codes, flags = np.empty(room, np.uint32), np.empty(room, np.uint32)
    words = (np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.uint64), np.empty(room, np.uint32))
    cuts = np.empty(2 * room, np.int32)
    bounds, hashes, starts, ends, begins_line = spans
    for row in range(is_valid.size):
        begin = bounds[row]
        num_words = 0
        if is_valid[row]:
            num_chars = decode_utf8(data, offsets[row], offsets[row + 1], flag_table[0], flag_table[1], codes, flags)
            num_words = segment_words(codes, flags, num_chars, UNICODE_MODE, special, words, 0, cuts)
            _to_bytes(codes, words[0], words[1], num_words, starts[begin:], ends[begin:])
            for i in range(num_words):
                hashes[begin + i] = mix64(words[2][i])
                begins_line[begin + i] = words[3][i] & BROKEN != 0
        bounds[row + 1] = begin + num_words


@kernel
def _to_bytes(codes, first_chars, end_chars, num_words, starts, ends):
    """Words' places in characters as places in bytes."""
    char = byte = 0
    for i in range(num_words):
        while char < first_chars[i]:
            byte += _num_bytes(codes[char])
            char += 1
        starts[i] = byte
        while char < end_chars[i]:
            byte += _num_bytes(codes[char])
            char += 1
        ends[i] = byte


@kernel
def _num_bytes(code):
    """UTF-8 bytes of a code point."""
    return 1 + (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)
