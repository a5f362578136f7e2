"""``chaffinch scaling mixture``: from shards to the weights that sampling and training read, in one command."""

from __future__ import annotations

import json
import sys

import click


@click.command("mixture")
@click.argument("config")
@click.option(
    "--method",
    type=click.Choice(["doremi", "regmix"]),
    required=True,
    help="doremi: one proxy training whose weights move towards what it still lags a reference in. regmix: regression "
    "on many tiny trainings with random mixtures.",
)
@click.option("--max-minutes", type=float, metavar="M", help="Start no training after so long; run again to go on.")
@click.option(
    "--output",
    metavar="TOML",
    help="Write the weights here, to be named as `weights` of [mixture] and [train.data]; default: <output "
    "folder>/<method>/weights.toml.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def scaling_mixture(config: str, method: str, max_minutes: float | None, output: str | None, as_json: bool) -> None:
    """Find mixture weights for CONFIG's [mixture_search] by small trainings (DoReMi, RegMix)."""
    from pipeline import storage
    from pipeline.config import load_toml
    from trainer.mixture_search.doremi import search_doremi
    from trainer.mixture_search.search_config import MixtureSearchFile
    from trainer.mixture_search.tiny_runs import search_regmix

    settings = load_toml(config, MixtureSearchFile).mixture_search
    search = search_doremi if method == "doremi" else search_regmix
    found = search(
        settings,
        max_seconds=None if max_minutes is None else 60 * max_minutes,
        on_finished=lambda training: click.echo(training, err=True),
    )
    if found is None:
        click.echo(f"not done after {max_minutes:g} minutes; run again to go on ({settings.output})", err=True)
        sys.exit(1)
    path = output or storage.join(settings.output, f"{method}/weights.toml")
    storage.write_bytes(path, found.toml().encode())
    if as_json:
        click.echo(json.dumps({**found.model_dump(mode="json"), "file": path}, indent=2))
        return
    click.echo(f"{found.by:<24} {'now':>8} {'weight':>8} {'95 % interval':>18} {'of bytes':>9}")
    for row in found.groups:
        interval = "one seed" if row.interval is None else f"{row.interval[0]:.4f} to {row.interval[1]:.4f}"
        click.echo(f"{row.group:<24} {row.share_now:>8.4f} {row.weight:>8.4f} {interval:>18} {row.byte_weight:>9.4f}")
    for name, value in found.facts.items():
        click.echo(f"{name.replace('_', ' ')}: {value:.6g}")
    click.echo(f"{found.num_runs} trainings; {path}")
