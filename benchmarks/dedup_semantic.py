"""Semantic deduplication of made embeddings: speed of its parts, the whole job on Spark, and recall against all pairs.

    OPENBLAS_NUM_THREADS=1 python benchmarks/dedup_semantic.py [--documents 50000] [--dim 384] [--clusters 50]
        [--recall-documents 20000] [--no-spark]

One BLAS thread, as a worker has it: idle ones of several would count as CPU time. Embeddings are made: topics of many
documents, and in each some documents turned by 0 to 40 degrees from another one.
What is timed in CPU seconds, in one process, is what workers do: directions rounded to whole numbers, iterations of
k-means, assignment, and every document against the earlier ones of its cluster. The peer is SemDeDup written down
plainly with NumPy in float32, on the same embeddings with as many clusters and iterations: normalise, k-means, a whole
matrix of cosines for each cluster, the largest of each column above its diagonal. Its survivor order is the same.

Then the same documents go through the stage on Spark, two cores: wall and CPU seconds, peak memory of all processes.
Recall is the share of the documents that go if all pairs are compared (one cluster), on ``--recall-documents`` of them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import cpu_seconds, peak_memory_bytes, report
from spark_cost import CostMeter

from jobs.spark import SparkConfig, start_spark
from pipeline.spherical_kmeans import Centroids, moved, sums_by_cluster
from pipeline.unit_vectors import Nearest, quantise
from stages.dedup_semantic import SemanticDedupConfig, nearest_earlier, semantic_duplicates

CORES = 2
ITERATIONS = 5
MIN_SIMILARITY = 0.9
TOPIC_DOCUMENTS = 200
COPY_SHARE = 0.2
_TICK = 0.01  # of the CPU clock, in seconds


def made(num_documents: int, dim: int) -> np.ndarray:
    """Embeddings, float32, shape (num_documents, dim)."""
    draw = np.random.default_rng(0)
    topics = draw.normal(size=(max(1, num_documents // TOPIC_DOCUMENTS), dim))
    found = topics[draw.integers(0, len(topics), num_documents)] + draw.normal(size=(num_documents, dim))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    copies = np.flatnonzero(draw.random(num_documents) < COPY_SHARE)
    copied = draw.integers(0, num_documents, len(copies))
    away = draw.normal(size=(len(copies), dim))
    away -= (away * found[copied]).sum(axis=1, keepdims=True) * found[copied]
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    turn = np.radians(draw.uniform(0, 40, (len(copies), 1)))
    found[copies] = np.cos(turn) * found[copied] + np.sin(turn) * away
    return found.astype(np.float32)


def trained(vectors: np.ndarray, num_clusters: int) -> np.ndarray:
    centroids = vectors[:num_clusters]
    for _ in range(ITERATIONS):
        centroids = moved(centroids, *sums_by_cluster([vectors], centroids))
    return centroids


def compared(vectors: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Which documents go; bool, shape (num_documents,). The order is that of the rows."""
    goes = np.zeros(len(vectors), bool)
    for cluster in np.unique(clusters):
        members = np.flatnonzero(clusters == cluster)
        dumps = np.zeros(len(members), np.int64)
        nearest = Nearest(vectors[members], members, dumps, reach_dumps=1)
        nearest.compare(vectors[members], members, dumps)
        goes[members] = nearest.similarities >= MIN_SIMILARITY  # NaN is not
    return goes


def dropped(embeddings: np.ndarray, num_clusters: int) -> np.ndarray:
    vectors = quantise(embeddings)
    clusters, _ = Centroids(trained(vectors, num_clusters)).assign(vectors)
    return compared(vectors, clusters)


def plain_clusters(embeddings: np.ndarray, num_clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """The peer: normalised embeddings, and the cluster of each."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    centroids = unit[:num_clusters].copy()
    for _ in range(ITERATIONS):
        clusters = (unit @ centroids.T).argmax(axis=1)
        for cluster in range(num_clusters):
            members = unit[clusters == cluster]
            if len(members):
                centroids[cluster] = members.sum(axis=0)
                centroids[cluster] /= np.linalg.norm(centroids[cluster])
    return unit, (unit @ centroids.T).argmax(axis=1)


def plain_comparison(unit: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """The peer: which documents go."""
    goes = np.zeros(len(unit), bool)
    for cluster in np.unique(clusters):
        members = np.flatnonzero(clusters == cluster)
        cosines = np.triu(unit[members] @ unit[members].T, k=1)
        goes[members] = cosines.max(axis=0) >= MIN_SIMILARITY
    return goes


def on_spark(embeddings: np.ndarray, num_clusters: int) -> dict[str, float]:
    """Figures of the stage on Spark, from Parquet files to the ids that go."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, rows in enumerate(np.array_split(np.arange(len(embeddings)), 4)):
            doc_id = [f"{row:032x}" for row in rows]
            lists = pa.FixedSizeListArray.from_arrays(pa.array(embeddings[rows].ravel()), embeddings.shape[1])
            table = pa.table({"doc_id": doc_id, "embedding": lists.cast(pa.list_(pa.float32()))})
            pq.write_table(table, folder / f"{part}.parquet")
        spark = start_spark(SparkConfig(master=f"local[{CORES}]", driver_memory="2g", shuffle_partitions=8))
        frame = spark.read.parquet(str(folder / "*.parquet"))
        facts = "doc_id", "'eng_Latn' AS lang", "0L AS age", "0L AS dump_index", "0L AS num_bytes"
        config = SemanticDedupConfig(
            encoder="made",
            min_similarity=MIN_SIMILARITY,
            num_clusters=num_clusters,
            max_iterations=ITERATIONS,
            survivor_order=("doc_id",),
        )
        with CostMeter() as cost:
            nearest = nearest_earlier(
                frame, frame.selectExpr(*facts), config, reach_dumps=1, scratch=str(folder / "scratch")
            )
            num_dropped = semantic_duplicates(nearest, config.min_similarity).count()
        spark.stop()
    return {
        "spark_documents_per_second": len(embeddings) / cost.wall_seconds,
        "spark_documents_per_cpu_second": len(embeddings) / cost.cpu_seconds,
        "spark_peak_memory_megabytes": cost.peak_memory_bytes / 1e6,
        "spark_share_dropped": num_dropped / len(embeddings),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--clusters", type=int, default=50)
    parser.add_argument("--recall-documents", type=int, default=20_000)
    parser.add_argument("--no-spark", action="store_true")
    arguments = parser.parse_args()
    embeddings, num_clusters = made(arguments.documents, arguments.dim), arguments.clusters
    num_documents = len(embeddings)

    vectors = quantise(embeddings)
    centroids = trained(vectors, num_clusters)
    clusters, _ = Centroids(centroids).assign(vectors)
    ours = {
        "directions": cpu_seconds(lambda: quantise(embeddings), 1),
        "clustering": cpu_seconds(lambda: trained(vectors, num_clusters), 1),
        "assignment": cpu_seconds(lambda: Centroids(centroids).assign(vectors), 1),
        "comparison": cpu_seconds(lambda: compared(vectors, clusters), 1),
    }
    figures: dict[str, Any] = {
        f"{name}_documents_per_cpu_second": num_documents / max(seconds, _TICK) for name, seconds in ours.items()
    }
    figures["peak_memory_megabytes"] = peak_memory_bytes() / 1e6  # of ours alone: the peer has not run
    unit, plain = plain_clusters(embeddings, num_clusters)
    peer = {
        "clustering": cpu_seconds(lambda: plain_clusters(embeddings, num_clusters), 1),
        "comparison": cpu_seconds(lambda: plain_comparison(unit, plain), 1),
    }
    figures |= {
        f"plain_{name}_documents_per_cpu_second": num_documents / max(seconds, _TICK) for name, seconds in peer.items()
    }
    figures["plain_peak_memory_megabytes"] = peak_memory_bytes() / 1e6
    goes, plain_goes = compared(vectors, clusters), plain_comparison(unit, plain)
    figures["share_dropped"] = float(goes.mean())
    figures["share_that_differs_from_plain"] = float((goes != plain_goes).mean())

    some = embeddings[: arguments.recall_documents]
    everything = dropped(some, 1)
    for number in (10, 50, 200):
        figures[f"recall_{number}_clusters"] = float((dropped(some, number) & everything).sum() / everything.sum())
    if not arguments.no_spark:
        figures |= on_spark(embeddings, num_clusters)
    for name, value in figures.items():
        print(f"{name}: {value:,.4g}")
    report("dedup_semantic", figures, "SemDeDup in plain NumPy", sum(peer.values()) / sum(ours.values()))


if __name__ == "__main__":
    main()
