"""Shingle hashes as ``datasketch.MinHash`` makes them: SHA-1 of the shingle's UTF-8 bytes, the first four of them.

The slow, compatible way beside the compiled one of ``shingles.py``, with the same normalisation, spelt in Python: it is
for signatures that are to be compared with datasketch's own, and the tests hold the compiled kernels to it.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import pyarrow as pa

from pipeline.kernels.word_hashes import IGNORED, OWN_WORD, action_of, character_table

_HASH_BYTES = 4


class _Translation(dict[int, str]):
    """For ``str.translate``: what becomes of a code point, found out when it is first met."""

    def __init__(self, *, spaces_own_words: bool) -> None:
        self._spaces_own_words = spaces_own_words

    def __missing__(self, code_point: int) -> str:
        action = int(action_of(code_point, character_table()))
        if action > IGNORED:
            found = chr(action & ~OWN_WORD)
            found = f" {found} " if action >= OWN_WORD and self._spaces_own_words else found
        else:
            found = "" if action == IGNORED else " "
        self[code_point] = found
        return found


@cache
def _translation(*, spaces_own_words: bool) -> _Translation:
    return _Translation(spaces_own_words=spaces_own_words)


def normal_words(text: str) -> list[str]:
    """The words of a text as ``word_hashes`` sees them."""
    return text.translate(_translation(spaces_own_words=True)).split()


def normal_characters(text: str) -> str:
    """A text as character shingles see it: its words with one space between them."""
    return " ".join(text.translate(_translation(spaces_own_words=False)).split())


def shingles(text: str, size: int, *, of_characters: bool) -> list[str]:
    """The shingles of a text, in order; one of what there is if it is shorter, none if it has no word."""
    units: list[str] | str = normal_characters(text) if of_characters else normal_words(text)
    width = min(size, len(units))
    joint = "" if of_characters else " "
    return [joint.join(units[i : i + width]) for i in range(len(units) - width + 1 if units else 0)]


def sha1_shingles(text: pa.Array, size: int, *, of_characters: bool) -> tuple[np.ndarray, np.ndarray]:
    """As ``shingles.shingle_hashes``."""
    digests: list[bytes] = []
    ends = [0]
    for value in text.to_pylist():
        if value is not None:
            for shingle in shingles(value, size, of_characters=of_characters):
                digests.append(hashlib.sha1(shingle.encode(), usedforsecurity=False).digest()[:_HASH_BYTES])
        ends.append(len(digests))
    return np.frombuffer(b"".join(digests), dtype="<u4"), np.array(ends, dtype=np.int64)
