"""Connected components of an undirected graph on Spark, exact at any size, verified before they are returned.

*Small graphs* (up to ``max_single_task_edges`` edges) go through scipy's connected components in one Spark
task, in memory: a million edges take it a second or two, and rounds of shuffles many times that.

*Large graphs* go through alternating large-star and small-star (Kiveris et al. 2014). Both rewrite edges around each
node u, with m the smallest node among u and its neighbours, and keep the components as they are:

* large-star links every larger neighbour of u to m;
* small-star, on edges from larger to smaller nodes, links u and every smaller neighbour of u to m.

They are repeated until every component is a star around its smallest node. This is not inferred from a count or a
checksum that stays the same over a round, which has made other implementations silently wrong, but checked on the edges
themselves: no node is both centre and leaf, and no leaf has two centres. A round costs four shuffles of at most twice
as many edges as there were in the beginning; O(log n) rounds have sufficed in practice (a path of 50,000 nodes takes 12
with its nodes in random order, 16 in ascending order). The neighbours of one node meet in one task, sorted on disk
where memory is short: a hub of millions is slow, but linear.

Between rounds the edges are written to a scratch folder, which cuts the lineage. ``localCheckpoint`` is
faster, but loses the data with the executor that holds it, and cached data is recomputed, perhaps from another plan.

Source: Kiveris, Lattanzi, Mirrokni, Rastogi, Vassilvitskii, "Connected Components in MapReduce and Beyond", SoCC 2014.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from pipeline import storage
from pipeline.errors import ConfigError

_LABEL_SCHEMA = "node long, component long"


def connected_components(edges: DataFrame, *, scratch: str, max_rounds: int, max_single_task_edges: int) -> DataFrame:
    """Label each node with the smallest node of its component.

    Args:
        edges: ``source`` and ``target``, long; direction, repetition and loops do not matter.
        scratch: a folder of this call's own that all executors reach; the result is read from there, so it is to be
            deleted only after the result was used.
        max_rounds: rounds of both stars before giving up.
        max_single_task_edges: the largest number of edges for which one task is used; a task needs some 150 bytes of
            memory an edge.

    Returns:
        ``node`` and ``component``, both long: one row per node that has an edge to another node.

    Raises:
        ConfigError: if there are edges outside stars after ``max_rounds`` rounds.
    """
    distinct = edges.where("source <> target").selectExpr(
        "greatest(source, target) AS source", "least(source, target) AS target"
    )
    current = materialize(distinct.distinct(), storage.join(scratch, "edges"))
    if current.count() <= max_single_task_edges:
        return current.coalesce(1).mapInArrow(_label_in_one_task, _LABEL_SCHEMA)
    for round_number in range(1, max_rounds + 1):
        folder = storage.join(scratch, f"round-{round_number % 2}")  # the round before is read while this is written
        current = materialize(small_star(large_star(current)), folder)
        if not _num_nodes_outside_stars(current):
            centres = current.select(F.col("target").alias("node"), F.col("target").alias("component")).distinct()
            return current.select(F.col("source").alias("node"), F.col("target").alias("component")).union(centres)
    raise ConfigError(
        f"connected components are not settled after max_rounds={max_rounds} rounds: "
        f"{_num_nodes_outside_stars(current)} nodes are in no star yet; raise max_rounds"
    )


def large_star(edges: DataFrame) -> DataFrame:
    """Link, for each node, its larger neighbours to the smallest node of its neighbourhood, itself included.

    Args: edges ``source`` > ``target``. Returns: as many edges or fewer, ``source`` > ``target``, some repeated.
    """
    both = edges.union(edges.select(F.col("target").alias("source"), F.col("source").alias("target")))
    smallest = F.least("source", F.min("target").over(Window.partitionBy("source")))
    return (
        both.withColumn("smallest", smallest)
        .where("target > source")
        .select(F.col("target").alias("source"), F.col("smallest").alias("target"))
    )


def small_star(edges: DataFrame) -> DataFrame:
    """Link, for each node, itself and its smaller neighbours to the smallest of them.

    Args: edges ``source`` > ``target``. Returns: distinct edges ``source`` > ``target``.
    """
    smallest = F.min("target").over(Window.partitionBy("source"))
    linked = F.when(F.col("target") == F.col("smallest"), F.col("source")).otherwise(F.col("target"))
    return (
        edges.withColumn("smallest", smallest)
        .select(linked.alias("source"), F.col("smallest").alias("target"))
        .distinct()
    )


def _num_nodes_outside_stars(edges: DataFrame) -> int:
    """Nodes that are leaves of two centres, or leaf and centre at once; 0 when every component is one star."""
    roles = edges.select(F.col("source").alias("node"), F.lit(1).alias("as_leaf"), F.lit(0).alias("as_centre")).union(
        edges.select(F.col("target").alias("node"), F.lit(0).alias("as_leaf"), F.lit(1).alias("as_centre"))
    )
    per_node = roles.groupBy("node").agg(F.sum("as_leaf").alias("as_leaf"), F.max("as_centre").alias("as_centre"))
    return per_node.where("as_leaf > 1 OR (as_leaf = 1 AND as_centre = 1)").count()


def materialize(frame: DataFrame, folder: str) -> DataFrame:
    """``frame`` computed once and read back from Parquet in ``folder``: it is not computed again, whatever happens."""
    frame.write.mode("overwrite").parquet(folder)
    return frame.sparkSession.read.schema(frame.schema).parquet(folder)


def _label_in_one_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """All edges in, all labels out."""
    table = pa.Table.from_batches(batches, schema=pa.schema([("source", pa.int64()), ("target", pa.int64())]))
    if table.num_rows:
        yield label_components(table.column("source").to_numpy(), table.column("target").to_numpy())


def label_components(source: np.ndarray, target: np.ndarray) -> pa.RecordBatch:
    """Components of the graph with edges ``source[i]``-``target[i]``, in memory.

    Returns:
        ``node`` (sorted) and ``component`` (the smallest node of the node's component), int64.
    """
    from scipy.sparse import coo_array  # half a second of import, for the one task that needs it
    from scipy.sparse.csgraph import connected_components as scipy_components

    nodes, places = np.unique(np.concatenate([source, target]), return_inverse=True)
    ends = places.astype(np.int32)[: len(source)], places.astype(np.int32)[len(source) :]
    graph = coo_array((np.ones(len(source), dtype=np.int8), ends), shape=(len(nodes), len(nodes)))
    _, labels = scipy_components(graph, directed=False)
    _, smallest = np.unique(labels, return_index=True)  # nodes are sorted, so the first of a label is its smallest
    columns = [pa.array(nodes), pa.array(nodes[smallest[labels]])]
    return pa.RecordBatch.from_arrays(columns, names=["node", "component"])
