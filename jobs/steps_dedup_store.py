"""The step by which a run adds itself to the store of deduplication."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from jobs import between
from jobs.config import RunConfig
from jobs.dedup_scope import DedupStoreConfig, ScopedDedup, resolve_scope, signature_facts
from jobs.dump_copies import final_survivors_of, seen_documents
from jobs.run_context import RunContext, Step
from pipeline import storage
from pipeline.config import Config
from pipeline.dedup_store import STORED, position_of
from pipeline.manifest import FileEntry, commit, finished
from pipeline.progress import StageProgress
from pipeline.runner import part_of, write_frame
from pipeline.schema import CLUSTER
from pipeline.stage import identity
from stages.survivor import order_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NAME = "dedup_store"
VERSION = "1"
_RECEIPT = "_work/dedup_store"
_DOCUMENTS_PER_PART = 1_000_000


class _Stored(Config):
    """What decides an entry's content beside what it is made from."""

    name: str
    survivor_columns: tuple[str, ...]


def dedup_store_step(config: RunConfig, settings: DedupStoreConfig) -> Step:
    """Write the run's entry. The run itself keeps a receipt, a folder without files.

    The step is finished if the entry is in the store as this run would write it: one that was deleted or replaced is
    written again.
    """
    scoped = resolve_scope(config)
    folder = storage.join(settings.location, settings.name)

    def run(context: RunContext, progress: StageProgress) -> None:
        num_documents = _write_entry(context, scoped, settings)
        context.commit(NAME, _RECEIPT, [])
        progress.update(documents=num_documents, note=folder)

    def is_in_store(context: RunContext) -> bool:
        return finished(folder, context.fingerprints[NAME]) is not None

    stored = _Stored(name=settings.name, survivor_columns=scoped.survivor_columns)
    return Step(
        name=NAME,
        folders=(_RECEIPT,),
        identities=(identity(NAME, VERSION, stored),),
        upstream=("decide", "dedup_exact", "dedup_near"),
        run=run,
        is_intact=is_in_store,
    )


def _write_entry(context: RunContext, scoped: ScopedDedup, settings: DedupStoreConfig) -> int:
    """Write the files beside those of the entry before, commit, and take away what no manifest names any more.

    Returns:
        Documents of the entry.
    """
    folder = storage.join(settings.location, settings.name)
    fingerprint = context.fingerprints[NAME]
    below = fingerprint[:16]
    of_order = [field for field in order_columns(scoped.survivor_columns) if field.name != "doc_id"]
    schema = pa.schema([*STORED, *of_order])
    files = _write_documents(_documents(context, scoped), storage.join(folder, below), schema)
    step = context.steps[NAME]
    manifest = commit(
        folder,
        name=settings.name,
        identities=step.identities,
        upstream=context.upstream_of(step),
        files=[entry.model_copy(update={"path": f"{below}/{entry.path}"}) for entry in files],
        schema=schema,
        details={
            "position": position_of(settings.location, settings.name),
            "dumps": scoped.plan.pools or sorted(set(scoped.plan.of_source.values())),
            "minhash": signature_facts(scoped.dedup.minhash),
            "scope": scoped.plan.scope,
            "read": settings.read,
            "older": {entry.name: entry.manifest.fingerprint for entry in scoped.older},
        },
    )
    for path in storage.list_files(folder):
        if "/" in path and not path.startswith(f"{below}/"):
            storage.remove_folder(storage.join(folder, path.partition("/")[0]))
    return manifest.num_rows or 0


def _documents(context: RunContext, scoped: ScopedDedup) -> DataFrame:
    """STORED and the columns of the survivor orders, of every document that a later one may be a copy of."""
    clusters = context.frame("clusters", CLUSTER)
    ends = between.final_survivors(clusters, final_survivors_of(context)).select("doc_id", "kept_doc_id")
    seen = seen_documents(context, scoped, clusters).join(ends, on="doc_id", how="left")
    return seen.withColumn("kept_doc_id", F.coalesce("kept_doc_id", "doc_id"))


def _write_documents(documents: DataFrame, folder: str, schema: pa.Schema) -> list[FileEntry]:
    """Parts of about a million documents, whatever the partitioning."""
    documents = documents.select(*schema.names).persist()  # counted, then written
    num_parts = max(1, math.ceil(documents.count() / _DOCUMENTS_PER_PART))
    parted = documents.withColumn("part", part_of("doc_id", num_parts))
    files = write_frame(parted, folder=folder, schema=schema, part_column="part", sort_by=("doc_id",))
    documents.unpersist()
    return files
