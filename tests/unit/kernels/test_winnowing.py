"""Anchors and passages against winnowing spelt out with Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.winnowing import candidate_passages, select_anchors

MASK = (1 << 64) - 1
ANCHOR_BASE, PASSAGE_BASE = 0xC2B2AE3D27D4EB4F, 0x9FB21C651E98DF25


def mix(value: int) -> int:
    """MurmurHash3's 64-bit finaliser."""
    value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCD & MASK
    value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53 & MASK
    return value ^ (value >> 33)


def gram(tokens: list[int], base: int, key: int) -> int:
    value = 0
    for token in tokens:
        value = (value * base + token) & MASK
    return mix(value ^ key)


def selections(tokens: list[int], key: int, length: int, window: int) -> list[int]:
    """For each passage of ``length`` tokens the place of the anchor that it selects."""
    size = length - window + 1
    grams = [gram(tokens[i : i + size], ANCHOR_BASE, key) for i in range(len(tokens) - size + 1)]
    return [
        min(range(begin, begin + window), key=lambda place: (grams[place], -place))
        for begin in range(len(tokens) - length + 1)
    ]


def flat(documents: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    bounds = np.cumsum([0, *map(len, documents)])
    return np.array([token for tokens in documents for token in tokens], np.uint64), bounds.astype(np.int64)


DOCUMENTS = st.lists(
    st.lists(st.sampled_from([7, MASK, 1 << 63]), max_size=40) | st.lists(st.integers(0, MASK), max_size=40), max_size=4
)


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, st.integers(1, 8), st.data())
def test_anchors_and_passages_are_those_of_the_definition(documents, length, data):
    window = data.draw(st.integers(1, length))
    keys = data.draw(st.lists(st.integers(0, MASK), min_size=len(documents), max_size=len(documents)))
    hashes, bounds = flat(documents)
    sizes = {"min_tokens": length, "window_tokens": window}
    anchors, passages = [], []
    for number, (tokens, key) in enumerate(zip(documents, keys, strict=True)):
        size = length - window + 1
        chosen = selections(tokens, key, length, window)
        own = [gram(tokens[place : place + size], ANCHOR_BASE, key) for place in chosen]
        anchors += [own[i] for i in range(len(chosen)) if i == 0 or chosen[i] != chosen[i - 1]]
        passages += [
            (int(bounds[number]) + begin, gram(tokens[begin : begin + length], PASSAGE_BASE, key), anchor)
            for begin, anchor in enumerate(own)
        ]
    key_array = np.array(keys, np.uint64)
    assert select_anchors(hashes, bounds, key_array, **sizes).tolist() == anchors
    repeated = sorted(set(anchors))[::2]
    begins, found = candidate_passages(hashes, bounds, key_array, np.array(repeated, np.uint64), **sizes)
    expected = [(begin, passage) for begin, passage, anchor in passages if anchor in set(repeated)]
    assert list(zip(begins.tolist(), found.tolist(), strict=True)) == expected


@pytest.mark.parametrize(("length", "window"), [(50, 26), (50, 50), (20, 5)])
def test_one_place_of_half_a_window_is_selected(length, window):
    hashes = np.random.default_rng(3).integers(0, MASK, 200_000, dtype=np.uint64, endpoint=True)
    anchors = select_anchors(
        hashes, np.array([0, len(hashes)]), np.zeros(1, np.uint64), min_tokens=length, window_tokens=window
    )
    assert len(hashes) / len(anchors) == pytest.approx((window + 1) / 2, rel=0.03)


def test_documents_without_a_passage_have_no_anchor():
    hashes, bounds = flat([[], [1, 2], [1, 2, 3]])
    keys = np.zeros(3, np.uint64)
    assert len(select_anchors(hashes, bounds, keys, min_tokens=3, window_tokens=2)) == 1
    assert len(select_anchors(hashes, bounds, keys, min_tokens=4, window_tokens=2)) == 0
    assert len(select_anchors(*flat([]), keys[:0], min_tokens=4, window_tokens=2)) == 0
