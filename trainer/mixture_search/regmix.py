"""RegMix: regress the loss of many tiny runs on their mixtures, then take the mixtures predicted best.

The claim behind it is that the *order* of mixtures by loss is the same for tiny and for large models. Mixtures to
train on, and the candidates that the regression ranks, are drawn around the prior (the bytes there are):
Dirichlet with the tempered prior as its mean and a strength from 0.1 (nearly one domain each) to 5.

Source: Liu et al. 2024 (RegMix), section 3 and appendix; constants from its public code: prior^0.5, strengths 0.1 to
5, at most 15 times the prior's share, 2e-4 the least share worth having, 100,000 candidates, the best 128 averaged.
Deviations: a Gaussian process instead of LightGBM (``gaussian_process.py``): on the paper's 512 runs of 1M parameters
its Spearman correlation with the loss of held-out mixtures is higher at each size (``docs/log.md``).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pipeline.errors import ConfigError
from trainer.mixture_search.gaussian_process import fit_gaussian_process

PRIOR_EXPONENT = 0.5
STRENGTHS = (0.1, 5.0)
MAX_OVERSAMPLING = 15.0
LEAST_SHARE = 2e-4
NUM_CANDIDATES = 100_000
NUM_BEST = 128
FOLDS = 8


class Surrogate(Protocol):
    """Predicts the loss of mixtures."""

    def predict(self, shares: np.ndarray) -> np.ndarray:
        """(rows, num_domains) to (rows,)."""
        ...


def draw_mixtures(prior: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """Mixtures around a prior.

    Args:
        prior: share of each domain in the data, shape (num_domains,), positive, summing to 1.
        count: how many.
        seed: the same seed gives the same mixtures.

    Returns:
        Shares, shape (count, num_domains), rows summing to 1; those below ``LEAST_SHARE`` are 0.

    Raises:
        ConfigError: if a share of the prior is not positive.
    """
    if len(prior) < 2 or not (prior > 0).all() or abs(prior.sum() - 1) > 1e-6:
        raise ConfigError(
            f"prior shares {prior.tolist()} sum to {prior.sum():g}; expected two or more positive shares that sum to "
            f"1; leave out domains without data"
        )
    tempered = prior**PRIOR_EXPONENT / (prior**PRIOR_EXPONENT).sum()
    limits = np.minimum(MAX_OVERSAMPLING * prior, 1.0)
    generator = np.random.default_rng(seed)
    low, high = np.log(STRENGTHS)
    drawn: list[np.ndarray] = []
    total = 0
    while total < count:
        strengths = np.exp(generator.uniform(low, high, max(count, 256)))
        gammas = generator.standard_gamma(strengths[:, None] * tempered) + 1e-300
        shares = gammas / gammas.sum(axis=1, keepdims=True)
        shares[shares < LEAST_SHARE] = 0.0
        shares /= shares.sum(axis=1, keepdims=True)
        shares = shares[(shares <= limits).all(axis=1)]
        drawn.append(shares)
        total += len(shares)
    return np.concatenate(drawn)[:count]


def search(surrogate: Surrogate, prior: np.ndarray, *, seed: int) -> np.ndarray:
    """The mean of the ``NUM_BEST`` mixtures of lowest predicted loss among ``NUM_CANDIDATES``, shape (num_domains,)."""
    candidates = draw_mixtures(prior, NUM_CANDIDATES, seed=seed)
    best = np.argsort(surrogate.predict(candidates), kind="stable")[:NUM_BEST]
    return candidates[best].mean(axis=0)


def fits_without_a_part(shares: np.ndarray, losses: np.ndarray) -> list[tuple[np.ndarray, Surrogate]]:
    """Which runs were left out, bool of shape (num_runs,), and the fit to the others, for ``FOLDS`` parts in turn."""
    parts = [np.arange(len(losses)) % FOLDS == fold for fold in range(FOLDS)]
    return [(left_out, fit_gaussian_process(shares[~left_out], losses[~left_out])) for left_out in parts]


def cross_validated_rank_correlation(
    shares: np.ndarray, losses: np.ndarray, fits: list[tuple[np.ndarray, Surrogate]] | None = None
) -> float:
    """Spearman correlation of losses with predictions for runs left out; ``fits`` where they are there already."""
    predicted = np.empty(len(losses))
    for left_out, fitted in fits or fits_without_a_part(shares, losses):
        predicted[left_out] = fitted.predict(shares[left_out])
    return rank_correlation(predicted, losses)


def jackknife_errors(parts: np.ndarray) -> np.ndarray:
    """Standard errors of what was computed with one part of the runs left out in turn.

    Args:
        parts: shape (num_parts, num_values).

    Returns:
        Shape (num_values,), with ``num_parts - 1`` degrees of freedom.

    Source: Kott 2001 (The delete-a-group jackknife), equation 1.
    """
    count = len(parts)
    return np.sqrt((count - 1) / count * ((parts - parts.mean(axis=0)) ** 2).sum(axis=0))


def rank_correlation(left: np.ndarray, right: np.ndarray) -> float:
    """Spearman's rho; equal values share the mean of their ranks."""
    return float(np.corrcoef(_ranks(left), _ranks(right))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
