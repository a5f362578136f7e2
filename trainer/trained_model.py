"""The model of a finished or interrupted training, from its checkpoint alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pipeline.errors import ShardError
from trainer.checkpoint import checkpoint_folder, latest_checkpoint, load_weights
from trainer.model import Decoder
from trainer.model_config import ModelConfig


@dataclass(frozen=True)
class TrainedModel:
    """A decoder with what a checkpoint says of it.

    Args:
        decoder: on the device asked for, in evaluation mode.
        step: of the checkpoint.
        vocab_size: ids of the tokenizer; the decoder may have more, of its objective.
        eos_token_id: between documents.
        tokenizer_sha256: of the tokenizer that made the training shards.
    """

    decoder: Decoder
    step: int
    vocab_size: int
    eos_token_id: int
    tokenizer_sha256: str


def load_trained(output: str, device: torch.device | None = None) -> TrainedModel:
    """The last checkpoint of a training's output folder.

    Raises:
        ShardError: if there is none, or it is damaged.
    """
    checkpoint = latest_checkpoint(checkpoint_folder(output))
    if checkpoint is None:
        raise ShardError(f"no checkpoint in {output}/checkpoint; expected step-*.npz; train first, or correct the path")
    record = checkpoint.record
    config = ModelConfig.model_validate(record["model"])
    num_ids = len(checkpoint.arrays["model.embedding.weight"])
    decoder = Decoder(config, num_ids, seed=0).to(device or torch.device("cpu"))
    with torch.no_grad():
        load_weights(decoder, checkpoint)
    return TrainedModel(
        decoder.eval(), checkpoint.step, record["vocab_size"], record["eos_token_id"], record["tokenizer_sha256"]
    )
