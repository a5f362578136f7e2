"""The training loop: from a folder of shards to a checkpoint and a loss curve.

What lies in ``output`` afterwards::

    metrics.jsonl    one line per step: step, tokens, loss (nats per token), learning_rate, grad_norm
    timings.jsonl    one line per step: step, seconds, tokens_per_second, mfu (null on a CPU)
    checkpoint/      the last checkpoint: weights, optimiser, step

On a CPU everything but ``timings.jsonl`` is a function of config and shards alone, down to the last bit, whether or
not the run was interrupted: batches are addressed by step, sums run over a fixed number of threads, and the lines of
the metrics are cut back to the checkpoint that a resumed run starts from. A GPU's kernels do not promise the last bits.

A step of ``tokens_per_step`` runs in pieces of ``forward_tokens`` whose gradients add up, so that the logits of
one piece are all that has to fit into memory (4 bytes x tokens x vocabulary, three times over).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.hashing import fingerprint
from pipeline.token_shard import ShardManifest
from trainer import flops
from trainer.checkpoint import Checkpoint, latest_checkpoint, save_checkpoint
from trainer.config import TrainConfig
from trainer.data import TokenStream, open_shards
from trainer.model import Decoder
from trainer.optim import build_optimizer, learning_rate

_CPU_FORWARD_TOKENS = 2_048
_CUDA_FORWARD_TOKENS = 65_536


@dataclass(frozen=True)
class TrainProgress:
    """What ``on_progress`` hears after each step."""

    step: int
    num_steps: int
    loss: float  # nats per token
    tokens_per_second: float
    seconds_left: float


class TrainResult(BaseModel):
    """What a finished training came to; nothing in it depends on wall-clock time."""

    model_config = ConfigDict(frozen=True)

    num_steps: int
    num_tokens: int  # targets learned from, repeats counted
    num_epochs: float
    first_loss: float  # nats per token at the first step; about ln(vocab_size)
    final_loss: float  # mean over the last tenth of the steps
    vocab_size: int
    num_params: int
    num_params_non_embedding: int
    training_flops: int  # 6 x num_params_non_embedding x num_tokens
    checkpoint: str  # path below the output folder


def train(
    config: TrainConfig, shards: str, output: str, *, on_progress: Callable[[TrainProgress], None] | None = None
) -> TrainResult:
    """Train a model on the train shards of ``shards``, or go on where an interrupted run left off.

    Args:
        config: the run.
        shards: folder with ``manifest.json``; every hash in it is checked first.
        output: folder for metrics and checkpoint.
        on_progress: called after each step.

    Raises:
        ShardError: if the shards or the checkpoint are damaged.
        ConfigError: if ``output`` holds the checkpoint of another run, CUDA is asked for and absent, or the loss is no
            longer finite.
        RetryableError: if a checkpoint cannot be written.
    """
    manifest = open_shards(shards)
    stream = TokenStream(shards, manifest, context_tokens=config.model.context_tokens, seed=config.seed)
    with compute_threads(config.num_threads):
        run = TrainingRun(config, manifest, output)
        run.resume()
        run.take_steps(stream, on_progress)
    return run.result(stream)


class TrainingRun:
    """Model, optimiser and curves of one run, between two steps.

    Attributes:
        step: number of steps taken.
        model: on its device.
    """

    def __init__(self, config: TrainConfig, manifest: ShardManifest, output: str) -> None:
        self.config = config
        self.output = output
        self.vocab_size = manifest.vocab_size
        self.identity = run_identity(config, manifest)
        self.device = choose_device(config.device)
        self.model = Decoder(config.model, manifest.vocab_size, seed=config.seed).to(self.device)
        self.optimizer = build_optimizer(self.model, config.optimizer)
        self.step = 0
        self._metrics: list[str] = []
        self._timings: list[str] = []

    def resume(self) -> None:
        """Take up the last checkpoint of ``output``, if there is one."""
        checkpoint = load_own_checkpoint(self.output, self.identity)
        if checkpoint is None:
            return
        load_weights(self.model, checkpoint)
        state = self.optimizer.state_dict()
        state["state"] = {}
        for name, array in checkpoint.arrays.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                state["state"].setdefault(int(index), {})[key] = torch.from_numpy(array.copy())
        self.optimizer.load_state_dict(state)
        self.step = checkpoint.step
        self._metrics = self._read_lines("metrics.jsonl")[: self.step]
        self._timings = self._read_lines("timings.jsonl")[: self.step]

    def take_steps(self, stream: TokenStream, on_progress: Callable[[TrainProgress], None] | None) -> None:
        """Train to the last step, with a checkpoint every ``checkpoint_every_steps`` and at the end."""
        config, first_step = self.config, self.step
        per_token = flops.flops_per_token(config.model, self.vocab_size)
        device_name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        started = time.monotonic()
        self.model.train()
        while self.step < config.steps:
            step_started = time.monotonic()
            loss = self._take_step(*stream.batch(self.step, config.sequences_per_step))
            now = time.monotonic()
            rate = config.tokens_per_step / (now - step_started)
            mfu = flops.model_flops_utilization(rate, per_token, device_name, config.dtype)
            timing = {"step": self.step, "seconds": now - step_started, "tokens_per_second": rate, "mfu": mfu}
            self._timings.append(json.dumps(timing))
            if self.step % config.checkpoint_every_steps == 0 or self.step == config.steps:
                self.save()
            if on_progress is not None:
                seconds_left = (now - started) / (self.step - first_step) * (config.steps - self.step)
                on_progress(TrainProgress(self.step, config.steps, loss, rate, seconds_left))

    def _take_step(self, inputs: np.ndarray, targets: np.ndarray) -> float:
        """One optimiser step; returns the mean loss of the batch before it, in nats per token."""
        config = self.config
        rate = learning_rate(self.step, config.steps, config.optimizer)
        loss = self._accumulate_gradients(torch.from_numpy(inputs), torch.from_numpy(targets))
        max_norm = config.optimizer.max_grad_norm or math.inf
        grad_norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), max_norm))
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            self._write_curves()
            raise ConfigError(
                f"loss {loss} and gradient norm {grad_norm} at step {self.step + 1} of {config.steps}, learning rate "
                f"{rate:.3g} ({self.output}); expected finite numbers; lower optimizer.learning_rate or raise "
                f"optimizer.warmup_steps, and delete {self.output} to start again"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        metrics = {
            "step": self.step,
            "tokens": self.step * config.tokens_per_step,
            "loss": loss,
            "learning_rate": rate,
            "grad_norm": grad_norm,
        }
        self._metrics.append(json.dumps(metrics))
        return loss

    def _accumulate_gradients(self, inputs: torch.Tensor, targets: torch.Tensor) -> float:
        num_targets = int((targets >= 0).sum())
        rows = forward_tokens(self.config, self.device) // self.config.model.context_tokens
        total = 0.0
        for piece_inputs, piece_targets in zip(inputs.split(rows), targets.split(rows), strict=True):
            with mixed_precision(self.config, self.device):
                losses = self.model.negative_log_likelihood(
                    piece_inputs.to(self.device), piece_targets.to(self.device)
                )
            loss = losses.sum() / num_targets
            loss.backward()
            total += float(loss.detach())
        return total

    def save(self) -> None:
        """Write curves and checkpoint; the curves first, so that no checkpoint is ahead of its curve."""
        self._write_curves()
        arrays = {f"model.{name}": _to_numpy(tensor) for name, tensor in self.model.named_parameters()}
        for index, state in self.optimizer.state_dict()["state"].items():
            arrays.update({f"optimizer.{index}.{key}": _to_numpy(tensor) for key, tensor in state.items()})
        record = {"identity": self.identity, "vocab_size": self.vocab_size}
        save_checkpoint(storage.join(self.output, "checkpoint"), Checkpoint(self.step, arrays, record))

    def result(self, stream: TokenStream) -> TrainResult:
        losses = [json.loads(line)["loss"] for line in self._metrics]
        tail = losses[-max(1, len(losses) // 10) :]
        num_sequences = self.step * self.config.sequences_per_step
        full_epochs, rest = divmod(num_sequences, stream.num_sequences)
        num_tokens = full_epochs * stream.num_tokens + min(rest * self.config.model.context_tokens, stream.num_tokens)
        num_params = flops.num_params_non_embedding(self.config.model)
        return TrainResult(
            num_steps=self.step,
            num_tokens=num_tokens,
            num_epochs=num_sequences / stream.num_sequences,
            first_loss=losses[0],
            final_loss=sum(tail) / len(tail),
            vocab_size=self.vocab_size,
            num_params=flops.num_params(self.config.model, self.vocab_size),
            num_params_non_embedding=num_params,
            training_flops=flops.training_flops(num_params, num_tokens),
            checkpoint=f"checkpoint/step-{self.step:08d}.npz",
        )

    def _write_curves(self) -> None:
        for name, lines in (("metrics.jsonl", self._metrics), ("timings.jsonl", self._timings)):
            storage.write_bytes(storage.join(self.output, name), "".join(f"{line}\n" for line in lines).encode())

    def _read_lines(self, name: str) -> list[str]:
        return storage.read_bytes(storage.join(self.output, name)).decode().splitlines()


def run_identity(config: TrainConfig, manifest: ShardManifest) -> str:
    """Fingerprint of what decides a run's weights; two runs with the same one have the same loss curve."""
    decisive = config.model_dump(mode="json", exclude={"checkpoint_every_steps", "evaluation"})
    return fingerprint({"config": decisive, "shards": manifest.model_dump(mode="json")})


def load_own_checkpoint(output: str, identity: str) -> Checkpoint | None:
    """The last checkpoint of the run ``identity`` in ``output``; None if there is none.

    Raises:
        ConfigError: if ``output`` holds another run's.
    """
    checkpoint = latest_checkpoint(storage.join(output, "checkpoint"))
    if checkpoint is not None and checkpoint.record["identity"] != identity:
        raise ConfigError(
            f"{output}/checkpoint is of another run (config or shards {checkpoint.record['identity']}, now {identity}); "
            f"delete {output} to train anew, or choose another output"
        )
    return checkpoint


@torch.no_grad()
def load_weights(model: Decoder, checkpoint: Checkpoint) -> None:
    """Copy the weights of ``checkpoint`` into ``model``."""
    for name, parameter in model.named_parameters():
        parameter.copy_(torch.from_numpy(checkpoint.arrays[f"model.{name}"]))


def choose_device(name: str) -> torch.device:
    """The device of a config's ``device``: ``auto`` is CUDA where there is one.

    Raises:
        ConfigError: if CUDA is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device='cuda', but PyTorch finds no CUDA device; set device='auto' or 'cpu'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def forward_tokens(config: TrainConfig, device: torch.device) -> int:
    """Tokens of one forward pass: the config's, or what suits the device, in whole sequences."""
    context = config.model.context_tokens
    suited = _CUDA_FORWARD_TOKENS if device.type == "cuda" else _CPU_FORWARD_TOKENS
    return config.forward_tokens or max(1, suited // context) * context


def mixed_precision(config: TrainConfig, device: torch.device) -> torch.autocast:
    """bfloat16 products over float32 weights where the config asks for it; else nothing."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.dtype == "bfloat16")


@contextmanager
def compute_threads(num_threads: int) -> Iterator[None]:
    """Run the block with a fixed number of PyTorch threads, and set the former number again."""
    former = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(former)


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
