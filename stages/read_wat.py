"""Reader of WAT files: what a crawl knows of its pages beside their text, one row per page described.

A WAT file holds a metadata record for each record of a WARC file, with a JSON object: the header fields of the record
and of its HTTP response, and for HTML the title, the ``<meta>`` elements and the links. Only descriptions of pages
become rows (others are of requests and of the crawl itself); metadata that is no such object becomes a row with an
``error``, so that none is missing. Which of a run's pages a row describes is found by the record id
(``jobs/steps_metadata.py``).

Pass 1 counts the same records like those of any archive: damage to the file ends in ``quarantine/`` there.

Cost: JSON of about the size of the page's links, parsed by Python's ``json``.

Source: the WAT files of Common Crawl; "Web Archive Transformation Specification" (Internet Archive, 2011).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pydantic import Field

from pipeline import storage
from pipeline.archive.records import Record, iter_records
from pipeline.config import Config
from pipeline.content_type import media_type
from pipeline.errors import RetryableError
from pipeline.input_unit import InputUnit
from pipeline.schema import PAGE_RECORD_TYPES

NAME = "read_wat"
VERSION = "1"

DESCRIPTION = pa.schema(
    [
        ("warc_record_id", pa.string()),  # of the record that is described; null if the metadata cannot be read
        ("url", pa.string()),
        ("wat_file", pa.string()),  # the input file, relative to its [[input]]'s root
        ("wat_offset", pa.int64()),
        ("title", pa.string()),
        ("http_headers", pa.map_(pa.string(), pa.string())),  # by lower-cased name
        ("metas", pa.list_(pa.struct([("name", pa.string()), ("content", pa.string())]))),
        ("links", pa.list_(pa.struct([("path", pa.string()), ("url", pa.string()), ("text", pa.string())]))),
        ("num_links", pa.int32()),
        ("error", pa.string()),
    ]
)
"""A description, as the WAT file gives it. A ``path`` names element and attribute: ``A@/href``, ``IMG@/src``."""

_BATCH_ROWS = 512
_META_NAMES = ("name", "property", "http-equiv")


class PageMetadataConfig(Config):
    """``[page_metadata]``; without the table, WAT files are counted and nothing else.

    Args:
        links: whether links are kept; they are most of a WAT file. ``num_links`` counts them in any case.
        max_record_bytes: longer metadata becomes an ``error``.
    """

    links: bool = True
    max_record_bytes: int = Field(default=1 << 26, ge=1, le=1 << 30)


def read(unit: InputUnit, config: PageMetadataConfig) -> Iterator[pa.RecordBatch]:
    """Descriptions of pages.

    Args:
        unit: a WAT file.
        config: what is kept.

    Returns:
        Batches of schema ``DESCRIPTION``, in file order; nothing of a file that cannot be opened.

    Raises:
        RetryableError: if reading from remote storage breaks off.
    """
    rows: list[dict[str, Any]] = []
    try:
        with storage.open_input(unit.location) as stream:
            for event in iter_records(stream, config.max_record_bytes):
                if not isinstance(event, Record) or not _is_metadata(event):
                    continue
                row = _row(event, config)
                if row is not None:
                    rows.append({**row, "wat_file": unit.warc_file, "wat_offset": event.offset})
                if len(rows) >= _BATCH_ROWS:
                    yield pa.RecordBatch.from_pylist(rows, DESCRIPTION)
                    rows = []
    except OSError as error:
        if storage.may_pass(unit.location, error):
            raise RetryableError(f"reading {unit.location} failed: {error}; expected a readable file") from error
    if rows:
        yield pa.RecordBatch.from_pylist(rows, DESCRIPTION)


def _is_metadata(record: Record) -> bool:
    return record.fields.record_type == "metadata" and media_type(record.fields.get("content-type", "")) == (
        "application/json"
    )


def _row(record: Record, config: PageMetadataConfig) -> dict[str, Any] | None:
    """The description; ``None`` if it is not of a page."""
    if record.block_bytes > len(record.block):
        return {"error": f"metadata of {record.block_bytes} bytes, expected at most {config.max_record_bytes}"}
    try:
        envelope = _table(json.loads(record.block), "Envelope")
    except (ValueError, RecursionError) as error:
        return {"error": f"found {record.block[:40]!r}…: {error}, expected a JSON object"}
    fields = _table(envelope, "WARC-Header-Metadata")
    record_id = _text(fields.get("WARC-Record-ID"))
    if record_id is None:
        return {"error": f"found {record.block[:40]!r}…, expected Envelope.WARC-Header-Metadata.WARC-Record-ID"}
    if fields.get("WARC-Type") not in PAGE_RECORD_TYPES:
        return None
    response = _table(_table(envelope, "Payload-Metadata"), "HTTP-Response-Metadata")
    html = _table(response, "HTML-Metadata")
    head = _table(html, "Head")
    headers = {name.lower(): _text(value) or "" for name, value in _table(response, "Headers").items()}
    links = [_link(entry) for entry in (*_entries(head, "Link"), *_entries(head, "Scripts"), *_entries(html, "Links"))]
    return {
        "warc_record_id": record_id,
        "url": _text(fields.get("WARC-Target-URI")),
        "title": _text(head.get("Title")),
        "http_headers": list(headers.items()),
        "metas": [_meta(entry) for entry in _entries(head, "Metas")],
        "links": links if config.links else None,
        "num_links": len(links),
    }


def _link(entry: dict[str, Any]) -> dict[str, str | None]:
    return {name: _text(entry.get(name)) for name in ("path", "url", "text")}


def _meta(entry: dict[str, Any]) -> dict[str, str | None]:
    named = next((entry[name] for name in _META_NAMES if name in entry), None)
    return {"name": _text(named), "content": _text(entry.get("content"))}


def _table(value: Any, key: str) -> dict[str, Any]:
    """The object below ``key``; an empty one where there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _entries(value: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = value.get(key)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _text(value: Any) -> str | None:
    """``value`` as text that Arrow can hold; JSON may contain lone surrogates, and a header given twice is a list."""
    if isinstance(value, list):
        value = ", ".join(str(entry) for entry in value)
    return None if value is None else str(value).encode("utf-8", "replace").decode()
