"""Connected components by both methods against a union-find in plain Python."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from stages.spark_graph import connected_components, label_components

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Edges = list[tuple[int, int]]


def reference(edges: Edges) -> dict[int, int]:
    """Smallest node of each node's component; nodes that only have loops are left out."""
    parent: dict[int, int] = {}

    def find(node: int) -> int:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    for source, target in edges:
        if source != target:
            low, high = sorted((find(source), find(target)))
            parent[high] = low
    return {node: find(node) for node in parent}


def path_graph(num_nodes: int) -> Edges:
    names = list(range(num_nodes))
    random.Random(1).shuffle(names)
    return list(itertools.pairwise(names))


def random_graph(num_nodes: int, num_edges: int) -> Edges:
    generator = random.Random(num_nodes)
    return [(generator.randrange(num_nodes), generator.randrange(num_nodes)) for _ in range(num_edges)]


GRAPHS: dict[str, Edges] = {
    "path": path_graph(40),
    "forest and cycles": random_graph(400, 260),
    "star around the largest": [(1 << 40, i) for i in range(200)],
    "cycle, loops, repeats": [(1, 2), (2, 3), (3, 1), (1, 1), (9, 9), (2, 1), (7, 8)],
    "nothing": [],
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("max_single_task_edges", [0, 10**6])
def test_components(spark: SparkSession, tmp_path: Path, name: str, max_single_task_edges: int) -> None:
    if name == "nothing" and not max_single_task_edges:
        max_single_task_edges = -1  # no edge is still within a bound of 0: send it through the rounds
    edges = spark.createDataFrame(GRAPHS[name], "source long, target long")
    found = connected_components(
        edges, scratch=str(tmp_path / "scratch"), max_rounds=20, max_single_task_edges=max_single_task_edges
    )
    rows = [(row["node"], row["component"]) for row in found.collect()]
    assert len(rows) == len(dict(rows))
    assert dict(rows) == reference(GRAPHS[name])


def test_too_few_rounds_are_an_error_and_not_a_wrong_answer(spark: SparkSession, tmp_path: Path) -> None:
    edges = spark.createDataFrame(GRAPHS["path"], "source long, target long")
    with pytest.raises(ConfigError, match=r"not settled after max_rounds=1 rounds: \d+ nodes .* raise max_rounds"):
        connected_components(edges, scratch=str(tmp_path), max_rounds=1, max_single_task_edges=0)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_any_small_graph_in_memory(edges: Edges) -> None:
    source, target = (np.array([edge[i] for edge in edges]) for i in (0, 1))
    labels = label_components(source, target)
    loops = {node: node for edge in edges for node in edge}
    assert dict(zip(*(column.to_pylist() for column in labels.columns), strict=True)) == {**loops, **reference(edges)}
