"""Survivors of near-deduplication do not depend on partitions or input order, and are those of a plain program."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from planted_pages import make_pages

from stages.dedup_near import NearDedupConfig, find_near_duplicates
from stages.minhash_signatures import MinHashConfig, make_stage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NUM_PAGES = 3_000
MIN_SIMILARITY = 0.7


@pytest.fixture(scope="module")
def documents() -> pa.Table:
    """Pages with near-copies of every similarity from .5 to 1, sketched, in no order."""
    pages = make_pages(NUM_PAGES, seed=5)
    batch = pa.record_batch(
        {
            "doc_id": pages.doc_ids,
            "text": pages.texts,
            "num_bytes": pa.array([len(text) for text in pages.texts], pa.int64()),
            "fetch_time": pa.nulls(NUM_PAGES, pa.timestamp("ms", tz="UTC")),
        }
    )
    return pa.Table.from_batches([make_stage(MinHashConfig()).apply(batch)]).select(
        ["doc_id", "signature", "bands", "num_bytes", "fetch_time"]
    )


@pytest.fixture(scope="module")
def clusters_of_all_pairs(documents: pa.Table) -> set[tuple[str, str, str]]:
    """(doc_id, cluster_id, kept_doc_id) where all pairs that share a band and agree are joined, the longest kept."""
    rows = documents.to_pylist()
    buckets = defaultdict(list)
    for place, row in enumerate(rows):
        for band in row["bands"]:
            buckets[band].append(place)
    values = [np.frombuffer(row["signature"], "<u4") for row in rows]
    group = {place: {place} for place in range(len(rows))}
    for left, right in {pair for members in buckets.values() for pair in itertools.combinations(members, 2)}:
        if group[left] is not group[right] and (values[left] == values[right]).mean() >= MIN_SIMILARITY:
            joined = group[left] | group[right]
            group |= dict.fromkeys(joined, joined)
    found = set()
    for place, members in group.items():
        kept = min(members, key=lambda member: (-rows[member]["num_bytes"], rows[member]["doc_id"]))
        cluster_id = min(rows[member]["doc_id"] for member in members)
        if len(members) > 1:
            found.add((rows[place]["doc_id"], cluster_id, rows[kept]["doc_id"]))
    return found


@pytest.mark.parametrize("num_partitions", [*(pytest.param(n, marks=pytest.mark.slow) for n in (1, 4, 16)), 7])
def test_clusters_are_the_same_for_any_partitioning_and_order(
    spark: SparkSession,
    tmp_path: Path,
    documents: pa.Table,
    clusters_of_all_pairs: set[tuple[str, str, str]],
    num_partitions: int,
) -> None:
    shuffled = documents.take(np.random.RandomState(num_partitions).permutation(NUM_PAGES))
    frame = spark.createDataFrame(shuffled).repartition(num_partitions)
    config = NearDedupConfig(min_similarity=MIN_SIMILARITY)
    clusters = find_near_duplicates(frame, config, scratch=str(tmp_path)).collect()
    assert len(clusters_of_all_pairs) > NUM_PAGES / 3
    assert {(row["doc_id"], row["cluster_id"], row["kept_doc_id"]) for row in clusters} == clusters_of_all_pairs
