"""Winnowing: a sparse, content-defined choice among the n-grams of token sequences, so that equal passages choose
alike.

Of a passage of ``min_tokens`` = N tokens, the k-grams (k = N - w + 1) begin at w places. Each passage *selects* the
k-gram with the smallest hash among its w, the rightmost of equal ones: its *anchor*. The choice depends on nothing
but the passage, so

* two equal passages of N tokens select equal anchors at equal distances from their beginnings, and therefore
* a passage whose anchor occurs once in the corpus occurs once itself.

Neighbouring passages mostly select the same anchor: in text without repetition, one k-gram of (w + 1) / 2 is
selected. ``select_anchors`` gives the anchors of documents, and ``candidate_passages`` the passages whose anchor was
found to be repeated, with a hash of all their N tokens. One exact comparison of those hashes finds every repeat of N
tokens or more.

Hashes are polynomials over the tokens' mixed hashes modulo 2^64, with an odd base for each length, and mixed at the
end. Windows that differ in one token never collide before the mixing; others do so with a chance of 2^-64. Rolling
one on costs two multiplications. The minimum of w is looked for again only when it leaves its window. O(tokens) for
hashes in random order; O(tokens · w) at worst.

Source: Schleimer, Wilkerson, Aiken, "Winnowing: Local Algorithms for Document Fingerprinting", SIGMOD 2003: their
guarantee threshold t is N here, their noise threshold k. Deviation: of equal minima always the rightmost is taken
(their first definition), not the one chosen before ("robust winnowing"), which would not be a function of the passage
alone.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.kernels.compilation import kernel
from pipeline.kernels.sorted_hashes import contains_hash
from pipeline.kernels.word_hashes import mix64

_ANCHOR_BASE = np.uint64(0xC2B2AE3D27D4EB4F)
_PASSAGE_BASE = np.uint64(0x9FB21C651E98DF25)


def select_anchors(
    hashes: np.ndarray, bounds: np.ndarray, keys: np.ndarray, *, min_tokens: int, window_tokens: int
) -> np.ndarray:
    """Anchors that the passages of documents select, each place once, in order.

    Args:
        hashes: uint64, mixed hashes of tokens.
        bounds: int64, shape (num_documents + 1,): tokens of document i are ``hashes[bounds[i]:bounds[i + 1]]``.
        keys: uint64, shape (num_documents,): documents with different keys share no hash.
        min_tokens: N, tokens in a passage. A document with fewer has none.
        window_tokens: w, from 1 to N.

    Returns:
        uint64, shape (num_anchors,).
    """
    out = np.empty(len(hashes), np.uint64)
    return out[: _select_all(hashes, bounds, keys, min_tokens, window_tokens, out)]


def candidate_passages(
    hashes: np.ndarray,
    bounds: np.ndarray,
    keys: np.ndarray,
    repeated: np.ndarray,
    *,
    min_tokens: int,
    window_tokens: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Passages whose anchor is among ``repeated``.

    Args:
        repeated: uint64, sorted; the other arguments as in ``select_anchors``.

    Returns:
        ``begins``, int64: where the passages begin in ``hashes``, ascending; ``passages``, uint64: their hashes.
    """
    begins, passages = np.empty(len(hashes), np.int64), np.empty(len(hashes), np.uint64)
    num = _find_all(hashes, bounds, keys, repeated, min_tokens, window_tokens, begins, passages)
    return begins[:num], passages[:num]


@kernel
def _roll(tokens, length, base, key, out):
    """Write the hash of every ``length`` tokens in a row to ``out``; returns how many there are."""
    num_grams = tokens.size - length + 1
    if num_grams <= 0:
        return 0
    leaving = np.uint64(1)
    value = np.uint64(0)
    for i in range(length):
        value = value * base + tokens[i]
        leaving *= base
    out[0] = mix64(value ^ key)
    for i in range(1, num_grams):
        value = value * base + tokens[i + length - 1] - leaving * tokens[i - 1]
        out[i] = mix64(value ^ key)
    return num_grams


@kernel
def _rightmost_smallest(grams, first, end):
    """Place of the smallest of ``grams[first:end]``."""
    best = first
    for i in range(first + 1, end):
        if grams[i] <= grams[best]:
            best = i
    return best


@kernel
def _next_selected(grams, begin, window, selected):
    """Place that the passage beginning at ``begin`` selects; ``selected`` is that of the passage before, or -1."""
    last = begin + window - 1
    if selected < begin:
        return _rightmost_smallest(grams, begin, begin + window)
    return last if grams[last] <= grams[selected] else selected


@njit(nogil=True, cache=True)
def _select_all(hashes, bounds, keys, length, window, out):
    most_tokens = np.diff(bounds).max() if keys.size else 0
    grams = np.empty(most_tokens, np.uint64)
    num_anchors = 0
    for row in range(keys.size):
        tokens = hashes[bounds[row] : bounds[row + 1]]
        num_passages = tokens.size - length + 1
        if num_passages <= 0:
            continue
        _roll(tokens, length - window + 1, _ANCHOR_BASE, keys[row], grams)
        selected = -1
        for begin in range(num_passages):
            before = selected
            selected = _next_selected(grams, begin, window, before)
            if selected != before:
                out[num_anchors] = grams[selected]
                num_anchors += 1
    return num_anchors


@njit(nogil=True, cache=True)
def _find_all(hashes, bounds, keys, repeated, length, window, begins, passages):
    most_tokens = np.diff(bounds).max() if keys.size else 0
    grams, whole = np.empty(most_tokens, np.uint64), np.empty(most_tokens, np.uint64)
    num_found = 0
    for row in range(keys.size):
        tokens = hashes[bounds[row] : bounds[row + 1]]
        num_passages = tokens.size - length + 1
        if num_passages <= 0:
            continue
        _roll(tokens, length - window + 1, _ANCHOR_BASE, keys[row], grams)
        has_rolled = False
        selected = -1
        is_repeated = False
        for begin in range(num_passages):
            before = selected
            selected = _next_selected(grams, begin, window, before)
            if selected != before:
                is_repeated = contains_hash(repeated, grams[selected])
            if is_repeated:
                if not has_rolled:  # most documents have no candidate
                    _roll(tokens, length, _PASSAGE_BASE, keys[row], whole)
                    has_rolled = True
                begins[num_found] = bounds[row] + begin
                passages[num_found] = whole[begin]
                num_found += 1
    return num_found
