"""The steps ``embed_documents`` and ``dedup_semantic``: embeddings by unit, then clusters and comparisons in Spark.

Embedding is what costs: it has a folder of its own, ``embeddings/``, which is made group of units by group, so that a
killed run goes on where it was, and which another threshold, order or number of clusters does not touch. What is
compared, and what goes, stands in ``stages/dedup_semantic.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from jobs.config import RunConfig
from jobs.dedup_scope import plan_of
from jobs.run_context import RunContext, Step
from jobs.steps_text_dedup import (
    SURVIVORS,
    TextSource,
    identities_of_text,
    survivor_schema,
    text_source,
    text_units,
    upstream_of_text_stage,
)
from jobs.text_stages import work_folder
from pipeline import storage
from pipeline.config import Config
from pipeline.progress import StageProgress
from pipeline.runner import run_units, write_frame
from pipeline.sentence_encoder import embed, folder_sha256
from pipeline.stage import identity
from pipeline.text_cuts import TEXT_CUT
from pipeline.unit_of_work import Output, ProcessFunction, UnitReport
from stages.dedup_older import with_dumps
from stages.dedup_semantic import (
    NAME,
    SEMANTIC_DUPLICATE,
    SHOWN_SIMILARITIES,
    VERSION,
    SemanticDedupConfig,
    nearest_earlier,
    semantic_duplicates,
)
from stages.survivor import with_source_priority

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EMBED = "embed_documents"
EMBEDDINGS = "embeddings"
EMBEDDING = pa.schema([("doc_id", pa.string()), ("embedding", pa.list_(pa.float32()))])
"""``embeddings/``: one row per document that reaches ``dedup_semantic``, by ``row_index``; null for a blank text."""

_SCRATCH = f"_work/{NAME}_scratch"


class _Embedding(Config):
    """What embeddings depend on beside the texts."""

    encoder_sha256: str
    max_chars: int


def embed_step(config: RunConfig) -> Step:
    """Embed what rules and deduplication of documents left; the run has ``[dedup.semantic]``."""
    settings = _settings(config)
    made_by = _Embedding(encoder_sha256=folder_sha256(settings.encoder), max_chars=settings.max_chars)

    def run(context: RunContext, progress: StageProgress) -> None:
        units = text_units(context)
        progress.total = len(units)
        results = run_units(
            context.spark,
            units=units,
            process=embed_unit(text_source(context, NAME), settings),
            outputs={"rows": Output(folder=context.folder(EMBEDDINGS), schema=EMBEDDING)},
            fingerprint=context.fingerprints[EMBED],
            progress=progress,
            units_per_group=config.run.units_per_group,
            num_partitions=config.spark.partitions,
        )
        files = [file.entry() for result in results for file in result.files]
        context.commit(EMBED, EMBEDDINGS, files, schema=EMBEDDING)

    return Step(
        name=EMBED,
        folders=(EMBEDDINGS,),
        identities=(*identities_of_text(config, NAME), identity(EMBED, "1", made_by)),
        upstream=upstream_of_text_stage(config, NAME),
        run=run,
    )


def embed_unit(source: TextSource, settings: SemanticDedupConfig) -> ProcessFunction:
    """Embed the beginnings of a unit's texts."""

    def process(unit: str, report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        for batch in source.read(unit):
            report.counts["documents"] += batch.num_rows
            beginnings = pc.utf8_slice_codeunits(batch.column("text"), 0, settings.max_chars).to_pylist()
            texts = [text for text in beginnings if text.strip()]
            found = iter(embed(texts, settings.encoder).tolist() if texts else [])
            rows = [next(found) if text.strip() else None for text in beginnings]
            columns = [batch.column("doc_id"), pa.array(rows, EMBEDDING.field("embedding").type)]
            yield {"rows": pa.RecordBatch.from_arrays(columns, schema=EMBEDDING)}

    return process


def dedup_semantic_step(config: RunConfig) -> Step:
    """Drop what an earlier document of its cluster says already; the run has ``[dedup.semantic]``."""
    settings, plan = _settings(config), plan_of(config)
    priority = config.dedup.source_priority or ()
    if priority:
        settings = settings.model_copy(update={"survivor_order": with_source_priority(settings.survivor_order)})
    by_content = settings.model_copy(update={"encoder": folder_sha256(settings.encoder)})

    def run(context: RunContext, progress: StageProgress) -> None:
        scratch = context.folder(_SCRATCH)
        storage.remove_folder(scratch)
        survivors = context.frame(SURVIVORS, survivor_schema(config))
        nearest = nearest_earlier(
            context.frame(EMBEDDINGS, EMBEDDING),
            with_dumps(survivors, plan, priority),
            settings,
            reach_dumps=plan.reach_dumps,
            scratch=storage.for_spark(scratch),
        )
        found = semantic_duplicates(nearest, settings.min_similarity)
        files = write_frame(
            _as_cuts(found, survivors, settings),
            folder=context.folder(work_folder(NAME)),
            schema=TEXT_CUT,
            part_column="unit",
            sort_by=("row_index",),
        )
        details = {"at_similarity": _curve(nearest)}
        manifest = context.commit(NAME, work_folder(NAME), files, schema=TEXT_CUT, details=details)
        storage.remove_folder(scratch)
        progress.update(note=f"{manifest.num_rows:,} documents say what an earlier one says")

    return Step(
        name=NAME,
        folders=(work_folder(NAME),),
        identities=(identity(NAME, VERSION, by_content), identity("dump_plan", "1", plan)),
        upstream=("survivors", EMBED),
        run=run,
    )


def _settings(config: RunConfig) -> SemanticDedupConfig:
    """``[dedup.semantic]``, its encoder as workers find it too."""
    settings = config.dedup.semantic
    if settings is None:
        raise ValueError("a run without [dedup.semantic] has no such step; expected the table; leave the step out")
    return settings.model_copy(update={"encoder": os.path.abspath(settings.encoder)})


def _as_cuts(found: DataFrame, survivors: DataFrame, settings: SemanticDedupConfig) -> DataFrame:
    """``TEXT_CUT``: nothing is cut, documents are dropped whole."""
    nothing = F.array().cast("array<long>")
    passed_on = F.format_string(" (which goes too, for %s)", "kept_doc_id")
    goes_too = F.when(F.col("nearest_doc_id") != F.col("kept_doc_id"), passed_on).otherwise("")
    return found.join(survivors.select("doc_id", "unit", "row_index"), on="doc_id", how="inner").select(
        "doc_id",
        "unit",
        "row_index",
        nothing.alias("starts"),
        nothing.alias("ends"),
        F.lit(0).cast("long").alias("num_bytes_cut"),
        F.lit(SEMANTIC_DUPLICATE).alias("dropped_reason"),
        F.col("similarity").alias("value"),
        F.lit(settings.min_similarity).alias("threshold"),
        "kept_doc_id",
        F.concat(F.lit("most like "), "nearest_doc_id", goes_too).alias("detail"),
    )


def _curve(nearest: DataFrame) -> list[dict[str, Any]]:
    """How many documents would go at other thresholds: the rule looks at nothing but the similarity to the nearest."""
    counts = [F.count(F.when(F.col("similarity") >= value, 1)) for value in SHOWN_SIMILARITIES]
    row = nearest.agg(*counts).collect()[0]
    return [
        {"min_similarity": value, "num_documents": count} for value, count in zip(SHOWN_SIMILARITIES, row, strict=True)
    ]
