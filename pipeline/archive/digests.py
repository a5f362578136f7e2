"""Block and payload digests of WARC records.

fastwarc checks digests too, but calls the payload digest of a record without an HTTP message wrong, and one in a
base that it cannot read. Here a digest that cannot be read (unknown algorithm or length) is not held against a record.

Source: ISO 28500:2017, sections 5.8 and 5.9 (``algorithm:value``). Base32 is the custom; base16 and base64 occur.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable

from pipeline.archive.headers import HEADER_END
from pipeline.archive.records import Record

_ALGORITHMS = {"sha1": "sha1", "sha-1": "sha1", "sha256": "sha256", "sha-256": "sha256", "md5": "md5"}
_BASES: tuple[Callable[[str], bytes], ...] = (base64.b32decode, base64.b16decode, base64.b64decode)


def digest_error(record: Record) -> str | None:
    """What is wrong with a record's digests.

    Returns:
        A message, or ``None`` if the digests are right, absent or unreadable, or if the block was not kept whole.
        The payload digest of a revisit belongs to another record and is not looked at.
    """
    if not record.is_whole:
        return None
    fields = record.fields
    contents = [("warc-block-digest", record.block)]
    if record.fields.record_type != "revisit":
        contents.append(("warc-payload-digest", _payload(record)))
    for field, content in contents:
        algorithm, _, value = fields.get(field, "").partition(":")
        name = _ALGORITHMS.get(algorithm.strip().lower())
        if name is None:
            continue
        found = hashlib.new(name, content, usedforsecurity=False).digest()
        expected = _decode(value.strip(), len(found))
        if expected is not None and expected != found:
            return f"{field} of the content is {base64.b32encode(found).decode()}, expected {fields[field]}"
    return None


def _payload(record: Record) -> bytes:
    """The bytes behind the HTTP header, encodings not undone; the block where there is none."""
    is_http = record.fields.get("content-type", "").lower().startswith("application/http")
    header_end = HEADER_END.search(record.block) if is_http else None
    return record.block[header_end.end() :] if header_end else record.block


def _decode(value: str, length_bytes: int) -> bytes | None:
    for decode in _BASES:
        try:
            decoded = decode(value if decode is base64.b64decode else value.upper())
        except (binascii.Error, ValueError):
            continue
        if len(decoded) == length_bytes:
            return decoded
    return None
