"""From band hashes to the pairs of documents that near-duplicate detection compares, on Spark.

Documents are numbered in the survivor order, so that what moves from here on is 8 bytes a document, and the best of
any set of documents is the smallest number. The numbers themselves depend on the partitioning; their order does not,
and nothing but their order is used.

One row of 16 bytes per document and band is shuffled by band and sorted by (band, number). A task then sees each
bucket as a run that begins with its hubs, and writes its members down batch by batch. It holds one batch and the hubs
of one bucket, so a bucket of millions costs what as many small ones cost, in time and in memory. Which pairs are
compared is said in ``pipeline/lsh_buckets.py``.

Cost: n log n in the number of (document, band) rows for the sort, which Spark does on disk where memory is short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.lsh_buckets import shared_buckets, without_repeats
from stages.survivor import SurvivorOrder, rank

_MEMBERS = pa.schema([("node", pa.int64()), ("hub", pa.int64()), ("other_hubs", pa.list_(pa.int64()))])
_SPARK_MEMBERS = "node long, hub long, other_hubs array<long>"


def numbered(documents: DataFrame, order: SurvivorOrder) -> DataFrame:
    """Number documents in the survivor order.

    Args:
        documents: ``doc_id``, ``bands`` and the columns of the order.

    Returns:
        ``node`` (long), ``doc_id``, ``bands``: the better of two documents has the smaller node. Another computation
        may give other numbers, so it must be written down before use.
    """
    ranked = documents.select(rank(order).alias("rank"), "bands")
    sorted_rows = ranked.orderBy("rank")  # ranges of ranks, each in a partition, in the order of partitions
    return sorted_rows.select(
        F.monotonically_increasing_id().alias("node"), F.col("rank.doc_id").alias("doc_id"), "bands"
    )


def bucket_members(documents: DataFrame, num_hubs: int) -> DataFrame:
    """Members of buckets of two or more, but for the best of each.

    Args:
        documents: ``node`` and ``bands``.
        num_hubs: members of a bucket that others may be compared with.

    Returns:
        ``node``, ``hub`` (the best of the bucket) and ``other_hubs`` (the next best, without the node itself): one row
        for each bucket that a document is in and not the best of.
    """
    rows = documents.select(F.explode("bands").alias("band"), "node")
    buckets = rows.repartition("band").sortWithinPartitions("band", "node")
    return buckets.mapInArrow(members_of_batches(num_hubs), _SPARK_MEMBERS)


def members_of_batches(num_hubs: int) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function from batches of ``band`` and ``node``, sorted by both, to batches of members; see ``bucket_members``.

    How the rows are cut into batches does not matter. The last bucket of a batch may go on in the next: as
    long as it has no more members than hubs it is put off until then; a larger one is written, and only its hubs are
    kept for the next batch.
    """

    def members(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        bands = nodes = np.empty(0, np.int64)
        num_written = 0  # of the first bucket
        for batch in batches:
            columns = (batch.column(0).to_numpy(), batch.column(1).to_numpy())
            bands, nodes = without_repeats(np.concatenate([bands, columns[0]]), np.concatenate([nodes, columns[1]]))
            last = int(np.searchsorted(bands, bands[-1:])[0]) if len(bands) else 0
            is_put_off = len(bands) - last <= num_hubs
            yield _members(bands, nodes, last if is_put_off else len(bands), num_written, num_hubs)
            if last or not is_put_off:
                num_written = 0 if is_put_off else num_hubs
            bands, nodes = (values[last : last + num_hubs].copy() for values in (bands, nodes))
        yield _members(bands, nodes, len(bands), num_written, num_hubs)

    return members


def _members(bands: np.ndarray, nodes: np.ndarray, end: int, num_written: int, num_hubs: int) -> pa.RecordBatch:
    """Members among the first ``end`` rows; the first ``num_written`` rows are there for what follows them only."""
    buckets = shared_buckets(bands[:end], nodes[:end])
    is_member = buckets.starts != np.arange(len(buckets.nodes))
    is_member[:num_written] = False
    places = np.flatnonzero(is_member)
    others, counts = buckets.other_hubs(places, num_hubs)
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(others))
    columns = [pa.array(buckets.nodes[places]), pa.array(buckets.first_hubs[places]), lists]
    return pa.RecordBatch.from_arrays(columns, schema=_MEMBERS)
