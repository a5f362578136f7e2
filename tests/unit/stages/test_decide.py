"""The stage decide: which columns it asks for, which rows it ends, batch cuts."""

from __future__ import annotations

import pyarrow as pa
import pytest

from filters.registry import FiltersConfig
from pipeline.errors import SchemaError
from pipeline.schema import ENDED
from pipeline.stage import fuse
from stages.decide import make_stage

CONFIG = FiltersConfig.model_validate({"language": {}, "c4": {"max_lorem_ipsum_lines": False}})


def batch() -> pa.RecordBatch:
    ended = [None, None, "too_long", None, None]
    arrays = {
        "lang_score": pa.array([0.9, 0.2, 0.2, 0.9, None]),
        "c4_num_sentences": pa.array([9, 9, 0, 4, None]),
        "c4_num_curly_brace_lines": pa.array([0, 1, 0, 0, None]),
        "ended_stage": pa.array(["filter_url" if reason else None for reason in ended], pa.string()),
        "ended_reason": pa.array(ended, pa.string()),
        "ended_value": pa.nulls(5, pa.float64()),
        "ended_threshold": pa.nulls(5, pa.float64()),
    }
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def test_living_rows_end_with_their_first_fault() -> None:
    result = fuse([make_stage(CONFIG)])(batch())
    assert result.schema.names == batch().schema.names
    assert result.select(ENDED.names).to_pylist() == [
        dict.fromkeys(ENDED.names),
        dict(zip(ENDED.names, ["language", "language_uncertain", 0.2, 0.65], strict=True)),
        dict(zip(ENDED.names, ["filter_url", "too_long", None, None], strict=True)),
        dict(zip(ENDED.names, ["c4", "too_few_sentences", 4.0, 5.0], strict=True)),
        dict.fromkeys(ENDED.names),
    ]


def test_it_asks_for_the_signals_of_its_rules_only() -> None:
    names = make_stage(CONFIG).input_schema.names
    assert names == ["lang_score", "c4_num_curly_brace_lines", "c4_num_sentences", *ENDED.names]
    with pytest.raises(SchemaError, match="c4_num_sentences"):
        fuse([make_stage(CONFIG)])(batch().drop_columns(["c4_num_sentences"]))


def test_batch_cuts_do_not_show() -> None:
    apply = fuse([make_stage(CONFIG)])
    rows = [apply(batch().slice(i, 1)) for i in range(batch().num_rows)]
    assert pa.Table.from_batches(rows).equals(pa.Table.from_batches([apply(batch())]))


def test_what_is_rejected_can_be_kept_instead() -> None:
    config = CONFIG.model_copy(update={"keep_rejected": True})
    result = fuse([make_stage(config)])(batch())
    accepted = dict(zip(ENDED.names, ["keep_rejected", "accepted_by_filters", None, None], strict=True))
    assert result.select(ENDED.names).to_pylist() == [
        accepted,
        dict.fromkeys(ENDED.names),
        dict(zip(ENDED.names, ["filter_url", "too_long", None, None], strict=True)),
        dict.fromkeys(ENDED.names),
        accepted,
    ]
