"""Gradients of a step: in pieces that fit into memory, over all processes.

A step of ``tokens_per_step`` runs in pieces of ``forward_tokens`` whose gradients add up, so that the logits of
one piece are all that has to fit into memory (4 bytes x tokens x vocabulary, three times over).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.config import TrainConfig
from trainer.data import IGNORED_TARGET
from trainer.device import forward_tokens, mixed_precision
from trainer.noise_scale import noise_estimates
from trainer.parallel import Processes, whole, without_exchange


def accumulate(
    losses_of: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    config: TrainConfig,
    eos_token_id: int,
    processes: Processes,
) -> tuple[float, dict[str, float]]:
    """Add the gradients of the step's mean loss to the parameters.

    Args:
        losses_of: as ``parallel.spread`` gives it.
        inputs: ids of this process's sequences, shape (sequences, context_tokens).
        targets: likewise.
        eos_token_id: between documents.

    Returns:
        Mean loss over the targets of all processes, nats; and what the first piece's gradient tells of the noise.
    """
    device = next(losses_of.parameters()).device
    num_targets = processes.total(int((targets != IGNORED_TARGET).sum()), device)
    num_sequences = processes.total(len(inputs), device)
    rows = forward_tokens(config, device) // config.model.context_tokens
    total = 0.0
    small: tuple[float, int] | None = None  # norm of the first piece's mean gradient, and its targets
    starts = range(0, len(inputs), rows)
    for start in starts:
        piece_inputs, piece_targets = (part[start : start + rows].to(device) for part in (inputs, targets))
        documents = documents_of(piece_inputs, eos_token_id) if config.document_masking else None
        with without_exchange(losses_of, is_last=start == starts[-1]):
            with mixed_precision(config, device):
                losses, auxiliary = losses_of(piece_inputs, piece_targets, documents)
            loss = losses.sum() / num_targets
            share = auxiliary * len(piece_inputs) / num_sequences
            ((loss + share) * processes.count).backward()
        total += float(loss.detach())
        piece = int((piece_targets != IGNORED_TARGET).sum())
        if config.measure_noise_scale and small is None and 0 < piece < num_targets:
            small = (gradient_norm(losses_of) * num_targets / piece, piece)
    total = processes.total(total, device)
    if small is None:
        return total, {}
    return total, noise_estimates(small[0], gradient_norm(losses_of), small[1], int(num_targets))


def gradient_norm(module: nn.Module) -> float:
    """Euclidean norm of all gradients."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    return float(whole(torch.nn.utils.get_total_norm(gradients)))


def documents_of(inputs: torch.Tensor, eos_token_id: int) -> torch.Tensor:
    """Number of the document of each input within its sequence: an end-of-text token begins the next one.

    It is the input from which the first token of a document is predicted, so it belongs to that document.
    """
    return (inputs == eos_token_id).cumsum(dim=1)
