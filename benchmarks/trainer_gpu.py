"""The trainer on a GPU: MFU of decoders and of T5 beside transformers' Llama and T5, loader wait, a resumable sweep.

    python benchmarks/trainer_gpu.py                           # context 2,048, bfloat16, document masking
    python benchmarks/trainer_gpu.py --sweep --max-minutes 8   # 5 sizes x 3 D/N x 2 variants x 2 seeds; again to go on
    # that it works, in a minute or two on a CPU, in float32:
    python benchmarks/trainer_gpu.py --sizes tiny t5-tiny --device cpu --steps 3 --context 256 --forward-tokens 2048

Needs torch, numpy, pyarrow, pydantic and tokenizers alone. transformers, where installed, is trained in the same run
with the same shape, compiled, on sequences of the same length (without document masks, so it does less). MFU is that
of ``trainer/flops.py`` for both: FLOPs per token times tokens per second over the device's dense bfloat16 peak.

T5 learns by span corruption, whose two sides are about as long together as the text. Tokens are those of the text for
it too: what a sequence costs, each side's positions at that side's weights, is divided among its tokens of text.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "tests"))  # whose shards are written the same way

from made_shards import EOS, MadeDocument, write_shards
from measure import report
from transformers_peer import seconds_of_steps

from trainer import flops
from trainer.config import TrainConfig
from trainer.model_config import ModelConfig
from trainer.seq2seq import sequence_lengths
from trainer.sweep.plan import make_plan
from trainer.sweep.queue import run_sweep
from trainer.sweep.sweep_config import SweepConfig
from trainer.train import train

VOCAB_SIZE = 50_304
T5 = {"kind": "encoder_decoder", "position": "relative", "activation": "relu", "tie_embeddings": True}
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {"num_layers": 2, "hidden_size": 64, "num_heads": 2},
    "124M": {"num_layers": 12, "hidden_size": 768, "num_heads": 12},
    "350M": {"num_layers": 24, "hidden_size": 1024, "num_heads": 16},
    "t5-tiny": {**T5, "num_layers": 2, "hidden_size": 64, "num_heads": 2},
    "t5-base": {**T5, "num_layers": 12, "hidden_size": 768, "num_heads": 12},
}
WARM_UP_STEPS = 5
"""Steps at the start that compile and allocate, and are left out of the medians."""


def make_shards(folder: Path, num_tokens: int, *, seed: int, repeat: float) -> str:
    """Shards of made-up documents of log-normal length whose ids follow Zipf's law; ``repeat``: how predictable."""
    rng = np.random.default_rng(seed)
    shards = {}
    for name, wanted in (("train-00000", num_tokens), ("validation-web", num_tokens // 50)):
        documents, total = [], 0
        while total < wanted:
            length = int(np.clip(rng.lognormal(6.3, 1.0), 16, 8_000))
            ids = np.minimum(rng.zipf(1.3, length), VOCAB_SIZE - 1)
            same = rng.random(length) < repeat
            ids[1:][same[1:]] = (ids[:-1][same[1:]] * 31 + 7) % (VOCAB_SIZE - 1) + 1
            documents.append(MadeDocument(np.append(ids, EOS), num_bytes=4 * length))
            total += length + 1
        shards[name] = documents
    return write_shards(folder, shards, vocab_size=VOCAB_SIZE, seed=seed)


def train_config(shape: str, options: argparse.Namespace) -> TrainConfig:
    """One measured training."""
    model = ModelConfig(**SHAPES[shape], context_tokens=options.context)
    sequences = max(1, options.forward_tokens // options.context)
    return TrainConfig(
        model=model,
        objective={"name": "causal" if model.kind == "decoder" else "span_corruption"},
        optimizer={"warmup_steps": 0, "learning_rate": 1e-4},
        tokens_per_step=sequences * options.context,
        forward_tokens=sequences * options.context,
        num_steps=options.steps + WARM_UP_STEPS,
        checkpoint_every_steps=options.steps + WARM_UP_STEPS,
        device=options.device,
        dtype=_dtype(options),
        compile=options.device == "cuda",
        document_masking=True,
    )


def side_lengths(config: TrainConfig) -> tuple[int, int] | None:
    """Positions of encoder and decoder in a sequence; None of a decoder, which reads the text itself."""
    if config.model.kind == "decoder":
        return None
    return sequence_lengths(config.objective, config.model.context_tokens)


def size(config: TrainConfig) -> dict[str, float]:
    """Parameters, and FLOPs of training on a token of text."""
    vocab_size = VOCAB_SIZE + config.objective.num_special_ids
    per_token = flops.flops_per_token(config.model, vocab_size, side_lengths(config))
    return {"num_params": flops.num_params(config.model, vocab_size), "flops_per_token": per_token}


def measure_ours(config: TrainConfig, shards: str) -> dict[str, Any]:
    """Tokens per second, MFU and the share of time spent waiting for data: medians over the steps."""
    with tempfile.TemporaryDirectory() as output:
        train(config, shards, output)
        rows = [json.loads(line) for line in (Path(output) / "timings.jsonl").read_text().splitlines()]
    rows = rows[WARM_UP_STEPS:]
    return {
        "tokens_per_second": statistics.median(row["tokens_per_second"] for row in rows),
        "mfu": None if rows[0]["mfu"] is None else statistics.median(row["mfu"] for row in rows),
        "loader_wait": sum(row["loader_seconds"] for row in rows) / sum(row["seconds"] for row in rows),
        "memory_bytes": rows[-1]["memory_bytes"],
    }


def measure_transformers(config: TrainConfig) -> dict[str, Any] | None:
    """transformers' model on sequences of the same lengths, compiled; None where it is not installed."""
    if importlib.util.find_spec("transformers") is None:
        return None
    lengths = side_lengths(config) or (config.model.context_tokens,)
    seconds = seconds_of_steps(config, VOCAB_SIZE + config.objective.num_special_ids, lengths)
    rate = config.tokens_per_step / statistics.median(seconds[WARM_UP_STEPS:])
    name = torch.cuda.get_device_name() if config.device == "cuda" else "cpu"
    mfu = flops.model_flops_utilization(rate * size(config)["flops_per_token"], name, config.dtype)
    return {"tokens_per_second": rate, "mfu": mfu}


def sweep(folder: Path, options: argparse.Namespace) -> None:
    """5 sizes x 3 D/N x 2 variants x 2 seeds in as many sittings as it takes; the variants differ in their noise."""
    shards = {}
    for name, repeat in (("clean", 0.6), ("noisy", 0.5)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        if not (folder / name / "manifest.json").exists():
            make_shards(folder / name, options.tokens, seed=1, repeat=repeat)
        shards[name] = str(folder / name)
    config = SweepConfig(
        output=str(folder / "sweep"),
        variant=[{"name": name, "shards": path} for name, path in shards.items()],
        validation=shards["clean"],
        budget_flops=options.sweep_flops,
        num_sizes=options.sweep_sizes,
        tokens_per_param=(5.0, 10.0, 20.0),
        seeds=2,
        max_epochs=100.0,
        context_tokens=min(512, options.context),
        parallel_runs=4 if options.device == "cuda" else 1,
        device=options.device,
        dtype=_dtype(options),
        evaluation={"max_tokens": 100_000},
    )
    plan = make_plan(config)
    started = time.monotonic()
    outcome = run_sweep(plan, config.output, parallel_runs=config.parallel_runs, max_seconds=60 * options.max_minutes)
    figures = {
        "runs": len(plan.runs),
        "sizes": sorted({run.num_params for run in plan.runs}),
        "finished_before": outcome.skipped,
        "finished_now": outcome.finished,
        "left": outcome.left,
        "failures": outcome.failures,
        "seconds": time.monotonic() - started,
        "flops": plan.flops,
    }
    print(f"{outcome.skipped + outcome.finished} of {len(plan.runs)} runs finished; {config.output}/runs.csv")
    _report("trainer_gpu_sweep", figures, None, None, options)


def _dtype(options: argparse.Namespace) -> Literal["bfloat16", "float32"]:
    """bfloat16 where there are units for it: most CPUs have none and take ten times as long as in float32."""
    return "bfloat16" if options.device == "cuda" else "float32"


def _report(
    name: str, figures: dict[str, Any], peer: str | None, ratio: float | None, options: argparse.Namespace
) -> None:
    device = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    report(name, {**figures, "device": device, "torch": torch.__version__}, peer, ratio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=sorted(SHAPES), default=["124M", "350M", "t5-base"])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--context", type=int, default=2_048, help="tokens of a sequence")
    parser.add_argument("--forward-tokens", type=int, default=32_768, help="tokens of one step and forward pass")
    parser.add_argument("--steps", type=int, default=30, help="measured steps")
    parser.add_argument("--tokens", type=int, default=20_000_000, help="of the made-up shards")
    parser.add_argument("--sweep", action="store_true", help="run the sweep instead")
    parser.add_argument("--sweep-folder", type=Path, default=Path("runs/trainer-gpu"), help="kept between sittings")
    parser.add_argument("--sweep-flops", type=float, default=3e18)
    parser.add_argument("--sweep-sizes", type=int, default=5)
    parser.add_argument("--max-minutes", type=float, default=8.0)
    options = parser.parse_args()
    if options.sweep:
        sweep(options.sweep_folder, options)
        return
    figures: dict[str, Any] = {}
    ratio = None
    with tempfile.TemporaryDirectory() as folder:
        shards = make_shards(Path(folder), options.tokens, seed=0, repeat=0.6)
        for shape in options.sizes:
            config = train_config(shape, options)
            ours, peer = measure_ours(config, shards), measure_transformers(config)
            figures[shape] = {**size(config), "ours": ours, "transformers": peer}
            print("\n  ".join([shape, *(f"{name}: {figure}" for name, figure in figures[shape].items())]))
            if peer is not None:
                ratio = ours["tokens_per_second"] / peer["tokens_per_second"]
    peer_name = None if ratio is None else "transformers' model of the last shape"
    _report("trainer_gpu", figures, peer_name, ratio, options)


if __name__ == "__main__":
    main()
