"""The trainer on a GPU: MFU at 124M and 350M parameters beside transformers' Llama, loader wait, and a resumable sweep.

    python benchmarks/trainer_gpu.py                           # context 2,048, bfloat16, document masking
    python benchmarks/trainer_gpu.py --sweep --max-minutes 8   # 5 sizes x 3 D/N x 2 variants x 2 seeds; again to go on
    python benchmarks/trainer_gpu.py --sizes tiny --device cpu --steps 3   # that it works, where there is no GPU

Needs torch, numpy, pyarrow, pydantic and tokenizers alone. transformers, where installed, is trained in the same run
with the same shape, compiled, on sequences of the same length (without document masks, so it does less). MFU is that
of ``trainer/flops.py`` for both: FLOPs per token times tokens per second over the device's dense bfloat16 peak.
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
from typing import Any

import numpy as np
import pyarrow as pa
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from measure import report

from pipeline.shard_manifest import DOCS_SCHEMA, ShardEntry, ShardManifest, Share, write_docs
from pipeline.token_shard import dtype_for_vocab, write_shard
from trainer import flops
from trainer.config import TrainConfig
from trainer.model_config import ModelConfig
from trainer.sweep.plan import make_plan
from trainer.sweep.queue import run_sweep
from trainer.sweep.sweep_config import SweepConfig
from trainer.train import train

VOCAB_SIZE = 50_304
SHAPES = {
    "tiny": {"num_layers": 2, "hidden_size": 64, "num_heads": 2},
    "124M": {"num_layers": 12, "hidden_size": 768, "num_heads": 12},
    "350M": {"num_layers": 24, "hidden_size": 1024, "num_heads": 16},
}
WARM_UP_STEPS = 5
"""Steps at the start that compile and allocate, and are left out of the medians."""


def make_shards(folder: Path, num_tokens: int, *, seed: int, repeat: float) -> str:
    """Shards of made-up documents of log-normal length whose ids follow Zipf's law; ``repeat``: how predictable."""
    rng = np.random.default_rng(seed)
    entries = []
    for split, wanted in (("train", num_tokens), ("validation", num_tokens // 50)):
        documents, total = [], 0
        while total < wanted:
            length = int(np.clip(rng.lognormal(6.3, 1.0), 16, 8_000))
            ids = np.minimum(rng.zipf(1.3, length), VOCAB_SIZE - 1)
            same = rng.random(length) < repeat
            ids[1:][same[1:]] = (ids[:-1][same[1:]] * 31 + 7) % (VOCAB_SIZE - 1) + 1
            documents.append(np.append(ids, 0))
            total += length + 1
        name = "train-00000" if split == "train" else "validation-web"
        info = write_shard(str(folder / name), documents, dtype_for_vocab(VOCAB_SIZE))
        rows = [
            {"doc_id": f"{name}-{i}", "lang": "eng_Latn", "domain": "web", "num_tokens": len(ids), "epoch": 0}
            | {"num_bytes": 4 * (len(ids) - 1)}
            for i, ids in enumerate(documents)
        ]
        num_bytes = sum(row["num_bytes"] for row in rows)
        share = Share(tokens=info.num_tokens, documents=len(documents), bytes=num_bytes)
        entries.append(
            ShardEntry(
                name=name,
                split=split,
                domain=None if split == "train" else "web",
                num_tokens=info.num_tokens,
                num_documents=len(documents),
                num_bytes=num_bytes,
                bin_sha256=info.bin_sha256,
                idx_sha256=info.idx_sha256,
                docs_sha256=write_docs(str(folder / name), pa.Table.from_pylist(rows, DOCS_SCHEMA)),
                per_language={"eng_Latn": share},
                per_domain={"web": share},
            )
        )
    manifest = ShardManifest(
        tokenizer_sha256="0" * 64,
        vocab_size=VOCAB_SIZE,
        dtype=dtype_for_vocab(VOCAB_SIZE).name,
        eos_token_id=0,
        seed=seed,
        run_fingerprint="benchmark",
        shards=tuple(entries),
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json(indent=2))
    return str(folder)


def train_config(shape: str, options: argparse.Namespace) -> TrainConfig:
    """One measured training."""
    model = ModelConfig(**SHAPES[shape], context_tokens=options.context)
    sequences = max(1, options.forward_tokens // options.context)
    return TrainConfig(
        model=model,
        optimizer={"warmup_steps": 0, "learning_rate": 1e-4},
        tokens_per_step=sequences * options.context,
        forward_tokens=sequences * options.context,
        num_steps=options.steps + WARM_UP_STEPS,
        checkpoint_every_steps=options.steps + WARM_UP_STEPS,
        device=options.device,
        dtype="bfloat16",
        compile=options.device == "cuda",
        document_masking=True,
    )


def measure_ours(shape: str, shards: str, options: argparse.Namespace) -> dict[str, Any]:
    """Tokens per second, MFU and the share of time spent waiting for data: medians over the steps."""
    config = train_config(shape, options)
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


def measure_llama(shape: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """The same shape as transformers' LlamaForCausalLM, compiled; None where transformers is not installed."""
    if importlib.util.find_spec("transformers") is None:
        return None
    from transformers import LlamaConfig, LlamaForCausalLM

    config = train_config(shape, options)
    llama = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB_SIZE,
            hidden_size=config.model.hidden_size,
            intermediate_size=config.model.ffn_size,
            num_hidden_layers=config.model.num_layers,
            num_attention_heads=config.model.num_heads,
            max_position_embeddings=options.context,
            tie_word_embeddings=False,
            use_cache=False,
        )
    ).to(options.device)
    model = torch.compile(llama) if options.device == "cuda" else llama
    optimizer = torch.optim.AdamW(llama.parameters(), lr=1e-4, fused=True)
    tokens = torch.randint(0, VOCAB_SIZE, (config.sequences_per_step, options.context), device=options.device)
    seconds = []
    for _ in range(options.steps + WARM_UP_STEPS):
        started = time.monotonic()
        with torch.autocast(options.device, dtype=torch.bfloat16):
            loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if options.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.monotonic() - started)
    rate = tokens.numel() / statistics.median(seconds[WARM_UP_STEPS:])
    name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    per_token = flops.flops_per_token(config.model, VOCAB_SIZE)
    return {"tokens_per_second": rate, "mfu": flops.model_flops_utilization(rate * per_token, name, "bfloat16")}


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
        dtype="bfloat16",
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


def _report(
    name: str, figures: dict[str, Any], peer: str | None, ratio: float | None, options: argparse.Namespace
) -> None:
    device = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    report(name, {**figures, "device": device, "torch": torch.__version__}, peer, ratio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=sorted(SHAPES), default=["124M", "350M"])
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
            ours, peer = measure_ours(shape, shards, options), measure_llama(shape, options)
            figures[shape] = {"ours": ours, "llama": peer}
            print(f"{shape}: ours {ours}\n{' ' * len(shape)}  Llama {peer}")
            if peer is not None:
                ratio = ours["tokens_per_second"] / peer["tokens_per_second"]
    _report("trainer_gpu", figures, None if ratio is None else "transformers LlamaForCausalLM", ratio, options)


if __name__ == "__main__":
    main()
