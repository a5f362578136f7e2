"""Near-duplicate clusters against a single-process reference, for any partitioning and either graph method."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from pipeline.schema import CLUSTER
from stages.dedup_near import NearDedupConfig, find_near_duplicates, make_stage
from stages.minhash_signatures import MinHashConfig
from stages.minhash_signatures import make_stage as make_minhash_stage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MCCORMICK = Path(__file__).parents[4] / "shared" / "data" / "neardup" / "mccormick" / "data"


def planted_documents() -> dict[str, str]:
    """Texts of 60 words, each with copies in which more and more words are replaced, by shuffled doc_id."""
    generator = random.Random(17)
    texts = []
    for _ in range(60):
        words = [f"w{generator.randrange(10**6)}" for _ in range(60)]
        texts.append(" ".join(words))
        for num_replaced in (0, 1, 2, 3, 5):
            for place in generator.sample(range(60), num_replaced):
                words[place] = f"v{generator.randrange(10**6)}"
            texts.append(" ".join(words) + "." * generator.randrange(4))
    return {f"{generator.getrandbits(128):032x}": text for text in texts}


def sketched(texts: dict[str, str], config: MinHashConfig) -> pa.Table:
    batch = pa.record_batch(
        {
            "doc_id": list(texts),
            "text": list(texts.values()),
            "num_bytes": pa.array([len(text.encode()) for text in texts.values()], pa.int64()),
            "fetch_time": pa.nulls(len(texts), pa.timestamp("ms", tz="UTC")),
        }
    )
    return pa.Table.from_batches([make_minhash_stage(config).apply(batch)]).drop_columns(["text", "text_hash"])


def reference(table: pa.Table, min_similarity: float | None, hubs_per_bucket: int = 8) -> set[tuple[object, ...]]:
    """Members with the hubs of their buckets, verified; union by merging sets; best of each component."""
    rows = {row["doc_id"]: row for row in table.to_pylist() if row["bands"] is not None}
    order = sorted(rows, key=lambda doc_id: (-rows[doc_id]["num_bytes"], doc_id))
    values = {doc_id: np.frombuffer(row["signature"], dtype="<u4") for doc_id, row in rows.items()}
    buckets = defaultdict(list)
    for doc_id in order:
        for band in rows[doc_id]["bands"]:
            buckets[band].append(doc_id)
    group = {doc_id: {doc_id} for doc_id in rows}

    def are_near(left: str, right: str) -> bool:
        return min_similarity is None or (values[left] == values[right]).mean() >= min_similarity

    for members in buckets.values():
        hub, *others = members[:hubs_per_bucket]
        for member in members:
            for other in [hub] if are_near(member, hub) else others:
                if are_near(member, other):
                    merged = group[member] | group[other]
                    group |= dict.fromkeys(merged, merged)
    clusters = set()
    for doc_id, members in group.items():
        kept = min(members, key=order.index)
        if len(members) > 1:
            estimate = (values[doc_id] == values[kept]).mean()
            clusters.add((doc_id, min(members), kept, float(estimate), "near"))
    return clusters


def clusters_of(
    spark: SparkSession, table: pa.Table, scratch: Path, num_partitions: int = 2, **config: Any
) -> set[tuple]:
    frame = spark.createDataFrame(table).repartition(num_partitions)
    found = find_near_duplicates(frame, NearDedupConfig(**config), scratch=str(scratch)).collect()
    assert len(found) == len({row["doc_id"] for row in found})
    return {tuple(row) for row in found}


@pytest.fixture(scope="module")
def planted() -> pa.Table:
    return sketched({**planted_documents(), "f" * 32: "…", "e" * 32: "short text"}, MinHashConfig())


@pytest.mark.parametrize(
    ("num_partitions", "config"),
    [
        pytest.param(1, {"min_similarity": 0.7}, marks=pytest.mark.slow),
        (4, {"min_similarity": 0.7}),
        (7, {"min_similarity": 0.7, "max_single_task_edges": 0}),
        (4, {"min_similarity": None}),
        pytest.param(3, {"min_similarity": 0.95}, marks=pytest.mark.slow),
        (2, {"min_similarity": 0.95, "hubs_per_bucket": 1}),
    ],
)
def test_clusters_equal_the_reference(
    spark: SparkSession, tmp_path: Path, planted: pa.Table, num_partitions: int, config: dict[str, Any]
) -> None:
    shuffled = planted.take(np.random.RandomState(num_partitions).permutation(planted.num_rows))
    expected = reference(planted, config["min_similarity"], config.get("hubs_per_bucket", 8))
    assert len(expected) > 100
    assert clusters_of(spark, shuffled, tmp_path, num_partitions, **config) == expected


def test_one_shared_band_removes_a_page_only_without_verification(spark: SparkSession, tmp_path: Path) -> None:
    signatures = [np.arange(112, dtype="<u4"), np.arange(1000, 1112, dtype="<u4")]
    signatures[1][:8] = signatures[0][:8]
    table = crafted([signature.tobytes() for signature in signatures], [[1, 2], [1, 3]])
    assert clusters_of(spark, table, tmp_path / "verified", min_similarity=0.7) == set()
    assert clusters_of(spark, table, tmp_path / "all", min_similarity=None) == {
        ("00000", "00000", "00000", 1.0, "near"),
        ("00001", "00000", "00000", 8 / 112, "near"),
    }


def crafted(signatures: list[bytes], bands: list[list[int]]) -> pa.Table:
    num_rows = len(bands)
    return pa.table(
        {
            "doc_id": [f"{i:05d}" for i in range(num_rows)],
            "signature": pa.array(signatures, pa.binary()),
            "bands": pa.array(bands, pa.list_(pa.int64())),
            "num_bytes": pa.array([100] * num_rows, pa.int64()),
            "fetch_time": pa.nulls(num_rows, pa.timestamp("ms", tz="UTC")),
        }
    )


@pytest.mark.slow
def test_twenty_thousand_equal_signatures_are_one_cluster(spark: SparkSession, tmp_path: Path) -> None:
    num_rows = 20_000
    table = crafted([b"\1\0\0\0" * 16] * num_rows, [list(range(4))] * num_rows)
    found = clusters_of(spark, table, tmp_path)
    assert found == {(f"{i:05d}", "00000", "00000", 1.0, "near") for i in range(num_rows)}


@pytest.mark.parametrize("max_single_task_edges", [0, 10**6])
def test_a_chain_is_one_cluster(spark: SparkSession, tmp_path: Path, max_single_task_edges: int) -> None:
    names = list(range(32))
    random.Random(2).shuffle(names)
    places = [names.index(i) for i in range(32)]  # document i stands at this place of the chain
    signatures = [np.arange(place, place + 20, dtype="<u4").tobytes() for place in places]
    table = crafted(signatures, [[place, place + 1] for place in places])
    found = clusters_of(spark, table, tmp_path, min_similarity=None, max_single_task_edges=max_single_task_edges)
    assert {row[:3] for row in found} == {(f"{i:05d}", "00000", "00000") for i in range(32)}


@pytest.mark.slow
def test_two_hundred_thousand_equal_signatures(spark: SparkSession, tmp_path: Path) -> None:
    """One bucket in each band, of all documents: a quadratic method would compare 20 billion pairs."""
    num_rows = 200_000
    signature = np.arange(112, dtype="<u4").tobytes()
    documents = spark.range(num_rows).select(
        F.format_string("%06d", F.col("id").bitwiseXOR(0b101)).alias("doc_id"),
        F.lit(signature).alias("signature"),
        F.array(*[F.lit(band).cast("long") for band in range(14)]).alias("bands"),
        F.lit(100).cast("long").alias("num_bytes"),
        F.lit(None).cast("timestamp").alias("fetch_time"),
    )
    found = find_near_duplicates(documents, NearDedupConfig(), scratch=str(tmp_path))
    facts = found.groupBy("cluster_id", "kept_doc_id", "similarity").agg(F.countDistinct("doc_id").alias("size"))
    assert [tuple(row) for row in facts.collect()] == [("000000", "000000", 1.0, num_rows)]


@pytest.mark.slow
@pytest.mark.parametrize("max_single_task_edges", [0, 10**6])
def test_a_chain_of_fifty_thousand(spark: SparkSession, tmp_path: Path, max_single_task_edges: int) -> None:
    """Each page is near the next one only; names are in random order along the chain."""
    num_rows = 50_000
    places = np.random.RandomState(3).permutation(num_rows)
    values = (places[:, None] + np.arange(4)) // 4 * 4 + np.arange(4)  # from one place to the next one of four changes
    signatures = [row.tobytes() for row in values.astype("<u4")]
    table = crafted(signatures, np.stack([places, places + 1], axis=1).tolist())
    config = NearDedupConfig(max_single_task_edges=max_single_task_edges)
    frame = spark.createDataFrame(table).repartition(4)
    found = find_near_duplicates(frame, config, scratch=str(tmp_path))
    facts = found.groupBy("cluster_id", "kept_doc_id").agg(F.countDistinct("doc_id").alias("size"))
    assert [tuple(row) for row in facts.collect()] == [("00000", "00000", num_rows)]


def test_stage_declares_what_it_reads_and_writes(spark: SparkSession, tmp_path: Path) -> None:
    stage = make_stage(NearDedupConfig(survivor_order=("num_words",)), scratch=str(tmp_path))
    assert not stage.is_row_stage
    assert stage.input_schema.names == ["num_words", "doc_id", "signature", "bands"]
    assert "scratch" not in str(stage.identity())
    table = crafted([b"\1\0\0\0"] * 2, [[1], [1]]).append_column("num_words", pa.array([7, 3], pa.int64()))
    found = stage.apply(spark.createDataFrame(table))
    assert found.columns == CLUSTER.names
    assert {row["kept_doc_id"] for row in found.collect()} == {"00001"}


@pytest.mark.skipif(not MCCORMICK.is_dir(), reason="../shared/data/neardup/mccormick is absent")
@pytest.mark.parametrize("min_similarity", [None, 0.7])
def test_known_pairs_of_news_articles(spark: SparkSession, tmp_path: Path, min_similarity: float | None) -> None:
    articles = dict(line.split(" ", 1) for line in (MCCORMICK / "articles_1000.train").read_text().splitlines())
    known = {frozenset(line.split()) for line in (MCCORMICK / "articles_1000.truth").read_text().splitlines()}
    found = clusters_of(spark, sketched(articles, MinHashConfig()), tmp_path, min_similarity=min_similarity)
    members = defaultdict(list)
    for doc_id, cluster_id, *_ in found:
        members[cluster_id].append(doc_id)
    pairs = {frozenset(pair) for cluster in members.values() for pair in itertools.combinations(cluster, 2)}
    assert pairs == known
