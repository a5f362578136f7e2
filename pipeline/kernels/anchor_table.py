"""Anchors of n-grams in a bitmap and an open-addressing table; what anchors are says ``ngram_search.py``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from pipeline.kernels.compilation import inlined_kernel
from pipeline.kernels.hash_table import find_slot

_BITS_PER_ANCHOR = 16  # at least
_SPREAD = np.uint64(0xA0761D6478BD642F)
_ONE, _SIX, _LOW_SIX = np.uint64(1), np.uint64(6), np.uint64(63)


class AnchorTable(NamedTuple):
    """What a search looks up.

    Args:
        bitmap: uint64, a power of two of them.
        keys, numbers: uint64 and int32, a power of two: an open-addressing table from anchors to their numbers.
        bounds: int64: n-grams with anchor i are those from ``bounds[i]`` to ``bounds[i + 1]``, by length.
        num_letters, hashes, at_edges: int32, uint64, bool, shape (num_ngrams,).
        powers: uint64: ``folded_letters.BASE`` to the power of i, up to the longest n-gram.
        num_short: int64, shape (1,): anchors of 8 letters.
    """

    bitmap: np.ndarray
    keys: np.ndarray
    numbers: np.ndarray
    bounds: np.ndarray
    num_letters: np.ndarray
    hashes: np.ndarray
    at_edges: np.ndarray
    powers: np.ndarray
    num_short: np.ndarray


def table_of(anchors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``bitmap``, ``keys`` and ``numbers`` of an ``AnchorTable`` of distinct anchors, none of them 0."""
    num_slots = 4
    while num_slots < 2 * len(anchors):
        num_slots *= 2
    keys, numbers = np.zeros(num_slots, np.uint64), np.zeros(num_slots, np.int32)
    bitmap = np.zeros(max(1, num_slots // 2 * _BITS_PER_ANCHOR // 64), np.uint64)
    _fill(anchors, keys, numbers, bitmap)
    return bitmap, keys, numbers


@inlined_kernel
def bit_of(key, num_words):
    """Which bit of a bitmap of ``num_words`` 64-bit words stands for an anchor: the word's index, and the bit in it."""
    spread = key * _SPREAD
    spread ^= spread >> np.uint64(29)
    return np.int64((spread >> _SIX) & np.uint64(num_words - 1)), spread & _LOW_SIX


@njit(nogil=True, cache=True)
def _fill(anchors, keys, numbers, bitmap):
    mask = np.uint64(keys.size - 1)
    for i in range(anchors.size):
        slot = find_slot(anchors[i], keys, mask)
        keys[slot] = anchors[i]
        numbers[slot] = i
        word, bit = bit_of(anchors[i], bitmap.size)
        bitmap[word] |= _ONE << bit
