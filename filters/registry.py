"""Which filters run, in which order, and their verdict on a batch of signals.

A filter runs if and only if its table stands in the TOML: ``[filters.gopher_quality]``, empty, runs it with the
paper's thresholds. The order is FineWeb's whatever the order of the tables, so that the reason given does not depend
on how a file is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from filters.bad_words import BAD_WORDS, BadWordsConfig
from filters.c4 import C4, C4Config
from filters.ccnet import CCNET, CcnetConfig
from filters.dsir import DSIR, DsirConfig
from filters.fineweb import FINEWEB, FineWebConfig
from filters.gopher_quality import GOPHER_QUALITY, GopherQualityConfig
from filters.gopher_repetition import GOPHER_REPETITION, GopherRepetitionConfig
from filters.language import LANGUAGE, LanguageConfig, judge_language
from filters.line_rules import CLEAN_LINES, CleanLinesFilterConfig
from filters.quality import QUALITY, TOXICITY, QualityConfig, ToxicityConfig
from filters.ranking import Cutoffs
from filters.refinedweb import REFINEDWEB, RefinedWebConfig
from filters.rule import Filter, Outcome, decide
from filters.scored_filter import ScoredFilter
from filters.thresholds import ByLanguage
from pipeline.config import Config

FILTERS = (LANGUAGE, GOPHER_REPETITION, GOPHER_QUALITY, C4, FINEWEB, REFINEDWEB, CLEAN_LINES)
"""All filters on documents, in the order of the FineWeb recipe; then what other recipes add."""

REJECTED_ONLY = "keep_rejected"
"""Ends the documents that no filter finds a fault with, for the reason ``ACCEPTED``, where they are not wanted."""

ACCEPTED = "accepted_by_filters"

SCORED_FILTERS = (BAD_WORDS, CCNET, QUALITY, TOXICITY, DSIR)
"""Filters on what models said of a text; they come after the others, so that ranks are among what those left."""


class FiltersConfig(Config):
    """Table ``[filters]``: one sub-table for each filter that runs.

    Args:
        keep_rejected: keep what the filters reject and drop what they accept. What was thrown away is then a corpus
            like any other, and a paired training says whether the filters were right.
    """

    keep_rejected: bool = False
    language: LanguageConfig | None = None
    gopher_repetition: GopherRepetitionConfig | None = None
    gopher_quality: GopherQualityConfig | None = None
    c4: C4Config | None = None
    fineweb: FineWebConfig | None = None
    refinedweb: RefinedWebConfig | None = None
    clean_lines: CleanLinesFilterConfig | None = None
    bad_words: BadWordsConfig | None = None
    ccnet: CcnetConfig | None = None
    quality: QualityConfig | None = None
    toxicity: ToxicityConfig | None = None
    dsir: DsirConfig | None = None


def enabled_filters(config: FiltersConfig) -> list[tuple[Filter, ByLanguage]]:
    """The filters that run, in their order, each with its config."""
    pairs = [(filter_, getattr(config, filter_.name)) for filter_ in FILTERS]
    return [(filter_, filter_config) for filter_, filter_config in pairs if filter_config is not None]


def enabled_scored_filters(config: FiltersConfig) -> list[tuple[ScoredFilter, Any]]:
    """The filters on scores that run, in their order, each with its config."""
    pairs = [(filter_, getattr(config, filter_.name)) for filter_ in SCORED_FILTERS]
    return [(filter_, filter_config) for filter_, filter_config in pairs if filter_config is not None]


def filters_by_rules(config: FiltersConfig) -> list[tuple[Filter, ByLanguage]]:
    """All filters that run and go by thresholds: those on signals, then those on scores that neither draw nor rank."""
    on_scores = [
        (Filter(name=filter_.name, config_type=type(filter_config), rules=rules), filter_config)
        for filter_, filter_config in enabled_scored_filters(config)
        if (rules := filter_.rules(filter_config))
    ]
    return [*enabled_filters(config), *on_scores]


def enabled_names(config: FiltersConfig) -> list[str]:
    """Names of all filters that run, in their order: what ``stage`` may be in ``decisions/``."""
    if config.keep_rejected:
        return [REJECTED_ONLY]
    by_rules = [filter_.name for filter_, _ in enabled_filters(config)]
    return by_rules + [filter_.name for filter_, _ in enabled_scored_filters(config)]


def required_signals(config: FiltersConfig) -> list[str]:
    """Columns that ``judge`` reads: in the order of first use, each once."""
    names: dict[str, None] = {}
    for filter_, filter_config in enabled_filters(config):
        if filter_config.depends_on_language:
            names["lang"] = None
        for rule in filter_.rules:
            if filter_config.any_threshold(rule.threshold):
                names[rule.signal] = None
    for scored_filter, scored_config in enabled_scored_filters(config):
        names |= dict.fromkeys(scored_filter.columns(scored_config))
    return list(names)


def judge(
    signals: pa.RecordBatch, config: FiltersConfig, cutoffs: Mapping[str, Cutoffs] = {}, *, before: str | None = None
) -> Outcome:
    """Apply all filters that run.

    Args:
        signals: one row a document, at least the columns of ``required_signals``.
        cutoffs: of each filter that ranks, by its name (``filters/cutoffs.py`` finds them).
        before: stop before this filter of ``SCORED_FILTERS``.

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
        verdict = _first(verdict, found)
    for scored_filter, scored_config in enabled_scored_filters(config):
        if scored_filter.name == before:
            break
        found = scored_filter.judge(signals, scored_config, cutoffs.get(scored_filter.name))
        verdict = _first(verdict, found)
    return verdict


def exchange(verdict: Outcome) -> Outcome:
    """Keep what ``verdict`` ends and end what it keeps (``keep_rejected``)."""
    is_accepted = pc.is_null(verdict.reason)
    nothing = pa.nulls(len(verdict.reason), pa.string())
    no_number = pa.nulls(len(verdict.reason), pa.float64())
    return Outcome(
        stage=pc.if_else(is_accepted, REJECTED_ONLY, nothing),
        reason=pc.if_else(is_accepted, ACCEPTED, nothing),
        value=no_number,
        threshold=no_number,
    )


def _first(earlier: Outcome, later: Outcome) -> Outcome:
    """``earlier`` where it found a fault, else ``later``."""
    is_over = pc.is_valid(earlier.reason)
    return Outcome(
        stage=pc.if_else(is_over, earlier.stage, later.stage),
        reason=pc.if_else(is_over, earlier.reason, later.reason),
        value=pc.if_else(is_over, earlier.value, later.value),
        threshold=pc.if_else(is_over, earlier.threshold, later.threshold),
    )
