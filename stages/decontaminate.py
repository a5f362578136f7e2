"""Evaluation text in documents: found by n-grams of words, cut or dropped, and reported item by item.

A passage of an evaluation set (``filters/evaluation_sets.py``) is found wherever ``ngram_words`` of its words stand in
a document one after the other, in whatever case, punctuation, width, accents or white space: what is compared is
letters (``pipeline/kernels/ngram_search.py``). In scripts without spaces a Han or Kana character is a word, and four
letters of Thai, Lao, Khmer or Myanmar. A passage with fewer words is one n-gram as a whole, if it has
``min_item_words`` of them and 8 letters, and then must begin and end where words of the document do; a shorter one is
looked for nowhere, and counted.

Two passes over the units: ``find_hits`` writes down every place of every n-gram; what occurs in more documents than
``max_documents_per_ngram`` is let go; ``judge_hits`` says what of each document goes, and which items were hit.

Source: Brown et al. 2020 (GPT-3), appendix C: 13 words for the longest n-gram, at least 8, "lowercase, whitespace
delimited word with no punctuation"; windows and pieces as in ``filters/contaminated_windows.py``; n-grams that "matched
more than 10 training documents" ignored. Deviations: letters are compared, since punctuation that was removed joins
words and punctuation that was added parts them; short passages count as a whole, where GPT-3 lowers n to the 5th
percentile of a set's lengths; and no n-gram is too common unless a bound is set, since by GPT-3's own a test item that
leaked to eleven pages would stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator
from pyspark.sql import functions as F

from filters.contaminated_windows import cut_windows
from filters.evaluation_sets import PASSAGE, EvaluationSet, with_digest
from filters.passages_found import PassageFound, passages_in
from pipeline.config import Config, Off
from pipeline.ngram_index import NgramIndex
from pipeline.text_cuts import RANGES, TEXT_CUT, emptied_reason, settle_cuts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NAME = "decontaminate"
VERSION = "1"
HOLDS_EVALUATION_TEXT, TOO_MANY_PIECES = "holds_evaluation_text", "too_many_contaminated_pieces"

HIT = pa.schema(
    [
        ("doc_id", pa.string()),
        ("row_index", pa.int64()),
        ("ngram", pa.int32()),  # its number in the index
        ("start", pa.int64()),  # UTF-8 bytes into the text as the stage sees it
        ("end", pa.int64()),
    ]
)
"""``_work/decontamination_hits``: one row per place of an n-gram."""

FINDING = pa.schema(
    [
        *(field for field in PASSAGE if field.name != "text"),
        ("doc_id", pa.string()),
        ("unit", pa.string()),
        ("row_index", pa.int64()),  # row in documents/part-<unit>.parquet
        ("starts", RANGES),  # UTF-8 bytes into the text as the stage sees it: where the passage's n-grams stand
        ("ends", RANGES),
        ("num_ngrams_found", pa.int64()),  # distinct n-grams of the passage in the document
        ("num_ngrams", pa.int64()),  # distinct n-grams of the passage
        ("share", pa.float64()),  # the one over the other
    ]
)
"""``decontamination/``: one row per document and passage found in it."""

_CUT_ONLY = ("window_chars", "min_piece_chars", "max_pieces")


class DecontaminateConfig(Config):
    """``[decontaminate]``.

    Args:
        set: the evaluation sets.
        ngram_words: words of a passage that a document must have one after the other.
        min_item_words: the fewest words of a passage that is looked for as a whole, having less than ``ngram_words``.
        min_item_share: share of a passage's n-grams that a document must have; off: any one of them is enough.
        max_documents_per_ngram: an n-gram in more documents is taken for a common phrase (GPT-3: 10); off: none is.
        action: ``cut`` what is around evaluation text, or ``drop`` the document.
        window_chars: characters cut on each side.
        min_piece_chars: a piece between cuts with fewer characters goes too.
        max_pieces: a document cut into more pieces is dropped; off: none is.
    """

    set: tuple[EvaluationSet, ...] = Field(min_length=1)
    ngram_words: int = Field(default=13, ge=8, le=50)
    min_item_words: int = Field(default=5, ge=1, le=50)
    min_item_share: Annotated[float | None, Field(gt=0, le=1), Off] = None
    max_documents_per_ngram: Annotated[int | None, Field(ge=1), Off] = None
    action: Literal["cut", "drop"] = "cut"
    window_chars: int = Field(default=200, ge=0, le=1_000_000)
    min_piece_chars: int = Field(default=200, ge=0, le=1_000_000)
    max_pieces: Annotated[int | None, Field(ge=1), Off] = 10

    @model_validator(mode="after")
    def _keys_have_an_effect(self) -> DecontaminateConfig:
        names = [entry.name for entry in self.set]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"two sets are named {repeated[0]!r}; expected distinct names; rename one")
        fields = type(self).model_fields
        idle = [name for name in _CUT_ONLY if self.action == "drop" and getattr(self, name) != fields[name].default]
        if idle:
            raise ValueError(
                f'{idle[0]} is about cutting, but action = "drop"; expected one of the two; remove {idle[0]}'
            )
        return self


def resolve(config: DecontaminateConfig) -> DecontaminateConfig:
    """``config`` with the digests of all sets entered: what a fingerprint must know.

    Raises:
        ConfigError: if a file is missing, or is not the one that its ``sha256`` names.
    """
    return config.model_copy(update={"set": tuple(with_digest(entry) for entry in config.set)})


def find_hits(documents: pa.RecordBatch, index: NgramIndex) -> pa.RecordBatch:
    """Every place where an n-gram stands; ``HIT``, in the order of ``documents``.

    Args:
        documents: ``doc_id``, ``row_index``, ``text``.
    """
    hits = index.find(documents.column("text"))
    rows = pa.array(hits.rows)
    columns = [documents.column(name).take(rows) for name in ("doc_id", "row_index")]
    return pa.RecordBatch.from_arrays(
        [*columns, pa.array(hits.ngrams), pa.array(hits.starts), pa.array(hits.ends)], schema=HIT
    )


def common_ngrams(hits: DataFrame, max_documents: int) -> DataFrame:
    """N-grams in more than ``max_documents`` documents: one column, ``ngram``; as many rows as the sets have at most.

    Args:
        hits: ``HIT``.
    """
    counted = hits.groupBy("ngram").agg(F.countDistinct("doc_id").alias("num_documents"))
    return counted.where(F.col("num_documents") > max_documents).select("ngram")


def judge_hits(
    documents: pa.RecordBatch,
    hits: pa.RecordBatch,
    *,
    index: NgramIndex,
    passages: pa.Table,
    too_common: np.ndarray,
    config: DecontaminateConfig,
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """What goes from documents, and which passages they hold.

    Args:
        documents: ``doc_id``, ``unit``, ``row_index``, ``text``; by ``row_index``.
        hits: ``HIT`` of these documents, by ``row_index``.
        passages: ``PASSAGE``, as the index was built from.
        too_common: numbers of n-grams that do not count.

    Returns:
        ``TEXT_CUT`` and ``FINDING``; documents without a passage that counts are in neither.
    """
    hits = hits.filter(pa.array(~np.isin(hits.column("ngram").to_numpy(), too_common)))
    ngrams, starts, ends = (hits.column(name).to_numpy() for name in ("ngram", "start", "end"))
    row_index = documents.column("row_index").to_numpy()
    bounds = np.searchsorted(hits.column("row_index").to_numpy(), np.append(row_index, np.iinfo(np.int64).max))
    found: dict[int, list[PassageFound]] = {}
    for row in range(documents.num_rows):
        here = slice(bounds[row], bounds[row + 1])
        in_document = passages_in(ngrams[here], starts[here], ends[here], index, config.min_item_share)
        if in_document:
            found[row] = in_document
    touched = documents.take(pa.array(list(found), pa.int64()))
    in_documents = list(found.values())
    return _cuts(touched, in_documents, passages, config), _findings(touched, in_documents, passages)


def _findings(documents: pa.RecordBatch, found: list[list[PassageFound]], passages: pa.Table) -> pa.RecordBatch:
    """``FINDING``: the passages found in each of ``documents``."""
    rows = pa.array([row for row, in_document in enumerate(found) for _ in in_document], pa.int64())
    flat = [passage for in_document in found for passage in in_document]
    numbers = pa.array([passage.number for passage in flat], pa.int64())
    columns = {
        **{name: passages.column(name).combine_chunks().take(numbers) for name in PASSAGE.names if name != "text"},
        **{name: documents.column(name).take(rows) for name in ("doc_id", "unit", "row_index")},
        "starts": [passage.starts for passage in flat],
        "ends": [passage.ends for passage in flat],
        "num_ngrams_found": [passage.num_found for passage in flat],
        "num_ngrams": [passage.num_ngrams for passage in flat],
        "share": [passage.share for passage in flat],
    }
    return pa.RecordBatch.from_pydict(columns, schema=FINDING)


def _cuts(
    documents: pa.RecordBatch, found: list[list[PassageFound]], passages: pa.Table, config: DecontaminateConfig
) -> pa.RecordBatch:
    """``TEXT_CUT``: what goes from each of ``documents``."""
    rows: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    ended: list[tuple[str, float, float | None] | None] = []
    for row, (text, in_document) in enumerate(zip(documents.column("text").to_pylist(), found, strict=True)):
        if config.action == "drop":
            largest = max(passage.share for passage in in_document)
            ended.append((HOLDS_EVALUATION_TEXT, largest, config.min_item_share or 0.0))
            continue
        matches = {match for passage in in_document for match in zip(passage.starts, passage.ends, strict=True)}
        windows = cut_windows(text, matches, window_chars=config.window_chars, min_piece_chars=config.min_piece_chars)
        if config.max_pieces is not None and windows.num_pieces > config.max_pieces:
            ended.append((TOO_MANY_PIECES, float(windows.num_pieces), float(config.max_pieces)))
            continue
        ended.append(None)
        rows += [row] * len(windows.starts)
        starts += windows.starts
        ends += windows.ends
    settled = settle_cuts(documents.column("text"), *(np.array(side, np.int64) for side in (rows, starts, ends)))
    for row in np.flatnonzero(settled.is_emptied).tolist():
        ended[row] = (emptied_reason(NAME), max(passage.share for passage in found[row]), config.min_item_share or 0.0)
    reasons, values, thresholds = (
        zip(*(end or (None, None, None) for end in ended), strict=True) if ended else ((),) * 3
    )
    columns = {
        **{name: documents.column(name) for name in ("doc_id", "unit", "row_index")},
        "starts": settled.starts,
        "ends": settled.ends,
        "num_bytes_cut": pa.array(settled.num_bytes_cut),
        "dropped_reason": pa.array(reasons, pa.string()),
        "value": pa.array(values, pa.float64()),
        "threshold": pa.array(thresholds, pa.float64()),
        "kept_doc_id": pa.nulls(documents.num_rows, pa.string()),
        "detail": pa.array([_detail(in_document, passages) for in_document in found], pa.string()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in TEXT_CUT.names], schema=TEXT_CUT)


def _detail(found: list[PassageFound], passages: pa.Table) -> str:
    """The passage of which a document has most, in words."""
    most = max(found, key=lambda passage: (passage.share, -passage.number))
    row = passages.slice(most.number, 1).to_pylist()[0]
    more = f", and of {len(found) - 1} more" if len(found) > 1 else ""
    return f"{row['set']} item {row['item_index']} {row['field']}: {most.share:.0%} of its n-grams{more}"
