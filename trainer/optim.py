"""AdamW and Muon, and the learning rate of each step.

Weight decay pulls on the matrices of the blocks alone: embeddings (rows that a batch does not touch would shrink
all the same) and the gains of norms are left out, as in OLMo 2.

Muon steps along the orthogonalised momentum of a matrix; its step is scaled by 0.2 sqrt(larger side), the size that
AdamW's steps have, so AdamW's learning rate and decay serve both (Jordan et al. 2024; Liu et al. 2025, equation 4).

``rate_factor`` of a group scales the learning rate: muP's matrices of blocks learn slower by the width factor.

Schedules, with p the share of the steps after warm-up that have passed, and f the final fraction:
``cosine`` f + (1 - f)(1 + cos πp) / 2 (Loshchilov and Hutter 2017); ``wsd`` 1 until the last ``decay_fraction`` of all
steps, then linearly down to f (warm-up, stable, decay: Hu et al. 2024, MiniCPM, with their linear variant).
"""

from __future__ import annotations

import math
from typing import Any

import torch

from trainer.config import OptimizerConfig
from trainer.model import Model


def build_optimizers(model: Model, config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    """What trains ``model``: AdamW alone, over matrices of blocks and the rest, or Muon over the former before it."""
    decayed: list[torch.nn.Parameter] = []
    free: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        in_block_matrix = parameter.ndim == 2 and "blocks." in name
        (decayed if in_block_matrix else free).append(parameter)
    slower = 1 / model.config.width_factor
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": config.weight_decay, "rate_factor": slower},
        {"params": free, "weight_decay": 0.0, "rate_factor": 1.0},
    ]
    optimizers: list[torch.optim.Optimizer] = []
    if config.name == "muon":
        optimizers.append(
            torch.optim.Muon(
                decayed,
                lr=config.learning_rate,
                weight_decay=config.weight_decay,
                momentum=config.muon_momentum,
                adjust_lr_fn="match_rms_adamw",
            )
        )
        optimizers[0].param_groups[0]["rate_factor"] = 1.0  # its steps have one size at any width
        groups = groups[1:]
    adamw = torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), eps=config.epsilon, fused=True
    )
    return [*optimizers, adamw]


def learning_rate(step: int, num_steps: int, config: OptimizerConfig) -> float:
    """Learning rate of step ``step`` of ``num_steps``, counted from 0; rises linearly to the peak in the warm-up."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    final = config.final_learning_rate_fraction
    last = num_steps - 1
    if config.schedule == "cosine":
        passed = (step - config.warmup_steps) / max(1, last - config.warmup_steps)
        return config.learning_rate * (final + (1 - final) * (1 + math.cos(math.pi * passed)) / 2)
    decay_steps = max(1, round(config.decay_fraction * num_steps))
    remaining = min(1.0, (last - step) / decay_steps)
    return config.learning_rate * (final + (1 - final) * remaining)
