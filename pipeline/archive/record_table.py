"""Records of archives as rows of a table, one per record of any type and one per damaged place.

Each column is made by a function of its own, so that a reader who wants few columns pays for no other: only ``payload``
and ``content_type`` need the body decoded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from pipeline.archive.http_message import HttpMessage, decode_body, parse_message
from pipeline.archive.record_facts import fetch_time, target_url
from pipeline.archive.records import BrokenRecord, Record
from pipeline.content_type import declared_charset, effective_type, media_type

RECORD = pa.schema(
    [
        ("warc_file", pa.string()),  # path or URL
        ("warc_offset", pa.int64()),  # bytes into the file
        ("record_type", pa.string()),  # as in the header; null for what is no record
        ("warc_record_id", pa.string()),
        ("url", pa.string()),
        ("fetch_time", pa.timestamp("us", tz="UTC")),
        ("warc_headers", pa.map_(pa.string(), pa.string())),  # by lower-cased name
        ("http_status", pa.int32()),
        ("http_headers", pa.map_(pa.string(), pa.string())),
        ("content_type", pa.string()),  # of the payload: as declared, or as it looks where the declaration lies
        ("charset", pa.string()),  # as declared
        ("num_bytes", pa.int64()),  # of the whole block
        ("payload", pa.binary()),  # encodings undone; null if longer than max_payload_bytes
        ("error_class", pa.string()),  # null for an intact record
        ("error_message", pa.string()),
    ]
)
"""All columns that there are."""


class RecordFacts:
    """What is known of one record or damaged place; the body is decoded when it is asked for.

    Args:
        event: as a reader of records gives it.
        location: path or URL of the file.
        max_payload_bytes: longer payloads are null.
    """

    def __init__(self, event: Record | BrokenRecord, location: str, max_payload_bytes: int) -> None:
        self.event = event
        self.location = location
        self._max_payload_bytes = max_payload_bytes

    @property
    def fields(self) -> Mapping[str, str]:
        return self.event.fields

    @property
    def held_bytes(self) -> int:
        """What of it a batch holds, at most."""
        return self.event.block_end - self.event.block_start if isinstance(self.event, Record) else 0

    @property
    def record_type(self) -> str | None:
        return record_type(self.event)

    @functools.cached_property
    def message(self) -> HttpMessage | None:
        """The HTTP response, if it is one."""
        if (
            isinstance(self.event, BrokenRecord)
            or media_type(self.fields.get("content-type", "")) != "application/http"
        ):
            return None
        return parse_message(self.event.content, self.event.block_start, self.event.block_end)

    @functools.cached_property
    def payload(self) -> bytes | None:
        if isinstance(self.event, BrokenRecord) or not self.event.is_whole:
            return None
        payload = decode_body(self.message, self._max_payload_bytes) if self.message else self.event.block
        return payload if len(payload) <= self._max_payload_bytes else None

    @property
    def declared_type(self) -> str:
        return (self.message.fields if self.message else self.fields).get("content-type", "")

    @property
    def content_type(self) -> str | None:
        if self.payload is None:
            return media_type(self.declared_type) or None
        return effective_type(media_type(self.declared_type), self.payload, declared_charset(self.declared_type))


def record_type(event: Record | BrokenRecord) -> str | None:
    """As the header says, in lower case; ``None`` for what has none."""
    return event.fields.record_type if isinstance(event, Record) else event.fields.get("warc-type", "").lower() or None


def max_block_bytes(max_payload_bytes: int) -> int:
    """How much of a block must be kept for a payload of that size: it may be chunked, and has a header."""
    return 2 * max_payload_bytes + (1 << 16)


def _error(facts: RecordFacts, attribute: str) -> str | None:
    return getattr(facts.event, attribute) if isinstance(facts.event, BrokenRecord) else None


COLUMNS: dict[str, Callable[[RecordFacts], Any]] = {
    "warc_file": lambda facts: facts.location,
    "warc_offset": lambda facts: facts.event.offset,
    "record_type": lambda facts: facts.record_type,
    "warc_record_id": lambda facts: facts.fields.get("warc-record-id"),
    "url": lambda facts: target_url(facts.fields.get("warc-target-uri")) or None,
    "fetch_time": lambda facts: fetch_time(facts.fields.get("warc-date")),
    "warc_headers": lambda facts: list(facts.fields.items()),
    "http_status": lambda facts: facts.message.status if facts.message else None,
    "http_headers": lambda facts: list(facts.message.fields.items()) if facts.message else None,
    "content_type": lambda facts: facts.content_type,
    "charset": lambda facts: declared_charset(facts.declared_type),
    "num_bytes": lambda facts: facts.event.block_bytes if isinstance(facts.event, Record) else None,
    "payload": lambda facts: facts.payload,
    "error_class": lambda facts: _error(facts, "error_class"),
    "error_message": lambda facts: _error(facts, "message"),
}
"""How each column of ``RECORD`` is made."""
