"""Variants of a run are made from its signals: linked, not measured again; the base stays as it was."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from jobs.sweep_variants import build_variants
from pipeline import storage
from pipeline.errors import ConfigError
from trainer.sweep.sweep_config import SweepConfig

VARIANTS = """
[sweep]
output = "{output}"
base = "{base}"
budget_flops = 5e9
num_sizes = 1
tokens_per_param = [1.0]
seeds = 1
context_tokens = 64
num_threads = 1

[[sweep.variant]]
name = "kept"

[[sweep.variant]]
name = "rejected"
changes = {{ filters = {{ keep_rejected = true }} }}

[[sweep.variant]]
name = "other-tokens"
changes = {{ tokenizer = {{ vocab_size = 600, candidates = ["bpe"] }} }}
"""


def hashes(run: Path) -> dict[str, str]:
    return {name: storage.sha256_of(str(run / name)) for name in storage.list_files(str(run)) if "report" not in name}


def verdicts(run: Path) -> dict[str, str | None]:
    """What ended each page; None for those kept."""
    table = ds.dataset(str(run / "decisions"), format="parquet").to_table(columns=["doc_id", "verdict", "stage"])
    return {row["doc_id"]: None if row["verdict"] == "kept" else row["stage"] for row in table.to_pylist()}


@pytest.mark.slow
def test_variants_of_a_run(finished_run, demo, run_chaffinch):
    output = demo.folder / "sweep"
    config = demo.folder / "sweep.toml"
    config.write_text(VARIANTS.format(output=output, base=finished_run))
    before = hashes(finished_run)
    run_chaffinch("scaling", "run", str(config))
    assert hashes(finished_run) == before, "the base is as it was"
    rejected, other = output / "data" / "rejected", output / "data" / "other-tokens"

    signals = next((finished_run / "signals").glob("part-*.parquet")).name
    assert os.path.samefile(finished_run / "signals" / signals, rejected / "signals" / signals)
    base, turned = verdicts(finished_run), verdicts(rejected)
    kept = {doc_id for doc_id, stage in turned.items() if stage is None}
    assert kept and not kept & {doc_id for doc_id, stage in base.items() if stage is None}
    assert {base[doc_id] for doc_id in kept} <= {"gopher_repetition", "gopher_quality", "clean_lines"}
    assert {turned[doc_id] for doc_id, stage in base.items() if stage is None} == {"keep_rejected"}

    tokenizer = "tokenizer/tokenizer.json"
    assert (rejected / tokenizer).read_bytes() == (finished_run / tokenizer).read_bytes()
    assert (other / tokenizer).read_bytes() != (finished_run / tokenizer).read_bytes()
    manifests = [json.loads((run / "shards/manifest.json").read_text()) for run in (finished_run, other)]
    assert manifests[1]["vocab_size"] == 600 != manifests[0]["vocab_size"]
    held_out = json.loads((output / "data/other-tokens-held-out/shards/manifest.json").read_text())
    assert held_out["tokenizer_sha256"] == manifests[1]["tokenizer_sha256"]
    assert held_out["vocab_size"] == 600

    rows = (output / "runs.csv").read_text().splitlines()
    assert {line.split(",")[0] for line in rows[1:]} == {"kept", "rejected", "other-tokens"}
    again = run_chaffinch("scaling", "plan", str(config))
    assert "start Spark" not in again.stderr + again.stdout, "made once"


def test_a_base_that_is_no_run_is_an_error(tmp_path):
    config = SweepConfig(output=str(tmp_path), base=str(tmp_path / "none"), budget_flops=1, variant=[{"name": "a"}])
    with pytest.raises(ConfigError, match=r"has no finished signals/; expected the local folder of a run"):
        build_variants(config)


def test_a_variant_is_made_in_one_way():
    with pytest.raises(ValueError, match="has shards and changes; expected finished shards, or changes"):
        SweepConfig(
            output="x",
            base="y",
            budget_flops=1,
            variant=[{"name": "a", "shards": "b", "changes": {"mixture": {"alpha": 1.0}}}],
        )
    with pytest.raises(ValueError, match="variant 'a' has no shards, and the sweep no base to make them from"):
        SweepConfig(output="x", budget_flops=1, variant=[{"name": "a"}])
