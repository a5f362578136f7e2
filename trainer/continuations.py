"""How likely a model finds a continuation of a given beginning, and what it would write itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from trainer.data import IGNORED_TARGET
from trainer.model import Decoder

Ids = np.ndarray


@torch.inference_mode()
def continuation_nats(
    model: Decoder, pairs: Sequence[tuple[Ids, Ids]], eos_token_id: int, *, batch_tokens: int = 8_192
) -> np.ndarray:
    """-ln p of each continuation, given its beginning.

    Args:
        model: on the device to use, in evaluation mode.
        pairs: ids of beginning and continuation, each of shape (num_tokens,); an end-of-text token stands before the
            beginning. What does not fit into the context is cut off at the left, the end of the continuation if that
            alone is too long.
        eos_token_id: of the tokenizer.
        batch_tokens: positions of one forward pass, padding included.

    Returns:
        Nats, float64 of shape (num_pairs,).
    """
    device = next(model.parameters()).device
    rows = []
    for beginning, continuation in pairs:
        continuation = continuation[: model.config.context_tokens]
        told = np.concatenate([[eos_token_id], beginning, continuation]).astype(np.int64)
        told = told[-(model.config.context_tokens + 1) :]
        targets = told[1:].copy()
        targets[: len(targets) - len(continuation)] = IGNORED_TARGET
        rows.append((told[:-1], targets))
    order = sorted(range(len(rows)), key=lambda number: (len(rows[number][0]), number))
    nats = np.zeros(len(rows))
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * len(rows[order[stop]][0]) <= batch_tokens:
            stop += 1
        chosen = order[start:stop]
        longest = max(len(rows[number][0]) for number in chosen)
        inputs = np.full((len(chosen), longest), eos_token_id, dtype=np.int64)
        targets = np.full((len(chosen), longest), IGNORED_TARGET, dtype=np.int64)
        for row, number in enumerate(chosen):
            inputs[row, : len(rows[number][0])], targets[row, : len(rows[number][1])] = rows[number]
        losses = model.negative_log_likelihood(
            torch.from_numpy(inputs).to(device), torch.from_numpy(targets).to(device)
        )
        nats[chosen] = losses.double().sum(dim=1).cpu().numpy()
        start = stop
    return nats


@torch.inference_mode()
def continue_greedily(model: Decoder, beginnings: np.ndarray, num_tokens: int) -> np.ndarray:
    """The likeliest next token, ``num_tokens`` times over.

    Args:
        model: on the device to use, in evaluation mode; beginning and continuation fit into its context.
        beginnings: ids, int64 of shape (rows, length).

    Returns:
        int64 of shape (rows, num_tokens). No keys and values are kept: a continuation costs as many forward passes as
        it has tokens, which small models can afford.
    """
    device = next(model.parameters()).device
    told = torch.from_numpy(beginnings).to(device)
    for _ in range(num_tokens):
        told = torch.cat([told, model(told)[:, -1:].argmax(dim=-1)], dim=1)
    return told[:, beginnings.shape[1] :].cpu().numpy()
