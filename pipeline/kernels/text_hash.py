"""A 128-bit hash of a text that ignores how its white space is laid out, for exact deduplication.

Runs of white space (as ``str.isspace`` has it) count as one space, and none at either end: the hash is blake2b-128 of
``" ".join(text.split())`` in UTF-8. Nothing else is normalised, so equal hashes mean equal text to the letter; copies
that differ in case or punctuation are a matter for near-deduplication.

A numba kernel collapses a whole batch into one buffer, hashlib digests the rows. A keyless 128-bit hash of the two
lanes of some multiplicative chain would save the half microsecond a document that hashlib takes, and would no longer be
safe against pages made to collide; blake2b is (chance of one accidental collision among 10^10 documents: 1.5e-19).
"""

from __future__ import annotations

import hashlib

import numba
import numpy as np
import pyarrow as pa

from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.word_hashes import decode

HASH_BYTES = 16
_ASCII_SPACE = np.array([chr(byte).isspace() for byte in range(128)], dtype=np.int64)


def text_hashes(text: pa.Array) -> pa.BinaryArray:
    """Hash of each text; binary of 16 bytes, null where the text is null.

    Args:
        text: string or large_string. An empty text, or one of white space only, has the hash of no bytes.
    """
    data, offsets, is_valid = text_buffers(text)
    collapsed = np.empty(int(offsets[-1] - offsets[0]), dtype=np.uint8)
    ends = np.zeros(len(text) + 1, dtype=np.int64)
    _collapse(data, offsets, is_valid, collapsed, ends)
    view = collapsed.data
    bounds = ends.tolist()
    digests = [
        hashlib.blake2b(view[bounds[row] : bounds[row + 1]], digest_size=HASH_BYTES).digest() if is_valid[row] else None
        for row in range(len(text))
    ]
    return pa.array(digests, pa.binary())


@numba.njit(nogil=True, cache=True)
def _is_wide_space(code_point: int) -> bool:
    if code_point < 0x2000:
        return code_point in (0x85, 0xA0, 0x1680)
    return code_point <= 0x200A or code_point in (0x2028, 0x2029, 0x202F, 0x205F, 0x3000)


@numba.njit(nogil=True, cache=True)
def _collapse(data, offsets, is_valid, out, ends):
    """Write each row's collapsed text to ``out``, one after the other; row i ends at ``ends[i + 1]``.

    Every ASCII byte is written, and the end moves on only where it is to stay: no branch depends on the text.
    """
    written = 0
    for row in range(len(is_valid)):
        row_start = written
        after_space = 1  # as if a space came before: leading white space goes
        position = offsets[row]
        end = offsets[row + 1] if is_valid[row] else position
        while position < end:
            byte = data[position]
            if byte < 0x80:
                space = _ASCII_SPACE[byte]
                out[written] = np.uint8(0x20) if space else byte
                written += 1 - (space & after_space)
                after_space = space
                position += 1
                continue
            code_point, length = decode(data, position, end)
            if _is_wide_space(code_point):
                out[written] = 0x20
                written += 1 - after_space
                after_space = 1
            else:
                for i in range(position, position + length):
                    out[written] = data[i]
                    written += 1
                after_space = 0
            position += length
        if after_space and written > row_start:
            written -= 1
        ends[row + 1] = written
