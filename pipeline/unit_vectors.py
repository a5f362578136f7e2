"""Directions of embeddings in whole numbers, so that their cosines are the same on every machine.

A matrix product of floats depends in its last bits on how the BLAS library cuts it into blocks, and a document whose
similarity lies at a threshold would be kept on one machine and dropped on another. So a direction is rounded to whole
numbers, ``STEPS`` of them to the length of 1. Products and sums of these stay below 2^24, which float32 holds without
rounding: the product of two matrices is exact in whatever order it is summed, at the speed of float32.

The cosine of two rounded directions is off that of the embeddings by about 0.29 * sqrt(2) / STEPS, one part in ten
thousand, whatever the dimension; two equal embeddings have exactly 1.
"""

from __future__ import annotations

import numpy as np

STEPS = 4000
MAX_DIM = 36_000  # rounding adds at most sqrt(dim) / 2 to a length: it stays below 4,096, and products below 2^24

_OWN_ROWS, _OTHER_ROWS = 1024, 2048  # of a product at once: 33 MB


def quantise(embeddings: np.ndarray) -> np.ndarray:
    """Directions of embeddings.

    Args:
        embeddings: float, shape (num_documents, dim); dim up to ``MAX_DIM``. A row of zeros has no direction.

    Returns:
        int16, same shape; zeros where there is no direction.
    """
    exact = embeddings.astype(np.float64)
    squares = np.cumsum(exact * exact, axis=1)[:, -1:]  # term by term: np.sum may add in another order elsewhere
    lengths = np.sqrt(squares)
    return np.rint(np.divide(exact * STEPS, lengths, where=lengths > 0, out=np.zeros_like(exact))).astype(np.int16)


def squared_lengths(vectors: np.ndarray) -> np.ndarray:
    """Of each row of ``quantise``; int64, shape (num_documents,)."""
    return np.einsum("ij,ij->i", vectors, vectors, dtype=np.int64)


def cosine(products: np.ndarray, own_squares: np.ndarray, other_squares: np.ndarray) -> np.ndarray:
    """Cosines from scalar products and squared lengths, all whole numbers; float64."""
    return products / np.sqrt((own_squares * other_squares).astype(np.float64))


class Nearest:
    """For each document of a block the earlier one that is most like it; of equally like ones the first.

    Args:
        vectors: of ``quantise``, shape (num_documents, dim); none of zeros.
        positions: the documents' places in the order, int64.
        dump_indices: int64.
        reach_dumps: a document is compared with those whose dump index is less than this below its own.
    """

    def __init__(
        self, vectors: np.ndarray, positions: np.ndarray, dump_indices: np.ndarray, *, reach_dumps: int
    ) -> None:
        self._own = vectors.astype(np.float32)
        self._squares = squared_lengths(vectors)
        self._positions, self._dumps, self._reach = positions, dump_indices, reach_dumps
        self._score = np.full(len(vectors), -np.inf)
        self._products = np.zeros(len(vectors), np.int64)
        self._other_squares = np.ones(len(vectors), np.int64)
        self.positions = np.full(len(vectors), -1)
        """Place of the nearest earlier document; -1 where none was compared."""

    def compare(self, vectors: np.ndarray, positions: np.ndarray, dump_indices: np.ndarray) -> None:
        """Hold the block against other documents, of which those count that are earlier and in reach."""
        for first in range(0, len(vectors), _OTHER_ROWS):
            others = slice(first, first + _OTHER_ROWS)
            squares = squared_lengths(vectors[others])
            other = vectors[others].astype(np.float32)
            for start in range(0, len(self._own), _OWN_ROWS):
                own = slice(start, start + _OWN_ROWS)
                if positions[others].min() >= self._positions[own].max():
                    continue  # all of them later: half of a block's pairs with itself
                self._enter(own, self._own[own] @ other.T, squares, positions[others], dump_indices[others])

    def _enter(
        self, own: slice, products: np.ndarray, squares: np.ndarray, positions: np.ndarray, dumps: np.ndarray
    ) -> None:
        """The nearest of some documents into those found so far."""
        scores = products * (1 / np.sqrt(squares.astype(np.float64)))  # the own length changes no order
        if positions.max() >= self._positions[own].min():
            np.copyto(scores, -np.inf, where=positions[None, :] >= self._positions[own, None])
        if self._dumps[own].max() - dumps.min() >= self._reach:
            np.copyto(scores, -np.inf, where=self._dumps[own, None] - dumps[None, :] >= self._reach)
        rows = np.arange(len(scores))
        best = scores.argmax(axis=1)
        score, position = scores[rows, best], positions[best]
        is_nearer = (score > self._score[own]) | ((score == self._score[own]) & (position < self.positions[own]))
        is_nearer &= score > -np.inf
        self._score[own] = np.where(is_nearer, score, self._score[own])
        self.positions[own] = np.where(is_nearer, position, self.positions[own])
        self._products[own] = np.where(is_nearer, products[rows, best], self._products[own])
        self._other_squares[own] = np.where(is_nearer, squares[best], self._other_squares[own])

    @property
    def similarities(self) -> np.ndarray:
        """Cosine to it, float64; NaN where none was compared."""
        found = cosine(self._products, self._squares, self._other_squares)
        return np.where(self.positions >= 0, found, np.nan)
