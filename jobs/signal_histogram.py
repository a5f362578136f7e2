"""Histograms of signals in which every threshold is the edge of a bin, so that each bin is on one side of it.

Counts that range over powers of ten (words, characters) are binned by their logarithm. The end bins take in the half
per cent of documents beyond them: a single page of a million words must not squeeze all others into one bin.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs.run_folder import RuleInForce
from jobs.written_numbers import number, short_number

NUM_BINS = 36
_TAIL = 0.005  # share of documents at each end that the end bins take in
_LOG_MARGIN = 1.2  # room beside the outermost thresholds on a logarithmic axis
_LEAST_SPAN = 1e-6  # relative; below it all values are one
_LOG_ABOVE = 200  # integers that reach further are binned by their logarithm


@dataclass(frozen=True)
class Histogram:
    """Counts of one signal; positions are log10 of the value where ``is_log``.

    Args:
        edges: positions, shape (num_bins + 1,), ascending; the end bins hold everything beyond them.
        counts: documents, shape (num_bins,).
        beyond: whether a rule fires in the bin; every threshold is an edge, so a bin is on one side.
        ranges: first and last value of each bin, for people.
        thresholds: position and label of each rule's threshold.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    beyond: tuple[bool, ...]
    ranges: tuple[tuple[str, str], ...]
    thresholds: tuple[tuple[float, str], ...]
    tick_positions: tuple[float, ...]
    tick_labels: tuple[str, ...]


def as_floats(column: pa.ChunkedArray) -> np.ndarray:
    """Finite values of a numeric column, float64."""
    values = column.cast(pa.float64()).to_numpy()
    return values[np.isfinite(values)]


def histogram(column: pa.ChunkedArray, rules: Sequence[RuleInForce]) -> Histogram | None:
    """Bin one signal so that each threshold of ``rules`` on it is an edge; None if no value is finite."""
    values = as_floats(column)
    if not len(values):
        return None
    is_integer = pa.types.is_integer(column.type)
    cuts = sorted({_first_value_beyond(in_force, is_integer=is_integer) for in_force in rules})
    low, high = (float(value) for value in np.quantile(values, [_TAIL, 1 - _TAIL]))
    is_log = is_integer and values.min() >= 0 and max(high, cuts[-1]) > _LOG_ABOVE
    low, high = _limits(low, high, cuts, is_log=is_log, is_integer=is_integer)
    edges = _edges(low, high, cuts, is_log=is_log, is_integer=is_integer)
    counts = np.histogram(np.clip(values, edges[0], np.nextafter(edges[-1], -math.inf)), edges)[0]
    place = _log_position if is_log else float
    ticks = _ticks(edges[0], edges[-1], is_log=is_log)
    return Histogram(
        edges=tuple(place(edge) for edge in edges),
        counts=tuple(counts.tolist()),
        beyond=tuple(any(in_force.fires(low) for in_force in rules) for low in edges[:-1].tolist()),
        ranges=tuple(_labels_of_range(a, b, is_integer) for a, b in itertools.pairwise(edges)),
        thresholds=tuple((place(cut), _threshold_label(rules, cut, is_integer)) for cut in cuts),
        tick_positions=tuple(place(tick) for tick in ticks),
        tick_labels=tuple(short_number(tick) for tick in ticks),
    )


def _first_value_beyond(in_force: RuleInForce, *, is_integer: bool) -> float:
    """Where the side of the threshold changes: bins are half open, so ``>`` and ``<=`` change just above it."""
    above = in_force.rule.drop_if in (">", "<=")
    if is_integer:
        return float(math.floor(in_force.threshold) + 1 if above else math.ceil(in_force.threshold))
    return float(np.nextafter(in_force.threshold, math.inf)) if above else in_force.threshold


def _limits(low: float, high: float, cuts: Sequence[float], *, is_log: bool, is_integer: bool) -> tuple[float, float]:
    """The axis: ``low`` to ``high``, widened so that a bin lies on either side of every cut."""
    low, high = min(low, cuts[0]), max(high, cuts[-1])
    if is_integer:
        low, high = math.floor(low), math.floor(high) + 1
    if is_log:
        return max(0, min(low, math.floor(cuts[0] / _LOG_MARGIN))), max(high, math.ceil(cuts[-1] * _LOG_MARGIN))
    span = high - low if high - low > _LEAST_SPAN * max(1.0, abs(low), abs(high)) else 1.0
    margin = 1.0 if is_integer else span / NUM_BINS
    low = cuts[0] - margin if cuts[0] - low < margin else low
    high = cuts[-1] + margin if high - cuts[-1] < margin else high
    return low, high


def _edges(low: float, high: float, cuts: Sequence[float], *, is_log: bool, is_integer: bool) -> np.ndarray:
    """About ``NUM_BINS`` bins of like width between ``low`` and ``high``, with every cut an edge."""
    place = _log_position if is_log else float
    points = [low, *(cut for cut in cuts if low < cut < high), high]
    span = place(high) - place(low)
    edges = [low]
    for start, end in itertools.pairwise(points):
        num_bins = max(1, round(NUM_BINS * (place(end) - place(start)) / span))
        inner = np.linspace(place(start), place(end), num_bins + 1)[1:-1]
        inner = 10.0**inner if is_log else inner
        edges.extend((np.round(inner) if is_integer else inner).tolist())
        edges.append(end)
    return np.unique(np.array(edges, dtype=np.float64))


def _log_position(value: float) -> float:
    """Zero stands half a unit below one."""
    return math.log10(max(value, 0.5))


def _labels_of_range(low: float, high: float, is_integer: bool) -> tuple[str, str]:
    return (number(low), number(high - 1)) if is_integer else (number(low), number(high))


def _threshold_label(rules: Sequence[RuleInForce], cut: float, is_integer: bool) -> str:
    labels = {
        f"{in_force.rule.drop_if} {number(in_force.threshold)}"
        for in_force in rules
        if _first_value_beyond(in_force, is_integer=is_integer) == cut
    }
    return ", ".join(sorted(labels))


def _ticks(low: float, high: float, *, is_log: bool) -> list[float]:
    if is_log:
        powers = range(math.ceil(_log_position(low)), math.floor(_log_position(high)) + 1)
        return [*([0.0] if low == 0 else []), *(10.0**power for power in powers)]
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    step = next(step * factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 5)
    return [round(number * step, 12) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
