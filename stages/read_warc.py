"""Reader of WARC, WET, WAT and ARC files: every record becomes a page, a count, or a row for quarantine.

A *page* is a response, resource, conversion or revisit record. What a crawler writes beside pages (warcinfo, request,
metadata, dns answers, continuations, unknown types) is counted by type. Bytes that are not a readable record become a
row with an error. So for each file

    sum of all counts = records + damaged places,   sum of page and ``unreadable`` counts = rows.

Pages that cannot become text end here, in this order: a revisit has no payload; a response with a status other than
200 is not the page asked for; robots.txt and the crawler's own logs are not pages; an empty payload; one above
``max_payload_bytes``; one that a crawler cut off, if ``keep_truncated`` is off; one that is neither HTML nor plain
text (``pipeline/content_type.py``); one that asks robots not to use it, as far as ``respect_robots`` goes. Encodings
are undone first (``pipeline/archive/http_message.py``).

Cost: 45 µs of CPU a record, decompression (16 µs) included, where half of the records are pages; a tenth of what a
bare loop over the same records with fastwarc and resiliparse takes in all. ``benchmarks/ingest.py`` measures it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from pipeline import storage
from pipeline.archive.digests import digest_error
from pipeline.archive.http_message import HttpMessage, decode_body, parse_message
from pipeline.archive.record_facts import fetch_time, target_url
from pipeline.archive.records import BrokenRecord, Record, RecordReader
from pipeline.archive.split import SplitBounds
from pipeline.content_type import HTML_TYPES, TEXT_TYPES, declared_charset, effective_type, media_type
from pipeline.errors import RetryableError
from pipeline.input_unit import InputUnit
from pipeline.page_batches import Ended, PageBatches
from pipeline.read_config import ReadConfig, Reason
from pipeline.robots import header_directives, meta_directives
from pipeline.watch import ERROR_CLASS as CRASH_CLASS
from pipeline.watch import Watch

NAME = "read_warc"
VERSION = "2"

PAGE_TYPES = ("response", "resource", "conversion", "revisit")
_COUNTED_TYPES = frozenset({"warcinfo", "request", "metadata", "continuation"})
_HTTP_HEADER_ROOM_BYTES = 1 << 16
_CHUNKING_ROOM = 2  # a chunked body may be up to twice as long as what it carries, in chunks of a few bytes
_CRAWLER_LOG_URL = re.compile(r"(?:metadata|urn):", re.IGNORECASE)
_ROBOTS_TXT_URL = re.compile(r"https?://[^/?#]*/robots\.txt(?:[?#]|$)", re.IGNORECASE)
_HTTP_OK = 200


def read(
    unit: InputUnit,
    config: ReadConfig,
    counts: Counter[str],
    *,
    watch: Watch | None = None,
    bounds: SplitBounds | None = None,
) -> Iterator[pa.RecordBatch]:
    """Read one archive, or one split of it.

    Args:
        unit: the file.
        config: bounds and options.
        counts: filled with the number of records by type, ``unreadable`` for damaged places.
        watch: is told which record is being read.
        bounds: filled at the end.

    Returns:
        Batches of schema ``PAGE``, in file order.

    Raises:
        RetryableError: if reading from remote storage breaks off.
    """
    batches = PageBatches(unit, NAME)
    max_block_bytes = _CHUNKING_ROOM * config.max_payload_bytes + _HTTP_HEADER_ROOM_BYTES
    bounds = bounds or SplitBounds()
    watch = watch or Watch()
    start = 0 if unit.split is None else unit.split.start_bytes
    is_open = False
    try:
        with storage.open_input(unit.location) as stream:
            is_open = True
            reader = RecordReader(stream, max_block_bytes, unit.split)
            for number, event in enumerate(reader):
                death = watch.reads(number)
                _add(event if death is None else _as_broken(event, death), batches, config, counts)
                if batches.is_full:
                    yield from batches.take()
            bounds.begins, bounds.ends = reader.begins, reader.ends
    except OSError as error:
        if storage.may_pass(unit.location, error):
            raise RetryableError(f"reading {unit.location} failed: {error}; expected a readable file") from error
        bounds.is_cut_short = True
        if is_open or start == 0:  # of a file that cannot be opened its first split tells
            counts["unreadable"] += 1
            batches.add_unreadable(
                offset=-1,
                index=start,
                error_class="UnreadableFile",
                error_message=f"found {type(error).__name__}: {error.strerror or error}, expected a readable file",
            )
    yield from batches.take()


def _add(event: Record | BrokenRecord, batches: PageBatches, config: ReadConfig, counts: Counter[str]) -> None:
    """Add one event of the file to ``counts``, and to ``batches`` if it is a page or broken."""
    if isinstance(event, Record):
        error = digest_error(event) if config.verify_digests else None
        if error is None:
            record_type = event.fields.record_type
            if record_type in PAGE_TYPES:
                record_type = _add_page(event, record_type, batches, config)
            elif record_type not in _COUNTED_TYPES:
                record_type = "unknown"
            counts[record_type] += 1
            return
        error_class, message = "DigestMismatch", error
    else:
        error_class, message = event.error_class, event.message
    counts["unreadable"] += 1
    batches.add_unreadable(
        offset=event.offset,
        index=event.index,
        error_class=error_class,
        error_message=message,
        record_type=event.fields.get("warc-type"),
        record_id=event.fields.get("warc-record-id"),
        url=target_url(event.fields.get("warc-target-uri")),
    )


def _as_broken(event: Record | BrokenRecord, death: str) -> BrokenRecord:
    """A record whose decoding kills the reader."""
    message = f"{death} when it read this record, twice in two tries; expected its content"
    return BrokenRecord(event.offset, event.index, event.fields, CRASH_CLASS, message)


def _add_page(record: Record, record_type: str, batches: PageBatches, config: ReadConfig) -> str:
    """Add a page to ``batches``, unless it is the answer of a name server; returns what it counts as."""
    fields = record.fields
    url = target_url(fields.find("warc-target-uri"))
    content_header = fields.find("content-type") or ""
    content_type = media_type(content_header)
    if content_type == "text/dns" or url.startswith("dns:"):
        return "dns"
    message = None
    if content_type == "application/http":
        message = parse_message(record.content, record.block_start, record.block_end)
        content_header = "" if message is None else message.fields.find("content-type") or ""
        content_type = media_type(content_header)
    charset = declared_charset(content_header)
    payload, ended = _payload(record, message, record_type, url, config)
    if ended is None:
        declared, content_type = content_type, effective_type(content_type, payload, charset)
        if content_type not in TEXT_TYPES:
            content_type, ended = declared or content_type, (Reason.CONTENT_TYPE, None, None)
        elif config.respect_robots:
            header = message.header if message else b""
            ended = _refused(header, payload if content_type in HTML_TYPES else b"", config)
    batches.add_page(
        offset=record.offset,
        index=record.index,
        record_type=record_type,
        record_id=fields.find("warc-record-id"),
        refers_to=fields.find("warc-refers-to"),
        payload=payload,
        ended=ended,
        url=url,
        fetch_time=fetch_time(fields.find("warc-date")),
        http_status=message.status if message else None,
        content_type=content_type or None,
        charset=charset,
    )
    return record_type


def _refused(header: bytes, html: bytes, config: ReadConfig) -> Ended | None:
    """Why a page ends here by its own wish, if it does."""
    agents = frozenset(config.robots_agents)
    found = header_directives(header, agents) | meta_directives(html, agents)
    first = next((directive for directive in config.respect_robots if directive in found), None)
    return None if first is None else (Reason(f"robots_{first}"), None, None)


def _payload(
    record: Record, message: HttpMessage | None, record_type: str, url: str, config: ReadConfig
) -> tuple[bytes, Ended | None]:
    """The payload with its encodings undone, and why the page ends here, if it does."""
    limit = config.max_payload_bytes
    if record_type == "revisit":
        return b"", (Reason.REVISIT, None, None)
    if message is not None and message.status != _HTTP_OK:
        return b"", (Reason.HTTP_STATUS, message.status, _HTTP_OK)
    if _CRAWLER_LOG_URL.match(url):
        return b"", (Reason.CRAWLER_LOG, None, None)
    if _ROBOTS_TXT_URL.match(url):
        return b"", (Reason.ROBOTS_TXT, None, None)
    header_bytes = message.header_bytes if message else 0
    if not record.is_whole:
        return b"", (Reason.PAYLOAD_TOO_LARGE, record.block_bytes - header_bytes, limit)
    payload = decode_body(message, limit) if message else record.block
    if not payload or payload.isspace():
        return b"", (Reason.EMPTY_PAYLOAD, len(payload), 1)
    if len(payload) > limit:
        return b"", (Reason.PAYLOAD_TOO_LARGE, len(payload), limit)
    if record.fields.find("warc-truncated") and not config.keep_truncated:
        return b"", (Reason.TRUNCATED, None, None)
    return payload, None
