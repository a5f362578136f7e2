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

from collections.abc import Callable, Generator, Iterator
from typing import IO, NamedTuple

from pipeline.archive.compression import COMPRESSIONS, DECODE_ERRORS, Compression, compression_of, salvage
from pipeline.archive.damage import Damage
from pipeline.archive.skippable_frame import DICTIONARY_FRAME, SKIPPABLE_FRAME, skip_frame
from pipeline.archive.window import READ_BYTES, Window

_MAX_RECORD_START_BYTES = 1 << 14


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


class Member(NamedTuple):
    """All that a member decompresses to, and where it starts in the file."""

    data: bytes
    offset: int


def iter_spans(stream: IO[bytes], starts_record: Callable[[bytes], bool]) -> Iterator[Span | Damage]:
    """Decompress ``stream`` from its beginning to its end; the arguments are those of ``Members``."""
    return iter(Members(stream, starts_record))


class Members:
    """The members of one file (gzip, zstd, lz4 by their magic bytes; otherwise the file as it is).

    Iterating decompresses the file from its beginning, or from where ``seek`` went, and gives spans in file order, with
    a ``Damage`` at each place where bytes had to be left out. The first span after a damage is the start of a member
    and of a record. ``take`` gives members whole instead, as long as there is nothing wrong with them.

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
        if self._window.peek(4) == DICTIONARY_FRAME:
            _, self._dictionary = skip_frame(self._window, None, is_first=True)
        self.seek(0)

    @property
    def are_compressed(self) -> bool:
        return self._compression is not None

    @property
    def offset(self) -> int:
        """How far the file has been read, in bytes."""
        return self._window.offset

    def __iter__(self) -> Iterator[Span | Damage]:
        return self

    def __next__(self) -> Span | Damage:
        return next(self._spans)

    def seek(self, offset: int) -> None:
        """Go on at ``offset``, in bytes into the file, where a member starts."""
        self._window.rewind(offset)
        self._following: Member | None = None  # taken already, to know that it begins a record
        self._spans = self._read_on()

    def _read_on(self) -> Iterator[Span | Damage]:
        window, compression = self._window, self._compression
        if compression is None:
            yield from _plain_spans(window)
            return
        while window.peek(1):
            at = window.offset
            magic = window.peek(4)
            if compression.name == "zstd" and SKIPPABLE_FRAME.match(magic):
                damage, self._dictionary = skip_frame(window, self._dictionary, is_first=at == 0)
            elif not compression.magic.match(magic):
                damage = _garbage(at, magic, compression)
            else:
                damage = yield from _member_spans(window, compression, self._dictionary)
            if damage is not None:
                yield damage
                _resynchronise(window, at + 1, compression, self._dictionary, self._starts_record)

    def take(self, max_bytes: int) -> Member | None:
        """The member at the cursor, which is where ``seek`` or the last member taken left it.

        Returns:
            ``None``, and the cursor stays, unless the member is intact, at most ``max_bytes`` long, begins a record,
            and is followed by a member that begins one, or by the end of the file.
        """
        member = self._following or self._whole(max_bytes)
        if member is None:
            return None
        self._following = self._whole(max_bytes)
        if self._following is None and self._window.peek(1) and not self._begins_record():
            self.seek(member.offset)
            return None
        return member

    def _whole(self, max_bytes: int) -> Member | None:
        """The member at the window's cursor; ``None``, and the cursor stays, if anything is wrong with it."""
        window, compression = self._window, self._compression
        offset = window.offset
        data = b"" if compression is None else window.peek(compression.slice_bytes)
        if compression is None or not compression.magic.match(data):
            return None
        decoder = compression.decoder(self._dictionary)
        parts: list[bytes] = []
        num_bytes = 0
        while data and num_bytes <= max_bytes:
            try:
                decoded = decoder.decompress(data)
            except DECODE_ERRORS:
                break
            if not parts and not self._starts_record(decoded):
                break
            window.advance(len(data) - len(decoder.unused_data))
            parts.append(decoded)
            if decoder.eof:
                return Member(parts[0] if len(parts) == 1 else b"".join(parts), offset)
            num_bytes += len(decoded)
            data = window.peek(compression.slice_bytes)
        window.rewind(offset)
        return None

    def _begins_record(self) -> bool:
        """Whether what can be decompressed of the member at the window's cursor begins a record."""
        compression = self._compression
        return compression is not None and self._starts_record(
            salvage(self._window.peek(compression.probe_bytes), compression, self._dictionary)
        )

    def find(self, start: int, end: int | None) -> int | None:
        """Where reading would go on after damage at ``start - 1``, if that is before ``end``; compressed files only."""
        if self._compression is None:
            raise ValueError("a file that is not compressed has no members; look for records in it")
        _resynchronise(self._window, start, self._compression, self._dictionary, self._starts_record, end)
        found = self._window.offset if self._window.peek(1) else None
        return found if found is None or end is None or found < end else None


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
