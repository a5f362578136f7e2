"""A batch that grows, and models whose best learning rate does not depend on their width."""

import json
import math

import pytest
import torch

from trainer.config import TrainConfig
from trainer.data import open_shards
from trainer.mixed_stream import Batches
from trainer.model import Decoder
from trainer.model_config import ModelConfig
from trainer.optim import build_optimizers
from trainer.train import train

SHAPE = {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "context_tokens": 32}


def config(**changes) -> TrainConfig:
    tables = {"model": SHAPE, "optimizer": {"warmup_steps": 3, "learning_rate": 0.01}, "tokens_per_step": 32 * 10}
    settings = {"batch_warmup": {"initial_tokens": 64, "steps": 4}, "num_steps": 12, "device": "cpu", "num_threads": 1}
    return TrainConfig.model_validate({**tables, **settings, **changes})


def test_batches_grow_and_leave_no_sequence_out(shards):
    """From 2 sequences to 10 in 4 steps: 2, 4, 6, 8, then 10."""
    batches = Batches(config(), shards, open_shards(shards))
    sizes = [len(batches.batch(step).inputs) for step in range(6)]
    assert sizes == [2, 4, 6, 8, 10, 10]
    ends = [config().sequences_before(step) for step in range(7)]
    assert ends == [0, 2, 6, 12, 20, 30, 40]


@pytest.mark.parametrize(("num_tokens", "steps"), [(64, 1), (65, 2), (20 * 32, 4), (20 * 32 + 1, 5), (50 * 32, 7)])
def test_a_budget_counts_the_small_batches(num_tokens, steps):
    assert config(num_steps=None, num_tokens=num_tokens, optimizer={"warmup_steps": 0}).steps == steps


def test_the_curve_counts_what_was_learned(shards, tmp_path):
    result = train(config(), shards, str(tmp_path))
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["tokens"] for row in rows[:6]] == [64, 192, 384, 640, 960, 1280]
    assert result.final_loss < result.first_loss


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_warmup": {"initial_tokens": 640, "steps": 2}}, "is above tokens_per_step=320; expected a batch that"),
        ({"batch_warmup": {"initial_tokens": 50, "steps": 2}}, r"batch_warmup.initial_tokens=50 is not a multiple of"),
        ({"model": {**SHAPE, "mup_base_width": 16, "tie_embeddings": True}}, "expected a free output layer"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


def change_of_logits(width: int, base: int | None) -> float:
    """Root mean square of what three steps of AdamW do to the logits."""
    shape = ModelConfig(num_layers=2, hidden_size=width, num_heads=width // 16, context_tokens=16, mup_base_width=base)
    model = Decoder(shape, 50, seed=0)
    (optimizer,) = build_optimizers(model, config().optimizer)
    tokens = torch.arange(64).view(4, 16).remainder(50)
    targets = tokens.roll(-1, dims=1)
    for _ in range(3):
        model.negative_log_likelihood(tokens, targets).mean().backward()
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * group["rate_factor"]
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        return float(model(tokens).square().mean().sqrt())


def test_steps_change_logits_alike_at_any_width():
    """The coordinate check of Yang et al. 2022 (appendix D.1): stable with muP, growing with the width without."""
    with_mup = [change_of_logits(width, 32) for width in (32, 64, 128, 256)]
    without = [change_of_logits(width, None) for width in (32, 64, 128, 256)]
    assert with_mup[0] == without[0], "at the base width nothing changes"
    assert max(with_mup) / min(with_mup) < 1.6
    assert without[-1] / without[0] > 2.5


def test_the_first_loss_knows_nothing():
    model = Decoder(ModelConfig(**SHAPE, mup_base_width=8), 50, seed=0)
    tokens = torch.arange(32)[None]
    assert float(model.negative_log_likelihood(tokens, tokens).mean()) == pytest.approx(math.log(50), abs=0.1)


def test_tensorboard_has_the_curve(shards, tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(config(tensorboard=True, checkpoint_every_steps=5), shards, str(tmp_path))
    events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    shown = events.Scalars("train/loss")
    assert [event.step for event in shown] == list(range(1, 13))
    assert [event.value for event in shown] == pytest.approx([row["loss"] for row in rows], rel=1e-6)
    assert all(event.value > 0 for event in events.Scalars("train/tokens_per_second"))
