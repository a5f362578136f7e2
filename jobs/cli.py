"""The command line. Data on stdout (``--json`` where a program would read it), logs on stderr.

Exit status: 0 done, 1 the run failed or something needed is missing, 2 the user's error, told in one line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from jobs.evaluate_command import evaluate, export
from jobs.quality_command import quality
from jobs.scaling_command import scaling
from jobs.store_command import store
from jobs.thresholds_command import thresholds
from jobs.what_if_command import what_if
from pipeline.errors import ChaffinchError, ConfigError

_PIPED_WIDTH_COLUMNS = 140


class _Group(click.Group):
    """Turns the error family into one line on stderr; anything else is a bug and keeps its traceback."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _usage_in_one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _usage_in_one_line():
                return super().invoke(ctx)
        except ConfigError as error:
            click.echo(f"chaffinch: {error}", err=True)
            ctx.exit(2)
        except ChaffinchError as error:
            click.echo(f"chaffinch: {type(error).__name__}: {error}", err=True)
            ctx.exit(1)


@contextmanager
def _usage_in_one_line() -> Iterator[None]:
    """A wrong option or argument; click's own way of telling takes four lines."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "chaffinch"
        click.echo(f"chaffinch: {error.format_message()} See `{command} --help`.", err=True)
        raise click.exceptions.Exit(2) from None


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """What is wrong with something that the file at ``path`` says or names is told with the file's name."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(str(error) if path in str(error) else f"{error} ({path})") from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="chaffinch", prog_name="chaffinch")
def main() -> None:
    """Turn web-crawl dumps into pretraining tokens, with an account of every record.

    \b
    chaffinch doctor                     what this machine lacks
    chaffinch models fetch               the language model
    chaffinch run examples/crawl.toml    the whole line, resumable
    chaffinch explain RUN URL            one record's whole history
    """


@main.command()
@click.argument("config")
@click.option("--until", metavar="STAGE", help="Stop after this stage; a later run goes on from there.")
@click.option("--dry-run", is_flag=True, help="Check the config, list inputs and stages, do nothing.")
@click.option("--output", metavar="DIR", help="Folder of the run; replaces run.output of the config.")
def run(config: str, until: str | None, dry_run: bool, output: str | None) -> None:
    """Run CONFIG (a TOML file), skipping the stages that are finished."""
    from jobs.build_corpus import run_line
    from jobs.config import load_run_config

    settings = load_run_config(config, output=output)
    with _naming(config):
        context = run_line(settings, base_dir=os.getcwd(), until=until, dry_run=dry_run)
    if not dry_run:
        click.echo(context.output)


@main.command()
@click.argument("run_folder", metavar="RUN")
@click.argument("which", metavar="DOC_ID|URL")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(run_folder: str, which: str, as_json: bool) -> None:
    """One record's whole history: every signal, the rule that ended it, its cluster, its shard and offset."""
    from jobs.explain_document import explain as explain_document
    from jobs.explanation_text import render

    explanation = explain_document(run_folder, which)
    if as_json:
        click.echo(explanation.model_dump_json(indent=2))
        return
    width = None if sys.stdout.isatty() else _PIPED_WIDTH_COLUMNS
    click.echo(render(explanation, width_columns=width))


@main.command()
@click.argument("run_folder", metavar="RUN")
def report(run_folder: str) -> None:
    """Write the audit report of RUN again and print where it is."""
    from jobs.report import write_report

    click.echo(write_report(run_folder))


@main.group()
def tokenizer() -> None:
    """Train and measure tokenizers."""


@tokenizer.command("train")
@click.argument("config")
@click.option("--output", metavar="DIR", help="Folder of the run; replaces run.output of the config.")
def tokenizer_train(config: str, output: str | None) -> None:
    """Run CONFIG up to its tokenizer and print the report of the candidates as JSON."""
    from jobs.build_corpus import run_line
    from jobs.config import load_run_config
    from pipeline import storage

    settings = load_run_config(config, output=output)
    with _naming(config):
        context = run_line(settings, base_dir=os.getcwd(), until="train_tokenizer")
    click.echo(json.dumps(storage.read_json(context.folder("tokenizer/report.json")), indent=2))


@tokenizer.command("evaluate")
@click.argument("tokenizer_json", metavar="TOKENIZER.json")
@click.argument("files", nargs=-1, required=True)
@click.option("--eos-token", default="<|endoftext|>", show_default=True, help="Its end-of-text token.")
def tokenizer_evaluate(tokenizer_json: str, files: tuple[str, ...], eos_token: str) -> None:
    """Compression of TOKENIZER.json on text FILES, one document each, as JSON."""
    from jobs.tokenizer_report import evaluate_files

    click.echo(json.dumps(evaluate_files(tokenizer_json, files, eos_token=eos_token), indent=2))


@main.command()
@click.argument("config")
def train(config: str) -> None:
    """Train a model on the shards that CONFIG names (same as `python -m trainer CONFIG`)."""
    from trainer.__main__ import main as train_main

    sys.exit(train_main([config]))


main.add_command(evaluate)
main.add_command(export)
main.add_command(quality)
main.add_command(scaling)
main.add_command(what_if)
main.add_command(thresholds)
main.add_command(store)


@main.group()
def models() -> None:
    """Models that stages need."""


@models.command("fetch")
@click.argument("names", nargs=-1)
def models_fetch(names: tuple[str, ...]) -> None:
    """Fetch models (all that are registered, or NAMES) into the cache and print where they lie."""
    from pipeline.models import REGISTRY, fetch

    for name in names or sorted(REGISTRY):
        click.echo(fetch(name))


@models.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models_status(as_json: bool) -> None:
    """Which models are there."""
    from pipeline.models import status

    rows = status()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo("  ".join(str(value) for value in row.values()))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """What this machine lacks (Java, Spark, models, disk, memory), and the mend."""
    from jobs.doctor import diagnose, render, something_is_missing

    checks = diagnose()
    if as_json:
        click.echo(json.dumps([check.model_dump() for check in checks], indent=2))
    else:
        click.echo(render(checks))
    if something_is_missing(checks):
        sys.exit(1)


if __name__ == "__main__":
    main()
