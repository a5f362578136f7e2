"""Drop pages with words of a list; some of them may stay, by a draw.

Source: Raffel et al. 2020 (C4), section 2.2: "we removed any page that contained any word on the 'List of Dirty,
Naughty, Obscene or Otherwise Bad Words'"; datatrove's ``keep_fraction`` for the draw. The lists are not part of this
distribution (docs/quality.md says where they are). Deviations: combining marks count as parts of words, and a page may
be allowed some such words.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import pyarrow as pa
from pydantic import Field

from filters.ranking import Cutoffs
from filters.rule import Outcome, Rule, thresholds_of_rows
from filters.scored_filter import ScoredFilter, as_score, outcome_where, with_language
from filters.thresholds import Count, TextFilterConfig
from pipeline.config import Config
from pipeline.hashing import hash_keys, uniform
from pipeline.language_codes import LanguageCode

COLUMN = "num_bad_words"


class Reason(StrEnum):
    """Faults that end a document."""

    TOO_MANY_BAD_WORDS = "too_many_bad_words"


class BadWordsThresholds(Config):
    """Args: max_bad_words: words of the list that a document may hold."""

    max_bad_words: Count = 0


class BadWordsConfig(BadWordsThresholds, TextFilterConfig):
    """``[filters.bad_words]``.

    Args:
        keep_fraction: share of the documents with too many such words that stays nevertheless.
        seed: of that draw; that of ``[run]`` if unset there.
    """

    keep_fraction: float = Field(default=0.0, ge=0, lt=1)
    seed: int = Field(default=0, ge=0)
    lang: dict[LanguageCode, BadWordsThresholds] = {}


def judge_bad_words(signals: pa.RecordBatch, config: BadWordsConfig, cutoffs: Cutoffs | None) -> Outcome:
    """Drop what holds more than ``max_bad_words``; nothing is ranked."""
    found = as_score(signals.column(COLUMN))
    limits = thresholds_of_rows(signals, config, "max_bad_words")
    with np.errstate(invalid="ignore"):
        dropped = found > limits
    if config.keep_fraction > 0:
        draws = uniform(hash_keys(config.seed, "bad_words", signals.column("doc_id").to_pylist()))
        dropped &= draws >= config.keep_fraction
    return outcome_where(dropped, stage=BAD_WORDS.name, reason=Reason.TOO_MANY_BAD_WORDS, value=found, threshold=limits)


_RULE = Rule(reason=Reason.TOO_MANY_BAD_WORDS, signal=COLUMN, drop_if=">", threshold="max_bad_words")

BAD_WORDS = ScoredFilter(
    name="bad_words",
    columns=lambda config: with_language(config, COLUMN, *(("doc_id",) if config.keep_fraction > 0 else ())),
    judge=judge_bad_words,
    rules=lambda config: () if config.keep_fraction > 0 else (_RULE,),
)
