"""The model of a finished or interrupted training, from its checkpoint alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from pipeline.errors import ShardError
from trainer.checkpoint import checkpoint_folder, latest_checkpoint, load_weights
from trainer.model import Model, make_model
from trainer.model_config import ModelConfig
from trainer.objective_config import ObjectiveConfig
from trainer.seq2seq import ContinuationForm, continuation_form


@dataclass(frozen=True)
class TrainedModel:
    """A model with what a checkpoint says of it.

    Args:
        network: on the device asked for, in evaluation mode.
        step: of the checkpoint.
        vocab_size: ids of the tokenizer; the network may have more, of its objective.
        eos_token_id: between documents.
        tokenizer_sha256: of the tokenizer that made the training shards.
        objective: that it was trained by.
    """

    network: Model
    step: int
    vocab_size: int
    eos_token_id: int
    tokenizer_sha256: str
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)

    @property
    def form(self) -> ContinuationForm | None:
        """How texts and continuations are put to it; None: one after the other, to a decoder."""
        if self.network.config.kind == "decoder":
            return None
        return continuation_form(self.objective, self.vocab_size, self.eos_token_id)


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
    network = make_model(config, num_ids, seed=0).to(device or torch.device("cpu"))
    with torch.no_grad():
        load_weights(network, checkpoint)
    return TrainedModel(
        network.eval(),
        checkpoint.step,
        record["vocab_size"],
        record["eos_token_id"],
        record["tokenizer_sha256"],
        ObjectiveConfig.model_validate(record.get("objective", {})),
    )
