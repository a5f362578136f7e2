"""A loss curve of 200 steps as it was when it was last looked at, and that a model can learn one batch by heart."""

import json
import math
from pathlib import Path

import pytest

from trainer.config import TrainConfig
from trainer.train import train

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "loss_curve.json"
CONFIG = {
    "model": {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "context_tokens": 32},
    "optimizer": {"learning_rate": 0.01, "warmup_steps": 10, "schedule": "wsd"},
    "tokens_per_step": 256,
    "num_steps": 200,
    "checkpoint_every_steps": 200,
    "device": "cpu",
    "seed": 3,
    "num_threads": 1,
}


def losses(output: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_the_curve_of_200_steps(shards, tmp_path):
    """To 2 in 1,000: other processors add floats in another order, and 200 steps carry that on."""
    train(TrainConfig.model_validate(CONFIG), shards, str(tmp_path))
    golden = json.loads(GOLDEN.read_text())
    assert len(golden) == 200 and golden[0] == pytest.approx(math.log(61), abs=0.1)
    assert losses(tmp_path) == pytest.approx(golden, rel=2e-3)


def test_one_batch_is_learned_by_heart(make_shards, tmp_path):
    folder = make_shards(((64,),))
    changes = {"tokens_per_step": 64, "optimizer": {"learning_rate": 0.02, "warmup_steps": 5}}
    train(TrainConfig.model_validate({**CONFIG, **changes}), folder, str(tmp_path))
    assert losses(tmp_path)[-1] < 0.05
