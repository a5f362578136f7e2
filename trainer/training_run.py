"""One training run between two of its steps: model, optimiser, curves; how it takes a step, stops and goes on.

Of several processes each holds one of these, takes its part of a step's sequences, and takes the same decisions; the
first writes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.token_shard import ShardManifest
from trainer import flops
from trainer.checkpoint import (
    Checkpoint,
    checkpoint_folder,
    latest_checkpoint,
    load_own_checkpoint,
    load_weights,
    run_identity,
    save_checkpoint,
)
from trainer.config import TrainConfig
from trainer.curves import Curves
from trainer.data import IGNORED_TARGET
from trainer.device import choose_device
from trainer.gradients import accumulate
from trainer.mixed_stream import Batches
from trainer.model import Decoder
from trainer.objectives import Batch
from trainer.optim import build_optimizers, learning_rate
from trainer.parallel import current_processes, like, spread, whole
from trainer.prefetch import prefetching
from trainer.selection import load_selection
from trainer.spikes import is_spike


@dataclass(frozen=True)
class TrainProgress:
    """What ``on_progress`` hears after each step."""

    step: int
    num_steps: int
    loss: float  # nats per token
    tokens_per_second: float
    seconds_left: float


class TrainingRun:
    """Model, optimiser and curves of one run, between two steps.

    Attributes:
        step: number of steps taken.
        num_tokens: targets learned from so far, repeats counted.
        model: on its device.
    """

    def __init__(self, config: TrainConfig, manifest: ShardManifest, output: str) -> None:
        self.config = config
        self.output = output
        self.vocab_size = manifest.vocab_size
        self.eos_token_id = manifest.eos_token_id
        self._tokenizer_sha256 = manifest.tokenizer_sha256
        trained_on = manifest.of_split("train")
        num_bytes = sum(entry.num_bytes for entry in trained_on)
        self._tokens_per_byte = sum(entry.num_tokens for entry in trained_on) / max(1, num_bytes)
        self.identity = run_identity(config, manifest)
        self.device = choose_device(config.device)
        self.processes = current_processes()
        self._selection = load_selection(config, manifest, self.device)
        self.batch_offset = 0  # batches that rewinds have skipped
        self.rate_scale = 1.0  # what lower rates have left of the learning rate
        self.interventions = 0
        self.curves = Curves(output, tensorboard=config.tensorboard, is_writer=self.processes.is_first)
        self._begin()

    def _begin(self) -> None:
        """The state before the first step."""
        num_ids = self.vocab_size + self.config.objective.num_special_ids
        self.model = Decoder(self.config.model, num_ids, seed=self.config.seed).to(self.device)
        self._losses_of = spread(self.model, self.config.parallel, self.processes, compiled=self.config.compile)
        self.optimizers = build_optimizers(self.model, self.config.optimizer)
        self.step = 0
        self.num_tokens = 0
        self.curves.cut_back(0)

    def resume(self, *, overwrite: bool) -> None:
        """Take up the last checkpoint of ``output``, if there is one; ``overwrite``: delete it if another run's."""
        folder = checkpoint_folder(self.output)
        checkpoint = latest_checkpoint(folder) if overwrite else load_own_checkpoint(self.output, self.identity)
        if checkpoint is not None and checkpoint.record["identity"] != self.identity:
            storage.remove_folder(folder)
            return
        if checkpoint is None:
            return
        self._restore(checkpoint)
        record = checkpoint.record
        self.batch_offset, self.rate_scale = record["batch_offset"], record["rate_scale"]
        self.interventions = record["interventions"]
        self.curves.read(self.step)

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Weights, optimisers and counts as they were; the curve is cut back to them."""
        load_weights(self.model, checkpoint)
        states: list[dict[int, dict[str, torch.Tensor]]] = [{} for _ in self.optimizers]
        for name, array in checkpoint.arrays.items():
            if name.startswith("optimizer."):
                _, number, index, key = name.split(".")
                states[int(number)].setdefault(int(index), {})[key] = torch.from_numpy(array.copy())
        for optimizer, state in zip(self.optimizers, states, strict=True):
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            cut = {
                index: {key: like(value, parameters[index]) for key, value in found.items()}
                for index, found in state.items()
            }
            optimizer.load_state_dict({**optimizer.state_dict(), "state": cut})
        self.step = checkpoint.step
        self.num_tokens = checkpoint.record["num_tokens"]
        self.curves.cut_back(self.step)

    def take_steps(self, batches: Batches, on_progress: Callable[[TrainProgress], None] | None) -> None:
        """Train to the last step, with a checkpoint every ``checkpoint_every_steps`` and at the end."""
        config, first_step = self.config, self.step
        started = time.monotonic()
        self.model.train()
        with prefetching(batches, self.processes.rows(), config.steps) as prefetched:
            while self.step < config.steps:
                step_started = time.monotonic()
                batch = prefetched.take(self.step + self.batch_offset)
                waited = time.monotonic() - step_started
                loss = self._take_step(batch)
                if loss is None:
                    continue  # back at a checkpoint
                now = time.monotonic()
                rate = batch.inputs.size * self.processes.count / (now - step_started)
                timing = {"step": self.step, "seconds": now - step_started, "loader_seconds": waited}
                self.curves.add_timing({**timing, "tokens_per_second": rate, **self._utilisation(rate)})
                if self.step % config.checkpoint_every_steps == 0 or self.step == config.steps:
                    self.save()
                if on_progress is not None:
                    seconds_left = (now - started) / max(1, self.step - first_step) * (config.steps - self.step)
                    on_progress(TrainProgress(self.step, config.steps, loss, rate, seconds_left))

    def _utilisation(self, tokens_per_second: float) -> dict[str, float | None]:
        """MFU and the most memory used so far; None on a CPU."""
        if self.device.type != "cuda":
            return {"mfu": None, "memory_bytes": None}
        per_token = flops.flops_per_token(self.config.model, self.vocab_size) / self.processes.count
        name = torch.cuda.get_device_name(self.device)
        mfu = flops.model_flops_utilization(tokens_per_second * per_token, name, self.config.dtype)
        return {"mfu": mfu, "memory_bytes": torch.cuda.max_memory_allocated(self.device)}

    def _take_step(self, batch: Batch) -> float | None:
        """One optimiser step; returns the mean loss of the batch before it in nats per token, None after a rewind."""
        config = self.config
        rate = learning_rate(self.step, config.steps, config.optimizer) * self.rate_scale
        loss, noise = accumulate(
            self._losses_of, batch, config, self.eos_token_id, self.processes, selection=self._selection
        )
        max_norm = config.optimizer.max_grad_norm or math.inf
        grad_norm = float(whole(torch.nn.utils.clip_grad_norm_(self.model.parameters(), max_norm)))
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            self.curves.write()
            raise ConfigError(
                f"loss {loss} and gradient norm {grad_norm} at step {self.step + 1} of {config.steps}, learning rate "
                f"{rate:.3g} ({self.output}); expected finite numbers; lower optimizer.learning_rate or raise "
                f"optimizer.warmup_steps, and delete {self.output} to start again"
            )
        spikes = config.spikes
        is_loss_spike = spikes is not None and is_spike(self.curves.column("loss"), loss, spikes)
        if spikes is not None and spikes.action != "skip" and is_loss_spike:
            self._go_back()
            return None
        norms = self.curves.column("grad_norm")
        is_skipped = spikes is not None and (is_loss_spike or is_spike(norms, grad_norm, spikes))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["rate_factor"]
            if not is_skipped:
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.num_tokens += int(self.processes.total(int((batch.targets != IGNORED_TARGET).sum()), self.device))
        metrics = {
            "step": self.step,
            "tokens": self.num_tokens,
            "loss": loss,
            "bits_per_byte": loss / math.log(2) * self._tokens_per_byte,
            "learning_rate": rate,
            "grad_norm": grad_norm,
        }
        if spikes is not None:
            metrics |= {"skipped": is_skipped, "interventions": self.interventions}
        self.curves.metrics.append({**metrics, **noise})
        return loss

    def _go_back(self) -> None:
        """To the last checkpoint or the start, with other data or a lower rate, as ``[train.spikes]`` says."""
        spikes, spike_step = self.config.spikes, self.step
        assert spikes is not None
        if self.interventions == spikes.max_interventions:
            self.curves.write()
            raise ConfigError(
                f"the loss spikes again at step {spike_step + 1} of {self.config.steps} after {self.interventions} "
                f"times {spikes.action} ({self.output}); expected at most max_interventions [train.spikes]; lower "
                f"optimizer.learning_rate, and delete {self.output} to start again"
            )
        checkpoint = latest_checkpoint(checkpoint_folder(self.output))
        if checkpoint is None:
            self._begin()
            self.model.train()
        else:
            self._restore(checkpoint)
            for optimizer in self.optimizers:
                optimizer.zero_grad(set_to_none=True)
        self.interventions += 1
        if spikes.action == "rewind":
            self.batch_offset += max(spikes.skipped_batches, spike_step + 1 - self.step)
        else:
            self.rate_scale *= spikes.rate_factor
        self.save()  # so that a run killed here goes on with what has been decided

    def save(self) -> None:
        """Write curves and checkpoint; the curves first, so that no checkpoint is ahead of its curve."""
        self.curves.write()
        arrays = {f"model.{name}": _to_numpy(tensor) for name, tensor in self.model.named_parameters()}
        for number, optimizer in enumerate(self.optimizers):
            for index, state in optimizer.state_dict()["state"].items():
                arrays.update({f"optimizer.{number}.{index}.{key}": _to_numpy(tensor) for key, tensor in state.items()})
        record = {
            "identity": self.identity,
            "num_tokens": self.num_tokens,
            "vocab_size": self.vocab_size,
            "eos_token_id": self.eos_token_id,
            "tokenizer_sha256": self._tokenizer_sha256,
            "model": self.config.model.model_dump(mode="json"),
            "batch_offset": self.batch_offset,
            "rate_scale": self.rate_scale,
            "interventions": self.interventions,
        }
        if self.processes.is_first:
            save_checkpoint(checkpoint_folder(self.output), Checkpoint(self.step, arrays, record))
        self.processes.wait()


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return whole(tensor).detach().cpu().numpy()
