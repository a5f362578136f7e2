"""Frame functions: copies between dumps, found after those within each dump.

Within a dump documents are compared as ever, by ``dedup_exact`` and ``dedup_near``, on hashes that no other dump shares
(``within_dumps``). What is left of a dump is then held against older dumps, of this run or of finished ones:

* *Exact.* A document goes if an older dump in scope has its text hash; the oldest such document is named.
* *Near.* A cluster of near copies, or a document that is in none, goes if one of its members shares a band with the hub
  (the best by the survivor order) of that band's bucket in an older dump, and their signatures agree. Where several
  do, the oldest dump's best is named.

A dump is compared with everything that was *seen* in an older one, whether it was kept there or not. So whether a
document goes depends on its own dump and on what lay in those before it, never on what comes after, and the dumps can
be handed in one by one or all at once. Components end at the border of a dump. A search for the components of all dumps
together would find the same but for one case: where a newer document joins two clusters of an older dump, it would
drop one of two documents that were kept before. Here both stay, and only the newcomer goes.

Cost: one shuffle of text hashes and one of bands, those of the older dumps included; signatures are read of pairs that
share a band. Older buckets are reduced to their hubs before they meet the newer dump, so that none is squared.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipeline import storage
from pipeline.dump_plan import DumpPlan
from pipeline.kernels.minhash import similarity
from stages.spark_graph import materialize
from stages.survivor import SurvivorOrder, rank

VERSION = "1"
EXACT_OLDER = "exact_older"
NEAR_OLDER = "near_older"


def with_dumps(documents: DataFrame, plan: DumpPlan, source_priority: tuple[str, ...]) -> DataFrame:
    """``documents`` of the run with ``dump``, ``age`` (the place of their pool), ``dump_index`` and
    ``source_priority`` (place in that list; sources that it does not name come after)."""
    named = documents.withColumn("dump", _by_name("source", plan.of_source))
    age = _by_name("dump", plan.ages) if plan.pools else F.lit(plan.age_of_pool)
    return _placed(named, age, plan, source_priority)


def of_entry(documents: DataFrame, entry: str, plan: DumpPlan, source_priority: tuple[str, ...]) -> DataFrame:
    """``documents`` of an entry of the store that are in scope, with the columns of ``with_dumps`` and ``entry``."""
    ages = {dump: age for age, (name, dump) in enumerate(plan.older) if name == entry}
    in_scope = documents.where(F.col("dump").isin(list(ages))).withColumn("entry", F.lit(entry))
    return _placed(in_scope, _by_name("dump", ages), plan, source_priority)


def _placed(documents: DataFrame, age: Column, plan: DumpPlan, source_priority: tuple[str, ...]) -> DataFrame:
    places = {source: place for place, source in enumerate(source_priority)}
    priority = F.coalesce(_by_name("source", places), F.lit(len(places))) if places else F.lit(0)
    index = _by_name("dump", plan.dump_indices)
    columns = {"age": age, "dump_index": index, "source_priority": priority}
    return documents.withColumns({name: column.cast("long") for name, column in columns.items()})


def within_dumps(documents: DataFrame, plan: DumpPlan) -> DataFrame:
    """``documents`` with text and band hashes that no two dumps share; as they are where all are one pool.

    Bands are changed by a hash of the dump: two of different dumps fall together as rarely as two of different texts.
    """
    if len(plan.pools) < 2:
        return documents
    salt = F.xxhash64("dump")
    salted = documents.withColumn("text_hash", F.concat("text_hash", F.encode("dump", "UTF-8")))
    if "bands" not in documents.columns:
        return salted
    return salted.withColumn("bands", F.transform("bands", lambda band: band.bitwiseXOR(salt)))


def exact_copies_of_older(newer: DataFrame, older: DataFrame, plan: DumpPlan) -> DataFrame:
    """Documents whose text an older dump in scope has.

    Args:
        newer: ``doc_id``, ``text_hash``, ``age``, ``dump_index``: what is left of each dump of the run.
        older: the same columns; documents of the store, and ``newer`` again.

    Returns:
        ``pipeline.schema.CLUSTER`` of kind ``exact_older``: each such document, and the one that it is a copy of.
    """
    own = newer.where(F.col("text_hash").isNotNull()).alias("own")
    seen = older.where(F.col("text_hash").isNotNull()).alias("seen")
    same = (F.col("own.text_hash") == F.col("seen.text_hash")) & _is_in_scope(plan)
    first = F.min(F.struct("seen.age", "seen.doc_id"))["doc_id"]
    copies = own.join(seen, on=same, how="inner").groupBy(F.col("own.doc_id").alias("doc_id"))
    found = copies.agg(first.alias("kept_doc_id")).withColumn("similarity", F.lit(1.0))
    return _clusters(found, EXACT_OLDER)


def near_copies_of_older(
    newer: DataFrame,
    older: DataFrame,
    clusters: DataFrame,
    plan: DumpPlan,
    *,
    survivor_order: SurvivorOrder,
    min_similarity: float | None,
    scratch: str,
) -> DataFrame:
    """Clusters of near copies, and single documents, that are near copies of an older dump's documents.

    Args:
        newer: ``doc_id``, ``signature``, ``bands``, ``age``, ``dump_index``: what exact deduplication left of the run.
        older: these and the columns of the survivor order: documents that may be copied; of the store, and of the run
            all but exact copies within their dump.
        clusters: CLUSTER of kind ``near`` within dumps.
        min_similarity: as of ``NearDedupConfig``.
        scratch: a folder that all executors reach, of this call's own; to be deleted after the result was used.

    Returns:
        ``pipeline.schema.CLUSTER`` of kind ``near_older``: the document that its dump would keep, and the older one.
    """
    links = materialize(_links(newer, older, plan, survivor_order), storage.join(scratch, "older_links"))
    documents = newer.select("doc_id", "signature").union(older.select("doc_id", "signature"))
    kept = clusters.select("doc_id", F.col("kept_doc_id").alias("survivor"))
    pairs = links.join(kept, on="doc_id", how="left").withColumn("survivor", F.coalesce("survivor", "doc_id"))
    named = pairs.select("doc_id").union(pairs.select("kept_doc_id")).union(pairs.select("survivor")).distinct()
    candidates = documents.join(named, on="doc_id", how="left_semi").dropDuplicates(["doc_id"])
    signatures = materialize(candidates, storage.join(scratch, "older_candidates"))
    if min_similarity is not None:
        pairs = _with_similarity(pairs, signatures).where(F.col("similarity") >= min_similarity)
    best = F.min(F.struct("age", "rank", "kept_doc_id"))["kept_doc_id"]
    found = pairs.groupBy(F.col("survivor").alias("doc_id")).agg(best.alias("kept_doc_id"))
    return _clusters(_with_similarity(found, signatures), NEAR_OLDER)


def _links(newer: DataFrame, older: DataFrame, plan: DumpPlan, survivor_order: SurvivorOrder) -> DataFrame:
    """Distinct pairs of a document and a hub of an older dump that shares a band with it.

    Returns:
        ``doc_id``, ``kept_doc_id`` (the hub), and its ``age`` and ``rank``.
    """
    best = rank(survivor_order).alias("rank")
    in_buckets = older.where(F.col("bands").isNotNull())
    buckets = in_buckets.select("age", "dump_index", best, F.explode("bands").alias("band"))
    best_of_bucket = buckets.groupBy("band", "age", "dump_index").agg(F.min("rank").alias("rank"))
    hubs = best_of_bucket.withColumn("doc_id", F.col("rank.doc_id")).alias("seen")
    banded = newer.where(F.col("bands").isNotNull())
    own = banded.select("doc_id", "age", "dump_index", F.explode("bands").alias("band")).alias("own")
    met = own.join(hubs, on=(F.col("own.band") == F.col("seen.band")) & _is_in_scope(plan), how="inner")
    return met.select("own.doc_id", F.col("seen.doc_id").alias("kept_doc_id"), "seen.age", "seen.rank").distinct()


def _is_in_scope(plan: DumpPlan) -> Column:
    """Whether the row ``seen`` is of an older pool with which the row ``own`` is compared.

    A document that two runs have read is no copy of itself.
    """
    is_older = (F.col("seen.age") < F.col("own.age")) & (F.col("seen.doc_id") != F.col("own.doc_id"))
    if plan.scope == "global":
        return is_older
    distance = F.col("own.dump_index") - F.col("seen.dump_index")
    return is_older & (distance >= 0) & (distance < plan.reach_dumps)


def _clusters(copies: DataFrame, kind: str) -> DataFrame:
    """CLUSTER from ``doc_id``, ``kept_doc_id``, ``similarity``: the copies, and what they are copies of."""
    named = copies.select("doc_id", F.col("kept_doc_id").alias("cluster_id"), "kept_doc_id", "similarity")
    itself = F.col("kept_doc_id").alias("doc_id"), F.col("kept_doc_id").alias("cluster_id"), F.col("kept_doc_id")
    heads = copies.select(*itself, F.lit(1.0).alias("similarity")).distinct()
    return named.unionByName(heads).withColumn("kind", F.lit(kind))


def _with_similarity(pairs: DataFrame, documents: DataFrame) -> DataFrame:
    """``pairs`` (``doc_id``, ``kept_doc_id`` and whatever else) with ``similarity`` by their signatures."""
    own = documents.select("doc_id", F.col("signature").alias("own_signature"))
    kept = documents.select(F.col("doc_id").alias("kept_doc_id"), F.col("signature").alias("kept_signature"))
    distinct = pairs.select("doc_id", "kept_doc_id").distinct()
    both = distinct.join(own, on="doc_id", how="inner").join(kept, on="kept_doc_id", how="inner")
    ordered = both.select("doc_id", "kept_doc_id", "own_signature", "kept_signature")  # mapInArrow goes by position
    estimates = ordered.mapInArrow(_estimate, "doc_id string, kept_doc_id string, similarity double")
    return pairs.join(estimates, on=["doc_id", "kept_doc_id"], how="inner")


def _estimate(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Replace the two signature columns by their estimated similarity."""
    for batch in batches:
        estimate = similarity(batch.column("own_signature"), batch.column("kept_signature"))
        yield batch.drop_columns(["own_signature", "kept_signature"]).append_column("similarity", pa.array(estimate))


def _by_name(column: str, values: dict[str, int] | dict[str, str]) -> Column:
    """The value of ``values`` for the name in ``column``; null for others."""
    if not values:
        return F.lit(None)
    return F.create_map(*[F.lit(entry) for pair in values.items() for entry in pair])[F.col(column)]
