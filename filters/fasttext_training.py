"""Learn a fastText classifier that is the same, to the byte, whenever it is learnt from the same texts.

fastText itself does what is exact: it makes the dictionary, and writes the file, which its own and every other loader
of ``.bin`` models reads. The two steps in which it depends on threads are ours: the matrices' start (its
``DenseMatrix::uniform`` fills a tenth of a matrix per thread and leaves the rest as memory was) and the descent
(``pipeline/kernels/fasttext_training.py``).

Texts are told apart by their hash: it decides which are held out, so a text and its copy never stand on both sides;
and it orders them, so neither files nor their order matter.

Sources: Brown et al. 2020 (GPT-3), appendix A; Touvron et al. 2023 (LLaMA), section 2.1; Li et al. 2024 (DCLM), section
4.4. Deviations: GPT-3 fits a logistic regression on hashed words, here it is fastText with unigrams of five occurrences
or more; epochs and learning rates are not published and stay fastText's own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import fasttext
import numpy as np
from pydantic import Field

from pipeline import fasttext_model
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.fasttext_model import ModelArrays
from pipeline.hashing import hash_key, hash_keys
from pipeline.kernels.fasttext_training import text_rows, train_epoch

LABEL_PREFIX = "__label__"
END_OF_TEXT = "</s>"  # fastText's own word for a line's end
_NUM_THREADS = 10  # with fewer, fastText leaves memory uninitialised that it then reads
_DRAWS_AT_ONCE = 1 << 22
_NO_SPACE = str.maketrans(dict.fromkeys("\n\r\t\v\f\0", " "))


class FastTextConfig(Config):
    """Size and training of a classifier; the defaults are fastText's but for ``buckets``.

    Args:
        dim: length of a vector.
        word_ngrams: words up to which runs count as features of their own.
        min_count: words that are rarer in the training texts have no vector of their own.
        buckets: vectors that n-grams of two words and more share by hash; none are made for ``word_ngrams = 1``.
        epochs: passes over the texts.
        learning_rate: at the start; it falls to 0.
        seed: of the start and of the order of the texts.
    """

    dim: int = Field(default=100, ge=1, le=1000)
    word_ngrams: int = Field(default=1, ge=1, le=5)
    min_count: int = Field(default=1, ge=1)
    buckets: int = Field(default=200_000, ge=1, le=20_000_000)
    epochs: int = Field(default=5, ge=1, le=1000)
    learning_rate: float = Field(default=0.1, gt=0, le=10)
    seed: int = Field(default=0, ge=0)


Preset = Literal["gpt3", "llama", "dclm"]

PRESETS: dict[Preset, dict[str, Any]] = {
    "gpt3": {"word_ngrams": 1, "min_count": 5},
    "llama": {"word_ngrams": 1},
    "dclm": {"word_ngrams": 2, "buckets": 2_000_000},
}
"""Features of the classifiers of published corpora; what they learnt from is said in docs/quality.md."""


def one_line(text: str) -> str:
    """A text as fastText sees it: one line, without words that mean something to fastText.

    A word that begins with ``__label__`` would be the text's label, and ``</s>`` would end it.
    """
    line = text.translate(_NO_SPACE)
    if LABEL_PREFIX in line or END_OF_TEXT in line:
        words = line.split(" ")
        line = " ".join(word for word in words if not word.startswith(LABEL_PREFIX) and word != END_OF_TEXT)
    return line


def train_classifier(texts: Sequence[str], labels: Sequence[str], config: FastTextConfig, path: str) -> list[float]:
    """Learn a classifier and write it.

    Args:
        texts: each as ``one_line`` gives it.
        labels: of each text, without ``__label__``; at least two different ones.
        config: size and training.
        path: local path of the ``.bin`` to write.

    Returns:
        Mean loss of each epoch, in nats per text, as the texts were met.

    Raises:
        ConfigError: if there are fewer than two labels.
    """
    if len(set(labels)) < 2:
        raise ConfigError(
            f"all {len(labels)} training texts have the same label {sorted(set(labels))}; expected two kinds of text; "
            f"name sources of both"
        )
    by_hash = sorted(range(len(texts)), key=lambda i: (hash_key(config.seed, "fasttext", texts[i]), labels[i]))
    texts, labels = [texts[i] for i in by_hash], [labels[i] for i in by_hash]
    with tempfile.TemporaryDirectory() as folder:
        model, arrays = _dictionary(texts, labels, config, Path(folder))
    rows, offsets = features(arrays, texts)
    numbers = {name.removeprefix(LABEL_PREFIX): number for number, name in enumerate(model.labels)}
    input_matrix = _start(arrays.num_words + arrays.num_buckets, config)
    output_matrix = np.zeros((len(numbers), config.dim), dtype=np.float32)
    descent = _Descent(
        rows=rows,
        offsets=offsets,
        labels=np.array([numbers[label] for label in labels], np.int32),
        text_ids=[f"{hash_key(config.seed, 'fasttext', text):016x}" for text in texts],
    )
    losses = descent.run(input_matrix, output_matrix, config)
    model.f.setMatrices(input_matrix, output_matrix)
    model.save_model(path)
    return losses


def _start(num_vectors: int, config: FastTextConfig) -> np.ndarray:
    """Vectors before training, uniform between -1/dim and 1/dim; float32, shape (num_vectors, dim).

    From PCG64's raw bits, whose stream NumPy keeps the same in all versions.
    """
    source = np.random.PCG64(config.seed)
    matrix = np.empty(num_vectors * config.dim, dtype=np.float32)
    for start in range(0, matrix.size, _DRAWS_AT_ONCE):
        part = matrix[start : start + _DRAWS_AT_ONCE]
        bits = source.random_raw((part.size + 1) // 2).astype("<u8").view("<u4")[: part.size]
        part[:] = (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    matrix /= np.float32(config.dim)
    return matrix.reshape(num_vectors, config.dim)


def _dictionary(
    texts: Sequence[str], labels: Sequence[str], config: FastTextConfig, folder: Path
) -> tuple[Any, ModelArrays]:
    """A model with fastText's dictionary of the texts, untrained (zero epochs): fastText's own, and as kernels see it.

    Its vectors have one dimension: they are to be replaced.
    """
    training, path = folder / "training.txt", folder / "dictionary.bin"
    with open(training, "w", encoding="utf-8") as lines:
        lines.writelines(f"{LABEL_PREFIX}{label} {text}\n" for label, text in zip(labels, texts, strict=True))
    model = fasttext.train_supervised(
        input=str(training),
        dim=1,
        wordNgrams=config.word_ngrams,
        minCount=config.min_count,
        bucket=config.buckets if config.word_ngrams > 1 else 0,
        lr=config.learning_rate,
        epoch=0,
        thread=_NUM_THREADS,
        verbose=0,
    )
    model.save_model(str(path))
    return model, fasttext_model.load(path).arrays


def features(arrays: ModelArrays, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the input matrix that each text is the mean of.

    Args:
        arrays: of a classifier as it is trained here.
        texts: each as ``one_line`` gives it.

    Returns:
        Rows of all texts, int32; and where each text's begin, int64, shape (num_texts + 1,).
    """
    parts: list[np.ndarray] = [np.empty(0, np.int32)]
    for text in texts:
        data = np.frombuffer(text.encode("utf-8"), dtype=np.uint8)
        most_words = len(data) // 2 + 2
        hashes = np.empty(most_words, np.int32)
        rows = np.empty((most_words + 1) * arrays.word_ngrams, np.int32)
        parts.append(rows[: text_rows(data, 0, len(data), arrays, hashes, rows)].copy())
    return np.concatenate(parts), np.cumsum([len(part) for part in parts], dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class _Descent:
    """What is learnt from: the texts' rows (``features``), the row of each one's label, and ids to order them by."""

    rows: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    text_ids: Sequence[str]

    def run(self, input_matrix: np.ndarray, output_matrix: np.ndarray, config: FastTextConfig) -> list[float]:
        """Change the matrices in place; returns the mean loss of each epoch."""
        hidden, gradient = np.zeros(config.dim, np.float32), np.zeros(config.dim, np.float32)
        scores = np.zeros(len(output_matrix), np.float32)
        total_rows = max(len(self.rows) * config.epochs, 1)
        seen_rows, losses = 0, []
        for epoch in range(config.epochs):
            order = np.argsort(hash_keys(config.seed, f"fasttext epoch {epoch}", self.text_ids), kind="stable")
            seen_rows, loss = train_epoch(
                self.rows,
                self.offsets,
                self.labels,
                order,
                input_matrix,
                output_matrix,
                config.learning_rate,
                seen_rows,
                total_rows,
                hidden,
                gradient,
                scores,
            )
            losses.append(loss / len(self.labels))
        return losses
