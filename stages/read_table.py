"""Reader of text that needs no extraction: JSON lines, Parquet and plain text (``pipeline/table_rows.py``).

Every line, row or text becomes a page of record type ``text``, ended at once if it has no text or too much of it, or a
row for quarantine. Blank lines are counted as ``blank_line``. ``warc_offset`` is the row number, from 0; the document's
own id, if the config names a column for it, becomes ``warc_record_id``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from pipeline import storage
from pipeline.errors import RecordError, RetryableError
from pipeline.input_unit import InputUnit
from pipeline.page_batches import Ended, PageBatches
from pipeline.read_config import ReadConfig, Reason
from pipeline.table_rows import Document, iter_rows

NAME = "read_table"
VERSION = "2"

RECORD_TYPE = "text"
_CONTENT_TYPE = "text/plain"


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
    row_number = -1
    try:
        with storage.open_input(unit.location) as stream:
            for row_number, row in iter_rows(stream, unit, config.max_payload_bytes):
                if row is None:
                    counts["blank_line"] += 1
                else:
                    _add(row_number, row, batches, config, counts)
                if batches.is_full:
                    yield from batches.take()
    except (OSError, pa.ArrowException) as error:
        if storage.may_pass(unit.location, error):
            raise RetryableError(f"reading {unit.location} failed: {error}; expected a readable file") from error
        counts["unreadable"] += 1
        message = f"found {type(error).__name__}: {error}, expected a readable {unit.format} file"
        batches.add_unreadable(offset=row_number + 1, error_class="UnreadableFile", error_message=message)
    yield from batches.take()


def _add(
    row_number: int, row: Document | RecordError, batches: PageBatches, config: ReadConfig, counts: Counter[str]
) -> None:
    if isinstance(row, RecordError):
        counts["unreadable"] += 1
        error_class, message = row.args
        batches.add_unreadable(offset=row_number, error_class=error_class, error_message=message)
        return
    counts[RECORD_TYPE] += 1
    num_bytes = row.too_many_bytes or len(row.payload)
    ended: Ended | None = None
    if row.too_many_bytes or num_bytes > config.max_payload_bytes:
        ended = (Reason.PAYLOAD_TOO_LARGE, num_bytes, config.max_payload_bytes)
    elif not row.payload or row.payload.isspace():
        ended = (Reason.EMPTY_PAYLOAD, num_bytes, 1)
    batches.add_page(
        offset=row_number,
        record_type=RECORD_TYPE,
        record_id=row.id,
        url=row.url,
        content_type=_CONTENT_TYPE,
        charset=row.charset,
        payload=row.payload,
        ended=ended,
    )
