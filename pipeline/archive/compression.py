"""What gzip, zstd and lz4 archives are made of: magic bytes, decoders, and how much one step may decompress to.

Every decoder has the push interface of ``zlib.decompressobj``: ``decompress(data)``, ``eof``, ``unused_data``. It
decodes one member (gzip member, zstd or lz4 frame) and hands back what follows it.

The slice of compressed input that is decompressed in one step bounds memory: 8 KiB for gzip (deflate expands at most
1,032-fold: 9 MB), 64 KiB for lz4 (255-fold), 8 KiB for zstd, whose blocks of 4 bytes may stand for 128 KiB. An lz4
frame is held whole, up to 256 MiB, because neither fastwarc nor pyarrow says where in its input a frame ended.

Source: RFC 1952 (gzip), RFC 8878 (zstd), the lz4 frame format 1.6; the IIPC's draft "Zstandard Compression for WARC
Files 1.0" for the dictionary of a file.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import zstandard
from fastwarc.stream_io import Lz4Reader
from zlib_ng import zlib_ng

_MAX_LZ4_FRAME_BYTES = 1 << 28
_SALVAGE_STEP_BYTES = 64
_MAX_ZSTD_WINDOW_BYTES = 1 << 27
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_DICTIONARY_MAGIC = b"\x37\xa4\x30\xec"
_DICTIONARY_STEP_BYTES = 1 << 13

MAX_DICTIONARY_BYTES = 1 << 26
"""Of a zstd dictionary, as it lies in the file and decompressed; real ones have about 1 MiB."""


class Decoder(Protocol):
    """The push interface that zlib and zstandard share."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class DecompressionError(ValueError):
    """An lz4 frame or a zstd dictionary that cannot be decoded."""


_GZIP_ERROR: type[Exception] = zlib_ng.error  # type: ignore[assignment]  # its stub takes the class for an instance
DECODE_ERRORS = (_GZIP_ERROR, zstandard.ZstdError, DecompressionError, OSError)
"""What ``decompress`` raises on damaged input (fastwarc raises OSError)."""


@dataclass(frozen=True)
class Compression:
    """One compression format.

    Args:
        name: ``gzip``, ``zstd`` or ``lz4``.
        magic: matches where a member may start.
        slice_bytes: compressed bytes to decompress in one step.
        probe_bytes: compressed bytes within which the first decompressed ones come out.
        decoder: makes the decoder of one member; the argument is the zstd dictionary of the file, if it has one.
    """

    name: str
    magic: re.Pattern[bytes]
    slice_bytes: int
    probe_bytes: int
    decoder: Callable[[bytes | None], Any]


def _gzip_decoder(_: bytes | None) -> Decoder:
    return zlib_ng.decompressobj(wbits=31)


def zstd_decoder(dictionary: bytes | None) -> Any:
    """A ``Decoder`` of one zstd frame; refuses windows above 128 MiB, as the zstd command line does."""
    trained = _loaded(dictionary) if dictionary else None
    decompressor = zstandard.ZstdDecompressor(dict_data=trained, max_window_size=_MAX_ZSTD_WINDOW_BYTES)
    return decompressor.decompressobj(read_across_frames=False)


def zstd_dictionary(content: bytes) -> bytes:
    """The dictionary in a dictionary frame, which may be compressed.

    Raises:
        DecompressionError: if it is no whole dictionary, or a larger one than ``MAX_DICTIONARY_BYTES``.
        zstandard.ZstdError: if it or its tables are damaged.
    """
    if content.startswith(_ZSTD_MAGIC):
        content = _unpacked_dictionary(content)
    if not content.startswith(_ZSTD_DICTIONARY_MAGIC):
        found = content[: len(_ZSTD_DICTIONARY_MAGIC)].hex(" ") or "nothing"
        raise DecompressionError(f"it begins with {found}, not with {_ZSTD_DICTIONARY_MAGIC.hex(' ')}")
    zstd_decoder(content)  # reads its tables
    return content


def _unpacked_dictionary(content: bytes) -> bytes:
    decoder = zstd_decoder(None)
    unpacked = bytearray()
    for at in range(0, len(content), _DICTIONARY_STEP_BYTES):
        unpacked += decoder.decompress(content[at : at + _DICTIONARY_STEP_BYTES])
        if len(unpacked) > MAX_DICTIONARY_BYTES:
            raise DecompressionError(f"it is longer than {MAX_DICTIONARY_BYTES} bytes")
        if decoder.eof:
            return bytes(unpacked)
    raise DecompressionError("its frame has no end")


@functools.lru_cache(maxsize=2)
def _loaded(dictionary: bytes) -> zstandard.ZstdCompressionDict:
    """The dictionary with its tables, which are made once and not for each of a file's frames."""
    return zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_FULLDICT)


class _Lz4Decoder:
    """Collects one lz4 frame by walking its block sizes, then decodes it with fastwarc."""

    def __init__(self) -> None:
        self.eof = False
        self.unused_data = b""
        self._frame = bytearray()
        self._next_block: int | None = None  # position of the next block's size; None before the header is complete

    def decompress(self, data: bytes, /) -> bytes:
        self._frame += data
        end = self._frame_end()
        if end is None:
            if len(self._frame) > _MAX_LZ4_FRAME_BYTES:
                raise DecompressionError(f"lz4 frame longer than {_MAX_LZ4_FRAME_BYTES} bytes")
            return b""
        self.eof = True
        self.unused_data = bytes(self._frame[end:])
        decoded = Lz4Reader(io.BytesIO(bytes(self._frame[:end]))).read()
        self._frame.clear()
        return decoded

    def _frame_end(self) -> int | None:
        """Position after the frame's last byte, ``None`` while it is incomplete."""
        frame = self._frame
        if self._next_block is None:
            if len(frame) < 7:
                return None
            flags = frame[4]
            self._next_block = 7 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
        flags = frame[4]
        while self._next_block + 4 <= len(frame):
            size = int.from_bytes(frame[self._next_block : self._next_block + 4], "little")
            if size == 0:
                end = self._next_block + 4 + (4 if flags & 0x04 else 0)
                return end if end <= len(frame) else None
            self._next_block += 4 + (size & 0x7FFFFFFF) + (4 if flags & 0x10 else 0)
        return None


def _lz4_decoder(_: bytes | None) -> Decoder:
    return _Lz4Decoder()


def compression_of(head: bytes) -> Compression | None:
    """The compression whose magic bytes ``head`` (4 bytes or more) starts with."""
    return next((known for known in COMPRESSIONS if known.magic.match(head)), None)


def salvage(data: bytes, compression: Compression, dictionary: bytes | None) -> bytes:
    """What decompresses before the damage: enough, as a rule, to say which record was hit."""
    decoder = compression.decoder(dictionary)
    decoded = bytearray()
    for at in range(0, len(data), _SALVAGE_STEP_BYTES):
        try:
            decoded += decoder.decompress(data[at : at + _SALVAGE_STEP_BYTES])
        except DECODE_ERRORS:
            break
        if decoder.eof:
            break
    return bytes(decoded)


COMPRESSIONS = (
    Compression("gzip", re.compile(rb"\x1f\x8b\x08[\x00-\x1f]", re.DOTALL), 1 << 13, 1 << 12, _gzip_decoder),
    Compression(
        "zstd", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", re.DOTALL), 1 << 13, 1 << 18, zstd_decoder
    ),
    Compression("lz4", re.compile(rb"\x04\x22\x4d\x18", re.DOTALL), 1 << 16, 1 << 22, _lz4_decoder),
)
