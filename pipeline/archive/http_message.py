"""HTTP messages as archives hold them: status, fields, and the body with its encodings undone.

Archives hold what crawlers stored, and crawlers differ: some store the bytes of the wire, some undo an encoding and
leave its header field. So an encoding that turns out not to be there is passed over and the bytes are taken as they
are; one that breaks off in the middle gives what came before, as in a browser. Neither is an error; what is not text
afterwards is ended by its content type.

Chunks are read here because fastwarc's ``ChunkedReader`` refuses chunk extensions, padded sizes and LF line ends,
all of which occur, and gives nothing of a body that breaks off. gzip and deflate are zlib's, brotli is fastwarc's,
zstd is zstandard's.

Source: RFC 9110, section 8.4 (content codings); RFC 9112, section 7 (transfer codings); deflate without the zlib
wrapper as in every browser.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable
from typing import Any

import zstandard
from fastwarc.stream_io import BrotliReader

from pipeline.archive.headers import Fields

_STATUS_LINE = re.compile(rb"[A-Z]{3,5}(?:/\d(?:\.\d)?)?[ \t]+(\d{3})(?!\d)[^\r\n]*")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})[ \t]*(?:;[^\n]{0,4096})?\r?\n")
_STEP_BYTES = 1 << 16
_MAX_ZSTD_WINDOW_BYTES = 1 << 27


class HttpMessage:
    """A response as stored. What it holds is cut out when it is asked for.

    Args:
        status: ``None`` where the status line has none.
        fields: of its header, by lower-cased name.
        data: bytes that hold the message.
        start, body_start, end: where in ``data`` it begins, where its body does, and where it ends.
    """

    __slots__ = ("_body_start", "_data", "_end", "_start", "fields", "status")

    def __init__(self, status: int | None, fields: Fields, data: bytes, start: int, body_start: int, end: int) -> None:
        self.status = status
        self.fields = fields
        self._data = data
        self._start = start
        self._body_start = body_start
        self._end = end

    @property
    def header(self) -> bytes:
        """The header, status line and blank line included."""
        return self._data[self._start : self._body_start]

    @property
    def header_bytes(self) -> int:
        return self._body_start - self._start

    @property
    def body(self) -> bytes:
        """The bytes behind the header, encodings not undone."""
        return self._data[self._body_start : self._end]


def parse_message(data: bytes, start: int = 0, end: int | None = None) -> HttpMessage | None:
    """Take the content block ``data[start:end]`` apart; ``None`` if it does not begin with an HTTP status line."""
    end = len(data) if end is None else end
    status_line = _STATUS_LINE.match(data, start, end)
    if status_line is None and not data.startswith(b"HTTP/", start, end):
        return None
    status = int(status_line.group(1)) if status_line else None
    fields = Fields(data, start, end)
    return HttpMessage(status, fields, data, start, fields.end or end, end)


def decode_body(message: HttpMessage, max_bytes: int) -> bytes:
    """The body with transfer and content encodings undone.

    Args:
        message: as ``parse_message`` returns it.
        max_bytes: decoding stops after one byte more than this many.
    """
    body = message.body
    content, transfer = message.fields.find("content-encoding"), message.fields.find("transfer-encoding")
    if content is None and transfer is None:
        return body
    codings = f"{content or ''},{transfer or ''}".split(",")
    for coding in reversed(codings):
        decode = _DECODERS.get(coding.strip().lower())
        if decode is not None:
            body = decode(body, max_bytes + 1)
    return body


def _unchunk(body: bytes, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    position = num_bytes = 0
    while num_bytes < max_bytes:
        match = _CHUNK_SIZE.match(body, position)
        if match is None:
            break
        size = int(match.group(1), 16)
        if size == 0:
            return b"".join(parts)
        part = body[match.end() : match.end() + size]
        parts.append(part)
        num_bytes += len(part)
        position = match.end() + size
        position += (
            2 if body[position : position + 2] == b"\r\n" else 1 if body[position : position + 1] == b"\n" else 0
        )
    return b"".join(parts) if parts else body


def _inflate(body: bytes, max_bytes: int) -> bytes:
    """gzip, zlib or bare deflate, whichever it is; members one after the other are all read."""
    for window_bits in (47, -15):
        decoded = bytearray()
        rest = body
        while rest and len(decoded) < max_bytes:
            decoder = zlib.decompressobj(wbits=window_bits)
            try:
                decoded += decoder.decompress(rest, max_bytes - len(decoded))
            except zlib.error:
                decoded += _inflate_in_steps(rest, window_bits, max_bytes - len(decoded))
                break
            rest = decoder.unused_data if decoder.eof else b""
        if decoded:
            return bytes(decoded)
    return body


def _inflate_in_steps(body: bytes, window_bits: int, max_bytes: int) -> bytes:
    """What inflates before an error."""
    decoder = zlib.decompressobj(wbits=window_bits)
    decoded = bytearray()
    for at in range(0, len(body), 64):
        try:
            decoded += decoder.decompress(body[at : at + 64])
        except zlib.error:
            break
        if len(decoded) >= max_bytes:
            break
    return bytes(decoded[:max_bytes])


def _read_stream(
    open_stream: Callable[[io.BytesIO], Any], errors: tuple[type[Exception], ...]
) -> Callable[[bytes, int], bytes]:
    def decode(body: bytes, max_bytes: int) -> bytes:
        stream = open_stream(io.BytesIO(body))
        decoded = bytearray()
        while len(decoded) < max_bytes:
            try:
                part = stream.read(min(_STEP_BYTES, max_bytes - len(decoded)))
            except errors:
                break
            if not part:
                break
            decoded += part
        return bytes(decoded) if decoded else body

    return decode


def _open_zstd(stream: io.BytesIO) -> Any:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW_BYTES)
    return decompressor.stream_reader(stream, read_across_frames=True)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "chunked": _unchunk,
    "gzip": _inflate,
    "x-gzip": _inflate,
    "deflate": _inflate,
    "br": _read_stream(BrotliReader, (OSError,)),
    "zstd": _read_stream(_open_zstd, (zstandard.ZstdError,)),
}
