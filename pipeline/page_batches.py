"""Rows of the ``PAGE`` table, collected into batches that are bounded in rows and in payload bytes.

Every reader yields its rows through ``PageBatches``, so that identity, ended and error columns are filled in one way.
Where batches are cut has no influence on any row.

Payloads, nearly all of a batch's bytes, are copied behind one another as they come, while they are in the processor's
cache; collected first and copied at the end, each would come from memory twice.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.hashing import document_id
from pipeline.input_unit import InputUnit
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
        self._rows: list[tuple[Any, ...]] = []  # in the order of _VARYING
        self._payloads = pa.BufferOutputStream()
        self._payload_ends = [0]
        self._has_payload: list[bool] = []

    @property
    def is_full(self) -> bool:
        return len(self._rows) >= MAX_BATCH_ROWS or self._payload_ends[-1] >= MAX_BATCH_PAYLOAD_BYTES

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
        doc_id = self._doc_id(offset, index, record_id)
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
        doc_id = self._doc_id(offset, index, record_id)
        message = f"{error_message}, in {self._unit.warc_file} at {offset}"
        described = (doc_id, url, record_id, offset, record_type, None, None, None, None, None)
        self._add_row((*described, None, None, None, None, error_class, message), None)

    def _add_row(self, row: tuple[Any, ...], payload: bytes | None) -> None:
        self._rows.append(row)
        self._has_payload.append(payload is not None)
        if payload is not None:
            self._payloads.write(payload)
        self._payload_ends.append(self._payload_ends[-1] + len(payload or b""))

    def take(self) -> pa.RecordBatch | None:
        """The rows so far as a batch of schema ``PAGE``; ``None`` if there are none."""
        if not self._rows:
            return None
        columns = dict(zip((field.name for field in _VARYING), zip(*self._rows, strict=True), strict=True))
        unit, num_rows = self._unit, len(self._rows)
        constant = {"source": unit.source, "domain": unit.domain, "warc_file": unit.warc_file}
        arrays = {name: pa.array(values, PAGE.field(name).type) for name, values in columns.items()}
        for name, value in constant.items():
            arrays[name] = pa.repeat(pa.scalar(value, PAGE.field(name).type), num_rows)
        arrays["payload"] = self._take_payloads()
        self._rows = []
        return pa.RecordBatch.from_arrays([arrays[name] for name in PAGE.names], schema=PAGE)

    def _take_payloads(self) -> pa.Array:
        is_valid = np.packbits(self._has_payload, bitorder="little")
        ends = np.array(self._payload_ends, np.int32)
        buffers = [pa.py_buffer(is_valid), pa.py_buffer(ends), self._payloads.getvalue()]
        payloads = pa.Array.from_buffers(PAGE.field("payload").type, len(self._has_payload), buffers)
        self._payloads = pa.BufferOutputStream()
        self._payload_ends, self._has_payload = [0], []
        return payloads

    def _doc_id(self, offset: int, index: int, record_id: str | None) -> str:
        return document_id(self._unit.source, self._unit.warc_file, offset, index, record_id or "")
