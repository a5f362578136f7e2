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

NUM_BINS = 36
_TAIL = 0.005  # share of documents at each end that the end bins take in
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
    num_documents: int


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
    low, high = (float(value) for value in np.quantile(values, [_TAIL, 1 - _TAIL]))
    limits = sorted({in_force.threshold for in_force in rules})
    is_log = is_integer and max(high, *limits) > _LOG_ABOVE
    low, high = min([low, *limits]), max([high, *limits])
    cuts = sorted({_first_value_beyond(in_force, is_integer=is_integer) for in_force in rules})
    edges = _edges(low, high, cuts, is_log=is_log, is_integer=is_integer)
    counts = np.histogram(np.clip(values, edges[0], np.nextafter(edges[-1], -math.inf)), edges)[0]
    middles = [_inside(a, b, is_integer=is_integer) for a, b in itertools.pairwise(edges)]
    place = (lambda value: math.log10(max(value, 0.5))) if is_log else float
    ticks = _ticks(edges[0], edges[-1], is_log=is_log)
    return Histogram(
        edges=tuple(place(edge) for edge in edges),
        counts=tuple(counts.tolist()),
        beyond=tuple(any(in_force.fires(middle) for in_force in rules) for middle in middles),
        ranges=tuple(_labels_of_range(a, b, is_integer) for a, b in itertools.pairwise(edges)),
        thresholds=tuple((place(cut), _threshold_label(rules, cut, is_integer)) for cut in cuts),
        tick_positions=tuple(place(tick) for tick in ticks),
        tick_labels=tuple(short_number(tick) for tick in ticks),
        num_documents=len(values),
    )


def _first_value_beyond(in_force: RuleInForce, *, is_integer: bool) -> float:
    """Where the side of the threshold changes: bins are half open, so ``>`` and ``<=`` change just above it."""
    above = in_force.rule.drop_if in (">", "<=")
    if is_integer:
        return float(math.floor(in_force.threshold) + 1 if above else math.ceil(in_force.threshold))
    return float(np.nextafter(in_force.threshold, math.inf)) if above else in_force.threshold


def _edges(low: float, high: float, cuts: Sequence[float], *, is_log: bool, is_integer: bool) -> np.ndarray:
    """About ``NUM_BINS`` bins of like width between ``low`` and ``high``, with every cut an edge."""
    if is_integer:
        low, high = math.floor(low), math.floor(high) + 1
    margin = 0 if is_integer else (high - low or 1.0) / NUM_BINS
    low, high = (low if low == 0 else low - margin), high + margin
    low = max(low, 1.0) if is_log else low
    scale, unscale = (np.log10, lambda x: 10.0**x) if is_log else (np.asarray, np.asarray)
    points = sorted({low, high, *(cut for cut in cuts if low < cut < high)})
    span = float(scale(high) - scale(low))
    edges: list[float] = [low]
    for start, end in itertools.pairwise(points):
        num_bins = max(1, round(NUM_BINS * float(scale(end) - scale(start)) / span))
        inner = unscale(np.linspace(scale(start), scale(end), num_bins + 1)[1:-1])
        edges.extend(np.round(inner) if is_integer else inner)
        edges.append(end)
    return np.unique(np.array(edges, dtype=np.float64))


def _inside(low: float, high: float, *, is_integer: bool) -> float:
    """A value of the half-open bin [low, high)."""
    return low if is_integer else (low + high) / 2


def _labels_of_range(low: float, high: float, is_integer: bool) -> tuple[str, str]:
    return (f"{low:,.0f}", f"{high - 1:,.0f}") if is_integer else (f"{low:.4g}", f"{high:.4g}")


def _threshold_label(rules: Sequence[RuleInForce], cut: float, is_integer: bool) -> str:
    labels = {
        f"{in_force.rule.drop_if} {in_force.threshold:g}"
        for in_force in rules
        if _first_value_beyond(in_force, is_integer=is_integer) == cut
    }
    return ", ".join(sorted(labels))


def _ticks(low: float, high: float, *, is_log: bool) -> list[float]:
    if is_log:
        return [10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    step = next(step * factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 5)
    return [round(number * step, 12) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def short_number(value: float) -> str:
    """1500 as 1.5k: for axes."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:g}{suffix}"
    return f"{value:g}"
