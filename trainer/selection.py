"""Selective language modelling: learn from the tokens alone on which a reference model is further ahead.

In each forward piece the targets with the largest excess loss, this model's minus the reference's, count; the others
are read but not learned from. The reference was trained on text of the kind one wants, so tokens that are noise to it
too have a small excess, and so have those that this model knows already.

Source: Lin et al. 2024 (Rho-1), section 2.2, equations 3 to 5. Deviation: the share is kept in each forward piece, not
over the whole batch, so the piece's size has a small say.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.token_shard import ShardManifest
from trainer.config import TrainConfig
from trainer.data import IGNORED_TARGET
from trainer.device import mixed_precision
from trainer.model import Decoder
from trainer.trained_model import load_trained


@dataclass(frozen=True)
class Selection:
    """Which targets count.

    Args:
        reference: model on the training's device.
        keep_fraction: share of the targets of a piece.
    """

    reference: Decoder
    keep_fraction: float

    def num_kept(self, num_targets: int) -> int:
        """How many of a piece's targets count: at least one of any."""
        return min(num_targets, max(1, round(self.keep_fraction * num_targets)))

    @torch.no_grad()
    def weights(self, inputs: Tensor, targets: Tensor, losses: Tensor, config: TrainConfig) -> Tensor:
        """1 for each target that counts, 0 for others; shape and type of ``losses``."""
        with mixed_precision(config, inputs.device):
            excess = losses.detach() - self.reference.negative_log_likelihood(inputs, targets)
        is_target = targets != IGNORED_TARGET
        excess = excess.masked_fill(~is_target, -torch.inf).flatten()
        kept = torch.zeros_like(excess)
        kept[excess.argsort(descending=True, stable=True)[: self.num_kept(int(is_target.sum()))]] = 1
        return kept.view(losses.shape)


def load_selection(config: TrainConfig, manifest: ShardManifest, device: torch.device) -> Selection | None:
    """The selection of ``[train.objective.selective]``; None without that table.

    Raises:
        ShardError: if the reference has no checkpoint.
        ConfigError: if it speaks another tokenizer, or reads shorter sequences.
    """
    settings = config.objective.selective
    if settings is None:
        return None
    return Selection(load_reference(settings.reference, config, manifest, device), settings.keep_fraction)


def load_reference(folder: str, config: TrainConfig, manifest: ShardManifest, device: torch.device) -> Decoder:
    """A trained model to compare a training's losses with, token by token.

    Args:
        folder: output of its training.
        config, manifest: of the training that is compared, and of its shards.

    Raises:
        ShardError: if it has no checkpoint.
        ConfigError: if it is no decoder, speaks another tokenizer, or reads shorter sequences.
    """
    trained = load_trained(folder, device)
    if trained.tokenizer_sha256 != manifest.tokenizer_sha256:
        raise ConfigError(
            f"the reference {folder} was trained with the tokenizer {trained.tokenizer_sha256[:12]}, these "
            f"shards were made with {manifest.tokenizer_sha256[:12]}; expected the same; train a reference on text in "
            f"this tokenizer"
        )
    network = trained.network
    if not isinstance(network, Decoder):
        raise ConfigError(
            f"the reference {folder} is of kind {network.config.kind!r}; expected a decoder, which has a loss for "
            f"every token; train a reference with kind = 'decoder'"
        )
    if network.config.context_tokens < config.model.context_tokens:
        raise ConfigError(
            f"the reference {folder} reads {network.config.context_tokens} tokens, "
            f"context_tokens={config.model.context_tokens}; expected at least as many; shorten the context"
        )
    return network.requires_grad_(False)
