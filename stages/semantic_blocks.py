"""Blocks of documents, each held against the documents before it in its cluster, as they pass by in batches.

What a task is given is sorted by group and block, and begins for each block with its own documents. Those are held
(``pipeline.unit_vectors.Nearest``); the documents of earlier blocks are compared with them batch by batch and let go.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipeline.unit_vectors import Nearest
from stages.semantic_clusters import unpacked


def compare_blocks(batches: Iterator[pa.RecordBatch], reach_dumps: int) -> Iterator[pa.RecordBatch]:
    """Blocks, each followed by the documents before it, into what is nearest to each of their documents.

    Args:
        batches: ``group``, ``for_block``, ``block`` (the document's; ``for_block`` where it is one of the block's
            own), ``position``, ``dump_index``, ``doc_id``, ``vector``; sorted by group, ``for_block`` and, the largest
            first, ``block``.
        reach_dumps: dumps that a document is compared with, its own included.

    Returns:
        ``group``, ``position``, ``doc_id``, ``nearest_position`` and ``similarity``, one row per document.
    """
    block: _Block | None = None
    for batch in batches:
        for key, rows in _runs(batch):
            if block is None or key != block.key:
                if block is not None:
                    yield block.result()
                block = _Block(key, reach_dumps)
            block.add(rows)
    if block is not None:
        yield block.result()


def _runs(batch: pa.RecordBatch) -> Iterator[tuple[tuple[str, int], pa.RecordBatch]]:
    """Rows of one group and block each."""
    keys = list(zip(batch.column("group").to_pylist(), batch.column("for_block").to_pylist(), strict=True))
    start = 0
    for row in range(1, len(keys) + 1):
        if row == len(keys) or keys[row] != keys[start]:
            yield keys[start], batch.slice(start, row - start)
            start = row


class _Block:
    """A block while documents are held against it: its own come first."""

    def __init__(self, key: tuple[str, int], reach_dumps: int) -> None:
        self.key = key
        self._reach = reach_dumps
        self._rows: list[pa.RecordBatch] = []
        self._nearest: Nearest | None = None

    def add(self, rows: pa.RecordBatch) -> None:
        is_own = rows.column("block").to_numpy() == self.key[1]
        num_own = int(is_own.sum())  # they come first
        if num_own:
            self._rows.append(rows.slice(0, num_own))
        if num_own < rows.num_rows:
            self._finished().compare(*_facts(rows.slice(num_own)))

    def _finished(self) -> Nearest:
        """The block when all of its own documents are there, compared among themselves."""
        if self._nearest is None:
            vectors, positions, dumps = (np.concatenate(part) for part in zip(*map(_facts, self._rows), strict=True))
            self._nearest = Nearest(vectors, positions, dumps, reach_dumps=self._reach)
            self._nearest.compare(vectors, positions, dumps)
            self._rows = [rows.select(["group", "position", "doc_id"]) for rows in self._rows]
        return self._nearest

    def result(self) -> pa.RecordBatch:
        nearest = self._finished()
        own = pa.Table.from_batches(self._rows).combine_chunks().to_batches()[0]
        is_alone = nearest.positions < 0
        columns = [
            *own.columns,
            pa.array(nearest.positions, mask=is_alone),
            pa.array(nearest.similarities, mask=is_alone),
        ]
        return pa.RecordBatch.from_arrays(columns, names=[*own.schema.names, "nearest_position", "similarity"])


def _facts(rows: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions, positions and dump indices of some rows."""
    return unpacked(rows.column("vector")), rows.column("position").to_numpy(), rows.column("dump_index").to_numpy()
