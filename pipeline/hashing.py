"""Hashes that stand in for randomness and for wall-clock order.

Whatever Chaffinch draws at random is a function of (seed, purpose, doc_id), so that no partitioning, retry, file
order or ``PYTHONHASHSEED`` can change it. blake2b is fast enough here (about 1 µs an id): this is called once per
document, not per word.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

_LENGTH = struct.Struct("<q")


def document_id(source: str, *identity: str | int) -> str:
    """32 hex digits of blake2b-128 over the source and the record's identity (length-prefixed, so unambiguous)."""
    return DocumentIds(source)(*identity)


class DocumentIds:
    """``document_id`` of many records that share the first parts of their identity.

    Args:
        source, identity: those parts.
    """

    def __init__(self, source: str, *identity: str | int) -> None:
        self._begun = hashlib.blake2b(_message((source, *identity)), digest_size=16)

    def __call__(self, *identity: str | int) -> str:
        """The id of the record with these last parts."""
        whole = self._begun.copy()
        whole.update(_message(identity))
        return whole.hexdigest()


def _message(parts: Iterable[str | int]) -> bytes:
    encoded = [str(part).encode("utf-8", "surrogatepass") for part in parts]
    return b"".join([_LENGTH.pack(len(part)) + part for part in encoded])


def hash_key(seed: int, purpose: str, doc_id: str, epoch: int = 0) -> int:
    """A 64-bit key, uniform over documents, independent between purposes and epochs."""
    message = f"{seed}\0{purpose}\0{doc_id}\0{epoch}".encode()
    return int.from_bytes(hashlib.blake2b(message, digest_size=8).digest(), "big")


def hash_keys(seed: int, purpose: str, doc_ids: Iterable[str]) -> np.ndarray:
    """``hash_key`` of each id at epoch 0; shape (num_ids,), uint64."""
    return np.fromiter((hash_key(seed, purpose, doc_id) for doc_id in doc_ids), dtype=np.uint64)


def uniform(keys: np.ndarray) -> np.ndarray:
    """Keys mapped to [0, 1); shape (num_keys,), float64. Uses the top 53 bits, exact in a double."""
    return (keys >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def fingerprint(value: Any) -> str:
    """32 hex digits over the canonical JSON of ``value``: equal content gives an equal fingerprint."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()
