"""A part file's bytes depend on its rows alone, and appear under their name only when committed."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import storage
from pipeline.errors import SchemaError
from pipeline.part_writer import PartWriter, commit_files, read_part, remove_temporary

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])


def rows(start: int, stop: int) -> pa.RecordBatch:
    return pa.record_batch(
        {"text": pa.array([f"text {i}" for i in range(start, stop)]), "id": pa.array(range(start, stop), pa.int64())}
    )


def write(folder: str, cuts: list[int]) -> str:
    writer = PartWriter(folder, "part-x.parquet", SCHEMA, rows_per_group=100)
    for start, stop in zip([0, *cuts], [*cuts, 250], strict=True):
        writer.write(rows(start, stop))
    file = writer.close()
    commit_files([file])
    assert file.num_rows == 250
    assert storage.sha256_of(f"{folder}/part-x.parquet") == file.sha256
    return file.sha256


def test_bytes_do_not_depend_on_how_rows_came_in_batches(tmp_path):
    digests = {write(str(tmp_path / str(index)), cuts) for index, cuts in enumerate([[], [1], [100], [99, 100, 201]])}
    assert len(digests) == 1


def test_row_groups_are_cut_by_rows(tmp_path):
    write(str(tmp_path), [7])
    file = pq.ParquetFile(tmp_path / "part-x.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(3)] == [100, 100, 50]
    assert pa.Table.from_batches(read_part(str(tmp_path / "part-x.parquet"))).column("id").to_pylist() == list(
        range(250)
    )


def test_nothing_is_visible_before_the_commit(tmp_path):
    writer = PartWriter(str(tmp_path), "part-x.parquet", SCHEMA)
    writer.write(rows(0, 3))
    writer.close()
    assert all(name.startswith("_temporary/") for name in storage.list_files(str(tmp_path)))
    remove_temporary(str(tmp_path))
    assert storage.list_files(str(tmp_path)) == []


def test_an_empty_file_keeps_its_schema(tmp_path):
    commit_files([PartWriter(str(tmp_path), "part-x.parquet", SCHEMA).close()])
    assert pq.read_schema(tmp_path / "part-x.parquet").equals(SCHEMA)


def test_a_batch_without_a_column_is_refused(tmp_path):
    writer = PartWriter(str(tmp_path), "part-x.parquet", SCHEMA)
    with pytest.raises(SchemaError, match="column 'text' is missing in what is written to"):
        writer.write(rows(0, 2).select(["id"]))
