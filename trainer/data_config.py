"""Which training data is drawn how often, and when: the TOML table ``[train.data]``."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline.config import Config
from pipeline.mixture_file import TRAINING, weights_named

Weights = dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]


class PhaseConfig(Config):
    """A part of the training with weights of its own, such as an annealing on clean text.

    Args:
        fraction: of the run's steps.
        weights: as of ``[train.data]``.
    """

    fraction: float = Field(gt=0, le=1)
    weights: Weights


class DoReMiConfig(Config):
    """Groups whose weights in the loss move towards those in which a reference model is further ahead (DoReMi).

    Args:
        reference: output folder of a finished training on the same tokenizer.
        groups: their names; every step has sequences of all, in equal numbers.
        step_size: of the exponentiated gradient, per nat of excess loss (the paper's eta).
        smoothing: share of the weights that is uniform after each step (the paper's c).
    """

    reference: str = Field(min_length=1)
    groups: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=2)
    step_size: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    smoothing: float = Field(default=1e-3, gt=0, le=1)

    @model_validator(mode="after")
    def _groups_are_distinct(self) -> DoReMiConfig:
        repeated = sorted({name for name in self.groups if self.groups.count(name) > 1})
        if repeated:
            raise ValueError(f"groups name {repeated[0]!r} twice; expected distinct names; remove one")
        return self


class DataConfig(Config):
    """Weights of groups of documents; they divide the sequences, whatever the groups' sizes.

    Args:
        by: what makes a group: language, domain, or shard.
        weights: share of each group's tokens, in any unit; a group that is not named is left out. A string is the path
            of a file that ``chaffinch scaling mixture`` wrote.
        phase: instead of ``weights``: several sets, one after the other.
        doremi: instead of both: equal shares of the sequences, and weights in the loss that the training finds.
    """

    by: Literal["lang", "domain", "shard"] = "lang"
    weights: Weights | None = None
    phase: tuple[PhaseConfig, ...] = ()
    doremi: DoReMiConfig | None = None

    @field_validator("weights", mode="before")
    @classmethod
    def _weights_of_file(cls, value: Any, info: ValidationInfo) -> Any:
        return weights_named(value, TRAINING, info.data.get("by"))

    @model_validator(mode="after")
    def _weights_divide(self) -> DataConfig:
        given = [name for name in ("weights", "phase", "doremi") if getattr(self, name)]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of weights, phase and doremi"
            raise ValueError(f"{found} given in [train.data]; expected one of the three; set weights")
        if self.doremi is not None:
            return self
        total = sum(phase.fraction for phase in self.phases)
        if not math.isclose(total, 1, abs_tol=1e-6):
            raise ValueError(f"fractions of [[train.data.phase]] add up to {total:g}; expected 1; mend the last one")
        for number, phase in enumerate(self.phases):
            if not sum(phase.weights.values()) > 0:
                raise ValueError(f"weights of phase {number} add up to 0; expected a positive weight; set one")
        return self

    @property
    def phases(self) -> tuple[PhaseConfig, ...]:
        """All phases; plain ``weights`` are one; none with ``doremi``."""
        return self.phase if self.weights is None else (PhaseConfig(fraction=1, weights=self.weights),)
