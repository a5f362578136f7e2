"""How often each word occurs in a column of texts, words being those of the signals (``word_segmentation``).

The kernel writes each word's 64-bit hash and place; NumPy counts the hashes, and only words that were not met before
are cut out of their text as strings, so that the cost is that of segmentation and a sort. Two words count as one when
their hashes are equal (odds of a collision in ``hash_table``). Words without a letter (numbers, signs) are left out of
the counts, but not of the total.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
from numba import njit

from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.special_words import special_word_table
from pipeline.kernels.unicode_tables import ALPHA, SYMBOL, character_flags, decode_utf8
from pipeline.kernels.word_segmentation import segment_words


def count_words(text: pa.Array, mode: int) -> tuple[Counter[str], int]:
    """Words of a column.

    Args:
        text: string or large_string; nulls are skipped.
        mode: as ``segment_words`` takes it.

    Returns:
        How often each word with a letter occurs, as it is written; and how many words there are that do not consist of
        symbols only, as in the signal ``num_words``.
    """
    buffers = text_buffers(text)
    num_bytes = int(np.diff(buffers.offsets)[buffers.is_valid].sum())
    most_bytes = int(np.diff(buffers.offsets)[buffers.is_valid].max(initial=0))
    hashes, rows = np.empty(num_bytes, np.uint64), np.empty(num_bytes, np.int32)
    starts, ends = np.empty(num_bytes, np.int32), np.empty(num_bytes, np.int32)
    flags = character_flags()
    num_lettered, num_words = _find_words(
        *buffers, *flags, special_word_table(), mode, most_bytes, hashes, rows, starts, ends
    )
    _, places, counts = np.unique(hashes[:num_lettered], return_index=True, return_counts=True)
    found: Counter[str] = Counter()
    row, content = -1, ""
    for item in np.argsort(places).tolist():  # by place in the column, so that each text is decoded once
        place = places[item]
        if rows[place] != row:
            row = int(rows[place])
            content = text[row].as_py()
        found[content[starts[place] : ends[place]]] += int(counts[item])
    return found, num_words


@njit(nogil=True, cache=True)
def _find_words(
    data, offsets, is_valid, blocks, flag_table, special, mode, most_bytes, hashes, rows, starts, ends
):  # fmt: skip
    """Write hash, row and place of each word with a letter; returns how many, and how many are no symbols."""
    room = most_bytes + 3
    codes, flags = np.empty(room, np.uint32), np.empty(room, np.uint32)
    words = (np.empty(2 * room, np.int32), np.empty(2 * room, np.int32), np.empty(2 * room, np.uint64),
             np.empty(2 * room, np.uint32))  # fmt: skip
    cuts = np.empty(2 * room, np.int32)
    num_lettered = num_proper = 0
    for row in range(is_valid.size):
        if not is_valid[row]:
            continue
        num_chars = decode_utf8(data, offsets[row], offsets[row + 1], blocks, flag_table, codes, flags)
        if num_chars == 0:
            continue
        num_words = segment_words(codes, flags, num_chars, mode, special, words, 0, cuts)
        for word in range(num_words):
            num_proper += (words[3][word] & SYMBOL) == 0
            if words[3][word] & ALPHA:
                starts[num_lettered], ends[num_lettered] = words[0][word], words[1][word]
                hashes[num_lettered] = words[2][word]
                rows[num_lettered] = row
                num_lettered += 1
    return num_lettered, num_proper
