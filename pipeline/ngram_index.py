"""The n-grams of evaluation passages, each once, with the passages that have it: built once, read by every worker.

The arrays lie in files of their own, which local workers map into memory: they share one copy of them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline import storage
from pipeline.kernels.anchor_table import AnchorTable, table_of
from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.ngram_search import (
    LONG_ANCHOR,
    Hits,
    find_ngrams,
    ngram_spans,
    powers_of_base,
)
from pipeline.manifest import FileEntry, file_entry

_OWNERS = ("owner_bounds", "owners", "num_words", "num_ngrams_of")


@dataclass(frozen=True, eq=False)
class NgramIndex:
    """N-grams of passages.

    Args:
        table: what is looked up; n-grams are numbered by (anchor, length, hash).
        owner_bounds, owners: int64 and int32: passages that have n-gram i are ``owners[owner_bounds[i]:...[i + 1]]``.
        num_words: int64, shape (num_passages,): words of each passage.
        num_ngrams_of: int64, shape (num_passages,): distinct n-grams of each; 0 for one that is too short.
    """

    table: AnchorTable
    owner_bounds: np.ndarray
    owners: np.ndarray
    num_words: np.ndarray
    num_ngrams_of: np.ndarray

    @property
    def num_ngrams(self) -> int:
        """Distinct n-grams."""
        return len(self.table.hashes)

    def find(self, text: pa.Array) -> Hits:
        """Every place in ``text`` (string or large_string) where an n-gram stands."""
        return find_ngrams(text_buffers(text), self.table)

    def save(self, folder: str) -> list[FileEntry]:
        """Write the arrays below ``folder``."""
        arrays = {**self.table._asdict(), **{name: getattr(self, name) for name in _OWNERS}}
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.save(stream, array, allow_pickle=False)
            storage.write_bytes(storage.join(folder, f"{name}.npy"), stream.getvalue())
        return [file_entry(folder, f"{name}.npy") for name in arrays]

    @staticmethod
    def load(folder: str) -> NgramIndex:
        """What ``save`` wrote; mapped, if ``folder`` is local."""
        table = AnchorTable(*(_load(folder, name) for name in AnchorTable._fields))
        return NgramIndex(table, *(_load(folder, name) for name in _OWNERS))


def _load(folder: str, name: str) -> np.ndarray:
    location = storage.join(folder, f"{name}.npy")
    if storage.is_remote(location):
        array: np.ndarray = np.load(io.BytesIO(storage.read_bytes(location)), allow_pickle=False)
        array.flags.writeable = False
        return array
    return np.asarray(np.load(location, mmap_mode="r", allow_pickle=False))


def build_index(passages: pa.Array, *, ngram_words: int, min_words: int) -> NgramIndex:
    """Index of the n-grams of ``passages``; the arguments are those of ``kernels.ngram_search.ngram_spans``."""
    spans, num_words = ngram_spans(text_buffers(passages), ngram_words=ngram_words, min_words=min_words)
    order = np.lexsort((spans.passages, spans.at_edges, spans.hashes, spans.num_letters, spans.anchors))
    owners, hashes, lengths, anchors, at_edges = (column[order] for column in spans)
    is_new = _differs(anchors, lengths, hashes, at_edges)
    owns = is_new | _differs(owners)  # a passage may have an n-gram twice
    number = np.cumsum(is_new) - 1
    firsts = np.flatnonzero(is_new)
    starts_anchor = _differs(anchors[firsts])
    distinct_anchors = anchors[firsts][starts_anchor]
    longest = int(lengths.max(initial=LONG_ANCHOR))
    bitmap, keys, numbers = table_of(distinct_anchors)
    table = AnchorTable(
        bitmap=bitmap,
        keys=keys,
        numbers=numbers,
        bounds=np.append(np.flatnonzero(starts_anchor), len(firsts)).astype(np.int64),
        num_letters=lengths[firsts],
        hashes=hashes[firsts],
        at_edges=at_edges[firsts],
        powers=powers_of_base(longest),
        num_short=np.array([np.count_nonzero(lengths[firsts] < LONG_ANCHOR)], np.int64),
    )
    bounds = np.searchsorted(number[owns], np.arange(len(firsts) + 1))
    counts = np.bincount(owners[owns], minlength=len(passages)).astype(np.int64)
    index = NgramIndex(table, bounds.astype(np.int64), owners[owns], num_words, counts)
    for array in (*index.table, index.owner_bounds, index.owners):
        array.flags.writeable = False  # as they are when loaded: a kernel compiles for one kind of array only
    return index


def _differs(*columns: np.ndarray) -> np.ndarray:
    """Whether each row differs from the one before in any column; true for the first."""
    differs = np.ones(len(columns[0]), bool)
    differs[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return differs
