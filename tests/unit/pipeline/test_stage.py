"""Fusing row stages, and the schema checks at both ends of each."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.config import Config
from pipeline.errors import SchemaError
from pipeline.stage import Stage, fuse, with_columns


class Empty(Config):
    pass


def plus_one(source: str, target: str) -> Stage:
    return Stage(
        name=f"{target}_from_{source}",
        version="1",
        config=Empty(),
        input_schema=pa.schema([(source, pa.int64())]),
        output_schema=pa.schema([(target, pa.int64())]),
        apply=lambda batch: with_columns(batch, {target: pc.add(batch.column(source), 1)}),
    )


BATCH = pa.record_batch({"a": pa.array([1, 2]), "other": pa.array(["x", "y"])})


def test_fused_stages_run_in_order_and_pass_on_columns_they_do_not_know():
    result = fuse([plus_one("a", "b"), plus_one("b", "c")])(BATCH)
    assert result.to_pydict() == {"a": [1, 2], "other": ["x", "y"], "b": [2, 3], "c": [3, 4]}


def test_a_missing_input_column_names_the_stage_and_the_column():
    with pytest.raises(SchemaError, match=r"column 'b' is missing at the input of stage 'c_from_b'.*\['a', 'other'\]"):
        fuse([plus_one("b", "c")])(BATCH)


def test_a_wrong_type_is_found_at_the_input():
    with pytest.raises(SchemaError, match=r"column 'other' has type string at the input .* expected int64"):
        fuse([plus_one("other", "c")])(BATCH)


def test_a_stage_that_does_not_return_what_it_declares_is_found():
    liar = Stage(
        name="liar",
        version="1",
        config=Empty(),
        input_schema=pa.schema([]),
        output_schema=pa.schema([("promised", pa.int64())]),
        apply=lambda batch: batch,
    )
    with pytest.raises(SchemaError, match="column 'promised' is missing at the output of stage 'liar'"):
        fuse([liar])(BATCH)


def test_a_frame_stage_cannot_be_fused():
    frame_stage = Stage(
        name="join",
        version="1",
        config=Empty(),
        input_schema=pa.schema([]),
        output_schema=pa.schema([]),
        apply=lambda frame: frame,
        is_row_stage=False,
    )
    with pytest.raises(SchemaError, match="'join' works on whole DataFrames and cannot be fused"):
        fuse([frame_stage])


def test_columns_are_replaced_in_place_appended_and_dropped():
    batch = with_columns(BATCH, {"a": pa.array([5, 6]), "new": pa.array([True, False])}, drop=["other"])
    assert batch.schema.names == ["a", "new"]
    assert batch.column("a").to_pylist() == [5, 6]
