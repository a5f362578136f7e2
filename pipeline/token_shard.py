"""Token shards: Megatron-LM indexed datasets, with the manifest and the document table that lie beside them.

A shard ``<prefix>`` is two files. ``<prefix>.bin`` holds the tokens of all its documents one after the other, bare
and little-endian, so that nanoGPT- and OLMo-style readers open it with ``np.memmap`` as it is. ``<prefix>.idx`` says
where each document starts (little-endian throughout)::

    offset  type          content
    0       9 bytes       b"MMIDIDX\\0\\0"
    9       u64           version, 1
    17      u8            code of the token type: 8 = uint16, 4 = int32
    18      u64           n, number of sequences (one per document)
    26      u64           n + 1, number of document entries
    34      n x i32       tokens in sequence i, its end-of-text token included
    …       n x i64       byte of ``.bin`` at which sequence i starts
    …       (n+1) x i64   0 … n: first sequence of each document, and the end

What the format cannot say stands beside it (``pipeline/shard_manifest.py``, offered from here as well):
``<prefix>.docs.parquet``, whose row i describes sequence i and leads from a token back to its page, and one
``manifest.json`` for the folder.

Writing streams: memory is the index (12 bytes a document) and one buffer of 1 MiB. Files appear under their final
name only when complete, the index last.

Source: Megatron-LM ``megatron/core/datasets/indexed_dataset.py``. Deviation: multimodal mode bytes are never written.
"""

from __future__ import annotations

import hashlib
import struct
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from pyarrow import fs as pafs

from pipeline import storage
from pipeline.errors import ConfigError, ShardError
from pipeline.shard_manifest import (
    DOCS_SCHEMA,
    ShardEntry,
    ShardManifest,
    Share,
    load_manifest,
    read_docs,
    verify,
    write_docs,
)

__all__ = [
    "DOCS_SCHEMA",
    "ShardEntry",
    "ShardInfo",
    "ShardManifest",
    "ShardReader",
    "Share",
    "dtype_for_vocab",
    "load_manifest",
    "read_docs",
    "verify",
    "write_docs",
    "write_shard",
]

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
_HEADER = struct.Struct("<9sQBQQ")
_CODE_OF_DTYPE: dict[np.dtype, int] = {np.dtype("<u2"): 8, np.dtype("<i4"): 4}
_DTYPE_OF_CODE = {code: dtype for dtype, code in _CODE_OF_DTYPE.items()}
_UINT16_VOCAB_LIMIT = 65_500  # Megatron's limit: leaves room for ids that a trainer adds
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class ShardInfo:
    """What ``write_shard`` wrote."""

    num_sequences: int
    num_tokens: int
    bin_size_bytes: int
    idx_size_bytes: int
    bin_sha256: str
    idx_sha256: str


def dtype_for_vocab(vocab_size: int) -> np.dtype:
    """The token type for ids 0 … ``vocab_size`` - 1: uint16 below 65,500 ids, else int32.

    Raises:
        ConfigError: if the vocabulary is empty, or no int32 can number it.
    """
    if not 0 < vocab_size <= 1 << 31:
        raise ConfigError(f"vocab_size={vocab_size}; expected 1 to {1 << 31}, the ids that an int32 holds")
    return np.dtype("<u2") if vocab_size < _UINT16_VOCAB_LIMIT else np.dtype("<i4")


def write_shard(prefix: str, sequences: Iterable[np.ndarray], dtype: np.dtype) -> ShardInfo:
    """Write ``<prefix>.bin`` and ``<prefix>.idx``, one sequence per document.

    Args:
        prefix: path or URL without suffix. Two writers must not write one prefix at the same time.
        sequences: token ids of each document with its end-of-text token, shape (num_tokens,), any integer type.
        dtype: as ``dtype_for_vocab`` gives it.

    Raises:
        ShardError: for an id that ``dtype`` cannot hold. No file is left under its final name then.
    """
    dtype = np.dtype(dtype).newbyteorder("<")
    if dtype not in _CODE_OF_DTYPE:
        raise ShardError(f"token type {dtype} for shard {prefix}; expected uint16 or int32; use dtype_for_vocab")
    lengths = array("i")
    filesystem, path = storage.resolve(prefix)
    filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    bin_size_bytes, bin_sha256 = _write_stream(
        filesystem, f"{path}.bin", _token_bytes(prefix, sequences, dtype, lengths)
    )
    header_and_index = _index_bytes(np.frombuffer(lengths, dtype=np.int32), dtype)
    idx_size_bytes, idx_sha256 = _write_stream(filesystem, f"{path}.idx", header_and_index)
    return ShardInfo(
        num_sequences=len(lengths),
        num_tokens=bin_size_bytes // dtype.itemsize,
        bin_size_bytes=bin_size_bytes,
        idx_size_bytes=idx_size_bytes,
        bin_sha256=bin_sha256,
        idx_sha256=idx_sha256,
    )


def _token_bytes(prefix: str, sequences: Iterable[np.ndarray], dtype: np.dtype, lengths: array) -> Iterator[bytes]:
    """The bytes of ``.bin`` in pieces; appends each sequence's length to ``lengths`` as it goes."""
    largest_id = np.iinfo(dtype).max
    for sequence in sequences:
        if len(sequence) and not 0 <= int(sequence.min()) <= int(sequence.max()) <= largest_id:
            raise ShardError(
                f"token ids {int(sequence.min())} to {int(sequence.max())} in sequence {len(lengths)} of {prefix}; "
                f"{dtype.name} holds 0 to {largest_id}; choose the type with dtype_for_vocab(vocab_size)"
            )
        lengths.append(len(sequence))
        yield np.ascontiguousarray(sequence, dtype=dtype).tobytes()


def _index_bytes(lengths: np.ndarray, dtype: np.dtype) -> Iterator[bytes]:
    num_sequences = len(lengths)
    ends = np.cumsum(lengths, dtype=np.int64) * dtype.itemsize
    pointers = np.concatenate([np.zeros(1, np.int64), ends])[:num_sequences]
    yield _HEADER.pack(MAGIC, VERSION, _CODE_OF_DTYPE[dtype], num_sequences, num_sequences + 1)
    yield lengths.astype("<i4").tobytes()
    yield pointers.astype("<i8").tobytes()
    yield np.arange(num_sequences + 1, dtype="<i8").tobytes()


def _write_stream(filesystem: pafs.FileSystem, path: str, pieces: Iterable[bytes]) -> tuple[int, str]:
    """Write ``pieces`` under a temporary name, then rename; returns the size in bytes and the sha256."""
    temporary, digest, size_bytes = f"{path}.tmp", hashlib.sha256(), 0
    with filesystem.open_output_stream(temporary, buffer_size=_BUFFER_BYTES) as stream:
        for piece in pieces:
            stream.write(piece)
            digest.update(piece)
            size_bytes += len(piece)
    filesystem.move(temporary, path)
    return size_bytes, digest.hexdigest()


class ShardReader:
    """Random access to the sequences of one shard.

    Local files are mapped, so that opening costs the index alone; remote ones are read whole.

    Args:
        prefix: path or URL without suffix.

    Attributes:
        dtype: type of the tokens.
        lengths: tokens per sequence, shape (num_sequences,), int32.
        starts: first token of each sequence in ``tokens``, shape (num_sequences,), int64.
        tokens: all tokens of the shard, shape (num_tokens,), read-only.

    Raises:
        ShardError: if a file is missing, is no Megatron index, or index and tokens do not fit each other.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        index = _read_file(f"{prefix}.idx")
        self.dtype, self.lengths, pointers = _parse_index(index, f"{prefix}.idx")
        self.tokens = _map_tokens(f"{prefix}.bin", self.dtype)
        ends = np.cumsum(self.lengths, dtype=np.int64)
        num_tokens = int(ends[-1]) if len(ends) else 0
        if num_tokens != len(self.tokens):
            raise ShardError(
                f"{prefix}.bin holds {len(self.tokens)} tokens; {prefix}.idx counts {num_tokens}; "
                f"one of them is truncated or from another run: write the shard again"
            )
        self.starts = ends - self.lengths
        if not np.array_equal(pointers, self.starts * self.dtype.itemsize):
            raise ShardError(f"byte pointers in {prefix}.idx do not follow from its lengths; write the shard again")

    @property
    def num_sequences(self) -> int:
        return len(self.lengths)

    @property
    def num_tokens(self) -> int:
        return len(self.tokens)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> np.ndarray:
        """Tokens of sequence ``index``; a view of shape (lengths[index],)."""
        if not 0 <= index < len(self.lengths):
            raise IndexError(f"sequence {index} of {self.prefix}; it has {len(self.lengths)}")
        start = int(self.starts[index])
        return self.tokens[start : start + int(self.lengths[index])]


def _read_file(location: str) -> bytes:
    try:
        return storage.read_bytes(location)
    except FileNotFoundError:
        raise ShardError(f"no file {location}; expected it beside its shard; write the shard again") from None


def _parse_index(content: bytes, location: str) -> tuple[np.dtype, np.ndarray, np.ndarray]:
    """Token type, lengths (int32) and byte pointers (int64) of an index file."""
    if content[: len(MAGIC)] != MAGIC or len(content) < _HEADER.size:
        raise ShardError(f"{location} starts with {content[:9]!r}; expected {MAGIC!r}: it is no Megatron index")
    _, version, code, num_sequences, num_document_entries = _HEADER.unpack_from(content)
    if version != VERSION:
        raise ShardError(f"{location} has version {version}; expected {VERSION}; convert it with Megatron-LM")
    if code not in _DTYPE_OF_CODE:
        raise ShardError(f"{location} has token type code {code}; expected 8 (uint16) or 4 (int32)")
    expected_size = _HEADER.size + num_sequences * 12 + num_document_entries * 8
    if len(content) != expected_size:
        raise ShardError(
            f"{location} has {len(content)} bytes; {num_sequences} sequences and {num_document_entries} document "
            f"entries take {expected_size}; it is truncated or damaged: write the shard again"
        )
    lengths = np.frombuffer(content, "<i4", num_sequences, _HEADER.size)
    if num_sequences and int(lengths.min()) < 0:
        raise ShardError(f"{location} has a sequence of {int(lengths.min())} tokens; write the shard again")
    pointers = np.frombuffer(content, "<i8", num_sequences, _HEADER.size + 4 * num_sequences)
    return _DTYPE_OF_CODE[code], lengths, pointers


def _map_tokens(location: str, dtype: np.dtype) -> np.ndarray:
    filesystem, path = storage.resolve(location)
    info = filesystem.get_file_info(path)
    if info.type != pafs.FileType.File:
        raise ShardError(f"no file {location}; expected it beside its index; write the shard again")
    if info.size % dtype.itemsize:
        raise ShardError(f"{location} has {info.size} bytes, no multiple of {dtype.itemsize}; write the shard again")
    if isinstance(filesystem, pafs.LocalFileSystem) and info.size:
        return np.memmap(path, dtype=dtype, mode="r")
    return np.frombuffer(_read_file(location), dtype=dtype)
