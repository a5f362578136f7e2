"""One training run between two of its steps: model, optimiser, curves; how it takes a step, stops and goes on.

Of several processes each holds one of these, takes its part of a step's sequences, and takes the same decisions; the
first writes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.token_shard import ShardManifest
from trainer.batch import Batch
from trainer.checkpoint import (
    Checkpoint,
    arrays_of,
    checkpoint_folder,
    latest_checkpoint,
    load_optimizers,
    load_own_checkpoint,
    load_weights,
    run_identity,
    save_checkpoint,
)
from trainer.config import TrainConfig
from trainer.curves import Curves
from trainer.data import IGNORED_TARGET
from trainer.device import choose_device, utilisation
from trainer.gradients import accumulate
from trainer.group_weights import load_group_weights
from trainer.mixed_stream import Batches
from trainer.model import make_model
from trainer.optim import build_optimizers, learning_rate
from trainer.parallel import current_processes, spread, whole
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
        group_weights: of ``[train.data.doremi]``; None without that table.
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
        self.group_weights = load_group_weights(config, manifest, self.device)
        self.batch_offset = 0  # batches that rewinds have skipped
        self.rate_scale = 1.0  # what lower rates have left of the learning rate
        self.interventions = 0
        self.curves = Curves(output, tensorboard=config.tensorboard, is_writer=self.processes.is_first)
        self._begin()

    def _begin(self) -> None:
        """The state before the first step."""
        num_ids = self.vocab_size + self.config.objective.num_special_ids
        self.model = make_model(self.config.model, num_ids, seed=self.config.seed).to(self.device)
        self._losses_of = spread(self.model, self.config.parallel, self.processes, compiled=self.config.compile)
        self.optimizers = build_optimizers(self.model, self.config.optimizer)
        self.step = 0
        self.num_tokens = 0
        if self.group_weights is not None:
            self.group_weights.begin()
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
        load_optimizers(self.optimizers, checkpoint)
        if self.group_weights is not None:
            self.group_weights.restore(checkpoint.arrays)
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
                num_tokens = len(batch.inputs) * config.model.context_tokens * self.processes.count
                rate = num_tokens / (now - step_started)
                use = utilisation(config, self.vocab_size, rate / self.processes.count, self.device)
                timing = {"step": self.step, "seconds": now - step_started, "loader_seconds": waited}
                self.curves.add_timing({**timing, "tokens_per_second": rate, **use})
                if self.step % config.checkpoint_every_steps == 0 or self.step == config.steps:
                    self.save()
                if on_progress is not None:
                    seconds_left = (now - started) / max(1, self.step - first_step) * (config.steps - self.step)
                    on_progress(TrainProgress(self.step, config.steps, loss, rate, seconds_left))

    def _take_step(self, batch: Batch) -> float | None:
        """One optimiser step; returns the mean loss of the batch before it in nats per token, None after a rewind."""
        config = self.config
        rate = learning_rate(self.step, config.steps, config.optimizer) * self.rate_scale
        loss, noise = accumulate(
            self._losses_of,
            batch,
            config,
            self.eos_token_id,
            self.processes,
            selection=self._selection,
            group_weights=self.group_weights,
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
        of_groups = {} if self.group_weights is None else self.group_weights.metrics()
        self.curves.metrics.append({**metrics, **noise, **of_groups})
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
        arrays = arrays_of(self.model, self.optimizers)
        arrays |= {} if self.group_weights is None else self.group_weights.state()
        record = {
            "identity": self.identity,
            "num_tokens": self.num_tokens,
            "vocab_size": self.vocab_size,
            "eos_token_id": self.eos_token_id,
            "tokenizer_sha256": self._tokenizer_sha256,
            "model": self.config.model.model_dump(mode="json"),
            "objective": self.config.objective.model_dump(mode="json"),
            "batch_offset": self.batch_offset,
            "rate_scale": self.rate_scale,
            "interventions": self.interventions,
        }
        if self.processes.is_first:
            save_checkpoint(checkpoint_folder(self.output), Checkpoint(self.step, arrays, record))
        self.processes.wait()
