"""The store: what deduplication must know of finished runs, so that no text of theirs is read again.

    <store>/<entry>/_manifest.json
    <store>/<entry>/<first 16 digits of the fingerprint>/part-00000.parquet ...

An entry is what one run adds. It has a row for each document that a later one can be a copy of: all that the rules let
through but for exact copies within their dump (the one that stands for them is there). Rows hold the text hash, the
signature and its bands, the columns by which survivors are chosen, and the document that stands for it in the end. No
text, no URL.

The manifest is written last and replaced atomically, and a repeated run writes its files beside the old ones before it
does so: an entry is the old one or the new one at any moment, whatever dies. Entries are never changed otherwise. Their
order is that of their positions, given once; a run reads the entries before its own.

About 650 bytes a document at 112 permutations and 14 bands, nearly all of it hashes, which do not compress.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline import storage
from pipeline.errors import ConfigError, ShardError
from pipeline.manifest import MANIFEST_NAME, Manifest, files_are_whole, read_manifest

ENTRY_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

STORED = pa.schema(
    [
        ("doc_id", pa.string()),
        ("source", pa.string()),
        ("dump", pa.string()),
        ("kept_doc_id", pa.string()),  # the document that deduplication kept for it: its own id if it is no copy
        ("text_hash", pa.binary()),
        ("signature", pa.binary()),
        ("bands", pa.list_(pa.int64())),
    ]
)
"""Columns of every entry; those of the survivor order follow."""

OLDER_DOCUMENT = pa.schema(
    [
        ("doc_id", pa.string()),
        ("kept_doc_id", pa.string()),  # the document that stands for it
        ("source", pa.string()),
        ("dump", pa.string()),
        ("entry", pa.string()),  # of the store: names the run
    ]
)
"""``older_documents/``: documents of the store that documents of this run are copies of, and those that stand for them
(if they are in scope)."""


@dataclass(frozen=True)
class Entry:
    """A finished entry: what the run ``name`` added."""

    name: str
    folder: str
    manifest: Manifest

    @property
    def position(self) -> int:
        """Place among the entries, from 0; older ones first."""
        position: int = self.manifest.details["position"]
        return position

    @property
    def dumps(self) -> tuple[str, ...]:
        """Its dumps, oldest first."""
        return tuple(self.manifest.details["dumps"])

    @property
    def older(self) -> dict[str, str]:
        """Fingerprints of the entries that it was deduplicated against, by name."""
        older: dict[str, str] = self.manifest.details["older"]
        return older

    @property
    def inputs_fingerprint(self) -> str:
        """Fingerprint of the input files of its run."""
        return self.manifest.upstream["inputs"]

    @property
    def minhash(self) -> dict[str, Any]:
        """What its signatures and bands were made with."""
        minhash: dict[str, Any] = self.manifest.details["minhash"]
        return minhash


def entries(store: str) -> tuple[Entry, ...]:
    """The finished entries of a store, oldest first; none if there is no such folder: the first run makes it.

    Raises:
        ShardError: if a manifest does not parse.
    """
    parts = [path.split("/") for path in storage.list_files(store)]
    names = [path[0] for path in parts if path[1:] == [MANIFEST_NAME]]
    folders = [storage.join(store, name) for name in names]
    found = [Entry(name, folder, read_manifest(folder)) for name, folder in zip(names, folders, strict=True)]
    return tuple(sorted(found, key=lambda entry: (entry.position, entry.name)))


def older_entries(store: str, own_name: str | None) -> tuple[Entry, ...]:
    """The entries that a run is deduplicated against: all before its own."""
    found = entries(store)
    own = next((entry for entry in found if entry.name == own_name), None)
    return found if own is None else tuple(entry for entry in found if entry.position < own.position)


def position_of(store: str, name: str) -> int:
    """The position of the entry ``name``: the one that it has, else the next free one."""
    found = entries(store)
    own = [entry.position for entry in found if entry.name == name]
    return own[0] if own else max((entry.position + 1 for entry in found), default=0)


def check_entries(found: Iterable[Entry], *, minhash: dict[str, Any], columns: Sequence[str]) -> None:
    """Whether the documents of entries can be compared with those of a run.

    Args:
        minhash: what the run's signatures and bands are made with.
        columns: those of its survivor orders.

    Raises:
        ConfigError: naming the first entry with other signatures, or without one of the columns.
    """
    for entry in found:
        if entry.minhash != minhash:
            key = _first_difference(entry.minhash, minhash)
            raise ConfigError(
                f"entry {entry.name!r} of the store ({entry.folder}) was made with {key}, so its signatures cannot be "
                f"compared with this run's; expected the same; set [dedup.minhash] to the entry's, or name another "
                f"path in [dedup.store]"
            )
        has = entry.manifest.column_types or {}
        lacking = [name for name in columns if name not in has]
        if lacking:
            known = ", ".join(sorted(set(has) - set(STORED.names))) or "none"
            raise ConfigError(
                f"entry {entry.name!r} of the store ({entry.folder}) has no column {lacking[0]!r}, which "
                f"survivor_order names; expected one of those that it has ({known}); change survivor_order, or run "
                f"{entry.name!r} again with it"
            )


def _first_difference(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """The first of the facts that differs, with both values."""
    name = next(name for name in (*ours, *theirs) if theirs.get(name) != ours.get(name))
    return f"{name} = {theirs.get(name)!r} where this run has {ours.get(name)!r}"


def describe(entry: Entry) -> dict[str, Any]:
    """What there is to say of an entry, JSON-ready."""
    return {
        "position": entry.position,
        "name": entry.name,
        "dumps": list(entry.dumps),
        "num_documents": entry.manifest.num_rows or 0,
        "size_bytes": sum(file.size_bytes for file in entry.manifest.files),
        "fingerprint": entry.manifest.fingerprint,
        "minhash": entry.minhash,
        "older": entry.older,
    }


def faults(store: str) -> list[str]:
    """What is wrong with a store, a line each: unfinished or damaged entries, and such as were not made one after the
    other (a run that read another content of an earlier entry than there is now)."""
    known: dict[str, str] = {}
    found = []
    with_manifest = entries(store)
    folders = dict.fromkeys(path.partition("/")[0] for path in storage.list_files(store) if "/" in path)
    for name in sorted(set(folders) - {entry.name for entry in with_manifest}):
        found.append(f"{name}: not finished; run it again, or delete {storage.join(store, name)}")
    for entry in with_manifest:
        if not files_are_whole(entry.folder, entry.manifest.files):
            found.append(f"{entry.name}: files are missing or have other sizes; run it again")
        for older, read in entry.older.items():
            if known.get(older) != read:
                found.append(f"{entry.name}: was made against another {older} than there is now; run it again")
        found += [f"{entry.name}: was made without {name}, which came before" for name in _unseen(entry, known)]
        known[entry.name] = entry.manifest.fingerprint
    return found


def _unseen(entry: Entry, known: dict[str, str]) -> list[str]:
    """Entries before this one that its run did not see, though it reads the store whole."""
    if entry.manifest.details["scope"] != "global" or not entry.manifest.details["read"]:
        return []
    return [name for name in known if name not in entry.older]


def verify_files(entry: Entry) -> None:
    """
    Raises:
        ShardError: if a file of the entry has not the hash that its manifest says.
    """
    for file in entry.manifest.files:
        if storage.sha256_of(storage.join(entry.folder, file.path)) != file.sha256:
            raise ShardError(
                f"{storage.join(entry.folder, file.path)} has another SHA-256 than its manifest says; it is damaged; "
                f"run {entry.name!r} again"
            )
