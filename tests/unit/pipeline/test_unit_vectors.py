"""Directions in whole numbers: exact products, cosines close to the true ones, the nearest earlier document."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.unit_vectors import MAX_DIM, STEPS, Nearest, cosine, quantise, squared_lengths


def exact_cosine(left: np.ndarray, right: np.ndarray) -> float:
    """In Python's whole numbers."""
    a, b = left.tolist(), right.tolist()
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


@pytest.mark.parametrize("dim", [3, 64, 768])
def test_cosines_are_close_to_those_of_the_embeddings(dim: int) -> None:
    draw = np.random.default_rng(dim)
    left = draw.normal(size=(300, dim)).astype(np.float32)
    right = (left + draw.normal(size=left.shape) * np.linspace(0, 2, 300)[:, None]).astype(np.float32)
    a, b = quantise(left), quantise(right)
    products = np.einsum("ij,ij->i", a, b, dtype=np.int64)
    found = cosine(products, squared_lengths(a), squared_lengths(b))
    lengths = np.linalg.norm(left.astype(float), axis=1) * np.linalg.norm(right.astype(float), axis=1)
    true = (left.astype(float) * right).sum(axis=1) / lengths
    assert np.abs(found - true).max() < 5e-4
    assert found[0] == 1.0  # equal embeddings, exactly


def test_no_product_leaves_the_whole_numbers_of_float32() -> None:
    """Products of two directions are at most the larger squared length; rounding lengthens all terms at worst."""
    longest = STEPS + math.sqrt(MAX_DIM) / 2
    assert longest**2 < 2**24
    even = quantise(np.full((1, MAX_DIM), 1e-20, np.float32))
    assert squared_lengths(even)[0] < 2**24
    draw = np.random.default_rng(0)
    vectors = quantise(draw.normal(size=(200, 768)))
    whole = vectors.astype(np.int64) @ vectors.T.astype(np.int64)
    as_floats = vectors.astype(np.float32) @ vectors.T.astype(np.float32)
    shuffled = draw.permutation(768)  # another order of summation
    again = vectors[:, shuffled].astype(np.float32) @ vectors[:, shuffled].T.astype(np.float32)
    assert np.array_equal(as_floats, whole)
    assert np.array_equal(again, whole)


def test_what_has_no_direction_is_zeros() -> None:
    assert not quantise(np.zeros((1, 4), np.float32)).any()
    assert quantise(np.array([[0, -2.5]], np.float32)).tolist() == [[0, -STEPS]]


@given(
    st.integers(1, 40),
    st.integers(1, 3),
    st.integers(1, 4),
    st.lists(st.integers(1, 39), max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_nearest_is_the_best_of_all_earlier_ones(
    num_documents: int, num_dumps: int, reach_dumps: int, cuts: list[int], seed: int
) -> None:
    """Against all pairs one by one, for any cut of the others into batches, in any order; few values give many ties."""
    draw = np.random.default_rng(seed)
    vectors = quantise(draw.integers(0, 3, size=(num_documents, 3)) + np.array([0, 0, 1]))
    dumps = np.sort(draw.integers(0, num_dumps, num_documents))
    positions = np.arange(num_documents)
    first_own = int(draw.integers(0, num_documents))
    own = slice(first_own, num_documents)
    nearest = Nearest(vectors[own], positions[own], dumps[own], reach_dumps=reach_dumps)
    batches = np.split(positions, sorted({cut for cut in cuts if cut < num_documents}))
    for number in draw.permutation(len(batches)):
        batch = batches[number]
        nearest.compare(vectors[batch], positions[batch], dumps[batch])
    for row, position in enumerate(range(first_own, num_documents)):
        in_reach = [other for other in range(position) if dumps[position] - dumps[other] < reach_dumps]
        if not in_reach:
            assert nearest.positions[row] == -1
            assert np.isnan(nearest.similarities[row])
            continue
        cosines = [exact_cosine(vectors[position], vectors[other]) for other in in_reach]
        assert nearest.similarities[row] == pytest.approx(max(cosines), abs=1e-12)
        assert cosines[in_reach.index(int(nearest.positions[row]))] == pytest.approx(max(cosines), abs=1e-12)
        same = [other for other in in_reach if np.array_equal(vectors[other], vectors[nearest.positions[row]])]
        assert nearest.positions[row] == min(same)
