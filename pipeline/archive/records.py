"""Records of WARC, WET, WAT and ARC files, of a whole file or of one split of it.

Who reads the records of a large file in parallel cuts it at any bytes: a *split* ``[start, end)`` stands for the
records that start in it. Its reader looks for the first place from ``start`` on where a record may begin, reads from
there, over ``end`` if a record or a damage lies across it, and stops at the first such place at or behind ``end``. That
is cheap (a search of one record's length) and nearly always right, but bytes that look like a member or a record can
stand inside another one, for example where an archive holds an archive. So each reader says where it began and where it
stopped (``Boundary``), and a split is right if it began where the one before stopped, in the same state; one that did
not is read again from there (``pipeline/input_split.py``). Thus the records of all splits are those of the whole file,
damaged or not, whatever the splits.

Source: the framing is in ``framer.py``, ISO 28500:2017, Annex A (record-at-a-time compression). Splits at arbitrary
bytes are Hadoop's (White, "Hadoop: The Definitive Guide", "Splits and records"); the check is rapidgzip's idea (Knespel
and Brunst 2023) of block finders that may be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from pipeline.archive import headers
from pipeline.archive.framer import Framer
from pipeline.archive.members import Members
from pipeline.archive.record import BrokenRecord, Record
from pipeline.archive.run import Run
from pipeline.archive.split import Boundary, Split

__all__ = ["BrokenRecord", "Record", "RecordReader", "iter_records"]


def iter_records(stream: IO[bytes], max_block_bytes: int) -> Iterator[Record | BrokenRecord]:
    """Cut a whole archive into records.

    Args:
        stream: WARC, WET, WAT or ARC; plain, gzip, zstd or lz4, by magic bytes; seekable, at its beginning.
        max_block_bytes: how much of a block is kept.

    Returns:
        Records and broken records in file order; nothing for an empty file.

    Raises:
        OSError: if the file itself cannot be read.
    """
    yield from RecordReader(stream, max_block_bytes)


class RecordReader:
    """The records of an archive, or of one split of it.

    Args:
        stream: as for ``iter_records``, like ``max_block_bytes``.
        max_block_bytes: how much of a block is kept.
        split: which part; the whole file if ``None``.
    """

    def __init__(self, stream: IO[bytes], max_block_bytes: int, split: Split | None = None) -> None:
        self._stream = stream
        self._max_block_bytes = max_block_bytes
        self._split = split or Split(start_bytes=0, end_bytes=None)
        self.begins: Boundary | None = None
        """Where the first record starts, and what it is; ``None`` if there is none. Known from the first record on."""
        self.ends: Boundary | None = None
        """Where the first record behind the split starts, and what the records were; known at the end. ``None`` if the
        split holds no record: then the one before it has to say."""

    def __iter__(self) -> Iterator[Record | BrokenRecord]:
        members = Members(self._stream, headers.starts_record)
        kind, end = self._split.kind, self._split.end_bytes
        start = self._start(members)
        if start is None:
            return
        if self._split.resume is not None and end is not None and start >= end:
            self.ends = self._split.resume
            return
        framer = Framer(self._max_block_bytes, kind, end)
        members.seek(start)
        events = _events(framer, members, start)
        first = next(events, None)
        if first is not None:
            self.begins = Boundary(offset=start, kind=kind or framer.kind)
            yield first
            yield from events
        if framer.stopped_at is None:
            self.ends = Boundary(offset=members.offset, kind=framer.kind)
        else:
            self.ends = Boundary(offset=framer.stopped_at, kind=framer.kind)

    def _start(self, members: Members) -> int | None:
        """Offset at which to begin; ``None`` if no record starts in the split."""
        start, end = self._split.start_bytes, self._split.end_bytes
        if self._split.resume is not None:
            return self._split.resume.offset
        if start == 0:
            return 0
        if members.are_compressed:
            return members.find(start, end)
        return _find_record(members, start, end)


def _events(framer: Framer, members: Members, start: int) -> Iterator[Record | BrokenRecord]:
    """Everything from ``start`` on that is the framer's."""
    while True:
        run = Run(members, start)
        yield from framer.records(run)
        if run.damage is None or framer.stopped_at is not None:
            return
        if not framer.damage_is_reported:
            yield framer.broken(run.damage.offset, {}, run.damage.error_class, run.damage.message)


def _find_record(members: Members, start: int, end: int | None) -> int | None:
    """The first place in ``[start, end)`` of a file that is not compressed where a readable record begins."""
    members.seek(start - 1)
    run = Run(members, start - 1)  # an ARC record is known by the line end before it
    position = start
    while run.fill(position) and (end is None or position < end):
        run.fill(position + headers.MAX_ARC_LINE_BYTES)
        found = run.search(headers.NEXT_ANY, position, run.end)
        if found is None:
            position = max(position + 1, run.end - headers.MAX_ARC_LINE_BYTES)
        elif end is not None and found >= end:
            return None
        elif Framer(0).has_header(run, found):
            return found
        else:
            position = found + 1
        run.drop(position - 1)
    return None
