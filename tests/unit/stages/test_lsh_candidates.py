"""Members of buckets from a sorted stream: the same rows however it is cut into batches."""

from __future__ import annotations

import datetime
import itertools
from typing import TYPE_CHECKING

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lsh_candidates import members_of_batches, numbered

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def expected_members(rows: list[tuple[int, int]], num_hubs: int) -> list[tuple[int, int, list[int]]]:
    found = []
    for band in sorted({band for band, _ in rows}):
        members = sorted({node for other, node in rows if other == band})
        for node in members[1:]:
            found.append((node, members[0], [hub for hub in members[1:num_hubs] if hub != node]))
    return found


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 30)), max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(1, 5),
)
@settings(deadline=None)
def test_members_do_not_depend_on_batches(rows: list[tuple[int, int]], cuts: list[int], num_hubs: int) -> None:
    rows = sorted(rows)
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    batches = [
        pa.record_batch(
            {name: pa.array([row[i] for row in rows[start:end]], pa.int64()) for i, name in enumerate(("band", "node"))}
        )
        for start, end in itertools.pairwise(ends)
    ]
    found = [
        (row["node"], row["hub"], row["other_hubs"])
        for batch in members_of_batches(num_hubs)(batches)
        for row in batch.to_pylist()
    ]
    assert found == expected_members(rows, num_hubs)


def test_a_large_bucket_is_not_held() -> None:
    """Ten thousand batches of one bucket: after each, all its members are written but for the bucket's hubs."""
    batches = (
        pa.record_batch({"band": pa.array([5] * 4), "node": pa.array(range(i, i + 4))}) for i in range(0, 4000, 4)
    )
    sizes = [batch.num_rows for batch in members_of_batches(8)(batches)]
    assert sum(sizes) == 3999
    assert max(sizes) <= 12


def test_numbers_follow_the_order(spark: SparkSession) -> None:
    times = [datetime.datetime(2020, 1, day, tzinfo=datetime.UTC) for day in (1, 2)]
    rows = [(f"{i:03d}", i * 37 % 11, times[i % 2], [i]) for i in range(200)]
    documents = spark.createDataFrame(rows, "doc_id string, num_bytes long, fetch_time timestamp, bands array<long>")
    found = numbered(documents.repartition(5), ("-num_bytes", "fetch_time")).collect()
    by_node = [row["doc_id"] for row in sorted(found, key=lambda row: row["node"])]
    assert by_node == [row[0] for row in sorted(rows, key=lambda row: (-row[1], row[2], row[0]))]
    assert len({row["node"] for row in found}) == len(rows)
