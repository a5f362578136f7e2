from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.payload_column import PayloadColumn

PAYLOADS = st.lists(st.none() | st.binary(max_size=40), max_size=6)


@settings(deadline=None)
@given(batches=st.lists(st.tuples(PAYLOADS, st.booleans()), max_size=8))
def test_batches_that_are_kept_stay_as_they_were(batches: list[tuple[list[bytes | None], bool]]) -> None:
    column = PayloadColumn(32)
    kept: list[tuple[pa.Array, list[bytes | None]]] = []
    for payloads, is_kept in batches:
        for payload in payloads:
            column.append(payload)
        assert column.num_bytes == sum(len(payload or b"") for payload in payloads)
        taken = column.take()
        taken.validate(full=True)
        assert taken.to_pylist() == payloads
        if is_kept:
            kept.append((taken.slice(1), payloads[1:]))
        del taken
        assert [array.to_pylist() for array, _ in kept] == [expected for _, expected in kept]


def test_memory_is_used_again_when_nobody_holds_it() -> None:
    column = PayloadColumn(100)

    def address(payload: bytes) -> tuple[pa.Array, int]:
        column.append(payload)
        array = column.take()
        return array, array.buffers()[2].address

    first, first_address = address(b"a" * 50)
    second, second_address = address(b"b" * 60)
    assert first_address != second_address
    del first
    third, third_address = address(b"c" * 70)
    assert third_address == first_address
    assert (second.to_pylist(), third.to_pylist()) == ([b"b" * 60], [b"c" * 70])
