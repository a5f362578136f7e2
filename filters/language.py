"""Language: too uncertain, or not wanted.

Source: FineWeb keeps documents whose best language scores above .65 (Penedo et al. 2024, section 3.3). A list of
wanted languages is no threshold, so its rule is a function beside the rules on numbers.
"""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from filters.rule import Filter, Outcome, Rule
from filters.thresholds import Fraction
from pipeline.config import Config


class Reason(StrEnum):
    """Faults that end a document."""

    LANGUAGE_UNCERTAIN = "language_uncertain"
    LANGUAGE_NOT_WANTED = "language_not_wanted"


class LanguageConfig(Config):
    """What to keep.

    Args:
        min_score: lowest score of the best language.
        languages: the languages to keep, coded as in column ``lang``; unset, all are kept.
    """

    min_score: Fraction = 0.65
    languages: tuple[str, ...] | None = Field(default=None, min_length=1)


LANGUAGE = Filter(
    name="language",
    config_type=LanguageConfig,
    rules=(Rule(reason=Reason.LANGUAGE_UNCERTAIN, signal="lang_score", drop_if="<", threshold="min_score"),),
)


def judge_language(lang: pa.Array, config: LanguageConfig) -> Outcome:
    """Drop what is in none of the wanted languages; a null language passes, as it was not identified.

    Args:
        lang: string, language codes.

    Returns:
        An outcome without value and threshold.
    """
    num_rows = len(lang)
    unwanted = pa.repeat(pa.scalar(False), num_rows)
    if config.languages is not None:
        wanted = pc.is_in(lang, value_set=pa.array(config.languages, pa.string()))
        unwanted = pc.and_(pc.invert(wanted), pc.is_valid(lang))
    nothing = pa.scalar(None, pa.string())
    return Outcome(
        stage=pc.if_else(unwanted, pa.scalar(LANGUAGE.name), nothing),
        reason=pc.if_else(unwanted, pa.scalar(str(Reason.LANGUAGE_NOT_WANTED)), nothing),
        value=pa.nulls(num_rows, pa.float64()),
        threshold=pa.nulls(num_rows, pa.float64()),
    )
