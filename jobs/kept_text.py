"""The text of chosen documents of one unit, as a given point of the line has it: what workers read from pass 2 on.

A keep-list names rows of ``documents/part-<unit>.parquet``, so no join is needed: the part is read through once, and
rows are taken from it by number. Cuts of the corpus-wide stages lie in a part of the same name (``TEXT_CUT``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.part_writer import read_part
from pipeline.stage import with_columns
from pipeline.text_cuts import RANGES
from stages.cut_text import range_columns

_CUT_COLUMNS = ["row_index", "starts", "ends", "dropped_reason"]


def part_path(folder: str, unit: str) -> str:
    """The part file of ``unit`` in ``folder``."""
    return storage.join(folder, f"part-{unit}.parquet")


def documents_of(
    documents_folder: str, unit: str, keep_list: pa.Table, columns: list[str] | None = None
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Documents of a unit, batch by batch, each with its rows of the keep-list in the same order.

    Args:
        keep_list: ``row_index`` of each document that is wanted, and columns to hand on.
        columns: of ``documents/``; None for all.
    """
    if keep_list.num_rows == 0:
        return
    keep_list = keep_list.sort_by("row_index").combine_chunks().to_batches()[0]
    wanted = keep_list.column("row_index").to_numpy()
    start = taken = 0
    for documents in read_part(part_path(documents_folder, unit), columns):
        end = start + documents.num_rows
        here = int(np.searchsorted(wanted, end)) - taken
        if here:
            rows = keep_list.slice(taken, here)
            yield documents.take(pa.array(wanted[taken : taken + here] - start)), rows
        start, taken = end, taken + here


class UnitCuts:
    """What the corpus-wide stages cut of the documents of one unit.

    Args:
        folders: of each stage's ``TEXT_CUT``, by its name, in their order.
        unit: whose; a stage that touched none of its documents has no part of it.
    """

    def __init__(self, folders: Mapping[str, str], unit: str) -> None:
        paths = {stage: part_path(folder, unit) for stage, folder in folders.items()}
        self._tables = {
            stage: pa.Table.from_batches(read_part(path, _CUT_COLUMNS)) if storage.exists(path) else None
            for stage, path in paths.items()
        }

    def dropped_rows(self) -> pa.Array:
        """``row_index`` of the documents that one of the stages dropped."""
        dropped = [
            table.column("row_index").filter(pc.is_valid(table.column("dropped_reason"))).combine_chunks()
            for table in self._tables.values()
            if table is not None
        ]
        return pa.concat_arrays([pa.array([], pa.int64()), *dropped])

    def attach(self, batch: pa.RecordBatch, row_index: pa.Array) -> pa.RecordBatch:
        """``batch`` with each stage's ``range_columns``; null for a document that the stage did not touch."""
        columns = {}
        for stage, table in self._tables.items():
            names = range_columns(stage)
            if table is None:
                columns.update(dict.fromkeys(names, pa.nulls(batch.num_rows, RANGES)))
                continue
            places = pc.index_in(row_index, value_set=table.column("row_index").combine_chunks())
            for name, side in zip(names, ("starts", "ends"), strict=True):
                columns[name] = table.column(side).combine_chunks().take(places).cast(RANGES)
        return with_columns(batch, columns)
