"""Whatever sequences are written come back, and the bytes do not depend on how they were handed over."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.token_shard import ShardReader, write_shard


@st.composite
def shards(draw):
    dtype = draw(st.sampled_from([np.dtype("uint16"), np.dtype("int32")]))
    token = st.integers(0, int(np.iinfo(dtype).max))
    return dtype, draw(st.lists(st.lists(token, max_size=20), max_size=20))


@settings(deadline=None)
@given(shards())
def test_round_trip(shard):
    dtype, sequences = shard
    with tempfile.TemporaryDirectory() as folder:
        as_given, as_int64 = str(Path(folder, "a")), str(Path(folder, "b"))
        info = write_shard(as_given, (np.array(sequence, dtype=dtype) for sequence in sequences), dtype)
        again = write_shard(as_int64, [np.array(sequence, dtype=np.int64) for sequence in sequences], dtype)
        reader = ShardReader(as_given)
        assert [reader[i].tolist() for i in range(len(reader))] == sequences
        assert reader.lengths.tolist() == [len(sequence) for sequence in sequences]
        assert info == again
        assert info.num_tokens == sum(map(len, sequences))
