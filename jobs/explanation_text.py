"""How the history of a record looks on a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.explanation import MAX_PIECES, TEXT_HEAD_CHARS, Explanation, RecordHistory
from jobs.written_numbers import number


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
