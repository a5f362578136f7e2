"""Weights of groups in the loss, moved at every step towards groups in which a reference model is further ahead.

This is the proxy training of DoReMi. Each step has b / k sequences of every of k groups. With lambda_i the mean over
the group's targets of max(loss - reference's loss, 0), in nats, the weights move by exponentiated gradient and are
smoothed,

    alpha' = alpha exp(step_size lambda),    alpha = (1 - c) alpha' / sum(alpha') + c / k,

then the model learns from sum_i alpha_i x (mean loss of group i) with these new weights; that sum is the loss of its
curve. A group of which the model knows all that can be known has no excess, noise that nobody can predict included,
and sinks; one that is learnable and not learned yet rises. The answer is the mean of the weights over all steps: the
last ones are one side of a game.

Cost: each step needs the losses before it knows the weights, so every sequence goes forward once more, and through the
reference once: 5 forward passes' worth for 3 (a backward pass being two).

Source: Xie et al. 2023 (DoReMi), section 2 and algorithm 1, with its step size 1 and smoothing 1e-3. The excess is
clipped token by token, in the weights' update alone; alpha begins uniform. Deviation: where the paper draws a batch's
sequences from the groups with equal chances, here each step has an equal number of each (one more or less where k does
not divide b), so that lambda is known of every group at every step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.token_shard import ShardManifest
from trainer.config import TrainConfig
from trainer.data import IGNORED_TARGET
from trainer.device import mixed_precision
from trainer.model import Decoder
from trainer.model_inputs import ModelInputs
from trainer.parallel import Processes
from trainer.selection import load_reference

_WEIGHTS, _SUM = "groups.weights", "groups.weight_sum"


def update_weights(weights: np.ndarray, excess: np.ndarray, *, step_size: float, smoothing: float) -> np.ndarray:
    """One step of the exponentiated gradient.

    Args:
        weights: of the groups, positive, summing to 1, shape (num_groups,).
        excess: mean clipped excess loss of each group, nats per token, same shape.
        step_size: the paper's eta.
        smoothing: the paper's c.

    Returns:
        float64, shape (num_groups,), summing to 1; none is below ``smoothing / num_groups``.
    """
    logits = np.log(weights) + step_size * excess
    moved = np.exp(logits - logits.max())
    return (1 - smoothing) * moved / moved.sum() + smoothing / len(weights)


class GroupWeights:
    """The weights of one training, between two of its steps.

    Args:
        config: of the training, with ``[train.data.doremi]``.
        reference: model on the training's device, in evaluation mode.

    Attributes:
        names: of the groups.
        weights: those of the last step, float64, shape (num_groups,).
    """

    def __init__(self, config: TrainConfig, reference: Decoder) -> None:
        assert config.data is not None and config.data.doremi is not None
        self.names = config.data.doremi.groups
        self._settings = config.data.doremi
        self._config = config
        self._reference = reference
        self.begin()

    def begin(self) -> None:
        """The state before the first step."""
        self.weights = np.full(len(self.names), 1 / len(self.names))
        self._excess = np.zeros(len(self.names))
        self._sum = np.zeros(len(self.names))

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps."""
        return {_WEIGHTS: self.weights, _SUM: self._sum}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take up the state of a checkpoint."""
        self.weights, self._sum = arrays[_WEIGHTS].copy(), arrays[_SUM].copy()

    def mean(self) -> dict[str, float]:
        """Weights by group, averaged over the steps so far: DoReMi's answer; uniform before the first step."""
        total = self._sum.sum()
        mean = self._sum / total if total else self.weights
        return dict(zip(self.names, mean.tolist(), strict=True))

    def metrics(self) -> dict[str, float]:
        """What the curve tells of the last step: each group's weight and excess loss in nats per token."""
        weights = {f"weight.{name}": float(value) for name, value in zip(self.names, self.weights, strict=True)}
        return weights | {f"excess.{name}": float(value) for name, value in zip(self.names, self._excess, strict=True)}

    def move(
        self,
        losses_of: nn.Module,
        pieces: Sequence[ModelInputs],
        groups: np.ndarray,
        processes: Processes,
    ) -> list[Tensor]:
        """Move the weights by a step's excess losses, and say how much each sequence counts in this step's loss.

        Args:
            losses_of: as ``parallel.spread`` gives it.
            pieces: this process's part of the step, cut to what goes through the model at once.
            groups: number of the group of each sequence, shape (rows,).
            processes: those that share the step.

        Returns:
            For each piece the factor of each sequence's losses, float32 of shape (rows of the piece, 1): alpha_i x
            targets of the step / targets of its group, so that a mean over all targets is the weighted sum of means.
        """
        found = [self._excess_of(losses_of, piece) for piece in pieces]
        excess, targets = (np.concatenate(values) for values in zip(*found, strict=True))
        sums = [np.bincount(groups, values, len(self.names)) for values in (excess, targets)]
        device = pieces[0][0].device
        total_excess, total_targets = processes.totals(np.stack(sums), device)
        self._excess = total_excess / total_targets
        self.weights = update_weights(
            self.weights, self._excess, step_size=self._settings.step_size, smoothing=self._settings.smoothing
        )
        self._sum = self._sum + self.weights
        factors = (self.weights * total_targets.sum() / total_targets)[groups]
        of_rows = torch.from_numpy(factors).to(device=device, dtype=torch.float32)[:, None]
        return list(of_rows.split([len(piece[0]) for piece in pieces]))

    @torch.no_grad()
    def _excess_of(self, losses_of: nn.Module, piece: ModelInputs) -> tuple[np.ndarray, np.ndarray]:
        """Sum of the clipped excess losses, and number of targets, of each sequence; float64, shape (rows,)."""
        inputs, targets, *_ = piece
        with mixed_precision(self._config, inputs.device):
            losses, _ = losses_of(*piece)
            reference = self._reference.negative_log_likelihood(*piece)
        excess = (losses - reference).clamp(min=0).double().sum(dim=1)
        return excess.cpu().numpy(), (targets != IGNORED_TARGET).sum(dim=1).double().cpu().numpy()


def load_group_weights(config: TrainConfig, manifest: ShardManifest, device: torch.device) -> GroupWeights | None:
    """The weights of ``[train.data.doremi]`` before the first step; None without that table.

    Raises:
        ShardError: if the reference has no checkpoint.
        ConfigError: if it speaks another tokenizer, or reads shorter sequences.
    """
    settings = None if config.data is None else config.data.doremi
    if settings is None:
        return None
    return GroupWeights(config, load_reference(settings.reference, config, manifest, device))
