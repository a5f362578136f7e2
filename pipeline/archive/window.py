"""A forward cursor over a file, with look-ahead."""

from __future__ import annotations

from typing import IO

READ_BYTES = 1 << 20


class Window:
    """The bytes of a file from a cursor on.

    Args:
        stream: a seekable binary stream at its beginning.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._buffer = b""
        self._at = 0
        self.offset = 0  # of the cursor, in bytes into the file

    def peek(self, num_bytes: int) -> bytes:
        """The next bytes without moving; fewer than asked for at the end of the file only."""
        while len(self._buffer) - self._at < num_bytes:
            more = self._stream.read(max(READ_BYTES, num_bytes))
            if not more:
                break
            self._buffer = self._buffer[self._at :] + bytes(more)
            self._at = 0
        return self._buffer[self._at : self._at + num_bytes]

    def advance(self, num_bytes: int) -> None:
        self._at += num_bytes
        self.offset += num_bytes

    def rewind(self, offset: int) -> None:
        """Move the cursor to ``offset``; within what is held, nothing is read again."""
        at = self._at + offset - self.offset
        if 0 <= at <= len(self._buffer):
            self._at = at
        else:
            self._stream.seek(offset)
            self._buffer, self._at = b"", 0
        self.offset = offset
