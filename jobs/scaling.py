"""What the ``chaffinch scaling`` commands do: tables of runs to fits, mixtures and decisions."""

from __future__ import annotations

import tomllib
from typing import Any, Literal, cast

import numpy as np

from jobs.written_numbers import plural
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.mixture_file import SAMPLING, mixture_toml
from trainer.mixture_search.gaussian_process import fit_gaussian_process
from trainer.mixture_search.regmix import cross_validated_rank_correlation, rank_correlation, search
from trainer.scaling import chinchilla, frontier, laws, surface
from trainer.scaling.decision import Decision, Difference
from trainer.scaling.points import read_points
from trainer.scaling.run_table import compare_variants, read_rows

Method = Literal["huber_lbfgs", "variable_projection", "training_curves", "isoflop", "kaplan", "broken_power_law"]


def fit_points(
    *,
    points: str,
    n_column: str,
    loss_column: str,
    d_column: str | None,
    flops_column: str | None,
    method: Method,
    drop_highest: int,
    resamples: int,
    target_flops: float | None = None,
) -> dict[str, Any]:
    """Fit the runs in ``points``.

    Args:
        points: path or URL of a CSV file, one training run a row.
        n_column, loss_column, d_column, flops_column, drop_highest: as ``trainer.scaling.points.read_points``.
        method: the law, and how it is fitted.
        resamples: of the bootstrap for intervals; 0 gives none.
        target_flops: budget to say the best N and D of, or for a broken power law the loss.

    Returns:
        The fields of the fit, JSON-ready; ``target`` is null without ``target_flops``.

    Raises:
        ConfigError: if the file cannot be used, has too few runs, or an option does not go with the method.
    """
    if resamples and method in ("kaplan", "broken_power_law"):
        raise ConfigError(
            f"--bootstrap {resamples} with --method {method}; expected an approach of Chinchilla's; leave it out"
        )
    n, d, loss = read_points(
        points,
        n_column=n_column,
        loss_column=loss_column,
        d_column=d_column,
        flops_column=flops_column,
        drop_highest=drop_highest,
    )
    if method in ("huber_lbfgs", "variable_projection"):
        fitted = chinchilla.fit(n, d, loss, method)
        samples: list[surface.ScalingFit] = []
        if resamples:
            fitted, samples = chinchilla.bootstrap(fitted, n, d, loss, resamples=resamples)
        if target_flops is not None:
            fitted = fitted.model_copy(update={"target": surface.predict(fitted, target_flops, samples)})
        return fitted.model_dump(mode="json")
    if method == "broken_power_law":
        broken = laws.fit_broken_power_law(n, d, loss)
        loss_there = None if target_flops is None else {"flops": target_flops, "loss": broken.loss_at(target_flops)}
        return {**broken.model_dump(mode="json"), "target": loss_there}
    other: laws.KaplanFit | frontier.FrontierFit
    if method == "kaplan":
        other = laws.fit_kaplan(n, d, loss)
    else:
        other = frontier.fit_frontier(n, d, loss, cast(frontier.FrontierMethod, method))
        if resamples:
            other = frontier.bootstrap_frontier(other, n, d, loss, resamples=resamples)
    target = None
    if target_flops is not None:
        best_n, best_d = other.optimum(target_flops)
        target = {"flops": target_flops, "n": best_n, "d": best_d}
    return {**other.model_dump(mode="json"), "target": target}


def search_mixture(
    *,
    mixtures: str,
    losses: str,
    target: str,
    prior: str | None,
    check_mixtures: str | None,
    check_losses: str | None,
    seed: int,
    output: str | None,
) -> dict[str, Any]:
    """Weights of the mixture that is predicted best, and how far the prediction can be trusted.

    Args:
        mixtures: CSV, one run a row, one domain a column, after a column ``index``.
        losses: CSV of the same runs, with the column ``target``.
        prior: TOML with a share for each domain; None: the mean of the mixtures.
        check_mixtures, check_losses: runs that the regression does not see; both or neither.
        seed: of the candidates.
        output: TOML file to write ``[mixture]`` with ``by = "domain"`` and the weights to.

    Raises:
        ConfigError: if the tables do not fit each other.
    """
    if (check_mixtures is None) != (check_losses is None):
        raise ConfigError("one of --check-mixtures and --check-losses given; expected both or neither; add the other")
    domains, shares = _read_shares(mixtures, None)
    values = _read_column(losses, target, len(shares))
    fitted = fit_gaussian_process(shares, values)
    weights = search(fitted, _read_prior(prior, domains, shares), seed=seed)
    found: dict[str, Any] = {
        "num_runs": len(shares),
        "cross_validated_rank_correlation": cross_validated_rank_correlation(shares, values),
    }
    if check_mixtures is not None and check_losses is not None:
        _, checked = _read_shares(check_mixtures, domains)
        measured = _read_column(check_losses, target, len(checked))
        found["checked_rank_correlation"] = rank_correlation(fitted.predict(checked), measured)
    found["predicted_loss"] = float(fitted.predict(weights[None])[0])
    found["weights"] = {domain: float(weight) for domain, weight in zip(domains, weights, strict=True)}
    if output is not None:
        storage.write_bytes(output, mixture_toml("domain", {SAMPLING: found["weights"]}).encode())
    return found


def _read_shares(path: str, domains: list[str] | None) -> tuple[list[str], np.ndarray]:
    """Names of the columns but ``index``, and shares, each row scaled to sum 1."""
    rows = read_rows(path, tuple(domains or ()))
    names = domains or [name for name in rows[0] if name != "index"] if rows else []
    shares = np.array([[_share(row[name], name, path, line) for name in names] for line, row in enumerate(rows, 2)])
    sums = shares.sum(axis=1) if len(rows) else np.zeros(1)
    if len(names) < 2 or (sums <= 0).any():
        raise ConfigError(f"{path} has {len(rows)} mixtures of {len(names)} domains; expected shares of two or more")
    return names, shares / sums[:, None]


def _share(value: str, column: str, path: str, line: int) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share < np.inf:
        raise ConfigError(f"{column} = {value!r} in line {line} of {path}; expected a share from 0; mend that line")
    return share


def _read_column(path: str, column: str, num_rows: int) -> np.ndarray:
    rows = read_rows(path, (column,))
    if len(rows) != num_rows:
        raise ConfigError(
            f"{path} has {len(rows)} runs for {num_rows} mixtures; expected one each; mend one of the two"
        )
    return np.array([_share(row[column], column, path, line) for line, row in enumerate(rows, 2)])


def _read_prior(path: str | None, domains: list[str], shares: np.ndarray) -> np.ndarray:
    if path is None:
        mean = shares.mean(axis=0)
        return mean / mean.sum()
    try:
        table = tomllib.loads(storage.read_bytes(path).decode())
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path} ({error}); expected TOML with a share for each domain") from None
    if sorted(table) != sorted(domains) or not all(isinstance(value, int | float) for value in table.values()):
        raise ConfigError(f"{path} names {', '.join(sorted(table))}; expected a share for each of {', '.join(domains)}")
    prior = np.array([float(table[domain]) for domain in domains])
    return prior / prior.sum()


def decide_runs(*, runs: str, variant_a: str, variant_b: str, target_flops: float | None) -> list[Decision]:
    """Decisions between two variants in each domain; as ``trainer.scaling.run_table.compare_variants``."""
    return compare_variants(runs, variant_a, variant_b, target_flops=target_flops)


def describe_decision(decision: Decision, variant_a: str, variant_b: str) -> str:
    """A few lines for people."""
    noise = "unknown" if decision.noise is None else f"{decision.noise:.3%} of bits per byte"
    lines = [f"{decision.domain}: noise of a pair {noise}, {decision.degrees_of_freedom} degrees of freedom"]
    for found in decision.sizes:
        lines.append(f"  {found.flops:9.2e} FLOPs  {_describe(found, variant_a, variant_b)}")
    if decision.target is not None:
        lines.append(
            f"  {decision.target.flops:9.2e} FLOPs  {_describe(decision.target, variant_a, variant_b)} (target)"
        )
    return "\n".join(lines)


def _describe(found: Difference, variant_a: str, variant_b: str) -> str:
    bits = "" if found.bits_per_byte is None else f"{found.bits_per_byte:+.5f} bits/byte  "
    if found.relative_interval is None:
        return f"{bits}{found.relative:+.3%}  not decided: one pair says nothing of the noise; add a seed"
    low, high = found.relative_interval
    wins = f"P({variant_a} wins) = {found.probability_a_wins:.3f}"
    verdict = answer(found, variant_a, variant_b)
    return f"{bits}{found.relative:+.3%} [{low:+.3%}, {high:+.3%}]  {wins}  {verdict}"


def answer(found: Difference, variant_a: str, variant_b: str) -> str:
    """Which variant is better, or how many more seeds it takes to say so."""
    if found.verdict != "not decided":
        return f"{variant_a if found.verdict == 'a' else variant_b} is better"
    if found.more_seeds is None:
        return "not decided: needs over 1,000 more seeds"
    return f"not decided: needs {plural(found.more_seeds, 'more seed')}"
