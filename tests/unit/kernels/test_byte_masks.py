"""Masks of 32 bytes, against the bytes one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from pipeline.kernels.byte_masks import WINDOW_BYTES, at_most, eight_bytes_there, equal_to, lowest_bit


@njit
def _read(data, position, byte):
    equal, low = equal_to(data, position, byte), at_most(data, position, byte)
    return equal, low, equal | low, eight_bytes_there(data, position), lowest_bit(low | np.uint64(1 << 40))


_read(bytes(WINDOW_BYTES), np.uint64(0), np.uint8(0))  # compiles, which no example has time for
_read(np.zeros(WINDOW_BYTES, np.uint8), np.uint64(0), np.uint8(0))


@pytest.mark.parametrize("make", [bytes, lambda content: np.array(list(content), np.uint8)], ids=["bytes", "array"])
@given(
    content=st.lists(st.one_of(st.sampled_from(b" !<\x80\0"), st.integers(0, 255)), min_size=32, max_size=70),
    from_end=st.integers(0, 40),
    byte=st.one_of(st.sampled_from(b" <\x80\0\xff"), st.integers(0, 255)),
)
def test_every_bit_speaks_for_its_byte(make, content: list[int], from_end: int, byte: int) -> None:
    position = max(0, len(content) - WINDOW_BYTES - from_end)
    window = content[position : position + WINDOW_BYTES]
    equal = sum((other == byte) << place for place, other in enumerate(window))
    low = sum((other <= byte) << place for place, other in enumerate(window))
    lowest = next((place for place, other in enumerate(window) if other <= byte), 40)
    found = _read(make(content), np.uint64(position), np.uint8(byte))
    assert found == (equal, low, equal | low, int.from_bytes(bytes(window[:8]), "little"), lowest)
