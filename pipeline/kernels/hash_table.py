"""Strings as 64-bit hashes, and sets and numberings of them in an open-addressing table.

Two strings count as equal when their hashes are. Among m distinct strings the chance that any two collide is about
m² / 2^65: 3·10^-8 for the million distinct words of a very large document.

A table is an array of keys (uint64, 0 where free) with an array of numbers (int32) beside it, larger than needed: each
use clears and takes the power of two of slots that fits its items, so small texts stay in the first-level cache.
"""

from __future__ import annotations

import numpy as np

from pipeline.kernels.compilation import kernel

_FREE = np.uint64(0)
_ONE = np.uint64(1)
_HASH_START = np.uint64(0x51A9B5C6D7E8F901)
_HASH_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HALF_WORD = np.uint64(32)
_MIX_1, _MIX_2, _MIX_SHIFT = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(33)


@kernel
def hash_codes(codes, start, end):
    """64-bit hash of the characters ``codes[start:end]``, never 0 (which marks a free slot).

    A multiplicative chain over pairs of code points, begun with the length.
    """
    value = _HASH_START ^ np.uint64(end - start)
    for i in range(start, end - 1, 2):
        value = (value ^ (np.uint64(codes[i]) | (np.uint64(codes[i + 1]) << _HALF_WORD))) * _HASH_MULTIPLIER
        value ^= value >> _HALF_WORD
    if (end - start) & 1:
        value = (value ^ np.uint64(codes[end - 1])) * _HASH_MULTIPLIER
        value ^= value >> _HALF_WORD
    return value if value != _FREE else _ONE


@kernel
def clear_table(table_keys, num_items):
    """Empty the part of ``table_keys`` that ``num_items`` items need; returns its index mask (slots - 1).

    Args:
        table_keys: uint64, 0 where free; at least ``2 * num_items`` rounded up to a power of two.
    """
    num_slots = 4
    while num_slots < 2 * num_items:
        num_slots *= 2
    table_keys[:num_slots] = _FREE
    return np.uint64(num_slots - 1)


@kernel
def find_slot(key, table_keys, mask):
    """Slot that holds ``key`` (uint64, not 0), or the free one where it belongs."""
    slot = key ^ (key >> _MIX_SHIFT)
    slot *= _MIX_1
    slot ^= slot >> _MIX_SHIFT
    slot *= _MIX_2
    slot = (slot ^ (slot >> _MIX_SHIFT)) & mask
    while table_keys[slot] != _FREE and table_keys[slot] != key:
        slot = (slot + _ONE) & mask
    return slot


@kernel
def intern(key, new_number, table_keys, table_numbers, mask):
    """Number of ``key``; a key not met since ``clear_table`` gets ``new_number``."""
    slot = find_slot(key, table_keys, mask)
    if table_keys[slot] == _FREE:
        table_keys[slot] = key
        table_numbers[slot] = new_number
    return table_numbers[slot]
