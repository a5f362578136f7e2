"""Filters that judge by what a model said of the text: a classifier, a language model, a list of words.

They differ from the filters of ``filters/rule.py`` in two ways. Which column of ``signals/`` they look at depends on
the config, since models have names. And beside a plain threshold there are draws (a hash of seed, purpose and doc_id)
and ranks ("the best tenth of each language"), whose threshold all documents together give: the cutoffs of
``filters/ranking.py``, found from the stored signals before any document is judged.

As everywhere, what could not be measured (null, NaN) is not held against a document, and is not ranked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa

from filters.ranking import Candidates, Cutoffs, is_above
from filters.rule import Outcome, Rule
from filters.thresholds import TextFilterConfig
from pipeline.language_codes import UNDETERMINED

Judge = Callable[[pa.RecordBatch, Any, Cutoffs | None], Outcome]


@dataclass(frozen=True, kw_only=True)
class ScoredFilter:
    """A filter on scores.

    Args:
        name: its table in ``[filters]``, and its stage in ``decisions/``.
        columns: the columns of ``signals/`` that it reads under a config.
        judge: its verdict on a batch of signals; the cutoffs are None unless it ranks.
        ranks: whether it ranks under a config.
        fractions: shares of a language (null where it is not known) that its cutoffs keep; empty when it does not rank.
        score: what it ranks by, float32, NaN for a row that is not ranked.
        rules: what it does under a config, as rules, where it goes by plain thresholds: then ``decide`` with them says
            what ``judge`` says, but for the reason where a filter has several. Empty where it draws or ranks.
    """

    name: str
    columns: Callable[[Any], tuple[str, ...]]
    judge: Judge
    ranks: Callable[[Any], bool] = lambda config: False
    fractions: Callable[[Any, str | None], tuple[float, ...]] = lambda config, lang: ()
    score: Callable[[pa.RecordBatch, Any], np.ndarray] | None = None
    rules: Callable[[Any], tuple[Rule, ...]] = lambda config: ()

    def candidates(self, signals: pa.RecordBatch, config: Any) -> tuple[Candidates, np.ndarray]:
        """The documents of a batch that are ranked, by language, and their rows."""
        if self.score is None:
            raise TypeError(f"filter {self.name!r} does not rank")
        return ranked(signals, self.score(signals, config))


def with_language(config: TextFilterConfig, *columns: str) -> tuple[str, ...]:
    """``columns``, and ``lang`` where what is judged depends on it."""
    return tuple(dict.fromkeys([*columns, "lang"] if config.depends_on_language else columns))


def ranked(signals: pa.RecordBatch, score: np.ndarray) -> tuple[Candidates, np.ndarray]:
    """Rows with a score, by language, and where they stand in the batch."""
    rows = np.flatnonzero(~np.isnan(score))
    chosen = pa.array(rows, pa.int64())
    candidates = Candidates(
        group=signals.column("lang").take(chosen).cast(pa.string()).fill_null(UNDETERMINED),
        score=score[rows].astype(np.float32),
        doc_id=signals.column("doc_id").take(chosen),
    )
    return candidates, rows


def kept_by_rank(
    signals: pa.RecordBatch, score: np.ndarray, cutoffs: Cutoffs | None, place: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows the cutoffs keep (all that are not ranked among them), and the score at which each is cut (or NaN)."""
    if cutoffs is None:
        raise TypeError("a filter that ranks needs the cutoffs of all documents; find them before it judges")
    candidates, rows = ranked(signals, score)
    kept = np.ones(signals.num_rows, dtype=bool)
    limits = np.full(signals.num_rows, np.nan)
    kept[rows], limits[rows] = is_above(candidates, cutoffs, place)
    return kept, limits


def as_score(column: pa.Array) -> np.ndarray:
    """A column of numbers as float64 with NaN for null, shape (num_rows,)."""
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def outcome_where(
    dropped: np.ndarray, *, stage: str, reason: StrEnum | np.ndarray, value: np.ndarray, threshold: np.ndarray | float
) -> Outcome:
    """The verdict that drops the rows where ``dropped``; ``reason`` may differ by row."""
    passed = ~dropped
    reasons = np.full(len(dropped), str(reason), dtype=object) if isinstance(reason, StrEnum) else reason
    limits = np.broadcast_to(np.asarray(threshold, dtype=np.float64), dropped.shape)
    return Outcome(
        stage=pa.array(np.full(len(dropped), stage, dtype=object), pa.string(), mask=passed),
        reason=pa.array(reasons, pa.string(), mask=passed),
        value=pa.array(value.astype(np.float64), pa.float64(), mask=passed),
        threshold=pa.array(limits, pa.float64(), mask=passed),
    )
