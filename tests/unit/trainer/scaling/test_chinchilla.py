"""Fits of the loss surface against published numbers, SciPy, and surfaces whose constants are known."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import check_grad, rosen, rosen_der

from pipeline.errors import ConfigError
from trainer.scaling.chinchilla import bootstrap, fit
from trainer.scaling.lbfgs import minimize
from trainer.scaling.objective import HUBER_DELTA, Points, huber_lse
from trainer.scaling.points import read_points
from trainer.scaling.surface import ScalingFit, predict

CHINCHILLA = Path(__file__).parents[5] / "shared/data/scaling/chinchilla/svg_extracted_data.csv"
COLUMNS = {"n_column": "Model Size", "flops_column": "Training FLOP", "loss_column": "loss"}
needs_chinchilla = pytest.mark.skipif(not CHINCHILLA.exists(), reason="../shared/data/scaling/chinchilla is not here")


def surface(n, d, a=406.4, b=410.7, e=1.69, alpha=0.34, beta=0.28):
    return e + a / n**alpha + b / d**beta


@pytest.fixture
def runs():
    rng = np.random.default_rng(0)
    return 10 ** rng.uniform(7.5, 10, 40), 10 ** rng.uniform(8.5, 11, 40)


def test_objective_is_the_formula(runs):
    """Point by point with math.log and an if, for parameters near and far from the points."""
    n, d = runs
    loss = surface(n, d) * np.exp(np.random.default_rng(1).normal(0, 2 * HUBER_DELTA, len(n)))
    points = Points.of(n, d, loss)
    rows = np.array([[math.log(406.4), math.log(410.7), math.log(1.69), 0.34, 0.28], [5.0, 20.0, -1.0, 0.5, 1.5]])
    values, _ = huber_lse(points.centred(rows), points)
    for row, value in zip(rows, values, strict=True):
        total = 0.0
        for ni, di, li in zip(n, d, loss, strict=True):
            log_a, log_b, log_e, alpha, beta = row
            predicted = math.exp(log_a) / ni**alpha + math.exp(log_b) / di**beta + math.exp(log_e)
            distance = abs(math.log(predicted) - math.log(li))
            total += distance**2 / 2 if distance <= HUBER_DELTA else HUBER_DELTA * (distance - HUBER_DELTA / 2)
        assert value == pytest.approx(total)
    assert np.allclose(points.uncentred(points.centred(rows)), rows)


def test_gradient_is_that_of_the_objective(runs):
    points = Points.of(*runs, surface(*runs) * 1.01)
    repeats = np.random.default_rng(2).integers(0, 3, (1, 40)).astype(float)

    def at(row):
        return huber_lse(row[None], points, repeats)

    for row in np.random.default_rng(3).normal([0, 0, 0, 0.4, 0.4], 0.3, (5, 5)):
        assert check_grad(lambda x: at(x)[0][0], lambda x: at(x)[1][0], row) < 1e-6


def test_lbfgs_finds_minima_from_every_row():
    """Rosenbrock's valley in four dimensions, whose gradient SciPy gives; two of the rows start at the minimum."""
    starts = np.concatenate([np.random.default_rng(0).normal(1, 0.3, (6, 4)), np.ones((2, 4))])

    def objective(points, rows):
        return np.array([rosen(point) for point in points]), np.array([rosen_der(point) for point in points])

    found, values = minimize(objective, starts, max_iterations=300, gradient_tolerance=1e-9)
    assert np.allclose(found, 1, atol=1e-6) and values.max() < 1e-12


def test_rows_do_not_know_of_each_other():
    centres = np.arange(12.0).reshape(4, 3)

    def objective(points, rows):
        away = points - centres[rows]
        return (away**4).sum(axis=1) + (away**2).sum(axis=1), 4 * away**3 + 2 * away

    found, _ = minimize(objective, np.zeros((4, 3)), max_iterations=100, gradient_tolerance=1e-10)
    assert np.allclose(found, centres, atol=1e-9)
    centres, expected = centres[2:3], found[2:3]
    alone, _ = minimize(objective, np.zeros((1, 3)), max_iterations=100, gradient_tolerance=1e-10)
    assert np.array_equal(alone, expected)


@pytest.mark.parametrize("method", ["variable_projection", "huber_lbfgs"])
@pytest.mark.parametrize(
    "constants",
    [
        {"a": 406.4, "b": 410.7, "e": 1.69, "alpha": 0.34, "beta": 0.28},
        {"a": 482.01, "b": 2085.43, "e": 1.81686, "alpha": 0.34781, "beta": 0.36585},
    ],
)
def test_constants_of_noiseless_points_are_recovered(runs, method, constants):
    found = fit(*runs, surface(*runs, **constants), method)
    expected = [constants[name] for name in ("a", "b", "e", "alpha", "beta")]
    assert [found.A, found.B, found.E, found.alpha, found.beta] == pytest.approx(expected, rel=1e-6)
    assert found.a == pytest.approx(constants["beta"] / (constants["alpha"] + constants["beta"]), rel=1e-6)


@needs_chinchilla
@pytest.mark.parametrize(
    ("drop_highest", "num_points", "objective", "alpha", "beta", "e"),
    [(5, 240, 1.0182741e-3, 0.34731, 0.36717, 1.81722), (0, 245, 1.8260106e-3, 0.34931, 0.45305, 1.89134)],
)
@pytest.mark.parametrize("method", ["variable_projection", "huber_lbfgs"])
def test_chinchilla(method, drop_highest, num_points, objective, alpha, beta, e):
    n, d, loss = read_points(str(CHINCHILLA), drop_highest=drop_highest, **COLUMNS)
    found = fit(n, d, loss, method)
    assert found.num_points == num_points
    assert found.objective <= objective
    assert [found.alpha, found.beta, found.E] == pytest.approx([alpha, beta, e], abs=2e-5)


@needs_chinchilla
def test_the_published_surface_fits_worse_and_its_interval_holds():
    """Hoffmann's unrounded constants on the 240 points (Besiroglu et al.), and their a = .513 in our interval."""
    n, d, loss = read_points(str(CHINCHILLA), drop_highest=5, **COLUMNS)
    points = Points.of(n, d, loss)
    published = np.array([[6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083]])
    assert huber_lse(points.centred(published), points)[0][0] == pytest.approx(1.2311626e-3, rel=1e-6)
    found, samples = bootstrap(fit(n, d, loss), n, d, loss, resamples=200)
    low, high = found.a_interval
    assert low < 0.513 < high and 0.04 < high - low < 0.12
    target = predict(found, 5.76e23, samples)  # Chinchilla's budget: 70e9 parameters, 1.4e12 tokens, loss near 1.94
    assert target.n_interval[0] < 70e9 < target.n_interval[1]
    assert target.loss_interval[0] < target.loss < target.loss_interval[1]
    assert target.loss == found.loss(target.n, target.d) and 6 * target.n * target.d == pytest.approx(5.76e23)


def test_bootstrap_of_noiseless_points_is_a_point(runs):
    found = fit(*runs, surface(*runs))
    found, samples = bootstrap(found, *runs, surface(*runs), resamples=20)
    assert found.a_interval == pytest.approx((found.a, found.a), abs=1e-6)
    assert found.alpha_interval == pytest.approx((0.34, 0.34), abs=1e-5)
    assert found.E_interval == pytest.approx((1.69, 1.69), rel=1e-5)
    assert predict(found, 1e22, samples).loss_interval == pytest.approx((predict(found, 1e22).loss,) * 2, rel=1e-6)
    assert predict(found, 1e22).loss_interval is None


def test_optimum_is_the_lowest_point_of_its_budget():
    constants = {"A": 406.4, "B": 410.7, "E": 1.69, "alpha": 0.34, "beta": 0.28, "a": 0.28 / 0.62}
    found = ScalingFit(method="variable_projection", num_points=9, objective=0, **constants)
    n, d = found.optimum(1e21)
    assert 6 * n * d == pytest.approx(1e21)
    assert all(found.loss(n, d) < found.loss(n * factor, d / factor) for factor in (0.9, 0.99, 1.01, 1.1))


def test_too_few_points_are_refused(runs):
    n, d = runs[0][:5], runs[1][:5]
    with pytest.raises(ConfigError, match="5 points for 5 parameters; expected at least 6 runs"):
        fit(n, d, surface(n, d))


def test_points_are_read(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("size,flops,tokens,loss\n10,600,7,3\n20,600,8,5\n30,900,9,4\n")
    n, d, loss = read_points(str(path), n_column="size", flops_column="flops", loss_column="loss", drop_highest=1)
    assert (n.tolist(), d.tolist(), loss.tolist()) == ([10, 30], [10, 5], [3, 4])
    assert read_points(str(path), n_column="size", d_column="tokens", loss_column="loss")[1].tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_column": "tokens"}, "give --flops COLUMN or --d COLUMN"),
        ({"flops_column": None}, "give --flops COLUMN or --d COLUMN"),
        ({"n_column": "params"}, r"no column 'params' in .*runs.csv; it has size, flops, tokens, loss"),
        ({"drop_highest": 3}, r"drop_highest=3, but .*runs.csv has 2 runs; expected 0 to 1"),
        ({"loss_column": "tokens"}, r"tokens = 'x' in line 3 of .*runs.csv; expected a positive number"),
        ({"path": "/nowhere/runs.csv"}, "no file /nowhere/runs.csv; expected a CSV of training runs"),
    ],
)
def test_what_is_wrong_with_points_is_said(tmp_path, changes, message):
    path = tmp_path / "runs.csv"
    path.write_text("size,flops,tokens,loss\n10,600,7,3\n20,600,x,5\n")
    arguments = {"path": str(path), "n_column": "size", "flops_column": "flops", "loss_column": "loss"}
    with pytest.raises(ConfigError, match=message):
        read_points(**{**arguments, **changes})


FLAT = {"method": "variable_projection", "num_points": 8, "objective": 0.0, "E": 1.7, "a": 0.5}


@pytest.mark.parametrize(
    "numbers",
    [
        {"A": 0.0, "B": 300.0, "alpha": 0.3, "beta": 0.3},
        {"A": 80.0, "B": 300.0, "alpha": -0.1, "beta": 0.4},
        {"A": 80.0, "B": 1e-300, "alpha": 1e-3, "beta": 1e-3},
    ],
)
def test_a_surface_that_is_flat_has_no_optimum(numbers):
    """Few runs over a narrow range are fitted so; a resample of them can be, where the fit itself is not."""
    flat = ScalingFit(**FLAT, **numbers)
    with pytest.raises(ConfigError, match=r"does not fall with both N and D .* add sizes and tokens"):
        predict(flat, 1e18)
    sound = ScalingFit(**FLAT, A=80.0, B=300.0, alpha=0.3, beta=0.3)
    assert predict(sound, 1e18, [sound, sound]).n_interval is not None
    assert predict(sound, 1e18, [sound, flat]).n_interval is None


def test_an_optimum_below_one_parameter_is_none():
    odd = ScalingFit(**FLAT, A=80.0, B=3e30, alpha=0.3, beta=0.3)
    with pytest.raises(
        ConfigError, match=r"puts the best N at .* expected a model of at least one parameter and token"
    ):
        predict(odd, 1e18)


def test_a_term_that_has_vanished_has_an_interval_all_the_same():
    rng = np.random.default_rng(3)
    n, d = np.repeat([1e4, 2e4, 4e4], 4), np.tile([1e5, 2e5, 4e5, 8e5], 3)
    loss = 2.0 + 300 / d**0.3 + rng.normal(0, 1e-3, 12)
    fitted = ScalingFit(**FLAT, A=0.0, B=300.0, alpha=0.3, beta=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told, samples = bootstrap(fitted, n, d, loss, resamples=20)
    assert len(samples) == 20
    assert told.beta_interval is not None and all(np.isfinite(told.beta_interval))
