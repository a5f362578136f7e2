"""The step ``dedup_lines``: keys of pieces of text by unit, their counts in Spark, cuts by unit.

What a piece, a key and a cut is stands in ``stages/dedup_lines.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from jobs.config import RunConfig
from jobs.copies_in_memory import ranks
from jobs.kept_text import part_path
from jobs.run_context import RunContext, Step
from jobs.steps_text_dedup import (
    TextSource,
    identities_of_text,
    text_source,
    text_units,
    upstream_of_text_stage,
)
from jobs.text_stages import work_folder
from pipeline import storage
from pipeline.manifest import FileEntry
from pipeline.part_writer import read_part
from pipeline.progress import StageProgress
from pipeline.runner import read_frame, run_units, write_frame
from pipeline.stage import identity
from pipeline.text_cuts import TEXT_CUT
from pipeline.unit_of_work import Output, ProcessFunction, UnitReport
from stages.dedup_lines import (
    NAME,
    REPEATED,
    VERSION,
    LineDedupConfig,
    RepeatedKeys,
    count_keys,
    counted_schema,
    keys_of,
    repeated_keys,
)
from stages.survivor import with_source_priority

_SCRATCH = f"_work/{NAME}_scratch"
_KEYS, _REPEATED = f"{_SCRATCH}/keys", f"{_SCRATCH}/repeated"


def dedup_lines_step(config: RunConfig) -> Step:
    """What goes from which document because it occurs elsewhere too; present only with ``[dedup.lines]``."""
    settings = config.dedup.lines
    if settings is None:
        raise ValueError("dedup_lines_step of a config without [dedup.lines]")
    if config.dedup.source_priority is not None:
        settings = settings.model_copy(update={"survivor_order": with_source_priority(settings.survivor_order)})
    identities = (*identities_of_text(config, NAME), identity(NAME, VERSION, settings))

    def run(context: RunContext, progress: StageProgress) -> None:
        source = text_source(context, NAME)
        keys = _run(context, count_unit(source, settings), _KEYS, counted_schema(settings.survivor_order), progress)
        counted = read_frame(context.spark, context.folder(_KEYS), keys, counted_schema(settings.survivor_order))
        write_frame(
            repeated_keys(counted, settings),
            folder=context.folder(_REPEATED),
            schema=REPEATED,
            part_column="unit",
            sort_by=("key",),
        )
        cut = cut_unit(source, settings, context.folder(_REPEATED))
        files = _run(context, cut, work_folder(NAME), TEXT_CUT, progress)
        manifest = context.commit(NAME, work_folder(NAME), files, schema=TEXT_CUT)
        storage.remove_folder(context.folder(_SCRATCH))
        progress.update(note=f"{manifest.num_rows:,} documents touched")

    return Step(
        name=NAME,
        folders=(work_folder(NAME),),
        identities=identities,
        upstream=upstream_of_text_stage(config, NAME),
        run=run,
    )


def _run(
    context: RunContext, process: ProcessFunction, name: str, schema: pa.Schema, progress: StageProgress
) -> Sequence[FileEntry]:
    """Run ``process`` on every unit that has survivors, into the folder ``name``."""
    units = text_units(context)
    progress.total = len(units)
    results = run_units(
        context.spark,
        units=units,
        process=process,
        outputs={"rows": Output(folder=context.folder(name), schema=schema)},
        fingerprint=context.fingerprints[NAME],
        progress=progress,
        units_per_group=context.config.run.units_per_group,
        num_partitions=context.config.spark.partitions,
    )
    return [file.entry() for result in results for file in result.files]


def count_unit(source: TextSource, config: LineDedupConfig) -> ProcessFunction:
    """Hash the pieces of a unit's texts, and count each key."""

    def process(unit: str, report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        found, documents = keys_of(source.read(unit), config)
        report.counts["documents"] = documents.num_rows
        counted = count_keys(unit, found, documents, ranks(documents, config.survivor_order))
        for batch in counted.to_batches(max_chunksize=1 << 16):
            yield {"rows": batch}

    return process


def cut_unit(source: TextSource, config: LineDedupConfig, repeated_folder: str) -> ProcessFunction:
    """Find the occurrences of repeated keys in a unit's texts."""

    def process(unit: str, report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        path = part_path(repeated_folder, unit)
        if not storage.exists(path):
            return  # nothing in it repeats
        repeated = RepeatedKeys(pa.Table.from_batches(read_part(path, rows_per_batch=1 << 16)))
        for batch in source.read(unit):
            report.counts["documents"] += batch.num_rows
            yield {"rows": repeated.cut(batch, config)}

    return process
