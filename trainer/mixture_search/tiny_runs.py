"""RegMix from shards to weights: mixtures are drawn, a training is run on each, the regression says which is best.

The trainings are a plan for the sweep's queue: they take any number of sittings, several at once where asked for, and
``runs.csv`` keeps their bits per byte on every part of the held-out text, so that another target costs no training.
A training that fails (its loss is no longer finite) is left out of the regression, and counted.

The interval of a weight is that of a delete-a-group jackknife: the regression and the search once more without each
eighth of the runs. It tells what other runs would have changed, not whether small models rank mixtures as large ones.

Source: as ``regmix.py``, whose draws, regression and search these are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline import storage
from pipeline.errors import ConfigError
from trainer.data import open_shards
from trainer.data_config import DataConfig
from trainer.flops import num_params_non_embedding, training_flops
from trainer.mixture_search import regmix
from trainer.mixture_search.found_mixture import FoundMixture, Groups, found_mixture, measure_groups, t_quantile
from trainer.mixture_search.gaussian_process import fit_gaussian_process
from trainer.mixture_search.search_config import MixtureSearchConfig
from trainer.scaling.run_table import read_sweep
from trainer.sweep.plan import PlannedRun, SweepPlan
from trainer.sweep.queue import run_sweep


def search_regmix(
    config: MixtureSearchConfig,
    *,
    max_seconds: float | None = None,
    on_finished: Callable[[str], None] | None = None,
) -> FoundMixture | None:
    """Run the search, or go on with it.

    Args:
        config: of the search.
        max_seconds: no training is started after so long; None: until all are done.
        on_finished: called with the name of each training, and why it failed if it did.

    Returns:
        The weights; None if time was over first.

    Raises:
        ConfigError: if too many trainings fail, the target is not in their table, or ``output`` holds trainings of
            another config.
        ShardError: if the shards are damaged.
    """
    groups = measure_groups(config.shards, open_shards(config.shards), config.by)
    mixtures = regmix.draw_mixtures(groups.shares, config.regmix.runs, seed=config.train.seed)
    plan = SweepPlan(runs=tuple(_plan(config, groups, mixtures)), left_out=())
    folder = storage.join(config.output, "regmix")

    def tell(run: PlannedRun, error: str | None) -> None:
        if on_finished is not None:
            on_finished(run.name if error is None else f"{run.name}: {error}")

    outcome = run_sweep(plan, folder, parallel_runs=config.parallel_runs, max_seconds=max_seconds, on_finished=tell)
    if outcome.left:
        return None
    finished, scores = _scores(config, storage.join(folder, "runs.csv"))
    if len(finished) < 2 * regmix.FOLDS:
        raise ConfigError(
            f"{len(finished)} of {config.regmix.runs} trainings of {folder} came to an end "
            f"({next(iter(outcome.failures.values()), '')}); expected {2 * regmix.FOLDS} or more; mend "
            f"[mixture_search.train]"
        )
    return _found(config, groups, mixtures[finished], scores)


def _plan(config: MixtureSearchConfig, groups: Groups, mixtures: np.ndarray) -> list[PlannedRun]:
    """A training for each mixture."""
    num_params = num_params_non_embedding(config.train.model)
    num_tokens = config.train.sequences_before(config.train.steps) * config.train.model.context_tokens
    runs = []
    for number, mixture in enumerate(mixtures):
        weights = {name: float(share) for name, share in zip(groups.names, mixture, strict=True) if share > 0}
        runs.append(
            PlannedRun(
                name=_name(number),
                variant=_name(number),
                shards=config.shards,
                validation=config.validation or config.shards,
                num_params=num_params,
                num_tokens=num_tokens,
                flops=training_flops(num_params, num_tokens),
                seconds=0,
                train=config.train.model_copy(update={"data": DataConfig(by=config.by, weights=weights)}),
            )
        )
    return runs


def _name(number: int) -> str:
    return f"mixture-{number:05d}"


def _scores(config: MixtureSearchConfig, table: str) -> tuple[list[int], np.ndarray]:
    """Numbers of the finished trainings, and their bits per byte on the target."""
    rows = read_sweep(table)
    target = config.regmix.target
    scores = {row.variant: row.bits_per_byte for row in rows if row.domain == target}
    if rows and not scores:
        known = ", ".join(sorted({row.domain for row in rows}))
        raise ConfigError(
            f"[mixture_search.regmix] target = {target!r} is not in {table}; expected one of {known}; name one"
        )
    finished = [number for number in range(config.regmix.runs) if _name(number) in scores]
    return finished, np.array([scores[_name(number)] for number in finished])


def _found(config: MixtureSearchConfig, groups: Groups, mixtures: np.ndarray, scores: np.ndarray) -> FoundMixture:
    """The mixture that is predicted best, and how far the prediction can be trusted."""
    seed, prior = config.train.seed, groups.shares
    fitted = fit_gaussian_process(mixtures, scores)
    weights = regmix.search(fitted, prior, seed=seed)
    fits = regmix.fits_without_a_part(mixtures, scores)
    errors = regmix.jackknife_errors(np.array([regmix.search(fit, prior, seed=seed) for _, fit in fits]))
    predicted = fitted.predict(np.stack([weights, prior]))
    facts = {
        "cross_validated_rank_correlation": regmix.cross_validated_rank_correlation(mixtures, scores, fits),
        "predicted_bits_per_byte": float(predicted[0]),
        "predicted_bits_per_byte_now": float(predicted[1]),
        "failed_runs": float(config.regmix.runs - len(scores)),
    }
    widths = t_quantile(regmix.FOLDS - 1) * errors
    return found_mixture("regmix", groups, weights, widths, num_runs=len(scores), facts=facts)
