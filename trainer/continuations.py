"""How likely a model finds a continuation of a given beginning, and what it would write itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from trainer.batch import Example, stack_examples
from trainer.data import IGNORED_TARGET
from trainer.model import Model
from trainer.model_inputs import model_inputs
from trainer.seq2seq import ContinuationForm

Ids = np.ndarray


@torch.inference_mode()
def continuation_nats(
    model: Model,
    pairs: Sequence[tuple[Ids, Ids]],
    eos_token_id: int,
    *,
    form: ContinuationForm | None = None,
    batch_tokens: int = 8_192,
) -> np.ndarray:
    """-ln p of each continuation, given its beginning.

    Args:
        model: on the device to use, in evaluation mode.
        pairs: ids of beginning and continuation, each of shape (num_tokens,); an end-of-text token stands before the
            beginning. What does not fit into the context is cut off at the left, the end of the continuation if that
            alone is too long.
        eos_token_id: of the tokenizer.
        form: of an encoder-decoder's objective: its encoder reads the beginning, either side as long as the context;
            None: of a decoder.
        batch_tokens: positions of one forward pass, padding included.

    Returns:
        Nats, float64 of shape (num_pairs,).
    """
    device = next(model.parameters()).device
    rows = [_example(*pair, model.config.context_tokens, eos_token_id, form) for pair in pairs]
    sizes = [len(row.inputs) + (0 if row.source is None else len(row.source)) for row in rows]
    order = sorted(range(len(rows)), key=lambda number: (sizes[number], number))
    nats = np.zeros(len(rows))
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * sizes[order[stop]] <= batch_tokens:
            stop += 1
        chosen = order[start:stop]
        batch = stack_examples([[rows[number]] for number in chosen], eos_token_id)
        losses = model.negative_log_likelihood(*model_inputs(batch, device))
        nats[chosen] = losses.double().sum(dim=1).cpu().numpy()
        start = stop
    return nats


def _example(
    beginning: Ids, continuation: Ids, context_tokens: int, eos_token_id: int, form: ContinuationForm | None
) -> Example:
    """One pair as the model is asked."""
    if form is not None:
        fitting = context_tokens + 1 - len(form.opening)
        return form.example(beginning[max(0, len(beginning) + 1 - context_tokens) :], continuation[:fitting])
    continuation = continuation[:context_tokens]
    told = np.concatenate([[eos_token_id], beginning, continuation]).astype(np.int64)
    told = told[-(context_tokens + 1) :]
    targets = told[1:].copy()
    targets[: len(targets) - len(continuation)] = IGNORED_TARGET
    return Example(told[:-1], targets)


@torch.inference_mode()
def continue_greedily(
    model: Model, beginnings: np.ndarray, num_tokens: int, *, form: ContinuationForm | None = None
) -> np.ndarray:
    """The likeliest next token, ``num_tokens`` times over.

    Args:
        model: on the device to use, in evaluation mode; beginning and continuation fit into its context.
        beginnings: ids, int64 of shape (rows, length).
        num_tokens: of the continuation.
        form: of an encoder-decoder's objective; None: of a decoder.

    Returns:
        int64 of shape (rows, num_tokens). No keys and values are kept: a continuation costs as many forward passes as
        it has tokens, which small models can afford.
    """
    device = next(model.parameters()).device
    told = beginnings
    sources: tuple[torch.Tensor, ...] = ()
    if form is not None:
        sources = (torch.from_numpy(np.stack([form.source(beginning) for beginning in beginnings])).to(device),)
        told = np.tile(form.opening, (len(beginnings), 1))
    tokens = torch.from_numpy(told).to(device)
    for _ in range(num_tokens):
        tokens = torch.cat([tokens, model(tokens, *sources)[:, -1:].argmax(dim=-1)], dim=1)
    return tokens[:, told.shape[1] :].cpu().numpy()
