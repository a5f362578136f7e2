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
        self._memory = memoryview(b"")
        self._lent: list[memoryview] = []  # lie under arrays that were taken
        self._ends = [0]
        self._is_valid: list[bool] = []

    @property
    def num_bytes(self) -> int:
        return self._ends[-1]

    def append(self, payload: bytes | None) -> None:
        """Add a payload, or null."""
        start = self._ends[-1]
        end = start + len(payload or b"")
        if end > len(self._memory):
            self._make_room(start, end)
        if payload:
            self._memory[start:end] = payload
        self._ends.append(end)
        self._is_valid.append(payload is not None)

    def take(self) -> pa.Array:
        """What was added since the last call; its memory is not touched while the array, or what shares it, lives."""
        is_valid = np.packbits(np.array(self._is_valid, bool), bitorder="little")
        ends = np.array(self._ends, np.int32)
        buffers = [pa.py_buffer(is_valid), pa.py_buffer(ends), pa.py_buffer(self._memory)]
        payloads = pa.Array.from_buffers(PAGE.field("payload").type, len(self._is_valid), buffers)
        self._lent = [*self._lent, self._memory][-_MAX_LENT:]
        self._memory, self._ends, self._is_valid = memoryview(b""), [0], []
        return payloads

    def _make_room(self, start: int, end: int) -> None:
        """Have memory for ``end`` bytes, and in it the ``start`` bytes that are there."""
        memory = self._returned() if start == 0 else None
        if memory is None or len(memory) < end:
            memory = np.empty(max(self._capacity_bytes, end, 2 * start), np.uint8).data  # not cleared
        memory[:start] = self._memory[:start]
        self._memory = memory

    def _returned(self) -> memoryview | None:
        """Memory that was lent and that nobody uses any more."""
        for number, memory in enumerate(self._lent):
            owner = memory.obj
            with contextlib.suppress(BufferError):  # an array still exports it
                memory.release()
                del self._lent[number]
                return memoryview(owner)
        return None
