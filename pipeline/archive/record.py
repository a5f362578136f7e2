"""What archives are read as: records, and bytes that are not, or not wholly, a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.archive.headers import LINE_ENDS, MAX_HEADER_BYTES, Fields
from pipeline.archive.members import Member


@dataclass(slots=True)  # a frozen one takes three times as long to make, and there is one per record
class Record:
    """One record.

    The block lies in ``content`` and is cut out when it is asked for: of two records in three it never is.

    Args:
        offset: where it starts, in bytes into the file; in a compressed file, where its member starts.
        index: how many events (records and broken records) of the same offset come before it.
        fields: of its header, by lower-cased name.
        block_bytes: the length of the whole block.
        content: bytes that hold the block, cut at ``max_block_bytes``.
        block_start, block_end: where in ``content`` it lies.
    """

    offset: int
    index: int
    fields: Fields
    block_bytes: int
    content: bytes
    block_start: int
    block_end: int

    @property
    def block(self) -> bytes:
        """The content block, cut at ``max_block_bytes``."""
        return self.content[self.block_start : self.block_end]

    @property
    def is_whole(self) -> bool:
        """Whether ``block`` is the whole block."""
        return self.block_end - self.block_start == self.block_bytes


def record_of(member: Member, max_block_bytes: int) -> Record | None:
    """The record that a member is, if it is one and nothing else: header, block of the length it says, line ends."""
    data = member.data
    fields = Fields(data, 0, MAX_HEADER_BYTES)
    start, length = fields.end, fields.block_bytes
    if start is None or length is None or not fields.record_type or not data.startswith(b"WARC/"):
        return None
    end = start + length
    line_ends = data[end:]
    if end > len(data) or length > max_block_bytes or (line_ends != b"\r\n\r\n" and not LINE_ENDS.fullmatch(line_ends)):
        return None
    return Record(member.offset, 0, fields, length, data, start, end)


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """Bytes that are not, or not wholly, a record; ``fields`` holds what could be read of its header.

    ``error_class`` is one of ``NotAnArchive``, ``GarbageBetweenRecords``, ``MalformedHeader``, ``WrongLength``,
    ``TruncatedRecord``, and those of ``members.Damage``.
    """

    offset: int
    index: int
    fields: Mapping[str, str]
    error_class: str
    message: str
