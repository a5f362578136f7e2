"""A WARC writer of the smallest size that is still correct, and the same bytes every time.

Each record is a gzip member of its own, as in every public crawl, so that one record can be read by its offset. What
a crawler would take from the clock or from chance is derived: the record identifier is a version-5 UUID of archive,
position and URL, and the date advances by seven seconds a record.

Source: ISO 28500:2017 (WARC 1.1), sections 4 to 6; annex D for the record-at-a-time compression.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

_FIRST_FETCH = datetime(2024, 5, 1, 6, 0, 0, tzinfo=UTC)
_SECONDS_BETWEEN_FETCHES = 7
_COMPRESSION_LEVEL = 6
_CHUNK_BYTES = 1000


@dataclass(frozen=True, kw_only=True)
class WarcRecord:
    """One record before it has an identifier and a date.

    Args:
        type: WARC-Type, such as ``response``.
        url: WARC-Target-URI; empty for ``warcinfo``, which has none.
        content_type: media type of ``block``.
        block: everything after the record's header.
        headers: further header fields of the record.
    """

    type: str
    url: str
    content_type: str
    block: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def http_response(
    body: bytes, *, content_type: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> bytes:
    """The block of a ``response`` record: status line, header fields and body as they went over the wire.

    Args:
        body: the payload, not yet encoded.
        content_type: value of the Content-Type field.
        status: HTTP status code.
        headers: further fields. ``Content-Encoding: gzip`` and ``Transfer-Encoding: chunked`` are applied to ``body``.
    """
    fields = {"Server": "nest/1.0", "Content-Type": content_type, **(headers or {})}
    if fields.get("Content-Encoding") == "gzip":
        body = gzip_member(body)
    if fields.get("Transfer-Encoding") == "chunked":
        body = _chunked(body)
    else:
        fields["Content-Length"] = str(len(body))
    status_line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    return (status_line + _header_lines(fields) + "\r\n").encode("ascii") + body


def archive_members(archive: str, records: Iterable[WarcRecord]) -> list[bytes]:
    """``records`` as gzip members, after a ``warcinfo`` record; their concatenation is the archive.

    Args:
        archive: file name, which goes into the identifiers and the ``warcinfo`` record.
        records: in the order of fetching.
    """
    about = WarcRecord(
        type="warcinfo",
        url="",
        content_type="application/warc-fields",
        block=b"software: chaffinch demo input\r\nformat: WARC File Format 1.1\r\n",
        headers={"WARC-Filename": archive},
    )
    members = []
    for position, record in enumerate([about, *records]):
        identifier = uuid.uuid5(uuid.NAMESPACE_URL, f"{archive}#{position} {record.url}")
        date = _FIRST_FETCH + timedelta(seconds=_SECONDS_BETWEEN_FETCHES * position)
        members.append(gzip_member(_encode(record, identifier, date)))
    return members


def gzip_member(data: bytes) -> bytes:
    """``data`` as one gzip member without name or time."""
    compressor = zlib.compressobj(_COMPRESSION_LEVEL, zlib.DEFLATED, wbits=31)
    return compressor.compress(data) + compressor.flush()


def _encode(record: WarcRecord, identifier: uuid.UUID, date: datetime) -> bytes:
    fields = {
        "WARC-Type": record.type,
        "WARC-Record-ID": f"<urn:uuid:{identifier}>",
        "WARC-Date": date.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **({"WARC-Target-URI": record.url} if record.url else {}),
        **record.headers,
        "WARC-Block-Digest": _digest(record.block),
        "Content-Type": record.content_type,
        "Content-Length": str(len(record.block)),
    }
    return ("WARC/1.1\r\n" + _header_lines(fields) + "\r\n").encode() + record.block + b"\r\n\r\n"


def _header_lines(fields: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items())


def _digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def _chunked(body: bytes) -> bytes:
    chunks = [body[start : start + _CHUNK_BYTES] for start in range(0, len(body), _CHUNK_BYTES)]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
