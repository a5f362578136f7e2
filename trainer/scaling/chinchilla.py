"""Fitting L(N, D) = E + A / N^alpha + B / D^beta to training runs: Chinchilla's approach 3, in two ways.

``huber_lbfgs`` is the paper's: L-BFGS from each of its 4,500 starts, the best end wins. All starts take 30 steps,
which tell the basins apart; the best 200 go on until float64 has no more digits. (Taking all of them through 200
steps found no lower value on the Chinchilla points.) About 7 s of one core for 240 points; projection takes 0.2 s.

``variable_projection`` searches in two dimensions instead of five: for given alpha and beta, the best A, B and E are
a small problem of their own (the projection), and by the envelope theorem the gradient of what remains is the
gradient at the projection. A grid of 144 pairs finds the basin; L-BFGS in the plane follows the best of them down.

Both minimise the same sum of Huber distances and agree to all digits that the data determine. A and B alone are barely
determined (their logs move with alpha and beta): compare fits by their objective, or by ``a``, not by A.

Source: Hoffmann et al. 2022, section 3.3 and D.3; Besiroglu et al. 2024; variable projection after Golub and Pereyra
1973 and, for scaling laws, arXiv 2603.22339. Deviations: the logs of N and D are centred, which changes no start and no
value but the path between; and the projection minimises the Huber objective, where 2603.22339 solves least squares.
"""

from __future__ import annotations

import itertools

import numpy as np

from pipeline.errors import ConfigError
from trainer.scaling.lbfgs import minimize
from trainer.scaling.objective import ALPHA, BETA, A, B, E, Points, huber_lse
from trainer.scaling.surface import Method, ScalingFit, interval_of

_GRID = (
    np.arange(0, 30, 5),  # ln A
    np.arange(0, 30, 5),  # ln B
    np.arange(-1, 1.5, 0.5),  # ln E
    np.arange(0, 2.5, 0.5),  # alpha
    np.arange(0, 2.5, 0.5),  # beta
)
_CHUNK_STARTS = 250  # keeps the arrays of one call within a core's cache
_FIRST_ITERATIONS = 30
_NUM_FINALISTS = 200
_EXHAUSTED = 1e-15  # a gradient that float64 does not reach: stop when no step decreases the value
_EXPONENTS = np.geomspace(0.05, 2, 12)
_NUM_PARAMETERS = 5


def fit(n: np.ndarray, d: np.ndarray, loss: np.ndarray, method: Method = "variable_projection") -> ScalingFit:
    """Fit the loss surface.

    Args:
        n: parameters of each run, shape (num_points,).
        d: tokens of each run.
        loss: final loss of each run.
        method: see the head of this module.

    Raises:
        ConfigError: for fewer points than the surface has parameters.
    """
    if len(n) <= _NUM_PARAMETERS:
        raise ConfigError(
            f"{len(n)} points for {_NUM_PARAMETERS} parameters; expected at least {_NUM_PARAMETERS + 1} runs; add some"
        )
    points = Points.of(n, d, loss)
    candidates = _from_grid(points) if method == "huber_lbfgs" else _by_projection(points)

    def objective(parameters: np.ndarray, _rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return huber_lse(parameters, points)

    found, values = minimize(objective, candidates, max_iterations=2_000, gradient_tolerance=_EXHAUSTED)
    best = int(values.argmin())
    return _as_fit(points.uncentred(found[best]), method, len(n), float(values[best]))


def bootstrap(
    fitted: ScalingFit, n: np.ndarray, d: np.ndarray, loss: np.ndarray, *, resamples: int = 500, seed: int = 0
) -> tuple[ScalingFit, list[ScalingFit]]:
    """``fitted`` with 95 % intervals over fits to points drawn with replacement.

    Each resample is fitted from ``fitted``'s own parameters, so the intervals are those of its basin.

    Returns:
        ``fitted`` with its intervals, and the fits of the resamples.
    """
    points = Points.of(n, d, loss)
    draws = np.random.default_rng(seed).multinomial(len(n), np.full(len(n), 1 / len(n)), size=resamples).astype(float)
    terms = np.maximum([fitted.A, fitted.B, fitted.E], np.finfo(float).tiny)  # one that has vanished has no logarithm
    own = np.array([*np.log(terms), fitted.alpha, fitted.beta])

    def objective(parameters: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return huber_lse(parameters, points, draws[rows])

    starts = np.tile(points.centred(own), (resamples, 1))
    found, values = minimize(objective, starts, max_iterations=300, gradient_tolerance=1e-9)
    samples = [
        _as_fit(row, fitted.method, len(n), float(value))
        for row, value in zip(points.uncentred(found), values, strict=True)
    ]
    intervals = {
        f"{name}_interval": interval_of([getattr(sample, name) for sample in samples])
        for name in ("a", "alpha", "beta", "E")
    }
    return fitted.model_copy(update=intervals), samples


def _as_fit(parameters: np.ndarray, method: Method, num_points: int, objective: float) -> ScalingFit:
    """A fit from a row of uncentred parameters."""
    log_a, log_b, log_e, alpha, beta = (float(value) for value in parameters)
    return ScalingFit(
        method=method,
        num_points=num_points,
        objective=objective,
        A=float(np.exp(log_a)),
        B=float(np.exp(log_b)),
        E=float(np.exp(log_e)),
        alpha=alpha,
        beta=beta,
        a=beta / (alpha + beta),
    )


def _from_grid(points: Points) -> np.ndarray:
    """The best ends of short descents from all 4,500 starts, shape (finalists, 5), centred."""

    def objective(parameters: np.ndarray, _rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return huber_lse(parameters, points)

    starts = points.centred(np.array(list(itertools.product(*_GRID)), dtype=np.float64))
    ends = [
        minimize(objective, starts[i : i + _CHUNK_STARTS], max_iterations=_FIRST_ITERATIONS, gradient_tolerance=1e-9)
        for i in range(0, len(starts), _CHUNK_STARTS)
    ]
    values = np.concatenate([chunk_values for _, chunk_values in ends])
    finalists = np.argsort(values, kind="stable")[:_NUM_FINALISTS]
    return np.concatenate([chunk_points for chunk_points, _ in ends])[finalists]


def _by_projection(points: Points) -> np.ndarray:
    """Parameters at the ends of searches in the plane of alpha and beta, shape (searches, 5), centred."""
    exponents = np.array(list(itertools.product(_EXPONENTS, _EXPONENTS)))
    mean_log_loss = float(points.log_loss.mean())
    rough = np.log([0.2, 0.2, 0.6]) + mean_log_loss  # E the larger part, as in every published fit
    linear, values = _project(exponents, np.tile(rough, (len(exponents), 1)), points, max_iterations=20)
    best = np.argsort(values, kind="stable")[:4]
    warm = linear[best]

    def profile(plane: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        warm[rows], _ = _project(plane, warm[rows], points, max_iterations=100)
        projected, gradients = huber_lse(_join(warm[rows], plane), points)
        return projected, gradients[:, [ALPHA, BETA]]

    found, _ = minimize(profile, exponents[best], max_iterations=30, gradient_tolerance=1e-8)
    warm, _ = _project(found, warm, points, max_iterations=100)
    return _join(warm, found)


def _project(
    exponents: np.ndarray, starts: np.ndarray, points: Points, *, max_iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best ln A, ln B, ln E for each pair of exponents: shape (rows, 3), and the objective there, (rows,)."""

    def objective(linear: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, gradients = huber_lse(_join(linear, exponents[rows]), points)
        return values, gradients[:, [A, B, E]]

    return minimize(objective, starts, max_iterations=max_iterations, gradient_tolerance=1e-10)


def _join(linear: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """Parameter rows from (ln A, ln B, ln E) and (alpha, beta)."""
    return np.concatenate([linear, exponents], axis=1)
