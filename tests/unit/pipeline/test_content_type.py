"""Media types: declared, missing, and lies."""

from __future__ import annotations

import pytest

from pipeline.content_type import declared_charset, effective_type, media_type

PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\x00\x01"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
PAGE = b"<!DOCTYPE html><html><body>Barn owls</body></html>"


@pytest.mark.parametrize(
    ("declared", "payload", "charset", "expected"),
    [
        ("text/html", PAGE, "utf-8", "text/html"),
        ("text/html", b"no markup at all", None, "text/html"),
        ("application/xhtml+xml", PAGE, None, "application/xhtml+xml"),
        ("text/plain", b"plain words", None, "text/plain"),
        ("", PAGE, None, "text/html"),
        ("", b"  <p class=a>hello", None, "text/html"),
        ("application/octet-stream", b"plain words", None, "text/plain"),
        ("", PNG, None, "application/octet-stream"),
        ("text/plain", PNG, None, "application/octet-stream"),
        ("text/html", PDF, None, "application/octet-stream"),
        ("text/html", b"<p>one stray \x01 control</p>" + b"words " * 20, None, "text/html"),
        ("text/html", b"<" + bytes(range(256)) * 3, None, "application/octet-stream"),
        ("image/png", b"\n<html><body>Not found</body>", None, "text/html"),
        ("text/plain", PAGE, None, "text/html"),
        ("text/javascript", b"<!-- script --> var a", None, "text/javascript"),
        ("image/svg+xml", b"<svg></svg>", None, "image/svg+xml"),
        ("application/json", b'{"a": "<html>"}', None, "application/json"),
        ("text/plain", "words".encode("utf-16-le"), "utf-16le", "text/plain"),
        ("text/plain", "words".encode("utf-16"), None, "text/plain"),
        ("text/plain", "слова".encode("cp1251"), None, "text/plain"),
        ("text/plain", "\u6625".encode("iso-2022-jp"), "iso-2022-jp", "text/plain"),
    ],
)
def test_effective_type(declared: str, payload: bytes, charset: str | None, expected: str) -> None:
    assert effective_type(declared, payload, charset) == expected


@pytest.mark.parametrize(
    ("header", "media", "charset"),
    [
        ("text/html; charset=utf-8", "text/html", "utf-8"),
        ('Text/HTML;charset="ISO-8859-1"', "text/html", "iso-8859-1"),
        (" text/html ; Charset = koi8-r ; q=1", "text/html", "koi8-r"),
        ("text/html folded", "text/html", None),
        ("text/html, text/plain", "text/html", None),
        ("text/html; charset=", "text/html", None),
        ("", "", None),
    ],
)
def test_header_values(header: str, media: str, charset: str | None) -> None:
    assert media_type(header) == media
    assert declared_charset(header) == charset
