"""The decompressed bytes between two damages, as a buffer that grows at its end and is consumed from its start.

Positions count decompressed bytes from the start of the run; in a file that is not compressed, which is one run, they
are offsets in the file.
"""

from __future__ import annotations

import re
from collections import deque

from pipeline.archive.damage import Damage
from pipeline.archive.headers import MAX_ARC_LINE_BYTES, WARC_START, starts_record
from pipeline.archive.members import Member, Members, Span

_NEWLINE = 0x0A
_MAX_LINE_ENDS_BYTES = 1 << 12
_LINE_ENDS = re.compile(rb"[\r\n]*")


class Run:
    """A window on the decompressed bytes up to the next damage or the end of the file.

    Args:
        members: read on from where they are.
        start: position of the first byte; in a file that is not compressed, its offset.
    """

    def __init__(self, members: Members, start: int = 0) -> None:
        self._source = members
        self._buffer = bytearray()
        self._ended = False
        self._members: deque[tuple[int, int, bool]] = deque()  # position, offset in the file, begins a record
        self.start = start
        """Position of the first byte that is still held."""
        self.damage: Damage | None = None
        """What ended the run; ``None`` before its end, and at the end of the file."""

    @property
    def end(self) -> int:
        """Position after the last byte that is held."""
        return self.start + len(self._buffer)

    @property
    def is_compressed(self) -> bool:
        """Whether the bytes held come from members."""
        return bool(self._members)

    def fill(self, position: int) -> bool:
        """Read on until the byte at ``position`` is held; false if the run ends before it."""
        while self.start + len(self._buffer) <= position:
            event = None if self._ended else next(self._source, None)
            if not isinstance(event, Span):
                self._ended = True
                self.damage = event or self.damage
                return False
            if event.starts_member and event.member_offset is not None:
                self._members.append((self.end, event.member_offset, starts_record(event.data)))
            self._buffer += event.data
        return True

    def back_to_member(self, position: int) -> bool:
        """Forget all that is held, if that is a member that begins a record, from its start at ``position`` on.

        Returns:
            Whether it is so; then ``take`` gives that member.
        """
        if self._ended or not self._members:
            return False
        start, offset, begins_record = self._members[-1]
        if not begins_record or not start == position == self.start:
            return False
        self._buffer.clear()
        self._members.clear()
        self._source.seek(offset)
        return True

    def take(self, max_bytes: int) -> Member | None:
        """As ``Members.take``. Positions do not count what is taken."""
        return self._source.take(max_bytes)

    def give_back(self, member: Member) -> None:
        """Have the member that was taken last be read again."""
        self._source.seek(member.offset)

    def drop(self, position: int) -> None:
        """Forget what lies before ``position``; at most all that is held."""
        position = min(position, self.end)
        del self._buffer[: position - self.start]
        self.start = position
        while len(self._members) > 1 and self._members[1][0] <= position:
            self._members.popleft()

    def slice(self, start: int, end: int) -> bytes:
        """Bytes in ``[start, end)``, as far as they are held."""
        with memoryview(self._buffer) as view:
            return bytes(view[start - self.start : end - self.start])

    def match(self, pattern: re.Pattern[bytes], position: int) -> re.Match[bytes] | None:
        """Match ``pattern`` at ``position``; positions in the match count from ``start``."""
        return pattern.match(self._buffer, position - self.start)

    def skip_line_ends(self, position: int) -> int:
        """Position of the first byte from ``position`` on that is not a line end, of what is held."""
        match = _LINE_ENDS.match(self._buffer, position - self.start)
        return match.end() + self.start if match else position

    def drop_line_ends(self, position: int) -> int:
        """As ``skip_line_ends``, however many follow; forgets what lies before the position returned."""
        self.drop(position)
        while self.fill(position):
            position = self.skip_line_ends(position)
            self.drop(position)
            if position < self.end:
                break
        return position

    def ends_cleanly(self, position: int) -> bool:
        """Whether a record or the end of the run follows ``position``, line ends apart."""
        limit = position + _MAX_LINE_ENDS_BYTES
        while position < limit and self.fill(position):
            position = self.skip_line_ends(position)
            if position < self.end:
                self.fill(position + 5)
                if self.match(WARC_START, position):
                    return True
                self.fill(position + MAX_ARC_LINE_BYTES)
                return starts_record(self.slice(position, position + MAX_ARC_LINE_BYTES))
        return True

    def pass_block(self, start: int, end: int, passed: int) -> tuple[int, int | None]:
        """Go over the part of a block that is not kept, from ``passed`` to ``end``, and forget it.

        Returns:
            Where the block really ends, and the position of the member that begins a record inside it, if one does.
        """
        while True:
            member = self.next_member(start, min(end, self.end))
            if member is not None:
                return member, member
            if passed >= end or not self.fill(passed):
                return min(passed, end), None
            if passed > start:
                self.drop(passed)
            passed = min(end, self.end)

    def search(self, next_record: re.Pattern[bytes], start: int, end: int) -> int | None:
        """First position in ``[start, end)`` at which a record begins; the pattern may match a newline before it."""
        match = next_record.search(self._buffer, max(0, start - 1 - self.start))
        while match:
            position = match.start() + self.start + (match.string[match.start()] == _NEWLINE)
            if position >= start:
                return position if position < end else None
            match = next_record.search(self._buffer, match.end())
        return None

    def find_end(self, pattern: re.Pattern[bytes], position: int, limit_bytes: int) -> int | None:
        """Position after the first match of ``pattern`` (up to 16 bytes long) within ``limit_bytes``."""
        searched = position
        while True:
            match = pattern.search(self._buffer, searched - self.start, position + limit_bytes - self.start)
            if match:
                return match.end() + self.start
            searched = max(position, self.end - 16)
            if self.end - position >= limit_bytes or not self.fill(self.end):
                return None

    def offset_of(self, position: int) -> int:
        """Offset in the file of the member that holds ``position``; in a plain file, of the position itself."""
        offset = position
        for start, member_offset, _ in self._members:
            if start > position:
                break
            offset = member_offset
        return offset

    def next_member(self, start: int, end: int) -> int | None:
        """Position in ``[start, end)`` of the first member that begins a record."""
        return next((at for at, _, begins_record in self._members if begins_record and start <= at < end), None)

    def next_start(self, next_record: re.Pattern[bytes], position: int) -> int | None:
        """First position from ``position`` on, of what is held, at which a record or such a member begins."""
        starts = (self.search(next_record, position, self.end), self.next_member(position, self.end))
        return min((start for start in starts if start is not None), default=None)
