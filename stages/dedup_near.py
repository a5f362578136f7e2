"""Frame stage: clusters of near-duplicates from LSH bands, and which of each is kept.

1. *Buckets.* Documents that share a band hash meet in its bucket (the band's index is part of the hash). Each is
   compared with the bucket's best document by the survivor order, and one unlike it with the next best ones: a linear
   number of pairs (``pipeline/lsh_buckets.py``, ``stages/lsh_candidates.py``). Buckets of one, nearly all, end here.
2. *Verification.* A pair is linked if its similarity reaches ``min_similarity``. A shared band alone says little: at
   14 × 8 every hundredth pair of similarity .4 shares one.
3. *Components* of the links (``stages/spark_graph.py``) are the clusters. Similarity is chained: two members may be
   less similar to each other than ``min_similarity``.
4. *Survivor.* The best of each cluster by the declared order is kept; ``similarity`` is each member's to it.

Inside, a document is a number by the survivor order, so that a pair is 16 bytes and the best of a component is its
smallest number. Cost: a sort of documents with their bands, one of 16 bytes per document and band, and one shuffle of
signatures; all after it touches only documents that share a bucket. Nothing is collected to the driver.

Comparing with hubs can miss a link that all pairs of a bucket would have: where the bucket has more members than hubs,
a document is unlike all the hubs, and no other bucket joins it to one that it is like. On 20,000 pages with planted
copies of similarity .5 to 1 all pairs drop 8,107 pages; one hub misses 85 of them, two 32, four 1, eight none, for 8 %
more comparisons than one (``tests/property/test_dedup_order_free.py`` holds eight hubs to all pairs).

Source: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4, for bands; links from the members of a
bucket to one of them as in BigCode's Spark job (text-dedup), which takes the smallest id and verifies nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Literal

import pyarrow as pa
from pydantic import Field
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from pipeline import storage
from pipeline.config import Config, Off
from pipeline.errors import ConfigError
from pipeline.kernels.minhash import similarity
from pipeline.kernels.shingle_sets import jaccard
from pipeline.schema import CLUSTER
from pipeline.stage import Stage
from stages.lsh_candidates import bucket_members, numbered
from stages.spark_graph import connected_components, materialize
from stages.survivor import DEFAULT_ORDER, SurvivorOrder, order_columns

NAME = "dedup_near"
VERSION = "2"

SHINGLE_SET = pa.schema([("doc_id", pa.string()), ("shingles", pa.large_binary())])
"""Sets of shingle hashes, as ``pipeline.kernels.shingle_sets`` makes them."""

ShingleSource = Callable[[DataFrame], DataFrame]
"""``doc_id`` of candidates -> their rows of SHINGLE_SET: it knows where the texts are, which no stage here does."""

# Spark judges by the size of files what fits into memory; sketches of equal pages are a thousandth of themselves there.
_NO_BROADCAST = "merge"

_MEASURES = {"signature": similarity, "exact": jaccard}


class NearDedupConfig(Config):
    """Verification, survivor and the bounds of the component search.

    Args:
        min_similarity: least Jaccard similarity for a link; false takes every band collision.
        verify: what stands for the similarity, here and in what is written down: the estimate from ``signature``
            (standard error .04 at 112 permutations), or the ``exact`` one, for which the texts of candidates are read
            again.
        survivor_order: which copy is kept; see ``stages/survivor.py``.
        hubs_per_bucket: so many members of a bucket are compared with those that are unlike its best member; buckets
            of at most so many members lose no link. 1 compares with the best member alone.
        max_single_task_edges: graphs of up to so many links are solved in one task (some 150 bytes of memory each),
            larger ones in rounds.
        max_rounds: rounds after which a graph that has not settled is an error.
    """

    min_similarity: Annotated[float | None, Field(gt=0, le=1), Off] = 0.75
    verify: Literal["signature", "exact"] = "signature"
    survivor_order: SurvivorOrder = DEFAULT_ORDER
    hubs_per_bucket: int = Field(default=8, ge=1, le=64)
    max_single_task_edges: int = Field(default=4_000_000, ge=0)
    max_rounds: int = Field(default=50, ge=1)


def find_near_duplicates(
    documents: DataFrame, config: NearDedupConfig, *, scratch: str, shingle_sets: ShingleSource | None = None
) -> DataFrame:
    """Clusters of near-duplicates.

    Args:
        documents: ``doc_id`` (unique), ``signature``, ``bands`` and the columns of the survivor order; survivors of
            exact deduplication only. Rows without bands are left out. It is read twice, so it should come from files
            rather than from a computation.
        scratch: a folder that all executors reach, of this call's own. The result is read from there: delete it only
            after the result was used.
        shingle_sets: of any documents; needed where ``verify`` is ``exact``.

    Returns:
        ``pipeline.schema.CLUSTER``: every member of a cluster of two or more, the kept one included.

    Raises:
        ConfigError: if the components have not settled after ``max_rounds`` rounds.
    """
    banded = documents.where(F.col("bands").isNotNull())
    nodes = materialize(numbered(banded, config.survivor_order), storage.join(scratch, "numbered"))
    members = materialize(bucket_members(nodes, config.hubs_per_bucket), storage.join(scratch, "members"))
    shared = members.select("node").union(members.select("hub")).distinct()
    named = nodes.select("node", "doc_id").join(shared, on="node", how="left_semi")
    sketches = _sketches(banded, named, config, shingle_sets)
    candidates = materialize(
        sketches.hint(_NO_BROADCAST).join(named, on="doc_id", how="inner"),
        storage.join(scratch, "candidates"),
    )
    components = connected_components(
        _links(members, candidates, config, scratch=scratch).select(
            F.col("node").alias("source"), F.col("hub").alias("target")
        ),
        scratch=storage.join(scratch, "components"),
        max_rounds=config.max_rounds,
        max_single_task_edges=config.max_single_task_edges,
    )
    found = _with_similarity(components.select("node", F.col("component").alias("hub")), candidates, config)
    return found.select(
        "doc_id",
        F.min("doc_id").over(Window.partitionBy("hub")).alias("cluster_id"),
        "kept_doc_id",
        "similarity",
        F.lit("near").alias("kind"),
    )


def make_stage(config: NearDedupConfig, *, scratch: str, shingle_sets: ShingleSource | None = None) -> Stage:
    """Frame stage ``documents -> clusters`` by ``find_near_duplicates``; ``scratch`` and ``shingle_sets`` as there."""
    return Stage(
        name=NAME,
        version=VERSION,
        config=config,
        input_schema=pa.schema(
            [*order_columns(config.survivor_order), ("signature", pa.binary()), ("bands", pa.list_(pa.int64()))]
        ),
        output_schema=CLUSTER,
        apply=lambda documents: find_near_duplicates(documents, config, scratch=scratch, shingle_sets=shingle_sets),
        is_row_stage=False,
    )


def _sketches(
    documents: DataFrame, candidates: DataFrame, config: NearDedupConfig, shingle_sets: ShingleSource | None
) -> DataFrame:
    """``doc_id`` and ``sketch``, what is compared: the signature, or for candidates the set of shingles.

    Raises:
        ConfigError: if sets are wanted and nothing can give them.
    """
    if config.verify == "signature":
        return documents.select("doc_id", F.col("signature").alias("sketch"))
    if shingle_sets is None:
        raise ConfigError(
            "verify = 'exact' without a source of shingle sets; expected one that reads the texts of candidates; "
            "give find_near_duplicates shingle_sets=..., or set verify = 'signature'"
        )
    return shingle_sets(candidates.select("doc_id")).select("doc_id", F.col("shingles").alias("sketch"))


def _links(members: DataFrame, candidates: DataFrame, config: NearDedupConfig, *, scratch: str) -> DataFrame:
    """Pairs ``node``, ``hub`` of documents that are near copies of each other.

    Args:
        members: of ``stages.lsh_candidates.bucket_members``.
        candidates: ``node``, ``doc_id`` and ``sketch`` of all of them.
    """
    links = members.select("node", "hub").distinct()
    if config.min_similarity is None:
        return links
    compared = materialize(
        _with_similarity(links, candidates, config).select("node", "hub", "similarity"),
        storage.join(scratch, "compared"),
    )
    is_near = F.col("similarity") >= config.min_similarity
    verified = compared.where(is_near).select("node", "hub")
    if config.hubs_per_bucket == 1:
        return verified
    failed = compared.where(~is_near).select("node", "hub")
    others = (
        members.join(failed, on=["node", "hub"], how="left_semi")
        .select("node", F.explode("other_hubs").alias("other"))
        .select(F.greatest("node", "other").alias("node"), F.least("node", "other").alias("hub"))
        .distinct()
        .join(compared.select("node", "hub"), on=["node", "hub"], how="left_anti")
    )
    return verified.union(_with_similarity(others, candidates, config).where(is_near).select("node", "hub"))


def _with_similarity(pairs: DataFrame, candidates: DataFrame, config: NearDedupConfig) -> DataFrame:
    """``pairs`` (``node``, ``hub``) with the ids of both, ``doc_id`` and ``kept_doc_id``, and their ``similarity``."""
    own = candidates.select("node", "doc_id", F.col("sketch").alias("own_sketch"))
    kept = candidates.select(
        F.col("node").alias("hub"), F.col("doc_id").alias("kept_doc_id"), F.col("sketch").alias("kept_sketch")
    )
    with_own = pairs.join(own.hint(_NO_BROADCAST), on="node", how="inner")
    both = with_own.join(kept.hint(_NO_BROADCAST), on="hub", how="inner")
    ordered = both.select("node", "hub", "doc_id", "kept_doc_id", "own_sketch", "kept_sketch")  # by position
    measure = _MEASURES[config.verify]

    def compare(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = pa.array(measure(batch.column("own_sketch"), batch.column("kept_sketch")))
            yield batch.drop_columns(["own_sketch", "kept_sketch"]).append_column("similarity", found)

    return ordered.mapInArrow(compare, "node long, hub long, doc_id string, kept_doc_id string, similarity double")
