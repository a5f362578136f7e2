"""Evaluation sets as they are published, and the passages of theirs that must not be trained on.

A set is a file or several: JSON lines, JSON, CSV, Parquet, each plain or in gzip or zstd. Its *items* are lines, rows,
or the entries of the lists that ``items`` names. Each field to be checked gives one *passage*, or several where
it holds a list, such as the choices of a question: n-grams never reach from one passage into another.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, field_validator

from pipeline import storage
from pipeline.archive.lines import read_whole
from pipeline.config import Config
from pipeline.errors import ConfigError

Format = Literal["jsonl", "json", "csv", "parquet"]

PASSAGE = pa.schema(
    [
        ("set", pa.string()),
        ("item_index", pa.int64()),  # from 0 in the order of files (by name) and lines
        ("field", pa.string()),
        ("part_index", pa.int32()),  # which of the field's strings, from 0
        ("text", pa.string()),
    ]
)
"""Passages of all sets, in the order of the config, items, fields and parts."""

_FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
}
_COMPRESSIONS = (".gz", ".zst")
_MAX_FILE_BYTES = 4 << 30
_SHOWN_FIELDS = 20


class EvaluationSet(Config):
    """One ``[[decontaminate.set]]``.

    Args:
        name: what reports call it.
        path: path, URL, or a glob over several files.
        fields: what is checked of each item; ``choices.text`` reaches into tables, and through lists.
        items: where the items are inside a JSON file, as ``data.paragraphs``; unset for lines, rows and JSON arrays.
        format: of the files; told by their names if unset.
        sha256: of the file (of several: of their digests in hexadecimal, one a line); found out and entered when the
            stage is made if unset.
    """

    name: str = Field(min_length=1)
    path: str = Field(min_length=1)
    fields: tuple[str, ...] = Field(min_length=1)
    items: str | None = None
    format: Format | None = None
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")

    @field_validator("fields")
    @classmethod
    def _fields_are_distinct(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(fields)) < len(fields) or not all(all(field.split(".")) for field in fields):
            raise ValueError("expected distinct names, with a key on each side of a dot; mend them")
        return fields


def with_digest(entry: EvaluationSet) -> EvaluationSet:
    """``entry`` with the sha256 of its files.

    Raises:
        ConfigError: if there is no such file, or it is not the one that ``sha256`` names.
    """
    digests = [storage.sha256_of(location) for location in _files(entry)]
    found = digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
    if entry.sha256 not in (None, found):
        raise ConfigError(
            f"{entry.path} has sha256 {found}, expected {entry.sha256} ([[decontaminate.set]] {entry.name!r}); get the "
            f"right file, or enter its digest"
        )
    return entry.model_copy(update={"sha256": found})


def read_passages(sets: tuple[EvaluationSet, ...]) -> pa.Table:
    """All passages of ``sets``; ``PASSAGE``.

    Raises:
        ConfigError: if a file is missing or is not what its format says, or if no item has one of the fields.
    """
    columns: dict[str, list[Any]] = {name: [] for name in PASSAGE.names}
    for entry in sets:
        missing = set(entry.fields)
        keys: dict[str, None] = {}
        item_index = -1
        for item_index, item in enumerate(_items(entry)):
            keys.update(dict.fromkeys(list(item)[:_SHOWN_FIELDS] if isinstance(item, dict) else ()))
            for name in entry.fields:
                parts = [leaf for leaf in _leaves(item, name.split(".")) if isinstance(leaf, str)]
                missing -= {name} if parts else set()
                for part_index, text in enumerate(parts):
                    row = (entry.name, item_index, name, part_index, text.encode("utf-8", "replace").decode())
                    for column, value in zip(columns.values(), row, strict=True):
                        column.append(value)
        if missing:
            found = f"{item_index + 1} items with keys {', '.join(list(keys)[:_SHOWN_FIELDS]) or 'none'}"
            raise ConfigError(
                f"[[decontaminate.set]] {entry.name!r}: found {found} in {entry.path}, expected text in the field "
                f"{sorted(missing)[0]!r}; correct fields or items"
            )
    return pa.table(columns, schema=PASSAGE)


def _files(entry: EvaluationSet) -> list[str]:
    root, names = storage.expand_glob(entry.path)
    if not names:
        raise ConfigError(
            f"no file at {entry.path} ([[decontaminate.set]] {entry.name!r}); expected an evaluation set; correct path"
        )
    return [storage.join(root, name) for name in names]


def _items(entry: EvaluationSet) -> Iterator[Any]:
    for location in _files(entry):
        kind = entry.format or _format_of(location, entry)
        try:
            with storage.open_input(location) as stream:
                content = read_whole(stream, _MAX_FILE_BYTES)
            if not isinstance(content, bytes):
                raise ValueError(f"it is damaged or larger than {_MAX_FILE_BYTES} bytes")
            for value in _READERS[kind](content):
                yield from _leaves(value, entry.items.split(".") if entry.items else [])
        except (ValueError, RecursionError, pa.ArrowException, csv.Error) as error:
            raise ConfigError(
                f"{location} cannot be read as {kind}: {error} ([[decontaminate.set]] {entry.name!r}); expected a "
                f"whole file; set format, or get the file again"
            ) from None


def _format_of(location: str, entry: EvaluationSet) -> Format:
    name = location.lower()
    for ending in _COMPRESSIONS:
        name = name.removesuffix(ending)
    for ending, kind in _FORMATS.items():
        if name.endswith(ending):
            return kind
    raise ConfigError(
        f"{location} is of no known format ([[decontaminate.set]] {entry.name!r}); expected a name that ends in one of "
        f"{', '.join(_FORMATS)}, with .gz or .zst or without; set format"
    )


def _json_lines(content: bytes) -> Iterator[Any]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None


def _json(content: bytes) -> Iterator[Any]:
    value = json.loads(content)
    yield from value if isinstance(value, list) else [value]


def _csv(content: bytes) -> Iterator[Any]:
    yield from csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))


def _parquet(content: bytes) -> Iterator[Any]:
    for batch in pq.ParquetFile(pa.BufferReader(content)).iter_batches():
        yield from batch.to_pylist()


_READERS = {"jsonl": _json_lines, "json": _json, "csv": _csv, "parquet": _parquet}


def _leaves(value: Any, path: list[str]) -> Iterator[Any]:
    """What ``path`` leads to, each entry of a list by itself."""
    if isinstance(value, list):
        for entry in value:
            yield from _leaves(entry, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _leaves(value[path[0]], path[1:])
