"""Parquet part files that Python workers write themselves.

Text never crosses into the JVM: a worker appends batches to a ``PartWriter`` and hands back one small row per
file. Files are written under ``<folder>/_temporary`` with a name unique to the attempt, and get their final,
deterministic name when the driver commits the attempt that succeeded; failed, repeated and speculative attempts
leave nothing behind.

The bytes of a part file depend on its rows alone: batches are re-cut to row groups by rows and bytes, so neither
the size of incoming batches nor the partitioning shows.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.manifest import FileEntry
from pipeline.stage import check_schema

TEMPORARY = "_temporary"
ROWS_PER_GROUP = 4096
COMPRESSION_LEVEL = 3


@dataclass(frozen=True)
class WrittenFile:
    """One file of a finished attempt: where it lies now and what it shall be called."""

    folder: str
    temporary_path: str  # relative to folder
    path: str  # relative to folder, once committed
    num_rows: int
    size_bytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def entry(self) -> FileEntry:
        return FileEntry(path=self.path, size_bytes=self.size_bytes, sha256=self.sha256, num_rows=self.num_rows)


class PartWriter:
    """Writes batches of one schema to one Parquet file (zstd), in row groups of ``rows_per_group`` rows.

    Args:
        folder: path or URL of the table's folder.
        path: final name relative to ``folder``.
        schema: columns to write, in order; batches may carry more.
        rows_per_group: rows of a row group (the last may have fewer).
    """

    def __init__(self, folder: str, path: str, schema: pa.Schema, *, rows_per_group: int = ROWS_PER_GROUP) -> None:
        self.folder = folder
        self.path = path
        self.schema = schema
        self.num_rows = 0
        self._rows_per_group = rows_per_group
        self._pending: list[pa.RecordBatch] = []
        self._num_pending = 0
        stem = path.replace("/", "-").removesuffix(".parquet")
        self._temporary_path = f"{TEMPORARY}/{stem}-{uuid.uuid4().hex}.parquet"
        location = storage.join(folder, self._temporary_path)
        storage.make_folder(os.path.dirname(location))
        filesystem, file_path = storage.resolve(location)
        self._writer = pq.ParquetWriter(
            file_path,
            schema,
            filesystem=filesystem,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            write_page_index=False,
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows.

        Raises:
            SchemaError: if the batch lacks a column of the schema or has it with another type.
        """
        check_schema(batch.schema, self.schema, where=f"in what is written to {self.folder}")
        if batch.num_rows == 0:
            return
        self._pending.append(batch.select(self.schema.names))
        self._num_pending += batch.num_rows
        self.num_rows += batch.num_rows
        while self._num_pending >= self._rows_per_group:
            self._flush(self._rows_per_group)

    def _flush(self, num_rows: int) -> None:
        table = pa.Table.from_batches(self._pending).combine_chunks()
        self._writer.write_table(table.slice(0, num_rows).cast(self.schema), row_group_size=num_rows)
        rest = table.slice(num_rows)
        self._pending = rest.to_batches()
        self._num_pending = rest.num_rows

    def close(self) -> WrittenFile:
        """Finish the file and describe it."""
        if self._num_pending:
            self._flush(self._num_pending)
        self._writer.close()
        location = storage.join(self.folder, self._temporary_path)
        return WrittenFile(
            folder=self.folder,
            temporary_path=self._temporary_path,
            path=self.path,
            num_rows=self.num_rows,
            size_bytes=storage.size_bytes(location),
            sha256=storage.sha256_of(location),
        )


def commit_files(files: Iterable[WrittenFile]) -> None:
    """Give the files of successful attempts their final names."""
    for file in files:
        storage.move(storage.join(file.folder, file.temporary_path), storage.join(file.folder, file.path))


def remove_temporary(folder: str) -> None:
    """Delete what failed or abandoned attempts left in ``folder``."""
    storage.remove_folder(storage.join(folder, TEMPORARY))


def read_part(location: str, columns: list[str] | None = None, rows_per_batch: int = 1024) -> Iterable[pa.RecordBatch]:
    """Batches of a part file, in order."""
    filesystem, path = storage.resolve(location)
    with pq.ParquetFile(path, filesystem=filesystem, memory_map=False) as file:
        yield from file.iter_batches(batch_size=rows_per_batch, columns=columns)
