"""Manifests: what makes a folder of a run finished, and how a later command knows that it still holds.

A folder is committed by its ``_manifest.json``, written last. A folder without one is not finished: whoever
resumes the run removes it and does it again. A folder whose manifest carries another fingerprint than the one
expected now was made with another config, by another version of the stage, or from other input: it is done again too.

The fingerprint covers stage name, version and whole config, and the fingerprints of everything upstream, so that
one changed key invalidates exactly the folders that depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from pipeline import storage
from pipeline.config import Config
from pipeline.errors import ShardError
from pipeline.hashing import fingerprint

MANIFEST_NAME = "_manifest.json"

Identity = dict[str, Any]
"""What ``Stage.identity()`` returns."""


class FileEntry(Config):
    """One file of a folder: ``path`` relative to it, size, SHA-256, and rows if it is a table."""

    path: str
    size_bytes: int
    sha256: str
    num_rows: int | None = None


class Manifest(Config):
    """Contents of ``_manifest.json``."""

    name: str
    stages: tuple[dict[str, Any], ...]
    upstream: dict[str, str]
    fingerprint: str
    num_rows: int | None = None
    column_types: dict[str, str] | None = None
    files: tuple[FileEntry, ...]
    details: dict[str, Any] = {}


def fingerprint_of(identities: Sequence[Identity], upstream: dict[str, str]) -> str:
    """Fingerprint of a folder.

    Args:
        identities: ``Stage.identity()`` (name, version, whole config) of each stage that makes the folder, in order.
        upstream: fingerprint of each folder it is made from, by name.
    """
    return fingerprint({"stages": list(identities), "upstream": upstream})


def file_entry(folder: str, path: str, num_rows: int | None = None) -> FileEntry:
    """Measure a file that lies in ``folder``."""
    location = storage.join(folder, path)
    return FileEntry(
        path=path,
        size_bytes=storage.size_bytes(location),
        sha256=storage.sha256_of(location),
        num_rows=num_rows,
    )


def commit(
    folder: str,
    *,
    name: str,
    identities: Sequence[Identity],
    upstream: dict[str, str],
    files: Iterable[FileEntry],
    schema: pa.Schema | None = None,
    details: dict[str, Any] | None = None,
) -> Manifest:
    """Declare ``folder`` finished by writing its manifest."""
    files = tuple(sorted(files, key=lambda entry: entry.path))
    counted = [entry.num_rows for entry in files if entry.num_rows is not None]
    manifest = Manifest(
        name=name,
        stages=tuple(identities),
        upstream=upstream,
        fingerprint=fingerprint_of(identities, upstream),
        num_rows=sum(counted) if counted or schema is not None else None,
        column_types=None if schema is None else {field.name: str(field.type) for field in schema},
        files=files,
        details=details or {},
    )
    storage.write_json(storage.join(folder, MANIFEST_NAME), manifest.model_dump(mode="json"))
    return manifest


def read_manifest(folder: str) -> Manifest:
    """The manifest of a finished folder.

    Raises:
        ShardError: if the folder is not finished or its manifest does not parse.
    """
    location = storage.join(folder, MANIFEST_NAME)
    if not storage.exists(location):
        raise ShardError(
            f"{folder} has no {MANIFEST_NAME}: it is not finished; run `chaffinch run` on its config first"
        )
    try:
        return Manifest.model_validate(storage.read_json(location))
    except ValueError as error:
        raise ShardError(f"{location} does not parse ({error}); delete {folder} and run again") from None


def finished(folder: str, expected_fingerprint: str) -> Manifest | None:
    """The folder's manifest, if it is committed, made by ``expected_fingerprint``, and its files have their sizes."""
    if not storage.exists(storage.join(folder, MANIFEST_NAME)):
        return None
    try:
        manifest = read_manifest(folder)
    except ShardError:
        return None  # damaged manifest: the folder is redone
    if manifest.fingerprint != expected_fingerprint:
        return None
    return manifest if files_are_whole(folder, manifest.files) else None


def files_are_whole(folder: str, files: Iterable[FileEntry]) -> bool:
    """Whether each file is there with its recorded size (hashes are for ``verify``: they cost a full read)."""
    for entry in files:
        try:
            if storage.size_bytes(storage.join(folder, entry.path)) != entry.size_bytes:
                return False
        except FileNotFoundError:
            return False
    return True
