"""From verdicts, clusters and samples to one decision per page."""

from __future__ import annotations

import pytest

from jobs import between
from pipeline.schema import DECISION

VERDICTS = "doc_id string, ended_stage string, ended_reason string, ended_value double, ended_threshold double"
CLUSTERS = "doc_id string, cluster_id string, kept_doc_id string, similarity double, kind string"
SAMPLED = "doc_id string, copies int, split string, sample_value double, sample_threshold double"


@pytest.fixture(scope="module")
def rows(spark):
    """Decisions of seven pages, by doc_id."""
    verdicts = spark.createDataFrame(
        [
            ("ruled", "c4", "lorem_ipsum", 1.0, 0.0),
            *[
                (name, None, None, None, None)
                for name in ("best", "copy", "near", "copy_of_near", "sampled_out", "alone")
            ],
        ],
        VERDICTS,
    ).selectExpr(
        "*",
        *(f"cast(null as string) as {name}" for name in ("source", "domain", "url", "warc_file", "lang", "unit")),
        "10L as num_bytes",
        "0L as page_index",
        "0L as row_index",
    )
    clusters = spark.createDataFrame(
        [
            ("best", "best", "best", 1.0, "exact"),
            ("copy", "best", "best", 1.0, "exact"),
            ("near", "copy_of_near", "near", 1.0, "exact"),
            ("copy_of_near", "copy_of_near", "near", 1.0, "exact"),
            ("best", "best", "best", 1.0, "near"),
            ("near", "best", "best", 0.8, "near"),
        ],
        CLUSTERS,
    )
    sampled = spark.createDataFrame(
        [("best", 2, "train", None, None), ("sampled_out", 0, None, 0.9, 0.5), ("alone", 1, "validation", None, None)],
        SAMPLED,
    )
    settled = between.decisions(verdicts, clusters, sampled, near_threshold=0.7, sample_reason="over_language_budget")
    assert settled.columns == DECISION.names
    return {row["doc_id"]: row.asDict() for row in settled.collect()}


@pytest.mark.parametrize(
    ("doc_id", "expected"),
    [
        ("ruled", {"verdict": "dropped", "stage": "c4", "reason": "lorem_ipsum", "value": 1.0, "threshold": 0.0}),
        ("best", {"verdict": "kept", "stage": None, "reason": None, "copies": 2, "split": "train"}),
        ("copy", {"stage": "dedup_exact", "reason": "exact_duplicate", "value": 1.0, "threshold": None}),
        ("copy", {"kept_doc_id": "best", "copies": 0, "split": None}),
        ("near", {"stage": "dedup_near", "reason": "near_duplicate", "value": 0.8, "threshold": 0.7}),
        ("copy_of_near", {"stage": "dedup_exact", "reason": "exact_duplicate", "kept_doc_id": "best", "value": 0.8}),
        ("sampled_out", {"stage": "sample_mixture", "reason": "over_language_budget", "value": 0.9, "threshold": 0.5}),
        ("alone", {"verdict": "kept", "split": "validation", "kept_doc_id": None}),
    ],
)
def test_each_page_ends_once_for_the_first_reason_that_holds(rows, doc_id, expected):
    assert {key: rows[doc_id][key] for key in expected} == expected


def test_no_page_is_lost_or_doubled(rows):
    assert len(rows) == 7


def test_only_pages_with_text_that_no_rule_dropped_are_alive(spark):
    frame = spark.createDataFrame(
        [("a", None, 0), ("b", "too_short", 1), ("c", None, None)], "doc_id string, ended_reason string, row_index long"
    )
    assert [row.doc_id for row in between.alive(frame).collect()] == ["a"]
