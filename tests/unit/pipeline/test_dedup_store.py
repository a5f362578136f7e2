"""The store on disk: order of entries, what a run reads of it, and what is refused or reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import dedup_store
from pipeline.dedup_store import STORED, check_entries, entries, faults, older_entries, position_of, verify_files
from pipeline.errors import ConfigError, ShardError
from pipeline.manifest import commit, file_entry

MINHASH = {"version of minhash_signatures": "3", "num_perm": 112, "num_bands": 14, "seed": 1}
SCHEMA = pa.schema([*STORED, ("num_bytes", pa.int64())])


def write(store: Path, name: str, content: str = "", **details: Any) -> str:
    """An entry of one empty part file; gives its fingerprint."""
    folder = store / name
    (folder / "part").mkdir(parents=True, exist_ok=True)
    pq.write_table(SCHEMA.empty_table(), folder / "part/part-00000.parquet")
    manifest = commit(
        str(folder),
        name=name,
        identities=[{"stage": content}],
        upstream={"inputs": f"files of {name}"},
        files=[file_entry(str(folder), "part/part-00000.parquet", 0)],
        schema=SCHEMA,
        details={
            "position": position_of(str(store), name),
            "dumps": [name],
            "minhash": MINHASH,
            "scope": "global",
            "read": True,
            "older": {entry.name: entry.manifest.fingerprint for entry in older_entries(str(store), name)},
            **details,
        },
    )
    return manifest.fingerprint


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for name in ("winter", "spring", "autumn"):  # not in the order of their names
        write(tmp_path / "store", name)
    return tmp_path / "store"


def test_entries_stand_in_the_order_in_which_they_came(store: Path) -> None:
    assert [(entry.name, entry.position) for entry in entries(str(store))] == [
        ("winter", 0),
        ("spring", 1),
        ("autumn", 2),
    ]
    assert entries(str(store / "nowhere")) == ()
    assert faults(str(store)) == []


@pytest.mark.parametrize(
    ("own_name", "read"),
    [("winter", []), ("autumn", ["winter", "spring"]), ("next", ["winter", "spring", "autumn"]), (None, None)],
)
def test_a_run_reads_what_is_before_its_own(store: Path, own_name: str | None, read: list[str] | None) -> None:
    expected = ["winter", "spring", "autumn"] if read is None else read
    assert [entry.name for entry in older_entries(str(store), own_name)] == expected


def test_an_entry_without_a_manifest_is_none(store: Path) -> None:
    (store / "spring" / "_manifest.json").unlink()
    assert [entry.name for entry in entries(str(store))] == ["winter", "autumn"]
    assert faults(str(store)) == [
        f"spring: not finished; run it again, or delete {store}/spring",
        "autumn: was made against another spring than there is now; run it again",
    ]


def test_an_entry_that_was_replaced_is_told_to_those_made_against_it(store: Path) -> None:
    write(store, "winter", "another config")
    assert [entry.position for entry in entries(str(store))] == [0, 1, 2]
    assert faults(str(store)) == [
        f"{name}: was made against another winter than there is now; run it again" for name in ("spring", "autumn")
    ]


def test_runs_that_did_not_see_each_other_are_told(store: Path) -> None:
    write(store, "at-the-same-time", older={})
    assert faults(str(store)) == [
        f"at-the-same-time: was made without {name}, which came before" for name in ("winter", "spring", "autumn")
    ]
    write(store, "at-the-same-time", older={}, read=False)
    assert faults(str(store)) == []


def test_lost_and_damaged_files(store: Path) -> None:
    part = store / "winter/part/part-00000.parquet"
    content = part.read_bytes()
    part.write_bytes(content[:-1] + b"X")
    with pytest.raises(ShardError, match=r"part-00000.parquet has another SHA-256 than its manifest says"):
        verify_files(entries(str(store))[0])
    part.write_bytes(content[:-1])
    assert faults(str(store)) == ["winter: files are missing or have other sizes; run it again"]


@pytest.mark.parametrize(
    ("minhash", "message"),
    [
        ({**MINHASH, "num_perm": 128}, "was made with num_perm = 112 where this run has 128, so its signatures cannot"),
        ({**MINHASH, "version of minhash_signatures": "4"}, "version of minhash_signatures = '3' where this run has"),
    ],
)
def test_other_signatures_are_refused(store: Path, minhash: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        check_entries(entries(str(store)), minhash=minhash, columns=[])
    assert message in str(refusal.value)
    assert "entry 'winter' of the store" in str(refusal.value)


def test_a_column_that_no_entry_has_is_refused(store: Path) -> None:
    check_entries(entries(str(store)), minhash=MINHASH, columns=["num_bytes"])
    with pytest.raises(ConfigError, match=r"has no column 'lang_score', .* expected one of those that it has \(num_by"):
        check_entries(entries(str(store)), minhash=MINHASH, columns=["num_bytes", "lang_score"])


def test_what_is_told_of_an_entry(store: Path) -> None:
    told = dedup_store.describe(entries(str(store))[1])
    assert (told["position"], told["name"], told["dumps"], told["num_documents"]) == (1, "spring", ["spring"], 0)
    assert told["size_bytes"] > 0 and list(told["older"]) == ["winter"]
