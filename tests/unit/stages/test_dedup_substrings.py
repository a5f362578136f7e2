"""What Spark does between the rounds, and what the config refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.config import parse
from pipeline.errors import ConfigError
from stages.dedup_substrings import SubstringDedupConfig, numbered, repeated_anchors, repeated_passages

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OCCURRENCES = "part string, passage long, first_number long, first_position int, last_number long, last_position int"


def test_an_anchor_window_is_no_longer_than_a_passage():
    with pytest.raises(ConfigError, match="window_tokens = 21 exceeds min_tokens = 20"):
        parse({"min_tokens": 20, "window_tokens": 21}, SubstringDedupConfig, where="[dedup.substrings]")


@pytest.mark.parametrize(("min_tokens", "window"), [(50, 26), (2, 2), (3, 2)])
def test_the_window_is_half_a_passage_unless_set(min_tokens, window):
    assert SubstringDedupConfig(min_tokens=min_tokens).window == window
    assert SubstringDedupConfig(min_tokens=min_tokens, window_tokens=1).window == 1


def test_anchors_count_over_batches_and_parts(spark: SparkSession):
    rows = [(-1, 1, "00000"), (-1, 1, "00001"), (2, 2, "00001"), (3, 1, "00000"), (4, 1, "00001"), (4, 1, "00001")]
    found = repeated_anchors(spark.createDataFrame(rows, "anchor long, num_places long, part string")).collect()
    assert sorted(map(tuple, found)) == [("00000", -1), ("00001", -1), ("00001", 2), ("00001", 4)]


def test_passages_that_only_overlap_themselves_are_not_repeated(spark: SparkSession):
    rows = [
        ("00000", 7, 5, 10, 5, 14),  # one document, four words apart
        ("00000", 8, 5, 10, 5, 15),
        ("00000", 9, 5, 10, 6, 10),
        ("00001", 9, 2, 99, 2, 99),
        ("00001", 9, 7, 0, 7, 0),
        ("00001", 6, 1, 1, 1, 1),
    ]
    frame = spark.createDataFrame(rows, OCCURRENCES)
    found = repeated_passages(frame, SubstringDedupConfig(min_tokens=5)).collect()
    assert sorted(map(tuple, found)) == [
        ("00000", 8, 5, 10, 5, 15),
        ("00000", 9, 2, 99, 7, 0),
        ("00001", 9, 2, 99, 7, 0),
    ]


def test_numbers_follow_the_survivor_order(spark: SparkSession):
    rows = [("a", 1), ("b", 3), ("c", None), ("d", 3)]
    frame = spark.createDataFrame(rows, "doc_id string, num_bytes long").repartition(3)
    found = numbered(frame, ("-num_bytes",)).collect()
    assert [row["doc_id"] for row in sorted(found, key=lambda row: row["number"])] == ["b", "d", "a", "c"]
