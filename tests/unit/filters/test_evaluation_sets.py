"""Passages read from every format, and what is said about files that are something else."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pydantic import ValidationError

from filters.evaluation_sets import EvaluationSet, read_passages, with_digest
from pipeline.errors import ConfigError

ITEMS = [
    {"question": "Where does the heron stand?", "choices": {"text": ["by the pond", "in a tree"], "label": ["A", "B"]}},
    {"question": "Was fängt er?", "choices": {"text": [], "label": []}, "answer": 7},
    {"question": None, "choices": {"text": ["鱼"], "label": ["A"]}},
]
EXPECTED = [
    ("birds", 0, "question", 0, "Where does the heron stand?"),
    ("birds", 0, "choices.text", 0, "by the pond"),
    ("birds", 0, "choices.text", 1, "in a tree"),
    ("birds", 1, "question", 0, "Was fängt er?"),
    ("birds", 2, "choices.text", 0, "鱼"),
]


def json_lines(items: list[Any]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def parquet(items: list[Any]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(items), sink)
    return sink.getvalue().to_pybytes()


def passages(
    path: Path | str, fields: tuple[str, ...] = ("question", "choices.text"), **keys: Any
) -> list[tuple[Any, ...]]:
    table = read_passages((EvaluationSet(name="birds", path=str(path), fields=fields, **keys),))
    return [tuple(row.values()) for row in table.to_pylist()]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", json_lines(ITEMS)),
        ("a.ndjson", b"\n" + json_lines(ITEMS).replace(b"\n", b"\r\n\n")),
        ("a.json", json.dumps(ITEMS).encode()),
        ("a.parquet", parquet(ITEMS)),
        ("a.jsonl.gz", gzip.compress(json_lines(ITEMS[:1])) + gzip.compress(json_lines(ITEMS[1:]))),
        ("a.json.zst", zstandard.compress(json.dumps(ITEMS).encode())),
        ("a.parquet.gz", gzip.compress(parquet(ITEMS))),
        ("A.JSONL.GZ", gzip.compress(json_lines(ITEMS))),
    ],
)
def test_every_format_gives_the_same_passages(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    assert passages(tmp_path / name) == EXPECTED


def test_csv(tmp_path: Path):
    (tmp_path / "a.csv").write_text('﻿id,question\n1,"Where, by\nthe ""pond""?"\n2,Why\n', encoding="utf-8")
    assert [row[-1] for row in passages(tmp_path / "a.csv", ("question",))] == ['Where, by\nthe "pond"?', "Why"]


def test_items_inside_a_json_file(tmp_path: Path):
    paragraphs = [
        {"context": f"context {i}", "qas": [{"question": f"question {i} {j}"} for j in range(2)]} for i in range(3)
    ]
    nested = {"data": [{"paragraphs": paragraphs[:2]}, {"paragraphs": paragraphs[2:]}]}
    (tmp_path / "squad.json").write_text(json.dumps(nested))
    rows = passages(tmp_path / "squad.json", ("context", "qas.question"), items="data.paragraphs")
    assert rows[-3:] == [
        ("birds", 2, "context", 0, "context 2"),
        ("birds", 2, "qas.question", 0, "question 2 0"),
        ("birds", 2, "qas.question", 1, "question 2 1"),
    ]


def test_several_files_are_counted_on_in_the_order_of_their_names(tmp_path: Path):
    for name, item in (("b.jsonl", ITEMS[1]), ("a.jsonl", ITEMS[0])):
        (tmp_path / name).write_bytes(json_lines([item]))
    assert passages(tmp_path / "*.jsonl") == EXPECTED[:4]


def test_the_format_may_be_given(tmp_path: Path):
    (tmp_path / "test").write_bytes(json_lines(ITEMS))
    assert passages(tmp_path / "test", format="jsonl") == EXPECTED


def test_a_lone_surrogate_is_no_obstacle(tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(b'{"question": "a \\ud800 b"}\n')
    assert passages(tmp_path / "a.jsonl", ("question",))[0][-1] == "a ? b"


@pytest.mark.parametrize(
    ("name", "content", "fields", "message"),
    [
        ("a.txt", b"x", ("q",), "is of no known format"),
        ("a.jsonl", b'{"q": "x"}\n{"q": \n', ("q",), "cannot be read as jsonl: line 2: "),
        ("a.json", b"[", ("q",), "cannot be read as json: "),
        ("a.csv", b"q\n\xff\n", ("q",), "cannot be read as csv: "),
        ("a.parquet", b"PAR1", ("q",), "cannot be read as parquet: "),
        ("a.jsonl.gz", gzip.compress(json_lines(ITEMS))[:-20], ("q",), "it is damaged"),
        ("a.jsonl", json_lines(ITEMS), ("question", "queries"), "found 3 items with keys question, choices, answer"),
        ("a.jsonl", b"", ("question",), "found 0 items with keys none"),
    ],
)
def test_what_is_no_such_set_is_named(tmp_path: Path, name: str, content: bytes, fields: tuple[str, ...], message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        passages(tmp_path / name, fields)
    assert message in str(raised.value)
    assert "birds" in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"no file at .*nowhere\.jsonl .*correct path"):
        passages(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize("fields", [("q", "q"), ("a..b",), ("",), ()])
def test_fields_are_names(fields: tuple[str, ...]):
    with pytest.raises(ValidationError):
        EvaluationSet(name="a", path="a.jsonl", fields=fields)


def test_digests_pin_the_files(tmp_path: Path):
    contents = {"a.jsonl": b'{"q": "x"}', "b.jsonl": b'{"q": "y"}'}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    digests = [hashlib.sha256(content).hexdigest() for content in contents.values()]
    one = EvaluationSet(name="birds", path=str(tmp_path / "a.jsonl"), fields=("q",))
    assert with_digest(one).sha256 == digests[0]
    assert with_digest(with_digest(one)) == with_digest(one)
    both = one.model_copy(update={"path": str(tmp_path / "*.jsonl")})
    assert with_digest(both).sha256 == hashlib.sha256("\n".join(digests).encode()).hexdigest()
    with pytest.raises(ConfigError, match="get the right file"):
        with_digest(one.model_copy(update={"sha256": "0" * 64}))
