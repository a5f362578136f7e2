"""Rules: predicates over signals, so that a threshold can change without touching text again.

A filter is a name, a config model whose fields are thresholds, and a tuple of rules in the order in which the
source paper applies them. The *measuring* half of a filter is the signal kernel (one pass over the text for all
filters together, ``filters/signals.py``); the *deciding* half is ``decide`` here, on numbers alone.

The first rule that fires ends the document, with the rule's reason, the value found and the threshold.
A signal that is null or NaN never fires a rule: what could not be measured is not held against a document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

Comparison = Literal["<", "<=", ">", ">="]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Drop a document when ``signal <drop_if> threshold``.

    Args:
        reason: names the fault, e.g. ``too_few_stop_words``.
        signal: column of ``signals/``.
        drop_if: comparison between the signal's value and the threshold.
        threshold: field of the filter's config that holds the threshold; ``None`` there turns the rule off.
    """

    reason: StrEnum
    signal: str
    drop_if: Comparison
    threshold: str


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A named list of rules over signals, with its thresholds in ``config_type``."""

    name: str
    config_type: type[BaseModel]
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Outcome:
    """Verdicts of a batch; arrays of shape (num_rows,), null where the document passed every rule."""

    stage: pa.Array  # string: the filter's name
    reason: pa.Array  # string
    value: pa.Array  # float64
    threshold: pa.Array  # float64


def decide(signals: pa.RecordBatch, filters: Sequence[tuple[Filter, BaseModel]]) -> Outcome:
    """Apply ``filters`` in order to a batch of signals.

    Args:
        signals: at least the columns that the rules name.
        filters: each filter with its resolved config; leave a filter out to disable it.

    Returns:
        The first rule that fires for each row.
    """
    num_rows = signals.num_rows
    stage = np.full(num_rows, None, dtype=object)
    reason = np.full(num_rows, None, dtype=object)
    value = np.full(num_rows, np.nan)
    limit = np.full(num_rows, np.nan)
    alive = np.ones(num_rows, dtype=bool)
    for filter_, config in filters:
        for rule in filter_.rules:
            threshold = getattr(config, rule.threshold)
            if threshold is None:
                continue
            measured = _as_float(signals.column(rule.signal))
            hit = alive & _compare(measured, rule.drop_if, float(threshold))
            stage[hit] = filter_.name
            reason[hit] = str(rule.reason)
            value[hit] = measured[hit]
            limit[hit] = threshold
            alive &= ~hit
    passed = alive
    return Outcome(
        stage=pa.array(stage, pa.string()),
        reason=pa.array(reason, pa.string()),
        value=pa.array(value, pa.float64(), mask=passed),
        threshold=pa.array(limit, pa.float64(), mask=passed),
    )


def _as_float(column: pa.Array) -> np.ndarray:
    """Column as float64 with NaN for null, shape (num_rows,)."""
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def _compare(values: np.ndarray, comparison: Comparison, threshold: float) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # NaN compares false: an unmeasured signal fires no rule
        match comparison:
            case "<":
                return values < threshold
            case "<=":
                return values <= threshold
            case ">":
                return values > threshold
            case ">=":
                return values >= threshold
