"""Documents with near-copies among them, made in chunks: rows of signatures, or texts.

Of ten documents three are copies, each of one of the chunk's other documents: a signature that keeps a share of the
values, drawn evenly from .5 to 1, or a text with so many words replaced at its end.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

NUM_PERM = 112
NUM_BANDS = 14
SIGNATURE_ROWS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("signature", pa.binary()),
        ("bands", pa.list_(pa.int64())),
        ("text_hash", pa.binary()),
        ("num_bytes", pa.int64()),
        ("fetch_time", pa.timestamp("ms", tz="UTC")),
    ]
)
_ROWS_PER_CHUNK = 20_000
_COPIES = 0.3
_WORDS_PER_TEXT = 700
_HEX = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], np.uint8)


def signature_rows(num_rows: int, seed: int) -> Iterator[pa.RecordBatch]:
    """``num_rows`` rows of SIGNATURE_ROWS; every twentieth copy is an exact one."""
    for chunk, start in enumerate(range(0, num_rows, _ROWS_PER_CHUNK)):
        generator = np.random.default_rng((seed, chunk))
        rows = min(_ROWS_PER_CHUNK, num_rows - start)
        signatures = generator.integers(0, 1 << 32, (rows, NUM_PERM), np.uint32)
        hashes = generator.integers(0, 256, (rows, 16), np.uint8)
        originals, copies = _families(rows, generator)
        share = generator.uniform(0.5, 1.0, len(copies))
        is_exact = generator.random(len(copies)) < 0.05
        share[is_exact] = 1.0
        is_taken = generator.random((len(copies), NUM_PERM)) < share[:, None]
        signatures[copies] = np.where(is_taken, signatures[originals], signatures[copies])
        hashes[copies[is_exact]] = hashes[originals[is_exact]]
        columns = [
            _strings(_HEX[generator.integers(0, 256, (rows, 16), np.uint8)].reshape(rows, 32), pa.string()),
            _strings(signatures.view(np.uint8), pa.binary()),
            _bands(signatures),
            _strings(hashes, pa.binary()),
            pa.array(generator.integers(200, 20_000, rows)),
            pa.array(generator.integers(0, 1 << 40, rows)).cast(pa.timestamp("ms", tz="UTC")),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=SIGNATURE_ROWS)


def texts(num_bytes: int, seed: int) -> Iterator[list[str]]:
    """Texts of about ``num_bytes`` bytes in all, 5 kB each, in lists."""
    vocabulary = np.random.default_rng(seed).integers(97, 123, (30_000, 10), np.uint8)
    words = np.array([row[: 3 + number % 8].tobytes().decode() for number, row in enumerate(vocabulary)], object)
    made = chunk = 0
    while made < num_bytes:
        generator = np.random.default_rng((seed, chunk))
        numbers = (len(words) * generator.random((2_000, _WORDS_PER_TEXT)) ** 2).astype(np.int32)  # some are frequent
        originals, copies = _families(len(numbers), generator)
        kept = generator.uniform(0.6, 1.0, len(copies)) * _WORDS_PER_TEXT
        is_kept = np.arange(_WORDS_PER_TEXT) < kept[:, None]
        numbers[copies] = np.where(is_kept, numbers[originals], numbers[copies])
        found = [" ".join(row) for row in words[numbers]]
        made += sum(map(len, found))
        chunk += 1
        yield found


def _families(num_rows: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which rows are copies, and of which others."""
    order = generator.permutation(num_rows)
    num_copies = int(_COPIES * num_rows)
    return generator.choice(order[num_copies:], num_copies), order[:num_copies]


def _strings(rows: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Rows of bytes as an Arrow column."""
    ends = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1])
    return pa.Array.from_buffers(kind, len(rows), [None, ends.buffers()[1], pa.py_buffer(np.ascontiguousarray(rows))])


def _bands(signatures: np.ndarray) -> pa.Array:
    """One hash per band, as different as the kernel's, whose values do not matter here."""
    wide = signatures.reshape(len(signatures), NUM_BANDS, -1).astype(np.uint64)
    value = np.full(wide.shape[:2], np.arange(1, NUM_BANDS + 1), np.uint64)
    for row in range(wide.shape[2]):
        value = (value ^ wide[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)
        value ^= value >> np.uint64(29)
    ends = pa.array(np.arange(len(signatures) + 1, dtype=np.int32) * NUM_BANDS)
    return pa.ListArray.from_arrays(ends, pa.array(value.view(np.int64).reshape(-1)))
