"""HTTP messages: heads of every shape, encodings there, absent and broken."""

from __future__ import annotations

import gzip
import random
import zlib

import brotli
import pytest
import zstandard

from pipeline.archive.http_message import decode_body, parse_message

TEXT = b"<p>The wetland at dawn.</p>" * 40
LIMIT = 1 << 20


def chunked(data: bytes, size: int = 100, line_end: bytes = b"\r\n", extension: bytes = b"") -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    body = b"".join(b"%x%s%s%s%s" % (len(part), extension, line_end, part, line_end) for part in parts)
    return body + b"0" + line_end + line_end


def decoded(body: bytes, limit: int = LIMIT, **fields: str) -> bytes:
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    message = parse_message(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body)
    assert message is not None
    return decode_body(message, limit)


@pytest.mark.parametrize(
    ("block", "status", "content_type", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nx", 200, "text/html", b"x"),
        (b"HTTP/1.1 200 OK\nContent-Type: text/html\n\nx\n\ny", 200, "text/html", b"x\n\ny"),
        (b"HTTP/1.0 302 \r\r\nContent-Type: text/html\r\r\n\r\r\nx", 302, "text/html", b"x"),
        (b"HTTP/2 404\r\nCONTENT-TYPE:text/plain\r\n\r\n", 404, "text/plain", b""),
        (b"ICY 200 OK\r\nContent-Type: audio/mpeg\r\n\r\nx", 200, "audio/mpeg", b"x"),
        (b"HTTP/1.1 abc\r\nContent-Type: text/html\r\n\r\nx", None, "text/html", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Type: text/plain\r\n\r\nx", 200, "text/html", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html;\r\n  charset=x\r\n\r\nx", 200, "text/html; charset=x", b"x"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\nContent-Type: a/b\r\n\r\nx", 200, "a/b", b"x"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Type: a/b", 200, "a/b", b""),
    ],
)
def test_heads(block: bytes, status: int | None, content_type: str, body: bytes) -> None:
    message = parse_message(block)
    assert message is not None
    assert (message.status, message.fields.get("content-type"), message.body) == (status, content_type, body)
    assert message.header_bytes == len(block) - len(body)


@pytest.mark.parametrize("block", [b"", b"<html>x", b"WARC/1.0\r\n\r\n", b"software: wget\r\n\r\n"])
def test_what_is_not_http(block: bytes) -> None:
    assert parse_message(block) is None


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (TEXT, {}),
        (TEXT, {"Content_Encoding": "identity"}),
        (chunked(TEXT), {"Transfer_Encoding": "chunked"}),
        (chunked(TEXT, line_end=b"\n"), {"Transfer_Encoding": "Chunked"}),
        (chunked(TEXT, extension=b";name=value"), {"Transfer_Encoding": "chunked"}),
        (chunked(TEXT, extension=b"   "), {"Transfer_Encoding": "chunked"}),
        (chunked(TEXT)[:-5], {"Transfer_Encoding": "chunked"}),
        (gzip.compress(TEXT, mtime=0), {"Content_Encoding": "gzip"}),
        (gzip.compress(TEXT[:50], mtime=0) + gzip.compress(TEXT[50:], mtime=0), {"Content_Encoding": "x-gzip"}),
        (zlib.compress(TEXT), {"Content_Encoding": "deflate"}),
        (zlib.compress(TEXT, wbits=-15), {"Content_Encoding": "deflate"}),
        (brotli.compress(TEXT), {"Content_Encoding": "br"}),
        (zstandard.compress(TEXT), {"Content_Encoding": "zstd"}),
        (gzip.compress(gzip.compress(TEXT, mtime=0), mtime=0), {"Content_Encoding": "gzip, gzip"}),
        (chunked(gzip.compress(TEXT, mtime=0), 7), {"Content_Encoding": "gzip", "Transfer_Encoding": "chunked"}),
        (chunked(gzip.compress(TEXT, mtime=0), 7), {"Transfer_Encoding": "gzip, chunked"}),
        (gzip.compress(TEXT, mtime=0)[:-8], {"Content_Encoding": "gzip"}),
    ],
)
def test_encodings_are_undone(body: bytes, fields: dict[str, str]) -> None:
    assert decoded(body, **fields) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "no-such-coding", "utf-8"])
def test_an_encoding_that_is_not_there_is_passed_over(encoding: str) -> None:
    assert decoded(TEXT, Content_Encoding=encoding) == TEXT


def test_a_body_that_is_not_chunked_is_taken_as_it_is() -> None:
    assert decoded(TEXT, Transfer_Encoding="chunked") == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_body_that_breaks_off_gives_what_came_before(encoding: str) -> None:
    noise = random.Random(0).randbytes(400_000)
    compress = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress}[encoding]
    found = decoded(compress(noise)[:-40], Content_Encoding=encoding)
    assert 0 < len(found) <= len(noise)
    assert noise.startswith(found)


def test_chunks_up_to_a_broken_one_are_taken() -> None:
    assert decoded(b"5\r\nhello\r\nzz\r\nworld\r\n0\r\n\r\n", Transfer_Encoding="chunked") == b"hello"
    assert decoded(b"ff\r\nhello", Transfer_Encoding="chunked") == b"hello"


@pytest.mark.parametrize("compress", [gzip.compress, brotli.compress, zstandard.compress])
def test_decoding_stops_one_byte_above_the_limit(compress) -> None:
    name = {"gzip": "gzip", "brotli": "br"}.get(compress.__module__.split(".")[0], "zstd")
    assert decoded(compress(b"a" * 1_000_000), limit=1000, Content_Encoding=name) == b"a" * 1001
