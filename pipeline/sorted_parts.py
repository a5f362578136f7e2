"""Sorted rows into part files, one for each value of a column, as a task of Spark's ``mapInArrow`` does it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import SchemaError
from pipeline.part_writer import PartWriter, WrittenFile

WRITTEN_PART = pa.schema(
    [
        ("temporary_path", pa.string()),
        ("path", pa.string()),
        ("num_rows", pa.int64()),
        ("size_bytes", pa.int64()),
        ("sha256", pa.string()),
    ]
)
"""A written file, not yet committed: the fields of ``WrittenFile`` but its folder."""


def write_sorted_parts(
    batches: Iterable[pa.RecordBatch], *, folder: str, schema: pa.Schema, part_column: str
) -> Iterator[pa.RecordBatch]:
    """Write rows to ``part-<value of part_column>.parquet`` under ``folder``.

    Args:
        batches: rows sorted by ``part_column``, all rows of a value among them.

    Yields:
        One row of ``WRITTEN_PART`` for each file, to be committed by whoever gathers them.

    Raises:
        SchemaError: if a column of ``schema`` is missing.
    """
    writer: PartWriter | None = None
    current: str | None = None
    for batch in batches:
        for value, rows in _runs(batch, part_column):
            if value != current or writer is None:
                if writer is not None:
                    yield _written_row(writer.close())
                writer, current = PartWriter(folder, f"part-{value}.parquet", schema), value
            writer.write(_cast(rows, schema))
    if writer is not None:
        yield _written_row(writer.close())


def _runs(batch: pa.RecordBatch, column: str) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Consecutive rows with equal values of ``column``; the batch is sorted by it."""
    encoded = pc.run_end_encode(batch.column(column))
    start = 0
    for end, value in zip(encoded.run_ends.to_pylist(), encoded.values.to_pylist(), strict=True):
        yield value, batch.slice(start, end - start)
        start = end


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Arrow types as Spark hands them back (large or second-less variants) to the declared ones."""
    missing = [name for name in schema.names if name not in batch.schema.names]
    if missing:
        raise SchemaError(f"columns {missing} are missing in a frame to be written; found {batch.schema.names}")
    arrays = [batch.column(field.name).cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _written_row(file: WrittenFile) -> pa.RecordBatch:
    values = [[getattr(file, name)] for name in WRITTEN_PART.names]
    return pa.RecordBatch.from_arrays(
        [pa.array(v, f.type) for v, f in zip(values, WRITTEN_PART, strict=True)], schema=WRITTEN_PART
    )
