"""Sums by cluster in any parts, empty clusters, ties; and k-means against a slow loop over documents."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline import spherical_kmeans
from pipeline.spherical_kmeans import Centroids, moved, sums_by_cluster
from pipeline.unit_vectors import quantise


def drawn(num_documents: int, dim: int = 8, seed: int = 0) -> np.ndarray:
    return quantise(np.random.default_rng(seed).normal(size=(num_documents, dim)))


def one_by_one(vectors: np.ndarray, centroids: np.ndarray) -> list[int]:
    found = []
    for vector in vectors.astype(int).tolist():
        products = [sum(x * y for x, y in zip(vector, c, strict=True)) for c in centroids.astype(int).tolist()]
        found.append(products.index(max(products)))
    return found


@pytest.mark.parametrize("centroids_at_once", [1, 3, 8192])
def test_documents_go_to_the_nearest_centroid(centroids_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spherical_kmeans, "_CENTROIDS_AT_ONCE", centroids_at_once)
    monkeypatch.setattr(spherical_kmeans, "_DOCUMENTS_AT_ONCE", 7)
    vectors, centroids = drawn(50), drawn(7, seed=1)
    centroids = np.concatenate([centroids, centroids[:2]])  # of two equal ones the first
    clusters, products = Centroids(centroids).assign(vectors)
    assert clusters.tolist() == one_by_one(vectors, centroids)
    exact = vectors.astype(np.int64) @ centroids.astype(np.int64).T
    assert products.tolist() == exact.max(axis=1).tolist()


@pytest.mark.parametrize("num_parts", [1, 4, 7])
def test_sums_do_not_depend_on_the_parts(num_parts: int) -> None:
    vectors, centroids = drawn(200), drawn(5, seed=1)
    order = np.random.default_rng(num_parts).permutation(200)
    parts = [sums_by_cluster([part], centroids) for part in np.array_split(vectors[order], num_parts)]
    added = np.zeros(centroids.shape, np.int64)
    for clusters, sums in parts:
        added[clusters] += sums
    clusters = np.array(one_by_one(vectors, centroids))
    expected = np.stack([vectors[clusters == cluster].astype(np.int64).sum(axis=0) for cluster in range(5)])
    assert np.array_equal(added, expected)


def test_a_cluster_without_documents_stays_where_it_is() -> None:
    vectors = quantise(np.array([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.0]]))
    centroids = quantise(np.array([[1.0, 0.5], [-1.0, 0.2], [0.0, -1.0]]))
    after = moved(centroids, *sums_by_cluster([vectors], centroids))
    assert after.tolist() == [[4000, 0], [-4000, 0], [0, -4000]]
    assert np.array_equal(moved(after, *sums_by_cluster([vectors], after)), after)
    empty, no_sums = sums_by_cluster([], centroids)
    assert (len(empty), no_sums.shape) == (0, (0, 2))


def test_documents_that_cancel_out_move_nothing() -> None:
    centroids = quantise(np.array([[0.0, 1.0]]))
    vectors = quantise(np.array([[1.0, 0.0], [-1.0, 0.0]]))
    assert np.array_equal(moved(centroids, *sums_by_cluster([vectors], centroids)), centroids)
