"""Gradients of a step: in pieces that fit into memory, over all processes.

A step of ``tokens_per_step`` runs in pieces of ``forward_tokens`` whose gradients add up, so that the logits of
one piece are all that has to fit into memory (4 bytes x tokens x vocabulary, three times over).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.batch import Batch
from trainer.config import TrainConfig
from trainer.data import IGNORED_TARGET
from trainer.device import forward_tokens, mixed_precision
from trainer.group_weights import GroupWeights
from trainer.model_inputs import model_inputs
from trainer.noise_scale import noise_estimates
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
    group_weights: GroupWeights | None = None,
) -> tuple[float, dict[str, float]]:
    """Add the gradients of the step's mean loss to the parameters.

    Args:
        losses_of: as ``parallel.spread`` gives it.
        batch: this process's part of the step.
        eos_token_id: between documents.
        selection: which targets count; None: all.
        group_weights: moved by this step's losses first; how much each sequence counts; None: as much as any.

    Returns:
        Mean loss over the targets of all processes that count, nats; and what the first piece's gradient tells of the
        noise.
    """
    device = next(losses_of.parameters()).device
    rows = forward_tokens(config, device) // config.model.context_tokens
    document_end = eos_token_id if config.document_masking else None
    pieces = [
        model_inputs(batch.rows(slice(start, start + rows)), device, document_end=document_end)
        for start in range(0, len(batch.inputs), rows)
    ]
    counts = [int((targets != IGNORED_TARGET).sum()) for _, targets, *_ in pieces]
    if selection is not None:
        counts = [selection.num_kept(count) for count in counts]
    num_targets = processes.total(sum(counts), device)
    num_sequences = processes.total(len(batch.inputs), device)
    factors: list[Tensor] = []
    if group_weights is not None and batch.groups is not None:
        factors = group_weights.move(losses_of, pieces, batch.groups, processes)
    total = 0.0
    small: tuple[float, int] | None = None  # norm of the first piece's mean gradient, and its targets
    for number, piece in enumerate(pieces):
        inputs, targets, *_ = piece
        with without_exchange(losses_of, is_last=number == len(pieces) - 1):
            with mixed_precision(config, device):
                losses, auxiliary = losses_of(*piece)
            if factors:
                losses = losses * factors[number]
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


def gradient_norm(module: nn.Module) -> float:
    """Euclidean norm of all gradients."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    return float(whole(torch.nn.utils.get_total_norm(gradients)))
