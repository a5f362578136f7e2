"""Bytes of an archive that cannot be read, as every layer of the reader tells of them."""

from __future__ import annotations

from dataclasses import dataclass


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
