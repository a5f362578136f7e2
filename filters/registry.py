"""Which filters run, in which order, and their verdict on a batch of signals.

A filter runs if and only if its table stands in the TOML: ``[filters.gopher_quality]``, empty, runs it with the
paper's thresholds. The order is FineWeb's whatever the order of the tables, so that the reason given does not depend
on how a file is written.
"""

from __future__ import annotations

from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from filters.c4 import C4, C4Config
from filters.fineweb import FINEWEB, FineWebConfig
from filters.gopher_quality import GOPHER_QUALITY, GopherQualityConfig
from filters.gopher_repetition import GOPHER_REPETITION, GopherRepetitionConfig
from filters.language import LANGUAGE, LanguageConfig, judge_language
from filters.rule import Filter, Outcome, decide
from filters.thresholds import TextFilterConfig
from pipeline.config import Config

FILTERS = (LANGUAGE, GOPHER_REPETITION, GOPHER_QUALITY, C4, FINEWEB)
"""All filters on documents, in the order of the FineWeb recipe."""


class FiltersConfig(Config):
    """Table ``[filters]``: one sub-table for each filter that runs."""

    language: LanguageConfig | None = None
    gopher_repetition: GopherRepetitionConfig | None = None
    gopher_quality: GopherQualityConfig | None = None
    c4: C4Config | None = None
    fineweb: FineWebConfig | None = None


def enabled_filters(config: FiltersConfig) -> list[tuple[Filter, Config]]:
    """The filters that run, in their order, each with its config."""
    pairs = [(filter_, getattr(config, filter_.name)) for filter_ in FILTERS]
    return [(filter_, filter_config) for filter_, filter_config in pairs if filter_config is not None]


def required_signals(config: FiltersConfig) -> list[str]:
    """Columns that ``judge`` reads: in the order of first use, each once."""
    names: dict[str, None] = {}
    for filter_, filter_config in enabled_filters(config):
        if getattr(filter_config, "languages", None) is not None:
            names["lang"] = None
        for rule in filter_.rules:
            if getattr(filter_config, rule.threshold) is not None:
                names[rule.signal] = None
    return list(names)


def judge(signals: pa.RecordBatch, config: FiltersConfig) -> Outcome:
    """Apply all filters that run.

    Args:
        signals: one row a document, at least the columns of ``required_signals``.

    Returns:
        For each row the first fault found; null where there is none.
    """
    num_rows = signals.num_rows
    verdict = Outcome(
        stage=pa.nulls(num_rows, pa.string()),
        reason=pa.nulls(num_rows, pa.string()),
        value=pa.nulls(num_rows, pa.float64()),
        threshold=pa.nulls(num_rows, pa.float64()),
    )
    for filter_, filter_config in enabled_filters(config):
        found = decide(signals, [(filter_, filter_config)])
        if filter_ is LANGUAGE and "lang" in required_signals(config):
            found = _first(found, judge_language(signals.column("lang"), cast(LanguageConfig, filter_config)))
        elif isinstance(filter_config, TextFilterConfig) and filter_config.languages is not None:
            judged = pc.is_in(signals.column("lang"), value_set=pa.array(filter_config.languages, pa.string()))
            found = _only_where(judged, found)
        verdict = _first(verdict, found)
    return verdict


def _first(earlier: Outcome, later: Outcome) -> Outcome:
    """``earlier`` where it found a fault, else ``later``."""
    is_over = pc.is_valid(earlier.reason)
    return Outcome(
        stage=pc.if_else(is_over, earlier.stage, later.stage),
        reason=pc.if_else(is_over, earlier.reason, later.reason),
        value=pc.if_else(is_over, earlier.value, later.value),
        threshold=pc.if_else(is_over, earlier.threshold, later.threshold),
    )


def _only_where(rows: pa.Array, outcome: Outcome) -> Outcome:
    """``outcome`` in the rows given (bool, no nulls), no fault in the others."""
    text, number = pa.scalar(None, pa.string()), pa.scalar(None, pa.float64())
    return Outcome(
        stage=pc.if_else(rows, outcome.stage, text),
        reason=pc.if_else(rows, outcome.reason, text),
        value=pc.if_else(rows, outcome.value, number),
        threshold=pc.if_else(rows, outcome.threshold, number),
    )
