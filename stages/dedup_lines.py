"""Lines, paragraphs or sentence spans that occur again and again in the corpus: which of them go from which document.

1. *Keys* (Python workers, unit by unit): every piece of text becomes a 64-bit key over its content and the scope in
   which it is compared. A unit hands on each key once, with its number of occurrences and the best document with it.
2. *Counts* (Spark): keys that occur ``min_count`` times or more in all; of these the best document, whose first
   occurrence is kept. What is shuffled is keys and counts; the survivor order only for keys that repeat.
3. *Cuts* (workers): each unit gets the repeated keys that it has, and finds the bytes of their occurrences.

Counts are combined within units before they are shuffled, so a line that stands on every page of the crawl is a row per
unit. Memory: the keys of one unit, 8 bytes a piece. Two pieces that differ have equal keys with a chance of n² / 2^65
among n different pieces: .03 for a billion of them.

An occurrence that is kept stands in a document that reached this stage; where that document is dropped later, by
``max_cut_share`` or a later stage, the piece goes with it.

Source: Wenzek et al. 2020 (CCNet), section 3.2, for paragraphs and their normalisation; its code removes every
occurrence of what repeats (``keep = "none"``), drops accents, and hashes with the first 64 bits of SHA-1. Raffel et al.
2020 (C4), section 2.2: all but one of any three-sentence span (``unit = "sentence_span"``). Soldaini et al. 2024
(Dolma): paragraphs, the first is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.config import Config, Off
from pipeline.hashing import hash_keys
from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.span_hashes import LINES, PARAGRAPHS, SENTENCE_SPANS, Spans, hash_spans
from pipeline.text_cuts import TEXT_CUT, emptied_reason, settle_cuts
from stages.survivor import DEFAULT_ORDER, SurvivorOrder, order_columns, rank

NAME = "dedup_lines"
VERSION = "1"
MOSTLY_REPEATED = "mostly_repeated"

_UNITS = {"line": LINES, "paragraph": PARAGRAPHS, "sentence_span": SENTENCE_SPANS}
_SCOPE_COLUMNS = {"source": "source", "language": "lang"}
REPEATED = pa.schema(
    [
        ("unit", pa.string()),
        ("key", pa.int64()),
        ("kept_doc_id", pa.string()),  # whose first occurrence is kept; null where none is
    ]
)
"""The repeated keys of a unit, by ``key``."""


class LineDedupConfig(Config):
    """``[dedup.lines]``.

    Args:
        unit: what is compared and cut. A paragraph ends at a blank line; CCNet's and Dolma's paragraphs are lines.
        sentences_per_span: consecutive sentences of a span; shorter texts have none.
        scope: pieces repeat within one ``[[input]]`` (a dump), one language, or the whole run.
        min_count: fewest occurrences of a piece that repeats.
        keep: the first occurrence, in the best document by ``survivor_order``, or none.
        min_chars: shorter pieces stay, however often they occur.
        normalise: compare letters in lower case and digits as 0, and nothing else; otherwise every character.
        max_cut_share: a document of which a larger share of bytes would go is dropped; false for no limit.
        survivor_order: see ``stages/survivor.py``.
    """

    unit: Literal["line", "paragraph", "sentence_span"] = "line"
    sentences_per_span: int = Field(default=3, ge=1, le=100)
    scope: Literal["source", "language", "global"] = "source"
    min_count: int = Field(default=2, ge=2)
    keep: Literal["first", "none"] = "first"
    min_chars: int = Field(default=1, ge=1)
    normalise: bool = True
    max_cut_share: Annotated[float | None, Field(gt=0, lt=1), Off] = None
    survivor_order: SurvivorOrder = DEFAULT_ORDER


def counted_schema(order: SurvivorOrder) -> pa.Schema:
    """Columns of ``count_keys``."""
    return pa.schema([("unit", pa.string()), ("key", pa.int64()), ("count", pa.int64()), *order_columns(order)])


def spans_of(batch: pa.RecordBatch, config: LineDedupConfig) -> Spans:
    """The pieces of each text, their keys salted with the document's scope.

    Args:
        batch: ``text``, ``source`` and ``lang``.
    """
    return hash_spans(
        text_buffers(batch.column("text")),
        _salts(batch, config.scope),
        unit=_UNITS[config.unit],
        num_sentences=config.sentences_per_span,
        min_chars=config.min_chars,
        normalise=config.normalise,
    )


def _salts(batch: pa.RecordBatch, scope: str) -> np.ndarray:
    """A hash of each document's scope; uint64, shape (num_rows,)."""
    if scope == "global":
        return hash_keys(0, NAME, [""]).repeat(batch.num_rows)
    scopes = pc.fill_null(batch.column(_SCOPE_COLUMNS[scope]), "").dictionary_encode()
    of_scope = hash_keys(0, NAME, scopes.dictionary.to_pylist())
    return of_scope[scopes.indices.to_numpy()] if len(of_scope) else np.zeros(0, np.uint64)


class UnitKeys(NamedTuple):
    """Keys of a unit's documents, and which document has each.

    Args:
        keys: int64.
        documents: number of the document in the unit, int64.
    """

    keys: np.ndarray
    documents: np.ndarray


def keys_of(batches: Iterable[pa.RecordBatch], config: LineDedupConfig) -> tuple[UnitKeys, pa.Table]:
    """Keys of all pieces of a unit, and the columns of the survivor order of its documents."""
    names = order_columns(config.survivor_order).names
    keys, documents, facts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], []
    num_documents = 0
    for batch in batches:
        spans = spans_of(batch, config)
        keys.append(spans.keys.view(np.int64))
        documents.append(spans.rows + num_documents)
        facts.append(batch.select(names))
        num_documents += batch.num_rows
    table = pa.Table.from_batches(facts, schema=order_columns(config.survivor_order))
    return UnitKeys(np.concatenate(keys), np.concatenate(documents)), table


def count_keys(unit: str, found: UnitKeys, documents: pa.Table, ranks: np.ndarray) -> pa.Table:
    """Each key of a unit once, with its number of occurrences and the best document that has it.

    Args:
        documents: columns of the survivor order.
        ranks: place of each document in that order among those of the unit.

    Returns:
        ``counted_schema``, by key.
    """
    order = np.lexsort((ranks[found.documents], found.keys))
    keys, best = found.keys[order], found.documents[order]
    firsts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else order
    counts = np.diff([*firsts, len(keys)]) if len(keys) else firsts
    columns = documents.take(pa.array(best[firsts]))
    arrays = [pa.repeat(pa.scalar(unit), len(firsts)), pa.array(keys[firsts]), pa.array(counts, pa.int64())]
    return pa.table([*arrays, *columns.columns], names=["unit", "key", "count", *columns.column_names])


def repeated_keys(counted: DataFrame, config: LineDedupConfig) -> DataFrame:
    """The keys that repeat, for each unit that has them.

    Args:
        counted: ``counted_schema`` of all units. It is read several times, so it should come from files.

    Returns:
        Columns of ``REPEATED``, a row per unit and key.
    """
    repeated = counted.groupBy("key").agg(F.sum("count").alias("total")).where(F.col("total") >= config.min_count)
    having = counted.join(repeated.select("key"), on="key", how="left_semi")
    if config.keep == "none":
        return having.select("unit", "key", F.lit(None).cast("string").alias("kept_doc_id"))
    kept = having.groupBy("key").agg(F.min(rank(config.survivor_order))["doc_id"].alias("kept_doc_id"))
    return having.select("unit", "key").join(kept, on="key", how="inner").select(*REPEATED.names)


class RepeatedKeys:
    """The repeated keys of one unit, to look pieces up.

    Args:
        rows: ``REPEATED`` of the unit, by ``key``.
    """

    def __init__(self, rows: pa.Table) -> None:
        self._keys = rows.column("key").to_numpy()
        self._kept = rows.column("kept_doc_id").combine_chunks()

    def cut(self, batch: pa.RecordBatch, config: LineDedupConfig) -> pa.RecordBatch:
        """What goes from each document of ``batch``: ``TEXT_CUT``, a row for each document that is touched.

        Args:
            batch: ``doc_id``, ``unit``, ``row_index``, ``source``, ``lang`` and ``text``, as ``spans_of`` was given
                when the keys were counted.
        """
        spans = spans_of(batch, config)
        keys = spans.keys.view(np.int64)
        places = np.searchsorted(self._keys, keys)
        is_repeated = np.zeros(len(keys), bool)
        if len(self._keys):
            is_repeated = self._keys[np.minimum(places, len(self._keys) - 1)] == keys
        repeated = np.flatnonzero(is_repeated)
        rows, places = spans.rows[repeated], places[repeated]
        kept_row = pc.fill_null(pc.index_in(self._kept, value_set=batch.column("doc_id")), -1).to_numpy()
        is_first = np.zeros(len(rows), bool)
        is_first[np.unique(rows * len(self._keys) + places, return_index=True)[1]] = True
        chosen = repeated[~(is_first & (kept_row[places] == rows))]
        return _touched(batch, spans, chosen, config)


def _touched(batch: pa.RecordBatch, spans: Spans, chosen: np.ndarray, config: LineDedupConfig) -> pa.RecordBatch:
    """``TEXT_CUT`` of the documents that lose the pieces ``chosen``."""
    text = batch.column("text")
    cuts = settle_cuts(text, spans.rows[chosen], spans.starts[chosen], spans.ends[chosen])
    num_cut = np.bincount(spans.rows[chosen], minlength=batch.num_rows)
    num_spans = np.bincount(spans.rows, minlength=batch.num_rows)
    touched = np.flatnonzero(num_cut)
    share = cuts.num_bytes_cut / np.maximum(pc.fill_null(pc.binary_length(text), 0).to_numpy(), 1)
    reasons, values, thresholds = _verdicts(cuts.is_emptied[touched], share[touched], config.max_cut_share)
    details = [f"{num_cut[row]} of {num_spans[row]} {config.unit.replace('_', ' ')}s repeat" for row in touched]
    here = pa.array(touched)
    return pa.RecordBatch.from_arrays(
        [
            *(batch.column(name).take(here) for name in ("doc_id", "unit", "row_index")),
            cuts.starts.take(here),
            cuts.ends.take(here),
            pa.array(cuts.num_bytes_cut[touched], pa.int64()),
            pa.array(reasons, pa.string()),
            pa.array(values, pa.float64()),
            pa.array(thresholds, pa.float64()),
            pa.nulls(len(touched), pa.string()),
            pa.array(details, pa.string()),
        ],
        schema=TEXT_CUT,
    )


def _verdicts(
    is_emptied: np.ndarray, share: np.ndarray, limit: float | None
) -> tuple[Sequence[str | None], Sequence[float | None], Sequence[float | None]]:
    """Reason, value and threshold of each document; null where it stays."""
    reasons = [
        emptied_reason(NAME) if empty else MOSTLY_REPEATED if limit is not None and cut > limit else None
        for empty, cut in zip(is_emptied, share, strict=True)
    ]
    values = [None if reason is None else float(cut) for reason, cut in zip(reasons, share, strict=True)]
    return reasons, values, [limit if reason == MOSTLY_REPEATED else None for reason in reasons]
