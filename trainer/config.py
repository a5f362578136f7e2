"""What one training run is: model, optimiser, budget, evaluation. The TOML table ``[train]``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.config import Config, Off
from trainer.data_config import DataConfig
from trainer.model_config import ModelConfig
from trainer.objective_config import SEQ2SEQ, ObjectiveConfig
from trainer.spikes import SpikeConfig


class OptimizerConfig(Config):
    """Optimiser and learning-rate schedule.

    With ``muon`` the matrices of the blocks are Muon's, whose step is scaled to AdamW's size, so that one learning rate
    serves both; all else stays AdamW's.
    """

    name: Literal["adamw", "muon"] = "adamw"
    muon_momentum: float = Field(default=0.95, ge=0, lt=1)
    learning_rate: float = Field(default=3e-3, gt=0, le=1)  # at the peak
    schedule: Literal["cosine", "wsd"] = "cosine"
    warmup_steps: int = Field(default=20, ge=0)
    decay_fraction: float = Field(default=0.2, gt=0, le=1)  # wsd: share of the steps in which the rate falls
    final_learning_rate_fraction: float = Field(default=0.1, ge=0, le=1)  # of the peak, at the last step
    weight_decay: float = Field(default=0.1, ge=0, lt=1)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0, le=1e-2)
    max_grad_norm: Annotated[float | None, Field(gt=0), Off] = 1.0  # false: no clipping


class EvaluationConfig(Config):
    """How held-out bits per byte are measured."""

    max_tokens: int | None = Field(default=None, gt=0)  # of all validation shards together; None: every document
    stride_tokens: int | None = Field(
        default=None, gt=0
    )  # between windows of a long document; None: as TrainConfig says


class BatchWarmup(Config):
    """A batch that grows at the start, when gradients agree and small batches go further.

    Args:
        initial_tokens: of the first step.
        steps: over which it grows, linearly, to ``tokens_per_step``.
    """

    initial_tokens: int = Field(gt=0)
    steps: int = Field(gt=0)


class TrainConfig(Config):
    """One training run. Set either ``num_steps`` or ``num_tokens``.

    ``num_threads`` is a fixed number rather than the machine's cores, because the order in which threads add floats
    decides the last bits of a sum: the same number gives the same loss curve on machines with more cores.
    """

    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    tokens_per_step: int = Field(default=8_192, gt=0)
    batch_warmup: BatchWarmup | None = None
    forward_tokens: int | None = Field(default=None, gt=0)  # at once; None: 2,048 on CPU, 65,536 on CUDA
    num_steps: int | None = Field(default=None, gt=0)
    num_tokens: int | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    objective: ObjectiveConfig = ObjectiveConfig()
    data: DataConfig | None = None  # weights and phases; None: all training tokens, each once an epoch
    spikes: SpikeConfig | None = None
    measure_noise_scale: bool = False  # gradient noise scale, in the metrics; needs two forward passes a step or more
    tensorboard: bool = False  # event files beside metrics.jsonl
    compile: bool = False  # torch.compile
    document_masking: bool = False  # whether attention stops at the borders of documents in a sequence
    parallel: Literal["ddp", "fsdp"] = "ddp"  # how the processes that torchrun started share the work
    num_threads: int = Field(default=2, gt=0, le=1024)
    checkpoint_every_steps: int = Field(default=100, gt=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _fits_together(self) -> TrainConfig:
        context = self.model.context_tokens
        sizes = {"tokens_per_step": self.tokens_per_step, "forward_tokens": self.forward_tokens}
        if self.batch_warmup is not None:
            sizes["batch_warmup.initial_tokens"] = self.batch_warmup.initial_tokens
            if self.batch_warmup.initial_tokens > self.tokens_per_step:
                raise ValueError(
                    f"batch_warmup.initial_tokens={self.batch_warmup.initial_tokens} is above "
                    f"tokens_per_step={self.tokens_per_step}; expected a batch that grows; lower it"
                )
        for name, tokens in sizes.items():
            if tokens is not None and tokens % context:
                nearest = context * max(1, round(tokens / context))
                raise ValueError(f"{name}={tokens} is not a multiple of context_tokens={context}; try {nearest}")
        if (self.num_steps is None) == (self.num_tokens is None):
            found = "neither" if self.num_steps is None else "both"
            raise ValueError(f"{found} of num_steps and num_tokens given; expected exactly one; set num_steps")
        if self.evaluation_stride_tokens > context:
            raise ValueError(
                f"evaluation.stride_tokens={self.evaluation.stride_tokens} is above context_tokens={context}: tokens "
                f"between windows would go unscored; try {context // 2}"
            )
        if self.optimizer.warmup_steps >= self.steps:
            raise ValueError(
                f"warmup_steps={self.optimizer.warmup_steps} leaves none of {self.steps} steps at the full learning "
                f"rate; try warmup_steps={self.steps // 10}"
            )
        return self

    @model_validator(mode="after")
    def _encoder_has_a_source(self) -> TrainConfig:
        if self.model.kind == "decoder":
            return self
        if self.objective.name not in SEQ2SEQ:
            raise ValueError(
                f"objective.name={self.objective.name!r} with model.kind='encoder_decoder'; expected an objective that "
                f"divides a text between encoder and decoder, one of {', '.join(SEQ2SEQ)}; set [train.objective] "
                f"name = 'span_corruption'"
            )
        context = self.model.context_tokens
        if self.evaluation_stride_tokens >= context:
            raise ValueError(
                f"evaluation.stride_tokens={self.evaluation_stride_tokens} with model.kind='encoder_decoder' and "
                f"context_tokens={context}; expected less, since the encoder reads what the context leaves; try "
                f"{context // 2}"
            )
        return self

    @model_validator(mode="after")
    def _finds_weights(self) -> TrainConfig:
        if self.data is None or self.data.doremi is None:
            return self
        count, sequences = len(self.data.doremi.groups), self.sequences_before(1)
        if sequences < count:
            raise ValueError(
                f"{sequences} sequences in the first step for {count} groups [train.data.doremi]; expected one of each "
                f"or more; raise tokens_per_step to {count * self.model.context_tokens}"
            )
        others = {
            f"objective.name = {self.objective.name!r}": self.objective.name != "causal",
            "[train.objective.selective]": self.objective.selective is not None,
            "measure_noise_scale = true": self.measure_noise_scale,
        }
        for name, is_set in others.items():
            if is_set:
                raise ValueError(f"{name} with [train.data.doremi]; expected plain next-token prediction; remove one")
        return self

    @property
    def steps(self) -> int:
        """Number of optimiser steps; a budget in tokens is rounded up to whole steps."""
        if self.num_steps is not None:
            return self.num_steps
        wanted = -(-(self.num_tokens or 0) // self.model.context_tokens)
        growing = 0 if self.batch_warmup is None else self.batch_warmup.steps
        for step in range(1, growing + 1):
            if self.sequences_before(step) >= wanted:
                return step
        return growing + -(-(wanted - self.sequences_before(growing)) // self.sequences_per_step)

    @property
    def evaluation_stride_tokens(self) -> int:
        """Tokens that each window after the first adds to a document's score.

        By default half the context; for an encoder-decoder trained by span corruption the mean span, since it has
        learned to say as much of what follows a text and no more.
        """
        if self.evaluation.stride_tokens is not None:
            return self.evaluation.stride_tokens
        if self.model.kind == "encoder_decoder" and self.objective.name == "span_corruption":
            return round(self.objective.mean_span_tokens)
        return max(1, self.model.context_tokens // 2)

    @property
    def sequences_per_step(self) -> int:
        """Of a full batch."""
        return self.tokens_per_step // self.model.context_tokens

    def sequences_before(self, step: int) -> int:
        """Sequences of all steps before ``step``: the batch of any step is addressed without those before it."""
        if self.batch_warmup is None:
            return step * self.sequences_per_step
        first, growing = self.batch_warmup.initial_tokens // self.model.context_tokens, self.batch_warmup.steps
        grown = min(step, growing)
        # the mean of the first and last batch so far, rounded down; later steps are full
        slope = self.sequences_per_step - first
        return grown * first + slope * grown * (grown - 1) // (2 * growing) + (step - grown) * self.sequences_per_step


class TrainingFile(Config):
    """The TOML file of ``python -m trainer`` and ``chaffinch train``: where from, where to, and table ``[train]``.

    Args:
        shards: folder of the shards.
        output: folder of metrics, checkpoint and evaluation.
        tokenizer: the shards' ``tokenizer.json``, for bits per character and word; None: they are left out.
    """

    shards: str
    output: str
    tokenizer: str | None = None
    train: TrainConfig
