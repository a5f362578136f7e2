"""Input files: what the ``[[input]]`` tables of a config name, one unit of work per file.

A record is identified by its source (the ``[[input]]`` name), its file and its place in the file. The file is named by
its path relative to the part of the glob before the first wildcard, so that the same crawl has the same ids on any
machine and in any folder.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import Field

from pipeline import storage
from pipeline.archive.compression import compression_of
from pipeline.config import Config
from pipeline.errors import ConfigError

Format = Literal["warc", "arc", "jsonl", "parquet"]

ARCHIVE_FORMATS: frozenset[str] = frozenset({"warc", "arc"})
"""Formats that ``stages/read_warc.py`` reads; ``warc`` includes WET and WAT, and files of which nothing is known."""

_SUFFIXES: dict[str, Format] = {
    ".warc": "warc",
    ".wet": "warc",
    ".wat": "warc",
    ".arc": "arc",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSION_SUFFIXES = frozenset({".gz", ".zst", ".zstd", ".lz4"})
_HEAD_BYTES = 16


class TableColumns(Config):
    """Which columns (or JSON keys) of a table hold what.

    Args:
        text: the document's text.
        id: an id that is kept as ``warc_record_id``; null if there is none.
        url: the document's URL; null if there is none.
    """

    text: str = Field(default="text", min_length=1)
    id: str | None = Field(default=None, min_length=1)
    url: str | None = Field(default=None, min_length=1)


class InputConfig(Config):
    """One ``[[input]]`` table.

    Args:
        name: the source; part of every record's id.
        domain: the unit of mixing and held-out evaluation; the name if null.
        paths: paths, globs (``*``, ``?``, ``[…]``, ``**``) or URLs; relative ones count from the folder in which the
            run starts.
        exclude: globs of files to leave out, matched against the end of the relative path (``*.cdx``, ``old/*``).
        format: ``auto`` goes by the suffix, and by the first bytes where the suffix says nothing.
        columns: for jsonl and Parquet.
    """

    name: str = Field(min_length=1)
    domain: str | None = Field(default=None, min_length=1)
    paths: tuple[str, ...] = Field(min_length=1)
    exclude: tuple[str, ...] = ()
    format: Literal["auto"] | Format = "auto"
    columns: TableColumns = TableColumns()


class InputUnit(Config):
    """One input file; ``model_dump(mode="json")`` and back is the identity.

    Args:
        unit: names the part files of this unit: letters, digits, dots and dashes, unique within a run.
        source: name of the ``[[input]]``.
        domain: its domain.
        location: path or URL to open.
        warc_file: path relative to the input's root: the file's part of a record's identity.
        format: how to read it.
        size_bytes: of the file.
        columns: for tables.
    """

    unit: str
    source: str
    domain: str
    location: str
    warc_file: str
    format: Format
    size_bytes: int = Field(ge=0)
    columns: TableColumns = TableColumns()

    @property
    def is_archive(self) -> bool:
        """Whether ``stages/read_warc.py`` reads it; otherwise ``stages/read_table.py`` does."""
        return self.format in ARCHIVE_FORMATS

    def identity(self) -> dict[str, Any]:
        """What of the unit decides the rows read from it, beside the file's content: not where the file lies."""
        return self.model_dump(mode="json", include={"source", "domain", "warc_file", "format", "columns"})


def list_units(inputs: Sequence[InputConfig], base_dir: str) -> list[InputUnit]:
    """All files that ``inputs`` name, sorted by (source, file); the order of ``paths`` does not matter.

    Args:
        inputs: the ``[[input]]`` tables.
        base_dir: folder from which relative paths count.

    Raises:
        ConfigError: when a path matches nothing or is a folder, and when two files would have the same identity or
            one file would have two.
    """
    by_identity: dict[tuple[str, str], InputUnit] = {}
    by_location: dict[str, InputUnit] = {}
    for config in inputs:
        for pattern in config.paths:
            for unit in _units_of(config, pattern, base_dir):
                identity = (unit.source, unit.warc_file)
                same = by_identity.setdefault(identity, unit)
                if same.location != unit.location:
                    raise ConfigError(
                        f"two files are named {unit.warc_file!r} in source {unit.source!r}: {same.location} and "
                        f"{unit.location}; expected different names; give them different [[input]] names, or one glob "
                        f"from their common folder"
                    )
                twin = by_location.setdefault(unit.location, unit)
                if (twin.source, twin.warc_file) != identity:
                    raise ConfigError(
                        f"{unit.location} is named twice, as {twin.source}:{twin.warc_file} and as {unit.source}:"
                        f"{unit.warc_file}; expected each file once; narrow one of the paths or use exclude"
                    )
    return [by_identity[identity] for identity in sorted(by_identity)]


def _units_of(config: InputConfig, pattern: str, base_dir: str) -> list[InputUnit]:
    is_url = "://" in pattern
    root, names = storage.expand_glob(pattern if is_url else os.path.normpath(os.path.join(base_dir, pattern)))
    names = [name for name in names if not any(PurePosixPath(name).match(glob) for glob in config.exclude)]
    if not names:
        excluded = f" that exclude = {list(config.exclude)} leaves" if config.exclude else ""
        raise ConfigError(
            f"paths of [[input]] {config.name!r}: {pattern!r} matches no file{excluded} (from {base_dir}); expected at "
            f"least one; correct the path"
        )
    return [_unit(config, storage.join(root, name), name) for name in names]


def _unit(config: InputConfig, location: str, name: str) -> InputUnit:
    try:
        size_bytes = storage.size_bytes(location)
    except FileNotFoundError:
        raise ConfigError(
            f"paths of [[input]] {config.name!r}: {location!r} is a folder, expected files; name {location + '/**'!r}"
        ) from None
    digest = hashlib.blake2b(f"{config.name}\0{name}".encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", name.rpartition("/")[2])[:60].strip("-.")
    return InputUnit(
        unit=f"{readable}-{digest}",
        source=config.name,
        domain=config.domain or config.name,
        location=location,
        warc_file=name,
        format=_format_of(location, name) if config.format == "auto" else config.format,
        size_bytes=size_bytes,
        columns=config.columns,
    )


def _format_of(location: str, name: str) -> Format:
    """By the innermost suffix that is known (``x.warc.gz``, ``x.warc.wet.gz``), otherwise by the first bytes."""
    for suffix in reversed(PurePosixPath(name.lower()).suffixes):
        if suffix in _SUFFIXES:
            return _SUFFIXES[suffix]
        if suffix not in _COMPRESSION_SUFFIXES:
            break
    try:
        with storage.open_input(location) as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return "warc"  # its reader puts the file into quarantine, with the reason
    if compression_of(head) is None:
        if head.startswith(b"PAR1"):
            return "parquet"
        if head.lstrip().startswith(b"{"):
            return "jsonl"
    return "warc"
