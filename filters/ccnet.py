"""Buckets of perplexity under a language model of good text: head, middle, tail.

A document's bucket follows from two limits per language on ``perplexity`` (``stages/measure_perplexity.py``). They are
numbers of the config where it gives them, and otherwise percentiles of the language's own documents, as in CCNet: the
30 % of lowest perplexity are the head, the next 30 % the middle. Then the limits are the cutoffs of
``filters/ranking.py``, exact over all documents that the filters before left.

Source: Wenzek et al. 2020 (CCNet), "LM filtering", percentiles as its code has them (30, 60). RedPajama kept head and
middle. Deviation: CCNet takes the percentiles from one shard and applies them to
all; here they are of the run's own documents, unless given.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from filters.ranking import Cutoffs
from filters.rule import Comparison, Outcome, Rule, thresholds_of_rows
from filters.scored_filter import ScoredFilter, as_score, kept_by_rank, outcome_where
from filters.thresholds import Ratio, TextFilterConfig, check_order
from pipeline.config import Config
from pipeline.language_codes import LanguageCode

COLUMN = "perplexity"

Bucket = Literal["head", "middle", "tail"]
BUCKETS: tuple[Bucket, ...] = ("head", "middle", "tail")
_HEAD, _MIDDLE, _TAIL, _NONE = 0, 1, 2, 3


class Reason(StrEnum):
    """Faults that end a document: the bucket that it is in is not kept."""

    PERPLEXITY_HEAD = "perplexity_head"
    PERPLEXITY_MIDDLE = "perplexity_middle"
    PERPLEXITY_TAIL = "perplexity_tail"


_REASONS = (Reason.PERPLEXITY_HEAD, Reason.PERPLEXITY_MIDDLE, Reason.PERPLEXITY_TAIL)


class CcnetThresholds(Config):
    """Limits of a language; both or neither.

    Args:
        max_head_perplexity: highest perplexity of the head.
        max_middle_perplexity: highest perplexity of the middle.
    """

    max_head_perplexity: Ratio = None
    max_middle_perplexity: Ratio = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> CcnetThresholds:
        if (self.max_head_perplexity is None) != (self.max_middle_perplexity is None):
            raise ValueError(
                f"max_head_perplexity = {self.max_head_perplexity} and max_middle_perplexity = "
                f"{self.max_middle_perplexity}; expected both, or neither to go by fractions; set the other"
            )
        check_order(self, "max_head_perplexity", "max_middle_perplexity")
        return self


class CcnetConfig(CcnetThresholds, TextFilterConfig):
    """``[filters.ccnet]``.

    Args:
        keep: the buckets that stay.
        head_fraction: where no limits are given: share of a language's documents in the head.
        middle_fraction: and in the middle.
    """

    keep: tuple[Bucket, ...] = Field(default=("head", "middle"), min_length=1)
    head_fraction: float = Field(default=0.3, gt=0, lt=1)
    middle_fraction: float = Field(default=0.3, gt=0, lt=1)
    lang: dict[LanguageCode, CcnetThresholds] = {}

    @model_validator(mode="after")
    def _fractions_leave_a_tail(self) -> CcnetConfig:
        if self.head_fraction + self.middle_fraction > 1:
            raise ValueError(
                f"head_fraction = {self.head_fraction} and middle_fraction = {self.middle_fraction} are above 1 "
                f"together; expected at most 1; lower one"
            )
        return self


def judge_ccnet(signals: pa.RecordBatch, config: CcnetConfig, cutoffs: Cutoffs | None) -> Outcome:
    """Drop what is in a bucket that is not kept.

    Returns:
        For a dropped document its perplexity, and the limit that keeps it out of the nearest bucket that is kept.
    """
    found = as_score(signals.column(COLUMN))
    head_limits = thresholds_of_rows(signals, config, "max_head_perplexity")
    middle_limits = thresholds_of_rows(signals, config, "max_middle_perplexity")
    with np.errstate(invalid="ignore"):
        in_head, in_middle = found <= head_limits, found <= middle_limits
    if ranks(config):
        score = _ranked_score(signals, config)
        is_ranked = ~np.isnan(score)
        for place, (limits, inside) in enumerate(((head_limits, in_head), (middle_limits, in_middle))):
            kept, cuts = kept_by_rank(signals, score, cutoffs, place)
            limits[is_ranked], inside[is_ranked] = -cuts[is_ranked], kept[is_ranked]
    bucket = np.where(in_head, _HEAD, np.where(in_middle, _MIDDLE, _TAIL))
    bucket[np.isnan(found) | np.isnan(head_limits)] = _NONE
    kept_buckets = [BUCKETS.index(name) for name in config.keep]
    dropped = (bucket != _NONE) & ~np.isin(bucket, kept_buckets)
    nearest_is_head = (bucket == _HEAD) | ((bucket == _MIDDLE) & ("head" in config.keep))
    nearest_is_head |= (bucket == _TAIL) & ("middle" not in config.keep)
    reasons = np.array([*map(str, _REASONS), ""], dtype=object)[bucket]
    limits = np.where(nearest_is_head, head_limits, middle_limits)
    return outcome_where(dropped, stage=CCNET.name, reason=reasons, value=found, threshold=limits)


def ranks(config: CcnetConfig) -> bool:
    """Whether some language goes by fractions."""
    return any(table.max_head_perplexity is None for table in (config, *config.lang.values()))


def _goes_by_fractions(config: CcnetConfig, lang: str | None) -> bool:
    judged = config.languages is None or lang in config.languages
    return judged and config.threshold("max_head_perplexity", lang) is None


def _ranked_score(signals: pa.RecordBatch, config: CcnetConfig) -> np.ndarray:
    """Perplexity with its sign turned, NaN in languages that are not ranked; float32."""
    encoded = signals.column("lang").dictionary_encode(null_encoding="encode")
    by_fractions = np.array([_goes_by_fractions(config, lang) for lang in encoded.dictionary.to_pylist()], dtype=bool)
    is_ranked = by_fractions[encoded.indices.to_numpy(zero_copy_only=False)] if len(signals) else np.zeros(0, bool)
    return np.where(is_ranked, -as_score(signals.column(COLUMN)), np.nan).astype(np.float32)


def _fractions(config: CcnetConfig, lang: str | None) -> tuple[float, ...]:
    if not _goes_by_fractions(config, lang):
        return ()
    return config.head_fraction, config.head_fraction + config.middle_fraction


def _rules(config: CcnetConfig) -> tuple[Rule, ...]:
    """The ends of what is kept; none where a language goes by fractions, nor for a middle cut out of what is kept."""
    if ranks(config) or ("middle" not in config.keep and len(config.keep) > 1):
        return ()
    keeps_middle = "middle" in config.keep
    found = []
    if "head" not in config.keep:
        reason = Reason.PERPLEXITY_HEAD if keeps_middle else Reason.PERPLEXITY_MIDDLE
        found.append(_rule(reason, "<=", "max_head_perplexity" if keeps_middle else "max_middle_perplexity"))
    if "tail" not in config.keep:
        reason = Reason.PERPLEXITY_TAIL if keeps_middle else Reason.PERPLEXITY_MIDDLE
        found.append(_rule(reason, ">", "max_middle_perplexity" if keeps_middle else "max_head_perplexity"))
    return tuple(found)


def _rule(reason: Reason, drop_if: Comparison, threshold: str) -> Rule:
    return Rule(reason=reason, signal=COLUMN, drop_if=drop_if, threshold=threshold)


CCNET = ScoredFilter(
    name="ccnet",
    columns=lambda config: (COLUMN, "doc_id", "lang"),
    judge=judge_ccnet,
    ranks=ranks,
    fractions=_fractions,
    score=_ranked_score,
    rules=_rules,
)
