"""A sample of the corpus to learn vocabularies from, the same on every machine.

Documents of a language are taken in the order of hash(seed, doc_id) until its byte budget is used; the last one is
cut there. So the sample does not depend on how the corpus is cut into files, and a larger budget only adds text.

The corpus is read twice: once for lengths, which gives an index of 32 bytes a document, once for the chosen texts,
from those files alone that hold any. Memory is the index and the sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.corpus import read_corpus_file
from pipeline.hashing import hash_keys

_PURPOSE = "tokenizer_sample"


@dataclass(frozen=True)
class SampledText:
    """A document's text (or, at the end of a language's budget, its beginning) and its language."""

    lang: str
    text: str


@dataclass(frozen=True)
class DocumentIndex:
    """Where the documents of one split lie, and in which order they are sampled.

    Args:
        files: paths or URLs.
        languages: names that ``language`` numbers.
        key: hash of each document, shape (num_documents,), uint64.
        num_bytes: UTF-8 bytes of its text, shape (num_documents,), int64.
        language: shape (num_documents,), int32.
        file: position in ``files``, shape (num_documents,), int32.
        row: row in that file, shape (num_documents,), int64.
    """

    files: tuple[str, ...]
    languages: tuple[str, ...]
    key: np.ndarray
    num_bytes: np.ndarray
    language: np.ndarray
    file: np.ndarray
    row: np.ndarray

    def bytes_by_language(self) -> dict[str, int]:
        """UTF-8 bytes of text by language."""
        totals = np.bincount(self.language, weights=self.num_bytes, minlength=len(self.languages))
        return {name: int(total) for name, total in zip(self.languages, totals, strict=True)}


def index_documents(files: Sequence[str], split: Literal["train", "validation"], seed: int) -> DocumentIndex:
    """Index the documents of ``split``.

    Args:
        files: Parquet files of ``pipeline.schema.CORPUS``; their order does not matter.
        split: training text for vocabularies, validation text to measure them.
        seed: of the sampling order.
    """
    names: dict[str, int] = {}
    parts: list[tuple[np.ndarray, ...]] = []
    for file_number, location in enumerate(files):
        first_row = 0
        for batch in read_corpus_file(location, ["doc_id", "lang", "split", "text"]):
            rows = np.flatnonzero(pc.fill_null(pc.equal(batch.column("split"), split), False).to_numpy(False))
            chosen = batch.take(pa.array(rows))
            languages = [names.setdefault(name, len(names)) for name in chosen.column("lang").to_pylist()]
            parts.append(
                (
                    hash_keys(seed, _PURPOSE, chosen.column("doc_id").to_pylist()),
                    pc.fill_null(pc.binary_length(chosen.column("text")), 0).to_numpy(False).astype(np.int64),
                    np.asarray(languages, np.int32),
                    np.full(len(rows), file_number, np.int32),
                    first_row + rows,
                )
            )
            first_row += batch.num_rows
    empty = tuple(np.empty(0, dtype) for dtype in (np.uint64, np.int64, np.int32, np.int32, np.int64))
    key, num_bytes, language, file, row = (np.concatenate(column) for column in zip(empty, *parts, strict=True))
    return DocumentIndex(tuple(files), tuple(names), key, num_bytes, language, file, row)


def sample_texts(index: DocumentIndex, budget_bytes: dict[str, int]) -> list[SampledText]:
    """Read the sample.

    Args:
        index: of the corpus.
        budget_bytes: UTF-8 bytes to take, by language; languages that are not named give nothing.

    Returns:
        Texts in the order of their hashes; each language has its budget less at most 3 bytes (of a cut character),
        or all its text if that is less.
    """
    rows, take_bytes = _choose(index, budget_bytes)
    texts: dict[int, str] = {}
    for file_number in np.unique(index.file[rows]):
        wanted = {int(index.row[i]): int(i) for i in rows[index.file[rows] == file_number]}
        first_row = 0
        for batch in read_corpus_file(index.files[file_number], ["text"]):
            here = [row for row in range(first_row, first_row + batch.num_rows) if row in wanted]
            found = batch.column("text").take(pa.array([row - first_row for row in here], pa.int64())).to_pylist()
            texts.update((wanted[row], text) for row, text in zip(here, found, strict=True))
            first_row += batch.num_rows
    limits = dict(zip(rows.tolist(), take_bytes.tolist(), strict=True))
    order = rows[np.argsort(index.key[rows], kind="stable")]
    return [SampledText(index.languages[index.language[i]], _beginning(texts[i], limits[i])) for i in order.tolist()]


def _choose(index: DocumentIndex, budget_bytes: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Positions in ``index`` of the sampled documents, and how many bytes to take of each."""
    rows, take_bytes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for number, name in enumerate(index.languages):
        members = np.flatnonzero(index.language == number)
        members = members[np.argsort(index.key[members], kind="stable")]
        lengths = index.num_bytes[members]
        left = budget_bytes.get(name, 0) - (np.cumsum(lengths) - lengths)
        taken = np.minimum(lengths, left)
        rows.append(members[taken > 0])
        take_bytes.append(taken[taken > 0])
    return np.concatenate(rows), np.concatenate(take_bytes)


def _beginning(text: str, num_bytes: int) -> str:
    """The longest beginning of whole characters that fits into ``num_bytes`` of UTF-8."""
    encoded = text.encode("utf-8")
    return text if len(encoded) <= num_bytes else encoded[:num_bytes].decode("utf-8", "ignore")
