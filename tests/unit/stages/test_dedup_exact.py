"""Exact clusters against a dictionary, for any partitioning."""

from __future__ import annotations

import datetime
import random
from collections import defaultdict
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from pipeline.schema import CLUSTER
from stages.dedup_exact import ExactDedupConfig, find_exact_duplicates, make_stage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


def make_documents(num_documents: int) -> list[dict[str, object]]:
    generator = random.Random(3)
    return [
        {
            "doc_id": f"{generator.getrandbits(128):032x}",
            "text_hash": generator.choice([None, *(bytes([i] * 16) for i in range(num_documents // 2))]),
            "num_bytes": generator.randrange(5),
            "fetch_time": generator.choice([None, DAY, DAY + datetime.timedelta(days=1)]),
        }
        for _ in range(num_documents)
    ]


def to_table(documents: list[dict[str, object]]) -> pa.Table:
    schema = pa.schema(
        [
            ("doc_id", pa.string()),
            ("text_hash", pa.binary()),
            ("num_bytes", pa.int64()),
            ("fetch_time", pa.timestamp("ms", tz="UTC")),
        ]
    )
    return pa.Table.from_pylist(documents, schema=schema)


def reference(documents: list[dict[str, object]]) -> set[tuple[object, ...]]:
    groups = defaultdict(list)
    for document in documents:
        if document["text_hash"] is not None:
            groups[document["text_hash"]].append(document)
    late = DAY + datetime.timedelta(days=365)
    clusters = set()
    for members in groups.values():
        best = min(members, key=lambda d: (-d["num_bytes"], d["fetch_time"] or late, d["doc_id"]))["doc_id"]
        smallest = min(member["doc_id"] for member in members)
        if len(members) > 1:
            clusters |= {(member["doc_id"], smallest, best, 1.0, "exact") for member in members}
    return clusters


@pytest.mark.parametrize("num_partitions", [1, 4, 7])
def test_clusters_do_not_depend_on_order_or_partitions(spark: SparkSession, num_partitions: int) -> None:
    documents = make_documents(120)
    expected = reference(documents)
    random.Random(num_partitions).shuffle(documents)
    frame = spark.createDataFrame(to_table(documents)).repartition(num_partitions)
    rows = find_exact_duplicates(frame, ExactDedupConfig()).collect()
    assert len(rows) == len(expected) > 20
    assert {tuple(row) for row in rows} == expected


def test_stage_declares_what_it_reads_and_writes(spark: SparkSession) -> None:
    stage = make_stage(ExactDedupConfig(survivor_order=("-lang_score",)))
    assert not stage.is_row_stage
    assert stage.input_schema.names == ["lang_score", "doc_id", "text_hash"]
    documents = spark.createDataFrame(
        [("a", b"x", 0.5), ("b", b"x", 0.9)], "doc_id string, text_hash binary, lang_score double"
    )
    found = stage.apply(documents)
    assert found.columns == CLUSTER.names
    assert {(row["doc_id"], row["cluster_id"], row["kept_doc_id"]) for row in found.collect()} == {
        ("a", "a", "b"),
        ("b", "a", "b"),
    }
