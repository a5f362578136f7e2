"""Reader of text that is already a table: JSON lines (plain, gzip, zstd, lz4) and Parquet.

Every line or row becomes a page of record type ``text``, ended at once if it has no text or too much of it, or a row
for quarantine. Blank lines of JSON lines are counted as ``blank_line``. ``warc_offset`` is the row number, from 0;
the document's own id, if the config names a column for it, becomes ``warc_record_id``.

A damaged compressed member costs its lines (the line that the damage cuts is one quarantine row, and reading goes on
at the next member that begins with a JSON object); a damaged Parquet row group costs its rows, one quarantine row
that gives their range. Memory: one line, at most ``max_payload_bytes`` and some, or one Parquet batch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.archive.members import Damage, iter_spans
from pipeline.errors import RecordError, RetryableError
from pipeline.input_unit import InputUnit, TableColumns
from pipeline.page_batches import Ended, PageBatches
from pipeline.read_config import ReadConfig, Reason

NAME = "read_table"
VERSION = "1"

RECORD_TYPE = "text"
_ESCAPING_ROOM = 6  # JSON may write one byte of text as \\u0041
_OTHER_KEYS_BYTES = 1 << 20
_PARQUET_BATCH_ROWS = 64


def read(unit: InputUnit, config: ReadConfig, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
    """Read one table.

    Args:
        unit: the file, with the names of its columns.
        config: ``max_payload_bytes`` bounds the text.
        counts: filled with the numbers of ``text`` rows, ``blank_line`` and ``unreadable``.

    Returns:
        Batches of schema ``PAGE``, in file order.

    Raises:
        RetryableError: if reading from remote storage breaks off.
    """
    batches = PageBatches(unit, NAME)
    rows = _parquet_rows if unit.format == "parquet" else _json_rows
    row_number = -1
    try:
        with storage.open_input(unit.location) as stream:
            for row_number, row in rows(stream, unit.columns, config):
                if row is None:
                    counts["blank_line"] += 1
                else:
                    _add(row_number, row, batches, config, counts)
                if batches.is_full and (batch := batches.take()):
                    yield batch
    except (OSError, pa.ArrowException) as error:
        if "://" in unit.location and isinstance(error, OSError):
            raise RetryableError(f"reading {unit.location} failed: {error}; expected a readable file") from error
        counts["unreadable"] += 1
        message = f"found {type(error).__name__}: {error}, expected a readable {unit.format} file"
        batches.add_unreadable(offset=row_number + 1, error_class="UnreadableFile", error_message=message)
    if batch := batches.take():
        yield batch


Row = dict[str, Any] | RecordError
"""Values by column name, or what is wrong with the row; the first argument of the error is its class."""


def _add(row_number: int, row: Row, batches: PageBatches, config: ReadConfig, counts: Counter[str]) -> None:
    if isinstance(row, RecordError):
        counts["unreadable"] += 1
        error_class, message = row.args
        batches.add_unreadable(offset=row_number, error_class=error_class, error_message=message)
        return
    counts[RECORD_TYPE] += 1
    payload = (row["text"] or "").encode("utf-8", "replace")
    ended: Ended | None = None
    if row.get("is_too_long") or len(payload) > config.max_payload_bytes:
        ended = (Reason.PAYLOAD_TOO_LARGE, row.get("is_too_long") or len(payload), config.max_payload_bytes)
    elif not payload or payload.isspace():
        ended = (Reason.EMPTY_PAYLOAD, len(payload), 1)
    batches.add_page(
        offset=row_number,
        record_type=RECORD_TYPE,
        record_id=row.get("id"),
        url=row.get("url"),
        content_type="text/plain",
        charset="utf-8",
        payload=payload,
        ended=ended,
    )


def _json_rows(stream: IO[bytes], columns: TableColumns, config: ReadConfig) -> Iterator[tuple[int, Row | None]]:
    max_line_bytes = _ESCAPING_ROOM * config.max_payload_bytes + _OTHER_KEYS_BYTES
    for row_number, line in enumerate(_lines(stream, max_line_bytes)):
        if isinstance(line, Damage):
            yield row_number, RecordError(line.error_class, f"{line.message} (member at byte {line.offset})")
        elif isinstance(line, int):
            yield row_number, {"text": "", "is_too_long": line}
        elif not line.strip():
            yield row_number, None
        else:
            yield row_number, _json_row(line, columns)


def _json_row(line: bytes, columns: TableColumns) -> Row:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return RecordError("MalformedJson", f"found {line[:40]!r}…: {error}, expected one JSON object a line")
    if not isinstance(value, dict):
        return RecordError("MalformedJson", f"found a JSON {type(value).__name__}, expected an object")
    return _row(value, columns)


def _row(values: dict[str, Any], columns: TableColumns) -> Row:
    """The columns that count, checked."""
    if columns.text not in values:
        found = ", ".join(list(values)[:20])
        return RecordError("MissingText", f"found keys {found}, expected {columns.text!r}; set columns.text")
    text = values[columns.text]
    if text is not None and not isinstance(text, str):
        return RecordError("MissingText", f"{columns.text!r} is a {type(text).__name__}, expected a string")
    record_id = values.get(columns.id) if columns.id else None
    url = values.get(columns.url) if columns.url else None
    return {"text": text, "id": _as_valid_text(record_id), "url": _as_valid_text(url)}


def _as_valid_text(value: Any) -> str | None:
    """``value`` as text that Arrow can hold; JSON may contain lone surrogates."""
    return None if value is None else str(value).encode("utf-8", "replace").decode()


def _lines(stream: IO[bytes], max_line_bytes: int) -> Iterator[bytes | int | Damage]:
    """Lines without their ends; the length of a line in bytes instead of one that is longer than the limit."""
    held = bytearray()
    passed_bytes = 0  # of a line that is too long
    for event in iter_spans(stream, lambda data: data.lstrip().startswith(b"{")):
        if isinstance(event, Damage):
            held.clear()
            passed_bytes = 0
            yield event
            continue
        *complete, rest = event.data.split(b"\n")
        for part in complete:
            length = passed_bytes + len(held) + len(part)
            yield length if length > max_line_bytes else bytes(held) + part
            held.clear()
            passed_bytes = 0
        held += rest
        if passed_bytes + len(held) > max_line_bytes:
            passed_bytes += len(held)
            held.clear()
    if passed_bytes:
        yield passed_bytes + len(held)
    elif held:
        yield bytes(held)


def _parquet_rows(stream: IO[bytes], columns: TableColumns, config: ReadConfig) -> Iterator[tuple[int, Row]]:
    file = pq.ParquetFile(stream)
    names = [name for name in (columns.text, columns.id, columns.url) if name and name in file.schema_arrow.names]
    row_number = 0
    for group in range(file.num_row_groups):
        num_rows = file.metadata.row_group(group).num_rows
        first = row_number
        try:
            if columns.text not in names:
                yield first, _missing_column(file.schema_arrow.names, columns.text, first, num_rows)
            else:
                for batch in file.iter_batches(_PARQUET_BATCH_ROWS, row_groups=[group], columns=names):
                    for values in batch.to_pylist():
                        yield row_number, _row(values, columns)
                        row_number += 1
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            lost = f"rows {row_number} to {first + num_rows - 1} of row group {group}"
            yield row_number, RecordError("CorruptRowGroup", f"{lost} cannot be read: {error}; expected intact pages")
        row_number = first + num_rows


def _missing_column(found: list[str], text: str, first: int, num_rows: int) -> RecordError:
    rows = f"rows {first} to {first + num_rows - 1}"
    return RecordError("MissingText", f"{rows} have columns {', '.join(found)}, expected {text!r}; set columns.text")
