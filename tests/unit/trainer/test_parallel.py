"""Two processes are one: the same batches and, to the last digits, the same curve; either goes on from the other."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import load_toml
from pipeline.errors import ConfigError
from trainer.checkpoint import latest_checkpoint
from trainer.config import TrainConfig, TrainingFile
from trainer.parallel import Processes
from trainer.train import train

ROOT = Path(__file__).resolve().parents[3]
STEPS = 6


ENCODER_DECODER = """
kind = "encoder_decoder"
position = "relative"
tie_embeddings = true
[train.objective]
name = "ul2"
"""


def run_file(folder: Path, shards: str, parallel: str, sequences: int, more: str) -> Path:
    path = folder / "train.toml"
    path.write_text(f"""
shards = "{shards}"
output = "{folder / parallel}"
[train]
parallel = "{parallel}"
tokens_per_step = {32 * sequences}
forward_tokens = 64
num_steps = {STEPS}
checkpoint_every_steps = 3
num_threads = 1
device = "cpu"
seed = 7
[train.optimizer]
warmup_steps = 2
learning_rate = 0.01
[train.model]
num_layers = 2
hidden_size = 32
num_heads = 2
context_tokens = 32
{more}
""")
    return path


def run_in_two(path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, "-m", "trainer", str(path), "--json"], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["training"]["num_steps"] == STEPS, "one process alone says how it ended"


def curve(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("parallel", "sequences", "more"),
    [
        ("ddp", 5, ""),
        pytest.param("fsdp", 6, "", marks=pytest.mark.slow),
        pytest.param("ddp", 5, ENCODER_DECODER, marks=pytest.mark.slow),
        pytest.param("fsdp", 6, ENCODER_DECODER, marks=pytest.mark.slow),
    ],
)
def test_two_processes_are_one(parallel, sequences, more, shards, tmp_path):
    """Of 5 sequences a step one takes 3 in two pieces, the other 2. They go on where one process was cut off."""
    path = run_file(tmp_path, shards, parallel, sequences, more)
    file = load_toml(path, TrainingFile)

    def cut_off(progress):
        if progress.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(file.train, shards, file.output, on_progress=cut_off)
    assert latest_checkpoint(f"{file.output}/checkpoint").step == 3
    run_in_two(path)
    alone = tmp_path / "alone"
    train(file.train, shards, str(alone))
    expected, found = curve(alone), curve(tmp_path / parallel)
    assert [row["tokens"] for row in found] == [row["tokens"] for row in expected]
    for row, other in zip(expected, found, strict=True):
        assert other["loss"] == pytest.approx(row["loss"], rel=1e-5)
        assert other["grad_norm"] == pytest.approx(row["grad_norm"], rel=1e-4)
    one, two = (latest_checkpoint(str(folder / "checkpoint")) for folder in (alone, tmp_path / parallel))
    assert one is not None and two is not None and set(one.arrays) == set(two.arrays)
    for name, array in one.arrays.items():
        assert two.arrays[name] == pytest.approx(array, rel=1e-3, abs=1e-5), name


def test_more_processes_than_sequences_are_refused(shards, tmp_path, monkeypatch):
    config = TrainConfig(model={"context_tokens": 32}, tokens_per_step=32, num_steps=30)
    monkeypatch.setattr("trainer.train.current_processes", lambda: Processes(0, 2))
    with pytest.raises(ConfigError, match="2 processes for 1 sequences a step; expected at least one sequence each"):
        train(config, shards, str(tmp_path))
