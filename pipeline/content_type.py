"""What a payload is: its declared media type, unless that is absent, says nothing, or lies.

Declared types are believed with two exceptions, both from the WHATWG's MIME Sniffing standard: a payload that begins
like an HTML document is one whatever the server says (soft error pages are served as images, archives of old servers
call everything text/plain), and a payload declared as text whose head holds bytes that no text has is not text. HTML
pages with a stray control character exist, so a payload declared as HTML is believed to be markup up to a share of 2 %
of such bytes, if there is any ``<``; random bytes hold 10 %.

Source: WHATWG MIME Sniffing, sections 3 and 7.1 (patterns for HTML; binary data bytes, looked for in the first 1,445
bytes). Deviation: a declared non-HTML type is overruled by ``<!doctype html`` and ``<html`` only, not by the weaker
patterns such as ``<p`` or ``<!--``, which stand in JavaScript and XML too.
"""

from __future__ import annotations

import functools
import re

from pipeline.charset import begins_wide

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
TEXT_TYPES = HTML_TYPES | {"text/plain"}

_SNIFFED_BYTES = 1445
_MAX_BINARY_SHARE_OF_HTML = 0.02
_NOTHING_SAID = frozenset(
    {"", "application/octet-stream", "application/unknown", "unknown/unknown", "*/*", "no-type", "unk", "text", "html"}
)
_BINARY_BYTES = bytes((*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)))
_IS_HTML = re.compile(rb"[\s\xef\xbb\xbf]*<(?:!doctype\s+html|html)[\s>/]", re.IGNORECASE)
_LOOKS_LIKE_HTML = re.compile(
    rb"[\s\xef\xbb\xbf]*(?:<!--|"
    rb"<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)[\s>])",
    re.IGNORECASE,
)
_MEDIA_TYPE = re.compile(r"\s*([^\s;,]*)")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.IGNORECASE)
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")


@functools.lru_cache(maxsize=32)  # of a crawl's records nearly all have one of a few
def media_type(header: str) -> str:
    """Type and subtype of a ``Content-Type`` value, lower-case, without parameters; empty if there is none."""
    match = _MEDIA_TYPE.match(header)
    return match.group(1).lower() if match else ""


@functools.lru_cache(maxsize=32)
def declared_charset(header: str) -> str | None:
    """The ``charset`` parameter of a ``Content-Type`` value, lower-case, ``None`` if there is none."""
    match = _CHARSET.search(header)
    return match.group(1).lower() if match else None


def effective_type(declared: str, payload: bytes, charset: str | None) -> str:
    """The media type that a payload is treated as.

    Args:
        declared: as ``media_type`` returns it.
        payload: encodings undone.
        charset: as declared; UTF-16 and UTF-32 text may hold NUL bytes.

    Returns:
        A member of ``TEXT_TYPES`` for a page; otherwise ``application/octet-stream`` or the declared type.
    """
    head = payload[:_SNIFFED_BYTES]
    if _IS_HTML.match(head) and declared not in HTML_TYPES:
        return "text/html"
    if declared in _NOTHING_SAID:
        declared = "text/html" if _LOOKS_LIKE_HTML.match(head) else "text/plain"
    if declared not in TEXT_TYPES:
        return declared
    is_declared_wide = (charset or "").startswith(("utf-16", "utf-32"))
    is_wide = is_declared_wide or head.startswith(_WIDE_BOMS) or begins_wide(head) is not None
    num_binary = 0 if is_wide else len(head) - len(head.translate(None, _BINARY_BYTES))
    is_markup = declared in HTML_TYPES and b"<" in head
    if num_binary > (_MAX_BINARY_SHARE_OF_HTML * len(head) if is_markup else 0):
        return "application/octet-stream"
    return declared
