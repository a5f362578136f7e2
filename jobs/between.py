"""Between the passes: from verdicts to ``decisions/`` on ids, numbers and hashes alone.

Every page of ``signals/`` ends here as exactly one row of ``decisions/``. A page that the rules let through can
still be dropped as an exact copy, as a near copy, or by the sampling budget, in this order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from pipeline.schema import DECISION, ENDED, LOCATION, RECORD_IDENTITY
from stages.survivor import SurvivorOrder, order_columns

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

VERDICT = pa.schema(
    [
        *[RECORD_IDENTITY.field(name) for name in ("doc_id", "source", "domain", "url", "warc_file")],
        ("lang", pa.string()),
        ("lang_score", pa.float64()),
        ("fetch_time", pa.timestamp("ms", tz="UTC")),
        ("num_bytes", pa.int64()),
        ("num_words", pa.int64()),
        ("text_hash", pa.binary()),
        ("signature", pa.binary()),
        ("bands", pa.list_(pa.int64())),
        *ENDED,
        *LOCATION,
    ]
)
"""``_work/verdicts``: one row per page, with what deduplication and sampling look at. See ``verdict_schema``."""

_TEXT_DROP = {
    "text_stage": "string",
    "text_reason": "string",
    "text_value": "double",
    "text_threshold": "double",
    "text_kept_doc_id": "string",
}

EXACT = "exact_duplicate"
NEAR = "near_duplicate"
EXACT_OLDER = "exact_duplicate_of_older_dump"
NEAR_OLDER = "near_duplicate_of_older_dump"
_REASONS = {"exact": EXACT, "near": NEAR, "exact_older": EXACT_OLDER, "near_older": NEAR_OLDER}


def verdict_schema(*orders: SurvivorOrder) -> pa.Schema:
    """VERDICT and the scores that survivor orders look at."""
    scores = {field.name: field for order in orders for field in order_columns(order)}
    return pa.schema([*VERDICT, *(field for name, field in scores.items() if name not in VERDICT.names)])


def alive(verdicts: DataFrame) -> DataFrame:
    """Documents that no rule dropped."""
    return verdicts.where(F.col("ended_reason").isNull() & F.col("row_index").isNotNull())


def without_duplicates(documents: DataFrame, clusters: DataFrame) -> DataFrame:
    """Documents that are not the copy of a kept one."""
    copies = clusters.where(F.col("doc_id") != F.col("kept_doc_id")).select("doc_id").distinct()
    return documents.join(copies, on="doc_id", how="left_anti")


def final_survivors(clusters: DataFrame, finals: DataFrame | None = None) -> DataFrame:
    """For each dropped copy its kind, similarity and the document that stands in the corpus for it.

    The document kept for an exact copy may itself be a near copy of another one; then that one is named, with the
    similarity to it, which is the exact copy's own: texts that differ in white space alone have the same shingles.

    Args:
        finals: with copies between dumps, where chains may be longer: ``doc_id`` and ``kept_doc_id`` of each copy.
    """
    dropped = _with_similarity_onward(clusters.where(F.col("doc_id") != F.col("kept_doc_id")))
    if finals is not None:
        reasons = F.create_map(*[F.lit(name) for pair in _REASONS.items() for name in pair])
        named = dropped.select("doc_id", "similarity", reasons[F.col("kind")].alias("duplicate_reason"))
        return named.join(finals, on="doc_id", how="inner")
    exact = dropped.where(F.col("kind") == "exact").select("doc_id", "kept_doc_id", "similarity")
    near = dropped.where(F.col("kind") == "near").select("doc_id", "kept_doc_id", "similarity")
    onward = near.select(F.col("doc_id").alias("kept_doc_id"), F.col("kept_doc_id").alias("final_doc_id"))
    resolved = (
        exact.join(onward, on="kept_doc_id", how="left")
        .withColumn("kept_doc_id", F.coalesce("final_doc_id", "kept_doc_id"))
        .select("doc_id", "kept_doc_id", "similarity", F.lit(EXACT).alias("duplicate_reason"))
    )
    return resolved.unionByName(near.withColumn("duplicate_reason", F.lit(NEAR)))


def _with_similarity_onward(dropped: DataFrame) -> DataFrame:
    """Dropped copies, an exact one with the similarity that the document kept for it has to its own survivor."""
    onward = dropped.select(F.col("doc_id").alias("kept_doc_id"), F.col("similarity").alias("onward"))
    joined = dropped.join(onward, on="kept_doc_id", how="left")
    is_passed_on = (F.col("kind") == "exact") & F.col("onward").isNotNull()
    return joined.withColumn("similarity", F.when(is_passed_on, F.col("onward")).otherwise(F.col("similarity")))


def decisions(
    verdicts: DataFrame,
    clusters: DataFrame,
    sampled: DataFrame,
    *,
    near_threshold: float | None,
    sample_reason: str,
    finals: DataFrame | None = None,
    text_drops: DataFrame | None = None,
) -> DataFrame:
    """One row per page read.

    Args:
        verdicts: columns of VERDICT.
        clusters: columns of CLUSTER, exact and near.
        sampled: doc_id, copies, split, sample_value, sample_threshold of each document left by deduplication.
        near_threshold: the similarity below which a candidate is not a near copy; reported beside the value.
        sample_reason: why a document is dropped that sampling leaves out.
        finals: where chains of copies between dumps end; see ``final_survivors``.
        text_drops: documents that a corpus-wide stage dropped (``jobs.steps_text_dedup.drops``).

    Returns:
        Columns of DECISION.
    """
    duplicates = final_survivors(clusters, finals)
    joined = verdicts.join(duplicates, on="doc_id", how="left").join(sampled, on="doc_id", how="left")
    if text_drops is None:
        joined = joined.withColumns({name: F.lit(None).cast(kind) for name, kind in _TEXT_DROP.items()})
    else:
        joined = joined.join(text_drops, on="doc_id", how="left")
    ended = F.col("ended_reason").isNotNull()
    duplicate = F.col("duplicate_reason").isNotNull()
    by_text = F.col("text_reason").isNotNull()
    unsampled = F.col("copies") == 0
    near_limit = F.when(F.col("duplicate_reason").isin(NEAR, NEAR_OLDER), F.lit(near_threshold).cast("double"))

    def first(of_rule: Column, of_duplicate: Column, of_text: Column, of_sample: Column) -> Column:
        return F.when(ended, of_rule).when(duplicate, of_duplicate).when(by_text, of_text).when(unsampled, of_sample)

    duplicate_stage = F.when(F.col("duplicate_reason").isin(EXACT, EXACT_OLDER), "dedup_exact").otherwise("dedup_near")
    kept = ~ended & ~duplicate & ~by_text & ~unsampled
    return joined.select(
        "doc_id",
        "source",
        "domain",
        "url",
        "warc_file",
        "lang",
        "num_bytes",
        F.when(kept, "kept").otherwise("dropped").alias("verdict"),
        first(F.col("ended_stage"), duplicate_stage, F.col("text_stage"), F.lit("sample_mixture")).alias("stage"),
        first(F.col("ended_reason"), F.col("duplicate_reason"), F.col("text_reason"), F.lit(sample_reason)).alias(
            "reason"
        ),
        first(F.col("ended_value"), F.col("similarity"), F.col("text_value"), F.col("sample_value")).alias("value"),
        first(F.col("ended_threshold"), near_limit, F.col("text_threshold"), F.col("sample_threshold")).alias(
            "threshold"
        ),
        F.when(~ended, F.coalesce("kept_doc_id", "text_kept_doc_id")).alias("kept_doc_id"),
        F.when(kept, F.col("copies")).otherwise(0).cast("int").alias("copies"),
        F.when(kept, F.col("split")).alias("split"),
        *LOCATION.names,
    ).select(*DECISION.names)
