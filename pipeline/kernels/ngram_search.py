"""N-grams of words looked for in texts, by the hashes of their letters.

An n-gram is a run of letters (``folded_letters.py``), since the words of a text that was set anew need not be the words
of the original. Its length in letters varies, so the search has two levels. Its *anchor* is the hash of its first 16
letters (8, if it has fewer than 16). A text is read once; at each letter the hashes of the next 16 and 8 are looked up
in a bitmap with 16 bits or more an anchor, and what passes, one place in 16 at most, in a table of anchors. Only behind
an anchor that is there are the hashes of whole n-grams compared, one for each length that n-grams with it have. So the
cost hardly depends on how many n-grams there are, as long as the bitmap stays in the cache: 1 MB for half a million.

Every n-gram of 8 letters or more is found wherever its letters stand, and nothing else is, but by a collision of 64-bit
hashes: at a given letter with a chance of at most (n-grams with that anchor) / 2^64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from pipeline.kernels.anchor_table import AnchorTable, bit_of
from pipeline.kernels.arrow_text import TextBuffers
from pipeline.kernels.compilation import inlined_kernel, kernel
from pipeline.kernels.folded_letters import (
    BASE,
    LETTERS_PER_BYTE,
    end_of_letter,
    fold_tables,
    hash_letters,
    inside_word,
    word_starts,
)
from pipeline.kernels.hash_table import find_slot

LONG_ANCHOR, SHORT_ANCHOR = 16, 8
MIN_LETTERS = SHORT_ANCHOR
_SHORT = np.uint64(0xD6E8FEB86659FD93)
_ONE = np.uint64(1)


class NgramSpans(NamedTuple):
    """N-grams of passages, in their order.

    Args:
        passages: int32: number of the passage.
        hashes: uint64: of its letters.
        num_letters: int32.
        anchors: uint64, never 0.
        at_edges: bool: it counts only where it begins and ends with words of the text: a whole passage that has too few
            words for an n-gram, or an n-gram with less than two letters a word ("0 1 2 3 4" is not "01234").
    """

    passages: np.ndarray
    hashes: np.ndarray
    num_letters: np.ndarray
    anchors: np.ndarray
    at_edges: np.ndarray


class Hits(NamedTuple):
    """Where n-grams stand: row, first byte and end (from the row's first), number of the n-gram; by all of these."""

    rows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    ngrams: np.ndarray


def powers_of_base(most: int) -> np.ndarray:
    """``BASE`` to the power of 0 to ``most``, modulo 2^64."""
    powers = np.full(most + 1, BASE, dtype=np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)


def ngram_spans(passages: TextBuffers, *, ngram_words: int, min_words: int) -> tuple[NgramSpans, np.ndarray]:
    """The n-grams of evaluation passages.

    Args:
        ngram_words: words in an n-gram.
        min_words: a passage with fewer words than ``ngram_words``, but as many as this, is one n-gram as a whole.

    Returns:
        The n-grams (a passage may have equal ones; none of fewer than ``MIN_LETTERS`` letters), and how many words each
        passage has, int64.
    """
    most = int(np.diff(passages.offsets).max(initial=0))
    num_words = np.zeros(len(passages.is_valid), np.int64)
    room = int(np.diff(passages.offsets).sum()) + 1  # an n-gram begins at a word, a word takes a byte
    out = NgramSpans(*(np.empty(room, kind) for kind in (np.int32, np.uint64, np.int32, np.uint64, np.bool_)))
    powers = powers_of_base(LETTERS_PER_BYTE * most + SHORT_ANCHOR)
    num = _collect(*passages, fold_tables(), ngram_words, min_words, most, powers, num_words, out)
    return NgramSpans(*(column[:num].copy() for column in out)), num_words


def find_ngrams(text: TextBuffers, table: AnchorTable) -> Hits:
    """Every place where an n-gram of ``table`` stands in ``text``."""
    most = int(np.diff(text.offsets)[text.is_valid].max(initial=0))
    room = 1024
    while True:
        found = (np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int32))
        num = _search(*text, fold_tables(), table, most, *found)
        if num <= room:
            break
        room = num
    rows, starts, ends, ngrams = (column[:num] for column in found)
    order = np.lexsort((ngrams, ends, starts, rows))
    return Hits(rows[order], starts[order], ends[order], ngrams[order])


@inlined_kernel
def _run_hash(prefixes, first, num_letters, powers):
    """Hash of ``num_letters`` letters from ``first`` on."""
    return prefixes[first + num_letters] - prefixes[first] * powers[num_letters]


@inlined_kernel
def _as_anchor(value, num_letters):
    """Key of an anchor: anchors of the two lengths share a table, and 0 is no key."""
    key = value if num_letters == LONG_ANCHOR else value ^ _SHORT
    return key if key != 0 else _ONE


@njit(nogil=True, cache=True)
def _collect(data, offsets, is_valid, tables, ngram_words, min_words, most, powers, num_words, out):
    passages, hashes, num_letters, anchors, at_edges = out
    prefixes, places = np.empty(LETTERS_PER_BYTE * most + 2, np.uint64), np.empty(LETTERS_PER_BYTE * most + 2, np.int32)
    starts = np.empty(most + 1, np.int32)
    written = 0
    for row in range(is_valid.size):
        if not is_valid[row]:
            continue
        length = hash_letters(data, offsets[row], offsets[row + 1], tables, prefixes, places)
        words = word_starts(data, offsets[row], offsets[row + 1], tables, starts)
        starts[words] = length
        num_words[row] = words
        if words < min_words:
            continue
        width = min(words, ngram_words)
        for i in range(words - width + 1):
            run = starts[i + width] - starts[i]
            if run < MIN_LETTERS:
                continue
            anchor = LONG_ANCHOR if run >= LONG_ANCHOR else SHORT_ANCHOR
            passages[written] = row
            hashes[written] = _run_hash(prefixes, starts[i], run, powers)
            num_letters[written] = run
            anchors[written] = _as_anchor(_run_hash(prefixes, starts[i], anchor, powers), anchor)
            at_edges[written] = words < ngram_words or run < 2 * width
            written += 1
    return written


@njit(nogil=True, cache=True)
def _search(data, offsets, is_valid, tables, table, most, rows, starts, ends, ngrams):
    """Write hits as long as there is room; returns how many there are."""
    prefixes, places = np.empty(LETTERS_PER_BYTE * most + 2, np.uint64), np.empty(LETTERS_PER_BYTE * most + 2, np.int32)
    num_found = 0
    for row in range(is_valid.size):
        if not is_valid[row]:
            continue
        begin, stop = offsets[row], offsets[row + 1]
        length = hash_letters(data, begin, stop, tables, prefixes, places)
        for anchor_letters in (LONG_ANCHOR, SHORT_ANCHOR):
            if anchor_letters == SHORT_ANCHOR and table.num_short[0] == 0:
                continue
            power = table.powers[anchor_letters]
            for first in range(length - anchor_letters + 1):
                anchor = _as_anchor(prefixes[first + anchor_letters] - prefixes[first] * power, anchor_letters)
                word, bit = bit_of(anchor, table.bitmap.size)
                if not (table.bitmap[word] >> bit) & _ONE:
                    continue
                num_found = _compare(
                    data, begin, stop, tables, table, prefixes, places, length, first, anchor,
                    row, rows, starts, ends, ngrams, num_found,
                )  # fmt: skip
    return num_found


@kernel
def _compare(
    data,
    begin,
    stop,
    tables,
    table,
    prefixes,
    places,
    length,
    first,
    anchor,
    row,
    rows,
    starts,
    ends,
    ngrams,
    num_found,
):
    """Enter the n-grams that stand at letter ``first``, whose anchor may be a known one; returns the new number."""
    slot = find_slot(anchor, table.keys, np.uint64(table.keys.size - 1))
    if table.keys[slot] != anchor:
        return num_found
    number = table.numbers[slot]
    run = 0
    value = np.uint64(0)
    for ngram in range(table.bounds[number], table.bounds[number + 1]):
        if table.num_letters[ngram] != run:
            run = table.num_letters[ngram]
            if first + run > length:
                break  # and so are those that follow
            value = _run_hash(prefixes, first, run, table.powers)
        if table.hashes[ngram] != value:
            continue
        start = begin + places[first]
        end = end_of_letter(data, begin + places[first + run - 1], stop, tables)
        if table.at_edges[ngram] and (
            inside_word(data, start, begin, stop, tables) or inside_word(data, end, begin, stop, tables)
        ):
            continue
        if num_found < rows.size:
            rows[num_found] = row
            starts[num_found] = start - begin
            ends[num_found] = end - begin
            ngrams[num_found] = ngram
        num_found += 1
    return num_found
