"""Decompression of archives member by member, with everything that cannot be decompressed reported.

Web archives compress each record on its own and concatenate the results (gzip members, zstd frames, lz4 frames), so
that one record can be read by its offset. The same layout makes damage local: after a member that cannot be
decompressed, reading goes on at the next place where a member starts *and* decompresses to the start of a record.

The members are split here and not by the WARC library, because fastwarc stops at the first damaged member, and stops
without an error at an empty member and at one that is cut off in its first bytes: what follows would be lost in
silence. Splitting costs one pass of zlib or zstd, which fastwarc would make too.

Memory: one read (1 MiB) of the file plus what one slice of compressed input decompresses to. Slices are cut relative to
the start of a member, so that what can be read of a damaged member does not depend on where reading began.

Source: the WARC-zstd draft of the IIPC for dictionaries (a skippable frame 0x184D2A5D at the head of the file).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

from pipeline.archive.compression import (
    COMPRESSIONS,
    DECODE_ERRORS,
    MAX_DICTIONARY_BYTES,
    Compression,
    compression_of,
    salvage,
    zstd_dictionary,
)
from pipeline.archive.window import READ_BYTES, Window

_MAX_RECORD_START_BYTES = 1 << 14
_ZSTD_DICTIONARY_FRAME = b"\x5d\x2a\x4d\x18"
_SKIPPABLE_FRAME = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18", re.DOTALL)


class Span(NamedTuple):
    """A run of decompressed bytes.

    Args:
        data: the bytes; never empty.
        member_offset: where the member that they come from starts, in bytes into the file; ``None`` in a file that
            is not compressed.
        starts_member: whether these are the first bytes of that member.
    """

    data: bytes
    member_offset: int | None
    starts_member: bool


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of the file that could not be read.

    Args:
        offset: where the damaged member starts, in bytes into the file.
        error_class: ``CorruptMember``, ``TruncatedMember``, ``GarbageBetweenMembers`` or ``CorruptDictionary``.
        message: what was found and what was expected.
    """

    offset: int
    error_class: str
    message: str


def iter_spans(stream: IO[bytes], starts_record: Callable[[bytes], bool]) -> Iterator[Span | Damage]:
    """Decompress ``stream`` from its beginning to its end; the arguments are those of ``Members``."""
    return Members(stream, starts_record).spans()


class Members:
    """The members of one file (gzip, zstd, lz4 by their magic bytes; otherwise the file as it is).

    Args:
        stream: a seekable binary stream at its beginning.
        starts_record: whether decompressed bytes begin a record; decides where reading goes on after damage.

    Raises:
        OSError: if the file itself cannot be read; likewise in the methods.
    """

    def __init__(self, stream: IO[bytes], starts_record: Callable[[bytes], bool]) -> None:
        self._window = Window(stream)
        self._starts_record = starts_record
        self._dictionary: bytes | None = None
        self._compression = compression_of(self._window.peek(4))
        if self._compression is None and not starts_record(self._window.peek(_MAX_RECORD_START_BYTES)):
            self._compression = _compression_behind_garbage(self._window.peek(READ_BYTES), starts_record)

    @property
    def are_compressed(self) -> bool:
        return self._compression is not None

    @property
    def offset(self) -> int:
        """How far the file has been read, in bytes."""
        return self._window.offset

    def spans(self, start: int = 0) -> Iterator[Span | Damage]:
        """Decompress the file from ``start``, in bytes into it, where a member starts.

        Returns:
            Spans in file order, with a ``Damage`` at each place where bytes had to be left out. The first span after
            a damage is the start of a member and of a record.
        """
        window, compression = self._window, self._compression
        if start:
            self._read_dictionary()
        if window.offset != start:
            window.rewind(start)
        if compression is None:
            yield from _plain_spans(window)
            return
        while window.peek(1):
            at = window.offset
            magic = window.peek(4)
            if compression.name == "zstd" and _SKIPPABLE_FRAME.match(magic):
                damage, self._dictionary = _skip_frame(window, self._dictionary, is_first=at == 0)
            elif not compression.magic.match(magic):
                damage = _garbage(at, magic, compression)
            else:
                damage = yield from _member_spans(window, compression, self._dictionary)
            if damage is not None:
                yield damage
                _resynchronise(window, at + 1, compression, self._dictionary, self._starts_record)

    def find(self, start: int, end: int | None) -> int | None:
        """Where reading would go on after damage at ``start - 1``, if that is before ``end``; compressed files only."""
        if self._compression is None:
            raise ValueError("a file that is not compressed has no members; look for records in it")
        self._read_dictionary()
        _resynchronise(self._window, start, self._compression, self._dictionary, self._starts_record, end)
        found = self._window.offset if self._window.peek(1) else None
        return found if found is None or end is None or found < end else None

    def _read_dictionary(self) -> None:
        """The dictionary at the head of a zstd file, for a reader that does not begin there."""
        self._window.rewind(0)
        is_zstd = self._compression is not None and self._compression.name == "zstd"
        if is_zstd and self._window.peek(4) == _ZSTD_DICTIONARY_FRAME:
            _, self._dictionary = _skip_frame(self._window, None, is_first=True)


def _compression_behind_garbage(head: bytes, starts_record: Callable[[bytes], bool]) -> Compression | None:
    """The compression of a file whose first bytes are damaged, by the first member in ``head`` that starts a record."""
    candidates = [
        (match.start(), compression) for compression in COMPRESSIONS for match in compression.magic.finditer(head)
    ]
    for at, compression in sorted(candidates, key=lambda candidate: candidate[0]):
        if starts_record(salvage(head[at : at + compression.probe_bytes], compression, None)):
            return compression
    return None


def _plain_spans(window: Window) -> Iterator[Span]:
    while data := window.peek(READ_BYTES):
        window.advance(len(data))
        yield Span(data, None, False)


def _garbage(start: int, magic: bytes, compression: Compression) -> Damage:
    return Damage(start, "GarbageBetweenMembers", f"found bytes {magic.hex(' ')}, expected a {compression.name} member")


def _member_spans(
    window: Window, compression: Compression, dictionary: bytes | None
) -> Generator[Span, None, Damage | None]:
    """Spans of the member at the cursor; the generator's value is the damage met, and the cursor is behind it."""
    start = window.offset
    decoder = compression.decoder(dictionary)
    starts_member = True
    while not decoder.eof:
        data = window.peek(compression.slice_bytes)
        if not data:
            found = f"{compression.name} member ends after {window.offset - start} bytes, expected its end mark"
            return Damage(start, "TruncatedMember", found)
        try:
            decoded = decoder.decompress(data)
        except DECODE_ERRORS as error:
            if window.offset == start and (salvaged := salvage(data, compression, dictionary)):
                yield Span(salvaged, start, True)
            message = f"{compression.name} member cannot be decompressed ({error}), expected intact data"
            return Damage(start, "CorruptMember", message)
        window.advance(len(data) - len(decoder.unused_data))
        if decoded:
            yield Span(decoded, start, starts_member)
            starts_member = False
    return None


def _skip_frame(window: Window, dictionary: bytes | None, *, is_first: bool) -> tuple[Damage | None, bytes | None]:
    """Pass a skippable zstd frame; returns the damage met, and the dictionary from here on."""
    start = window.offset
    head = window.peek(8)
    size = int.from_bytes(head[4:], "little")
    is_dictionary = is_first and head.startswith(_ZSTD_DICTIONARY_FRAME)
    if is_dictionary and size > MAX_DICTIONARY_BYTES:
        message = f"zstd dictionary of {size} bytes, expected at most {MAX_DICTIONARY_BYTES}"
        return Damage(start, "CorruptDictionary", message), dictionary
    window.advance(len(head))
    content = bytearray()
    left = size
    while left and (data := window.peek(min(left, READ_BYTES))):
        if is_dictionary:
            content += data
        window.advance(len(data))
        left -= len(data)
    if left or len(head) < 8:
        return Damage(start, "TruncatedMember", f"skippable zstd frame lacks {left} of {size} bytes"), dictionary
    if not is_dictionary:
        return None, dictionary
    try:
        return None, zstd_dictionary(bytes(content))
    except DECODE_ERRORS as error:
        message = f"zstd dictionary cannot be used ({error}), expected one; what is compressed with it cannot be read"
        return Damage(start, "CorruptDictionary", message), dictionary


def _resynchronise(
    window: Window,
    start: int,
    compression: Compression,
    dictionary: bytes | None,
    starts_record: Callable[[bytes], bool],
    end: int | None = None,
) -> None:
    """Move the cursor to the first member at or after ``start`` whose content starts a record, or to the end.

    With ``end``, the search is given up there: the cursor is then at or behind it.
    """
    window.rewind(start)
    while len(data := window.peek(READ_BYTES)) >= 4:
        if end is not None and window.offset >= end:
            return
        for match in compression.magic.finditer(data):
            candidate = window.peek(match.start() + compression.probe_bytes)[match.start() :]
            if starts_record(salvage(candidate, compression, dictionary)):
                window.advance(match.start())
                return
        window.advance(len(data) - 3)  # a magic number may lie across the cut
    window.advance(len(window.peek(4)))
