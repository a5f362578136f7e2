"""How often each language should be seen: temperature sampling with a cap on repetition.

Crawls hold a thousand times more English than Khmer. Sampling language i with probability

    p_i = n_i ** alpha / sum_j n_j ** alpha        (n_i: UTF-8 bytes of language i)

lies between proportional (alpha = 1) and uniform (alpha = 0). A budget of B bytes gives language i the share B * p_i,
which is B * p_i / n_i epochs over its text. Nobody should repeat a small language twenty times, so epochs are capped,
and what a capped language cannot take goes to the others in proportion to their p: *water-filling*. Languages reach
their cap in the order of n_i / p_i, so one pass over them in that order is exact (L^2 additions for L languages).

What is left when all are capped is reported as a shortfall, not hidden.

Groups may be domains (the ``[[input]]`` tables' ``domain``) instead of languages, and their shares p may be given as
``weights``, such as a mixture search writes; the cap and the filling are the same.

Source: temperature from Conneau et al. 2020 (XLM-R, section 3.1, alpha = 0.3) and Devlin et al. 2019 (mBERT, 0.7);
the cap from Chung et al. 2023 (UniMax, algorithm 1). Deviations: bytes instead of sentences or characters; UniMax
fills languages up to an equal share, here the share follows the temperature (alpha = 0 gives UniMax).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.mixture_file import SAMPLING, weights_named

_EPOCH_DECIMALS = 12  # so that an epoch computed as 0.9999999999999999 counts as 1


class MixtureReason(StrEnum):
    """Why sampling drops a document."""

    OVER_LANGUAGE_BUDGET = "over_language_budget"
    OVER_DOMAIN_BUDGET = "over_domain_budget"


class MixtureConfig(Config):
    """Shares of languages or domains in the training text.

    Args:
        by: what a group is.
        alpha: exponent of the temperature: 1 keeps the proportions of the crawl, 0 gives every group the same.
        weights: share of each group, scaled to sum 1, instead of the temperature; every group that has documents must
            be named. A group of weight 0 is dropped, its held-out documents excepted. A string is the path of a file
            that ``chaffinch scaling mixture`` or ``scaling regmix`` wrote; the config then holds what the file says,
            so that a run is identified by its weights, not by where they were read.
        budget_bytes: UTF-8 bytes of text to sample; None if ``budget_fraction`` says it.
        budget_fraction: the same as a multiple of the bytes there are; None if ``budget_bytes`` says it.
        max_epochs: how often a document may be repeated at most, on average over its group.
    """

    by: Literal["lang", "domain"] = "lang"
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = Field(default=None, min_length=1)
    alpha: float = Field(default=0.7, ge=0, le=1)
    budget_bytes: int | None = Field(default=None, gt=0)
    budget_fraction: float | None = Field(default=None, gt=0, le=100)
    max_epochs: float = Field(default=4.0, ge=1, le=100)

    @field_validator("weights", mode="before")
    @classmethod
    def _weights_of_file(cls, value: Any, info: ValidationInfo) -> Any:
        return weights_named(value, SAMPLING, info.data.get("by"))

    @model_validator(mode="after")
    def _one_budget(self) -> MixtureConfig:
        if self.budget_bytes is not None and self.budget_fraction is not None:
            raise ValueError(
                f"budget_bytes={self.budget_bytes} and budget_fraction={self.budget_fraction} are both set; "
                f"expected at most one; remove the other"
            )
        if self.weights is not None and self.alpha != MixtureConfig.model_fields["alpha"].default:
            raise ValueError(f"alpha={self.alpha} and weights are both set; expected at most one; remove the other")
        if self.weights is not None and not any(self.weights.values()):
            raise ValueError("every weight is 0, which drops every document; expected a positive one; raise one")
        return self

    @property
    def reason(self) -> MixtureReason:
        """Why a document that is not sampled was dropped."""
        return MixtureReason.OVER_LANGUAGE_BUDGET if self.by == "lang" else MixtureReason.OVER_DOMAIN_BUDGET

    def shares(self, sizes: dict[str, int]) -> dict[str, float]:
        """The share of each group up to a common factor, for bytes by group.

        Raises:
            ConfigError: if ``weights`` leaves a group out, or wants text of one that has none.
        """
        if self.weights is None:
            return {group: float(size) ** self.alpha for group, size in sizes.items()}
        unnamed = sorted(sizes.keys() - self.weights.keys())
        empty = sorted(group for group, weight in self.weights.items() if weight and group not in sizes)
        if unnamed or empty:
            what = f"name no {unnamed[0]!r}, which has text" if unnamed else f"name {empty[0]!r}, which has no text"
            raise ConfigError(
                f"the weights by {self.by} {what} [mixture.weights]; expected a weight for each of "
                f"{', '.join(sorted(sizes))}; {'add it, 0 drops it' if unnamed else 'remove it'}"
            )
        return {group: self.weights[group] for group in sizes}

    def total_budget_bytes(self, kept_bytes: int) -> float:
        """The budget for ``kept_bytes`` of text; without a budget, all of it once."""
        if self.budget_bytes is not None:
            return float(self.budget_bytes)
        return (1.0 if self.budget_fraction is None else self.budget_fraction) * kept_bytes


@dataclass(frozen=True)
class MixturePlan:
    """Epochs per group, and what the budget asks for but the cap does not allow.

    Args:
        epochs: expected copies of a document, by group.
        budget_bytes: bytes asked for.
        shortfall_bytes: bytes of the budget that no group could take; 0 unless every group is capped.
    """

    epochs: dict[str, float]
    budget_bytes: float
    shortfall_bytes: float


def plan_epochs(bytes_per_group: dict[str, int], config: MixtureConfig) -> MixturePlan:
    """Divide the budget among groups (languages or domains).

    Args:
        bytes_per_group: UTF-8 bytes of text by group; a group without bytes gets 0 epochs.
        config: temperature, budget and cap.

    Returns:
        The plan; ``sum(epochs[g] * bytes_per_group[g]) + shortfall_bytes`` is the budget, and no epochs exceed
        ``config.max_epochs``. It does not depend on the order of ``bytes_per_group``.

    Raises:
        ConfigError: if the weights do not fit the groups.
    """
    budget = config.total_budget_bytes(sum(bytes_per_group.values()))
    sizes = {group: size for group, size in sorted(bytes_per_group.items()) if size > 0}
    weights = {group: weight for group, weight in config.shares(sizes).items() if weight > 0}
    epochs = dict.fromkeys(sorted(bytes_per_group), 0.0)
    remaining = budget
    order = sorted(weights, key=lambda group: (sizes[group] / weights[group], group))
    for position, group in enumerate(order):
        weight_left = math.fsum(weights[other] for other in order[position:])
        share = remaining * weights[group] / weight_left
        taken = min(share, config.max_epochs * sizes[group])
        epochs[group] = round(taken / sizes[group], _EPOCH_DECIMALS)
        remaining -= taken
    shortfall = remaining if remaining > budget * 1e-9 else 0.0
    return MixturePlan(epochs=epochs, budget_bytes=budget, shortfall_bytes=shortfall)
