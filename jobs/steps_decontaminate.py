"""The step ``decontaminate``: an index of the evaluation sets, two passes over the units, a report of what was hit.

What a passage, an n-gram and a hit is stands in ``stages/decontaminate.py``. The index is built once and written to the
run's folder, from which workers map it. The second pass reads no text but of documents with hits.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from filters.evaluation_sets import PASSAGE, read_passages
from jobs.config import RunConfig
from jobs.explain_evaluation import FINDINGS
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
from pipeline.manifest import MANIFEST_NAME, FileEntry
from pipeline.ngram_index import NgramIndex, build_index
from pipeline.part_writer import PartWriter, commit_files, read_part, remove_temporary
from pipeline.progress import StageProgress
from pipeline.runner import read_frame, run_units
from pipeline.stage import identity
from pipeline.text_cuts import TEXT_CUT
from pipeline.unit_of_work import Output, ProcessFunction, Unit, UnitReport
from stages import decontaminate
from stages.decontaminate import FINDING, HIT, NAME, DecontaminateConfig

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_INDEX, _HITS = "_work/decontamination_index", "_work/decontamination_hits"
_PASSAGES = "passages.parquet"


def decontaminate_step(config: RunConfig) -> Step:
    """Find evaluation text and say what goes for it; the run has ``[decontaminate]``."""
    if config.decontaminate is None:
        raise ValueError("a run without [decontaminate] has no such step; expected the table; leave the step out")
    settings = decontaminate.resolve(config.decontaminate)

    def run(context: RunContext, progress: StageProgress) -> None:
        passages, index = _write_index(context, settings)
        source, index_folder = text_source(context, NAME), context.folder(_INDEX)
        hits = _run(context, progress, text_units(context), find_unit(source, index_folder), {_HITS: HIT})[_HITS]
        context.commit(NAME, _HITS, hits, schema=HIT)
        too_common = _too_common(context, hits, settings.max_documents_per_ngram)
        hit_parts = {entry.path for entry in hits}
        units = [unit for unit in text_units(context) if f"part-{unit.name}.parquet" in hit_parts]
        judge = judge_unit(source, index_folder, context.folder(_HITS), too_common, settings)
        files = _run(context, progress, units, judge, {work_folder(NAME): TEXT_CUT, FINDINGS: FINDING})
        context.commit(NAME, work_folder(NAME), files[work_folder(NAME)], schema=TEXT_CUT)
        found = read_frame(context.spark, context.folder(FINDINGS), files[FINDINGS], FINDING)
        details = {
            "num_ngrams": index.num_ngrams,
            "num_ngrams_too_common": len(too_common),
            "sets": summary(passages, index, found),
        }
        manifest = context.commit(NAME, FINDINGS, files[FINDINGS], schema=FINDING, details=details)
        progress.update(note=f"{manifest.num_rows:,} passages of evaluation sets in documents")

    return Step(
        name=NAME,
        folders=(work_folder(NAME), FINDINGS, _INDEX, _HITS),
        identities=(identity(NAME, decontaminate.VERSION, settings), *identities_of_text(config, NAME)),
        upstream=upstream_of_text_stage(config, NAME),
        run=run,
    )


def _write_index(context: RunContext, settings: DecontaminateConfig) -> tuple[pa.Table, NgramIndex]:
    """Read the evaluation sets and commit their index; ``PASSAGE`` and the index."""
    passages = read_passages(settings.set)
    index = build_index(
        passages.column("text").combine_chunks(),
        ngram_words=settings.ngram_words,
        min_words=settings.min_item_words,
    )
    folder = context.folder(_INDEX)
    storage.remove_folder(folder)
    writer = PartWriter(folder, _PASSAGES, PASSAGE)
    for batch in passages.to_batches():
        writer.write(batch)
    written = writer.close()
    commit_files([written])
    remove_temporary(folder)
    context.commit(NAME, _INDEX, [written.entry(), *index.save(folder)])
    return passages, index


@functools.lru_cache(maxsize=1)
def _loaded(folder: str, digest: str) -> tuple[NgramIndex, pa.Table]:
    """The index and its passages, once per worker; ``digest`` tells one index in this folder from the next."""
    passages = pa.Table.from_batches(read_part(storage.join(folder, _PASSAGES)), PASSAGE)
    return NgramIndex.load(folder), passages


def _run(
    context: RunContext,
    progress: StageProgress,
    units: list[Unit],
    process: ProcessFunction,
    outputs: dict[str, pa.Schema],
) -> dict[str, list[FileEntry]]:
    """Run ``process`` over ``units``; entries of the files written, by folder."""
    progress.total = len(units)
    results = run_units(
        context.spark,
        units=units,
        process=process,
        outputs={name: Output(folder=context.folder(name), schema=schema) for name, schema in outputs.items()},
        fingerprint=context.fingerprints[NAME],
        progress=progress,
        units_per_group=context.config.run.units_per_group,
        num_partitions=context.config.spark.partitions,
    )
    files = [file for result in results for file in result.files]
    return {name: [file.entry() for file in files if file.folder == context.folder(name)] for name in outputs}


def find_unit(source: TextSource, index_folder: str) -> ProcessFunction:
    """The first pass: every place of every n-gram in the documents of a unit."""
    digest = storage.sha256_of(storage.join(index_folder, MANIFEST_NAME))

    def process(unit: str, report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        index, _ = _loaded(index_folder, digest)
        for batch in source.read(unit):
            report.counts["documents"] += batch.num_rows
            yield {_HITS: decontaminate.find_hits(batch, index)}

    return process


def _too_common(context: RunContext, hits: list[FileEntry], max_documents: int | None) -> np.ndarray:
    """Numbers of the n-grams in more documents than ``max_documents``, sorted; as many as the sets have at most."""
    if max_documents is None:
        return np.empty(0, np.int32)
    places = read_frame(context.spark, context.folder(_HITS), hits, HIT)
    common = decontaminate.common_ngrams(places, max_documents).collect()
    return np.sort(np.array([row["ngram"] for row in common], np.int32))


def judge_unit(
    source: TextSource, index_folder: str, hits_folder: str, too_common: np.ndarray, settings: DecontaminateConfig
) -> ProcessFunction:
    """The second pass: what goes from the documents of a unit that have hits, and which passages they hold."""
    digest = storage.sha256_of(storage.join(index_folder, MANIFEST_NAME))

    def process(unit: str, report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        index, passages = _loaded(index_folder, digest)
        hits = pa.Table.from_batches(read_part(part_path(hits_folder, unit)), HIT).combine_chunks()
        touched = pc.unique(hits.column("row_index"))
        for batch in source.read(unit, only_rows=touched):
            report.counts["documents"] += batch.num_rows
            here = hits.filter(pc.is_in(hits.column("row_index"), value_set=batch.column("row_index")))
            cuts, findings = decontaminate.judge_hits(
                batch,
                here.combine_chunks().to_batches()[0],
                index=index,
                passages=passages,
                too_common=too_common,
                config=settings,
            )
            yield {work_folder(NAME): cuts, FINDINGS: findings}

    return process


def summary(passages: pa.Table, index: NgramIndex, findings: DataFrame) -> list[dict[str, Any]]:
    """For each set what was looked for, and what was found; in the order of the sets.

    Args:
        passages: ``PASSAGE``.
        findings: ``FINDING``.
    """
    looked_for = passages.append_column("is_short", pa.array((index.num_ngrams_of == 0).astype(np.int64)))
    counted = looked_for.group_by("set", use_threads=False).aggregate(
        [("item_index", "count_distinct"), ("item_index", "count"), ("is_short", "sum")]
    )
    found = findings.groupBy("set").agg(F.countDistinct("item_index"), F.countDistinct("doc_id")).collect()
    num_found = {name: (items, documents) for name, items, documents in found}
    return [
        {
            "set": row["set"],
            "num_items": row["item_index_count_distinct"],
            "num_passages": row["item_index_count"],
            "num_passages_too_short": row["is_short_sum"],
            "num_items_found": num_found.get(row["set"], (0, 0))[0],
            "num_documents": num_found.get(row["set"], (0, 0))[1],
        }
        for row in counted.to_pylist()
    ]
