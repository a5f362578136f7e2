"""Rows of the ``PAGE`` table, collected into batches that are bounded in rows and in payload bytes.

Every reader yields its rows through ``PageBatches``, so that identity, ended and error columns are filled in one way.
Where batches are cut has no influence on any row.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipeline.hashing import DocumentIds
from pipeline.input_unit import InputUnit
from pipeline.payload_column import PayloadColumn
from pipeline.schema import PAGE

MAX_BATCH_ROWS = 512
MAX_BATCH_PAYLOAD_BYTES = 1 << 24

Ended = tuple[str, float | None, float | None]
"""Reason, value and threshold with which a reader ends a page."""


_CONSTANT = ("source", "domain", "warc_file")
_VARYING = tuple(field for field in PAGE if field.name not in (*_CONSTANT, "payload"))


class PageBatches:
    """Collects the rows of one input unit.

    Args:
        unit: the file that is read.
        stage: the reader's name: the ``ended_stage`` of the rows that it ends.
    """

    def __init__(self, unit: InputUnit, stage: str) -> None:
        self._unit = unit
        self._stage = stage
        self._doc_id = DocumentIds(unit.source, unit.warc_file)
        self._rows: list[tuple[Any, ...]] = []  # in the order of _VARYING
        self._payloads = PayloadColumn(MAX_BATCH_PAYLOAD_BYTES)

    @property
    def is_full(self) -> bool:
        return len(self._rows) >= MAX_BATCH_ROWS or self._payloads.num_bytes >= MAX_BATCH_PAYLOAD_BYTES

    def add_page(
        self,
        *,
        offset: int,
        index: int = 0,
        record_type: str,
        record_id: str | None = None,
        refers_to: str | None = None,
        url: str | None = None,
        fetch_time: datetime | None = None,
        http_status: int | None = None,
        content_type: str | None = None,
        charset: str | None = None,
        payload: bytes | None = None,
        ended: Ended | None = None,
    ) -> None:
        """Add a page.

        Args:
            offset: ``warc_offset``.
            index: tells records of one offset apart.
            record_type: as in the schema, like the arguments that follow.
            record_id: ``warc_record_id``.
            refers_to: ``warc_refers_to``.
            url: as it stands in the archive.
            fetch_time: with its time zone.
            http_status: of a response.
            content_type: media type without parameters.
            charset: as declared.
            payload: dropped if the page has ended.
            ended: reason, value and threshold if the reader ends the page.
        """
        doc_id = self._doc_id(offset, index, record_id or "")
        origin = (doc_id, url, record_id, offset, record_type, refers_to)
        described = (*origin, fetch_time, http_status, content_type, charset)
        if ended is None:
            self._add_row((*described, None, None, None, None, None, None), payload)
        else:
            self._add_row((*described, self._stage, *ended, None, None), None)

    def add_unreadable(
        self,
        *,
        offset: int,
        index: int = 0,
        error_class: str,
        error_message: str,
        record_type: str | None = None,
        record_id: str | None = None,
        url: str | None = None,
    ) -> None:
        """Add a row for quarantine; the message gets file and place added."""
        doc_id = self._doc_id(offset, index, record_id or "")
        message = f"{error_message}, in {self._unit.warc_file} at {offset}"
        described = (doc_id, url, record_id, offset, record_type, None, None, None, None, None)
        self._add_row((*described, None, None, None, None, error_class, message), None)

    def _add_row(self, row: tuple[Any, ...], payload: bytes | None) -> None:
        self._rows.append(row)
        self._payloads.append(payload)

    def take(self) -> Iterator[pa.RecordBatch]:
        """The rows so far as a batch of schema ``PAGE``, if there are any.

        To be handed on by ``yield from``: whoever keeps the batch has the next one filled into other memory.
        """
        if self._rows:
            yield self._batch()

    def _batch(self) -> pa.RecordBatch:
        columns = dict(zip((field.name for field in _VARYING), zip(*self._rows, strict=True), strict=True))
        unit, num_rows = self._unit, len(self._rows)
        constant = {"source": unit.source, "domain": unit.domain, "warc_file": unit.warc_file}
        arrays = {name: pa.array(values, PAGE.field(name).type) for name, values in columns.items()}
        for name, value in constant.items():
            arrays[name] = pa.repeat(pa.scalar(value, PAGE.field(name).type), num_rows)
        arrays["payload"] = self._payloads.take()
        self._rows = []
        return pa.RecordBatch.from_arrays([arrays[name] for name in PAGE.names], schema=PAGE)
