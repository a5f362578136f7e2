"""Frame stage: documents that say the same as an earlier one, by the cosine of their embeddings.

1. *Clusters.* Spherical k-means over the directions of the embeddings (``stages/semantic_clusters.py``). Only documents
   of one cluster are compared: 1 / num_clusters of all pairs.
2. *Order.* The documents of a cluster stand in an order: older dumps first, then the survivor order, or with
   ``keep = "farthest"`` those least similar to their centroid.
3. *Rule.* For each document the largest cosine to a document before it in the order. One that reaches
   ``min_similarity`` goes, whether that earlier document itself stays or not.

What is kept in place of a document is found by following it to the document most like it, and on from there if that
goes too: each is earlier than the one before, so that ends, and at a document that stays.

Memory: clusters are cut into blocks of ``BLOCK_DOCUMENTS`` by the order. A task holds one block (8 bytes a dimension
and document: 100 MB at 768), and the documents before it pass by in batches; so a cluster of any size is compared in
full, in as many tasks as it has blocks. A document is shuffled once for its own block and each later one of its
cluster. Where the chains are followed, a task holds the ids of one cluster, some 100 bytes a document.

Cost: num_documents * documents_per_cluster / 2 scalar products of dim numbers.

Source: Abbas et al. 2023 (SemDeDup, arXiv 2303.09540), section 3 and algorithm 1: k-means, then in each cluster the
maximum of each column of the upper triangle of the matrix of cosines, against 1 - epsilon. Theirs sorts a cluster by
similarity to the centroid and keeps the least similar; that is ``keep = "farthest"``. Deviations: the survivor order
of all other kinds of deduplication is the default; languages are kept apart unless told otherwise; centroids are
trained on a sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline import storage
from pipeline.config import Config
from stages.semantic_blocks import compare_blocks
from stages.semantic_clusters import assigned, directions, train_centroids
from stages.spark_graph import materialize
from stages.survivor import DEFAULT_ORDER, SurvivorOrder, rank

NAME = "dedup_semantic"
VERSION = "1"
SEMANTIC_DUPLICATE = "semantic_duplicate"
BLOCK_DOCUMENTS = 16_384
SHOWN_SIMILARITIES = (0.8, 0.85, 0.9, 0.95, 0.97, 0.99)

_NO_BROADCAST = "merge"  # directions are larger in memory than Spark infers from their files


class SemanticDedupConfig(Config):
    """``[dedup.semantic]``.

    Args:
        encoder: local folder of a sentence-transformers model.
        min_similarity: the least cosine between a document and an earlier one of its cluster at which it goes: 1 minus
            SemDeDup's epsilon. What it means is the encoder's matter, so there is no default.
        max_chars: characters of a text that are embedded, from its beginning; encoders cut sooner by tokens.
        num_clusters: of k-means; unless set, one for each ``documents_per_cluster``.
        documents_per_cluster: the mean; 8,800 is SemDeDup's for LAION-440M (50,000 clusters).
        sample_per_cluster: documents for each cluster on which centroids are trained.
        max_iterations: of k-means; it ends sooner where no centroid moves.
        same_language: compare documents of one language alone. A multilingual encoder puts a translation beside its
            original.
        keep: of documents that say the same the ``best`` by ``survivor_order``, or, as SemDeDup does, the one
            ``farthest`` from the centroid.
        survivor_order: see ``stages/survivor.py``.
        seed: of the first centroids and the sample.
    """

    encoder: str = Field(min_length=1)
    min_similarity: float = Field(gt=0, le=1)
    max_chars: int = Field(default=8000, ge=1)
    num_clusters: int | None = Field(default=None, ge=1)
    documents_per_cluster: int = Field(default=8800, ge=1)
    sample_per_cluster: int = Field(default=256, ge=1)
    max_iterations: int = Field(default=20, ge=1)
    same_language: bool = True
    keep: Literal["best", "farthest"] = "best"
    survivor_order: SurvivorOrder = DEFAULT_ORDER
    seed: int = Field(default=0, ge=0, lt=1 << 63)

    @model_validator(mode="after")
    def _one_number_of_clusters(self) -> SemanticDedupConfig:
        if self.num_clusters is not None and "documents_per_cluster" in self.model_fields_set:
            raise ValueError(
                f"num_clusters = {self.num_clusters} and documents_per_cluster = {self.documents_per_cluster} both say "
                f"how many clusters there are; expected one of them; remove the other"
            )
        return self

    def clusters_for(self, num_documents: int) -> int:
        """Clusters for a corpus of ``num_documents``."""
        return self.num_clusters or max(1, -(-num_documents // self.documents_per_cluster))


def nearest_earlier(
    embeddings: DataFrame,
    documents: DataFrame,
    config: SemanticDedupConfig,
    *,
    reach_dumps: int,
    scratch: str,
    block_documents: int = BLOCK_DOCUMENTS,
) -> DataFrame:
    """For each document the earlier one of its cluster that is most like it.

    Args:
        embeddings: ``doc_id`` and ``embedding``; null where there is none.
        documents: ``doc_id`` (unique), ``lang``, ``age`` and ``dump_index`` of their dump (long), and the columns of
            the survivor order.
        reach_dumps: dumps that a document is compared with, its own included.
        scratch: a folder that all executors reach, of this call's own. The result is read from there.
        block_documents: see the head of this module; it changes no outcome.

    Returns:
        ``group`` (the cluster, with what else keeps documents apart), ``position`` (in the group's order), ``doc_id``,
        ``nearest_position``, ``similarity``; null in the last two where nothing earlier is in reach. Only groups of two
        documents or more.
    """
    vectors = materialize(directions(embeddings, config.seed), storage.join(scratch, "directions"))
    num_documents = vectors.count()
    if not num_documents:
        return materialize(vectors.mapInArrow(lambda batches: iter(()), _NEAREST), storage.join(scratch, "nearest"))
    num_clusters = config.clusters_for(num_documents)
    centroids = train_centroids(
        vectors,
        num_clusters=num_clusters,
        num_documents=num_documents,
        sample_per_cluster=config.sample_per_cluster,
        max_iterations=config.max_iterations if num_clusters > 1 or config.keep == "farthest" else 0,
    )
    placed = _positions(assigned(vectors, centroids), documents, config, reach_dumps)
    placed = materialize(placed, storage.join(scratch, "positions"))
    sizes = placed.groupBy("group").agg(F.max("position").alias("last")).where("last > 0")
    own_block, last_block = (F.floor(F.col(name) / block_documents) for name in ("position", "last"))
    copied = placed.join(sizes, on="group", how="inner").withColumn("block", own_block)
    copied = copied.withColumn("for_block", F.explode(F.sequence("block", last_block))).drop("last")
    met = copied.join(vectors.select("doc_id", "vector").hint(_NO_BROADCAST), on="doc_id", how="inner")
    ordered = (
        met.select("group", "for_block", "block", "position", "dump_index", "doc_id", "vector")
        .repartition("group", "for_block")
        .sortWithinPartitions("group", "for_block", F.desc("block"), "position")
    )
    found = ordered.mapInArrow(lambda batches: compare_blocks(batches, reach_dumps), _NEAREST)
    return materialize(found, storage.join(scratch, "nearest"))


_NEAREST = "group string, position long, doc_id string, nearest_position long, similarity double"


def _positions(clusters: DataFrame, documents: DataFrame, config: SemanticDedupConfig, reach_dumps: int) -> DataFrame:
    """``group``, ``position`` in it, ``doc_id`` and ``dump_index`` of each document with a direction."""
    apart = [F.col("cluster").cast("string")]
    if config.same_language:
        apart.append(F.coalesce("lang", F.lit("")))
    if reach_dumps == 1:
        apart.append(F.col("dump_index").cast("string"))
    order = ["age", *(["centroid_similarity"] if config.keep == "farthest" else []), "rank"]
    narrow = documents.select("doc_id", "lang", "age", "dump_index", rank(config.survivor_order).alias("rank"))
    joined = clusters.join(narrow, on="doc_id", how="inner").withColumn("group", F.concat_ws("/", *apart))
    ordered = joined.repartition("group").sortWithinPartitions("group", *order).select("group", "doc_id", "dump_index")
    return ordered.mapInArrow(_number, "group string, doc_id string, dump_index long, position long")


def _number(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Count within groups, which come one after the other."""
    current, place = None, 0
    for batch in batches:
        positions = np.empty(batch.num_rows, np.int64)
        for row, group in enumerate(batch.column("group").to_pylist()):
            current, place = group, (place + 1 if group == current else 0)
            positions[row] = place
        yield batch.append_column("position", pa.array(positions))


def semantic_duplicates(nearest: DataFrame, min_similarity: float) -> DataFrame:
    """The documents that go.

    Args:
        nearest: of ``nearest_earlier``.

    Returns:
        ``doc_id``, ``kept_doc_id``, ``nearest_doc_id`` and ``similarity`` to the nearest; ``kept_doc_id`` stays, and is
        the nearest one unless that goes as well.
    """

    def follow(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        group: str | None = None
        doc_ids: list[str] = []
        kept: list[int] = []  # of each position the place of the document that stands for it
        for batch in batches:
            found: list[tuple[str, str, str, float]] = []
            for row in zip(*(batch.column(name).to_pylist() for name in _FOLLOWED), strict=True):
                if row[0] != group:
                    group, doc_ids, kept = row[0], [], []
                _, doc_id, place, similarity = row
                goes = similarity is not None and similarity >= min_similarity
                kept.append(kept[place] if goes else len(kept))
                doc_ids.append(doc_id)
                if goes:
                    found.append((doc_id, doc_ids[kept[-1]], doc_ids[place], similarity))
            yield pa.RecordBatch.from_pylist(
                [dict(zip(_DUPLICATE.names, row, strict=True)) for row in found], _DUPLICATE
            )

    ordered = nearest.repartition("group").sortWithinPartitions("group", "position").select(*_FOLLOWED)
    return ordered.mapInArrow(follow, "doc_id string, kept_doc_id string, nearest_doc_id string, similarity double")


_FOLLOWED = ("group", "doc_id", "nearest_position", "similarity")
_DUPLICATE = pa.schema(
    [
        ("doc_id", pa.string()),
        ("kept_doc_id", pa.string()),
        ("nearest_doc_id", pa.string()),
        ("similarity", pa.float64()),
    ]
)
