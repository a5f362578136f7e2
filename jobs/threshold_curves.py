"""Threshold curves: what every numeric rule would keep as its threshold moves, per language.

A curve has about ``NUM_POINTS`` thresholds: quantiles of the signal, and the thresholds in force. All languages share
them, so that their rows add up. Of each threshold two answers are given: what the rule *alone* keeps of all documents
with text, and what all rules *together* keep with this one moved and the others as the run has them, before
deduplication. Filters on signals that the run did not use are looked at with their default thresholds, alone and on top
of the rest; languages that a filter leaves out, as if it judged them. Filters on scores have curves where the run used
them by plain thresholds; what draws or ranks (``top_fraction``, ``pareto``, DSIR, CCNet's fractions) has no threshold
that could move.

The signals are scanned once. Each document falls into one bin between neighbouring thresholds, so a batch costs one
binary search per rule and document, and what is kept at every threshold is a running sum over bins; memory is
bounded by the number of rules, languages and thresholds.

Tokens are estimated: a document's bytes over its language's bytes per token, as the run's shards have it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.cutoffs import find_all_cutoffs
from filters.language import LANGUAGE
from filters.ranking import Cutoffs
from filters.registry import FILTERS, FiltersConfig, filters_by_rules, judge, required_signals
from filters.rule import Rule, fires, thresholds_of_rows
from filters.thresholds import ByLanguage
from jobs.report_facts import sample_signals
from jobs.run_folder import RunFolder
from jobs.threshold_curve import SCHEMA, Curve, rows_of
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.language_codes import UNDETERMINED
from pipeline.shard_manifest import load_manifest

CURVES = "report/threshold_curves.parquet"
NUM_POINTS = 61
_ROWS_PER_BATCH = 1 << 16


def write_curves(run_folder: str) -> str:
    """Write ``report/threshold_curves.parquet`` of a run with signals, and say where it is.

    Raises:
        ConfigError: if ``run_folder`` is no run, or has no signals yet.
    """
    run = RunFolder(run_folder)
    location = run.path(CURVES)
    storage.make_folder(run.path("report"))
    filesystem, path = storage.resolve(location)
    pq.write_table(curves(run), path, filesystem=filesystem, compression="zstd")
    return location


def curves(run: RunFolder) -> pa.Table:
    """The curves of all rules whose signals the run has measured.

    Returns:
        Columns of ``SCHEMA``; rules in the order in which they judge, languages sorted, thresholds ascending.

    Raises:
        ConfigError: if the run has no signals yet.
    """
    if not run.is_finished("signals"):
        raise ConfigError(f"{run.location} has no finished signals/; expected a run that came so far; run it further")
    filters = run.filters_config
    found = _empty_curves(run, filters)
    if found:
        _scan(run, filters, found)
    rates = bytes_per_token(run)
    columns: dict[str, list[pa.Array]] = defaultdict(list)
    for curve in found:
        for lang in sorted(curve.sums):
            for name, values in rows_of(curve, lang, rates.get(lang)).items():
                columns[name].append(values)
    arrays = [pa.chunked_array(columns[name], type=kind) for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


def bytes_per_token(run: RunFolder) -> dict[str, float]:
    """UTF-8 bytes of text per token by language, in the run's shards; empty if it has none."""
    if not storage.exists(run.path("shards/manifest.json")):
        return {}
    tokens: dict[str, int] = defaultdict(int)
    num_bytes: dict[str, int] = defaultdict(int)
    for shard in load_manifest(run.path("shards")).shards:
        for lang, share in shard.per_language.items():
            tokens[lang] += share.tokens
            num_bytes[lang] += share.bytes
    return {lang: num_bytes[lang] / total for lang, total in tokens.items() if total}


def _empty_curves(run: RunFolder, filters: FiltersConfig) -> list[Curve]:
    """A curve for each rule, with the thresholds to look at."""
    measured = set(run.dataset("signals").schema.names)
    by_rules = filters_by_rules(filters)
    enabled = {filter_.name: config for filter_, config in by_rules}
    on_scores = [filter_ for filter_, _ in by_rules if filter_ not in FILTERS]
    rules = [
        (filter_, rule, enabled[filter_.name] if filter_.name in enabled else filter_.config_type())
        for filter_ in (*FILTERS, *on_scores)
        for rule in filter_.rules
        if rule.signal in measured
    ]
    sample = sample_signals(run, list(dict.fromkeys(rule.signal for _, rule, _ in rules))).table
    return [
        Curve(filter_, rule, config, filter_.name in enabled, _points(sample.column(rule.signal), rule, config))
        for filter_, rule, config in rules
    ]


def _points(column: pa.ChunkedArray, rule: Rule, config: ByLanguage) -> np.ndarray:
    """Thresholds to look at: quantiles of the signal, and all that are in force; counts stay whole."""
    values = column.cast(pa.float64()).to_numpy()
    values = values[np.isfinite(values)]
    method: Literal["nearest", "linear"] = "nearest" if pa.types.is_integer(column.type) else "linear"
    quantiles = np.quantile(values, np.linspace(0, 1, NUM_POINTS), method=method) if len(values) else np.empty(0)
    in_force = [getattr(table, rule.threshold) for table in (config, *config.overrides().values())]
    return np.unique([*quantiles, *(float(threshold) for threshold in in_force if threshold is not None)])


def _scan(run: RunFolder, filters: FiltersConfig, found: list[Curve]) -> None:
    """Fill the curves from all documents with text that the rules looked at."""
    read = ["doc_id", "lang", "num_bytes", "ended_reason", *required_signals(filters), *_signals(found)]
    columns = list(dict.fromkeys(read))
    dataset = run.dataset("signals")

    def batches() -> Iterator[pa.RecordBatch]:
        has_text = pc.field("row_index").is_valid() & pc.field("ended_reason").is_null()
        return dataset.to_batches(columns=columns, filter=has_text, batch_size=_ROWS_PER_BATCH)

    cutoffs = find_all_cutoffs(lambda function: map(function, batches()), filters)
    for batch in batches():
        if batch.num_rows:
            _add(batch, filters, cutoffs, found)


def _add(batch: pa.RecordBatch, filters: FiltersConfig, cutoffs: dict[str, Cutoffs], found: list[Curve]) -> None:
    values = {name: batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False) for name in _signals(found)}
    faults = pc.is_valid(judge(batch, _without_rules(filters), cutoffs).reason).to_numpy(zero_copy_only=False)
    num_faults = faults.astype(np.int64)
    own_faults = []
    for curve in found:
        limits = thresholds_of_rows(batch, curve.config, curve.rule.threshold)
        own = fires(values[curve.rule.signal], curve.rule.drop_if, limits) & curve.is_enabled
        own_faults.append(own)
        num_faults += own
    encoded = pc.fill_null(batch.column("lang"), UNDETERMINED).dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    num_bytes = pc.fill_null(batch.column("num_bytes"), 0).to_numpy(zero_copy_only=False).astype(np.float64)
    names = encoded.dictionary.to_pylist()
    for curve, own in zip(found, own_faults, strict=True):
        is_left = num_faults - own == 0  # by all other rules
        num_bins = len(curve.thresholds) + 1
        cells = codes * num_bins + curve.bins(values[curve.rule.signal])
        sums = [
            np.bincount(cells, weights=weights, minlength=len(names) * num_bins).reshape(len(names), num_bins)
            for weights in (None, num_bytes, is_left.astype(np.float64), num_bytes * is_left)
        ]
        for code, lang in enumerate(names):
            of_lang = np.stack([of_all[code] for of_all in sums])
            curve.sums[lang] = curve.sums.get(lang, np.zeros_like(of_lang)) + of_lang


def _signals(found: list[Curve]) -> list[str]:
    return list(dict.fromkeys(curve.rule.signal for curve in found))


def _without_rules(filters: FiltersConfig) -> FiltersConfig:
    """``filters`` with nothing left in them but what is no rule: unwanted languages, and filters that draw or rank."""
    off: dict[str, ByLanguage | None] = {filter_.name: None for filter_, _ in filters_by_rules(filters)}
    if filters.language is not None:
        off[LANGUAGE.name] = filters.language.model_copy(update={"min_score": None, "lang": {}})
    return filters.model_copy(update=off)
