"""Rows of tables and texts: JSON lines, Parquet, plain text; what is wrong with one is reported in its place.

A text file is one document, or one a line, as ``one_document_per`` says. Its charset is found when it is decoded; for
lines it is told by the head of the file, since one line says too little. Bytes that no text has make a file or line
one for quarantine.

A damaged compressed member costs its lines (the line that the damage cuts is one error, and reading goes on at the next
member that begins with a JSON object or, in text, with anything), or the file that is one document; a damaged Parquet
row group costs its rows, one error that gives their range. A Parquet file that was compressed as a whole is unpacked on
disk, since it is read from its end.

Memory: one line or text, at most ``max_payload_bytes`` and some, or one Parquet batch.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.archive.compression import compression_of
from pipeline.archive.damage import Damage
from pipeline.archive.lines import head_of, iter_lines, read_whole
from pipeline.archive.members import iter_spans
from pipeline.charset import decode
from pipeline.content_type import TEXT_TYPES, effective_type
from pipeline.errors import RecordError
from pipeline.input_unit import InputUnit, TableColumns

_TEXT_TYPE = "text/plain"
_ESCAPING_ROOM = 6  # JSON may write one byte of text as \\u0041
_OTHER_KEYS_BYTES = 1 << 20
_PARQUET_BATCH_ROWS = 64
_WIDE_CHARSETS = ("utf-16", "utf-32")  # in which a newline is more than the byte 0A


@dataclass(frozen=True, slots=True)
class Document:
    """One line or row.

    Args:
        payload: the text as bytes.
        charset: of the payload; ``None`` to have it found.
        id: its own, if it has one.
        url: likewise.
        too_many_bytes: how long it is, if it is too long to be held.
    """

    payload: bytes = b""
    charset: str | None = "utf-8"
    id: str | None = None
    url: str | None = None
    too_many_bytes: int | None = None


Row = Document | RecordError | None
"""A document; what is wrong with the row (the first argument of the error is its class); nothing for a blank line."""


def iter_rows(stream: IO[bytes], unit: InputUnit, max_bytes: int) -> Iterator[tuple[int, Row]]:
    """Read a table.

    Args:
        stream: a seekable binary stream at its beginning.
        unit: says how to read it.
        max_bytes: longer texts need not be held; JSON lines may be longer, as JSON escapes.

    Returns:
        Each row with its number, from 0.

    Raises:
        OSError: if the file itself cannot be read.
        pyarrow.ArrowException: if it is no Parquet file.
    """
    if unit.format == "parquet":
        return _parquet_rows(stream, unit.columns)
    if unit.format == "jsonl":
        return _json_rows(stream, unit.columns, max_bytes)
    return _text_lines(stream, max_bytes) if unit.one_document_per == "line" else _text_file(stream, max_bytes)


def _damaged(damage: Damage) -> RecordError:
    return RecordError(damage.error_class, f"{damage.message} (member at byte {damage.offset})")


def _text_file(stream: IO[bytes], max_bytes: int) -> Iterator[tuple[int, Row]]:
    content = read_whole(stream, max_bytes)
    if isinstance(content, Damage):
        yield 0, _damaged(content)
    elif isinstance(content, int):
        yield 0, Document(charset=None, too_many_bytes=content)
    else:
        yield 0, _text(content, None)


def _text_lines(stream: IO[bytes], max_bytes: int) -> Iterator[tuple[int, Row]]:
    _, charset = decode(head_of(stream), None, is_html=False)
    if charset.startswith(_WIDE_CHARSETS):
        message = f"found {charset}, expected a charset whose lines end with the byte 0A; take one document per file"
        yield 0, RecordError("UnsupportedCharset", message)
        return
    for row_number, line in enumerate(iter_lines(stream, max_bytes, bool)):
        if isinstance(line, Damage):
            yield row_number, _damaged(line)
        elif isinstance(line, int):
            yield row_number, Document(charset=charset, too_many_bytes=line)
        else:
            yield row_number, _text(line.removesuffix(b"\r"), charset) if line.strip() else None


def _text(content: bytes, charset: str | None) -> Row:
    if effective_type(_TEXT_TYPE, content, charset) in TEXT_TYPES:
        return Document(content, charset)
    return RecordError("NotText", f"found {content[:40]!r}…, expected text; it holds bytes that no text has")


def _json_rows(stream: IO[bytes], columns: TableColumns, max_bytes: int) -> Iterator[tuple[int, Row]]:
    max_line_bytes = _ESCAPING_ROOM * max_bytes + _OTHER_KEYS_BYTES
    for row_number, line in enumerate(iter_lines(stream, max_line_bytes, _starts_object)):
        if isinstance(line, Damage):
            yield row_number, _damaged(line)
        elif isinstance(line, int):
            yield row_number, Document(too_many_bytes=line)
        elif not line.strip():
            yield row_number, None
        else:
            yield row_number, _json_row(line, columns)


def _starts_object(data: bytes) -> bool:
    return data.lstrip().startswith(b"{")


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
    payload = (text or "").encode("utf-8", "replace")
    return Document(payload, id=_as_valid_text(record_id), url=_as_valid_text(url))


def _as_valid_text(value: Any) -> str | None:
    """``value`` as text that Arrow can hold; JSON may contain lone surrogates."""
    return None if value is None else str(value).encode("utf-8", "replace").decode()


def _parquet_rows(stream: IO[bytes], columns: TableColumns) -> Iterator[tuple[int, Row]]:
    is_compressed = compression_of(stream.read(4)) is not None
    stream.seek(0)
    if not is_compressed:
        yield from _row_groups(stream, columns)
        return
    with tempfile.TemporaryFile() as unpacked:
        for event in iter_spans(stream, bool):
            if isinstance(event, Damage):
                yield 0, _damaged(event)
                return
            unpacked.write(event.data)
        yield from _row_groups(unpacked, columns)


def _row_groups(stream: IO[bytes], columns: TableColumns) -> Iterator[tuple[int, Row]]:
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
            _read_bytes(stream, file.metadata.row_group(group))
            lost = f"rows {row_number} to {first + num_rows - 1} of row group {group}"
            yield row_number, RecordError("CorruptRowGroup", f"{lost} cannot be read: {error}; expected intact pages")
        row_number = first + num_rows


def _read_bytes(stream: IO[bytes], group: pq.RowGroupMetaData) -> None:
    """Read a row group as it lies in the file: raises OSError if it is not its content that is at fault."""
    for index in range(group.num_columns):
        column = group.column(index)
        start = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
        stream.seek(start)
        stream.read(column.total_compressed_size)


def _missing_column(found: list[str], text: str, first: int, num_rows: int) -> RecordError:
    rows = f"rows {first} to {first + num_rows - 1}"
    return RecordError("MissingText", f"{rows} have columns {', '.join(found)}, expected {text!r}; set columns.text")
