"""fastText's predictions for a whole column of texts, from the Arrow buffers, without fastText.

``predict(model, texts)`` says what ``fasttext``'s own predict says of each text as one line
(``text.replace("\\n", " ") + "\\n"``): the same label, its probability within 1e-4. The benchmark and the tests compare
them on every document of the crawl and of the language sets.

How: a cache of words' rows makes most hashing of n-grams unnecessary (``fasttext_hidden``), and a best-first search
most of the tree of labels (``fasttext_outputs``). Float32 sums are formed in fastText's order.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa

from pipeline.fasttext_model import HIERARCHICAL_SOFTMAX, FastTextModel
from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.compilation import kernel
from pipeline.kernels.fasttext_cache import WordCache, make_cache
from pipeline.kernels.fasttext_hidden import hidden_vector, make_scratch
from pipeline.kernels.fasttext_outputs import MAX_TREE_DEPTH, all_scores, best_in_tree, output_values, take_best
from pipeline.kernels.fasttext_words import end_of_text

_TINY = 1e-5


class Predictions(NamedTuple):
    """The best labels of each text.

    Args:
        labels: int32, shape (num_texts, k): numbers into ``model.labels``, best first; -1 where there is none.
        probabilities: float32, same shape; 0 where there is no label. fastText adds 1e-5 to a probability (for each
            level of the tree of hierarchical softmax), so 1.00001 and more can come out.
    """

    labels: np.ndarray
    probabilities: np.ndarray


def predict(
    model: FastTextModel, texts: pa.Array, k: int = 1, *, threshold: float = 0.0, max_chars: int | None = None
) -> Predictions:
    """The ``k`` likeliest labels of each text.

    Args:
        model: as ``pipeline.fasttext_model.load`` reads it.
        texts: string or large_string; each is one line to the model, whatever line ends it holds.
        k: how many labels, 1 or more.
        threshold: least probability, 0 to 1.
        max_chars: how much of a text is looked at, in characters; all of it if None.

    Returns:
        Predictions; none for a null text, and for one in which the model has no word at all.

    Raises:
        SchemaError, RecordError: for a column that is no text, and a text of 2 GiB or more.
    """
    data, offsets, is_valid = text_buffers(texts)
    starts = offsets[:-1]
    ends = np.where(is_valid, offsets[1:], starts)
    found = predict_spans(model, data, starts, ends, k, threshold=threshold, max_chars=max_chars)
    found.labels[~is_valid] = -1
    found.probabilities[~is_valid] = 0
    return found


def predict_spans(
    model: FastTextModel,
    data: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    k: int = 1,
    *,
    threshold: float = 0.0,
    max_chars: int | None = None,
) -> Predictions:
    """As ``predict``, for stretches of a buffer (lines of texts, for example).

    Args:
        data: uint8, UTF-8.
        starts, ends: int64, shape (num_texts,): text ``i`` is ``data[starts[i]:ends[i]]``.
    """
    num_texts, num_labels = len(starts), len(model.labels)
    found = Predictions(np.empty((num_texts, k), np.int32), np.empty((num_texts, k), np.float32))
    longest = int((ends - starts).max(initial=0))
    least = np.float32(np.log(threshold + _TINY)) if threshold > 0 or _is_tree(model) else np.float32(-np.inf)
    with model.lock:
        if "word_cache" not in model.scratch:
            model.scratch["word_cache"] = make_cache()
        cache = cast(WordCache, model.scratch["word_cache"])
        _predict(
            data, starts, ends, -1 if max_chars is None else max_chars, model.arrays, cache, least,
            make_scratch(longest, model.arrays.max_chars), np.empty(model.dim, np.float32),
            np.empty(num_labels, np.float32), np.empty(2 * num_labels, np.float32),
            np.empty(2 * MAX_TREE_DEPTH, np.int32), np.empty(2 * MAX_TREE_DEPTH, np.float32),
            found.labels, found.probabilities,
        )  # fmt: skip
    return found


def probability_of(model: FastTextModel, texts: pa.Array, label: str, *, max_chars: int | None = None) -> np.ndarray:
    """Probability of one label for each text, as fastText gives it.

    Args:
        label: with or without ``__label__``.

    Returns:
        float32, shape (num_texts,); NaN for a null text, and for one in which the model has no word at all.

    Raises:
        ConfigError: if the model has no such label.
    """
    number = model.label_number(label)
    found = predict(model, texts, len(model.labels), max_chars=max_chars)
    is_label = found.labels == number
    probability = np.where(is_label, found.probabilities, 0).sum(axis=1, dtype=np.float32)
    return np.where(found.labels[:, 0] >= 0, probability, np.float32(np.nan))


def _is_tree(model: FastTextModel) -> bool:
    return model.arrays.loss == HIERARCHICAL_SOFTMAX


@kernel
def _predict(
    data, starts, ends, max_chars, model, cache, least,
    scratch, hidden, values, scores, stack, stack_scores, labels, probabilities,
):  # fmt: skip
    """Fill ``labels`` and ``probabilities`` text by text; what stands between them and ``least`` is scratch memory."""
    for row in range(len(starts)):
        labels[row, :] = -1
        probabilities[row, :] = np.float32(0)
        start = starts[row]
        end = end_of_text(data, start, ends[row], max_chars)
        if hidden_vector(data, start, end, model, cache, scratch, hidden) == 0:
            continue
        output_values(hidden, model.output_columns, values)
        if model.loss == HIERARCHICAL_SOFTMAX and labels.shape[1] == 1:
            label, score = best_in_tree(values, model, stack, stack_scores)
            if score >= least:
                labels[row, 0] = label
                probabilities[row, 0] = math.exp(score)
        else:
            all_scores(values, model, scores)
            take_best(scores, model.num_labels, least, labels[row], probabilities[row])
