"""``chaffinch scaling``: laws fitted to runs, mixtures searched by runs, decisions made by runs."""

from __future__ import annotations

import json
from typing import Any

import click

from jobs.mixture_command import scaling_mixture
from jobs.sweep_command import scaling_plan, scaling_report, scaling_run
from pipeline.errors import ConfigError

_METHODS = ("huber_lbfgs", "variable_projection", "training_curves", "isoflop", "kaplan", "broken_power_law")


@click.group()
def scaling() -> None:
    """Scaling laws and decisions from training runs."""


for _command in (scaling_plan, scaling_run, scaling_report, scaling_mixture):
    scaling.add_command(_command)


@scaling.command("fit")
@click.option("--points", required=True, metavar="CSV", help="One training run a row.")
@click.option("--n", "n_column", required=True, metavar="COLUMN", help="Parameters.")
@click.option("--d", "d_column", metavar="COLUMN", help="Training tokens.")
@click.option("--flops", "flops_column", metavar="COLUMN", help="Training FLOPs; tokens are then C / 6N.")
@click.option("--loss", "loss_column", required=True, metavar="COLUMN", help="Final loss, nats per token.")
@click.option(
    "--method",
    type=click.Choice(_METHODS),
    default="huber_lbfgs",
    show_default=True,
    help="Chinchilla's approach 3 (from 4,500 starts, or by the two-dimensional projection), 1 (training_curves) or "
    "2 (isoflop); Kaplan's surface; a power of the compute with one break.",
)
@click.option(
    "--drop-highest",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Leave out this many of the highest losses.",
)
@click.option(
    "--bootstrap",
    "resamples",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Resamples for 95 % intervals (approaches 1 to 3).",
)
@click.option("--target-flops", type=float, metavar="C", help="Also give the best N and D of this budget.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def scaling_fit(as_json: bool, **options: Any) -> None:
    """Fit how loss falls with parameters and tokens; by default L(N, D) = E + A/N^alpha + B/D^beta."""
    from jobs.scaling import fit_points

    _show(_of_file(options["points"], lambda: fit_points(**options)), as_json)


@scaling.command("regmix")
@click.option("--mixtures", required=True, metavar="CSV", help="One run a row, one domain a column; index in front.")
@click.option("--losses", required=True, metavar="CSV", help="The same runs in the same order.")
@click.option("--target", required=True, metavar="COLUMN", help="Loss that counts, a column of --losses.")
@click.option("--prior", metavar="TOML", help="Share of each domain in the data; default: the mean of the mixtures.")
@click.option("--check-mixtures", metavar="CSV", help="Runs kept aside, to see whether the ranking holds.")
@click.option("--check-losses", metavar="CSV", help="Their losses.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the candidates drawn.")
@click.option("--output", metavar="TOML", help="Write the weights here, as a [mixture] table that `run` reads.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def scaling_regmix(as_json: bool, **options: Any) -> None:
    """Find mixture weights by regression on many tiny runs (Liu et al. 2024)."""
    from jobs.scaling import search_mixture

    _show(_of_file(options["mixtures"], lambda: search_mixture(**options)), as_json)


@scaling.command("decide")
@click.option("--runs", required=True, metavar="CSV", help="Columns variant, flops, seed, domain, bits_per_byte.")
@click.option("--a", "variant_a", required=True, metavar="NAME", help="The first variant.")
@click.option("--b", "variant_b", required=True, metavar="NAME", help="The second one.")
@click.option("--target-flops", type=float, metavar="C", help="Extrapolate the difference to this budget.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def scaling_decide(as_json: bool, **options: Any) -> None:
    """Say whether A is better than B, paired by seed and size, with intervals; "not decided" is an answer."""
    from jobs.scaling import decide_runs, describe_decision

    decisions = _of_file(options["runs"], lambda: decide_runs(**options))
    if as_json:
        click.echo(json.dumps([decision.model_dump(mode="json") for decision in decisions], indent=2))
        return
    for decision in decisions:
        click.echo(describe_decision(decision, options["variant_a"], options["variant_b"]))


@scaling.command("null")
@click.option("--runs", required=True, metavar="CSV", help="As of `decide`.")
@click.option("--variant", required=True, metavar="NAME", help="Whose seeds are dealt into two halves.")
@click.option("--domain", default="overall", show_default=True, help="Of the held-out text.")
@click.option("--resamples", type=click.IntRange(min=1), default=200, show_default=True, help="Ways of dealing.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the dealing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def scaling_null(runs: str, variant: str, domain: str, resamples: int, seed: int, as_json: bool) -> None:
    """How often runs of one variant, dealt into two, are called different: the rate of false decisions."""
    from trainer.scaling.null import null_comparisons

    found = null_comparisons(runs, variant, domain=domain, resamples=resamples, seed=seed)
    if as_json:
        click.echo(json.dumps([{**row.model_dump(), "rate": row.rate} for row in found], indent=2))
        return
    for row in found:
        click.echo(
            f"{row.flops:9.2e} FLOPs  {row.num_seeds} seeds, deviation {row.seed_deviation:.3%}  "
            f"{row.false_decisions} of {row.resamples} comparisons decided: {row.rate:.1%}"
        )


def _of_file(path: str, act: Any) -> Any:
    """``act()``; what is wrong with something that the file at ``path`` says is told with the file's name."""
    try:
        return act()
    except ConfigError as error:
        raise ConfigError(str(error) if path in str(error) else f"{error} ({path})") from error


def _show(fields: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(fields, indent=2))
        return
    for name, value in fields.items():
        if isinstance(value, dict):
            for key, inner in value.items():
                click.echo(f"{name + '.' + key:<24} {inner}")
        elif not isinstance(value, list):
            click.echo(f"{name:<24} {value}")
