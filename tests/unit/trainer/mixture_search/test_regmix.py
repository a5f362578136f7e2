"""RegMix's tables, ranks against SciPy, the search on a loss whose best mixture is known."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.stats import spearmanr

from pipeline.errors import ConfigError
from trainer.mixture_search import regmix
from trainer.mixture_search.gaussian_process import fit_gaussian_process, negative_log_likelihood
from trainer.mixture_search.regmix import draw_mixtures, rank_correlation, search

TABLES = Path(__file__).parents[5] / "shared/data/scaling/regmix"


def table(name, column=None):
    with open(TABLES / f"{name}.csv") as file:
        rows = list(csv.DictReader(file))
    columns = [column] if column else [key for key in rows[0] if key != "index"]
    return np.array([[float(row[key]) for key in columns] for row in rows])


def shares_of(name):
    shares = table(name)
    return shares / shares.sum(axis=1, keepdims=True)  # the tables are rounded to three digits


@pytest.mark.skipif(not TABLES.exists(), reason="../shared/data/scaling/regmix is not here")
@pytest.mark.slow
def test_runs_of_1m_parameters_rank_the_mixtures_of_larger_ones():
    """Nothing but the training table is seen by the fit; the paper's LightGBM has .989, .985 and .965."""
    column = "metric/the_pile_pile_cc_val_loss"
    fitted = fit_gaussian_process(shares_of("train_mixture_1m"), table("train_pile_loss_1m", column)[:, 0])
    expected = {"1m": 0.99, "60m": 0.985, "1B": 0.96}
    for size, least in expected.items():
        predicted = fitted.predict(shares_of(f"test_mixture_{size}"))
        assert rank_correlation(predicted, table(f"test_pile_loss_{size}", column)[:, 0]) >= least


def test_gradient_of_the_likelihood():
    rng = np.random.default_rng(0)
    roots = np.sqrt(rng.dirichlet(np.ones(4), 25))
    targets = rng.normal(size=25)
    for _ in range(3):
        parameters = rng.normal(-0.5, 0.5, 7)
        error = check_grad(
            lambda p: negative_log_likelihood(p, roots, targets)[0],
            lambda p: negative_log_likelihood(p, roots, targets)[1],
            parameters,
        )
        assert error < 1e-4


def test_search_finds_the_best_mixture_of_a_known_loss():
    """A loss with its minimum at a mixture away from the prior, seen through 150 noisy runs."""
    prior, best = np.array([0.7, 0.2, 0.1]), np.array([0.3, 0.3, 0.4])

    def loss(shares):
        return 3 + ((np.sqrt(shares) - np.sqrt(best)) ** 2).sum(axis=-1)

    runs = draw_mixtures(prior, 150, seed=1)
    noisy = loss(runs) + np.random.default_rng(2).normal(0, 0.003, 150)
    weights = search(fit_gaussian_process(runs, noisy), prior, seed=3)
    assert weights.sum() == pytest.approx(1) and weights == pytest.approx(best, abs=0.05)
    assert loss(weights) < loss(prior) - 0.05
    assert regmix.cross_validated_rank_correlation(runs, noisy) > 0.97


def test_mixtures_keep_to_the_paper_s_bounds():
    prior = np.array([0.9, 0.09, 0.01])
    drawn = draw_mixtures(prior, 2_000, seed=0)
    assert drawn.shape == (2_000, 3) and np.allclose(drawn.sum(axis=1), 1)
    assert (drawn[:, 2] <= 0.15).all()  # 15 times its share
    positive = drawn[drawn > 0]
    assert positive.min() >= 2e-4
    assert (drawn[:, 0] > 0.98).any() and (drawn[:, 0] < 0.4).any()  # strong and weak draws
    assert np.array_equal(drawn, draw_mixtures(prior, 2_000, seed=0))
    assert not np.array_equal(drawn, draw_mixtures(prior, 2_000, seed=1))


def test_a_prior_without_data_is_refused():
    with pytest.raises(ConfigError, match="leave out domains without data"):
        draw_mixtures(np.array([1.0, 0.0]), 5, seed=0)


@pytest.mark.parametrize("decimals", [8, 1, 0])  # ties at 1 and 0
def test_ranks_are_scipys(decimals):
    rng = np.random.default_rng(0)
    left, right = np.round(rng.normal(size=(2, 40)), decimals)
    assert rank_correlation(left, right) == pytest.approx(spearmanr(left, right)[0])
