"""From a budget to the list of runs: sizes, tokens, seeds and variants, and what each costs.

The sizes are neighbours on the ladder (``ladder.py``), ending at the largest with which the whole grid (sizes x tokens
per parameter x seeds x variants) fits into the budget and into ``max_epochs`` over the smallest variant's data. Where
even the smallest sizes want more tokens, such runs are left out for every variant, so that runs still pair. Small runs
come first in the queue.

Cost in hours is tokens over the measured tokens/s of its size, a few steps on made-up tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict

from pipeline.errors import ConfigError
from pipeline.token_shard import ShardManifest
from trainer.config import ModelConfig, TrainConfig
from trainer.data import open_shards
from trainer.device import choose_device, compute_threads, forward_tokens, mixed_precision
from trainer.flops import num_params_non_embedding, training_flops
from trainer.model import Decoder
from trainer.optim import build_optimizers
from trainer.sweep.ladder import rungs, train_config
from trainer.sweep.sweep_config import SweepConfig

_TIMED_STEPS = 3


class PlannedRun(BaseModel):
    """One training of the sweep."""

    model_config = ConfigDict(frozen=True)

    name: str  # of its folder
    variant: str
    shards: str
    validation: str  # folder of the held-out shards
    num_params: int  # beside the embeddings: the N of the fits
    num_tokens: int
    flops: int  # 6 N D
    seconds: float  # expected; 0 where the speed was not measured
    train: TrainConfig


class SweepPlan(BaseModel):
    """``plan.json``: the runs in the order of the queue."""

    model_config = ConfigDict(frozen=True)

    runs: tuple[PlannedRun, ...]
    left_out: tuple[str, ...]  # runs that would need more epochs than allowed, in words

    @property
    def flops(self) -> float:
        """Of all runs."""
        return float(sum(run.flops for run in self.runs))

    @property
    def seconds(self) -> float:
        """Of all runs one after the other."""
        return sum(run.seconds for run in self.runs)


@dataclass(frozen=True)
class _Data:
    """What planning has to know of the shards."""

    num_tokens: int  # of the smallest variant
    vocab_size: int  # of the largest


def make_plan(config: SweepConfig, speed: Callable[[ModelConfig, int], float] | None = None) -> SweepPlan:
    """Plan the runs of a sweep.

    Args:
        config: the sweep.
        speed: (model, vocabulary size) to training tokens per second; None: measured on the config's device.

    Raises:
        ConfigError: if the budget does not pay for the smallest sizes, the data are too few for every run, or variants
            would be scored on different text.
        ShardError: if a variant's shards are missing or damaged.
    """
    data = _look_at([open_shards(config.shards_of(variant)) for variant in config.variant])
    _check_held_out({config.validation_of(variant) for variant in config.variant})
    measure = _remembering(speed or (lambda model, vocab_size: tokens_per_second(model, vocab_size, config)))
    ladder = rungs(config.context_tokens)
    best: SweepPlan | None = None
    for first in range(len(ladder) - config.num_sizes + 1):
        models = ladder[first : first + config.num_sizes]
        if config.budget_flops is not None and _grid_flops(config, models, data) > config.budget_flops:
            break
        plan = _grid(config, models, data, measure)
        if config.budget_hours is not None and plan.seconds > 3600 * config.budget_hours * config.parallel_runs:
            break
        if plan.left_out and best is not None:
            break
        if plan.runs:
            best = plan
    if best is None:
        raise ConfigError(_why_nothing_fits(config, ladder[: config.num_sizes], data, measure))
    return best


def tokens_per_second(model: ModelConfig, vocab_size: int, config: SweepConfig) -> float:
    """Training speed of a model on the sweep's device, from a few steps on made-up tokens."""
    train = train_config(model, 64 * model.context_tokens, 0, config)
    device = choose_device(config.device)
    with compute_threads(config.num_threads):
        decoder = Decoder(model, vocab_size, seed=0).to(device)
        (optimizer,) = build_optimizers(decoder, train.optimizer)
        rows = min(16, forward_tokens(train, device) // model.context_tokens)
        tokens = torch.arange(rows * model.context_tokens).remainder(vocab_size).view(rows, -1).to(device)
        seconds = []
        for _ in range(_TIMED_STEPS):
            started = time.monotonic()
            with mixed_precision(train, device):
                decoder.negative_log_likelihood(tokens, tokens).mean().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.monotonic() - started)
    return tokens.numel() / min(seconds)  # the first step also allocates


def _look_at(manifests: Sequence[ShardManifest]) -> _Data:
    train_tokens = [sum(entry.num_tokens for entry in manifest.of_split("train")) for manifest in manifests]
    return _Data(min(train_tokens), max(manifest.vocab_size for manifest in manifests))


def _check_held_out(folders: set[str]) -> None:
    """Bits per byte compare on the same text only; tokens may differ, documents and bytes may not."""
    sizes = {}
    for folder in sorted(folders):
        held_out = open_shards(folder).of_split("validation")
        sizes[folder] = (sum(entry.num_documents for entry in held_out), sum(entry.num_bytes for entry in held_out))
    if len(set(sizes.values())) > 1:
        found = "; ".join(
            f"{folder}: {documents} documents, {size} bytes" for folder, (documents, size) in sizes.items()
        )
        raise ConfigError(
            f"variants are scored on different text ({found}); expected the same held-out documents for all; name one "
            f"folder as [sweep] validation"
        )


def _points(config: SweepConfig, models: Sequence[ModelConfig]) -> list[tuple[ModelConfig, float, int]]:
    """Model, tokens per parameter and tokens of each point of the grid."""
    ratios = sorted(config.tokens_per_param)
    return [(model, ratio, round(ratio * num_params_non_embedding(model))) for model in models for ratio in ratios]


def _grid_flops(config: SweepConfig, models: Sequence[ModelConfig], data: _Data) -> float:
    copies = config.seeds * len(config.variant)
    return copies * sum(
        training_flops(num_params_non_embedding(model), num_tokens)
        for model, _, num_tokens in _points(config, models)
        if num_tokens <= config.max_epochs * data.num_tokens
    )


def _grid(
    config: SweepConfig, models: Sequence[ModelConfig], data: _Data, measure: Callable[[ModelConfig, int], float]
) -> SweepPlan:
    runs: list[PlannedRun] = []
    left_out: list[str] = []
    for model, ratio, num_tokens in _points(config, models):
        num_params = num_params_non_embedding(model)
        if num_tokens > config.max_epochs * data.num_tokens:
            left_out.append(
                f"N = {num_params:,} at {ratio:g} tokens per parameter: {num_tokens:,} tokens are "
                f"{num_tokens / data.num_tokens:.1f} epochs over {data.num_tokens:,}; max_epochs is "
                f"{config.max_epochs:g}"
            )
            continue
        seconds = num_tokens / measure(model, data.vocab_size)
        for seed in range(config.first_seed, config.first_seed + config.seeds):
            train = train_config(model, num_tokens, seed, config)
            trained = train.steps * train.tokens_per_step
            runs += [
                PlannedRun(
                    name=f"{variant.name}-n{num_params}-d{trained}-s{seed}",
                    variant=variant.name,
                    shards=config.shards_of(variant),
                    validation=config.validation_of(variant),
                    num_params=num_params,
                    num_tokens=trained,
                    flops=training_flops(num_params, trained),
                    seconds=seconds,
                    train=train,
                )
                for variant in config.variant
            ]
    return SweepPlan(runs=tuple(sorted(runs, key=lambda run: (run.flops, run.name))), left_out=tuple(left_out))


def _why_nothing_fits(
    config: SweepConfig, models: Sequence[ModelConfig], data: _Data, measure: Callable[[ModelConfig, int], float]
) -> str:
    smallest = _grid(config, models, data, measure)
    num_params = num_params_non_embedding(models[0])
    if not smallest.runs:
        return (
            f"the smallest variant has {data.num_tokens:,} training tokens, {config.max_epochs:g} epochs of which are "
            f"too few for {min(config.tokens_per_param):g} tokens for each of {num_params:,} parameters (the smallest "
            f"model); expected more data; keep more, or raise [sweep] max_epochs"
        )
    budget = f"{config.budget_flops:.3g} FLOPs" if config.budget_flops is not None else f"{config.budget_hours:g} hours"
    need = (
        f"{smallest.flops:.3g} FLOPs"
        if config.budget_flops is not None
        else f"{smallest.seconds / 3600 / config.parallel_runs:.2g} hours"
    )
    return (
        f"the {config.num_sizes} smallest sizes with {len(config.tokens_per_param)} token counts, {config.seeds} seeds "
        f"and {len(config.variant)} variants need {need}, the budget is {budget} [sweep]; raise it, or lower num_sizes "
        f"or seeds"
    )


def _remembering(speed: Callable[[ModelConfig, int], float]) -> Callable[[ModelConfig, int], float]:
    """``speed``, measured once for each model."""
    known: dict[tuple[int, int], float] = {}

    def measure(model: ModelConfig, vocab_size: int) -> float:
        shape = (model.num_layers, model.hidden_size)
        if shape not in known:
            known[shape] = speed(model, vocab_size)
        return known[shape]

    return measure
