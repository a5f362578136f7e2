"""Passages that occur more than once in the corpus, found exactly, and cut but for one place.

A *passage* is any run of ``min_tokens`` = N words (UAX #29; letters one by one in scripts without spaces; signs
count; case and punctuation matter, white space does not). What is cut is declared, not an outcome of a search:

    a word is cut if and only if it lies in a passage that equals an earlier one which it does not overlap,

earlier meaning: in a better document by the survivor order, or in the same one before it. So every repeat of N words
or more is found, to its very ends, nothing shorter than N is cut, and of each word that goes, an equal one in equal
company stays (follow it to the earlier passage, and on from there if that was cut as well: the order ends somewhere).
With ``keep = "none"`` every passage that has a copy goes.

The definition asks for all passages of the corpus to be compared, one for each word. Two rounds do with a fraction:

1. *Anchors.* Each passage selects one of its k-grams by winnowing (``pipeline/kernels/winnowing.py``). Equal passages
   select equal ones, so a passage whose anchor is unique is unique. Units write the distinct hashes of their anchors,
   one for about (w + 1) / 2 words; one shuffle says which of them occur twice.
2. *Passages.* Units read their text again, keep the passages whose anchor is repeated in a file of their own, and
   hand in the first and last place of each. One shuffle gives the first and last place in the corpus.

Then each unit compares its passages with the firsts, and words that are cut become byte ranges
(``pipeline/repeated_passages.py``). ``window_tokens`` = w changes the cost, never the outcome: larger, fewer anchors
in round 1, but shorter k-grams (k = N - w + 1), more of which are repeated without their passage being so.

Cost: two readings of the text, at about 100 MB/s each a core. Shuffled are 20 bytes an anchor and 40 a candidate
passage, both after they were counted within a batch of documents: boilerplate on a million pages is as many rows as
there are batches, and no pair of pages is ever formed. Text moves nowhere. Memory of a task: the anchors, then the
passages, that its unit shares with others.

Two passages are taken for equal by 64 bits: with m candidate passages, the chance that a given one is cut wrongly is
at most m / 2^64, or 5·10^-9 for a hundred billion.

Source: Lee et al., "Deduplicating Training Data Makes Language Models Better", ACL 2022, section 4.1 (EXACTSUBSTR):
repeats of 50 BPE tokens by a suffix array. Deviations: words, not BPE tokens; which place of a repeat is kept is
declared; white space is not compared.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from pipeline.config import Config
from pipeline.hashing import hash_keys
from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.token_spans import token_spans
from pipeline.kernels.winnowing import candidate_passages, select_anchors
from pipeline.repeated_passages import CANDIDATE
from pipeline.text_cuts import TEXT_CUT
from stages.survivor import DEFAULT_ORDER, SurvivorOrder, rank

NAME = "dedup_substrings"
VERSION = "1"

_SCOPE_COLUMNS = {"source": "source", "language": "lang"}

ANCHOR = pa.schema([("anchor", pa.int64()), ("num_places", pa.int64()), ("part", pa.string())])
"""What a unit hands in of its anchors: each hash that a batch has, and how often; ``part`` names the unit."""


class SubstringDedupConfig(Config):
    """``[dedup.substrings]``.

    Args:
        min_tokens: words in the shortest repeat that is cut.
        window_tokens: k-grams among which an anchor is selected, 1 to ``min_tokens``; half of ``min_tokens`` unless
            set. It changes the cost alone.
        keep: ``first`` keeps the first place of each passage, ``none`` cuts all.
        scope: documents that are compared: ``global`` all, ``source`` those of one input, ``language`` those of one
            language.
        survivor_order: which document's passage is the first; see ``stages/survivor.py``. ``[dedup] source_priority``
            stands before it.
    """

    min_tokens: int = Field(default=50, ge=2, le=100_000)
    window_tokens: int | None = Field(default=None, ge=1)
    keep: Literal["first", "none"] = "first"
    scope: Literal["source", "language", "global"] = "global"
    survivor_order: SurvivorOrder = DEFAULT_ORDER

    @model_validator(mode="after")
    def _window_fits(self) -> SubstringDedupConfig:
        if self.window_tokens is not None and self.window_tokens > self.min_tokens:
            raise ValueError(
                f"window_tokens = {self.window_tokens} exceeds min_tokens = {self.min_tokens}, so there would be no "
                f"word in an anchor; expected at most min_tokens; lower it or leave it out"
            )
        return self

    @property
    def window(self) -> int:
        """``window_tokens``, or what stands for it."""
        return self.min_tokens // 2 + 1 if self.window_tokens is None else self.window_tokens


class Tokens(NamedTuple):
    """A batch's words as the kernels take them: hashes, bounds of rows, and a key for the scope of each row."""

    hashes: np.ndarray
    bounds: np.ndarray
    keys: np.ndarray


def tokens_of(batch: pa.RecordBatch, config: SubstringDedupConfig) -> Tokens:
    """Words of a batch of texts.

    Args:
        batch: ``text``, and ``source`` or ``lang`` where these are the scope (no language is one, too).
    """
    spans = token_spans(text_buffers(batch.column("text")))
    keys = np.zeros(batch.num_rows, np.uint64)
    if config.scope != "global":
        scopes = pc.fill_null(batch.column(_SCOPE_COLUMNS[config.scope]), "").dictionary_encode()
        keys = hash_keys(0, NAME, scopes.dictionary.to_pylist())[scopes.indices.to_numpy()]
    return Tokens(spans.hashes, spans.bounds, keys)


def anchor_rows(tokens: Tokens, config: SubstringDedupConfig, part: str) -> pa.RecordBatch:
    """The distinct anchors of a batch; ``ANCHOR``."""
    anchors = select_anchors(*tokens, min_tokens=config.min_tokens, window_tokens=config.window)
    distinct, counts = np.unique(anchors.view(np.int64), return_counts=True)
    columns = [pa.array(distinct), pa.array(counts, pa.int64()), pa.repeat(pa.scalar(part), len(distinct))]
    return pa.RecordBatch.from_arrays(columns, schema=ANCHOR)


def candidate_rows(
    tokens: Tokens, documents: pa.RecordBatch, repeated: np.ndarray, config: SubstringDedupConfig
) -> pa.RecordBatch:
    """Passages that may be repeated; ``CANDIDATE``, documents without one left out.

    Args:
        documents: ``doc_id``, ``row_index`` and ``number`` of the rows of ``tokens``.
        repeated: int64, sorted as uint64: anchors of this unit that occur at two places or more.
    """
    begins, passages = candidate_passages(
        *tokens, repeated.view(np.uint64), min_tokens=config.min_tokens, window_tokens=config.window
    )
    at = np.searchsorted(begins, tokens.bounds)
    positions = begins - np.repeat(tokens.bounds[:-1], np.diff(at))
    offsets = pa.array(at, pa.int32())
    batch = pa.RecordBatch.from_arrays(
        [
            *(documents.column(name) for name in ("doc_id", "row_index", "number")),
            pa.ListArray.from_arrays(offsets, pa.array(positions, pa.int32())),
            pa.ListArray.from_arrays(offsets, pa.array(passages.view(np.int64))),
        ],
        schema=CANDIDATE,
    )
    return batch.filter(pa.array(np.diff(at) > 0))


def numbered(documents: DataFrame, order: SurvivorOrder) -> DataFrame:
    """``documents`` with ``number``, int64, ascending from the best by the survivor order.

    The numbers leave gaps that depend on partitioning; their order does not.
    """
    return documents.orderBy(rank(order)).withColumn("number", F.monotonically_increasing_id())


def repeated_anchors(anchors: DataFrame) -> DataFrame:
    """Anchors at two places or more.

    Args:
        anchors: ``ANCHOR``; any number of rows for an anchor and part.

    Returns:
        ``part`` and ``anchor``, distinct: for each part those of its anchors.
    """
    num_places = F.sum("num_places").over(Window.partitionBy("anchor"))
    counted = anchors.withColumn("num_in_corpus", num_places)
    return counted.where("num_in_corpus > 1").select("part", "anchor").distinct()


def repeated_passages(occurrences: DataFrame, config: SubstringDedupConfig) -> DataFrame:
    """First and last place of each passage that has two which do not overlap.

    Args:
        occurrences: ``OCCURRENCE`` and ``part``; any number of rows for a passage and part.

    Returns:
        The same columns over all parts, distinct: one row for each part that has the passage.
    """
    same = Window.partitionBy("passage")
    first = F.min(F.struct("first_number", "first_position")).over(same)
    last = F.max(F.struct("last_number", "last_position")).over(same)
    everywhere = occurrences.select("part", "passage", first.alias("first"), last.alias("last"))
    flat = everywhere.select("part", "passage", "first.*", "last.*")
    apart = (F.col("first_number") != F.col("last_number")) | (
        F.col("last_position") - F.col("first_position") >= config.min_tokens
    )
    return flat.where(apart).distinct()


def with_sources(cuts: DataFrame, numbers: DataFrame, config: SubstringDedupConfig) -> DataFrame:
    """Cuts with the ids of the documents that have the passages as well.

    Args:
        cuts: ``FOUND_CUT``.
        numbers: ``number`` and ``doc_id`` of every document.

    Returns:
        ``TEXT_CUT``. A dropped document has a ``kept_doc_id`` if all that it repeats is in one document, which is kept.
    """
    is_dropped = F.col("dropped_reason").isNotNull()
    of_longest = numbers.select(F.col("number").alias("longest_source"), F.col("doc_id").alias("longest_doc_id"))
    of_only = (
        numbers.join(cuts.where(is_dropped).select("doc_id"), on="doc_id", how="left_anti")
        .where(F.lit(config.keep == "first"))
        .select(F.col("number").alias("only_source"), F.col("doc_id").alias("only_doc_id"))
    )
    where = F.coalesce(F.concat(F.lit("all in "), "longest_doc_id"), F.lit("in several documents"))
    detail = F.format_string("%d repeated passage(s); the longest: %d words, %s", "num_runs", "longest_tokens", where)
    return (
        cuts.join(of_longest, on="longest_source", how="left")
        .join(of_only, on="only_source", how="left")
        .withColumn("kept_doc_id", F.when(is_dropped, F.col("only_doc_id")))
        .withColumn("detail", detail)
        .select(*TEXT_CUT.names)
    )
