"""Same input, same bytes: partitions, input order, PYTHONHASHSEED, and a driver killed again and again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from pipeline import storage

ROOT = Path(__file__).resolve().parents[2]


def shard_hashes(run: Path) -> dict[str, str]:
    names = [name for name in storage.list_files(str(run / "shards")) if not name.startswith("_")]
    return {name: storage.sha256_of(str(run / "shards" / name)) for name in names}


def decision_rows(run: Path) -> list[dict]:
    return ds.dataset(str(run / "decisions"), format="parquet").to_table().sort_by("doc_id").to_pylist()


def table_hashes(run: Path) -> dict[str, str]:
    """Every data file of the run that no execution detail may change."""
    kept = ("signals/", "documents/", "quarantine/", "decisions/", "clusters/", "corpus/", "tokenizer/", "shards/")
    names = [name for name in storage.list_files(str(run)) if name.startswith(kept) and "/_" not in name]
    return {name: storage.sha256_of(str(run / name)) for name in [*names, "ledger.json"]}


@pytest.mark.parametrize(
    ("partitions", "reverse", "hash_seed"),
    [
        pytest.param(1, True, "1", marks=pytest.mark.slow),
        (3, True, "2"),
        pytest.param(8, False, "3", marks=pytest.mark.slow),
    ],
    ids=["1", "3", "8"],
)
def test_partitions_input_order_and_hash_seed_do_not_show(
    finished_run, demo, run_chaffinch, partitions, reverse, hash_seed
):
    output = demo.folder / f"partitions-{partitions}"
    config = demo.config(output, partitions=partitions, reverse=reverse)
    run_chaffinch("run", str(config), "--until", "ledger", env={"PYTHONHASHSEED": hash_seed})
    assert shard_hashes(output) == shard_hashes(finished_run) != {}
    assert decision_rows(output) == decision_rows(finished_run) != []
    assert table_hashes(output) == table_hashes(finished_run)


@pytest.mark.slow
def test_splits_of_archives_do_not_show(finished_run, demo, run_chaffinch):
    output = demo.folder / "splits"
    config = demo.config(output)
    config.write_text(config.read_text() + "\n[read]\nsplit_bytes = 100_000\n")
    run_chaffinch("run", str(config), "--until", "ledger")
    names = [path.name for path in (output / "documents").glob("part-*.parquet")]
    assert sum("-split-" in name for name in names) > 10
    hashes = shard_hashes(output)
    unsplit = shard_hashes(finished_run)
    assert hashes.pop("manifest.json") != unsplit.pop("manifest.json")  # it names the run's fingerprint
    assert hashes == unsplit != {}
    assert (output / "ledger.json").read_bytes() == (finished_run / "ledger.json").read_bytes()
    for table in ("documents", "signals", "quarantine", "decisions"):
        assert rows_in_order(output / table) == rows_in_order(finished_run / table) != []


def rows_in_order(folder: Path) -> list[dict]:
    """Rows of all part files in the order of their names, without where they lie in these files."""
    tables = [pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))]
    placed = [name for name in ("unit", "page_index", "row_index") if name in tables[0].column_names]
    # NaN, which is unlike itself, as text
    return [
        {name: str(value) for name, value in row.items()}
        for table in tables
        for row in table.drop_columns(placed).to_pylist()
    ]


def kill_when(config: Path, appears: Path) -> None:
    """Start the run, and kill its driver with SIGKILL as soon as ``appears`` exists."""
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", "run", str(config)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 240
    while not appears.exists():
        assert process.poll() is None, f"the run ended before {appears} appeared"
        assert time.monotonic() < deadline, f"{appears} did not appear in time"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_a_driver_killed_in_three_stages_leaves_the_same_bytes(finished_run, demo, run_chaffinch):
    output = demo.folder / "killed"
    config = demo.config(output)
    kill_when(config, output / "signals/_groups/group-00000.json")  # one group committed, others in flight
    assert not (output / "signals/_manifest.json").exists()
    kill_when(config, output / "corpus/_temporary")
    assert (output / "decisions/_manifest.json").exists() and not (output / "corpus/_manifest.json").exists()
    kill_when(config, output / "training/checkpoint")
    assert (output / "shards/_manifest.json").exists() and not (output / "training/_manifest.json").exists()
    run_chaffinch("run", str(config))
    assert table_hashes(output) == table_hashes(finished_run)
    for name in ("metrics.jsonl", "evaluation.json"):
        assert (output / "training" / name).read_bytes() == (finished_run / "training" / name).read_bytes()
