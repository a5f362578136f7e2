"""The words that a process has met, and the rows that each of them stands for.

A word's entry is one cache line: a key of 24 bytes, the number of its rows, fastText's hash of it, and up to eight row
numbers. The key of a word of up to 24 bytes is the word itself, zeros behind it: no word holds a zero byte. A longer
word has there a hash, its length and where its bytes stand in a pool; the place being no 0, this is never mistaken for
a short word. So an entry is used only for the very same word. Rows that are too many stand in the pool as well.

Entries lie in an open-addressing table. It is bounded, and emptied when it or the pool is full.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.kernels.compilation import inlined_kernel, kernel
from pipeline.kernels.eight_bytes import eight_bytes

MAX_CACHED_WORDS = 3 << 17
MAX_CACHED_WORD_BYTES = 255
MAX_CACHED_ROWS = 256
KEY_BYTES = 24
IS_LABEL = -1  # in place of a number of rows: no word of a text
_POOL_ITEMS_PER_WORD = 8
_LINE_BYTES = 64
_WORDS, _ITEMS = 0, 1  # of used

FIRST, LENGTH, HASH, KEY = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)  # columns of a word in a block
NUM_ROWS, FASTTEXT_HASH, ROWS = np.uint64(6), np.uint64(7), np.uint64(8)  # columns of an entry's 32-bit half
_ROOM_FOR_ROWS = 8

HASH_START = np.uint64(0x51A9B5C6D7E8F901)
_HASH_MULTIPLIER, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_ZERO, _ONE, _TWO, _EIGHT = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(8)


class WordCache(NamedTuple):
    """Rows of the words met.

    Args:
        keys: uint64, shape (a power of two, 8), at least a third more than ``max_words``: three items of key, the first
            0 where the slot is free; the others are those of ``entries``.
        entries: int32, shape (the same, 16), the same memory: behind six items of key the number of rows or
            ``IS_LABEL``, fastText's hash, then the rows, or their place in the pool if they are more than eight.
        pool: int32; rows and bytes of words that do not fit an entry; item 0 is not used.
        pool_bytes: uint8; the same memory.
        used: int64, shape (2,): words, and items of the pool.
        max_words: how many words it holds.
    """

    keys: np.ndarray
    entries: np.ndarray
    pool: np.ndarray
    pool_bytes: np.ndarray
    used: np.ndarray
    max_words: int


def make_cache(max_words: int = MAX_CACHED_WORDS) -> WordCache:
    """An empty cache: for 393,216 words 46 MB, of which no more is touched than they need."""
    num_slots = 1 << (4 * max_words // 3).bit_length()
    memory = np.zeros((num_slots + 1) * _LINE_BYTES, dtype=np.uint8)
    start = -memory.ctypes.data % _LINE_BYTES
    slots = memory[start : start + num_slots * _LINE_BYTES].reshape(num_slots, _LINE_BYTES)
    pool = np.zeros(max_words * _POOL_ITEMS_PER_WORD + MAX_CACHED_WORD_BYTES + MAX_CACHED_ROWS, dtype=np.int32)
    used = np.array([0, 1], dtype=np.int64)
    return WordCache(slots.view(np.uint64), slots.view(np.int32), pool, pool.view(np.uint8), used, max_words)


@inlined_kernel
def hash_eight(value, item):
    """A hash carried on by eight bytes."""
    value = (value ^ item) * _HASH_MULTIPLIER
    return value ^ (value >> _HALF)


@inlined_kernel
def first_slot(word_hash, cache):
    """Where the entry of a word is looked for first."""
    return (word_hash * _HASH_MULTIPLIER) >> _HALF & np.uint64(len(cache.keys) - 1)


@inlined_kernel
def find_slot(data, word, cache):
    """Slot of a word, or the free one where it belongs.

    Args:
        word: uint64, shape (at least 6,): where it begins in ``data``, its length, its hash by ``hash_eight``, and its
            first 24 bytes.
    """
    keys = cache.keys
    is_long = word[LENGTH] > np.uint64(KEY_BYTES)
    slot = first_slot(word[HASH], cache)
    while True:
        first, second, third = keys[slot, _ZERO], keys[slot, _ONE], keys[slot, _TWO]
        if first == _ZERO:
            return slot
        if not is_long:
            if first == word[KEY] and second == word[KEY + _ONE] and third == word[KEY + _TWO]:
                return slot
        elif (
            first == word[HASH] | _ONE
            and second == word[LENGTH]
            and _has_bytes(data, word[FIRST], word[LENGTH], third << _TWO, cache.pool_bytes)
        ):
            return slot
        slot = (slot + _ONE) & np.uint64(len(keys) - 1)


@kernel
def _has_bytes(data, start, length, place, pool_bytes):
    """Whether the ``length`` bytes at ``place`` are those of ``data`` at ``start``; at least eight."""
    last = length - _EIGHT
    position = _ZERO
    while position < last:
        if eight_bytes(data, start + position) != eight_bytes(pool_bytes, place + position):
            return False
        position += _EIGHT
    return eight_bytes(data, start + last) == eight_bytes(pool_bytes, place + last)


@inlined_kernel
def is_free(slot, cache):
    """Whether there is no entry in a slot."""
    return cache.keys[slot, _ZERO] == _ZERO


@inlined_kernel
def copy_rows(slot, cache, rows, waiting):
    """Write an entry's rows to ``rows`` from index ``waiting`` on, eight at least: what is too much is overwritten.

    Returns:
        ``waiting`` plus their number.
    """
    num_rows = cache.entries[slot, NUM_ROWS]
    if num_rows <= _ROOM_FOR_ROWS:
        for i in range(_ROOM_FOR_ROWS):
            rows[waiting + np.uint64(i)] = cache.entries[slot, ROWS + np.uint64(i)]
        return waiting + np.uint64(max(num_rows, 0))
    place = np.uint64(cache.entries[slot, ROWS])
    for i in range(num_rows):
        rows[waiting + np.uint64(i)] = cache.pool[place + np.uint64(i)]
    return waiting + np.uint64(num_rows)


@kernel
def keep_word(data, word, slot, fasttext_hash, rows, first_row, num_rows, cache):
    """Enter a word in the free slot that ``find_slot`` gave; the cache is emptied first if it is full.

    Args:
        word: as ``find_slot`` takes it.
        rows: int32; the word's are ``rows[first_row:first_row + num_rows]``.
        num_rows: int64, or ``IS_LABEL``.
    """
    length = word[LENGTH]
    if length > np.uint64(MAX_CACHED_WORD_BYTES) or num_rows > MAX_CACHED_ROWS:
        return
    of_bytes = (np.int64(length) + 3) >> 2 if length > np.uint64(KEY_BYTES) else 0
    of_rows = num_rows if num_rows > _ROOM_FOR_ROWS else 0
    if cache.used[_WORDS] == cache.max_words or cache.used[_ITEMS] + of_bytes + of_rows > len(cache.pool):
        cache.keys[:] = _ZERO
        cache.used[_WORDS] = 0
        cache.used[_ITEMS] = 1
        slot = first_slot(word[HASH], cache)
    place = np.uint64(cache.used[_ITEMS])
    entry = cache.entries[slot]
    if of_bytes:
        cache.keys[slot, _ZERO], cache.keys[slot, _ONE], cache.keys[slot, _TWO] = word[HASH] | _ONE, length, place
        for i in range(length):
            cache.pool_bytes[(place << _TWO) + np.uint64(i)] = data[word[FIRST] + np.uint64(i)]
        place += np.uint64(of_bytes)
    else:
        for i in range(3):
            cache.keys[slot, np.uint64(i)] = word[KEY + np.uint64(i)]
    entry[NUM_ROWS] = num_rows
    entry[FASTTEXT_HASH] = fasttext_hash
    if of_rows:
        entry[ROWS] = place
        for i in range(num_rows):
            cache.pool[place + np.uint64(i)] = rows[np.uint64(first_row + i)]
    else:
        for i in range(num_rows):
            entry[ROWS + np.uint64(i)] = rows[np.uint64(first_row + i)]
    cache.used[_WORDS] += 1
    cache.used[_ITEMS] += of_bytes + of_rows
