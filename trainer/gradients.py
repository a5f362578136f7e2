"""Gradients of a step: in pieces that fit into memory, over all processes.

A step of ``tokens_per_step`` runs in pieces of ``forward_tokens`` whose gradients add up, so that the logits of
one piece are all that has to fit into memory (4 bytes x tokens x vocabulary, three times over).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from trainer.config import TrainConfig
from trainer.data import IGNORED_TARGET
from trainer.device import forward_tokens, mixed_precision
from trainer.noise_scale import noise_estimates
from trainer.objectives import Batch
from trainer.parallel import Processes, whole, without_exchange
from trainer.selection import Selection


def accumulate(
    losses_of: nn.Module,
    batch: Batch,
    config: TrainConfig,
    eos_token_id: int,
    processes: Processes,
    *,
    selection: Selection | None = None,
) -> tuple[float, dict[str, float]]:
    """Add the gradients of the step's mean loss to the parameters.

    Args:
        losses_of: as ``parallel.spread`` gives it.
        batch: this process's part of the step.
        eos_token_id: between documents.
        selection: which targets count; None: all.

    Returns:
        Mean loss over the targets of all processes that count, nats; and what the first piece's gradient tells of the
        noise.
    """
    device = next(losses_of.parameters()).device
    rows = forward_tokens(config, device) // config.model.context_tokens
    pieces = [_piece(batch, slice(start, start + rows), device) for start in range(0, len(batch.inputs), rows)]
    counts = [int((targets != IGNORED_TARGET).sum()) for _, targets, _ in pieces]
    if selection is not None:
        counts = [selection.num_kept(count) for count in counts]
    num_targets = processes.total(sum(counts), device)
    num_sequences = processes.total(len(batch.inputs), device)
    total = 0.0
    small: tuple[float, int] | None = None  # norm of the first piece's mean gradient, and its targets
    for number, (inputs, targets, prefix_lengths) in enumerate(pieces):
        documents = documents_of(inputs, eos_token_id) if config.document_masking else None
        with without_exchange(losses_of, is_last=number == len(pieces) - 1):
            with mixed_precision(config, device):
                losses, auxiliary = losses_of(inputs, targets, documents, prefix_lengths)
            if selection is not None:
                losses = losses * selection.weights(inputs, targets, losses, config)
            loss = losses.sum() / num_targets
            share = auxiliary * len(inputs) / num_sequences
            ((loss + share) * processes.count).backward()
        total += float(loss.detach())
        if config.measure_noise_scale and small is None and 0 < counts[number] < num_targets:
            small = (gradient_norm(losses_of) * num_targets / counts[number], counts[number])
    total = processes.total(total, device)
    if small is None:
        return total, {}
    return total, noise_estimates(small[0], gradient_norm(losses_of), small[1], int(num_targets))


def _piece(batch: Batch, rows: slice, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
    """Inputs, targets and prefix lengths of some rows, on the device."""
    arrays = (batch.inputs[rows], batch.targets[rows])
    inputs, targets = (torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays)
    if batch.prefix_lengths is None:
        return inputs, targets, None
    return inputs, targets, torch.from_numpy(batch.prefix_lengths[rows]).to(device)


def gradient_norm(module: nn.Module) -> float:
    """Euclidean norm of all gradients."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    return float(whole(torch.nn.utils.get_total_norm(gradients)))


def documents_of(inputs: torch.Tensor, eos_token_id: int) -> torch.Tensor:
    """Number of the document of each input within its sequence: an end-of-text token begins the next one.

    It is the input from which the first token of a document is predicted, so it belongs to that document.
    """
    return (inputs == eos_token_id).cumsum(dim=1)
