"""The TOML table ``[sweep]``: which data, which sizes, how many tokens and seeds, for how much compute."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from pipeline.config import Config
from trainer.config import EvaluationConfig


class SweepVariant(Config):
    """One choice of data: finished shards, or a run of the pipeline that differs from ``base`` in a few keys.

    Args:
        name: letters, digits, dots, dashes and underscores; names the folders of its runs.
        shards: folder with ``manifest.json``; None: made from the sweep's ``base`` by ``changes``.
        changes: tables as in a run's config, laid over the base's; ``false`` for a table removes it, none at all is the
            base itself.
        validation: folder whose validation shards its models are scored on; None: the sweep's. For variants with a
            tokenizer of their own: the same text in its tokens.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)
    shards: str | None = Field(default=None, min_length=1)
    changes: dict[str, Any] = Field(default_factory=dict)
    validation: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _made_in_one_way(self) -> SweepVariant:
        if self.shards is not None and self.changes:
            raise ValueError(
                f"variant {self.name!r} has shards and changes; expected finished shards, or changes to the sweep's "
                f"base; remove one"
            )
        return self


class SweepConfig(Config):
    """``[sweep]`` with its ``[[sweep.variant]]`` tables.

    Args:
        output: folder of the plan, the runs and their table.
        variant: the data choices; all train with the same sizes, tokens and seeds, so that runs pair.
        base: folder of a finished run of the pipeline, from whose signals the variants without shards are made.
        validation: folder whose validation shards every model is scored on; None: the base's shards, or the first
            variant's. Variants compare on the same held-out text only.
        budget_flops: of the whole sweep, as the sum of 6 N D; None if ``budget_hours`` says it.
        budget_hours: of the whole sweep on this device at its measured speed; None if ``budget_flops`` says it.
        num_sizes: neighbouring sizes of the ladder, the largest that the budget allows.
        tokens_per_param: D / N of the runs of each size. Several: on one ray the fit is ill-conditioned.
        seeds: number of seeds, counted from ``first_seed``; initial weights and order of the data.
        first_seed: adding seeds to a finished sweep keeps its runs.
        max_epochs: runs that would repeat the data more often than this are left out of the plan, and named.
        context_tokens: length of a sequence.
        max_learning_rate: bound on the ladder's rule, which rises without end towards small sizes.
        parallel_runs: trainings at once, each in a process of its own; small models leave most of a GPU idle.
        evaluation: as of one training.
    """

    output: str = Field(min_length=1)
    variant: tuple[SweepVariant, ...] = Field(min_length=1)
    base: str | None = Field(default=None, min_length=1)
    validation: str | None = Field(default=None, min_length=1)
    budget_flops: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    budget_hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    num_sizes: int = Field(default=4, gt=0, le=20)
    tokens_per_param: tuple[float, ...] = Field(default=(10.0, 20.0, 40.0), min_length=1)
    seeds: int = Field(default=2, gt=0, le=1000)
    first_seed: int = Field(default=0, ge=0)
    max_epochs: float = Field(default=4.0, gt=0)
    context_tokens: int = Field(default=256, gt=1, le=1 << 20)
    max_learning_rate: float = Field(default=1e-2, gt=0, le=1)
    parallel_runs: int = Field(default=1, gt=0, le=64)
    evaluation: EvaluationConfig = EvaluationConfig()
    num_threads: int = Field(default=2, gt=0, le=1024)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _can_be_planned(self) -> SweepConfig:
        if (self.budget_flops is None) == (self.budget_hours is None):
            found = "neither" if self.budget_flops is None else "both"
            raise ValueError(f"{found} of budget_flops and budget_hours given; expected exactly one; set budget_flops")
        names = [variant.name for variant in self.variant]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"two variants are named {repeated[0]!r}; expected distinct names; rename one")
        unmade = [variant.name for variant in self.variant if variant.shards is None]
        if unmade and self.base is None:
            raise ValueError(
                f"variant {unmade[0]!r} has no shards, and the sweep no base to make them from; expected one of them; "
                f"set base to the folder of a finished run"
            )
        if min(self.tokens_per_param) <= 0 or len(set(self.tokens_per_param)) < len(self.tokens_per_param):
            raise ValueError(
                f"tokens_per_param={list(self.tokens_per_param)}; expected distinct positive numbers; try [10, 20, 40]"
            )
        return self

    def validation_of(self, variant: SweepVariant) -> str:
        """The folder whose validation shards score a variant's models."""
        of_base = None if self.base is None else f"{self.base.rstrip('/')}/shards"
        return variant.validation or self.validation or of_base or self.shards_of(self.variant[0])

    def shards_of(self, variant: SweepVariant) -> str:
        """The folder of a variant's shards."""
        if variant.shards is not None:
            return variant.shards
        made = self.base if not variant.changes else f"{self.output.rstrip('/')}/data/{variant.name}"
        return f"{str(made).rstrip('/')}/shards"


class SweepFile(Config):
    """The TOML file of ``chaffinch scaling plan`` and ``run``."""

    sweep: SweepConfig
