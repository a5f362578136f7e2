"""Build ``ledger.json`` from what lies on disk, and check it."""

from __future__ import annotations

import itertools
from typing import Any

import pyarrow as pa
from pyspark.sql import functions as F

from filters.line_rules import LINE_SIGNALS
from filters.registry import enabled_names
from jobs.config import RunConfig
from jobs.run_context import RunContext, Step
from jobs.run_folder import STAGES_BEFORE_RULES, stages_after_rules
from jobs.steps_text_dedup import bytes_cut
from jobs.text_stages import text_stages
from pipeline import storage
from pipeline.errors import LedgerError
from pipeline.input_unit import ARCHIVE_FORMATS
from pipeline.ledger import (
    Archive,
    EditCount,
    LanguageCount,
    Ledger,
    LineRuleCount,
    ReasonCount,
    TextCutCount,
    check,
    stage_balances,
)
from pipeline.manifest import file_entry
from pipeline.progress import StageProgress
from pipeline.schema import DECISION, PAGE_RECORD_TYPES, QUARANTINE
from pipeline.stage import identity
from stages import extract_text, read_table, read_warc

LEDGER_FOLDER = "_work/ledger"
_FILE_FACTS = ("source", "warc_file", "format", "size_bytes", "sha256", "content_tag")


def stage_order(config: RunConfig) -> list[str]:
    """Names of all that can end a record, in the order in which a record meets them."""
    return [*STAGES_BEFORE_RULES, *enabled_names(config.filters), *stages_after_rules(text_stages(config))]


def ledger_step(config: RunConfig) -> Step:
    """Sum up, check, and write ``ledger.json``."""

    def run(context: RunContext, progress: StageProgress) -> None:
        ledger = build(context)
        check(ledger)
        location = storage.join(context.folder(LEDGER_FOLDER), "ledger.json")
        storage.write_json(location, ledger.model_dump(mode="json"))
        storage.write_json(context.folder("ledger.json"), ledger.model_dump(mode="json"))
        context.commit("ledger", LEDGER_FOLDER, [file_entry(context.folder(LEDGER_FOLDER), "ledger.json")])
        progress.update(note=f"{ledger.num_records:,} records, {ledger.num_kept:,} kept: it adds up")

    return Step(
        name="ledger",
        folders=(LEDGER_FOLDER,),
        identities=(identity("ledger", "2", config.filters),),
        upstream=("extract", *text_stages(config), "sample_mixture", "redact_pii", "tokenize", "shards"),
        run=run,
        products=("ledger.json",),
    )


def build(context: RunContext) -> Ledger:
    """The ledger of a run whose shards are finished."""
    decisions = context.frame("decisions", DECISION)
    archives = _archives(context)
    reasons = _reasons(decisions)
    languages = _languages(decisions)
    quarantined = _quarantined_by_stage(archives)
    num_pages = sum(archive.num_pages for archive in archives)
    num_quarantined = sum(archive.num_quarantined for archive in archives)
    balances = stage_balances(num_pages + num_quarantined, quarantined, reasons, stage_order(context.config))
    num_dropped = decisions.where(F.col("verdict") == "dropped").count()
    non_pages: dict[str, int] = {}
    for archive in archives:
        for kind, count in archive.records.items():
            if kind not in PAGE_RECORD_TYPES and kind != "unreadable":
                non_pages[kind] = non_pages.get(kind, 0) + count
    return Ledger(
        archives=tuple(archives),
        non_pages=non_pages,
        num_records=sum(archive.num_records for archive in archives),
        num_pages=num_pages,
        num_quarantined=num_quarantined,
        num_kept=decisions.where(F.col("verdict") == "kept").count(),
        num_dropped=num_dropped,
        stages=tuple(balances),
        reasons=tuple(reasons),
        languages=tuple(languages),
        edits=tuple(_edits(context)),
        line_rules=tuple(LineRuleCount(**entry) for entry in context.manifest("corpus").details.get("line_rules", ())),
        text_cuts=tuple(TextCutCount(**entry) for entry in bytes_cut(context)),
        bytes_left_by_line_rules=_bytes_left_by_line_rules(context, decisions),
        outputs=_outputs(context, decisions),
    )


def _archives(context: RunContext) -> list[Archive]:
    lost = context.frame("quarantine", QUARANTINE).groupBy("source", "warc_file").count().collect()
    quarantined = {(row["source"], row["warc_file"]): row["count"] for row in lost}
    archives = []
    for entry in context.manifest("signals").details["archives"]:
        records: dict[str, int] = entry["records"]
        seen = sum(records.get(kind, 0) for kind in (*PAGE_RECORD_TYPES, "unreadable"))
        num_quarantined = quarantined.pop((entry["source"], entry["warc_file"]), 0)
        facts: dict[str, Any] = {key: entry[key] for key in _FILE_FACTS}
        archives.append(
            Archive(
                **facts,
                records=records,
                num_records=sum(records.values()),
                num_pages=seen - num_quarantined,
                num_quarantined=num_quarantined,
            )
        )
    if quarantined:
        raise LedgerError(f"quarantine/ has rows of archives that are no input of this run: {sorted(quarantined)[:3]}")
    return archives


def _quarantined_by_stage(archives: list[Archive]) -> dict[str, int]:
    """What a reader could not read it counted itself; the rest failed in extraction."""
    lost = {read_warc.NAME: 0, read_table.NAME: 0, extract_text.NAME: 0}
    for archive in archives:
        unreadable = archive.records.get("unreadable", 0)
        lost[read_warc.NAME if archive.format in ARCHIVE_FORMATS else read_table.NAME] += unreadable
        lost[extract_text.NAME] += archive.num_quarantined - unreadable
    return lost


def _reasons(decisions: Any) -> list[ReasonCount]:
    rows = (
        decisions.where(F.col("verdict") == "dropped")
        .groupBy("stage", "reason", "lang")
        .agg(F.count("*").alias("num_documents"), F.coalesce(F.sum("num_bytes"), F.lit(0)).alias("num_bytes"))
        .collect()
    )
    found = [ReasonCount(**row.asDict()) for row in rows]
    return sorted(found, key=lambda entry: (entry.stage, entry.reason, entry.lang or ""))


def _languages(decisions: Any) -> list[LanguageCount]:
    kept = F.col("verdict") == "kept"
    rows = (
        decisions.groupBy("lang")
        .agg(
            F.count("*").alias("num_documents"),
            F.coalesce(F.sum("num_bytes"), F.lit(0)).alias("num_bytes"),
            F.count(F.when(kept, 1)).alias("num_kept"),
            F.coalesce(F.sum(F.when(kept, F.col("num_bytes"))), F.lit(0)).alias("bytes_kept"),
        )
        .collect()
    )
    return sorted((LanguageCount(**row.asDict()) for row in rows), key=lambda entry: entry.lang or "")


def _edits(context: RunContext) -> list[EditCount]:
    """Bytes before and after each edit of pass 2, in its order."""
    counted = context.manifest("corpus").details["text_bytes"]
    return [
        EditCount(stage=after["stage"], bytes_before=before["num_bytes"], bytes_after=after["num_bytes"])
        for before, after in itertools.pairwise(counted)
    ]


def _bytes_left_by_line_rules(context: RunContext, decisions: Any) -> int | None:
    """What pass 1 measured that cleaning would leave of the documents that were kept."""
    if not context.config.clean_lines.edits:
        return None
    measured = context.frame("signals", pa.schema([DECISION.field("doc_id"), LINE_SIGNALS.field("cleaned_num_bytes")]))
    kept = decisions.where(F.col("verdict") == "kept").select("doc_id")
    total = measured.join(kept, on="doc_id").agg(F.coalesce(F.sum("cleaned_num_bytes"), F.lit(0))).collect()
    return int(total[0][0])


def _outputs(context: RunContext, decisions: Any) -> dict[str, int]:
    copies = decisions.agg(F.coalesce(F.sum("copies"), F.lit(0))).first()
    shards = storage.read_json(context.folder("shards/manifest.json"))["shards"]
    return {
        "corpus_documents": context.manifest("corpus").num_rows or 0,
        "redactions": context.manifest("corpus").details["num_redactions"],
        "copies": copies[0],
        "sequences": sum(shard["num_documents"] for shard in shards),
        "tokens": sum(shard["num_tokens"] for shard in shards),
        "shards": len(shards),
    }
