"""What a model learns to predict: the TOML table ``[train.objective]``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.config import Config

Name = Literal["causal", "prefix", "masked", "span_corruption", "fill_in_the_middle", "ul2"]

SEQ2SEQ: tuple[Name, ...] = ("prefix", "span_corruption", "ul2")
"""What an encoder-decoder can be trained by."""

NUM_SENTINELS = 100
"""T5's number: spans that one sequence can have."""

SPECIAL_IDS = ("mask", "prefix", "suffix", "middle", "mode_r", "mode_s", "mode_x")
"""Ids behind the vocabulary, before the sentinels."""


class SelectiveLossConfig(Config):
    """Learn from the tokens alone that a reference model knows better (Rho-1).

    Args:
        reference: output folder of a finished training on the same tokenizer.
        keep_fraction: of the targets, those with the largest excess of this model's loss over the reference's.
    """

    reference: str = Field(min_length=1)
    keep_fraction: float = Field(default=0.6, gt=0, le=1)


class ObjectiveConfig(Config):
    """Objective and its numbers.

    Args:
        name: all but ``causal`` and ``fill_in_the_middle`` let a first part of the sequence see itself both ways.
        noise_density: of ``masked`` and ``span_corruption``, the share of tokens that is hidden.
        mean_span_tokens: of ``span_corruption``.
        fim_rate: of ``fill_in_the_middle``, the share of documents that are rearranged.
        spm_rate: of these, the share in the order suffix, prefix, middle; the others are prefix, suffix, middle.
        selective: a reference model that says which targets count; None: all.
    """

    name: Name = "causal"
    noise_density: float = Field(default=0.15, gt=0, lt=1)
    mean_span_tokens: float = Field(default=3.0, ge=1)
    fim_rate: Annotated[float, Field(ge=0, le=1)] = 0.5
    spm_rate: Annotated[float, Field(ge=0, le=1)] = 0.5
    selective: SelectiveLossConfig | None = None

    @model_validator(mode="after")
    def _selects_from_all(self) -> ObjectiveConfig:
        if self.selective is not None and self.name != "causal":
            raise ValueError(
                f"[train.objective.selective] with name={self.name!r}; expected 'causal', whose losses the reference "
                f"has too; remove one"
            )
        return self

    @property
    def num_special_ids(self) -> int:
        """Ids that the model needs behind the vocabulary."""
        return 0 if self.name in ("causal", "prefix") else len(SPECIAL_IDS) + NUM_SENTINELS
