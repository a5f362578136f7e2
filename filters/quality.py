"""Keep what a quality classifier scores high, drop what a toxicity classifier does.

Three ways to keep by a score, which is a classifier's probability that a text is of the kept kind:

* ``threshold``: the score is at least ``min_score``.
* ``top_fraction``: the document is among the best ``keep_fraction`` of its language, of those that the filters before
  this one left (DCLM keeps the best tenth).
* ``pareto``: a draw from a Pareto distribution is above 1 - score. So nearly all of what scores close to 1 is kept, and
  some of what scores low: with alpha = 9 a document of score s stays with probability (2 - s) ** -9, which is 0.2 % at
  s = 0 and 42 % at s = 0.9. The draw is a hash of (seed, doc_id), so the same documents stay on every run.

Source: Brown et al. 2020 (GPT-3), appendix A: keep if ``np.random.pareto(9) > 1 - document_score``; Du et al. 2022
(GLaM), section 3; Li et al. 2024 (DCLM), section 4.4. Deviation: DCLM ranks all documents together, here each language
has its own cut, since classifiers score languages differently.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from filters.ranking import Cutoffs
from filters.rule import Outcome, Rule, thresholds_of_rows
from filters.scored_filter import ScoredFilter, as_score, kept_by_rank, outcome_where, with_language
from filters.thresholds import Fraction, Ratio, TextFilterConfig
from pipeline.config import Config, Off
from pipeline.hashing import hash_keys, uniform
from pipeline.language_codes import LanguageCode

ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""A model's name in the config: part of a column's name."""

GPT3_ALPHA = 9.0


class Reason(StrEnum):
    """Faults that end a document."""

    QUALITY_TOO_LOW = "quality_too_low"
    BELOW_TOP_FRACTION = "below_top_fraction"
    BELOW_PARETO_DRAW = "below_pareto_draw"
    TOO_TOXIC = "too_toxic"


class QualityThresholds(Config):
    """What may differ by language.

    Args:
        min_score: with ``threshold``: the lowest score that is kept, on the model's scale.
        keep_fraction: with ``top_fraction``: the share of the language's documents that is kept.
    """

    min_score: Ratio = None
    keep_fraction: Annotated[float | None, Field(gt=0, le=1), Off] = None


class QualityConfig(QualityThresholds, TextFilterConfig):
    """``[filters.quality]``.

    Args:
        model: name of a ``[[quality.models]]`` of kind quality, or of a ``[[quality.embeddings]]``.
        method: how a score decides.
        pareto_alpha: with ``pareto``, for scores from 0 to 1: the larger, the fewer documents of low score; 9 if unset.
        seed: of the draws of ``pareto``; that of ``[run]`` if unset there.
    """

    model: ModelName
    method: Literal["threshold", "top_fraction", "pareto"] = "threshold"
    pareto_alpha: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    seed: int = Field(default=0, ge=0)
    lang: dict[LanguageCode, QualityThresholds] = {}

    @model_validator(mode="after")
    def _keys_of_the_method(self) -> QualityConfig:
        own = {"threshold": "min_score", "top_fraction": "keep_fraction", "pareto": "pareto_alpha"}[self.method]
        for key in ("min_score", "keep_fraction", "pareto_alpha"):
            if key != own and getattr(self, key) is not None:
                raise ValueError(
                    f"{key} = {getattr(self, key)} has no meaning with method = {self.method!r}; expected {own}; "
                    f"remove it or change the method"
                )
        if self.method != "pareto" and not self.any_threshold(own):
            raise ValueError(f"method = {self.method!r} has no {own}; expected a number; set {own}")
        if self.method == "pareto" and self.lang:
            raise ValueError(
                "lang has tables, but method = 'pareto' draws alike in all languages; expected none; remove them"
            )
        return self


class ToxicityThresholds(Config):
    """Args: max_score: the highest score that is kept."""

    max_score: Fraction = 0.5


class ToxicityConfig(ToxicityThresholds, TextFilterConfig):
    """``[filters.toxicity]``.

    Args:
        model: name of a ``[[quality.models]]`` of kind toxicity.
    """

    model: ModelName
    lang: dict[LanguageCode, ToxicityThresholds] = {}


def quality_column(config: QualityConfig) -> str:
    """Column of ``signals/`` with the classifier's score."""
    return score_column("quality", config.model)


def score_column(kind: str, name: str) -> str:
    """Column of ``signals/`` that holds the score of a classifier."""
    return f"{kind}_{name}"


def pareto_draws(seed: int, doc_ids: pa.Array, alpha: float) -> np.ndarray:
    """Draws as of ``np.random.pareto(alpha)``, one a document; shape (num_documents,), float64, 0 or more."""
    draws = uniform(hash_keys(seed, "quality_pareto", doc_ids.to_pylist()))
    return (1.0 - draws) ** (-1.0 / alpha) - 1.0


def judge_quality(signals: pa.RecordBatch, config: QualityConfig, cutoffs: Cutoffs | None) -> Outcome:
    """Drop what scores too low.

    Args:
        signals: the columns of ``QUALITY.columns(config)``.
        cutoffs: with ``top_fraction``: of all documents.

    Returns:
        For a dropped document its score and the score that it would have needed, in a draw's case more than that.
    """
    if config.method == "top_fraction":
        score = _ranked_score(signals, config)
        kept, limits = kept_by_rank(signals, score, cutoffs)
        return outcome_where(~kept, stage=QUALITY.name, reason=Reason.BELOW_TOP_FRACTION, value=score, threshold=limits)
    score = as_score(signals.column(quality_column(config)))
    with np.errstate(invalid="ignore"):  # NaN (no score, or no threshold for the language) compares false: it stays
        if config.method == "pareto":
            alpha = GPT3_ALPHA if config.pareto_alpha is None else config.pareto_alpha
            limits = 1.0 - pareto_draws(config.seed, signals.column("doc_id"), alpha)
            dropped, reason = (score <= limits) & _is_judged(signals, config), Reason.BELOW_PARETO_DRAW
        else:
            limits = thresholds_of_rows(signals, config, "min_score")
            dropped, reason = score < limits, Reason.QUALITY_TOO_LOW
    return outcome_where(dropped, stage=QUALITY.name, reason=reason, value=score, threshold=limits)


def judge_toxicity(signals: pa.RecordBatch, config: ToxicityConfig, cutoffs: Cutoffs | None) -> Outcome:
    """Drop what scores above ``max_score``; nothing is ranked."""
    score = as_score(signals.column(score_column("toxicity", config.model)))
    limits = thresholds_of_rows(signals, config, "max_score")
    with np.errstate(invalid="ignore"):
        dropped = score > limits
    return outcome_where(dropped, stage=TOXICITY.name, reason=Reason.TOO_TOXIC, value=score, threshold=limits)


def _is_judged(signals: pa.RecordBatch, config: QualityConfig) -> np.ndarray:
    """Rows in a language that the filter judges."""
    if config.languages is None:
        return np.ones(signals.num_rows, dtype=bool)
    judged = pc.is_in(signals.column("lang"), value_set=pa.array(config.languages, pa.string()))
    return judged.to_numpy(zero_copy_only=False)


def _ranked_score(signals: pa.RecordBatch, config: QualityConfig) -> np.ndarray:
    """Score of the rows in languages that have a ``keep_fraction``, NaN for the others."""
    is_ranked = ~np.isnan(thresholds_of_rows(signals, config, "keep_fraction"))
    return np.where(is_ranked, as_score(signals.column(quality_column(config))), np.nan)


def _fractions(config: QualityConfig, lang: str | None) -> tuple[float, ...]:
    fraction = config.threshold("keep_fraction", lang)
    return () if fraction is None else (fraction,)


def _quality_columns(config: QualityConfig) -> tuple[str, ...]:
    others = {"threshold": (), "pareto": ("doc_id",), "top_fraction": ("doc_id", "lang")}[config.method]
    return with_language(config, quality_column(config), *others)


def _quality_rules(config: QualityConfig) -> tuple[Rule, ...]:
    if config.method != "threshold":
        return ()
    return (Rule(reason=Reason.QUALITY_TOO_LOW, signal=quality_column(config), drop_if="<", threshold="min_score"),)


def _toxicity_rules(config: ToxicityConfig) -> tuple[Rule, ...]:
    column = score_column("toxicity", config.model)
    return (Rule(reason=Reason.TOO_TOXIC, signal=column, drop_if=">", threshold="max_score"),)


QUALITY = ScoredFilter(
    name="quality",
    columns=_quality_columns,
    judge=judge_quality,
    ranks=lambda config: config.method == "top_fraction",
    fractions=_fractions,
    score=_ranked_score,
    rules=_quality_rules,
)

TOXICITY = ScoredFilter(
    name="toxicity",
    columns=lambda config: with_language(config, score_column("toxicity", config.model)),
    judge=judge_toxicity,
    rules=_toxicity_rules,
)
