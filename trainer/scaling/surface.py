"""The fitted loss surface L(N, D) = E + A/N^alpha + B/D^beta, and what it says of a budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from pipeline.errors import ConfigError

Method = Literal["huber_lbfgs", "variable_projection"]

_MOST_LOG_RATIO = 300.0
"""Beyond e^300 parameters an optimum is an artefact of exponents near zero."""

Interval = tuple[float, float]
"""The 2.5 % and the 97.5 % quantile of bootstrap resamples."""


class Target(BaseModel):
    """What a fit says of a budget C = 6 N D: the best N and D, and the loss there."""

    model_config = ConfigDict(frozen=True)

    flops: float
    n: float
    d: float
    loss: float
    n_interval: Interval | None = None
    d_interval: Interval | None = None
    loss_interval: Interval | None = None


class ScalingFit(BaseModel):
    """A fitted loss surface; the loss is in nats per token where the points' was."""

    model_config = ConfigDict(frozen=True)

    method: Method
    num_points: int
    objective: float  # sum of Huber distances in log loss, delta 1e-3
    A: float
    B: float
    E: float
    alpha: float
    beta: float
    a: float  # the optimal N grows as C^a: beta / (alpha + beta)
    a_interval: Interval | None = None
    alpha_interval: Interval | None = None
    beta_interval: Interval | None = None
    E_interval: Interval | None = None
    target: Target | None = None

    def loss(self, n: float, d: float) -> float:
        """Loss predicted for N parameters and D tokens."""
        return self.E + self.A / n**self.alpha + self.B / d**self.beta

    @property
    def has_optimum(self) -> bool:
        """Whether the loss falls with N and with D, so that a budget has a best division between them.

        Few points over a narrow range are often fitted best by a surface that is flat in one of the two.
        """
        falls = min(self.A, self.B, self.alpha, self.beta) > 0
        return falls and abs(self._log_ratio()) < _MOST_LOG_RATIO

    def _log_ratio(self) -> float:
        """ln of the optimal N at C = 6."""
        logs = math.log(self.alpha) + math.log(self.A) - math.log(self.beta) - math.log(self.B)
        return logs / (self.alpha + self.beta)

    def optimum(self, flops: float) -> tuple[float, float]:
        """The N and D of lowest predicted loss under 6 N D = ``flops`` (Hoffmann et al. 2022, equation 4).

        Raises:
            ConfigError: if there is none.
        """
        if not self.has_optimum:
            raise ConfigError(
                f"the fitted loss does not fall with both N and D (A = {self.A:.3g}, alpha = {self.alpha:.3g}, "
                f"B = {self.B:.3g}, beta = {self.beta:.3g}); expected runs that show both; add sizes and tokens"
            )
        n = math.exp(self._log_ratio()) * (flops / 6) ** self.a
        if not 1 <= n <= flops / 6:
            raise ConfigError(
                f"the fit puts the best N at {n:.3g} parameters for {flops:.3g} FLOPs; expected a model of at least "
                f"one parameter and token; the runs lie too close together to say: add sizes and tokens"
            )
        return n, flops / 6 / n


def predict(fitted: ScalingFit, flops: float, samples: Sequence[ScalingFit] = ()) -> Target:
    """Extrapolate to a budget.

    Args:
        fitted: the fit.
        flops: the budget C.
        samples: fits of bootstrap resamples, for the intervals; none gives none. If one of them has no optimum, there
            are no intervals either: without it they would be too short.

    Raises:
        ConfigError: if the fit has no optimum.
    """

    def at(fit: ScalingFit) -> tuple[float, float, float]:
        n, d = fit.optimum(flops)
        return n, d, fit.loss(n, d)

    n, d, loss = at(fitted)
    target = Target(flops=flops, n=n, d=d, loss=loss)
    try:
        columns = list(zip(*(at(sample) for sample in samples), strict=True))
    except ConfigError:
        return target
    if not samples:
        return target
    names = ("n_interval", "d_interval", "loss_interval")
    return target.model_copy(update={name: interval_of(list(c)) for name, c in zip(names, columns, strict=True)})


def interval_of(values: list[float]) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
