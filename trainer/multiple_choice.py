"""Multiple choice by likelihood, from local jsonl files in the layouts of the benchmarks, as continuous metrics.

A model of the sizes that judge data hardly ever picks the right answer more often than chance would, and whether it
does moves in steps of one question. What moves smoothly is the probability of the right answer, so that is reported
beside the accuracy.

Layouts (one question a line):

* ``hellaswag``: ``ctx``, ``endings``, ``label``.
* ``arc``: ``question`` with ``choices`` (``text``, ``label``) and ``answerKey``; or the question an object with
  ``stem`` and ``choices``, as AI2's files have it.
* ``boolq``: ``passage``, ``question``, ``answer`` (true or false); the choices are yes and no.
* ``truthfulqa``: ``question``, ``mc2_targets`` or ``mc1_targets``: ``choices`` and ``labels``, or answers with 0 or 1.

Sources: Zellers et al. 2019; Clark et al. 2018, 2019; Lin et al. 2022 (``mc2``: the share of probability on true
answers). Normalisation by bytes as in the evaluation harness of Gao et al.; continuous metrics, Magnusson et al. 2025.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from pipeline import storage
from pipeline.errors import ConfigError
from tokenizer_training.encoder import Encoder
from trainer.continuations import continuation_nats
from trainer.trained_model import TrainedModel

Layout = Literal["hellaswag", "arc", "boolq", "truthfulqa"]


@dataclass(frozen=True)
class Question:
    """A beginning and its continuations, of which one or more are right."""

    beginning: str
    choices: tuple[str, ...]
    is_right: tuple[bool, ...]


class ChoiceScores(BaseModel):
    """Means over the questions of a file."""

    model_config = ConfigDict(frozen=True)

    layout: str
    num_questions: int
    accuracy: float  # the likeliest choice is right
    accuracy_per_byte: float  # the likeliest by bits per byte is right
    probability_right: float  # of the right choices among all, by likelihood
    bits_per_byte_right: float  # of the right choices, given the question
    margin_bits_per_byte: float  # wrong choices' best minus right choices' best
    chance: float  # accuracy of guessing


def score_choices(model: TrainedModel, tokenizer: str, path: str, layout: Layout) -> ChoiceScores:
    """Ask a model the questions of a file.

    Args:
        model: a trained one; an encoder-decoder's encoder reads the question.
        tokenizer: path or URL of the ``tokenizer.json`` that its shards were made with.
        path: the jsonl file.
        layout: of its lines.

    Raises:
        ConfigError: if a line is not of the layout, or the tokenizer is another one.
    """
    encoder = _encoder_of(model, tokenizer)
    questions = read_questions(path, layout)
    pairs, sizes = [], []
    for question in questions:
        beginning = encoder.encode_batch([question.beginning])[0][:-1]
        for choice in question.choices:
            told = f" {choice}"
            pairs.append((beginning, encoder.encode_batch([told])[0][:-1]))
            sizes.append(len(told.encode()))
    nats = continuation_nats(model.network, pairs, model.eos_token_id, form=model.form)
    rows, start = [], 0
    for question in questions:
        end = start + len(question.choices)
        rows.append(_score_one(nats[start:end], np.array(sizes[start:end]), np.array(question.is_right)))
        start = end
    means = np.mean(rows, axis=0)
    return ChoiceScores(
        layout=layout,
        num_questions=len(questions),
        chance=float(np.mean([np.mean(question.is_right) for question in questions])),
        **dict(zip(_METRICS, map(float, means), strict=True)),
    )


_METRICS = ("accuracy", "accuracy_per_byte", "probability_right", "bits_per_byte_right", "margin_bits_per_byte")


def _score_one(nats: np.ndarray, num_bytes: np.ndarray, is_right: np.ndarray) -> tuple[float, ...]:
    """The metrics of one question, in the order of ``_METRICS``."""
    bits_per_byte = nats / num_bytes / math.log(2)
    weights = np.exp(-(nats - nats.min()))
    return (
        float(is_right[nats.argmin()]),
        float(is_right[bits_per_byte.argmin()]),
        float(weights[is_right].sum() / weights.sum()),
        float(bits_per_byte[is_right].mean()),
        float(bits_per_byte[~is_right].min() - bits_per_byte[is_right].min()),
    )


def _encoder_of(model: TrainedModel, tokenizer: str) -> Encoder:
    content = json.loads(storage.read_bytes(tokenizer))
    names = {entry["id"]: entry["content"] for entry in content.get("added_tokens", [])}
    encoder = Encoder(tokenizer, eos_token=names.get(model.eos_token_id, ""), parallel=True)
    if encoder.sha256 != model.tokenizer_sha256:
        raise ConfigError(
            f"{tokenizer} has sha256 {encoder.sha256[:12]}; the model's shards were made with "
            f"{model.tokenizer_sha256[:12]}; expected the same; name the run's tokenizer/tokenizer.json"
        )
    return encoder


def read_questions(path: str, layout: Layout) -> list[Question]:
    """The questions of a jsonl file.

    Raises:
        ConfigError: naming the first line that is not of the layout.
    """
    try:
        content = storage.read_bytes(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path} ({error}); expected a jsonl file in UTF-8; correct the path") from None
    questions = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            question = _READERS[layout](json.loads(line))
            if not any(question.is_right) or all(question.is_right):
                raise ValueError(f"{sum(question.is_right)} of {len(question.is_right)} choices are right")
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ConfigError(
                f"line {number} of {path} is no question of layout {layout!r} ({type(error).__name__}: {error}); "
                f"expected the keys of that benchmark; name another layout, or mend the line"
            ) from None
        questions.append(question)
    if not questions:
        raise ConfigError(f"{path} has no question; expected one a line; correct the path")
    return questions


def _hellaswag(row: dict[str, Any]) -> Question:
    right = int(row["label"])
    return Question(row["ctx"], tuple(row["endings"]), tuple(n == right for n in range(len(row["endings"]))))


def _arc(row: dict[str, Any]) -> Question:
    stem = row["question"]
    if isinstance(stem, dict):
        entries = [(entry["text"], entry["label"]) for entry in stem["choices"]]
        stem = stem["stem"]
    else:
        entries = list(zip(row["choices"]["text"], row["choices"]["label"], strict=True))
    choices = tuple(text for text, _ in entries)
    return Question(f"Question: {stem}\nAnswer:", choices, tuple(label == row["answerKey"] for _, label in entries))


def _boolq(row: dict[str, Any]) -> Question:
    answer = row["answer"]
    if not isinstance(answer, bool):
        raise ValueError(f"answer is {answer!r}")
    return Question(f"{row['passage']}\nQuestion: {row['question']}?\nAnswer:", ("yes", "no"), (answer, not answer))


def _truthfulqa(row: dict[str, Any]) -> Question:
    targets = row.get("mc2_targets") or row["mc1_targets"]
    if "choices" in targets:
        pairs = list(zip(targets["choices"], targets["labels"], strict=True))
    else:
        pairs = list(targets.items())
    beginning = f"Q: {row['question']}\nA:"
    return Question(beginning, tuple(text for text, _ in pairs), tuple(bool(int(label)) for _, label in pairs))


_READERS: dict[str, Callable[[dict[str, Any]], Question]] = {
    "hellaswag": _hellaswag,
    "arc": _arc,
    "boolq": _boolq,
    "truthfulqa": _truthfulqa,
}
