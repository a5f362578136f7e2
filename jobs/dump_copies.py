"""Copies within dumps and between them, as DataFrames: what the steps of deduplication write.

A plain run (one pool, no store) takes the stages' own clusters. Otherwise these are found within each dump, what is
left of it is held against older dumps (``stages/dedup_older.py``), and chains of copies are followed to the document
that stands for all of them: a copy of a copy, in as many dumps as it has come back in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from jobs import between
from jobs.dedup_scope import ScopedDedup
from jobs.run_context import RunContext
from pipeline import storage
from pipeline.dedup_store import OLDER_DOCUMENT, STORED
from pipeline.errors import ConfigError
from pipeline.runner import part_of, read_frame, write_frame
from stages.dedup_older import (
    exact_copies_of_older,
    near_copies_of_older,
    of_entry,
    with_dumps,
    within_dumps,
)
from stages.spark_graph import materialize
from stages.survivor import order_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Find = Callable[["DataFrame"], "DataFrame"]

FINAL_SURVIVOR = pa.schema([("doc_id", pa.string()), ("kept_doc_id", pa.string())])
"""``_work/final_survivors``: for each dropped copy the document that stands for it at the end of its chain."""

FINAL_SURVIVORS = "_work/final_survivors"
OLDER_DOCUMENTS = "older_documents"
_PARTS = 16
_PLACE = ("doc_id", "age", "dump_index")
_HOPS_A_POOL = 3  # a copy, the exact or near copy that its dump keeps of it, and that one's older copy


def documents_of(context: RunContext, scoped: ScopedDedup) -> DataFrame:
    """What the rules let through, with dump, age and the place of its source."""
    schema = between.verdict_schema(*context.config.dedup.survivor_orders.values())
    alive = between.alive(context.frame("_work/verdicts", schema))
    return with_dumps(alive, scoped.plan, scoped.dedup.source_priority or ())


def exact_clusters(context: RunContext, scoped: ScopedDedup, find: Find, *, scratch: str) -> DataFrame:
    """Clusters of equal texts, of both kinds.

    Args:
        find: the stage's own, which knows of no dumps.
        scratch: a folder of the step's own; delete it after the result was used.
    """
    _refuse_same_input(context, scoped)
    documents = documents_of(context, scoped)
    clusters = find(within_dumps(documents, scoped.plan))
    if not scoped.plan.looks_back:
        return clusters
    clusters = materialize(clusters, storage.join(scratch, "exact_clusters"))
    columns = (*_PLACE, "text_hash")
    left = between.without_duplicates(documents, clusters).select(*columns)
    older = _united([left, *_stored(context, scoped, columns)])
    return clusters.unionByName(exact_copies_of_older(left, older, scoped.plan))


def near_clusters(context: RunContext, scoped: ScopedDedup, find: Find, exact: DataFrame, *, scratch: str) -> DataFrame:
    """Clusters of near copies among what exact deduplication left, of both kinds.

    Args:
        find, scratch: as of ``exact_clusters``.
        exact: of ``exact_clusters``, read from files.
    """
    documents = documents_of(context, scoped)
    left = between.without_duplicates(documents, exact)
    clusters = find(within_dumps(left, scoped.plan))
    settings = scoped.dedup.near
    if not scoped.plan.looks_back or settings is None:
        return clusters
    clusters = materialize(clusters, storage.join(scratch, "near_clusters"))
    columns = [*_PLACE, "signature", "bands", *_order_columns(scoped)]
    here = between.without_duplicates(documents, exact.where("kind = 'exact'")).select(*columns)
    older_clusters = near_copies_of_older(
        left.select(*columns),
        _united([here, *_stored(context, scoped, tuple(columns))]),
        clusters,
        scoped.plan,
        survivor_order=settings.survivor_order,
        min_similarity=settings.min_similarity,
        scratch=scratch,
    )
    return clusters.unionByName(older_clusters)


def seen_documents(context: RunContext, scoped: ScopedDedup, clusters: DataFrame) -> DataFrame:
    """The documents of this run that a later one may be a copy of: all but exact copies within their dump.

    Returns:
        The columns of ``between.verdict_schema``, ``dump`` and others.
    """
    documents = documents_of(context, scoped).where(F.col("text_hash").isNotNull())
    return between.without_duplicates(documents, clusters.where("kind = 'exact'"))


def chain_folders(scoped: ScopedDedup) -> tuple[str, ...]:
    """What ``commit_chains`` makes."""
    if not scoped.plan.looks_back:
        return ()
    return (FINAL_SURVIVORS, OLDER_DOCUMENTS) if scoped.older else (FINAL_SURVIVORS,)


def commit_chains(context: RunContext, scoped: ScopedDedup, clusters: DataFrame, *, scratch: str) -> DataFrame:
    """Write where each chain of copies ends, and what of the store was copied; nothing in a plain run.

    Args:
        clusters: all kinds.
        scratch: as of ``exact_clusters``.

    Returns:
        ``clusters``, computed.
    """
    for folder in {FINAL_SURVIVORS, OLDER_DOCUMENTS}.difference(chain_folders(scoped)):
        storage.remove_folder(context.folder(folder))  # of a run with another [dedup]
    if not scoped.plan.looks_back:
        return clusters
    clusters = materialize(clusters, storage.join(scratch, "clusters"))
    links = clusters.select(*FINAL_SURVIVOR.names)
    if scoped.older:
        older = _older_documents(context, scoped, clusters)
        older = materialize(older, storage.join(scratch, "older_documents"))
        _commit_by_id(context, OLDER_DOCUMENTS, older, OLDER_DOCUMENT)
        links = links.union(older.select(*FINAL_SURVIVOR.names))
    ends = _ends_of_chains(links, num_pools=scoped.plan.num_pools, scratch=scratch)
    _commit_by_id(context, FINAL_SURVIVORS, ends, FINAL_SURVIVOR)
    return clusters


def final_survivors_of(context: RunContext) -> DataFrame | None:
    """What ``commit_chains`` wrote; None in a plain run."""
    if FINAL_SURVIVORS not in context.steps["dedup_near"].folders:
        return None
    return context.frame(FINAL_SURVIVORS, FINAL_SURVIVOR)


def _ends_of_chains(links: DataFrame, *, num_pools: int, scratch: str) -> DataFrame:
    """FINAL_SURVIVOR: each document that is a copy, and the one at the end of its chain.

    Every round doubles how far a link leads.

    Args:
        links: ``doc_id``, ``kept_doc_id``.
    """
    apart = links.where("doc_id <> kept_doc_id").distinct()
    current = materialize(apart, storage.join(scratch, "chains-0"))
    for round_number in range(1, 1 + math.ceil(math.log2(_HOPS_A_POOL * num_pools))):
        onward = current.select(F.col("doc_id").alias("kept_doc_id"), F.col("kept_doc_id").alias("end"))
        joined = current.join(onward, on="kept_doc_id", how="left")
        followed = joined.select("doc_id", F.coalesce("end", "kept_doc_id").alias("kept_doc_id"))
        current = materialize(followed, storage.join(scratch, f"chains-{round_number % 2}"))
    return current


def _older_documents(context: RunContext, scoped: ScopedDedup, clusters: DataFrame) -> DataFrame:
    """OLDER_DOCUMENT of the store's documents that ``clusters`` names as copied, and of those that stand for them."""
    kept = F.col("kept_doc_id").alias("doc_id")
    stored = _united(_stored(context, scoped, ("age", *OLDER_DOCUMENT.names)))
    copied = clusters.where(F.col("kind").endswith("_older")).select(kept).distinct()
    named = copied.union(stored.join(copied, on="doc_id", how="left_semi").select(kept)).distinct()
    first = F.min(F.struct("age", *(name for name in OLDER_DOCUMENT.names if name != "doc_id"))).alias("first")
    found = stored.join(named, on="doc_id", how="left_semi").groupBy("doc_id").agg(first)  # two runs may have read it
    return found.select("doc_id", "first.*").select(*OLDER_DOCUMENT.names)


def _commit_by_id(context: RunContext, folder: str, frame: DataFrame, schema: pa.Schema) -> None:
    parted = frame.withColumn("part", part_of("doc_id", _PARTS))
    path = context.folder(folder)
    files = write_frame(parted, folder=path, schema=schema, part_column="part", sort_by=("doc_id",))
    context.commit("dedup_near", folder, files, schema=schema)


def _order_columns(scoped: ScopedDedup) -> tuple[str, ...]:
    """What ``rank`` reads of a document, ``doc_id`` aside."""
    priority = () if scoped.dedup.source_priority is None else ("source_priority",)
    return (*priority, *scoped.survivor_columns)


def _stored(context: RunContext, scoped: ScopedDedup, columns: tuple[str, ...]) -> list[DataFrame]:
    """Documents of the store that are in scope, a frame an entry."""
    of_order = [field for field in order_columns(scoped.survivor_columns) if field.name != "doc_id"]
    schema = pa.schema([*STORED, *of_order])
    frames = []
    for entry in scoped.older:
        rows = read_frame(context.spark, entry.folder, entry.manifest.files, schema)
        placed = of_entry(rows, entry.name, scoped.plan, scoped.dedup.source_priority or ())
        frames.append(placed.select(*columns))
    return frames


def _united(frames: list[DataFrame]) -> DataFrame:
    return reduce(lambda left, right: left.unionByName(right), frames)


def _refuse_same_input(context: RunContext, scoped: ScopedDedup) -> None:
    """
    Raises:
        ConfigError: if an entry of the store was made from the very input of this run.
    """
    for entry in scoped.older:
        if entry.inputs_fingerprint == context.inputs_fingerprint:
            raise ConfigError(
                f"entry {entry.name!r} of the store ({entry.folder}) was made from the same input files as this run, "
                f"which would be a copy of itself; expected other files; set name = {entry.name!r} in [dedup.store] to "
                f"replace the entry, or change [[input]]"
            )
