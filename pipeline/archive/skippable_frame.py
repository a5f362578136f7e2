"""Skippable zstd frames, of which the first in a file may hold the dictionary of all others.

Source: RFC 8878, section 3.1.2; the IIPC's draft "Zstandard Compression for WARC Files 1.0" (0x184D2A5D at the head).
"""

from __future__ import annotations

import re

from pipeline.archive.compression import DECODE_ERRORS, MAX_DICTIONARY_BYTES, zstd_dictionary
from pipeline.archive.damage import Damage
from pipeline.archive.window import READ_BYTES, Window

DICTIONARY_FRAME = b"\x5d\x2a\x4d\x18"
SKIPPABLE_FRAME = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18", re.DOTALL)


def skip_frame(window: Window, dictionary: bytes | None, *, is_first: bool) -> tuple[Damage | None, bytes | None]:
    """Pass a skippable zstd frame; returns the damage met, and the dictionary from here on."""
    start = window.offset
    head = window.peek(8)
    size = int.from_bytes(head[4:], "little")
    is_dictionary = is_first and head.startswith(DICTIONARY_FRAME)
    if is_dictionary and size > MAX_DICTIONARY_BYTES:
        message = f"zstd dictionary of {size} bytes, expected at most {MAX_DICTIONARY_BYTES}"
        return Damage(start, "CorruptDictionary", message), dictionary
    window.advance(len(head))
    content = bytearray()
    left = size
    while left and (data := window.peek(min(left, READ_BYTES))):
        if is_dictionary:
            content += data
        window.advance(len(data))
        left -= len(data)
    if left or len(head) < 8:
        return Damage(start, "TruncatedMember", f"skippable zstd frame lacks {left} of {size} bytes"), dictionary
    if not is_dictionary:
        return None, dictionary
    try:
        return None, zstd_dictionary(bytes(content))
    except DECODE_ERRORS as error:
        message = f"zstd dictionary cannot be used ({error}), expected one; what is compressed with it cannot be read"
        return Damage(start, "CorruptDictionary", message), dictionary
