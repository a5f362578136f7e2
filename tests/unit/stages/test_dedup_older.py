"""Copies between dumps on Spark: against the definition spelt out, for any partitioning."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dump_plan import DumpPlan
from stages.dedup_older import exact_copies_of_older, near_copies_of_older, of_entry, with_dumps, within_dumps

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NUM_PERM = 8
MIN_SIMILARITY = 0.6
DUMPS = ("winter", "spring", "summer", "autumn")
SOURCES = {**{dump: dump for dump in DUMPS}, "wiki": "summer"}
SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),
        ("source", pa.string()),
        ("num_bytes", pa.int64()),
        ("text_hash", pa.binary()),
        ("bands", pa.list_(pa.int64())),
        ("signature", pa.binary()),
    ]
)
Row = dict[str, Any]


def plan_of(scope: str, window_dumps: int | None = None) -> DumpPlan:
    return DumpPlan(scope=scope, window_dumps=window_dumps, pools=DUMPS, of_source=SOURCES)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Documents of few texts, no text twice in a dump."""
    draw = random.Random(3)
    found = []
    for dump in DUMPS:
        for text in draw.sample(range(60), 30):
            signature = np.array([draw.randrange(2) for _ in range(NUM_PERM)], "<u4")
            found.append(
                {
                    "doc_id": f"{draw.getrandbits(32):08x}",
                    "source": "wiki" if dump == "summer" and text % 2 else dump,
                    "num_bytes": draw.randrange(3),
                    "text_hash": bytes([text]) * 16 if text else None,
                    "bands": [draw.randrange(40) for _ in range(2)] if text % 9 else None,
                    "signature": signature.tobytes() if text % 9 else None,
                }
            )
    return found


def in_scope(newer: Row, older: Row, plan: DumpPlan) -> bool:
    new, old = SOURCES[newer["source"]], SOURCES[older["source"]]
    return DUMPS.index(old) < DUMPS.index(new) and plan.reaches(new, old)


def age(row: Row) -> int:
    return DUMPS.index(SOURCES[row["source"]])


@pytest.mark.parametrize(
    ("num_partitions", "scope"),
    [
        pytest.param(1, ("global", None), marks=pytest.mark.slow),
        (4, ("window", 2)),
        pytest.param(7, ("window", 3), marks=pytest.mark.slow),
    ],
)
def test_copies_of_older_dumps(
    spark: SparkSession, tmp_path: Path, rows: list[Row], num_partitions: int, scope: tuple[str, int | None]
) -> None:
    plan = plan_of(*scope)
    shuffled = pa.Table.from_pylist(random.Random(num_partitions).sample(rows, len(rows)), SCHEMA)
    documents = with_dumps(spark.createDataFrame(shuffled).repartition(num_partitions), plan, ("wiki", "summer"))
    exact: dict[str, str] = {}
    near: dict[str, tuple[str, float]] = {}
    for row in rows:
        seen = [other for other in rows if in_scope(row, other, plan)]
        same = [other for other in seen if other["text_hash"] == row["text_hash"] is not None]
        if same:
            exact[row["doc_id"]] = min(same, key=age)["doc_id"]
        hubs = []
        for band in row["bands"] or ():
            for dump in range(age(row)):
                bucket = [other for other in seen if age(other) == dump and band in (other["bands"] or ())]
                if bucket:
                    hubs.append(min(bucket, key=order))
        alike = [hub for hub in hubs if similarity(row, hub) >= MIN_SIMILARITY]
        if alike:
            best = min(alike, key=lambda hub: (age(hub), order(hub)))
            near[row["doc_id"]] = (best["doc_id"], similarity(row, best))
    assert len(exact) > 10 and len(near) > 10
    found = exact_copies_of_older(documents, documents, plan).collect()
    assert {row["doc_id"]: row["kept_doc_id"] for row in found if row["doc_id"] != row["kept_doc_id"]} == exact
    assert {row["doc_id"] for row in found if row["doc_id"] == row["kept_doc_id"]} == set(exact.values())
    assert {(row["kind"], row["cluster_id"] == row["kept_doc_id"]) for row in found} == {("exact_older", True)}
    no_clusters = spark.createDataFrame([], "doc_id string, kept_doc_id string")
    found = near_copies_of_older(
        documents,
        documents,
        no_clusters,
        plan,
        survivor_order=("source_priority", "-num_bytes"),
        min_similarity=MIN_SIMILARITY,
        scratch=str(tmp_path),
    ).collect()
    copies = [row for row in found if row["doc_id"] != row["kept_doc_id"]]
    assert {row["doc_id"]: (row["kept_doc_id"], row["similarity"]) for row in copies} == near
    assert {row["doc_id"] for row in found if row not in copies} == {kept for kept, _ in near.values()}


def order(row: Row) -> tuple[Any, ...]:
    """Wikipedia first, then the longest."""
    priority = {"wiki": 0, "summer": 1}
    return (priority.get(row["source"], 2), -row["num_bytes"], row["doc_id"])


def similarity(left: Row, right: Row) -> float:
    return float((np.frombuffer(left["signature"], "<u4") == np.frombuffer(right["signature"], "<u4")).mean())


def test_a_cluster_goes_with_any_of_its_members(spark: SparkSession, tmp_path: Path) -> None:
    """The cluster's survivor is not like the older document; one of the others is."""
    like, unlike = np.zeros(NUM_PERM, "<u4").tobytes(), np.ones(NUM_PERM, "<u4").tobytes()
    table = pa.Table.from_pylist(
        [
            {"doc_id": "old", "source": "winter", "num_bytes": 1, "bands": [1], "signature": like},
            {"doc_id": "best", "source": "spring", "num_bytes": 9, "bands": [2], "signature": unlike},
            {"doc_id": "member", "source": "spring", "num_bytes": 5, "bands": [1, 2], "signature": like},
        ],
        SCHEMA,
    )
    plan = plan_of("global")
    documents = with_dumps(spark.createDataFrame(table), plan, ())
    clusters = spark.createDataFrame([("best", "best"), ("member", "best")], "doc_id string, kept_doc_id string")
    found = near_copies_of_older(
        documents, documents, clusters, plan, survivor_order=(), min_similarity=0.6, scratch=str(tmp_path)
    )
    assert {tuple(row) for row in found.collect()} == {
        ("best", "old", "old", 0.0, "near_older"),
        ("old", "old", "old", 1.0, "near_older"),
    }


def test_dumps_share_no_hash(spark: SparkSession, rows: list[Row]) -> None:
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, SCHEMA))
    apart = within_dumps(with_dumps(frame, plan_of("dump"), ()), plan_of("dump")).collect()
    owners: dict[Any, set[str]] = {}
    for row, before in zip(
        sorted(apart, key=lambda row: row["doc_id"]), sorted(rows, key=lambda r: r["doc_id"]), strict=True
    ):
        assert (row["bands"] is None) == (before["bands"] is None)
        for value in (row["text_hash"] and bytes(row["text_hash"]), *(row["bands"] or ())):
            owners.setdefault(value, set()).add(row["dump"])
    assert {len(dumps) for value, dumps in owners.items() if value is not None} == {1}
    one_pool = DumpPlan(of_source=SOURCES)
    assert (
        within_dumps(with_dumps(frame, one_pool, ()), one_pool)
        .select("bands")
        .exceptAll(frame.select("bands"))
        .isEmpty()
    )


def test_documents_of_an_entry(spark: SparkSession) -> None:
    plan = DumpPlan(
        scope="window",
        window_dumps=2,
        of_source={"new": "autumn"},
        older=(("run-1", "winter"), ("run-2", "spring"), ("run-2", "summer")),
    )
    stored = spark.createDataFrame(
        [("a", "x", "spring"), ("b", "wiki", "summer"), ("c", "x", "winter")],
        "doc_id string, source string, dump string",
    )
    placed = of_entry(stored, "run-2", plan, ("wiki", "new")).orderBy("doc_id").collect()
    assert [(row["doc_id"], row["age"], row["dump_index"], row["source_priority"], row["entry"]) for row in placed] == [
        ("a", 1, 1, 2, "run-2"),
        ("b", 2, 2, 0, "run-2"),
    ]
