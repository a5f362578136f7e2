"""Frame stage: clusters of documents with the same text hash, and which of each is kept.

One aggregation finds the hashes that occur twice or more, with the best document of each; a join gives their members.
Both are combined on the map side or stream, so a text that occurs millions of times costs no more than as many
different ones. Only ids, hashes and the columns of the survivor order move.
"""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.config import Config
from pipeline.schema import CLUSTER
from pipeline.stage import Stage
from stages.survivor import DEFAULT_ORDER, SurvivorOrder, order_columns, rank

NAME = "dedup_exact"
VERSION = "1"


class ExactDedupConfig(Config):
    """Which copy is kept; see ``stages/survivor.py``."""

    survivor_order: SurvivorOrder = DEFAULT_ORDER


def find_exact_duplicates(documents: DataFrame, config: ExactDedupConfig) -> DataFrame:
    """Clusters of equal texts.

    Args:
        documents: ``doc_id`` (unique), ``text_hash`` and the columns of the survivor order. Rows without a text hash
            are left out. It is read twice, so it should come from files rather than from a computation.

    Returns:
        ``pipeline.schema.CLUSTER``: every member of a cluster of two or more, the kept one included.
    """
    hashed = documents.where(F.col("text_hash").isNotNull()).select(
        "text_hash", rank(config.survivor_order).alias("rank")
    )
    clusters = (
        hashed.groupBy("text_hash")
        .agg(
            F.min("rank")["doc_id"].alias("kept_doc_id"),
            F.min("rank.doc_id").alias("cluster_id"),
            F.count(F.lit(1)).alias("num_members"),
        )
        .where(F.col("num_members") > 1)
    )
    return hashed.join(clusters, on="text_hash", how="inner").select(
        F.col("rank.doc_id").alias("doc_id"),
        "cluster_id",
        "kept_doc_id",
        F.lit(1.0).alias("similarity"),
        F.lit("exact").alias("kind"),
    )


def make_stage(config: ExactDedupConfig) -> Stage:
    """Frame stage ``documents -> clusters`` by ``find_exact_duplicates``."""
    return Stage(
        name=NAME,
        version=VERSION,
        config=config,
        input_schema=pa.schema([*order_columns(config.survivor_order), ("text_hash", pa.binary())]),
        output_schema=CLUSTER,
        apply=lambda documents: find_exact_duplicates(documents, config),
        is_row_stage=False,
    )
