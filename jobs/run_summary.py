"""What a finished run says last: funnel, vocabularies, bits per byte, and where the report is."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from jobs.run_context import RunContext
from pipeline import storage
from pipeline.progress import console, say


def show_summary(context: RunContext, report_path: str) -> None:
    """Print to stderr what the folders of the run hold; parts that do not exist (``--until``) are left out."""
    ledger = _read(context, "ledger.json")
    tokenizers = _read(context, "tokenizer/report.json")
    evaluation = _read(context, "training/evaluation.json")
    if ledger is not None:
        _show_funnel(ledger)
    for entry in [] if tokenizers is None else tokenizers["candidates"]:
        overall = entry["evaluation"]["overall"]
        chosen = ", makes the shards" if entry["kind"] == tokenizers["use"] else ""
        say(
            f"tokenizer {entry['kind']}: {entry['vocab_size']:,} pieces, {overall['bytes_per_token']:.2f} bytes per "
            f"token on {entry['evaluated_split']} text{chosen}"
        )
    if evaluation is not None:
        score = evaluation["overall"]
        say(
            f"model: {score['bits_per_byte']:.4f} bits per byte on {score['bytes']:,} held-out bytes; a unigram model "
            f"needs {score['unigram_bits_per_byte']:.4f}"
        )
    say(f"report: {report_path}")


def _show_funnel(ledger: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    for name in ("in", "dropped", "quarantined", "kept"):
        table.add_column(name, justify="right")
    table.add_column("most frequent reasons")
    for stage in ledger["stages"]:
        numbers = [stage[key] for key in ("num_read", "num_dropped", "num_quarantined", "num_kept")]
        reasons = sorted(stage["reasons"].items(), key=lambda pair: (-pair[1], pair[0]))[:2]
        told = ", ".join(f"{reason} {count:,}" for reason, count in reasons)
        table.add_row(stage["stage"], *(f"{number:,}" for number in numbers), told)
    console.print(table)
    say(
        f"{ledger['num_records']:,} records: {ledger['num_pages']:,} pages, {ledger['num_quarantined']:,} quarantined, "
        f"{sum(ledger['non_pages'].values()):,} that are not pages; {ledger['num_kept']:,} documents kept"
    )


def _read(context: RunContext, name: str) -> Any:
    location = context.folder(name)
    return storage.read_json(location) if storage.exists(location) else None
