"""Words of eight bytes, against ``int.from_bytes`` and a search byte by byte."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from pipeline.kernels.eight_bytes import before_white_space, count_bits, eight_bytes, first_bytes

_WHITE_SPACE = b" \n\r\t\v\f\0"
_BYTES = st.one_of(st.sampled_from(list(_WHITE_SPACE + b"\x08\x0e\x1f\x21a\x80\x89\xa0\xff")), st.integers(0, 255))


@njit
def _read(data, position, count):
    value = eight_bytes(data, position)
    return value, before_white_space(value), first_bytes(value, count), count_bits(value)


_read(np.zeros(1, np.uint8), 0, np.uint64(0))  # compiles, which no example has time for


@given(content=st.lists(_BYTES, max_size=20), position=st.integers(0, 20), count=st.integers(0, 8))
def test_every_way_to_read_eight_bytes(content: list[int], position: int, count: int) -> None:
    position = min(position, len(content))
    expected = (bytes(content[position : position + 8]) + bytes(8))[:8]
    found = _read(np.array(content, dtype=np.uint8), position, np.uint64(count))
    before = next((place for place, byte in enumerate(expected) if byte in _WHITE_SPACE), 8)
    number = int.from_bytes(expected, "little")
    assert found == (number, before, int.from_bytes(expected[:count], "little"), number.bit_count())
