"""One record's whole history, put together from what a run left on disk.

Every table of a run carries ``doc_id``, and ``decisions/`` carries (unit, page_index, row_index), so that one record's
signals, text, cluster, shard and offset are found by a scan of one id column each and one row group of the wide tables.
"""

from __future__ import annotations

import difflib
import os
import re
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
import pyarrow.compute as pc

from jobs.run_folder import RunFolder
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.shard_manifest import load_manifest

TEXT_HEAD_CHARS = 300
MAX_MEMBERS = 20
_DOC_ID = re.compile(r"[0-9a-f]{32}")
_ARCHIVE_OFFSET = re.compile(r"(?P<archive>.+):(?P<offset>\d+)")
_IDENTITY = ("doc_id", "source", "domain", "url", "warc_file", "warc_record_id", "warc_offset", "record_type")
_MAX_URLS_COMPARED = 500

Outcome = Literal["passed", "dropped", "quarantined", "kept", "not reached", "not run"]


class StageOutcome(Config):
    """What one stage did with the record; value and threshold are those of the rule that ended it."""

    stage: str
    outcome: Outcome
    reason: str | None = None
    value: float | None = None
    threshold: float | None = None


class RuleCheck(Config):
    """One rule on one signal. A record is dropped by the first rule that fires; the others are shown all the same."""

    filter: str
    reason: str
    signal: str
    value: float | None
    drop_if: str
    threshold: float
    fired: bool


class ClusterMember(Config):
    doc_id: str
    url: str | None
    similarity: float
    kept: bool


class Cluster(Config):
    """A cluster of copies; at most ``MAX_MEMBERS`` of its members are listed, the kept one first."""

    kind: str
    cluster_id: str
    kept_doc_id: str
    num_members: int
    members: tuple[ClusterMember, ...]


class ShardPlace(Config):
    """Where one copy of the document stands: sequence number and first token in its shard."""

    shard: str
    split: str
    epoch: int
    sequence_index: int
    token_offset: int
    num_tokens: int


class RecordHistory(Config):
    """One record from the archive to the shards.

    ``verdict`` is kept, dropped or quarantined; None in a run that has not decided yet. ``text_head`` is the first
    ``TEXT_HEAD_CHARS`` code points, of the redacted text where there is one.
    """

    doc_id: str
    source: str
    domain: str | None
    url: str | None
    warc_file: str
    warc_record_id: str | None
    warc_offset: int | None
    record_type: str | None
    fetch_time: str | None = None
    http_status: int | None = None
    lang: str | None = None
    lang_score: float | None = None
    num_bytes: int | None = None
    num_chars: int | None = None
    verdict: Literal["kept", "dropped", "quarantined"] | None
    ended_by: StageOutcome | None = None
    kept_doc_id: str | None = None
    stages: tuple[StageOutcome, ...]
    rules: tuple[RuleCheck, ...] = ()
    signals: dict[str, float | None] = {}
    clusters: tuple[Cluster, ...] = ()
    copies: int | None = None
    split: str | None = None
    num_redactions: int | None = None
    places: tuple[ShardPlace, ...] = ()
    text_head: str | None = None
    text_is_redacted: bool = False
    error_class: str | None = None
    error_message: str | None = None


class Explanation(Config):
    """All records that a question names: a URL may have been fetched more than once."""

    run_folder: str
    question: str
    records: tuple[RecordHistory, ...]


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
    where = _condition(which)
    pages = run.rows("signals", [*_IDENTITY, "unit", "page_index"], where).to_pylist()
    lost = run.rows("quarantine", [*_IDENTITY, "error_class", "error_message"], where).to_pylist()
    if not pages and not lost:
        raise ConfigError(_not_found(run, which))
    histories = [_page_history(run, page) for page in pages] + [_quarantine_history(run, record) for record in lost]
    histories.sort(key=lambda history: (history.source, history.warc_file, history.warc_offset or 0, history.doc_id))
    return Explanation(run_folder=run_folder, question=which, records=tuple(histories))


def _condition(which: str) -> pc.Expression:
    """Which rows of ``signals/`` and ``quarantine/`` the question means."""
    if _DOC_ID.fullmatch(which):
        return pc.field("doc_id") == which
    condition = pc.field("url") == which
    match = _ARCHIVE_OFFSET.fullmatch(which)
    if match is not None and int(match["offset"]) < 1 << 63:
        at_offset = pc.field("warc_offset") == int(match["offset"])
        archive = match["archive"]
        named = (pc.field("warc_file") == archive) | pc.ends_with(pc.field("warc_file"), f"/{archive}")
        qualified = pc.binary_join_element_wise(pc.field("source"), pc.field("warc_file"), "/") == archive
        condition = condition | (at_offset & (named | qualified))
    return condition


def _not_found(run: RunFolder, which: str) -> str:
    host = urlsplit(which).hostname if "://" in which else None
    message = f"no record {which!r} in {run.location}; expected a doc_id, a URL or <archive>:<offset>"
    if host is None:
        return message
    urls = sorted(set(run.rows("signals", ["url"], pc.field("host") == host).column("url").to_pylist()))
    if not urls:
        return f"{message}; no page of host {host} was read"
    urls.sort(key=lambda url: -len(os.path.commonprefix([url, which])))
    nearest = difflib.get_close_matches(which, urls[:_MAX_URLS_COMPARED], n=3, cutoff=0) or urls[:3]
    return f"{message}; nearest on {host}: {', '.join(nearest)}"


def _page_history(run: RunFolder, page: dict[str, Any]) -> RecordHistory:
    doc_id, unit = page["doc_id"], page["unit"]
    signals = _signals_row(run, unit, page["page_index"])
    decision = None
    if run.is_finished("decisions"):
        decision = run.row_at(f"decisions/part-{unit}.parquet", page["page_index"])
    ended = _ended_by(signals, decision)
    verdict = None if decision is None else decision["verdict"]
    history: dict[str, Any] = {name: page[name] for name in _IDENTITY}
    history.update({name: signals[name] for name in ("http_status", "lang", "lang_score", "num_bytes", "num_chars")})
    history["fetch_time"] = None if signals["fetch_time"] is None else signals["fetch_time"].isoformat()
    has_text = signals["row_index"] is not None
    if has_text:
        history["rules"] = _rule_checks(run, signals)
        history["signals"] = {
            name: float(value) if isinstance(value, (int, float)) else None
            for name, value in signals.items()
            if name not in _NOT_SIGNALS and (value is None or isinstance(value, (bool, int, float)))
        }
        history.update(_text_head(run, unit, signals["row_index"], doc_id, signals["lang"], kept=verdict == "kept"))
    if decision is not None:
        history.update({name: decision[name] for name in ("kept_doc_id", "copies", "split")})
    return RecordHistory(
        **history,
        verdict=verdict,
        ended_by=ended,
        stages=_stage_outcomes(run, ended, decided=decision is not None),
        clusters=_clusters(run, doc_id),
        places=_places(run, doc_id, decision),
    )
