"""What the steps share that compare texts across the corpus: which documents they see, in which state, where cuts go.

``survivors_step`` writes down once what the rules and deduplication of documents left. Each of the steps of
``jobs/text_stages.py`` then reads text by ``text_source``, unit by unit in Python workers, lets hashes meet in Spark,
and commits ``_work/<stage>/part-<unit>.parquet`` with a row for each document that it touched. The next one sees the
text without those cuts, and the documents without those that were dropped. ``drops`` hands the fates on to
``decisions/``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from filters.line_rules import resolve
from jobs import between
from jobs.between import VERDICT
from jobs.config import RunConfig
from jobs.kept_text import UnitCuts, documents_of, part_path
from jobs.run_context import RunContext, Step
from jobs.text_stages import text_stages, work_folder
from pipeline.config import Config
from pipeline.corpus import unit_of
from pipeline.input_split import work_bytes
from pipeline.manifest import Identity
from pipeline.part_writer import read_part
from pipeline.progress import StageProgress
from pipeline.runner import write_frame
from pipeline.schema import CLUSTER, DECISION, ENDED
from pipeline.stage import Stage, fuse, identity, with_columns
from pipeline.text_cuts import TEXT_CUT
from pipeline.unit_of_work import Unit
from stages import clean_lines, cut_text

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SURVIVORS = "_work/survivors"
_LEFT_BEHIND = (*ENDED.names, "text_hash", "signature", "bands", "url", "warc_file", "page_index")
SURVIVOR = pa.schema([field for field in VERDICT if field.name not in _LEFT_BEHIND])
"""``_work/survivors``: one row per document that rules and deduplication of documents left, by ``row_index``. See
``survivor_schema``."""


def survivor_schema(config: RunConfig) -> pa.Schema:
    """SURVIVOR, and what else the survivor orders of the corpus-wide stages look at."""
    measured = between.verdict_schema(*config.dedup.survivor_orders.values())
    priority = [("source_priority", pa.int64())] if config.dedup.source_priority is not None else []
    return pa.schema([*(field for field in measured if field.name not in _LEFT_BEHIND), *priority])


def survivors_step(config: RunConfig) -> Step:
    """Write down which documents reach the corpus-wide stages: the keep-list of each unit."""
    orders = config.dedup.survivor_orders.values()
    schema = survivor_schema(config)
    priority = _SourcePriority(sources=config.dedup.source_priority)

    def run(context: RunContext, progress: StageProgress) -> None:
        alive = between.alive(context.frame("_work/verdicts", between.verdict_schema(*orders)))
        left = between.without_duplicates(alive, context.frame("clusters", CLUSTER))
        left = left.withColumn("source_priority", priority.column()).select(*schema.names)
        folder = context.folder(SURVIVORS)
        files = write_frame(left, folder=folder, schema=schema, part_column="unit", sort_by=("row_index",))
        manifest = context.commit("survivors", SURVIVORS, files, schema=schema)
        progress.update(documents=manifest.num_rows)

    return Step(
        name="survivors",
        folders=(SURVIVORS,),
        identities=(identity("survivors", "1", priority),),
        upstream=("decide", "dedup_exact", "dedup_near"),
        run=run,
    )


class _SourcePriority(Config):
    """``[dedup] source_priority``, as the fingerprint sees it."""

    sources: tuple[str, ...] | None

    def column(self) -> Column:
        """A document's place in the list; sources that it does not name come after."""
        sources = self.sources or ()
        places = [F.when(F.col("source") == name, F.lit(place)) for place, name in enumerate(sources)]
        return F.coalesce(*places, F.lit(len(sources))).cast("long")


def edits_before_cuts(config: RunConfig) -> tuple[Stage, ...]:
    """What happens to a kept document's text before any corpus-wide stage sees it."""
    if not config.clean_lines.edits:
        return ()
    return (clean_lines.make_stage(resolve(config.clean_lines, config.measure)),)


def upstream_of_text_stage(config: RunConfig, stage: str) -> tuple[str, ...]:
    """Names of the steps on which what ``stage`` reads depends; the same for every stage but for those before it."""
    return ("extract", "survivors", *_earlier(config, stage))


def identities_of_text(config: RunConfig, stage: str) -> tuple[Identity, ...]:
    """Identities of the row stages that bring text into the state in which ``stage`` sees it."""
    cuts = (cut_text.make_stage(name) for name in _earlier(config, stage))
    return tuple(edit.identity() for edit in (*edits_before_cuts(config), *cuts))


def _earlier(config: RunConfig, stage: str) -> tuple[str, ...]:
    stages = text_stages(config)
    return stages[: stages.index(stage)]


@dataclass(frozen=True)
class TextSource:
    """The documents that reach a corpus-wide stage, with their text as it sees it. Goes to workers.

    Args:
        documents_folder, survivors_folder: paths or URLs.
        cut_folders: of the corpus-wide stages before, by name.
        edits: what is done to the text, these stages' cuts included.
    """

    documents_folder: str
    survivors_folder: str
    cut_folders: dict[str, str]
    edits: tuple[Stage, ...]

    def read(self, unit: str, only_rows: pa.Array | None = None) -> Iterator[pa.RecordBatch]:
        """Batches of one unit, in the order of its rows: the columns of ``survivor_schema``, and ``text``.

        Args:
            only_rows: ``row_index`` of the documents wanted; None for all.
        """
        cuts = UnitCuts(self.cut_folders, unit)
        survivors = pa.Table.from_batches(read_part(part_path(self.survivors_folder, unit)))
        is_gone = pc.is_in(survivors.column("row_index"), value_set=cuts.dropped_rows())
        keep_list = survivors.filter(pc.invert(is_gone))
        if only_rows is not None:
            keep_list = keep_list.filter(pc.is_in(keep_list.column("row_index"), value_set=only_rows))
        apply = fuse(self.edits)
        for documents, rows in documents_of(self.documents_folder, unit, keep_list, ["text"]):
            batch = with_columns(rows, {"text": documents.column("text")})
            yield apply(cuts.attach(batch, rows.column("row_index"))).select(batch.schema.names)


def text_source(context: RunContext, stage: str) -> TextSource:
    """What the step of ``stage`` reads."""
    earlier = _earlier(context.config, stage)
    return TextSource(
        documents_folder=context.folder("documents"),
        survivors_folder=context.folder(SURVIVORS),
        cut_folders={name: context.folder(work_folder(name)) for name in earlier},
        edits=(*edits_before_cuts(context.config), *(cut_text.make_stage(name) for name in earlier)),
    )


def text_units(context: RunContext) -> list[Unit]:
    """The units that have survivors, for ``run_units``; ``spec`` is the unit's name, as ``TextSource.read`` has it."""
    with_survivors = {unit_of(entry.path) for entry in context.manifest(SURVIVORS).files}
    return [
        Unit(name=unit.unit, weight=work_bytes(unit), spec=unit.unit)
        for unit in context.units
        if unit.unit in with_survivors
    ]


def cut_folders(context: RunContext) -> dict[str, str]:
    """Where the cuts of each corpus-wide stage of the run lie, in their order."""
    return {stage: context.folder(work_folder(stage)) for stage in text_stages(context.config)}


def drops(context: RunContext) -> DataFrame | None:
    """Documents that a corpus-wide stage dropped, each once; None if the run has no such stage.

    Returns:
        ``doc_id``, ``text_stage``, ``text_reason``, ``text_value``, ``text_threshold``, ``text_kept_doc_id``.
    """
    frames = [
        context.frame(work_folder(stage), TEXT_CUT)
        .where(F.col("dropped_reason").isNotNull())
        .select(
            "doc_id",
            F.lit(stage).alias("text_stage"),
            F.col("dropped_reason").alias("text_reason"),
            F.col("value").alias("text_value"),
            F.col("threshold").alias("text_threshold"),
            F.col("kept_doc_id").alias("text_kept_doc_id"),
        )
        for stage in text_stages(context.config)
    ]
    return reduce(lambda left, right: left.unionByName(right), frames) if frames else None


def bytes_cut(context: RunContext) -> list[dict[str, Any]]:
    """For each corpus-wide stage the kept documents that it cut, and the UTF-8 bytes that it wrote down to go.

    Returns:
        The fields of ``pipeline.ledger.TextCutCount``, in the order of the stages.
    """
    kept = context.frame("decisions", DECISION).where(F.col("verdict") == "kept").select("doc_id")
    found = []
    for stage in text_stages(context.config):
        cuts = context.frame(work_folder(stage), TEXT_CUT).where(F.col("num_bytes_cut") > 0)
        totals = cuts.join(kept, on="doc_id", how="left_semi").agg(
            F.count(F.lit(1)).alias("num_documents"), F.coalesce(F.sum("num_bytes_cut"), F.lit(0)).alias("num_bytes")
        )
        found.append({"stage": stage, **totals.collect()[0].asDict()})
    return found
