"""The training loop: from a folder of shards to a checkpoint and a loss curve.

What lies in ``output`` afterwards::

    metrics.jsonl    one line per step: step, tokens, loss (nats per token), bits_per_byte, learning_rate, grad_norm
    timings.jsonl    one line per step: step, seconds, loader_seconds, tokens_per_second; on a GPU mfu, memory_bytes
    checkpoint/      the last checkpoint: weights, optimiser, step

On a CPU everything but ``timings.jsonl`` is a function of config and shards alone, down to the last bit, whether or
not the run was interrupted: batches are addressed by step, sums run over a fixed number of threads, and the lines of
the metrics are cut back to the checkpoint that a resumed run starts from. A GPU's kernels do not promise the last bits.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from pipeline.errors import ConfigError
from trainer import flops
from trainer.config import TrainConfig
from trainer.data import open_shards
from trainer.device import compute_threads
from trainer.mixed_stream import Batches
from trainer.noise_scale import noise_scale_tokens
from trainer.parallel import current_processes
from trainer.seq2seq import sequence_lengths
from trainer.training_run import TrainingRun, TrainProgress


class TrainResult(BaseModel):
    """What a finished training came to; nothing in it depends on wall-clock time."""

    model_config = ConfigDict(frozen=True)

    num_steps: int
    num_tokens: int  # targets learned from, repeats counted
    num_epochs: float
    epochs_by_group: dict[str, float]  # of the groups of [train.data], batches that were skipped not counted
    first_loss: float  # nats per token at the first step; about ln(vocab_size)
    final_loss: float  # mean over the last tenth of the steps
    vocab_size: int
    num_params: int
    num_params_non_embedding: int
    training_flops: int  # 6 x num_params_non_embedding x num_tokens; of an encoder-decoder as flops.py says
    noise_scale_tokens: float | None  # over the last half of the steps; None unless measured
    checkpoint: str  # path below the output folder
    group_weights: dict[str, float] | None = None  # of [train.data.doremi]: the mean over all steps


def train(
    config: TrainConfig,
    shards: str,
    output: str,
    *,
    overwrite: bool = False,
    on_progress: Callable[[TrainProgress], None] | None = None,
) -> TrainResult:
    """Train a model on the train shards of ``shards``, or go on where an interrupted run left off.

    Args:
        config: the run.
        shards: folder with ``manifest.json``; every hash in it is checked first.
        output: folder for metrics and checkpoint.
        overwrite: whether the checkpoint of another run in ``output`` is deleted; it is refused otherwise.
        on_progress: called after each step.

    Raises:
        ShardError: if the shards or the checkpoint are damaged.
        ConfigError: if ``output`` holds the checkpoint of another run, CUDA is asked for and absent, or the loss is no
            longer finite.
        RetryableError: if a checkpoint cannot be written.
    """
    _check_processes(config)
    manifest = open_shards(shards)
    batches = Batches(config, shards, manifest)
    with compute_threads(config.num_threads):
        run = TrainingRun(config, manifest, output)
        run.resume(overwrite=overwrite)
        run.take_steps(batches, on_progress)
    return _result(run, batches)


def _check_processes(config: TrainConfig) -> None:
    """
    Raises:
        ConfigError: if the config cannot run in so many processes.
    """
    count = current_processes().count
    fewest = config.sequences_before(1)
    if count > fewest:
        raise ConfigError(
            f"{count} processes for {fewest} sequences a step; expected at least one sequence each; "
            f"raise tokens_per_step or start fewer processes"
        )
    if config.parallel == "fsdp" and (config.sequences_per_step % count or (count > 1 and config.batch_warmup)):
        raise ConfigError(
            f"{config.sequences_per_step} sequences a step in {count} processes with parallel = 'fsdp'; expected equal "
            f"parts, since a block's parameters come together when all processes reach it; change tokens_per_step"
        )
    for name, is_set in (
        ("measure_noise_scale = true", config.measure_noise_scale),
        (
            "parallel = 'fsdp' with optimizer.name = 'muon'",
            config.parallel == "fsdp" and config.optimizer.name == "muon",
        ),
    ):
        if count > 1 and is_set:
            raise ConfigError(f"{name} in {count} processes; expected one process; change it, or run without torchrun")


def _result(run: TrainingRun, batches: Batches) -> TrainResult:
    losses = run.curves.column("loss")
    tail = losses[-max(1, len(losses) // 10) :]
    settled = run.curves.metrics[len(losses) // 2 :]
    model = run.config.model
    num_params = flops.num_params_non_embedding(model)
    training_flops = flops.training_flops(num_params, run.num_tokens)
    if model.kind == "encoder_decoder":
        lengths = sequence_lengths(run.config.objective, model.context_tokens)
        training_flops = flops.seq2seq_training_flops(model, lengths, run.config.sequences_before(run.step))
    return TrainResult(
        num_steps=run.step,
        num_tokens=run.num_tokens,
        num_epochs=run.num_tokens / batches.sequences.num_tokens,
        epochs_by_group=batches.sequences.epochs(run.config.sequences_before(run.step)),
        first_loss=losses[0],
        final_loss=sum(tail) / len(tail),
        vocab_size=run.vocab_size,
        num_params=flops.num_params(model, run.vocab_size),
        num_params_non_embedding=num_params,
        training_flops=training_flops,
        noise_scale_tokens=noise_scale_tokens(settled),
        checkpoint=f"checkpoint/step-{run.step:08d}.npz",
        group_weights=None if run.group_weights is None else run.group_weights.mean(),
    )
