"""The first fault counts, and a quarantined record is never also dropped."""

import pyarrow as pa
import pytest

from pipeline.ended import is_alive, mark_ended
from pipeline.schema import ENDED


def batch_of(**columns: list) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def test_columns_are_added_and_filled_only_where_a_reason_stands():
    marked = mark_ended(
        batch_of(doc_id=["a", "b"]),
        stage="gopher_quality",
        reason=pa.array([None, "too_few_words"]),
        value=pa.array([3.0, 4.0]),
        threshold=pa.array([50.0, 50.0]),
    )
    assert marked.schema.names == ["doc_id", *ENDED.names]
    assert [marked.schema.field(name).type for name in ENDED.names] == ENDED.types
    assert marked.to_pylist() == [
        {"doc_id": "a", "ended_stage": None, "ended_reason": None, "ended_value": None, "ended_threshold": None},
        {
            "doc_id": "b",
            "ended_stage": "gopher_quality",
            "ended_reason": "too_few_words",
            "ended_value": 4.0,
            "ended_threshold": 50.0,
        },
    ]


def test_a_row_that_has_ended_keeps_its_first_fault():
    first = mark_ended(batch_of(doc_id=["a", "b"]), stage="url", reason=pa.array(["blocked_word", None]))
    second = mark_ended(
        first,
        stage=pa.array(["c4", "c4"]),
        reason=pa.array(["curly_brace", "curly_brace"]),
        value=pa.array([1.0, 2.0]),
        threshold=pa.array([0.0, 0.0]),
    )
    assert second.column("ended_stage").to_pylist() == ["url", "c4"]
    assert second.column("ended_reason").to_pylist() == ["blocked_word", "curly_brace"]
    assert second.column("ended_value").to_pylist() == [None, 2.0]
    assert second.column("ended_threshold").to_pylist() == [None, 0.0]


def test_an_unreadable_record_is_never_dropped():
    batch = batch_of(error_class=["RecordError", None])
    marked = mark_ended(batch, stage="url", reason=pa.array(["blocked_word", "blocked_word"]))
    assert marked.column("ended_reason").to_pylist() == [None, "blocked_word"]


@pytest.mark.parametrize(
    ("columns", "alive"),
    [
        ({"doc_id": ["a"]}, [True]),
        ({"ended_reason": [None, "x"]}, [True, False]),
        ({"ended_reason": [None, None, "x"], "error_class": [None, "RecordError", None]}, [True, False, False]),
    ],
)
def test_is_alive(columns, alive):
    assert is_alive(batch_of(**columns)).to_pylist() == alive


def test_an_empty_batch_stays_empty():
    empty = pa.RecordBatch.from_arrays([pa.array([], pa.string())], names=["doc_id"])
    assert mark_ended(empty, stage="url", reason=pa.array([], pa.string())).num_rows == 0
