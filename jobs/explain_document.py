"""One record's whole history, put together from what a run left on disk.

Every table of a run carries ``doc_id``, and ``decisions/`` carries (unit, page_index, row_index), so that one record's
signals, text, cluster, shard and offset are found by a scan of one id column each and one row group of the wide tables.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.explain_cuts import text_cuts
from jobs.explain_evaluation import evaluation_items
from jobs.explain_lines import line_edits
from jobs.explain_places import shard_places
from jobs.explanation import (
    MAX_MEMBERS,
    TEXT_HEAD_CHARS,
    Cluster,
    ClusterMember,
    Explanation,
    Outcome,
    RecordHistory,
    RuleCheck,
    StageOutcome,
)
from jobs.find_record import not_found, rows_named
from jobs.run_folder import STAGES_BEFORE_RULES, RunFolder
from pipeline.errors import ConfigError, ShardError
from pipeline.schema import DECISION, ENDED, LOCATION

_IDENTITY = ("doc_id", "source", "domain", "url", "warc_file", "warc_record_id", "warc_offset", "record_type")
_PAGE = (*_IDENTITY, "http_status", "fetch_time", "lang", "lang_score", "num_bytes", "num_chars")
_NOT_SIGNALS = {*_PAGE, *ENDED.names, *LOCATION.names}
_READERS = STAGES_BEFORE_RULES[:2]


def explain(run_folder: str, which: str) -> Explanation:
    """The history of the records that ``which`` names.

    Args:
        run_folder: output folder of a run, finished or not; at least ``signals/`` must be.
        which: a doc_id, a URL, or ``<archive>:<offset>`` (the archive's path may be given by its end).

    Raises:
        ConfigError: if ``run_folder`` is no run, or nothing in it is called ``which``; names the nearest URLs.
    """
    run = RunFolder(run_folder)
    if not run.record or not run.is_finished("signals"):
        raise ConfigError(f"{run_folder}/signals is not finished; nothing can be explained yet: run it first")
    where = rows_named(which)
    pages = run.rows("signals", [*_IDENTITY, "unit", "page_index"], where).to_pylist()
    lost = run.rows("quarantine", [*_IDENTITY, "error_class", "error_message"], where).to_pylist()
    if not pages and not lost:
        raise ConfigError(not_found(run, which))
    histories = [_page_history(run, page) for page in pages] + [_quarantine_history(run, record) for record in lost]
    histories.sort(key=lambda history: (history.source, history.warc_file, history.warc_offset or 0, history.doc_id))
    return Explanation(run_folder=run_folder, question=which, records=tuple(histories))


def _page_history(run: RunFolder, page: dict[str, Any]) -> RecordHistory:
    doc_id, unit = page["doc_id"], page["unit"]
    row = run.row_at(f"signals/part-{unit}.parquet", page["page_index"], _scalar_columns(run))
    decided = run.rows("decisions", DECISION.names, pc.field("doc_id") == doc_id).to_pylist()
    decision = decided[0] if decided else None
    ended = _ended_by(row, decision)
    has_text = row["row_index"] is not None
    history: dict[str, Any] = {name: row[name] for name in _PAGE}
    history["fetch_time"] = None if row["fetch_time"] is None else row["fetch_time"].isoformat()
    if decision is not None:
        history.update({name: decision[name] for name in ("verdict", "kept_doc_id", "copies", "split")})
        history["kept_in"] = _place_in_store(run, decision["kept_doc_id"])
    if has_text:
        history["rules"] = tuple(_rule_checks(run, row))
        history["signals"] = {name: value for name, value in row.items() if _is_signal(name, value)}
        history["line_edits"] = line_edits(run, unit, row["row_index"], row["lang"])
        history["text_cuts"] = text_cuts(run, doc_id, unit, row["row_index"], row["lang"])
        history["evaluation_items"] = evaluation_items(run, doc_id)
        history.update(_text_of(run, page, row["row_index"], decision))
    places = shard_places(run, doc_id, decision)
    return RecordHistory(
        **history,
        ended_by=ended,
        stages=tuple(_stage_outcomes(run, row, ended, decision)),
        clusters=tuple(_clusters(run, doc_id)),
        places=tuple(places),
    )


def _place_in_store(run: RunFolder, kept_doc_id: str | None) -> str | None:
    """Dump and entry of a document of a finished run; None for those of this one."""
    where = pc.field("doc_id") == kept_doc_id
    found = run.rows("older_documents", ["dump", "entry"], where).to_pylist() if kept_doc_id is not None else []
    return f"dump {found[0]['dump']}, entry {found[0]['entry']} of the store" if found else None


def _scalar_columns(run: RunFolder) -> list[str]:
    """Columns of ``signals/`` but the sketch: band hashes and signature say nothing to a reader."""
    schema = run.dataset("signals").schema
    return [field.name for field in schema if not (pa.types.is_nested(field.type) or _is_binary(field.type))]


def _is_binary(data_type: pa.DataType) -> bool:
    return pa.types.is_binary(data_type) or pa.types.is_fixed_size_binary(data_type)


def _is_signal(name: str, value: Any) -> bool:
    return name not in _NOT_SIGNALS and isinstance(value, (int, float)) and not math.isnan(value)


def _ended_by(row: dict[str, Any], decision: dict[str, Any] | None) -> StageOutcome | None:
    """What ended a page: by its decision, or before there is one by what pass 1 found."""
    prefix, source = ("ended_", row) if decision is None else ("", decision)
    if source[f"{prefix}reason"] is None:
        return None
    return StageOutcome(
        outcome="dropped", **{name: source[prefix + name] for name in ("stage", "reason", "value", "threshold")}
    )


def _rule_checks(run: RunFolder, row: dict[str, Any]) -> Iterator[RuleCheck]:
    for _, thresholds in itertools.groupby(run.rules, key=lambda found: (found.filter_name, found.rule.reason)):
        of_rule = list(thresholds)  # several where languages have their own
        in_force = next((choice for choice in of_rule if choice.judges(row["lang"])), of_rule[0])
        rule = in_force.rule
        value = row.get(rule.signal)
        value = None if value is None or math.isnan(value) else float(value)
        judged = in_force.judges(row["lang"])
        yield RuleCheck(
            filter=in_force.filter_name,
            reason=str(rule.reason),
            signal=rule.signal,
            value=value,
            drop_if=rule.drop_if,
            threshold=in_force.threshold,
            judged=judged,
            fired=judged and value is not None and in_force.fires(value),
        )


def _stage_outcomes(
    run: RunFolder, row: dict[str, Any], ended: StageOutcome | None, decision: dict[str, Any] | None
) -> Iterator[StageOutcome]:
    """Stages in order: passed up to the one that ended the page, not reached after it."""
    reader = "read_table" if row["record_type"] == "text" else "read_warc"
    is_over = False
    for stage in run.stage_order:
        if stage in _READERS and stage != reader:
            continue
        if ended is not None and stage == ended.stage:
            is_over = True
            yield ended
        elif is_over:
            yield StageOutcome(stage=stage, outcome="not reached")
        elif decision is None and stage not in STAGES_BEFORE_RULES:
            yield StageOutcome(stage=stage, outcome="not run")
        else:
            yield StageOutcome(stage=stage, outcome="passed")
    for stage, folder in (("redact_pii", "corpus"), ("write_token_shards", "shards")):
        run_so_far: Outcome = "passed" if run.is_finished(folder) else "not run"
        yield StageOutcome(stage=stage, outcome="not reached" if is_over else run_so_far)


def _text_of(run: RunFolder, page: dict[str, Any], row_index: int, decision: dict[str, Any] | None) -> dict[str, Any]:
    """First characters of the text: of the corpus for a kept document, else as extracted."""
    unit = page["unit"]
    if decision is not None and decision["verdict"] == "kept" and run.is_finished("corpus"):
        path = f"corpus/lang={decision['lang']}/part-{unit}.parquet"
        index = pc.index(run.column_of(path, "doc_id"), page["doc_id"]).as_py()
        if index < 0:
            raise ShardError(f"{run.path(path)} lacks document {page['doc_id']}, which decisions/ keeps; run again")
        kept = run.row_at(path, index, ["text", "num_redactions"])
        head = kept["text"][:TEXT_HEAD_CHARS]
        return {"text_head": head, "text_is_redacted": True, "num_redactions": kept["num_redactions"]}
    text = run.row_at(f"documents/part-{unit}.parquet", row_index, ["text"])["text"]
    return {"text_head": text[:TEXT_HEAD_CHARS]}


def _clusters(run: RunFolder, doc_id: str) -> Iterator[Cluster]:
    """The clusters of copies that a document belongs to: exact, near, or one of each.

    An exact copy has left the line before near copies are looked for; the document kept for it stands for it there.
    """
    columns = ["cluster_id", "kind", "kept_doc_id"]
    own = run.rows("clusters", columns, pc.field("doc_id") == doc_id).to_pylist()
    if [row["kind"] for row in own] == ["exact"]:
        stand_in = (pc.field("doc_id") == own[0]["kept_doc_id"]) & (pc.field("kind") == "near")
        own += run.rows("clusters", columns, stand_in).to_pylist()
    for cluster in sorted(own, key=lambda row: row["kind"]):
        same = (pc.field("cluster_id") == cluster["cluster_id"]) & (pc.field("kind") == cluster["kind"])
        rows = run.rows("clusters", ["doc_id", "kept_doc_id", "similarity"], same).to_pylist()
        rows.sort(key=lambda row: (row["doc_id"] != row["kept_doc_id"], row["doc_id"] != doc_id, row["doc_id"]))
        shown = rows[:MAX_MEMBERS]
        urls = run.urls_of([row["doc_id"] for row in shown])
        yield Cluster(
            kind=cluster["kind"],
            cluster_id=cluster["cluster_id"],
            kept_doc_id=rows[0]["kept_doc_id"],
            num_members=len(rows),
            members=tuple(
                ClusterMember(
                    doc_id=row["doc_id"],
                    url=urls.get(row["doc_id"]),
                    similarity=row["similarity"],
                    kept=row["doc_id"] == row["kept_doc_id"],
                )
                for row in shown
            ),
        )


def _quarantine_history(run: RunFolder, record: dict[str, Any]) -> RecordHistory:
    """A record that could not be read: where it lies and what is wrong with it."""
    return RecordHistory(
        **record,
        verdict="quarantined",
        stages=(StageOutcome(stage="quarantine", outcome="quarantined", reason=record["error_class"]),),
    )
