"""Vector steps against the same arithmetic in NumPy and Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from pipeline.kernels.vectors import LANES, add_rows_of_16, hash_16, remainder_16

_FNV_MULTIPLIER = 16777619


@njit
def _add(rows, numbers, count, out):
    add_rows_of_16(rows, numbers, count, out)


@njit
def _hash(values, data, position, zeros_too):
    hash_16(values, data, position, np.uint32(_FNV_MULTIPLIER), zeros_too)


@njit
def _remainder(values, divisor, inverse, remainders, item):
    remainder_16(values, divisor, inverse, remainders, item)


@pytest.mark.parametrize("count", [0, 1, 5, 40])
def test_rows_are_added_one_after_the_other(count: int) -> None:
    draw = np.random.default_rng(count)
    rows = draw.normal(size=(50, LANES)).astype(np.float32)
    numbers = draw.integers(0, 50, 40).astype(np.int32)
    out = rows[0].copy()
    expected = rows[0].copy()
    for number in numbers[:count]:
        expected += rows[number]
    _add(rows, numbers, np.uint64(count), out)
    assert out.tolist() == expected.tolist()


@pytest.mark.parametrize("zeros_too", [False, True])
def test_hashes_are_carried_on_by_a_byte_each(zeros_too: bool) -> None:
    data = np.array([0, 1, 127, 128, 255, 0, 9, *range(100, 120)], dtype=np.uint8)
    values = np.arange(LANES, dtype=np.uint32) * np.uint32(268435399)
    expected = []
    for value, byte in zip(values.tolist(), data[3 : 3 + LANES].tolist(), strict=True):
        signed = byte - 256 if byte > 127 else byte
        mixed = (value ^ (signed % 2**32)) * _FNV_MULTIPLIER % 2**32
        expected.append(mixed if byte or zeros_too else value)
    _hash(values, data, np.uint64(3), zeros_too)
    assert values.tolist() == expected


@pytest.mark.parametrize("divisor", [1, 2, 3, 500, 2_000_000, 2**31 - 1])
def test_remainders_of_the_largest_and_smallest_values(divisor: int) -> None:
    values = [0, 1, divisor - 1, divisor, divisor + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - divisor, 2**32 // 3]
    values += [2**32 // divisor * divisor - 1, (2**32 - 1) // divisor * divisor, 123_456_789, 7, 65_535, 4_000_000_000]
    found = np.full(LANES + 2, 77, dtype=np.uint32)
    kept = [value % 2**32 for value in values]
    inverse = (2**32 - 1) // divisor
    _remainder(np.array(kept, np.uint32), np.uint32(divisor), np.uint32(inverse), found, np.uint64(1))
    assert found.tolist() == [77, *(value % divisor for value in kept), 77]
