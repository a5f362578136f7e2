"""Steps between the passes (deduplicate, sample, settle every page's fate) and pass 2 (write the redacted corpus)."""

from __future__ import annotations

from collections import Counter

from pyspark.sql import functions as F

from filters.line_rules import LINE_RULES
from jobs import between
from jobs.between import VERDICT
from jobs.candidate_shingles import shingle_source
from jobs.config import RunConfig
from jobs.dedup_scope import resolve_scope
from jobs.dump_copies import chain_folders, commit_chains, exact_clusters, final_survivors_of, near_clusters
from jobs.passes import EXTRACTED, LINE_BYTES, LINES, TEXT_BYTES, redact_unit
from jobs.run_context import RunContext, Step
from jobs.steps_text_dedup import cut_folders, drops, edits_before_cuts
from jobs.text_stages import text_stages
from pipeline import storage
from pipeline.corpus import CORPUS_FILE, unit_of
from pipeline.errors import LedgerError
from pipeline.input_split import work_bytes
from pipeline.progress import StageProgress
from pipeline.runner import part_of, run_units, write_frame
from pipeline.schema import CLUSTER, DECISION
from pipeline.stage import Stage, identity
from pipeline.unit_of_work import Output, Unit
from stages import cut_text, dedup_exact, dedup_near, redact_pii, sample_mixture

_CLUSTER_PARTS = 16
_SHOWN_SIMILARITY = 0.8  # what presets are tuned for


def dedup_exact_step(config: RunConfig) -> Step:
    """Clusters of documents with equal normalised text."""
    scoped = resolve_scope(config)
    stage = None if scoped.dedup.exact is None else dedup_exact.make_stage(scoped.dedup.exact)
    folder = "_work/exact_duplicates"

    def run(context: RunContext, progress: StageProgress) -> None:
        files = []
        scratch = context.folder("_work/dedup_exact_scratch")
        storage.remove_folder(scratch)
        if stage is not None:
            clusters = exact_clusters(context, scoped, stage.apply, scratch=storage.for_spark(scratch))
            files = _write_clusters(context, folder, clusters)
        storage.remove_folder(scratch)
        manifest = context.commit("dedup_exact", folder, files, schema=CLUSTER)
        progress.update(note=f"{manifest.num_rows:,} documents in clusters")

    identities = () if stage is None else (stage.identity(), *scoped.identities)
    return Step(name="dedup_exact", folders=(folder,), identities=identities, upstream=("decide",), run=run)


def dedup_near_step(config: RunConfig) -> Step:
    """Clusters of near copies among what exact deduplication left; writes both kinds to ``clusters/``."""
    scoped = resolve_scope(config)
    settings = scoped.dedup.near

    def run(context: RunContext, progress: StageProgress) -> None:
        scratch = context.folder("_work/dedup_near_scratch")
        storage.remove_folder(scratch)
        exact = context.frame("_work/exact_duplicates", CLUSTER)
        clusters = exact
        if settings is not None:
            sets = shingle_source(context, config.dedup.minhash.shingling(), scratch=scratch, progress=progress)
            stage = dedup_near.make_stage(settings, scratch=storage.for_spark(scratch), shingle_sets=sets)
            near = near_clusters(context, scoped, stage.apply, exact, scratch=storage.for_spark(scratch))
            clusters = exact.unionByName(near)
        clusters = commit_chains(context, scoped, clusters, scratch=storage.for_spark(scratch))
        banding = config.dedup.minhash.banding()
        manifest = context.commit(
            "dedup_near",
            "clusters",
            _write_clusters(context, "clusters", clusters),
            schema=CLUSTER,
            details=None if settings is None else {"banding": banding.describe()},
        )
        storage.remove_folder(scratch)
        note = f"{manifest.num_rows:,} documents in clusters"
        if settings is not None:
            caught = banding.catch_probability(_SHOWN_SIMILARITY)
            note += f"; {caught:.0%} of pairs at similarity {_SHOWN_SIMILARITY} meet"
        progress.update(note=note)

    identities = () if settings is None else (identity(dedup_near.NAME, dedup_near.VERSION, settings),)
    return Step(
        name="dedup_near",
        folders=(*chain_folders(scoped), "clusters"),
        identities=(*identities, *scoped.identities),
        upstream=("decide", "dedup_exact"),
        run=run,
    )


def _write_clusters(context: RunContext, folder: str, clusters):  # type: ignore[no-untyped-def]
    parted = clusters.withColumn("part", part_of("cluster_id", _CLUSTER_PARTS))
    return write_frame(
        parted,
        folder=context.folder(folder),
        schema=CLUSTER,
        part_column="part",
        sort_by=("cluster_id", "kind", "doc_id"),
    )


def decisions_step(config: RunConfig) -> Step:
    """Sample the survivors and write one row per page read: its keep-list is the part file of the same name."""
    stage = sample_mixture.make_stage(config.mixture)
    near_threshold = None if config.dedup.near is None else config.dedup.near.min_similarity

    def run(context: RunContext, progress: StageProgress) -> None:
        verdicts = context.frame("_work/verdicts", VERDICT)
        clusters = context.frame("clusters", CLUSTER)
        text_drops = drops(context)
        survivors = between.without_duplicates(between.alive(verdicts), clusters)
        if text_drops is not None:
            survivors = survivors.join(text_drops.select("doc_id"), on="doc_id", how="left_anti")
        survivors = survivors.select("doc_id", "lang", "domain", "num_bytes").persist()  # totals and draws read it
        sampled = stage.apply(survivors)
        columns = ("doc_id", "copies", "split", "sample_value", "sample_threshold")
        settled = between.decisions(
            verdicts,
            clusters,
            sampled.select(*columns),
            finals=final_survivors_of(context),
            near_threshold=near_threshold,
            sample_reason=str(config.mixture.reason),
            text_drops=text_drops,
        )
        files = write_frame(
            settled,
            folder=context.folder("decisions"),
            schema=DECISION,
            part_column="unit",
            sort_by=("page_index", "doc_id"),
        )
        survivors.unpersist()
        manifest = context.commit("sample_mixture", "decisions", files, schema=DECISION)
        _check_decisions(context, manifest.num_rows or 0)
        progress.update(documents=manifest.num_rows)

    return Step(
        name="sample_mixture",
        folders=("decisions",),
        identities=(stage.identity(), identity("decisions", "1", config.dedup.model_copy(update={"store": None}))),
        upstream=("decide", "dedup_exact", "dedup_near", *text_stages(config)),
        run=run,
    )


def _check_decisions(context: RunContext, num_rows: int) -> None:
    """One decision per page read, no page twice.

    Raises:
        LedgerError: with both sums.
    """
    num_pages = context.manifest("signals").num_rows or 0
    distinct = context.frame("decisions", DECISION).agg(F.countDistinct("doc_id")).first()
    num_ids = 0 if distinct is None else distinct[0]
    if not num_rows == num_pages == num_ids:
        raise LedgerError(
            f"decisions/ has {num_rows} rows with {num_ids} distinct doc_ids for {num_pages} pages in signals/; "
            f"the three must be equal; this is a bug: please report it"
        )


def _edits(config: RunConfig) -> tuple[Stage, ...]:
    """What happens to the text of a kept document, in order."""
    edits = [*edits_before_cuts(config), *(cut_text.make_stage(stage) for stage in text_stages(config))]
    if config.pii is not None:
        edits.append(redact_pii.make_stage(config.pii))
    return tuple(edits)


def redact_step(config: RunConfig) -> Step:
    """Pass 2: the kept documents, cleaned and redacted, by language."""
    edits = _edits(config)

    def run(context: RunContext, progress: StageProgress) -> None:
        output = Output(folder=context.folder("corpus"), schema=CORPUS_FILE, partition_by="lang")
        with_documents = {unit_of(entry.path) for entry in context.manifest("documents").files}
        units = [
            Unit(name=unit.unit, weight=work_bytes(unit), spec=unit.unit)
            for unit in context.units
            if unit.unit in with_documents
        ]
        progress.total = len(units)
        results = run_units(
            context.spark,
            units=units,
            process=redact_unit(context.folder("documents"), context.folder("decisions"), edits, cut_folders(context)),
            outputs={"corpus": output},
            fingerprint=context.fingerprints["redact_pii"],
            progress=progress,
            units_per_group=config.run.units_per_group,
            num_partitions=config.spark.partitions,
        )
        files = [file.entry() for result in results for file in result.files]
        totals = sum((Counter(result.counts) for result in results), Counter[str]())
        details = {
            "num_redactions": totals["redactions"],
            "text_bytes": [
                {"stage": stage, "num_bytes": totals[f"{TEXT_BYTES}{stage}"]}
                for stage in (EXTRACTED, *(edit.name for edit in edits))
            ],
        }
        if config.clean_lines.edits:
            details["line_rules"] = [
                {"rule": rule, "num_lines": totals[f"{LINES}{rule}"], "num_bytes": totals[f"{LINE_BYTES}{rule}"]}
                for rule in LINE_RULES
            ]
        manifest = context.commit("redact_pii", "corpus", files, schema=CORPUS_FILE, details=details)
        kept = context.frame("decisions", DECISION).where(F.col("verdict") == "kept").count()
        if manifest.num_rows != kept:
            raise LedgerError(
                f"corpus/ has {manifest.num_rows} documents for {kept} kept rows in decisions/; they must be equal; "
                f"this is a bug: please report it"
            )

    return Step(
        name="redact_pii",
        folders=("corpus",),
        identities=tuple(edit.identity() for edit in edits),
        upstream=("extract", "sample_mixture", *text_stages(config)),
        run=run,
    )
