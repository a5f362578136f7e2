"""Cuts decompressed bytes into records, with every byte that is not part of a record accounted for.

``Framer`` cuts them into records by ``Content-Length`` (ARC: by the last field of the header
line) and checks each cut: behind the block there must be the next record, the next member, or the end. Where there
is not, it looks inside the block for the record that a wrong length swallowed, and goes on there. Whatever cannot be
read comes out as a ``BrokenRecord``. fastwarc, which the tests hold this against record by record on intact archives,
ends at the first record that is malformed.

One pass. Memory is one block, of which at most ``max_block_bytes`` are kept, plus one span of decompressed bytes. A
record that a wrong length *above* ``max_block_bytes`` swallowed, in a file that is not compressed record by record,
is not found again: it counts as part of the broken record, whose message gives the bytes it spans.

Source: ISO 28500:2017 (WARC 1.1), sections 4 and 5 and Annex A (record-at-a-time compression).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from pipeline.archive import headers
from pipeline.archive.damage import Damage
from pipeline.archive.headers import Fields
from pipeline.archive.record import BrokenRecord, Record, record_of
from pipeline.archive.run import Run

_SHOWN_BYTES = 40
_MAX_VAIN = 8  # tries in a row, after which no more members are tried to be taken whole

Kind = Literal["warc", "arc"]
_PATTERNS: dict[Kind | None, re.Pattern[bytes]] = {
    "warc": headers.NEXT_WARC,
    "arc": headers.NEXT_ARC,
    None: headers.NEXT_ANY,
}


class _Header(NamedTuple):
    """A readable header and where it lies in its run."""

    fields: Fields
    start: int
    end: int
    offset: int
    block_bytes: int


class Framer:
    """Cuts runs into records; numbers the events of each offset.

    Args:
        max_block_bytes: how much of a block is kept.
        kind: what the records before this one were, if that is known.
        end: offset in the file; a record that starts there or behind it is left to another reader.
    """

    def __init__(self, max_block_bytes: int, kind: Kind | None = None, end: int | None = None) -> None:
        self._max_block_bytes = max_block_bytes
        self._end = end
        self._numbered_offset = -1
        self._index = 0
        self._next_record = _PATTERNS[kind]  # narrowed by the first record: a file is WARC or ARC, not both
        self._num_vain = 0  # how often in a row no member could be taken whole
        self.damage_is_reported = False  # whether a broken record already tells of the run's damage
        self.stopped_at: int | None = None  # offset of the first record that was left to another reader

    @property
    def kind(self) -> Kind | None:
        """What the records so far were; ``None`` if there was none."""
        return next(kind for kind, pattern in _PATTERNS.items() if pattern is self._next_record)

    def broken(self, offset: int, fields: Mapping[str, str], error_class: str, message: str) -> BrokenRecord:
        return BrokenRecord(offset, self._number(offset), fields, error_class, message)

    def records(self, run: Run) -> Iterator[Record | BrokenRecord]:
        """All records of a run."""
        self.damage_is_reported = False
        position = run.start
        while True:
            position = run.drop_line_ends(position)
            if self._may_take_members and run.back_to_member(position):
                yield from self._records_of_members(run)
                position = run.drop_line_ends(position)
            if not run.fill(position):
                return
            if self._end is not None and self.starts_split(run, position, self._end):
                self.stopped_at = run.offset_of(position)
                return
            header = self._header(run, position)
            event: Record | BrokenRecord
            if header is None:
                event, position = self._unframed(run, position)
            else:
                event, position = self._framed(run, header)
            yield event

    @property
    def _may_take_members(self) -> bool:
        return self._next_record is not headers.NEXT_ARC and self._num_vain < _MAX_VAIN

    def _records_of_members(self, run: Run) -> Iterator[Record]:
        """The records that the next members are, up to a member that is not one as the standard recommends.

        Nearly all are. What comes out is what the general way gives, which takes 1.6 times the instructions; wherever
        this way is not sure, it leaves the member to that one. In a file that is made otherwise it is soon given up.
        """
        self._num_vain += 1
        while (member := run.take(self._max_block_bytes)) is not None:
            is_ours = self._end is None or member.offset < self._end
            record = record_of(member, self._max_block_bytes) if is_ours else None
            if record is None:
                run.give_back(member)
                return
            self._num_vain = 0
            self._next_record = headers.NEXT_WARC
            record.index = self._number(member.offset)
            yield record

    def starts_split(self, run: Run, position: int, start: int) -> bool:
        """Whether a reader that looks for the first record from the offset ``start`` on may begin at ``position``.

        In a compressed file that is a member that begins a record; in others, anything that looks like its first line.
        """
        if run.offset_of(position) < start:
            return False
        if run.is_compressed:
            return run.next_member(position, position + 1) is not None
        run.fill(position + headers.MAX_ARC_LINE_BYTES)
        if self._next_record is not headers.NEXT_ARC and run.match(headers.NEXT_WARC, position):
            return True
        return self._next_record is not headers.NEXT_WARC and run.match(headers.ARC_START, position) is not None

    def has_header(self, run: Run, position: int) -> bool:
        """Whether a readable header stands at ``position``."""
        return self._header(run, position) is not None

    def _number(self, offset: int) -> int:
        self._index = self._index + 1 if offset == self._numbered_offset else 0
        self._numbered_offset = offset
        return self._index

    def _header(self, run: Run, position: int) -> _Header | None:
        """The header at ``position``, ``None`` if there is no readable one."""
        run.fill(position + 5)
        end: int | None
        if run.match(headers.WARC_START, position) and self._next_record is not headers.NEXT_ARC:
            end = run.find_end(headers.HEADER_END, position, headers.MAX_HEADER_BYTES)
            fields = Fields(run.slice(position, end) if end is not None else b"")
            kind = headers.NEXT_WARC
        else:
            run.fill(position + headers.MAX_ARC_LINE_BYTES)
            line = run.match(headers.ARC_START, position)
            if line is None or self._next_record is headers.NEXT_WARC:
                return None
            end = line.end() + run.start
            parsed = headers.arc_fields(line)
            run.fill(end + 4)
            if run.slice(end, end + 5) == b"HTTP/":
                parsed["content-type"] = "application/http; msgtype=response"
            fields = Fields(b"", parsed=parsed)
            kind = headers.NEXT_ARC
        block_bytes = fields.block_bytes
        if end is None or block_bytes is None or not fields.record_type:
            return None
        self._next_record = kind
        return _Header(fields, position, end, run.offset_of(position), block_bytes)

    def _framed(self, run: Run, header: _Header) -> tuple[Record | BrokenRecord, int]:
        """The record behind a readable header, and the position after it."""
        block_end = header.end + header.block_bytes
        kept_end = min(block_end, header.end + self._max_block_bytes)
        run.fill(kept_end - 1)
        block = run.slice(header.end, kept_end)
        found_end, next_member = run.pass_block(header.end, block_end, min(kept_end, run.end))
        if found_end < block_end:
            return self._short(run, header, found_end, next_member)
        if not run.ends_cleanly(block_end) and kept_end == block_end:
            swallowed = run.search(self._next_record, header.end, block_end)
            if swallowed is not None:
                return self._wrong_length(header, swallowed)
        damage = self._damage_of_member(run, block_end)
        if damage is not None:
            return self._hit_by_damage(damage, header, header.block_bytes), run.end
        index = self._number(header.offset)
        return Record(header.offset, index, header.fields, header.block_bytes, block, 0, len(block)), block_end

    def _short(self, run: Run, header: _Header, end: int, next_member: int | None) -> tuple[BrokenRecord, int]:
        """A record whose block ends early: at the next member, at damage, or at the end of the file."""
        swallowed = run.search(self._next_record, max(header.end, run.start), end)
        if swallowed is not None:
            return self._wrong_length(header, swallowed)
        if next_member is None and run.damage is not None:
            return self._hit_by_damage(run.damage, header, end - header.end), end
        message = f"block ends after {end - header.end} bytes, expected Content-Length {header.block_bytes}"
        return self.broken(header.offset, header.fields, "TruncatedRecord", message), end

    def _wrong_length(self, header: _Header, swallowed: int) -> tuple[BrokenRecord, int]:
        message = f"next record found {swallowed - header.end} bytes behind the header, expected Content-Length "
        broken = self.broken(header.offset, header.fields, "WrongLength", f"{message}{header.block_bytes}")
        return broken, swallowed

    def _damage_of_member(self, run: Run, block_end: int) -> Damage | None:
        """The damage that ended the run, if it hit the member of the record that ends at ``block_end``.

        The checksum of a member covers all of it: a record that was read to its end may still be damaged. Records
        before the last one of a damaged member are believed, as they have left already.
        """
        if run.damage is None or run.damage.offset != run.offset_of(block_end - 1):
            return None
        return run.damage if run.search(self._next_record, block_end, run.end) is None else None

    def _hit_by_damage(self, damage: Damage, header: _Header, read_bytes: int) -> BrokenRecord:
        self.damage_is_reported = True
        message = f"{damage.message} (member at byte {damage.offset}); read {read_bytes} of {header.block_bytes} bytes"
        return self.broken(header.offset, header.fields, damage.error_class, message)

    def _unframed(self, run: Run, position: int) -> tuple[BrokenRecord, int]:
        """The bytes from ``position`` up to the next start of a record."""
        offset = run.offset_of(position)
        run.fill(position + headers.MAX_ARC_LINE_BYTES)  # else what is held would decide what the row says
        head = run.slice(position, position + headers.MAX_ARC_LINE_BYTES)
        is_header = headers.starts_record(head)
        scanned = position + 1
        while (end := run.next_start(self._next_record, scanned)) is None:
            scanned = max(scanned, run.end - headers.MAX_ARC_LINE_BYTES)
            run.drop(scanned - 1)
            if not run.fill(run.end):
                end = run.end
                break
        head = head[: end - position]
        shown = head[:_SHOWN_BYTES]
        fields = headers.parse_fields(head) if is_header else {}
        if end == run.end and run.damage is not None:
            self.damage_is_reported = True
            message = (
                f"{run.damage.message} (member at byte {run.damage.offset}); read {end - position} bytes {shown!r}…"
            )
            return self.broken(offset, fields, run.damage.error_class, message), end
        if is_header:
            message = f"found header {shown!r}…, expected one with WARC-Type, Content-Length and an end"
            return self.broken(offset, fields, "MalformedHeader", message), end
        is_archive = self._next_record is not headers.NEXT_ANY or end < run.end
        error_class = "GarbageBetweenRecords" if is_archive else "NotAnArchive"
        message = f"found {end - position} bytes {shown!r}…, expected a record (WARC/1.x or an ARC header line)"
        return self.broken(offset, {}, error_class, message), end
