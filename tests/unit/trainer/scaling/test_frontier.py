"""Approaches 1 and 2 on surfaces whose optimum is known in closed form, and on the points of the Chinchilla figure."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError
from trainer.scaling.frontier import bootstrap_frontier, fit_frontier, groups_of
from trainer.scaling.points import read_points
from trainer.scaling.surface import ScalingFit

CHINCHILLA = Path(__file__).parents[5] / "shared/data/scaling/chinchilla/svg_extracted_data.csv"
SURFACE = ScalingFit(
    method="variable_projection",
    num_points=9,
    objective=0,
    A=406.4,
    B=410.7,
    E=1.69,
    alpha=0.34,
    beta=0.28,
    a=0.28 / 0.62,
)


def isoflop_runs(budgets, sizes_per_budget=9, spread=1.2):
    """Runs at each budget, of sizes around the optimum."""
    n = np.concatenate(
        [SURFACE.optimum(c)[0] * np.exp(np.linspace(-spread, spread, sizes_per_budget)) for c in budgets]
    )
    d = np.repeat(budgets, sizes_per_budget) / 6 / n
    return n, d, np.array([SURFACE.loss(*pair) for pair in zip(n, d, strict=True)])


def test_valleys_have_their_lowest_points_where_the_surface_has_them():
    budgets = np.geomspace(1e18, 1e21, 7)
    found = fit_frontier(*isoflop_runs(budgets), "isoflop")
    assert found.a == pytest.approx(SURFACE.a, abs=0.01) and found.a + found.b == 1
    assert [point.flops for point in found.optima] == pytest.approx(budgets.tolist())
    for point in found.optima:
        assert point.n == pytest.approx(SURFACE.optimum(point.flops)[0], rel=0.1)
        assert 6 * point.n * point.d == pytest.approx(point.flops)
    n, d = found.optimum(1e22)
    assert 6 * n * d == pytest.approx(1e22) and n == pytest.approx(SURFACE.optimum(1e22)[0], rel=0.15)


def test_the_lowest_curve_wins():
    """40 sizes, each trained with 30 amounts of tokens: the hull follows the surface's optimum."""
    sizes = np.geomspace(1e7, 1e10, 40)
    n = np.repeat(sizes, 30)
    d = (np.repeat(sizes * 20, 30).reshape(40, 30) * np.geomspace(0.05, 20, 30)).ravel()
    loss = np.array([SURFACE.loss(*pair) for pair in zip(n, d, strict=True)])
    found = fit_frontier(n, d, loss, "training_curves")
    assert found.a == pytest.approx(SURFACE.a, abs=0.03)
    inner = [point for point in found.optima if 1e18 < point.flops < 1e20]
    assert inner and all(point.n == pytest.approx(SURFACE.optimum(point.flops)[0], rel=0.35) for point in inner)


def test_a_valley_without_its_bottom_is_left_out():
    budgets = np.geomspace(1e18, 1e21, 5)
    n, d, loss = isoflop_runs(budgets)
    flops = 6 * n * d
    one_side = (np.abs(flops / budgets[0] - 1) < 0.01) & (n > SURFACE.optimum(budgets[0])[0])
    keep = ~((np.abs(flops / budgets[0] - 1) < 0.01) & ~one_side)
    found = fit_frontier(n[keep], d[keep], loss[keep], "isoflop")
    assert (len(found.optima), found.num_left_out) == (4, 1)


@pytest.mark.parametrize("method", ["isoflop", "training_curves"])
def test_runs_that_show_no_optimum_are_refused(method):
    n = np.array([1e7, 2e7, 4e7])
    with pytest.raises(ConfigError, match="expected 2 or more budgets; train"):
        fit_frontier(n, n * 20, np.array([4.0, 3.5, 3.0]), method)


def test_bootstrap_holds_the_truth_under_noise():
    n, d, loss = isoflop_runs(np.geomspace(1e18, 1e21, 7), sizes_per_budget=12)
    noisy = loss * np.exp(np.random.default_rng(0).normal(0, 1e-3, len(loss)))
    low, high = bootstrap_frontier(fit_frontier(n, d, noisy, "isoflop"), n, d, noisy, resamples=60).a_interval
    assert low < SURFACE.a < high and high - low < 0.1


def test_groups_are_chains_that_start_anew():
    logs = np.array([0.0, 0.9, 0.04, 1.0, 0.07])
    assert [group.tolist() for group in groups_of(logs, 0.05)] == [[0, 2], [4], [1], [3]]


@pytest.mark.skipif(not CHINCHILLA.exists(), reason="../shared/data/scaling/chinchilla is not here")
@pytest.mark.parametrize("method", ["isoflop", "training_curves"])
def test_chinchilla(method):
    """The paper's intervals for a are .488 to .502 (approach 1) and .462 to .534 (approach 2), from more points."""
    columns = {"n_column": "Model Size", "flops_column": "Training FLOP", "loss_column": "loss"}
    found = fit_frontier(*read_points(str(CHINCHILLA), drop_highest=5, **columns), method)
    assert 0.46 < found.a < 0.54 and len(found.optima) > 10
