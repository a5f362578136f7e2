"""A text's hidden vector in fastText: the mean of the rows of its words, n-grams and n-grams of words.

Most words of a text have been seen before, so the rows that a word stands for are kept (``fasttext_cache``): a look-up
takes the place of hashing every n-gram. Rows are added one by one in fastText's order, from the cache or not, so that
neither the cache nor its size can change a bit of the result. Sums of a word's rows would be fewer additions, but
another order: on pages of a megabyte, where fastText's own float32 sum is off by 1e-5, scores then differed by more
than 1e-4; and in lid.176.ftz, which is pruned, a running word has but two rows.

What takes time is waiting for memory. So words are split a block ahead, which asks for their entries of the cache;
row numbers are collected, and rows are asked for some places before they are added.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.kernels.compilation import kernel
from pipeline.kernels.eight_bytes import before_white_space, eight_bytes, fetch_ahead, first_bytes
from pipeline.kernels.fasttext_cache import (
    FASTTEXT_HASH,
    FIRST,
    HASH,
    HASH_START,
    IS_LABEL,
    KEY,
    LENGTH,
    NUM_ROWS,
    copy_rows,
    find_slot,
    first_slot,
    hash_eight,
    is_free,
    keep_word,
)
from pipeline.kernels.fasttext_ngrams import STARTS_AT_ONCE, ngram_rows, split_characters, word_ngram_rows
from pipeline.kernels.fasttext_words import END_OF_LINE_HASH, find_word, hash_bytes, is_label
from pipeline.kernels.vectors import LANES, add_rows_of_16

BLOCK_WORDS = 64
_PENDING_ROWS = 4096
_ZERO, _ONE, _TWO, _EIGHT = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(8)
_END_OF_LINE = np.uint64(int.from_bytes(b"</s>", "little"))
_END_OF_LINE_BYTES = np.uint64(4)
_MOST_IN_KEY, _ITEMS_PER_LINE = np.uint64(3), np.uint64(8)


class Scratch(NamedTuple):
    """Memory of ``hidden_vector``, overwritten by each call.

    Args:
        words: uint64, shape (BLOCK_WORDS + 1, 8): the words of a block, each as ``fasttext_cache.find_slot`` takes it.
        planes, buckets: as ``fasttext_ngrams.split_characters`` and ``ngram_rows`` take them.
        rows: int32, at least _PENDING_ROWS: row numbers that wait to be added.
        word_hashes: int32; at least the number of words and 1, if the model has n-grams of words.
    """

    words: np.ndarray
    planes: np.ndarray
    buckets: np.ndarray
    rows: np.ndarray
    word_hashes: np.ndarray


def make_scratch(longest_bytes: int, max_chars: int) -> Scratch:
    """Scratch memory for texts of up to ``longest_bytes`` and n-grams of up to ``max_chars``."""
    return Scratch(
        words=np.empty((BLOCK_WORDS + 1, 8), dtype=np.uint64),
        planes=np.empty((4, longest_bytes + 2 + STARTS_AT_ONCE + max_chars), dtype=np.uint8),
        buckets=np.empty((max_chars + 1, STARTS_AT_ONCE), dtype=np.uint32),
        rows=np.empty(_PENDING_ROWS + STARTS_AT_ONCE * max_chars, dtype=np.int32),
        word_hashes=np.empty(longest_bytes // 2 + 2, dtype=np.int32),
    )


@kernel
def _add_row(rows, row, out):
    """Add one row to ``out``; unsigned indices spare the test for negative ones, which keeps the loop from vectors."""
    number = np.uint64(row)
    for i in range(len(out)):
        out[np.uint64(i)] += rows[number, np.uint64(i)]


@kernel
def _add_rows(rows, numbers, count, out):
    """Add the rows ``numbers[:count]`` to ``out``, one after the other.

    For 16 components, as lid.176 has them, the sum stays in registers.

    Args:
        rows: float32, shape (num_rows, dim).
        numbers: int32, at least ``count``.
        out: float32, shape (dim,).
    """
    if len(out) == LANES:
        add_rows_of_16(rows, numbers, count, out)
        return
    for i in range(count):
        _add_row(rows, numbers[np.uint64(i)], out)


@kernel
def _split(data, position, end, words, cache):
    """Find words from ``position`` on, up to ``BLOCK_WORDS``, and ask for their entries of the cache.

    Returns:
        How many there are, and where the next one is looked for: at ``end`` if there are no more, or ``</s>`` was met.
    """
    num_words = _ZERO
    while num_words < np.uint64(BLOCK_WORDS) and position < end:
        first = position
        value = HASH_START
        words[num_words, KEY + _ONE] = _ZERO
        words[num_words, KEY + _TWO] = _ZERO
        part = _ZERO
        while True:
            chunk = eight_bytes(data, position)
            count = min(before_white_space(chunk), end - position)
            if count < _EIGHT:
                break
            words[num_words, KEY + min(part, _MOST_IN_KEY)] = chunk
            part += _ONE
            value = hash_eight(value, chunk)
            position += _EIGHT
        if count:
            chunk = first_bytes(chunk, count)
            words[num_words, KEY + min(part, _MOST_IN_KEY)] = chunk
            value = hash_eight(value, chunk)
            position += count
        length = position - first
        if length == _END_OF_LINE_BYTES and chunk == _END_OF_LINE:
            return num_words, end
        words[num_words, FIRST] = first
        words[num_words, LENGTH] = length
        words[num_words, HASH] = value
        fetch_ahead(cache.keys, first_slot(value, cache) * _ITEMS_PER_LINE)
        num_words += np.uint64(length > _ZERO)
        position += _ONE
    return num_words, position


@kernel
def hidden_vector(data, start, end, model, cache, scratch, hidden):
    """The hidden vector of ``data[start:end]``, read as one line.

    Args:
        hidden: float32, shape (dim,); overwritten.

    Returns:
        How many rows were added; 0 if the hidden vector means nothing.
    """
    hidden[:] = np.float32(0)
    words, rows = scratch.words, scratch.rows
    num_added = _ZERO
    num_words = 0
    waiting = _ZERO
    position, end = np.uint64(start), np.uint64(end)
    while position < end:
        in_block, position = _split(data, position, end, words, cache)
        for i in range(in_block):
            if waiting > np.uint64(_PENDING_ROWS // 2):
                _add_rows(model.rows, rows, waiting, hidden)
                num_added += waiting
                waiting = _ZERO
            word = words[np.uint64(i)]
            slot = find_slot(data, word, cache)
            if is_free(slot, cache):
                num_rows, added, waiting = _new_word(data, word, slot, model, cache, scratch, waiting, hidden)
                num_added += added
                word_hash = np.int32(word[HASH])
            else:
                num_rows = np.int64(cache.entries[slot, NUM_ROWS])
                waiting = copy_rows(slot, cache, rows, waiting)
                word_hash = cache.entries[slot, FASTTEXT_HASH]
            if model.word_ngrams > 1 and num_rows != IS_LABEL:
                scratch.word_hashes[np.uint64(num_words)] = word_hash
                num_words += 1
    return _finish(model, scratch, num_words, waiting, num_added, hidden)


@kernel
def _new_word(data, word, slot, model, cache, scratch, waiting, hidden):
    """Write down the rows of a word that is not in the cache, and enter it; ``word[HASH]`` becomes fastText's hash.

    Returns:
        Its number of rows or ``IS_LABEL``, how many rows had to be added to ``hidden`` for want of room, and how many
        wait.
    """
    first, last = np.int64(word[FIRST]), np.int64(word[FIRST] + word[LENGTH])
    word_hash = hash_bytes(data, first, last)
    entry = find_word(data, first, last, word_hash, model)
    rows = scratch.rows
    num_added = _ZERO
    first_row = waiting
    num_rows = np.int64(IS_LABEL)
    if entry < model.num_words and (entry >= 0 or not is_label(data, first, last)):
        if entry >= 0:
            rows[waiting] = entry
            waiting += _ONE
        if model.max_chars > 0:
            planes, buckets = scratch.planes, scratch.buckets
            num_chars, num_bytes = split_characters(data, first, last, planes)
            char, waiting = ngram_rows(planes, _ZERO, num_chars, num_bytes, model, buckets, rows, waiting)
            while char < num_chars:
                _add_rows(model.rows, rows, waiting, hidden)
                num_added += waiting
                char, waiting = ngram_rows(planes, char, num_chars, num_bytes, model, buckets, rows, _ZERO)
        num_rows = np.int64(waiting - first_row) if num_added == _ZERO else np.int64(0)
    if num_added == _ZERO:
        keep_word(data, word, slot, np.int32(word_hash), rows, first_row, num_rows, cache)
    word[HASH] = word_hash
    return num_rows, num_added, waiting


@kernel
def _finish(model, scratch, num_words, waiting, num_added, hidden):
    """Add what waits, ``</s>`` and the n-grams of words; divide by the number of rows, and return it."""
    rows, word_hashes = scratch.rows, scratch.word_hashes
    if model.end_of_line >= 0:
        rows[waiting] = model.end_of_line
        waiting += _ONE
    if model.word_ngrams > 1:
        word_hashes[num_words] = END_OF_LINE_HASH
        num_words += 1
        word, waiting = word_ngram_rows(word_hashes, 0, num_words, model, rows, waiting)
        while word < num_words:
            _add_rows(model.rows, rows, waiting, hidden)
            num_added += waiting
            word, waiting = word_ngram_rows(word_hashes, word, num_words, model, rows, _ZERO)
    _add_rows(model.rows, rows, waiting, hidden)
    num_rows = np.int64(num_added + waiting)
    if num_rows > 0:
        share = np.float32(1.0 / num_rows)
        for i in range(len(hidden)):
            hidden[i] *= share
    return num_rows
