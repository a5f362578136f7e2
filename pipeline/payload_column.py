"""The payloads of a batch behind one another, in memory that is used again for the next batch.

Payloads are nearly all of a batch's bytes. Each is copied here as it comes, while it is in the processor's cache.
Memory that is new for every batch would be cleared page by page by the system first, and be in no cache.
"""

from __future__ import annotations

import contextlib

import numpy as np
import pyarrow as pa

from pipeline.schema import PAGE

_MAX_LENT = 2  # a batch that is being worked on, and one that its reader has not let go of yet


class PayloadColumn:
    """A column of the type of ``PAGE``'s ``payload`` that is being filled.

    Args:
        capacity_bytes: what one batch holds as a rule; for more, room is made.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._lent: list[tuple[bytearray, memoryview]] = []  # lies under arrays that were taken
        self._data = bytearray()
        self._ends = [0]
        self._is_valid: list[bool] = []

    @property
    def num_bytes(self) -> int:
        return self._ends[-1]

    def append(self, payload: bytes | None) -> None:
        """Add a payload, or null."""
        start = self._ends[-1]
        end = start + len(payload or b"")
        if end > len(self._data):
            if start == 0:
                self._data = self._returned() or bytearray(self._capacity_bytes)
            self._data += bytes(max(0, end - len(self._data)))
        if payload:
            self._data[start:end] = payload
        self._ends.append(end)
        self._is_valid.append(payload is not None)

    def take(self) -> pa.Array:
        """What was added since the last call; its memory is not touched while the array, or what shares it, lives."""
        view = memoryview(self._data)[: self._ends[-1]]
        is_valid = np.packbits(np.array(self._is_valid, bool), bitorder="little")
        buffers = [pa.py_buffer(is_valid), pa.py_buffer(np.array(self._ends, np.int32)), pa.py_buffer(view)]
        payloads = pa.Array.from_buffers(PAGE.field("payload").type, len(self._is_valid), buffers)
        self._lent = [*self._lent, (self._data, view)][-_MAX_LENT:]
        self._data, self._ends, self._is_valid = bytearray(), [0], []
        return payloads

    def _returned(self) -> bytearray | None:
        """Memory that was lent and that nobody uses any more."""
        for data, view in self._lent:
            with contextlib.suppress(BufferError):  # an array still exports it
                view.release()
                self._lent.remove((data, view))
                return data
        return None
