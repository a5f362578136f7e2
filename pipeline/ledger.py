"""The ledger: the account of every record, checked from what was written.

``ledger.json`` is made of sums over ``decisions/`` and ``quarantine/`` and of what the readers counted per archive.
Two independent counts meet in it: what the readers saw, and the rows that lie on disk. Where they differ the run fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from pipeline.config import Config
from pipeline.errors import LedgerError

LINE_CLEANING = "clean_lines"


class Archive(Config):
    """One input file: records seen by type, pages written, records quarantined."""

    source: str
    warc_file: str
    format: str
    size_bytes: int
    sha256: str | None  # null for a file that could not be read, or that a content tag stands for
    content_tag: str | None = None  # of a file on a web server
    records: dict[str, int]
    num_records: int
    num_pages: int
    num_quarantined: int


class ReasonCount(Config):
    """Documents and UTF-8 bytes of one language that one reason dropped."""

    stage: str
    reason: str
    lang: str | None
    num_documents: int
    num_bytes: int


class StageCount(Config):
    """One stage's balance: ``num_read = num_kept + num_dropped + num_quarantined``."""

    stage: str
    num_read: int
    num_dropped: int
    num_quarantined: int
    num_kept: int
    bytes_dropped: int
    reasons: dict[str, int]


class LanguageCount(Config):
    """One language's documents and bytes, before and after."""

    lang: str | None
    num_documents: int
    num_bytes: int
    num_kept: int
    bytes_kept: int


class EditCount(Config):
    """UTF-8 bytes of the kept documents' text before and after one stage that rewrites it."""

    stage: str
    bytes_before: int
    bytes_after: int


class LineRuleCount(Config):
    """What one line rule took from the kept documents: lines that went or were edited, and their UTF-8 bytes."""

    rule: str
    num_lines: int
    num_bytes: int


class TextCutCount(Config):
    """What a corpus-wide stage cut of the kept documents: how many it cut, and UTF-8 bytes, as it wrote them down."""

    stage: str
    num_documents: int
    num_bytes: int


class Ledger(Config):
    """Contents of ``ledger.json``.

    ``edits`` are in the order in which text goes through them. ``bytes_left_by_line_rules`` is what pass 1 measured of
    the documents that were kept; null where lines are not cleaned. ``text_cuts`` is left out where no stage cuts texts.
    """

    archives: tuple[Archive, ...]
    non_pages: dict[str, int]
    num_records: int
    num_pages: int
    num_quarantined: int
    num_kept: int
    num_dropped: int
    stages: tuple[StageCount, ...]
    reasons: tuple[ReasonCount, ...]
    languages: tuple[LanguageCount, ...]
    edits: tuple[EditCount, ...] = ()
    line_rules: tuple[LineRuleCount, ...] = ()
    bytes_left_by_line_rules: int | None = None
    text_cuts: Annotated[tuple[TextCutCount, ...], Field(exclude_if=lambda cuts: not cuts)] = ()
    outputs: dict[str, int]


def stage_balances(
    num_read: int, quarantined: dict[str, int], reasons: Iterable[ReasonCount], order: Iterable[str]
) -> list[StageCount]:
    """Carry the number of pages through the stages in order, subtracting what each dropped.

    Args:
        num_read: pages and unreadable records that the readers saw.
        quarantined: records quarantined, by stage.
        reasons: all drops.
        order: stage names in the order in which a record meets them.

    Raises:
        LedgerError: if a reason belongs to a stage that is not in ``order``.
    """
    order = list(order)
    by_stage: dict[str, list[ReasonCount]] = {stage: [] for stage in order}
    for reason in reasons:
        if reason.stage not in by_stage:
            raise LedgerError(
                f"decisions/ names stage {reason.stage!r}, which is not a stage of this run ({', '.join(order)}); "
                f"this is a bug: please report it"
            )
        by_stage[reason.stage].append(reason)
    balances = []
    for stage, drops in by_stage.items():
        dropped = sum(drop.num_documents for drop in drops)
        lost = quarantined.get(stage, 0)
        totals: dict[str, int] = {}
        for drop in sorted(drops, key=lambda drop: drop.reason):
            totals[drop.reason] = totals.get(drop.reason, 0) + drop.num_documents
        balances.append(
            StageCount(
                stage=stage,
                num_read=num_read,
                num_dropped=dropped,
                num_quarantined=lost,
                num_kept=num_read - dropped - lost,
                bytes_dropped=sum(drop.num_bytes for drop in drops),
                reasons=totals,
            )
        )
        num_read -= dropped + lost
    return balances


def check(ledger: Ledger) -> None:
    """Check that every sum adds up.

    Raises:
        LedgerError: naming the sum, both sides and what it means.
    """
    records = sum(archive.num_records for archive in ledger.archives)
    non_pages = sum(ledger.non_pages.values())
    _equal("records = pages + quarantined + non-pages", records, ledger.num_pages + ledger.num_quarantined + non_pages)
    _equal("records of all archives", ledger.num_records, records)
    _equal("pages = kept + dropped", ledger.num_pages, ledger.num_kept + ledger.num_dropped)
    _equal("kept after the last stage", ledger.stages[-1].num_kept, ledger.num_kept)
    _equal("dropped by reason", ledger.num_dropped, sum(reason.num_documents for reason in ledger.reasons))
    _equal("quarantined by stage", ledger.num_quarantined, sum(stage.num_quarantined for stage in ledger.stages))
    _equal("kept by language", ledger.num_kept, sum(entry.num_kept for entry in ledger.languages))
    _equal("pages by language", ledger.num_pages, sum(entry.num_documents for entry in ledger.languages))
    for archive in ledger.archives:
        where = f"records of {archive.source}/{archive.warc_file}"
        _equal(where, archive.num_records, sum(archive.records.values()))
    _check_edits(ledger)
    for left, right in (("corpus_documents", "num_kept"), ("sequences", "copies")):
        if left in ledger.outputs:
            expected = ledger.num_kept if right == "num_kept" else ledger.outputs[right]
            _equal(f"{left} = {right}", ledger.outputs[left], expected)


def _check_edits(ledger: Ledger) -> None:
    """No byte of text is lost between extraction and corpus but by a stage that says so."""
    num_bytes = sum(entry.bytes_kept for entry in ledger.languages)
    for edit in ledger.edits:
        _equal(f"bytes of text that {edit.stage} read", edit.bytes_before, num_bytes)
        num_bytes = edit.bytes_after
        if edit.stage == LINE_CLEANING:
            taken = sum(entry.num_bytes for entry in ledger.line_rules)
            _equal("bytes before cleaning lines = after + by rule", edit.bytes_before, edit.bytes_after + taken)
            _equal("bytes left by line rules, as measured and as written", ledger.bytes_left_by_line_rules, num_bytes)
        for cut in ledger.text_cuts:
            if cut.stage == edit.stage:
                gone = edit.bytes_before - edit.bytes_after
                _equal(f"bytes cut by {cut.stage}, as found and as carried out", cut.num_bytes, gone)


def _equal(what: str, found: int | None, expected: int) -> None:
    if found != expected:
        raise LedgerError(
            f"the ledger does not add up: {what}: {found} against {expected}; this is a bug: please report it"
        )
