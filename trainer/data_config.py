"""Which training data is drawn how often, and when: the TOML table ``[train.data]``."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.config import Config

Weights = dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]


class PhaseConfig(Config):
    """A part of the training with weights of its own, such as an annealing on clean text.

    Args:
        fraction: of the run's steps.
        weights: as of ``[train.data]``.
    """

    fraction: float = Field(gt=0, le=1)
    weights: Weights


class DataConfig(Config):
    """Weights of groups of documents; they divide the sequences, whatever the groups' sizes.

    Args:
        by: what makes a group: language, domain, or shard.
        weights: share of each group, in any unit; a group that is not named is left out.
        phase: instead of ``weights``: several sets, one after the other.
    """

    by: Literal["lang", "domain", "shard"] = "lang"
    weights: Weights | None = None
    phase: tuple[PhaseConfig, ...] = ()

    @model_validator(mode="after")
    def _weights_divide(self) -> DataConfig:
        if (self.weights is None) == (not self.phase):
            found = "neither" if self.weights is None else "both"
            raise ValueError(f"{found} of weights and phase given in [train.data]; expected one; set weights")
        total = sum(phase.fraction for phase in self.phases)
        if not math.isclose(total, 1, abs_tol=1e-6):
            raise ValueError(f"fractions of [[train.data.phase]] add up to {total:g}; expected 1; mend the last one")
        for number, phase in enumerate(self.phases):
            if not sum(phase.weights.values()) > 0:
                raise ValueError(f"weights of phase {number} add up to 0; expected a positive weight; set one")
        return self

    @property
    def phases(self) -> tuple[PhaseConfig, ...]:
        """All phases; plain ``weights`` are one."""
        return self.phase if self.weights is None else (PhaseConfig(fraction=1, weights=self.weights),)
