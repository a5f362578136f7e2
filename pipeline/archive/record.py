"""What archives are read as: records, and bytes that are not, or not wholly, a record."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.archive.headers import RecordHeader


@dataclass(slots=True)  # a frozen one takes three times as long to make, and there is one per record
class Record:
    """One record.

    The block lies in ``content`` and is cut out when it is asked for: of two records in three it never is.

    Args:
        offset: where it starts, in bytes into the file; in a compressed file, where its member starts.
        index: how many events (records and broken records) of the same offset come before it.
        header: its header.
        block_bytes: the length of the whole block.
        content: bytes that hold the block, cut at ``max_block_bytes``.
        block_start, block_end: where in ``content`` it lies.
    """

    offset: int
    index: int
    header: RecordHeader
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

    @property
    def fields(self) -> dict[str, str]:
        """Header fields by lower-cased name."""
        return self.header.fields


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """Bytes that are not, or not wholly, a record; ``fields`` holds what could be read of its header.

    ``error_class`` is one of ``NotAnArchive``, ``GarbageBetweenRecords``, ``MalformedHeader``, ``WrongLength``,
    ``TruncatedRecord``, and those of ``members.Damage``.
    """

    offset: int
    index: int
    fields: dict[str, str]
    error_class: str
    message: str
