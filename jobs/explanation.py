"""What is told about one record, and how it looks on a terminal."""

from __future__ import annotations

from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.written_numbers import number
from pipeline.config import Config

TEXT_HEAD_CHARS = 300
MAX_MEMBERS = 20
MAX_PIECES = 5
PIECE_CHARS = 80

Outcome = Literal["passed", "dropped", "quarantined", "not reached", "not run"]


class StageOutcome(Config):
    """What one stage did with the record; value and threshold are those of the rule that ended it."""

    stage: str
    outcome: Outcome
    reason: str | None = None
    value: float | None = None
    threshold: float | None = None


class RuleCheck(Config):
    """One rule on one signal. A record is dropped by the first rule that fires; the others are shown all the same.

    ``judged`` is False where the filter looks at other languages only.
    """

    filter: str
    reason: str
    signal: str
    value: float | None
    drop_if: str
    threshold: float
    judged: bool
    fired: bool


class LineEdit(Config):
    """What one line rule took of the document: UTF-8 bytes, and the lines from which it took them."""

    rule: str
    num_lines: int
    num_bytes: int


class CutPiece(Config):
    """Something that was cut: UTF-8 bytes into the text as the stage saw it, and its first characters."""

    start: int
    end: int
    text: str


class TextCut(Config):
    """What one corpus-wide stage cut of the document, the first ``MAX_PIECES`` ranges word for word."""

    stage: str
    num_ranges: int
    num_bytes: int
    dropped_reason: str | None
    detail: str | None
    pieces: tuple[CutPiece, ...]


class EvaluationItem(Config):
    """A passage of an evaluation set that the document held, and how many of its n-grams."""

    set: str
    item_index: int
    field: str
    part_index: int
    num_ngrams_found: int
    num_ngrams: int


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

    ``verdict`` is kept, dropped or quarantined; None in a run that has not decided yet. ``kept_in`` names dump and
    entry of the store if ``kept_doc_id`` is a document of a finished run. ``text_head`` is the first
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
    verdict: Literal["kept", "dropped", "quarantined"] | None = None
    ended_by: StageOutcome | None = None
    kept_doc_id: str | None = None
    kept_in: str | None = None
    stages: tuple[StageOutcome, ...]
    rules: tuple[RuleCheck, ...] = ()
    signals: dict[str, float | None] = {}
    line_edits: tuple[LineEdit, ...] = ()
    text_cuts: tuple[TextCut, ...] = ()
    evaluation_items: tuple[EvaluationItem, ...] = ()
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


def render(explanation: Explanation, *, width_columns: int | None = None) -> str:
    """The explanation as text for a terminal, with colours if stdout is one."""
    console = Console(width=width_columns, highlight=False, soft_wrap=False)
    with console.capture() as capture:
        if len(explanation.records) > 1:
            console.print(f"{len(explanation.records)} records match {explanation.question}\n", markup=False)
        for history in explanation.records:
            _print_history(console, history)
    return capture.get().rstrip("\n")


def _print_history(console: Console, history: RecordHistory) -> None:
    console.print(Text(history.url or "(no URL)", style="bold"))
    console.print(_verdict_line(history))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for name, value in _facts(history):
        facts.add_row(name, Text(value))
    console.print(facts)
    print_table(console, "Stages", ("stage", "outcome", "reason", "value", "threshold"), _stage_rows(history))
    print_table(console, "Rules", ("", "filter", "signal", "value", "drops if", "reason"), _rule_rows(history))
    ruled = {check.signal for check in history.rules}
    others = [(name, number(value)) for name, value in history.signals.items() if name not in ruled]
    print_table(console, "Signals without a rule", ("signal", "value"), others)
    edits = [(edit.rule, f"{edit.num_lines:,}", f"{edit.num_bytes:,}") for edit in history.line_edits]
    print_table(console, "Cut by line rules", ("rule", "lines", "bytes"), edits)
    _print_cuts(console, history)
    items = [
        (item.set, item.item_index, item.field, item.part_index, f"{item.num_ngrams_found:,} of {item.num_ngrams:,}")
        for item in history.evaluation_items
    ]
    print_table(console, "Evaluation items", ("set", "item", "field", "part", "n-grams"), items)
    for cluster in history.clusters:
        title = f"{cluster.kind.capitalize()} copies: cluster {cluster.cluster_id}, {cluster.num_members} members"
        members = [("kept" if m.kept else "", m.doc_id, f"{m.similarity:.3f}", m.url or "") for m in cluster.members]
        print_table(console, title, ("", "doc_id", "similarity", "url"), members)
    places = [(p.shard, p.epoch, p.sequence_index, f"{p.token_offset:,}", f"{p.num_tokens:,}") for p in history.places]
    print_table(console, "Shards", ("shard", "epoch", "sequence", "token offset", "tokens"), places)
    if history.text_head is not None:
        kind = "redacted" if history.text_is_redacted else "as extracted"
        console.print(f"\nText ({kind}, first {TEXT_HEAD_CHARS} characters)", style="bold", markup=False)
        console.print(Text(printable(history.text_head)))
    console.print()


def _print_cuts(console: Console, history: RecordHistory) -> None:
    """What the corpus-wide stages cut, and what it was; nothing if they touched nothing."""
    rows = [(cut.stage, f"{cut.num_ranges:,}", f"{cut.num_bytes:,}", cut.detail or "") for cut in history.text_cuts]
    print_table(console, "Cut by comparing texts", ("stage", "places", "bytes", "found"), rows)
    pieces = [
        (cut.stage, f"{p.start:,}–{p.end:,}", " ".join(p.text.split())) for cut in history.text_cuts for p in cut.pieces
    ]
    print_table(console, f"What was cut, at most {MAX_PIECES} places of a stage", ("stage", "bytes", "text"), pieces)


def _verdict_line(history: RecordHistory) -> Text:
    if history.verdict == "kept":
        copies = "once" if history.copies == 1 else f"{history.copies} times"
        return Text(f"kept, {copies}, {history.split}", style="green")
    if history.verdict == "quarantined":
        return Text(f"quarantined: {history.error_class}: {printable(history.error_message or '')}", style="yellow")
    ended = history.ended_by
    if ended is None:
        return Text("not decided yet: the run stopped before its decisions", style="dim")
    line = f"dropped by {ended.stage}: {ended.reason}"
    if ended.value is not None:
        line += f" (value {number(ended.value)}"
        line += ")" if ended.threshold is None else f", threshold {number(ended.threshold)})"
    if history.kept_doc_id is not None:
        line += f"; kept in its place: {history.kept_doc_id}"
        line += "" if history.kept_in is None else f" ({history.kept_in})"
    return Text(line, style="red")


def _facts(history: RecordHistory) -> list[tuple[str, str]]:
    size = None if history.num_bytes is None else f"{history.num_bytes:,} bytes, {history.num_chars or 0:,} characters"
    language = history.lang
    if language is not None and history.lang_score is not None:
        language = f"{language} (score {history.lang_score:.3f})"
    facts = [
        ("doc_id", history.doc_id),
        ("source", history.source),
        ("domain", history.domain),
        ("archive", f"{history.warc_file}:{history.warc_offset}"),
        ("record", f"{history.record_type or 'unknown type'} {history.warc_record_id or ''}".rstrip()),
        ("HTTP status", None if history.http_status is None else str(history.http_status)),
        ("fetched", history.fetch_time),
        ("language", language),
        ("text", size),
        ("redactions", None if history.num_redactions is None else str(history.num_redactions)),
    ]
    return [(name, printable(value)) for name, value in facts if value is not None]


def _stage_rows(history: RecordHistory) -> list[tuple[str, ...]]:
    return [
        (stage.stage, stage.outcome, stage.reason or "", number(stage.value), number(stage.threshold))
        for stage in history.stages
    ]


def _rule_rows(history: RecordHistory) -> list[tuple[str, ...]]:
    return [
        (
            "✗" if check.fired else "✓" if check.judged else "–",
            check.filter,
            check.signal,
            number(check.value),
            f"{check.drop_if} {number(check.threshold)}",
            check.reason,
        )
        for check in history.rules
    ]


def print_table(console: Console, title: str, columns: tuple[str, ...], rows: list[Any]) -> None:
    if not rows:
        return
    console.print(f"\n{title}", style="bold", markup=False)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    console.print(table)


def printable(text: str) -> str:
    """Control characters of a page must not steer the terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
