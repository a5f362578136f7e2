"""What a model gives each document: minus the log probability of its tokens.

Each document is scored from its own start, after an end-of-text token, as it stood in training: no document profits
from its neighbour. A document longer than the context is scored in windows that overlap: each window after the first
scores ``stride_tokens`` new tokens, given at least context - stride tokens before them. Every token is scored exactly
once. Cost: context / stride forward passes per token of a long document. Windows are batched by length, so that
little is spent on padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from trainer.config import TrainConfig
from trainer.data import IGNORED_TARGET
from trainer.device import forward_tokens, mixed_precision
from trainer.model import Decoder


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


@torch.inference_mode()
def score_documents(
    model: Decoder,
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
        config: context, stride, precision and tokens per forward pass.
        on_progress: called with windows scored and windows in all.

    Returns:
        Nats, float64 of shape (num_documents,).
    """
    model.eval()
    device = next(model.parameters()).device
    context = config.model.context_tokens
    stride = config.evaluation.stride(context)
    windows = [
        _Window(number, *bounds)
        for number, tokens in enumerate(documents)
        for bounds in windows_of(len(tokens), context, stride)
    ]
    windows.sort(key=lambda window: (window.end - window.start, window.document, window.start))
    nats = np.zeros(len(documents))
    done = 0
    for batch in _batches(windows, forward_tokens(config, device)):
        inputs, targets = _pad(batch, documents, eos_token_id)
        with mixed_precision(config, device):
            losses = model.negative_log_likelihood(
                torch.from_numpy(inputs).to(device), torch.from_numpy(targets).to(device)
            )
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


def _pad(batch: list[_Window], documents: list[np.ndarray], eos_token_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets, int64 of shape (windows, longest); padding on the right is invisible to causal attention."""
    longest = max(window.end - window.start for window in batch)
    inputs = np.full((len(batch), longest), eos_token_id, dtype=np.int64)
    targets = np.full((len(batch), longest), IGNORED_TARGET, dtype=np.int64)
    for row, window in enumerate(batch):
        tokens = documents[window.document]
        before = tokens[max(0, window.start - 1) : window.end - 1]
        inputs[row, window.end - window.start - len(before) : window.end - window.start] = before
        targets[row, window.scored_from - window.start : window.end - window.start] = tokens[
            window.scored_from : window.end
        ]
    return inputs, targets
