"""Histograms: every document once, every threshold an edge."""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.rule import Comparison, Rule
from jobs.run_folder import RuleInForce
from jobs.signal_histogram import histogram


class Reason(StrEnum):
    FAULT = "fault"


def rule(drop_if: Comparison, threshold: float) -> RuleInForce:
    return RuleInForce("filter", Rule(reason=Reason.FAULT, signal="s", drop_if=drop_if, threshold="t"), threshold)


rules = st.lists(
    st.builds(
        rule, st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from([0.0, 0.1, 0.3, 1.0, 2.0, 50.0, 100_000.0])
    ),
    min_size=1,
    max_size=3,
)
fractions = st.lists(st.one_of(st.sampled_from([0.0, 0.1, 0.3, 1.0]), st.floats(-5, 5)), min_size=1, max_size=50)
counts = st.lists(st.one_of(st.sampled_from([0, 1, 2, 50]), st.integers(0, 10**7)), min_size=1, max_size=50)


@settings(max_examples=150, deadline=None)
@given(column=st.one_of(fractions, counts), rules=rules)
def test_every_value_is_counted_on_its_side(column: list[float], rules: list[RuleInForce]) -> None:
    """The coloured bars hold as many documents as at least one rule fires on: no bin straddles a threshold."""
    found = histogram(pa.chunked_array([pa.array(column)]), rules)
    assert found is not None
    assert sum(found.counts) == len(column)
    assert all(low < high for low, high in pairwise(found.edges))
    beyond = sum(count for count, is_beyond in zip(found.counts, found.beyond, strict=True) if is_beyond)
    assert beyond == sum(any(in_force.fires(value) for in_force in rules) for value in column)
    for in_force in rules:
        assert in_force.count_fires(np.array(column, dtype=float)) == sum(map(in_force.fires, column))


def test_unmeasured_signal_has_no_histogram() -> None:
    column = pa.chunked_array([pa.array([None, float("nan")], pa.float64())])
    assert histogram(column, [rule("<", 1)]) is None


def test_values_that_are_null_are_left_out() -> None:
    found = histogram(pa.chunked_array([pa.array([None, 0.25, 0.5], pa.float64())]), [rule(">", 0.3)])
    assert found is not None and sum(found.counts) == 2


@pytest.mark.parametrize(
    ("values", "limit", "label", "ticks"),
    [
        (range(0, 12), 5, "> 5", {"0", "5", "10"}),
        ([7, 100, 1000, 50_000], 100_000, "> 100,000", {"10", "100", "1k", "10k", "100k"}),
    ],
)
def test_axis_of_counts(values: list[int], limit: float, label: str, ticks: set[str]) -> None:
    found = histogram(pa.chunked_array([pa.array(list(values), pa.int64())]), [rule(">", limit)])
    assert found is not None
    assert [text for _, text in found.thresholds] == [label]
    assert ticks <= set(found.tick_labels)
