"""Steps of pass 1: archives to ``documents/``, ``signals/``, ``quarantine/``, and the rules' verdicts."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from filters.cutoffs import to_json
from filters.line_rules import LINE_SIGNALS, resolve
from filters.registry import required_signals
from filters.signals import SIGNALS_SCHEMA
from jobs.between import VERDICT, verdict_schema
from jobs.config import RunConfig
from jobs.passes import decide_unit, extract_unit, signals_schema
from jobs.quality_models import score_stages
from jobs.rank_cutoffs import cutoffs_of_run
from jobs.run_context import RunContext, Step
from jobs.warm_up import warm_up
from pipeline.archive.split import SplitBounds
from pipeline.config import Config
from pipeline.errors import LedgerError
from pipeline.input_split import archives, units_to_repeat, work_bytes
from pipeline.input_unit import InputUnit
from pipeline.progress import StageProgress
from pipeline.runner import run_units
from pipeline.schema import DOCUMENT, ENDED, PAGE_RECORD_TYPES, QUARANTINE
from pipeline.stage import Stage, identity
from pipeline.unit_of_work import Output, Unit, UnitResult
from pipeline.watch import Watch
from stages import (
    decide,
    extract_text,
    filter_url,
    identify_language,
    measure_lines,
    measure_signals,
    minhash_signatures,
    read_table,
    read_warc,
)
from stages.minhash_signatures import MINHASH_SCHEMA


def row_stages(config: RunConfig) -> tuple[Stage, ...]:
    """The row stages of pass 1, fused into one pass over each batch."""
    return (
        filter_url.make_stage(config.url),
        extract_text.make_stage(config.extract),
        identify_language.make_stage(config.language),
        measure_signals.make_stage(config.measure),
        measure_lines.make_stage(resolve(config.clean_lines, config.measure)),
        *score_stages(config.quality),
        minhash_signatures.make_stage(config.dedup.minhash),
    )


def extract_step(config: RunConfig) -> Step:
    """Read, extract, identify, measure, sketch: one Python worker per input file, text never leaves it."""
    stages = row_stages(config)
    scores = (stage.output_schema for stage in score_stages(config.quality))
    schema = signals_schema(SIGNALS_SCHEMA, LINE_SIGNALS, *scores, MINHASH_SCHEMA)
    read_config = config.read

    def read(unit: InputUnit, counts: Counter[str], watch: Watch, bounds: SplitBounds) -> Iterator[pa.RecordBatch]:
        if unit.is_archive:
            return read_warc.read(unit, read_config, counts, watch=watch, bounds=bounds)
        return read_table.read(unit, read_config, counts)

    def run(context: RunContext, progress: StageProgress) -> None:
        outputs = {
            "signals": Output(folder=context.folder("signals"), schema=schema, write_empty=True),
            "documents": Output(folder=context.folder("documents"), schema=DOCUMENT),
            "quarantine": Output(folder=context.folder("quarantine"), schema=QUARANTINE),
        }
        units = [Unit(name=unit.unit, weight=work_bytes(unit), spec=unit) for unit in context.units]
        progress.total = len(units)
        results = run_units(
            context.spark,
            units=units,
            process=extract_unit(read, stages),
            outputs=outputs,
            fingerprint=context.fingerprints["extract"],
            progress=progress,
            units_per_group=config.run.units_per_group,
            num_partitions=config.spark.partitions,
            prepare_children=functools.partial(warm_up, stages),
            to_repeat=units_to_repeat,
        )
        check_archives(results)
        for name, output in outputs.items():
            files = [file.entry() for result in results for file in result.files if file.folder == output.folder]
            details = {"archives": archives(results)} if name == "signals" else None
            context.commit("extract", name, files, schema=output.schema, details=details)

    readers = f"{read_warc.VERSION}, {read_table.VERSION}"
    identities = (identity("read", readers, config.read), *(stage.identity() for stage in stages))
    folders = ("signals", "documents", "quarantine")
    return Step(name="extract", folders=folders, identities=identities, upstream=(), run=run)


def check_archives(results: list[UnitResult]) -> None:
    """Every page and unreadable record that a reader saw must have been written, as a page or to quarantine.

    Raises:
        LedgerError: naming the archive and both sums.
    """
    for result in results:
        records = result.details["records"]
        seen = sum(records.get(kind, 0) for kind in (*PAGE_RECORD_TYPES, "unreadable"))
        written = sum(
            file.num_rows for file in result.files if file.folder.rsplit("/", 1)[-1] in ("signals", "quarantine")
        )
        if seen != written:
            raise LedgerError(
                f"{result.details['source']}/{result.details['warc_file']}: the reader saw {seen} pages and unreadable "
                f"records but {written} rows were written to signals/ and quarantine/; this is a bug: please report it"
            )


class SurvivorScores(Config):
    """What the verdicts carry because a survivor order looks at it, as a fingerprint sees it."""

    columns: tuple[str, ...]


def decide_step(config: RunConfig) -> Step:
    """Apply the thresholds to the stored signals: numbers only, so it takes seconds."""
    stage = decide.make_stage(config.filters)
    schema = verdict_schema(*config.dedup.survivor_orders.values())
    carried = tuple(name for name in schema.names if name not in ENDED.names)
    columns = (*carried, *ENDED.names, *required_signals(config.filters))
    scores = tuple(name for name in carried if name not in VERDICT.names)
    of_scores = (identity("survivor_scores", "1", SurvivorScores(columns=scores)),) if scores else ()

    def run(context: RunContext, progress: StageProgress) -> None:
        cutoffs = cutoffs_of_run(context, config.filters, progress)
        judging = decide.make_stage(config.filters, cutoffs)
        output = Output(folder=context.folder("_work/verdicts"), schema=schema, write_empty=True)
        units = [Unit(name=unit.unit, weight=work_bytes(unit), spec=unit.unit) for unit in context.units]
        progress.total = len(units)
        results = run_units(
            context.spark,
            units=units,
            process=decide_unit(context.folder("signals"), judging, columns),
            outputs={"verdicts": output},
            fingerprint=context.fingerprints["decide"],
            progress=progress,
            units_per_group=max(len(units), 1),
            num_partitions=config.spark.partitions or context.spark.sparkContext.defaultParallelism,
        )
        files = [file.entry() for result in results for file in result.files]
        context.commit("decide", "_work/verdicts", files, schema=schema, details={"cutoffs": to_json(cutoffs)})

    return Step(
        name="decide",
        folders=("_work/verdicts",),
        identities=(stage.identity(), *of_scores),
        upstream=("extract",),
        run=run,
    )
