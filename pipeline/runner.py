"""The engine: runs units of work in Spark's Python workers, commits them in groups, and writes frames.

The only module below ``stages/`` that touches pyspark. Two ways of running exist:

* ``run_units``: one task per unit (an input file, or a part file of an earlier folder). The worker reads and
  writes the data itself; what returns to Spark is one small row per unit (counts, file names, hashes).
  Consecutive row stages are fused into the unit's function, so text is decoded once and stays in Python's memory.
  Units go in groups. A group is committed by one record, so a killed run loses one group at most.
* ``write_frame``: a Spark DataFrame of ids and numbers, sorted into part files by a column, for the stages in
  which rows must meet.

In both, file names and bytes follow from the data alone; how many partitions and executors took part does not show.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.errors import PythonException
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from pipeline import storage
from pipeline.errors import ChaffinchError, RetryableError
from pipeline.isolated_unit import process_isolated
from pipeline.manifest import FileEntry
from pipeline.part_writer import WrittenFile, commit_files, remove_temporary
from pipeline.progress import StageProgress
from pipeline.sorted_parts import WRITTEN_PART, write_sorted_parts
from pipeline.unit_job import RepeatFunction, polling, repeat, telling_errors
from pipeline.unit_of_work import (
    GROUPS,
    Output,
    ProcessFunction,
    Unit,
    UnitResult,
    commit_group,
    committed_group,
    discard_foreign,
    process_unit,
)

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import DataFrame, SparkSession

_RETRYABLE = re.compile(rf"^{RetryableError.__module__}\.{RetryableError.__name__}: (.*)$", re.MULTILINE)


def run_units(
    spark: SparkSession,
    *,
    units: Sequence[Unit],
    process: ProcessFunction,
    outputs: dict[str, Output],
    fingerprint: str,
    progress: StageProgress,
    units_per_group: int,
    num_partitions: int | None = None,
    prepare_children: Callable[[], None] | None = None,
    to_repeat: RepeatFunction | None = None,
) -> list[UnitResult]:
    """Run all units, group by group, and commit each group.

    Args:
        units: the work, in a deterministic order (it decides the groups).
        fingerprint: of the folders to be made; a group committed under another one is done again.
        units_per_group: a killed run loses the groups in flight only.
        num_partitions: Spark partitions of a group; None for one per unit.
        prepare_children: given, each unit runs in a child of its worker, so that a crash costs one page
            (``isolated_unit``); called in the worker before, to load what its children share.
        to_repeat: looks at what is committed and at a group before it is, and names the units of the group to be run
            again, with another ``spec``.

    Returns:
        One result per unit, in the order of ``units``; the caller writes the folders' manifests.
    """
    folders = [output.folder for output in outputs.values()]
    record_folder = storage.join(folders[0], GROUPS)
    results: list[UnitResult] = []
    groups = [units[start : start + units_per_group] for start in range(0, len(units), units_per_group)]
    discard_foreign(folders, record_folder, fingerprint)
    for index, group in enumerate(groups):
        record = storage.join(record_folder, f"group-{index:05d}.json")
        done = committed_group(record, fingerprint, group)
        if done is None:
            work = functools.partial(process_unit, process=process, outputs=outputs)
            if prepare_children is not None:
                work = functools.partial(process_isolated, process=process, outputs=outputs, prepare=prepare_children)
            job = _Job(spark, work, progress, num_partitions)
            done = job.run(group, num_done_before=len(results))
            if to_repeat is not None:
                done = repeat(job.run, list(zip(units, results, strict=False)), group, done, to_repeat)
            commit_group(record, fingerprint, done)
        results.extend(done)
        progress.update(done=len(results), documents=sum(result.counts.get("documents", 0) for result in results))
    for folder in folders:
        remove_temporary(folder)
    return results


@dataclass(frozen=True)
class _Job:
    """Runs units as one Spark job."""

    spark: SparkSession
    process: Callable[[Unit], UnitResult]
    progress: StageProgress
    num_partitions: int | None

    def run(self, units: Sequence[Unit], *, num_done_before: int) -> list[UnitResult]:
        """Results in the order of ``units``."""
        heaviest_first = sorted(units, key=lambda unit: (-unit.weight, unit.name))
        context, process, progress = self.spark.sparkContext, self.process, self.progress
        documents_before = progress.num_documents
        seen_units, seen_documents = context.accumulator(0), context.accumulator(0)

        def work(unit: Unit) -> dict[str, Any]:
            result = process(unit)
            seen_units.add(1)
            seen_documents.add(result.counts.get("documents", 0))
            return result.to_json()

        def show() -> None:
            progress.update(done=num_done_before + seen_units.value, documents=documents_before + seen_documents.value)

        rdd = context.parallelize(heaviest_first, self.num_partitions or len(units))
        with polling(show):
            rows = _collected(rdd.map(telling_errors(work)))
        by_name = {row["unit"]: UnitResult.from_json(row) for row in rows}
        return [by_name[unit.name] for unit in units]


def _collected(outcomes: RDD[tuple[Any, ChaffinchError | None]]) -> list[Any]:
    """Values of all tasks.

    Raises:
        ChaffinchError: the first that a task handed back, or the ``RetryableError`` at which Spark gave up.
    """
    try:
        found = outcomes.collect()
    except PythonException as failure:
        told = _RETRYABLE.search(str(failure))
        if told is None:
            raise
        raise RetryableError(told.group(1)) from None
    for _, error in found:
        if error is not None:
            raise error
    return [value for value, _ in found]


def read_frame(spark: SparkSession, folder: str, files: Iterable[FileEntry], schema: pa.Schema) -> DataFrame:
    """A finished folder's part files as a DataFrame with the columns of ``schema``."""
    names = [entry.path for entry in files if entry.path.endswith(".parquet")]
    frame_schema = from_arrow_schema(schema)
    if not names:
        return spark.createDataFrame([], frame_schema)
    frame = spark.read.schema(frame_schema).parquet(*[storage.for_spark(storage.join(folder, name)) for name in names])
    return frame.select(*schema.names)


def write_frame(
    frame: DataFrame, *, folder: str, schema: pa.Schema, part_column: str, sort_by: Sequence[str]
) -> list[FileEntry]:
    """Write a DataFrame as ``part-<value of part_column>.parquet`` files, rows sorted by ``sort_by``.

    The rows of a part go to one task. ``sort_by`` must order them totally, or equal rows may change places.

    Returns:
        Entries of the committed files, for the manifest.
    """
    storage.remove_folder(folder)
    storage.make_folder(folder)

    write = functools.partial(write_sorted_parts, folder=folder, schema=schema, part_column=part_column)
    num_partitions = max(1, int(frame.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1))
    ordered = frame.repartition(num_partitions, F.col(part_column)).sortWithinPartitions(part_column, *sort_by)
    rows = ordered.mapInArrow(write, from_arrow_schema(WRITTEN_PART)).collect()
    files = [WrittenFile(folder=folder, **row.asDict()) for row in rows]
    commit_files(files)
    remove_temporary(folder)
    return [file.entry() for file in sorted(files, key=lambda file: file.path)]


def part_of(doc_id_column: str, num_parts: int) -> Any:
    """Spark column that spreads ids over ``num_parts`` parts by their first 32 bits: the same part on every run."""
    bucket = F.conv(F.substring(doc_id_column, 1, 8), 16, 10).cast("long") % F.lit(num_parts)
    return F.lpad(bucket.cast("string"), 5, "0")


def run_tasks(
    spark: SparkSession, tasks: Sequence[Any], function: Callable[[Any], Any], progress: StageProgress
) -> list[Any]:
    """``function`` of each task, each in a partition of its own; small results only, in the order of ``tasks``."""
    if not tasks:
        return []
    progress.total = len(tasks)
    seen = spark.sparkContext.accumulator(0)
    call = telling_errors(function)

    def work(task: Any) -> Any:
        outcome = call(task)
        seen.add(1)
        return outcome

    with polling(lambda: progress.update(done=seen.value)):
        return _collected(spark.sparkContext.parallelize(tasks, len(tasks)).map(work))
