"""Training learns, repeats itself bit by bit, survives kill -9, and says what is wrong."""

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError, RetryableError, ShardError
from trainer.batch import Batch
from trainer.checkpoint import Checkpoint, latest_checkpoint, save_checkpoint
from trainer.config import TrainConfig
from trainer.data import open_shards
from trainer.model_inputs import documents_of
from trainer.noise_scale import noise_estimates, noise_scale_tokens
from trainer.spikes import SpikeConfig, is_spike
from trainer.train import train
from trainer.training_run import TrainingRun

TINY = {
    "model": {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "context_tokens": 32},
    "optimizer": {"learning_rate": 0.01, "warmup_steps": 3},
    "tokens_per_step": 512,
    "num_steps": 12,
    "checkpoint_every_steps": 5,
    "device": "cpu",
    "seed": 7,
    "num_threads": 1,
}


def config(**changes) -> TrainConfig:
    return TrainConfig.model_validate({**TINY, **changes})


def hashes(output: Path) -> dict[str, str]:
    """sha256 of every file of a training but the timings."""
    files = [path for path in sorted(output.rglob("*")) if path.is_file() and path.name != "timings.jsonl"]
    return {str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def curve(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(shards, tmp_path_factory):
    output = tmp_path_factory.mktemp("training")
    return output, train(config(), shards, str(output))


def test_what_a_training_leaves(undisturbed, shards):
    output, result = undisturbed
    assert sorted(hashes(output)) == ["checkpoint/step-00000012.npz", "metrics.jsonl"]
    rows = curve(output)
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert [row["tokens"] for row in rows] == [512 * step for step in range(1, 13)]
    assert rows[0]["learning_rate"] == pytest.approx(0.01 / 3)
    assert rows[0]["loss"] == result.first_loss == pytest.approx(math.log(61), abs=0.1)
    assert result.final_loss == rows[-1]["loss"] < rows[0]["loss"]
    assert all(row["grad_norm"] > 0 for row in rows)
    assert result.num_tokens == 12 * 512
    assert result.num_epochs == pytest.approx(
        12 * 512 / open_shards(shards).of_split("train")[0].num_tokens / 2, rel=0.1
    )
    timings = [json.loads(line) for line in (output / "timings.jsonl").read_text().splitlines()]
    assert [timing["step"] for timing in timings] == list(range(1, 13))
    assert all(timing["tokens_per_second"] > 0 and timing["mfu"] is None for timing in timings)


def test_same_seed_same_bytes(undisturbed, shards, tmp_path):
    torch.manual_seed(99)  # the global generator must not matter
    train(config(), shards, str(tmp_path))
    assert hashes(tmp_path) == hashes(undisturbed[0])


def test_same_seed_same_bytes_with_two_threads(shards, tmp_path):
    for name in ("first", "again"):
        train(config(num_threads=2, num_steps=4), shards, str(tmp_path / name))
    assert hashes(tmp_path / "first") == hashes(tmp_path / "again")


def test_another_seed_another_curve(undisturbed, shards, tmp_path):
    train(config(seed=8), shards, str(tmp_path))
    assert curve(tmp_path)[-1]["loss"] != curve(undisturbed[0])[-1]["loss"]


def test_an_end_of_text_begins_the_next_document():
    """The token from which a document's first one is predicted stands in that document; 0 is end-of-text."""
    inputs = torch.tensor([[7, 5, 0, 3, 3, 0, 0, 9], [0, 1, 2, 3, 4, 5, 6, 7]])
    assert documents_of(inputs, 0).tolist() == [[0, 0, 1, 1, 1, 2, 3, 3], [1] * 8]


def test_document_masking_changes_what_is_learned(undisturbed, shards, tmp_path):
    train(config(document_masking=True), shards, str(tmp_path))
    masked, plain = curve(tmp_path), curve(undisturbed[0])
    assert masked[0]["loss"] == pytest.approx(plain[0]["loss"], abs=1e-4)  # a zero output layer sees nothing yet
    assert masked[-1]["loss"] != plain[-1]["loss"] and masked[-1]["loss"] < masked[0]["loss"]


def test_experts_learn_and_resume(shards, tmp_path):
    model = {**TINY["model"], "num_experts": 3, "load_balancing_weight": 0.1}
    train(config(model=model), shards, str(tmp_path / "whole"))
    assert curve(tmp_path / "whole")[-1]["loss"] < curve(tmp_path / "whole")[0]["loss"] - 0.2
    with pytest.raises(_Stopped):
        train(config(model=model), shards, str(tmp_path / "cut"), on_progress=_stop_after(7))
    train(config(model=model), shards, str(tmp_path / "cut"))
    assert hashes(tmp_path / "cut") == hashes(tmp_path / "whole")
    other = config(model={**model, "load_balancing_weight": 0.0})
    train(other, shards, str(tmp_path / "other"))
    assert curve(tmp_path / "other")[-1]["loss"] != curve(tmp_path / "whole")[-1]["loss"]


def test_muon_moves_the_matrices_and_resumes(undisturbed, shards, tmp_path):
    changes = {"optimizer": {**TINY["optimizer"], "name": "muon"}}
    train(config(**changes), shards, str(tmp_path / "whole"))
    assert curve(tmp_path / "whole")[-1]["loss"] < curve(tmp_path / "whole")[0]["loss"] - 0.2
    assert curve(tmp_path / "whole")[-1]["loss"] != curve(undisturbed[0])[-1]["loss"]
    with pytest.raises(_Stopped):
        train(config(**changes), shards, str(tmp_path / "cut"), on_progress=_stop_after(7))
    train(config(**changes), shards, str(tmp_path / "cut"))
    assert hashes(tmp_path / "cut") == hashes(tmp_path / "whole")


SENSITIVE = {"sigmas": 0.3, "window_steps": 4}  # a batch a little harder than the last four is a spike
TIED = {**TINY["model"], "tie_embeddings": True}  # losses that differ from batch to batch before anything is learned
STANDSTILL = {"model": TIED, "optimizer": {"learning_rate": 1e-9, "warmup_steps": 0}}


def test_a_skipped_step_leaves_the_weights_alone(shards, tmp_path):
    settings = config(spikes={"action": "skip", **SENSITIVE}, **STANDSTILL)
    train(settings, shards, str(tmp_path))  # nothing is learned, so losses rise and fall with the batches
    rows = curve(tmp_path)
    losses, norms = ([row[name] for row in rows] for name in ("loss", "grad_norm"))
    expected = [
        any(is_spike(values[:i], values[i], settings.spikes) for values in (losses, norms)) for i in range(len(rows))
    ]
    assert [row["skipped"] for row in rows] == expected and any(expected) and not all(expected)
    before, after = (TrainingRun(settings, open_shards(shards), str(tmp_path / name)) for name in ("a", "b"))
    after.curves.metrics = [{"loss": 0.1, "grad_norm": 0.1}] * 4
    batch = np.full((16, 32), 5)
    after._take_step(Batch(batch, batch))
    assert all(torch.equal(x, y) for x, y in zip(before.model.parameters(), after.model.parameters(), strict=True))


WILD = {"model": TIED, "optimizer": {"learning_rate": 1.0, "warmup_steps": 6}}  # the loss jumps up


@pytest.mark.parametrize(
    ("action", "sigmas", "window_steps", "changes"), [("rewind", 1.2, 4, STANDSTILL), ("lower_rate", 3, 3, WILD)]
)
def test_a_spike_leads_back_and_on_another_way(shards, tmp_path, action, sigmas, window_steps, changes):
    spikes = {"action": action, "skipped_batches": 3, "max_interventions": 100, "sigmas": sigmas}
    spikes["window_steps"] = window_steps
    settings = config(spikes=spikes, checkpoint_every_steps=4 if action == "rewind" else 12, **changes)
    told = []
    train(settings, shards, str(tmp_path / "whole"), on_progress=lambda progress: told.append(progress.step))
    rows = curve(tmp_path / "whole")
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert set(told) == set(range(1, 13)) and len(told) > 12  # some steps were taken twice
    record = latest_checkpoint(str(tmp_path / "whole/checkpoint")).record
    assert rows[-1]["interventions"] == record["interventions"] > 0
    if action == "rewind":
        assert (record["batch_offset"], record["rate_scale"]) == (3 * record["interventions"], 1.0)
    else:
        assert (record["batch_offset"], record["rate_scale"]) == (0, 0.5 ** record["interventions"])
    with pytest.raises(_Stopped):
        train(settings, shards, str(tmp_path / "cut"), on_progress=_stop_after(9))
    train(settings, shards, str(tmp_path / "cut"))
    assert hashes(tmp_path / "cut") == hashes(tmp_path / "whole")


def test_a_spike_before_any_checkpoint_leads_back_to_the_start(shards, tmp_path):
    spikes = {"action": "rewind", "skipped_batches": 20, "max_interventions": 100, "sigmas": 1.2, "window_steps": 4}
    settings = config(spikes=spikes, checkpoint_every_steps=100, **STANDSTILL)
    train(settings, shards, str(tmp_path))
    assert len(curve(tmp_path)) == 12
    assert latest_checkpoint(str(tmp_path / "checkpoint")).record["batch_offset"] >= 20


def test_spikes_without_end_are_an_error(shards, tmp_path):
    spikes = {"action": "lower_rate", "max_interventions": 2, "sigmas": 1e-9, "window_steps": 2}
    settings = config(spikes=spikes, checkpoint_every_steps=1, **STANDSTILL)
    with pytest.raises(ConfigError, match=r"spikes again at step \d+ of 12 after 2 times lower_rate .*learning_rate"):
        train(settings, shards, str(tmp_path))


def test_spikes_are_counted_in_deviations_of_a_full_window():
    spikes = SpikeConfig(action="skip", sigmas=3, window_steps=4)
    history = [9.0, 1.0, 2.0, 3.0, 2.0]  # the last four: mean 2, deviation sqrt(1/2)
    assert [is_spike(history, value, spikes) for value in (4.12, 4.13)] == [False, True]
    assert not is_spike(history[:3], 1e9, spikes)


def test_the_noise_scale_is_that_of_known_gradients():
    """Gradients with |G| = 2 and a covariance of trace 24 per token: 6 tokens, from many pairs of batches."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(4_000):
        tokens = np.array([2.0, 0, 0, 0]) + rng.normal(0, np.sqrt(6), (32, 4))
        small, large = (np.linalg.norm(tokens[:count].mean(axis=0)) for count in (8, 32))
        rows.append(noise_estimates(small, large, 8, 32))
    assert noise_scale_tokens(rows) == pytest.approx(6, rel=0.1)
    assert noise_scale_tokens([{"loss": 1.0}]) is None


def test_a_training_measures_its_noise_scale(shards, tmp_path):
    result = train(config(measure_noise_scale=True, forward_tokens=128), shards, str(tmp_path))
    assert all(row["gradient_noise"] > 0 for row in curve(tmp_path)) and result.noise_scale_tokens > 0
    assert train(config(), shards, str(tmp_path / "without")).noise_scale_tokens is None


class _Stopped(Exception):
    pass


def _stop_after(step):
    def stop(progress):
        if progress.step == step:
            raise _Stopped

    return stop


@pytest.mark.parametrize("stop_after_step", [1, 5, 8, 11])
def test_a_resumed_training_ends_with_the_same_bytes(undisturbed, shards, tmp_path, stop_after_step):
    with pytest.raises(_Stopped):
        train(config(), shards, str(tmp_path), on_progress=_stop_after(stop_after_step))
    heard = []
    result = train(config(), shards, str(tmp_path), on_progress=lambda progress: heard.append(progress.step))
    assert heard == list(range(stop_after_step // 5 * 5 + 1, 13)), "goes on from the last checkpoint"
    assert hashes(tmp_path) == hashes(undisturbed[0])
    assert result == undisturbed[1]


def test_a_killed_process_resumes_to_the_same_bytes(undisturbed, shards, tmp_path):
    """kill -9 in a step after the first checkpoint, then the same call again."""
    script = (
        "import os, signal, sys\n"
        "from trainer.config import TrainConfig\n"
        "from trainer.train import train\n"
        "def kill(progress):\n"
        "    if progress.step == 7: os.kill(os.getpid(), signal.SIGKILL)\n"
        "train(TrainConfig.model_validate_json(sys.argv[1]), sys.argv[2], sys.argv[3], on_progress=kill)\n"
    )
    command = [sys.executable, "-c", script, config().model_dump_json(), shards, str(tmp_path)]
    root = Path(__file__).resolve().parents[3]
    killed = subprocess.run(command, cwd=root, env={**os.environ, "PYTHONHASHSEED": "17"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert latest_checkpoint(str(tmp_path / "checkpoint")).step == 5
    train(config(), shards, str(tmp_path))
    assert hashes(tmp_path) == hashes(undisturbed[0])


def test_a_finished_training_is_not_repeated(undisturbed, shards):
    output, result = undisturbed
    heard = []
    assert train(config(), shards, str(output), on_progress=heard.append) == result
    assert heard == []


def test_evaluation_and_checkpoint_settings_do_not_make_another_run(undisturbed, shards):
    changed = config(checkpoint_every_steps=3, evaluation={"max_tokens": 10})
    assert train(changed, shards, str(undisturbed[0])) == undisturbed[1]


def test_the_checkpoint_of_another_run_is_refused(undisturbed, shards):
    with pytest.raises(ConfigError, match=r"checkpoint is of another run .* to train anew, or choose another output"):
        train(config(seed=1), shards, str(undisturbed[0]))


def test_the_checkpoint_of_another_run_is_overwritten_on_demand(undisturbed, shards, tmp_path):
    train(config(seed=1, num_steps=4), shards, str(tmp_path))
    assert train(config(), shards, str(tmp_path), overwrite=True) == undisturbed[1]
    assert hashes(tmp_path) == hashes(undisturbed[0])


def test_pieces_of_a_step_add_up(undisturbed, shards, tmp_path):
    """A step in 8 forward passes is a step in one, up to the order of sums."""
    train(config(forward_tokens=64, num_steps=4), shards, str(tmp_path / "pieces"))
    train(config(forward_tokens=512, num_steps=4), shards, str(tmp_path / "whole"))
    pieces, whole = ([row["loss"] for row in curve(tmp_path / name)] for name in ("pieces", "whole"))
    assert pieces == pytest.approx(whole, rel=1e-4)


def test_one_batch_is_overfitted(make_shards, tmp_path):
    shards = make_shards(((256,),))
    result = train(config(tokens_per_step=256, num_steps=80, checkpoint_every_steps=80), shards, str(tmp_path))
    assert result.num_epochs == 80
    assert result.final_loss < 0.05, "the chain's own entropy is 0.64: only memory goes below"


def test_bfloat16_trains(shards, tmp_path):
    result = train(config(dtype="bfloat16", num_steps=4), shards, str(tmp_path))
    assert result.final_loss < result.first_loss


def test_a_loss_that_is_not_finite_is_an_error(shards, tmp_path, monkeypatch):
    """The third step meets a weight that is not a number; the curve up to it and the checkpoint before it are kept."""
    take_step = TrainingRun._take_step

    def poisoned(self, batch):
        if self.step == 2:
            with torch.no_grad():
                self.model.final_norm.weight[0] = math.nan
        return take_step(self, batch)

    monkeypatch.setattr(TrainingRun, "_take_step", poisoned)
    with pytest.raises(ConfigError, match=r"loss nan .* at step 3 of 12, learning rate 0.01 .*expected finite numbers"):
        train(config(checkpoint_every_steps=1), shards, str(tmp_path))
    assert [row["step"] for row in curve(tmp_path)] == [1, 2]
    checkpoint = latest_checkpoint(str(tmp_path / "checkpoint"))
    assert checkpoint.step == 2 and all(np.isfinite(array).all() for array in checkpoint.arrays.values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none_is_an_error(shards, tmp_path):
    with pytest.raises(ConfigError, match="PyTorch finds no CUDA device; set device='auto' or 'cpu'"):
        train(config(device="cuda"), shards, str(tmp_path))


def test_threads_are_set_back(shards, tmp_path):
    before = torch.get_num_threads()
    train(config(num_threads=1, num_steps=4), shards, str(tmp_path))
    assert torch.get_num_threads() == before


def test_checkpoints_round_trip_and_replace_each_other(tmp_path):
    folder = str(tmp_path)
    assert latest_checkpoint(folder) is None
    for step in (1, 2):
        save_checkpoint(folder, Checkpoint(step, {"model.a": np.float32([step, 0.5])}, {"identity": "x"}))
    found = latest_checkpoint(folder)
    assert (found.step, found.record) == (2, {"identity": "x"})
    assert found.arrays["model.a"].tolist() == [2, 0.5]
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002.npz"]


def test_a_damaged_checkpoint_is_an_error(tmp_path):
    save_checkpoint(str(tmp_path), Checkpoint(3, {"model.a": np.zeros(9)}, {}))
    path = tmp_path / "step-00000003.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ShardError, match=r"checkpoint .*step-00000003.npz is damaged .*; delete it and train again"):
        latest_checkpoint(str(tmp_path))


def test_a_full_disk_keeps_the_older_checkpoint(tmp_path, monkeypatch):
    save_checkpoint(str(tmp_path), Checkpoint(1, {"model.a": np.zeros(9)}, {}))

    def full(location, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainer.checkpoint.storage.write_bytes", full)
    with pytest.raises(RetryableError, match=r"No space left on device; step-00000001.npz is kept; free the space"):
        save_checkpoint(str(tmp_path), Checkpoint(2, {"model.a": np.zeros(9)}, {}))
    assert latest_checkpoint(str(tmp_path)).step == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens_per_step": 500}, "tokens_per_step=500 is not a multiple of context_tokens=32; try 512"),
        ({"forward_tokens": 40}, "forward_tokens=40 is not a multiple of context_tokens=32; try 32"),
        ({"num_tokens": 5}, "both of num_steps and num_tokens given; expected exactly one"),
        ({"num_steps": None}, "neither of num_steps and num_tokens given; expected exactly one"),
        ({"num_steps": 3}, "warmup_steps=3 leaves none of 3 steps"),
        ({"evaluation": {"stride_tokens": 33}}, "stride_tokens=33 is above context_tokens=32"),
        ({"model": {"hidden_size": 30, "num_heads": 4}}, "hidden_size=30 is not divisible by 2 x num_heads=4"),
    ],
)
def test_configs_that_do_not_fit_together(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_a_budget_in_tokens_is_whole_steps():
    assert config(num_steps=None, num_tokens=512 * 7 + 1).steps == 8
