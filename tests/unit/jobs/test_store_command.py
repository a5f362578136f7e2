"""``chaffinch store``: what it prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from jobs.cli import main
from pipeline.dedup_store import STORED, older_entries
from pipeline.manifest import commit, file_entry


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two entries, the second made against the first."""
    path = tmp_path / "store"
    for position, name in enumerate(("winter", "spring")):
        folder = path / name
        (folder / "part").mkdir(parents=True)
        rows = pa.table({field.name: pa.nulls(position + 1, field.type) for field in STORED})
        pq.write_table(rows, folder / "part/part-00000.parquet")
        commit(
            str(folder),
            name=name,
            identities=[],
            upstream={"inputs": name},
            files=[file_entry(str(folder), "part/part-00000.parquet", position + 1)],
            schema=STORED,
            details={
                "position": position,
                "dumps": [name],
                "minhash": {"seed": 1},
                "scope": "global",
                "read": True,
                "older": {entry.name: entry.manifest.fingerprint for entry in older_entries(str(path), name)},
            },
        )
    return path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["store", *arguments])


def test_list(store: Path) -> None:
    lines = invoke("list", str(store)).stdout.splitlines()
    assert [line.split()[:5] for line in lines] == [
        ["0", "winter", "winter", "1", "documents,"],
        ["1", "spring", "spring", "2", "documents,"],
    ]
    assert [line.rpartition("older: ")[2] for line in lines] == ["none", "winter"]
    told = json.loads(invoke("list", str(store), "--json").stdout)
    assert [(entry["name"], entry["num_documents"]) for entry in told] == [("winter", 1), ("spring", 2)]


def test_check(store: Path) -> None:
    result = invoke("check", str(store), "--hashes")
    assert (result.exit_code, result.stdout) == (0, "2 entries, none at fault\n")
    part = store / "spring/part/part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-1] + b"X")
    assert invoke("check", str(store)).exit_code == 0
    result = invoke("check", str(store), "--hashes")
    assert result.exit_code == 1 and "has another SHA-256 than its manifest says" in result.stderr
    (store / "winter/_manifest.json").unlink()
    result = invoke("check", str(store))
    assert result.exit_code == 1
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == ["winter", "spring"]


def test_a_path_without_entries_is_refused(tmp_path: Path) -> None:
    for command in ("list", "check"):
        result = invoke(command, str(tmp_path))
        assert result.exit_code == 2
        assert result.stderr == (
            f"chaffinch: no entries in {tmp_path}; expected the path of a [dedup.store] that a run wrote; correct it\n"
        )
