"""DoReMi: a reference trained on a baseline mixture, then a proxy whose groups' weights move while it trains.

The reference says how well each group can be predicted at this size; the proxy's weights (``trainer/group_weights.py``)
move towards the groups on which it is still behind, and their mean over all steps is the mixture. So two trainings of
the size of one give weights for much larger ones, and no held-out text is looked at. Iterated, the next reference is
trained on the weights found, until they move no more.

Several seeds repeat the whole search; the mean is the answer, and their spread gives Student's interval.

What lies in ``<output>/doremi`` afterwards: ``round-1/reference-0`` and ``proxy-0``, trainings as any other, taken up
from their checkpoints when the search is run again.

Source: Xie et al. 2023 (DoReMi), section 2, with its iterated form (until no weight moves by 1e-3). The paper's
reference mixture is that of the data or uniform; here that of the shards, unless ``baseline`` says another.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from pipeline import storage
from pipeline.config import parse
from pipeline.errors import ConfigError
from trainer.config import TrainConfig
from trainer.data import open_shards
from trainer.data_config import DataConfig, DoReMiConfig
from trainer.mixture_search.found_mixture import FoundMixture, Groups, found_mixture, measure_groups, t_quantile
from trainer.mixture_search.search_config import MixtureSearchConfig
from trainer.train import TrainResult, train


class _OutOfTime(Exception):
    """The sitting's time is over before the next training."""


def search_doremi(
    config: MixtureSearchConfig,
    *,
    max_seconds: float | None = None,
    on_finished: Callable[[str], None] | None = None,
) -> FoundMixture | None:
    """Run the search, or go on with it.

    Args:
        config: of the search.
        max_seconds: no training is started after so long; None: until it is done.
        on_finished: called with the name of each training.

    Returns:
        The weights; None if time was over first.

    Raises:
        ConfigError: if ``baseline`` names other groups than the shards have, or ``output`` holds trainings of another
            config.
        ShardError: if the shards are damaged.
    """
    groups = measure_groups(config.shards, open_shards(config.shards), config.by)
    baseline = _baseline(config, groups)
    deadline = None if max_seconds is None else time.monotonic() + max_seconds

    def perform(name: str, settings: TrainConfig) -> TrainResult:
        if deadline is not None and time.monotonic() > deadline:
            raise _OutOfTime
        result = train(settings, config.shards, storage.join(config.output, f"doremi/{name}"))
        if on_finished is not None:
            on_finished(name)
        return result

    num_runs = 0
    try:
        for number in range(1, config.doremi.max_rounds + 1):
            found = np.array([_one_seed(config, groups, baseline, number, seed, perform) for seed in _seeds(config)])
            num_runs += 2 * len(found)
            weights = found.mean(axis=0)
            moved = float(np.abs(weights - baseline).max())
            baseline = weights
            if moved < config.doremi.tolerance:
                break
    except _OutOfTime:
        return None
    widths = None
    if len(found) > 1:
        widths = t_quantile(len(found) - 1) * found.std(axis=0, ddof=1) / np.sqrt(len(found))
    facts = {"rounds": float(number), "largest_change_in_last_round": moved}
    return found_mixture("doremi", groups, weights, widths, num_runs=num_runs, facts=facts)


def _one_seed(
    config: MixtureSearchConfig,
    groups: Groups,
    baseline: np.ndarray,
    number: int,
    seed: int,
    perform: Callable[[str, TrainConfig], TrainResult],
) -> list[float]:
    """Weights by group of one reference and its proxy; a proxy that cannot be is refused before the reference."""
    reference = f"round-{number}/reference-{seed}"
    shares = dict(zip(groups.names, baseline.tolist(), strict=True))
    settings = DoReMiConfig(
        reference=storage.join(config.output, f"doremi/{reference}"),
        groups=groups.names,
        step_size=config.doremi.step_size,
        smoothing=config.doremi.smoothing,
    )
    proxy = _training(config, DataConfig(by=config.by, doremi=settings), seed)
    perform(reference, _training(config, DataConfig(by=config.by, weights=shares), seed))
    result = perform(f"round-{number}/proxy-{seed}", proxy)
    assert result.group_weights is not None
    return [result.group_weights[name] for name in groups.names]


def _seeds(config: MixtureSearchConfig) -> range:
    return range(config.train.seed, config.train.seed + config.doremi.seeds)


def _training(config: MixtureSearchConfig, data: DataConfig, seed: int) -> TrainConfig:
    """Validated anew, since what a proxy needs of a training is not asked of one without data."""
    settings = {**config.train.model_dump(), "data": data.model_dump(), "seed": seed}
    return parse(settings, TrainConfig, where="[mixture_search.train] with the groups of the shards")


def _baseline(config: MixtureSearchConfig, groups: Groups) -> np.ndarray:
    given = config.doremi.baseline
    if given is None:
        return groups.shares
    if set(given) != set(groups.names) or not any(given.values()):
        raise ConfigError(
            f"[mixture_search.doremi] baseline weighs {', '.join(sorted(given))}; expected a weight for each of "
            f"{', '.join(groups.names)}, one above 0; mend it"
        )
    weights = np.array([given[name] for name in groups.names])
    return weights / weights.sum()
