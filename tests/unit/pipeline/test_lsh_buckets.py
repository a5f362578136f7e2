"""Hubs of buckets: which pairs are compared, and that small buckets lose none that matters."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.lsh_buckets import Buckets, shared_buckets, without_repeats

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=40)


def buckets_of(rows: list[tuple[int, int]]) -> Buckets:
    bands, nodes = np.array(sorted(rows), np.int64).reshape(-1, 2).T
    return shared_buckets(*without_repeats(bands, nodes))


def components(edges: list[tuple[int, int]]) -> list[int]:
    label = list(range(10))
    for left, right in edges:
        label = [label[right] if value == label[left] else value for value in label]
    return [min(node for node in range(10) if label[node] == value) for value in label]


@given(ROWS)
@settings(deadline=None)
def test_buckets_of_two_or_more_with_the_best_first(rows: list[tuple[int, int]]) -> None:
    expected = []
    for band in sorted({band for band, _ in rows}):
        members = sorted({node for other, node in rows if other == band})
        if len(members) > 1:
            expected += [(node, members[0], len(members)) for node in members]
    found = buckets_of(rows)
    assert list(zip(found.nodes, found.first_hubs, found.sizes, strict=True)) == expected


@pytest.mark.parametrize(
    ("num_hubs", "others", "counts"),
    [(1, [], [0, 0, 0, 0]), (2, [4, 4, 4], [1, 0, 1, 1]), (3, [4, 6, 6, 4, 4, 6], [2, 1, 1, 2])],
)
def test_other_hubs_of_a_bucket_of_four(num_hubs: int, others: list[int], counts: list[int]) -> None:
    buckets = buckets_of([(7, 8), (7, 4), (7, 6), (7, 2), (9, 2)])
    found, num_found = buckets.other_hubs(np.arange(4), num_hubs)
    assert (found.tolist(), num_found.tolist()) == (others, counts)


@given(ROWS, st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9))))
@settings(deadline=None)
def test_small_buckets_have_the_components_of_all_pairs(
    rows: list[tuple[int, int]], alike: set[tuple[int, int]]
) -> None:
    def is_near(left: int, right: int) -> bool:
        return left == right or (left, right) in alike or (right, left) in alike

    buckets = buckets_of(rows)
    links = []
    for place, (node, hub) in enumerate(zip(buckets.nodes.tolist(), buckets.first_hubs.tolist(), strict=True)):
        others = [hub] if is_near(node, hub) else buckets.other_hubs(np.array([place]), 10)[0].tolist()
        links += [(node, other) for other in others if is_near(node, other)]
    of_band = {band: {node for other, node in rows if other == band} for band, _ in rows}
    all_pairs = {pair for members in of_band.values() for pair in itertools.combinations(members, 2)}
    assert components(links) == components([pair for pair in all_pairs if is_near(*pair)])
