"""Spherical k-means on directions in whole numbers (``pipeline/unit_vectors.py``): one step, in parts that add up.

A document belongs to the centroid with the largest scalar product, of equal ones the first. The new centroid is the
direction of the sum of its documents. Sums are int64, so they are the same however the documents are cut into parts
and in whatever order parts are added; centroids are rounded like documents. So the result depends on the documents and
the first centroids alone, and an iteration that changes no centroid is the last that would.

Cost of a step: 2 * num_documents * num_clusters * dim operations, in float32.

Source: Dhillon, Modha, "Concept decompositions for large sparse text data using clustering", 2001.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.sparse import csr_array

from pipeline.unit_vectors import quantise

_CENTROIDS_AT_ONCE = 8192  # with 1,024 documents, 34 MB of products
_DOCUMENTS_AT_ONCE = 1024
_SUMMED_AT_ONCE = 4096  # times STEPS is below 2^24: sums of so many are exact in float32


class Centroids:
    """Centroids, ready to have documents assigned.

    Args:
        vectors: of ``quantise``, shape (num_clusters, dim).
    """

    def __init__(self, vectors: np.ndarray) -> None:
        self._vectors = vectors.astype(np.float32)

    def assign(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cluster of each document, and the scalar product with its centroid; both int64.

        Args:
            vectors: of ``quantise``, shape (num_documents, dim).
        """
        clusters = np.zeros(len(vectors), np.int64)
        products = np.full(len(vectors), -np.inf)
        for start in range(0, len(vectors), _DOCUMENTS_AT_ONCE):
            here = slice(start, start + _DOCUMENTS_AT_ONCE)
            own = vectors[here].astype(np.float32)
            rows = np.arange(len(own))
            for first in range(0, len(self._vectors), _CENTROIDS_AT_ONCE):
                found = own @ self._vectors[first : first + _CENTROIDS_AT_ONCE].T
                best = found.argmax(axis=1)
                is_nearer = found[rows, best] > products[here]
                clusters[here] = np.where(is_nearer, best + first, clusters[here])
                products[here] = np.where(is_nearer, found[rows, best], products[here])
        return clusters, products.astype(np.int64)


def sums_by_cluster(batches: Iterable[np.ndarray], centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the documents of each cluster.

    Args:
        batches: of documents, each of ``quantise``.
        centroids: likewise, shape (num_clusters, dim).

    Returns:
        Numbers of the clusters that have documents, ascending, and the sums; int64, shapes (num_found,) and
        (num_found, dim).
    """
    ready = Centroids(centroids)
    sums = np.zeros(centroids.shape, np.int64)
    has_documents = np.zeros(len(centroids), bool)
    for vectors in batches:
        for start in range(0, len(vectors), _SUMMED_AT_ONCE):
            here = vectors[start : start + _SUMMED_AT_ONCE].astype(np.float32)
            found, places = np.unique(ready.assign(here)[0], return_inverse=True)
            members = csr_array((np.ones(len(here), np.float32), (places, np.arange(len(here)))))
            sums[found] += (members @ here).astype(np.int64)
            has_documents[found] = True
    found = np.flatnonzero(has_documents)
    return found, sums[found]


def moved(centroids: np.ndarray, clusters: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """The next centroids: those of ``clusters`` into the directions of ``sums``.

    One without documents, or whose documents add up to nothing, stays where it is.
    """
    directions = quantise(sums)
    has_direction = directions.any(axis=1)
    result = centroids.copy()
    result[clusters[has_direction]] = directions[has_direction]
    return result
