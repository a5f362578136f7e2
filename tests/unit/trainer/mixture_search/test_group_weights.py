"""DoReMi's update worked out by hand, its weights on noise and on what can be learned, going on, in two processes."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.token_shard import ShardReader
from trainer.checkpoint import latest_checkpoint
from trainer.config import TrainConfig
from trainer.data import IGNORED_TARGET, open_shards
from trainer.group_weights import GroupWeights, update_weights
from trainer.mixed_stream import Batches
from trainer.parallel import ALONE
from trainer.train import train

ROOT = Path(__file__).resolve().parents[4]
CONTEXT = 32
NAMES = ("easy", "hard", "noise")


def config(data, **changes) -> TrainConfig:
    values = {
        "model": {"num_layers": 2, "hidden_size": 48, "num_heads": 2, "context_tokens": CONTEXT},
        "optimizer": {"learning_rate": 0.01, "warmup_steps": 2},
        "tokens_per_step": 18 * CONTEXT,
        "num_steps": 8,
        "checkpoint_every_steps": 5,
        "device": "cpu",
        "num_threads": 1,
        "seed": 1,
        "data": data,
    }
    return TrainConfig.model_validate({**values, **changes})


def proxy(reference, **changes) -> TrainConfig:
    data = {"doremi": {"reference": str(reference), "groups": list(NAMES)}}
    return config(changes.pop("data", data), **changes)


@pytest.fixture(scope="module")
def reference(languages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    train(config({"weights": dict.fromkeys(NAMES, 1)}), languages, str(folder))
    return folder


def test_one_update_by_hand():
    """1/4 x e^(2 x ln 2 / 2) = 1/2 and 3/4 x e^0: of 5/4 they are 2/5 and 3/5; a tenth of it gives way to 1/20 each."""
    found = update_weights(np.array([0.25, 0.75]), np.array([np.log(2) / 2, 0]), step_size=2, smoothing=0.1)
    assert found == pytest.approx([0.9 * 0.4 + 0.05, 0.9 * 0.6 + 0.05])


@given(st.lists(st.tuples(st.floats(1e-4, 1), st.floats(0, 800)), min_size=2, max_size=6))
def test_weights_stay_shares_and_keep_the_order_of_the_excess(pairs):
    weights, excess = np.array(pairs).T
    weights = weights / weights.sum()
    moved = update_weights(weights, excess, step_size=1, smoothing=1e-3)
    assert moved.sum() == pytest.approx(1) and moved.min() >= 1e-3 / len(pairs) * 0.999
    most = int(excess.argmax())
    assert moved[most] >= (1 - 1e-3) * weights[most] * 0.999, "the group that is furthest behind never loses"


def test_a_step_by_hand():
    """Three sequences, the last of the second group; a target that is ignored, and one on which the model is ahead."""
    losses = torch.tensor([[2.0, 1.0], [4.0, 0.0], [3.0, 5.0]])
    theirs = torch.tensor([[1.0, 3.0], [1.0, 0.0], [2.0, 1.0]])
    targets = torch.tensor([[5, 5], [5, IGNORED_TARGET], [5, 5]])
    settings = config({"doremi": {"reference": "x", "groups": ["a", "b"], "smoothing": 0.1}})
    told = []

    def losses_of(inputs, *_):
        told.append(torch.is_grad_enabled())
        return losses[inputs[:, 0]], torch.zeros(())

    reference = SimpleNamespace(negative_log_likelihood=lambda inputs, *_: theirs[inputs[:, 0]])
    groups = GroupWeights(settings, reference)
    rows = torch.arange(3)[:, None].expand(3, 2)
    pieces = [(rows[:2], targets[:2], None), (rows[2:], targets[2:], None)]
    factors = groups.move(losses_of, pieces, np.array([0, 0, 1]), ALONE)
    # group a: (1 + 0 + 3) / 3 targets; group b: (1 + 4) / 2 targets
    excess = np.array([4 / 3, 5 / 2])
    moved = np.exp(excess) / np.exp(excess).sum()
    assert groups.weights == pytest.approx(0.9 * moved + 0.05)
    assert groups.metrics()["excess.b"] == 2.5 and told == [False, False]
    assert [factor.shape for factor in factors] == [(2, 1), (1, 1)]
    mean_over_targets = (
        sum(float((losses[piece[0][:, 0]] * factor).sum()) for piece, factor in zip(pieces, factors, strict=True)) / 5
    )
    assert mean_over_targets == pytest.approx(groups.weights @ [(2 + 1 + 4) / 3, (3 + 5) / 2])
    before = groups.weights
    groups.move(losses_of, pieces, np.array([0, 0, 1]), ALONE)
    assert list(groups.mean().values()) == pytest.approx((before + groups.weights) / 2)
    other = GroupWeights(settings, reference)
    other.restore(groups.state())
    assert other.mean() == groups.mean() and np.array_equal(other.weights, groups.weights)
    other.begin()
    assert other.mean() == {"a": 0.5, "b": 0.5}


def test_a_step_has_as_many_sequences_of_each_group(languages, reference):
    """8 sequences of 3 groups: 3, 3, 2, then 3, 2, 3; and each token of a group is a target once an epoch."""
    settings = proxy(reference, tokens_per_step=8 * CONTEXT, num_steps=90)
    batches = Batches(settings, languages, open_shards(languages))
    steps = [batches.batch(step) for step in range(90)]
    counts = [np.bincount(batch.groups, minlength=3).tolist() for batch in steps[:3]]
    assert counts == [[3, 3, 2], [3, 2, 3], [2, 3, 3]]
    half = batches.batch(1, slice(1, None, 2))
    assert np.array_equal(half.targets, steps[1].targets[1::2]) and np.array_equal(half.groups, steps[1].groups[1::2])
    assert batches.sequences.epochs(8 * 90) == dict.fromkeys(NAMES, 1.0)
    documents = ShardReader(f"{languages}/train-00000")
    for number in range(3):  # documents stand in the shard in turn
        found = np.concatenate([batch.targets[batch.groups == number].ravel() for batch in steps])
        expected = np.concatenate([documents[row] for row in range(number, len(documents), 3)])
        assert sorted(found[found != IGNORED_TARGET]) == sorted(expected.tolist())


def test_weight_goes_to_what_can_be_learned_and_not_to_noise(languages, tmp_path):
    """Nobody is ahead on noise, bad as it is; what has to be learned id by id is what the reference knows better."""
    longer = {"num_steps": 20, "optimizer": {"learning_rate": 0.01, "warmup_steps": 4}, "tokens_per_step": 16 * CONTEXT}
    names = ("hard", "noise")
    train(config({"weights": dict.fromkeys(names, 1)}, **longer), languages, str(tmp_path / "reference"))
    found = {"doremi": {"reference": str(tmp_path / "reference"), "groups": list(names)}}
    weights = train(config(found, **longer), languages, str(tmp_path / "proxy")).group_weights
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["hard"] > 0.75 and weights["noise"] < 0.25
    rows = [json.loads(line) for line in (tmp_path / "proxy" / "metrics.jsonl").read_text().splitlines()]
    for name in names:
        assert weights[name] == pytest.approx(np.mean([row[f"weight.{name}"] for row in rows]))
    assert rows[0]["excess.noise"] < rows[0]["excess.hard"]


def test_an_interrupted_training_goes_on_to_the_same_bits(languages, reference, tmp_path):
    settings = proxy(reference)
    whole = train(settings, languages, str(tmp_path / "whole"))

    def cut_off(progress):
        if progress.step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, languages, str(tmp_path / "parts"), on_progress=cut_off)
    assert latest_checkpoint(str(tmp_path / "parts" / "checkpoint")).step == 5
    assert train(settings, languages, str(tmp_path / "parts")) == whole
    one, other = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "parts"))
    assert one == other


@pytest.mark.slow
@pytest.mark.parametrize(("parallel", "sequences"), [("ddp", 19), ("fsdp", 18)])
def test_two_processes_are_one(parallel, sequences, languages, reference, tmp_path):
    """Of 19 sequences a step one process takes ten, the other nine, in pieces of four."""
    settings = proxy(reference, tokens_per_step=sequences * CONTEXT, forward_tokens=4 * CONTEXT)
    train(settings, languages, str(tmp_path / "alone"))
    path = tmp_path / "train.toml"
    path.write_text(f"""
shards = "{languages}"
output = "{tmp_path / "both"}"
[train]
parallel = "{parallel}"
tokens_per_step = {sequences * CONTEXT}
forward_tokens = {4 * CONTEXT}
num_steps = 8
checkpoint_every_steps = 5
device = "cpu"
num_threads = 1
seed = 1
model = {{ num_layers = 2, hidden_size = 48, num_heads = 2, context_tokens = {CONTEXT} }}
optimizer = {{ learning_rate = 0.01, warmup_steps = 2 }}
data = {{ doremi = {{ reference = "{reference}", groups = ["easy", "hard", "noise"] }} }}
""")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, "-m", "trainer", str(path), "--json"], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
    one, both = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("alone", "both")
    )
    assert len(both) == 8
    for row, other in zip(one, both, strict=True):
        assert other == pytest.approx(row, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens_per_step": 2 * CONTEXT}, "2 sequences in the first step for 3 groups .* raise tokens_per_step to 96"),
        ({"measure_noise_scale": True}, "measure_noise_scale = true with .*; expected plain next-token prediction"),
        ({"objective": {"name": "prefix"}}, "objective.name = 'prefix' with"),
        ({"objective": {"selective": {"reference": "x"}}}, "train.objective.selective. with"),
        ({"data": {"doremi": {"reference": "x", "groups": ["a", "a"]}}}, "groups name 'a' twice"),
        (
            {"data": {"weights": {"a": 1}, "doremi": {"reference": "x", "groups": ["a", "b"]}}},
            "weights and doremi given",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        proxy("x", **changes)


def test_a_reference_that_reads_less_is_refused(languages, reference, tmp_path):
    longer = {"num_layers": 1, "hidden_size": 16, "num_heads": 1, "context_tokens": 64}
    with pytest.raises(ConfigError, match="reads 32 tokens, context_tokens=64"):
        train(proxy(reference, model=longer, tokens_per_step=6 * 64), languages, str(tmp_path))
