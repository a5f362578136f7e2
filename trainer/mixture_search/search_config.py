"""The TOML table ``[mixture_search]``: which data are mixed, and the small trainings that find out how."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pipeline.config import Config
from trainer.config import TrainConfig
from trainer.data_config import Weights
from trainer.scaling.run_table import OVERALL


class DoReMiSearchConfig(Config):
    """``[mixture_search.doremi]``: a reference and a proxy training for each seed and round.

    Args:
        step_size, smoothing: as of ``[train.data.doremi]``.
        baseline: shares of tokens that the first reference is trained on; None: those of the shards.
        seeds: trainings of each kind, counted from ``[mixture_search.train] seed``; two or more give intervals.
        max_rounds: each round's reference is trained on the weights of the round before (iterated DoReMi).
        tolerance: the rounds end when no weight has moved by this much.
    """

    step_size: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    smoothing: float = Field(default=1e-3, gt=0, le=1)
    baseline: Weights | None = Field(default=None, min_length=2)
    seeds: int = Field(default=1, gt=0, le=100)
    max_rounds: int = Field(default=1, gt=0, le=20)
    tolerance: float = Field(default=1e-3, gt=0, lt=1)


class RegMixSearchConfig(Config):
    """``[mixture_search.regmix]``: many trainings, each on a mixture of its own.

    Args:
        runs: number of mixtures; the paper has 512 for 17 domains.
        target: the bits per byte that count: ``overall``, a domain of the held-out text, or ``lang:`` and a language.
    """

    runs: int = Field(default=64, ge=16, le=10_000)
    target: str = Field(default=OVERALL, min_length=1)


class MixtureSearchConfig(Config):
    """``[mixture_search]``.

    Args:
        output: folder of the trainings and of the weights found.
        shards: folder with ``manifest.json``; every group of its training text takes part.
        validation: folder whose validation shards score RegMix's trainings; None: ``shards``.
        by: what a group is.
        train: every training of the search, but for its data.
        parallel_runs: of RegMix's trainings, each in a process of its own.
    """

    output: str = Field(min_length=1)
    shards: str = Field(min_length=1)
    validation: str | None = Field(default=None, min_length=1)
    by: Literal["lang", "domain"] = "lang"
    train: TrainConfig
    parallel_runs: int = Field(default=1, gt=0, le=64)
    doremi: DoReMiSearchConfig = DoReMiSearchConfig()
    regmix: RegMixSearchConfig = RegMixSearchConfig()

    @model_validator(mode="after")
    def _data_are_searched(self) -> MixtureSearchConfig:
        if self.train.data is not None:
            raise ValueError(
                "[mixture_search.train] has a table data; expected none, since the search says what each training "
                "draws; remove it"
            )
        return self


class MixtureSearchFile(Config):
    """The TOML file of ``chaffinch scaling mixture``."""

    mixture_search: MixtureSearchConfig
