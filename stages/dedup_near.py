"""Frame stage: clusters of near-duplicates from LSH bands, and which of each is kept.

1. *Buckets.* Documents that share a band hash meet in its bucket (the band's index is part of the hash). Each is linked
   to the bucket's hub, the best document by the survivor order: n − 1 edges for n documents instead of n²/2. Buckets of
   one, nearly all of them, end here.
2. *Verification.* An edge stays if the share of equal signature values, an estimate of the Jaccard similarity, reaches
   ``min_similarity``. A shared band alone says little: at 14 × 8 every hundredth pair of similarity .4 shares one.
3. *Components* of the verified edges (``stages/spark_graph.py``) are the clusters. Similarity is chained: two
   members may be less similar to each other than ``min_similarity``.
4. *Survivor.* The best of each cluster by the declared order is kept; ``similarity`` is each member's estimate to it.

Cost: one shuffle of (rank, band hash) per document and band, about 80 bytes each; all after it touches only documents
that share a bucket, their signatures included. A bucket is processed in one task, sorted on disk where memory is short:
one of millions is slow, but linear. Nothing is collected to the driver.

A document that shares a bucket with a hub unlike itself and with a third one like itself is linked to the third only if
another bucket joins them. With hubs, recall against comparing all pairs in a bucket is so a little lower;
``min_similarity = None`` links all and gives up precision instead.

Source: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4, for bands; links from the members of a
bucket to one of them as in BigCode's Spark job (text-dedup), which takes the smallest id and verifies nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import pyarrow as pa
from pydantic import Field
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from pipeline import storage
from pipeline.config import Config, Off
from pipeline.kernels.minhash import similarity
from pipeline.schema import CLUSTER
from pipeline.stage import Stage
from stages.spark_graph import connected_components, materialize
from stages.survivor import DEFAULT_ORDER, SurvivorOrder, order_columns, rank

NAME = "dedup_near"
VERSION = "1"


class NearDedupConfig(Config):
    """Verification, survivor and the bounds of the component search.

    Args:
        min_similarity: least signature estimate of the Jaccard similarity for a link; false takes every band collision.
        survivor_order: which copy is kept; see ``stages/survivor.py``.
        max_single_task_edges: graphs of up to so many links are solved in one task, larger ones in rounds.
        max_rounds: rounds after which a graph that has not settled is an error.
    """

    min_similarity: Annotated[float | None, Field(gt=0, le=1), Off] = 0.7
    survivor_order: SurvivorOrder = DEFAULT_ORDER
    max_single_task_edges: int = Field(default=1_000_000, ge=0)
    max_rounds: int = Field(default=50, ge=1)


def find_near_duplicates(documents: DataFrame, config: NearDedupConfig, *, scratch: str) -> DataFrame:
    """Clusters of near-duplicates.

    Args:
        documents: ``doc_id`` (unique), ``signature``, ``bands`` and the columns of the survivor order; survivors of
            exact deduplication only. Rows without bands are left out. It is read twice, so it should come from files
            rather than from a computation.
        scratch: a folder that all executors reach, of this call's own. The result is read from there: delete it only
            after the result was used.

    Returns:
        ``pipeline.schema.CLUSTER``: every member of a cluster of two or more, the kept one included.

    Raises:
        ConfigError: if the components have not settled after ``max_rounds`` rounds.
    """
    banded = documents.where(F.col("bands").isNotNull())
    ranked = banded.select("doc_id", "signature", rank(config.survivor_order).alias("rank"))
    buckets = banded.select(rank(config.survivor_order).alias("rank"), F.explode("bands").alias("band"))
    links = materialize(_star_links(buckets), storage.join(scratch, "links"))
    linked = links.select("doc_id").union(links.select("kept_doc_id")).distinct()
    candidates = materialize(ranked.join(linked, on="doc_id", how="left_semi"), storage.join(scratch, "candidates"))
    if config.min_similarity is not None:
        links = _with_similarity(links, candidates).where(F.col("similarity") >= config.min_similarity)
    components = connected_components(
        links.select(F.col("doc_id").alias("source"), F.col("kept_doc_id").alias("target")),
        scratch=storage.join(scratch, "components"),
        max_rounds=config.max_rounds,
        max_single_task_edges=config.max_single_task_edges,
    )
    clusters = (
        components.withColumnRenamed("node", "doc_id")
        .join(candidates.select("doc_id", "rank"), on="doc_id", how="inner")
        .withColumn("kept_doc_id", F.min("rank").over(Window.partitionBy("component"))["doc_id"])
        .select("doc_id", F.col("component").alias("cluster_id"), "kept_doc_id")
    )
    return _with_similarity(clusters, candidates).withColumn("kind", F.lit("near"))


def make_stage(config: NearDedupConfig, *, scratch: str) -> Stage:
    """Frame stage ``documents -> clusters`` by ``find_near_duplicates``; ``scratch`` as there."""
    return Stage(
        name=NAME,
        version=VERSION,
        config=config,
        input_schema=pa.schema(
            [*order_columns(config.survivor_order), ("signature", pa.binary()), ("bands", pa.list_(pa.int64()))]
        ),
        output_schema=CLUSTER,
        apply=lambda documents: find_near_duplicates(documents, config, scratch=scratch),
        is_row_stage=False,
    )


def _star_links(buckets: DataFrame) -> DataFrame:
    """Distinct pairs of a document and the hub of a bucket that it is in: ``doc_id``, ``kept_doc_id``.

    Args:
        buckets: ``rank`` and ``band``, one row per document and band.
    """
    hub = F.min("rank").over(Window.partitionBy("band"))
    return (
        buckets.select(F.col("rank.doc_id").alias("doc_id"), hub["doc_id"].alias("kept_doc_id"))
        .where("doc_id <> kept_doc_id")
        .distinct()
    )


def _with_similarity(pairs: DataFrame, candidates: DataFrame) -> DataFrame:
    """``pairs`` (``doc_id``, ``kept_doc_id`` and perhaps ``cluster_id``) with ``similarity`` by their signatures."""
    own = candidates.select("doc_id", F.col("signature").alias("own_signature"))
    kept = candidates.select(F.col("doc_id").alias("kept_doc_id"), F.col("signature").alias("kept_signature"))
    both = pairs.join(own, on="doc_id", how="inner").join(kept, on="kept_doc_id", how="inner")
    ordered = both.select(*pairs.columns, "own_signature", "kept_signature")  # mapInArrow takes columns by position
    fields = [*(f"{name} string" for name in pairs.columns), "similarity double"]
    return ordered.mapInArrow(_estimate, ", ".join(fields))


def _estimate(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Replace the two signature columns by their estimated similarity."""
    for batch in batches:
        estimate = similarity(batch.column("own_signature"), batch.column("kept_signature"))
        yield batch.drop_columns(["own_signature", "kept_signature"]).append_column("similarity", pa.array(estimate))
