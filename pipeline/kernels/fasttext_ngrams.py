"""Rows of the input matrix for fastText's n-grams: of the characters of a word, and of the words of a text.

Character n-grams are hashed with ``<`` and ``>`` at a word's ends; n-grams of words from the words' hashes. A hash
modulo the number of buckets is a bucket, and each bucket has a row, but in a pruned model, where 98 of 100 have none.

An n-gram's hash is carried on from the n-gram that it prolongs, where fastText hashes each from its beginning, and
those of sixteen neighbouring beginnings are carried on together, in vector registers. In a pruned model one bit of a
table says if a bucket has a row; as rows are in the order of the buckets, the row is the number of bits before it. Both
tables of lid.176.ftz are 380 kB; one of rows by bucket would be 8 MB, a cache miss for each row.

Source: fastText 0.9, ``dictionary.cc``: ``computeSubwords``, ``addWordNgrams``, ``pushHash``.
"""

from __future__ import annotations

import numpy as np

from pipeline.kernels.compilation import inlined_kernel, kernel
from pipeline.kernels.eight_bytes import count_bits
from pipeline.kernels.fasttext_words import HASH_MULTIPLIER, HASH_START
from pipeline.kernels.vectors import LANES, hash_16, remainder_16

STARTS_AT_ONCE = LANES
_WORD_HASH_MULTIPLIER = np.uint64(116049371)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_ZERO, _ONE, _THREE = np.uint64(0), np.uint64(1), np.uint64(3)
_SIXTH, _PLACE_MASK = np.uint64(6), np.uint64(63)
_BEGIN, _END = np.uint8(ord("<")), np.uint8(ord(">"))


@inlined_kernel
def _is_kept(bucket, model):
    """Whether a hash bucket (uint64) of a pruned model has a row; uint64, 0 or 1."""
    return (model.kept_buckets[bucket >> _SIXTH] >> (bucket & _PLACE_MASK)) & _ONE


@inlined_kernel
def _kept_row(bucket, model):
    """Row of a hash bucket (uint64) that has one: rows of buckets are in the buckets' order."""
    before = model.kept_buckets[bucket >> _SIXTH] & ((_ONE << (bucket & _PLACE_MASK)) - _ONE)
    return model.kept_before[bucket >> _SIXTH] + np.int32(count_bits(before))


@kernel
def split_characters(data, start, end, planes):
    """Lay out the characters of the word ``data[start:end]``, with ``<`` and ``>`` at its ends.

    Args:
        planes: uint8, shape (4, at least ``end - start + 2 + STARTS_AT_ONCE``): receives the first, second, third and
            fourth byte of each character; 0 where it has no such byte.

    Returns:
        Number of characters, and bytes of the longest one; uint64.
    """
    joined = np.uint8(0)
    for i in range(start, end):
        byte = data[np.uint64(i)]
        planes[0, np.uint64(i - start + 1)] = byte
        joined |= byte
    planes[0, 0] = _BEGIN
    num_chars = np.uint64(end - start + 1)
    widest = _ZERO
    if joined >= 0x80:
        planes[1:, : end - start + 2 + STARTS_AT_ONCE] = 0
        num_chars = width = _ZERO
        for i in range(start, end):
            byte = data[np.uint64(i)]
            begins_one = byte & 0xC0 != 0x80
            num_chars += np.uint64(begins_one)
            width = _ZERO if begins_one else min(width + _ONE, _THREE)
            planes[width, num_chars] = byte
            widest = max(widest, width)
        num_chars += _ONE
    planes[0, num_chars] = _END
    return num_chars + _ONE, widest + _ONE


@kernel
def ngram_rows(planes, first_char, num_chars, num_bytes, model, buckets, rows, num_rows):
    """Write the rows of n-grams that begin at characters ``first_char`` on, as long as ``rows`` has room.

    N-grams of neighbouring beginnings are hashed together, in vector registers. A bucket is written down before it is
    known if it was pruned: the next one then takes its place. So no branch depends on what a hash came to.

    Args:
        planes, num_chars, num_bytes: as ``split_characters`` leaves them.
        buckets: uint32, shape (at least ``max_chars + 1``, STARTS_AT_ONCE); overwritten.
        rows: int32; ``num_rows`` of them are taken.

    Returns:
        The character at which to go on, ``num_chars`` or more when all is done, and how many rows are taken.
    """
    min_chars, max_chars = np.uint64(model.min_chars), np.uint64(model.max_chars)
    is_pruned = model.buckets_pruned != 0
    first_row = num_rows
    first = first_char
    while first < num_chars and num_rows + max_chars * np.uint64(STARTS_AT_ONCE) < np.uint64(len(rows)):
        _hash_ngrams(planes, first, num_chars, num_bytes, model, buckets)
        for i in range(min(np.uint64(STARTS_AT_ONCE), num_chars - first)):
            start = first + np.uint64(i)
            shortest = min_chars
            if min_chars == _ONE and (start == _ZERO or start + _ONE == num_chars):  # neither "<" nor ">" alone
                shortest = min_chars + _ONE
            for size in range(shortest, min(max_chars, num_chars - start) + _ONE):
                bucket = np.uint64(buckets[np.uint64(size), np.uint64(i)])
                rows[num_rows] = np.int32(bucket)
                num_rows += _is_kept(bucket, model) if is_pruned else _ONE
        first += np.uint64(STARTS_AT_ONCE)
    for i in range(first_row, num_rows):
        place = np.uint64(i)
        rows[place] = _kept_row(np.uint64(rows[place]), model) if is_pruned else rows[place] + model.num_words
    return first, num_rows


@inlined_kernel
def _hash_ngrams(planes, first, num_chars, num_bytes, model, buckets):
    """Hash buckets of the n-grams that begin at ``STARTS_AT_ONCE`` characters, by their length in characters.

    Item 0 of ``buckets`` holds the hashes.
    """
    divisor = np.uint32(model.num_buckets)
    inverse = np.uint32(_LOW // np.uint64(divisor))
    hashes = buckets[0]
    for i in range(STARTS_AT_ONCE):
        hashes[np.uint64(i)] = HASH_START
    row_bytes = np.uint64(planes.shape[1])
    for size in range(_ONE, min(np.uint64(model.max_chars), num_chars - first) + _ONE):
        last = first + np.uint64(size) - _ONE
        hash_16(hashes, planes, last, HASH_MULTIPLIER, True)
        for part in range(_ONE, num_bytes):
            hash_16(hashes, planes, np.uint64(part) * row_bytes + last, HASH_MULTIPLIER, False)
        if size >= model.min_chars:
            remainder_16(hashes, divisor, inverse, buckets, np.uint64(size) * np.uint64(STARTS_AT_ONCE))


@kernel
def word_ngram_rows(word_hashes, first_word, num_words, model, rows, num_rows):
    """Write the rows of n-grams of words (2 to ``word_ngrams``), as long as ``rows`` has room.

    Args:
        word_hashes: int32 (fastText extends their sign), at least ``num_words``.
        rows: int32; ``num_rows`` of them are taken.

    Returns:
        The word at which to go on, ``num_words`` when all is done, and how many rows are taken.
    """
    divisor = np.uint64(model.num_buckets)
    first = first_word
    while first < num_words and num_rows + np.uint64(model.word_ngrams) < len(rows):
        value = np.uint64(np.int64(word_hashes[np.uint64(first)]))
        for last in range(first + 1, min(num_words, first + model.word_ngrams)):
            value = value * _WORD_HASH_MULTIPLIER + np.uint64(np.int64(word_hashes[np.uint64(last)]))
            bucket = value % divisor
            if model.buckets_pruned == 0:
                rows[num_rows] = np.int32(model.num_words + np.int64(bucket))
                num_rows += _ONE
            elif _is_kept(bucket, model):
                rows[num_rows] = _kept_row(bucket, model)
                num_rows += _ONE
        first += 1
    return first, num_rows
