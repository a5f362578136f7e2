"""The file format of fastText's classifiers, ``.bin`` and ``.ftz``: what stands in a file, in its order.

A file holds, little-endian and unaligned: magic and version, the arguments of training, the dictionary (words, then
labels, each with its count; for a pruned model the map from hash buckets to the rows that are left), the input matrix
and the output matrix, each dense or product-quantised. A quantised matrix is stored as one code per sub-vector of
each row, and optionally one for the row's norm; it is unpacked to float32 here (lid.176.ftz: 0.9 MB become 4 MB), so
a row is added with one loop whatever the file was.

Source: Joulin et al. 2016, "FastText.zip" (arXiv 1612.03651); file format version 12 of fastText 0.9 (version 11,
without subwords in classifiers, is read too).
"""

from __future__ import annotations

import mmap
import struct
from typing import NamedTuple

import numpy as np

from pipeline.errors import ConfigError

MAGIC = 793712314
VERSIONS = (11, 12)

_SUPERVISED = 3
_NUM_CENTROIDS = 256
_ARGUMENTS = (
    "dim", "window", "epoch", "min_count", "negatives", "word_ngrams", "loss", "model", "num_buckets", "min_chars",
    "max_chars", "lr_update_rate",
)  # fmt: skip


class Dictionary(NamedTuple):
    """What a model knows by name.

    Args:
        entries: words, then labels, as bytes.
        counts: how often each entry was met in training.
        num_words: how many of the entries are words.
        pruned: int32, shape (num_kept, 2): a bucket and its place among those kept; None if all are.
    """

    entries: list[bytes]
    counts: list[int]
    num_words: int
    pruned: np.ndarray | None


class FileContent(NamedTuple):
    """A classifier as its file has it.

    Args:
        arguments: of training, by the names of ``_ARGUMENTS``.
        rows: float32, shape (num_rows, dim): the input matrix.
        outputs: float32, shape (num_outputs, dim).
    """

    arguments: dict[str, int]
    dictionary: Dictionary
    rows: np.ndarray
    outputs: np.ndarray


def read_classifier(content: mmap.mmap, path: str) -> FileContent:
    """Read a whole file.

    Args:
        path: for messages.

    Raises:
        ConfigError: if it is another kind of file, or of a version that is not known.
        ValueError, struct.error: if it is cut short or says what cannot be.
    """
    reader = _Reader(content)
    magic, version = reader.values("2i")
    if magic != MAGIC or version not in VERSIONS:
        raise ConfigError(
            f"{path} begins with {magic}, version {version}; expected a fastText model, {MAGIC} and version "
            f"{' or '.join(map(str, VERSIONS))}; name a .bin or .ftz file"
        )
    arguments = dict(zip(_ARGUMENTS, reader.values("12i"), strict=True))
    reader.values("d")  # the threshold of subsampling
    if arguments["model"] != _SUPERVISED:
        raise ConfigError(f"{path} holds word vectors; expected a classifier; train one with train_supervised")
    if version == 11:
        arguments["max_chars"] = 0
    dictionary = _read_dictionary(reader)
    (quantised,) = reader.values("?")
    rows = _read_quantised(reader) if quantised else _read_dense(reader)
    (output_quantised,) = reader.values("?")
    outputs = _read_quantised(reader) if quantised and output_quantised else _read_dense(reader)
    return FileContent(arguments, dictionary, rows, outputs)


class _Reader:
    """Little-endian values, one after the other."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._position = 0

    def values(self, form: str) -> tuple[int, ...]:
        """As ``struct`` has it."""
        found = struct.unpack_from(f"<{form}", self._content, self._position)
        self._position += struct.calcsize(f"<{form}")
        return found

    def array(self, dtype: str, size: int) -> np.ndarray:
        """``size`` items, copied so that they are aligned."""
        if size < 0:
            raise ValueError(f"{size} items at byte {self._position}")
        num_bytes = np.dtype(dtype).itemsize * size
        content = self._content[self._position : self._position + num_bytes]
        if len(content) < num_bytes:
            raise ValueError(f"it ends at byte {len(self._content)}, {num_bytes} wanted at byte {self._position}")
        self._position += num_bytes
        return np.frombuffer(content, dtype=dtype)

    def text(self) -> bytes:
        """Up to a zero byte."""
        end = self._content.find(b"\0", self._position)
        if end < 0:
            raise ValueError(f"an entry at byte {self._position} has no end")
        found = self._content[self._position : end]
        self._position = end + 1
        return found


def _read_dictionary(reader: _Reader) -> Dictionary:
    size, num_words, num_labels, _, num_kept = reader.values("3i2q")
    if not 0 <= num_words <= size or num_words + num_labels != size or num_labels < 1:
        raise ValueError(f"{size} entries, {num_words} words and {num_labels} labels")
    entries, counts = [], []
    for _ in range(size):
        entries.append(reader.text())
        counts.append(reader.values("qb")[0])
    pruned = reader.array("<i4", 2 * num_kept).reshape(-1, 2) if num_kept >= 0 else None
    return Dictionary(entries, counts, num_words, pruned)


def _read_dense(reader: _Reader) -> np.ndarray:
    num_rows, dim = reader.values("2q")
    return reader.array("<f4", num_rows * dim).reshape(num_rows, dim)


def _read_quantised(reader: _Reader) -> np.ndarray:
    """A product-quantised matrix, unpacked; float32, shape (num_rows, dim)."""
    has_norms, num_rows, dim, num_codes = reader.values("?2qi")
    codes = reader.array("u1", num_codes)
    matrix = _unpack(codes.reshape(num_rows, -1), _read_centroids(reader), dim)
    if has_norms:
        norm_codes = reader.array("u1", num_rows)
        matrix *= _unpack(norm_codes.reshape(num_rows, 1), _read_centroids(reader), 1)
    return matrix


def _read_centroids(reader: _Reader) -> list[np.ndarray]:
    """Centroids of each sub-vector; float32, shape (256, length of the sub-vector)."""
    dim, num_parts, part_dim, last_dim = reader.values("4i")
    centroids = reader.array("<f4", dim * _NUM_CENTROIDS)
    starts = [part * _NUM_CENTROIDS * part_dim for part in range(num_parts)]
    lengths = [part_dim] * (num_parts - 1) + [last_dim]
    return [
        centroids[start : start + _NUM_CENTROIDS * length].reshape(_NUM_CENTROIDS, length)
        for start, length in zip(starts, lengths, strict=True)
    ]


def _unpack(codes: np.ndarray, centroids: list[np.ndarray], dim: int) -> np.ndarray:
    matrix = np.empty((len(codes), dim), dtype=np.float32)
    start = 0
    for part, of_part in enumerate(centroids):
        matrix[:, start : start + of_part.shape[1]] = of_part[codes[:, part]]
        start += of_part.shape[1]
    return matrix
