"""``chaffinch thresholds``: curves of what rules would keep, and thresholds for other languages."""

from __future__ import annotations

import os
from typing import Any

import click

_METHODS = (
    "quantile",
    "ten_tail",
    "mean_std",
    "median_ratio",
)  # of filters.threshold_derivation: not loaded for --help
_DERIVABLE = ("language", "gopher_repetition", "gopher_quality", "fineweb", "refinedweb")


@click.group()
def thresholds() -> None:
    """Thresholds of filters: how they bend, and what they should be in other languages."""


@thresholds.command("curves")
@click.argument("run_folder", metavar="RUN")
def curves(run_folder: str) -> None:
    """Documents, bytes and tokens that each rule of RUN would keep as its threshold moves, as Parquet."""
    from jobs.threshold_curves import write_curves

    click.echo(write_curves(run_folder))


@thresholds.command("derive")
@click.argument("source", metavar="CONFIG|RUN")
@click.option("--method", type=click.Choice(_METHODS), default="quantile", show_default=True, help="As in FineWeb-2.")
@click.option("--reference", default="eng_Latn", show_default=True, help="Language of the thresholds in force.")
@click.option(
    "--filter",
    "filter_names",
    multiple=True,
    type=click.Choice(_DERIVABLE),
    default=("gopher_repetition", "gopher_quality", "fineweb"),
    show_default=True,
    help="Filter to derive for; may be repeated.",
)
@click.option("--min-documents", type=click.IntRange(min=2), default=100, show_default=True, help="Of a language.")
@click.option("--stop-words", is_flag=True, help="Stop words too: each language's most frequent words.")
@click.option("--output", metavar="FILE.toml", help="Write here instead of printing.")
def derive(
    source: str,
    method: Any,
    reference: str,
    filter_names: tuple[str, ...],
    min_documents: int,
    stop_words: bool,
    output: str | None,
) -> None:
    """Thresholds for every language of a reference corpus, as TOML for a run's config.

    The corpus is clean text in many languages, such as Wikipedia: a finished RUN over it, or the CONFIG of one, which
    is then run up to its signals.
    """
    from jobs import derive_stop_words
    from jobs.derive_thresholds import as_toml, derive_tables
    from jobs.run_folder import RunFolder
    from pipeline import storage

    run = RunFolder(_run_of(source))
    tables = derive_tables(
        run,
        method=method,
        reference=reference,
        filter_names=filter_names,
        min_documents=min_documents,
    )
    text = as_toml(tables, method=method, reference=reference)
    if stop_words:
        text += derive_stop_words.as_toml(derive_stop_words.derive_stop_words(run, min_documents=min_documents))
    if output is None:
        click.echo(text, nl=False)
    else:
        storage.write_bytes(output, text.encode())
        click.echo(output)


def _run_of(source: str) -> str:
    """The run's folder; a config is run up to ``signals/`` first."""
    from jobs.build_corpus import run_line
    from jobs.config import load_run_config

    if not source.endswith(".toml"):
        return source
    return run_line(load_run_config(source), base_dir=os.getcwd(), until="extract").output
