"""fastText's reading of a line: words, their hashes and their places in the dictionary.

Words are separated by the seven bytes that fastText takes for white space; a line ends with the word ``</s>``, also
where a text holds it. Hashes are FNV-1a with fastText's sign extension of bytes above 127.

Source: fastText 0.9, ``dictionary.cc``: ``readWord``, ``getLine``, ``hash``, ``find``.
"""

from __future__ import annotations

import numpy as np

from pipeline.kernels.compilation import kernel

HASH_START = np.uint32(2166136261)
HASH_MULTIPLIER = np.uint32(16777619)

IS_SPACE = np.array([chr(byte) in " \n\r\t\v\f\0" for byte in range(256)])
_LABEL_PREFIX = np.frombuffer(b"__label__", dtype=np.uint8)
_END_OF_LINE = np.frombuffer(b"</s>", dtype=np.uint8)


@kernel
def hash_byte(value, byte):
    """FNV-1a over one more byte."""
    return np.uint32((value ^ np.uint32(np.int32(np.int8(byte)))) * HASH_MULTIPLIER)


@kernel
def hash_bytes(data, start, end):
    """FNV-1a of ``data[start:end]``; uint32."""
    value = HASH_START
    for i in range(start, end):
        value = hash_byte(value, data[i])
    return value


END_OF_LINE_HASH = np.uint32(hash_bytes(_END_OF_LINE, 0, len(_END_OF_LINE))).astype(np.int32)


@kernel
def end_of_text(data, start, end, max_chars):
    """Where the first ``max_chars`` characters of ``data[start:end]`` end; ``end`` where there are no more."""
    if max_chars < 0 or end - start <= max_chars:
        return end
    num_chars = 0
    for i in range(start, end):
        if data[i] & 0xC0 != 0x80:
            if num_chars == max_chars:
                return i
            num_chars += 1
    return end


@kernel
def equal_bytes(data, start, end, other, other_start, other_end):
    """Whether two stretches of bytes are the same."""
    if end - start != other_end - other_start:
        return False
    position, other_position = np.uint64(start), np.uint64(other_start)  # unsigned: no test for negative indices
    while position < np.uint64(end) and data[position] == other[other_position]:
        position += np.uint64(1)
        other_position += np.uint64(1)
    return position == np.uint64(end)


@kernel
def find_word(data, start, end, word_hash, model):
    """Entry of the word ``data[start:end]``, -1 where the dictionary has none."""
    mask = len(model.word_slots) - 1
    slot = np.int64(word_hash) & mask
    while model.word_slots[slot] >= 0:
        entry = model.word_slots[slot]
        if equal_bytes(data, start, end, model.words, model.word_ends[entry], model.word_ends[entry + 1]):
            return entry
        slot = (slot + 1) & mask
    return -1


@kernel
def _fill_slots(words, word_ends, slots):
    mask = len(slots) - 1
    for entry in range(len(word_ends) - 1):
        slot = np.int64(hash_bytes(words, word_ends[entry], word_ends[entry + 1])) & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = entry


def word_slots(words: np.ndarray, word_ends: np.ndarray) -> np.ndarray:
    """Hash table of the entries ``words[word_ends[i]:word_ends[i + 1]]``; int32, -1 where free, at most half full."""
    slots = np.full(1 << int(2 * len(word_ends)).bit_length(), -1, dtype=np.int32)
    _fill_slots(words, word_ends, slots)
    return slots


@kernel
def is_label(data, start, end):
    """Whether a word begins with ``__label__``."""
    size = len(_LABEL_PREFIX)
    return end - start >= size and equal_bytes(data, start, start + size, _LABEL_PREFIX, 0, size)
