"""What a model gives each document: minus the log probability of its tokens.

Each document is scored from its own start, after an end-of-text token, as it stood in training: no document profits
from its neighbour. A document longer than the context is scored in windows that overlap: each window after the first
scores ``stride_tokens`` new tokens, given at least context - stride tokens before them. Every token is scored exactly
once. Cost: context / stride forward passes per token of a long document. Windows are batched by length, so that
little is spent on padding.

An encoder-decoder is asked for ``stride_tokens`` at a time, its encoder reading the context - stride tokens before
them, in the form that its objective has for a text's end (``seq2seq.py``). By the chain rule that too is a probability
of the document, from as long a memory, so bits per byte of both kinds of model compare. A model trained by span
corruption is asked for a span at a time; longer pieces it cannot know (a small one at context 32: 3.1 bits per token
in pieces of 3, 7.2 of 16). Cost: context / stride forward passes per token, many for short spans: ``max_tokens``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from trainer.batch import Example, stack_examples
from trainer.config import TrainConfig
from trainer.data import IGNORED_TARGET
from trainer.device import forward_tokens, mixed_precision
from trainer.model import Model
from trainer.model_inputs import model_inputs
from trainer.seq2seq import ContinuationForm, continuation_form


@dataclass(frozen=True)
class _Window:
    """Positions ``start`` … ``end`` - 1 of a document go in; the targets from ``scored_from`` on count."""

    document: int
    start: int
    scored_from: int
    end: int


def windows_of(num_tokens: int, context_tokens: int, stride_tokens: int) -> Iterator[tuple[int, int, int]]:
    """(start, scored_from, end) of each window over a document; the scored ranges cover it without overlap."""
    scored_from, end = 0, min(context_tokens, num_tokens)
    while scored_from < num_tokens:
        yield max(0, end - context_tokens), scored_from, end
        scored_from, end = end, min(end + stride_tokens, num_tokens)


def pieces_of(num_tokens: int, context_tokens: int, stride_tokens: int) -> Iterator[tuple[int, int, int]]:
    """(start, scored_from, end) of each piece of a document; scored are those of ``stride_tokens`` in turn."""
    for scored_from in range(0, num_tokens, stride_tokens):
        start = max(0, scored_from + stride_tokens - context_tokens)
        yield start, scored_from, min(scored_from + stride_tokens, num_tokens)


@torch.inference_mode()
def score_documents(
    model: Model,
    documents: list[np.ndarray],
    eos_token_id: int,
    config: TrainConfig,
    on_progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Sum of -ln p over the tokens of each document.

    Args:
        model: on the device to use.
        documents: token ids, each of shape (num_tokens,).
        eos_token_id: stands before each document.
        config: context, stride, precision, tokens per forward pass and objective.
        on_progress: called with windows scored and windows in all.

    Returns:
        Nats, float64 of shape (num_documents,).
    """
    model.eval()
    device = next(model.parameters()).device
    context = config.model.context_tokens
    stride = config.evaluation_stride_tokens
    form, cut = None, windows_of
    if config.model.kind == "encoder_decoder":
        vocab_size = model.embedding.num_embeddings - config.objective.num_special_ids
        form, cut = continuation_form(config.objective, vocab_size, eos_token_id), pieces_of
    windows = [
        _Window(number, *bounds)
        for number, tokens in enumerate(documents)
        for bounds in cut(len(tokens), context, stride)
    ]
    windows.sort(key=lambda window: (window.end - window.start, window.document, window.start))
    nats = np.zeros(len(documents))
    done = 0
    for batch in _batches(windows, forward_tokens(config, device)):
        rows = [[_example(window, documents[window.document], eos_token_id, form)] for window in batch]
        with mixed_precision(config, device):
            losses = model.negative_log_likelihood(*model_inputs(stack_examples(rows, eos_token_id), device))
        np.add.at(nats, [window.document for window in batch], losses.double().sum(dim=1).cpu().numpy())
        done += len(batch)
        if on_progress is not None:
            on_progress(done, len(windows))
    return nats


def _batches(windows: list[_Window], max_tokens: int) -> Iterator[list[_Window]]:
    """Neighbours in a list sorted by length, at most ``max_tokens`` positions with padding."""
    batch: list[_Window] = []
    for window in windows:
        if batch and (len(batch) + 1) * (window.end - window.start) > max_tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _example(window: _Window, tokens: np.ndarray, eos_token_id: int, form: ContinuationForm | None) -> Example:
    """A window of the document ``tokens``; what fills it up on the right is invisible to causal attention."""
    if form is not None:
        return form.example(tokens[window.start : window.scored_from], tokens[window.scored_from : window.end])
    before = [eos_token_id] if window.start == 0 else []
    inputs = np.concatenate([before, tokens[max(0, window.start - 1) : window.end - 1]]).astype(np.int64)
    targets = tokens[window.start : window.end].astype(np.int64)
    targets[: window.scored_from - window.start] = IGNORED_TARGET
    return Example(inputs, targets)
