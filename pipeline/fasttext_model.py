"""fastText classifiers as arrays that compiled kernels walk.

fastText's own library predicts one line a call, through strings and a hash map of nodes; its Python wrapper fails on
NumPy 2. ``pipeline.kernels.fasttext_predict`` predicts whole Arrow columns from what is arranged here, and says the
same. ``fasttext_file`` reads the files. The Huffman tree of hierarchical softmax is not stored in them: it follows from
the labels' counts.

Source: Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification" (arXiv 1607.01759).
"""

from __future__ import annotations

import functools
import mmap
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.errors import ConfigError
from pipeline.fasttext_file import Dictionary, FileContent, read_classifier
from pipeline.kernels.fasttext_words import word_slots

HIERARCHICAL_SOFTMAX, NEGATIVE_SAMPLING, SOFTMAX, ONE_VERSUS_ALL = 1, 2, 3, 4
END_OF_LINE = b"</s>"
LABEL_PREFIX = b"__label__"

_HUFFMAN_UNSET = 10**15
_CACHE_LINE_BYTES = 64


class ModelArrays(NamedTuple):
    """What kernels need of a model.

    Args:
        words: uint8; the bytes of all words and labels, one after the other.
        word_ends: int64, shape (num_entries + 1,): entry ``i`` is ``words[word_ends[i]:word_ends[i + 1]]``.
        word_slots: int32, a power of two of slots; entries by fastText's hash of their bytes, -1 where free.
        rows: float32, shape (num_rows, dim): input vectors of the words, then those of the hash buckets, in their
            order; of a pruned model, of those that have a row.
        kept_buckets: uint64, one bit for each bucket of a pruned model that has a row, the first one lowest: a table
            that stays in the second-level cache; else shape (0,).
        kept_before: int32, shape (len(kept_buckets),): the row of the first of these 64 buckets that has one.
        output_columns: float32, shape (dim, num_outputs): output vectors, of labels or of the tree's inner nodes, by
            component.
        children: int32, shape (2 * num_labels - 1, 2): left and right child of each node of the Huffman tree, -1 for
            leaves, which are the labels; shape (0, 2) without hierarchical softmax.
        num_words, num_labels, num_buckets: counts; int64.
        buckets_pruned: whether ``kept_buckets`` says which buckets have a row; int64.
        min_chars, max_chars: lengths of character n-grams, in characters; ``max_chars`` 0 for none; int64.
        word_ngrams: longest word n-gram, in words; int64.
        loss: ``HIERARCHICAL_SOFTMAX`` …; int64.
        end_of_line: entry of ``</s>``, or -1; int64.
    """

    words: np.ndarray
    word_ends: np.ndarray
    word_slots: np.ndarray
    rows: np.ndarray
    kept_buckets: np.ndarray
    kept_before: np.ndarray
    output_columns: np.ndarray
    children: np.ndarray
    num_words: int
    num_labels: int
    num_buckets: int
    buckets_pruned: int
    min_chars: int
    max_chars: int
    word_ngrams: int
    loss: int
    end_of_line: int


@dataclass(frozen=True)
class FastTextModel:
    """A classifier in memory.

    Args:
        path: where it came from.
        labels: without ``__label__``, in the order of the output's numbers.
        arrays: what kernels need.
        lock: held while a kernel uses the word cache.
        scratch: a kernel's word cache, made by it on first use.
    """

    path: str
    labels: tuple[str, ...]
    arrays: ModelArrays
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    scratch: dict[str, object] = field(default_factory=dict, repr=False, compare=False)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.arrays.rows.shape[1])

    def label_number(self, label: str) -> int:
        """The number of a label, with or without ``__label__``.

        Raises:
            ConfigError: if the model has no such label.
        """
        name = label.removeprefix(LABEL_PREFIX.decode())
        if name not in self.labels:
            shown = ", ".join(self.labels[:10]) + (" …" if len(self.labels) > 10 else "")
            raise ConfigError(f"model {self.path} has no label {name!r}; expected one of {shown}; correct the label")
        return self.labels.index(name)


def load(path: str | Path) -> FastTextModel:
    """Read a fastText classifier.

    Args:
        path: of a ``.bin`` or ``.ftz`` file.

    Raises:
        ConfigError: if the file is not a fastText classifier, is cut short, or is of a version that is not known.
    """
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _model(read_classifier(content, str(path)), str(path))
    except OSError as error:
        raise ConfigError(f"cannot read model {path}: {error.strerror}; correct the path") from None
    except (struct.error, ValueError, IndexError) as error:
        raise ConfigError(
            f"{path} is no whole fastText model: {error}; expected a .bin or .ftz file; fetch or train it again"
        ) from None


@functools.lru_cache(maxsize=8)
def shared(path: str) -> FastTextModel:
    """As ``load``, once per process: forked workers share what their daemon has read."""
    return load(path)


def _model(content: FileContent, path: str) -> FastTextModel:
    dictionary = content.dictionary
    prefix = LABEL_PREFIX.decode()
    labels = tuple(
        entry.decode("utf-8", "replace").removeprefix(prefix) for entry in dictionary.entries[dictionary.num_words :]
    )
    return FastTextModel(path, labels, _arrays(content.arguments, dictionary, content.rows, content.outputs))


def _arrays(arguments: dict[str, int], dictionary: Dictionary, rows: np.ndarray, outputs: np.ndarray) -> ModelArrays:
    num_words, num_labels = dictionary.num_words, len(dictionary.entries) - dictionary.num_words
    kept_buckets, kept_before = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int32)
    if dictionary.pruned is not None:
        in_order = dictionary.pruned[np.argsort(dictionary.pruned[:, 0])]
        rows = np.concatenate([rows[:num_words], rows[num_words + in_order[:, 1]]])
        kept_buckets, kept_before = _kept(in_order[:, 0], arguments["num_buckets"], num_words)
    is_tree = arguments["loss"] == HIERARCHICAL_SOFTMAX
    words = b"".join(dictionary.entries)
    word_ends = np.cumsum([0, *map(len, dictionary.entries)], dtype=np.int64)
    end_of_line = dictionary.entries.index(END_OF_LINE) if END_OF_LINE in dictionary.entries else -1
    arrays = ModelArrays(
        words=np.frombuffer(words, dtype=np.uint8),
        word_ends=word_ends,
        word_slots=word_slots(np.frombuffer(words, dtype=np.uint8), word_ends),
        rows=_on_cache_lines(rows),
        kept_buckets=kept_buckets,
        kept_before=kept_before,
        output_columns=np.ascontiguousarray(outputs.T),
        children=_huffman_tree(dictionary.counts[num_words:]) if is_tree else np.empty((0, 2), dtype=np.int32),
        num_words=num_words,
        num_labels=num_labels,
        num_buckets=arguments["num_buckets"],
        buckets_pruned=int(dictionary.pruned is not None),
        min_chars=arguments["min_chars"],
        max_chars=arguments["max_chars"],
        word_ngrams=arguments["word_ngrams"],
        loss=arguments["loss"],
        end_of_line=end_of_line if end_of_line < num_words else -1,
    )
    for array in arrays:
        if isinstance(array, np.ndarray):
            array.flags.writeable = False  # one type of array for all models: kernels compile once
    return arrays


def _kept(buckets: np.ndarray, num_buckets: int, num_words: int) -> tuple[np.ndarray, np.ndarray]:
    """``kept_buckets`` and ``kept_before`` of these buckets, which are in order."""
    is_kept = np.zeros(num_buckets // 64 * 64 + 64, dtype=bool)
    is_kept[buckets] = True
    counts = is_kept.reshape(-1, 64).sum(axis=1)
    before = num_words + np.cumsum(counts) - counts
    return np.packbits(is_kept, bitorder="little").view("<u8").astype(np.uint64), before.astype(np.int32)


def _on_cache_lines(matrix: np.ndarray) -> np.ndarray:
    """A copy that begins at a multiple of 64 bytes: a row of 16 components then lies in one cache line, not in two."""
    memory = np.empty(matrix.nbytes + _CACHE_LINE_BYTES, dtype=np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE_BYTES
    aligned = memory[start : start + matrix.nbytes].view(np.float32).reshape(matrix.shape)
    aligned[:] = matrix
    return aligned


def _huffman_tree(counts: list[int]) -> np.ndarray:
    """Children of each node, as fastText builds its tree from the labels' counts, the most frequent first.

    Returns:
        int32, shape (2 * num_labels - 1, 2), -1 for leaves; the root is the last node.
    """
    num_labels = len(counts)
    num_nodes = 2 * num_labels - 1
    children = np.full((num_nodes, 2), -1, dtype=np.int32)
    weights = [*counts, *[_HUFFMAN_UNSET] * (num_labels - 1)]
    leaf, node = num_labels - 1, num_labels
    for parent in range(num_labels, num_nodes):
        for side in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children[parent, side] = leaf
                leaf -= 1
            else:
                children[parent, side] = node
                node += 1
        weights[parent] = weights[children[parent, 0]] + weights[children[parent, 1]]
    return children
