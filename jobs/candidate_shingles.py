"""Shingle sets of the documents that share a band with another, for verification by exact Jaccard similarity.

Candidates are written as one list of row numbers a unit; a Python worker reads each unit's ``documents/`` by its list
and writes the sets of those texts (``pipeline/kernels/shingle_sets.py``). Text is read a second time for candidates
alone, and what Spark gets to see is ids and hashes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from jobs.between import VERDICT
from pipeline import storage
from pipeline.corpus import unit_of
from pipeline.kernels.shingle_sets import shingle_sets
from pipeline.kernels.shingles import Shingling
from pipeline.part_writer import read_part
from pipeline.progress import StageProgress
from pipeline.runner import read_frame, run_units, write_frame
from pipeline.unit_of_work import Output, ProcessFunction, Unit, UnitReport
from stages.dedup_near import SHINGLE_SET, ShingleSource

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.run_context import RunContext

_PLACE = pa.schema([("doc_id", pa.string()), ("unit", pa.string()), ("row_index", pa.int64())])
_ROWS_PER_BATCH = 256  # a batch of sets is one Arrow array: this bounds it where pages are large


def shingle_source(
    context: RunContext, shingling: Shingling, *, scratch: str, progress: StageProgress
) -> ShingleSource:
    """What ``stages.dedup_near`` asks for the sets of candidates.

    Args:
        shingling: the one that signatures were made with.
        scratch: a folder of the step's own.
    """

    def read(candidates: DataFrame) -> DataFrame:
        verdicts = context.frame("_work/verdicts", VERDICT).select(*_PLACE.names)
        places = verdicts.join(candidates, on="doc_id", how="left_semi")
        lists, sets = storage.join(scratch, "candidate_rows"), storage.join(scratch, "shingle_sets")
        entries = write_frame(places, folder=lists, schema=_PLACE, part_column="unit", sort_by=("row_index",))
        names = [(unit_of(entry.path), entry.num_rows or 0) for entry in entries]
        units = [Unit(name=name, weight=num_rows, spec=name) for name, num_rows in names]
        progress.total = len(units)
        results = run_units(
            context.spark,
            units=units,
            process=shingle_unit(context.folder("documents"), lists, shingling),
            outputs={"sets": Output(folder=sets, schema=SHINGLE_SET)},
            fingerprint=context.fingerprints["dedup_near"],
            progress=progress,
            units_per_group=max(len(units), 1),
            num_partitions=context.config.spark.partitions,
        )
        files = [file.entry() for result in results for file in result.files]
        return read_frame(context.spark, sets, files, SHINGLE_SET)

    return read


def shingle_unit(documents_folder: str, lists_folder: str, shingling: Shingling) -> ProcessFunction:
    """The sets of a unit's documents that its list names."""

    def process(unit: str, report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        rows = pa.Table.from_batches(read_part(storage.join(lists_folder, f"part-{unit}.parquet"), ["row_index"]))
        part = storage.join(documents_folder, f"part-{unit}.parquet")
        for sets in read_sets(part, rows.column("row_index").to_numpy(), shingling):
            report.counts["documents"] += sets.num_rows
            yield {"sets": sets}

    return process


def read_sets(part: str, rows: np.ndarray, shingling: Shingling) -> Iterator[pa.RecordBatch]:
    """SHINGLE_SET of some documents of a part file of ``documents/``.

    Args:
        rows: their places in the file, ascending; shape (num_documents,), int64.
    """
    start = taken = 0
    for batch in read_part(part, ["doc_id", "text"], _ROWS_PER_BATCH):
        end = start + batch.num_rows
        here = int(np.searchsorted(rows, end)) - taken
        if here:
            documents = batch.take(pa.array(rows[taken : taken + here] - start))
            sets = shingle_sets(documents.column("text"), shingling)
            yield pa.record_batch([documents.column("doc_id"), sets], schema=SHINGLE_SET)
        start, taken = end, taken + here
