"""Clusters of embeddings on Spark: directions, centroids, and the cluster of each document.

Centroids are trained on a sample, the documents with hashes below a bound: about ``sample_per_cluster`` for each
cluster. They begin as the documents with the very smallest hashes. In each iteration tasks add up the directions of
their documents by cluster; sums meet in a shuffle by cluster, and what comes back to the driver is centroids. All
numbers that are added or compared are whole (``pipeline/spherical_kmeans.py``), so the clusters do not depend on
partitions or order.

Cost: 2 * dim * num_clusters operations per sampled document and iteration, and per document once. A task holds one
batch of documents, the centroids, and the sums: 14 bytes a centroid and dimension.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.errors import ConfigError
from pipeline.hashing import hash_keys
from pipeline.spherical_kmeans import Centroids, moved, sums_by_cluster
from pipeline.unit_vectors import MAX_DIM, cosine, quantise, squared_lengths

_PURPOSE = "dedup_semantic"
_ROWS_AT_ONCE = 1024  # a batch of embeddings takes 16 bytes a dimension and row while it is rounded


def directions(embeddings: DataFrame, seed: int) -> DataFrame:
    """Directions of embeddings.

    Args:
        embeddings: ``doc_id`` and ``embedding``, an array of floats; all of one length, or null.
        seed: of ``key``.

    Returns:
        ``doc_id``, ``vector`` (int16, little-endian) and ``key``, a hash of the doc_id, for documents with a direction.

    Raises:
        ConfigError: when computed, if an embedding has more numbers than can be compared exactly.
    """

    def convert(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for large in batches:
            for start in range(0, large.num_rows, _ROWS_AT_ONCE):
                batch = large.slice(start, _ROWS_AT_ONCE)
                batch = batch.filter(batch.column("embedding").is_valid())
                vectors = quantise(_matrix(batch.column("embedding")))
                keep = vectors.any(axis=1)
                doc_id = batch.column("doc_id").filter(pa.array(keep))
                keys = (hash_keys(seed, _PURPOSE, doc_id.to_pylist()) >> np.uint64(1)).astype(np.int64)
                columns = [doc_id, _packed(vectors[keep]), pa.array(keys)]
                yield pa.RecordBatch.from_arrays(columns, names=["doc_id", "vector", "key"])

    return embeddings.select("doc_id", "embedding").mapInArrow(convert, "doc_id string, vector binary, key long")


def train_centroids(
    documents: DataFrame, *, num_clusters: int, num_documents: int, sample_per_cluster: int, max_iterations: int
) -> np.ndarray:
    """Centroids of the documents.

    Args:
        documents: of ``directions``, read from files; read once for each iteration.
        num_documents: rows of ``documents``.
        sample_per_cluster: documents in the sample for each centroid, on average.
        max_iterations: the most; fewer if no centroid moves.

    Returns:
        Of ``quantise``, shape (num_clusters, dim), or as many as there are documents.
    """
    first = documents.orderBy("key", "doc_id").limit(num_clusters).select("vector").collect()
    centroids = np.stack([np.frombuffer(row["vector"], "<i2") for row in first])
    share = num_clusters * sample_per_cluster / num_documents
    sample = documents if share >= 1 else documents.where(F.col("key") < int(share * 2**63))
    for _ in range(max_iterations):
        found = _sums(sample, centroids).collect()
        if not found:
            break  # no hash is small enough: a sample of nothing moves nothing
        clusters = np.array([row["cluster"] for row in found], np.int64)
        directions_found = np.stack([np.frombuffer(row["direction"], "<i2") for row in found])
        after = moved(centroids, clusters, directions_found)
        if np.array_equal(after, centroids):
            break
        centroids = after
    return centroids


def assigned(documents: DataFrame, centroids: np.ndarray) -> DataFrame:
    """``doc_id``, ``cluster`` (long) and ``centroid_similarity`` (double), the cosine to its centroid."""

    def assign(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        ready, squares = Centroids(centroids), squared_lengths(centroids)
        for batch in batches:
            vectors = unpacked(batch.column("vector"))
            clusters, products = ready.assign(vectors)
            similarity = cosine(products, squared_lengths(vectors), squares[clusters])
            columns = [batch.column("doc_id"), pa.array(clusters), pa.array(similarity)]
            yield pa.RecordBatch.from_arrays(columns, names=["doc_id", "cluster", "centroid_similarity"])

    schema = "doc_id string, cluster long, centroid_similarity double"
    return documents.select("doc_id", "vector").mapInArrow(assign, schema)


def _sums(sample: DataFrame, centroids: np.ndarray) -> DataFrame:
    """``cluster`` and ``direction`` of the sum of its documents, for clusters that have some."""

    def add(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        clusters, sums = sums_by_cluster((unpacked(batch.column("vector")) for batch in batches), centroids)
        yield from _rows(clusters, sums, "sums")

    def total(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums: dict[int, np.ndarray] = {}
        for batch in batches:
            for cluster, part in zip(batch.column("cluster").to_pylist(), batch.column("sums"), strict=True):
                sums[cluster] = sums.get(cluster, 0) + np.frombuffer(part.as_buffer(), "<i8")
        for cluster, found in sums.items():
            yield from _rows(np.array([cluster]), quantise(found[None, :]), "direction")

    partial = sample.select("vector").mapInArrow(add, "cluster long, sums binary")
    return partial.repartition("cluster").mapInArrow(total, "cluster long, direction binary")


def _rows(clusters: np.ndarray, values: np.ndarray, name: str) -> Iterable[pa.RecordBatch]:
    for start in range(0, len(clusters), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        yield pa.RecordBatch.from_arrays([pa.array(clusters[part]), _packed(values[part])], names=["cluster", name])


def _matrix(embeddings: pa.ListArray) -> np.ndarray:
    """Embeddings as float32, shape (num_rows, dim)."""
    if not len(embeddings):
        return np.zeros((0, 1), np.float32)
    dim = len(embeddings[0])
    if dim > MAX_DIM:
        raise ConfigError(f"embeddings of {dim:,} numbers; expected up to {MAX_DIM:,}; choose another encoder")
    return np.asarray(embeddings.flatten().to_numpy(zero_copy_only=False), np.float32).reshape(len(embeddings), dim)


def _packed(rows: np.ndarray) -> pa.Array:
    """Each row of an array of whole numbers as bytes."""
    return pa.array([row.tobytes() for row in rows], pa.binary())


def unpacked(column: pa.Array) -> np.ndarray:
    """A column of ``_packed`` int16 rows; shape (num_rows, dim)."""
    if not len(column):
        return np.zeros((0, 1), np.int16)
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    data = np.frombuffer(column.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    return data.view("<i2").reshape(len(column), -1)
