"""The table reader: JSON lines and Parquet, intact and damaged."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.input_unit import InputConfig, list_units
from pipeline.schema import PAGE
from stages import read_table
from stages.read_table import ReadConfig

TEXTS = ["The heron stands still.", "Цапля стоит.", "  ", "", None]
COMPRESS = {".jsonl": bytes, ".jsonl.gz": gzip.compress, ".jsonl.zst": zstandard.compress}


def read(path: Path, config: ReadConfig | None = None, **columns: str) -> tuple[list[dict[str, Any]], Counter[str]]:
    (unit,) = list_units([InputConfig(name="crawl", paths=(str(path),), columns=columns)], "/")
    assert not unit.is_archive
    counts: Counter[str] = Counter()
    rows = []
    for batch in read_table.read(unit, config or ReadConfig(), counts):
        batch.validate(full=True)
        assert batch.schema == PAGE
        rows += batch.to_pylist()
    assert len(rows) == counts["text"] + counts["unreadable"]
    assert len({row["doc_id"] for row in rows}) == len(rows)
    return rows, counts


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_json_lines(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"birds{suffix}"
    path.write_bytes(COMPRESS[suffix](lines(*({"text": text, "n": 1} for text in TEXTS))))
    rows, counts = read(path)
    assert counts == {"text": 5}
    assert [row["payload"] for row in rows] == [TEXTS[0].encode(), TEXTS[1].encode(), None, None, None]
    assert [row["ended_reason"] for row in rows] == [None, None, *["empty_payload"] * 3]
    assert {row["ended_stage"] for row in rows[2:]} == {"read_table"}
    assert [row["warc_offset"] for row in rows] == [0, 1, 2, 3, 4]
    assert {(row["record_type"], row["content_type"], row["charset"]) for row in rows} == {
        ("text", "text/plain", "utf-8")
    }


def test_columns_of_other_names(tmp_path: Path) -> None:
    path = tmp_path / "birds.jsonl"
    path.write_bytes(lines({"body": "a heron", "key": 17, "link": "http://birds.example/"}))
    (row,), _ = read(path, text="body", id="key", url="link")
    assert (row["payload"], row["warc_record_id"], row["url"]) == (b"a heron", "17", "http://birds.example/")


@pytest.mark.parametrize(
    ("line", "error_class"),
    [
        (b"not json", "MalformedJson"),
        (b'{"text": "cut', "MalformedJson"),
        (b"[1, 2]", "MalformedJson"),
        (b"\xff\xfe", "MalformedJson"),
        (b'{"text":' + b"[" * 100_000, "MalformedJson"),
        (b'{"body": "x"}', "MissingText"),
        (b'{"text": 5}', "MissingText"),
    ],
)
def test_a_broken_line_costs_itself_alone(tmp_path: Path, line: bytes, error_class: str) -> None:
    path = tmp_path / "birds.jsonl"
    path.write_bytes(lines({"text": "one"}) + line + b"\n\n" + lines({"text": "two"}))
    rows, counts = read(path)
    assert counts == {"text": 2, "unreadable": 1, "blank_line": 1}
    assert [row["error_class"] for row in rows] == [None, error_class, None]
    assert rows[1]["warc_offset"] == 1
    assert "in birds.jsonl at 1" in rows[1]["error_message"]


def test_lone_surrogates_become_question_marks(tmp_path: Path) -> None:
    path = tmp_path / "birds.jsonl"
    path.write_bytes(b'{"text": "a\\ud800b", "url": "http://a/\\udfff"}\n')
    (row,), _ = read(path, url="url")
    assert row["payload"] == b"a?b"
    assert row["url"] == "http://a/?"


def test_texts_and_lines_above_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "birds.jsonl"
    path.write_bytes(lines({"text": "a" * 1001}, {"text": "b" * 1000}, {"text": "c" * 3_000_000}, {"text": "d"}))
    rows, counts = read(path, ReadConfig(max_payload_bytes=1000))
    assert counts == {"text": 4}
    assert [row["ended_reason"] for row in rows] == ["payload_too_large", None, "payload_too_large", None]
    assert [row["ended_value"] for row in rows][0::2] == [1001, len('{"text": ""}') + 3_000_000]


def test_a_damaged_member_of_json_lines(tmp_path: Path) -> None:
    members = [gzip.compress(lines({"text": f"{number} " * 50})) for number in range(4)]
    members[1] = members[1][:20] + b"\xff\xff" + members[1][22:]
    path = tmp_path / "birds.jsonl.gz"
    path.write_bytes(b"".join(members))
    rows, counts = read(path)
    assert counts == {"text": 3, "unreadable": 1}
    assert [row["error_class"] for row in rows] == [None, "CorruptMember", None, None]
    path.write_bytes(gzip.compress(lines({"text": "one"}))[:-4])
    assert read(path)[0][-1]["error_class"] == "TruncatedMember"


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "birds.parquet"
    table = pa.table({"text": TEXTS * 40, "id": range(200), "other": [{"a": 1}] * 200})
    pq.write_table(table, path, row_group_size=70)
    rows, counts = read(path, id="id")
    assert counts == {"text": 200}
    assert [row["payload"] for row in rows[:2]] == [TEXTS[0].encode(), TEXTS[1].encode()]
    assert [row["warc_offset"] for row in rows] == list(range(200))
    assert rows[150]["warc_record_id"] == "150"


def test_a_damaged_row_group_costs_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "birds.parquet"
    texts = [f"{number} " * 100 for number in range(300)]
    pq.write_table(pa.table({"text": texts}), path, row_group_size=100, compression="zstd", use_dictionary=False)
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    data[column.data_page_offset : column.data_page_offset + 30] = b"\xff" * 30
    path.write_bytes(data)
    rows, counts = read(path)
    assert counts == {"text": 200, "unreadable": 1}
    (broken,) = (row for row in rows if row["error_class"])
    assert broken["error_class"] == "CorruptRowGroup"
    assert "rows 100 to 199" in broken["error_message"]
    assert [row["warc_offset"] for row in rows if not row["error_class"]] == [*range(100), *range(200, 300)]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 garbage PAR1", b"no parquet at all"])
def test_a_file_that_is_no_parquet_is_one_row(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "birds.parquet"
    path.write_bytes(content)
    (row,), counts = read(path)
    assert counts == {"unreadable": 1}
    assert row["error_class"] == "UnreadableFile"


def test_a_parquet_file_without_the_column(tmp_path: Path) -> None:
    path = tmp_path / "birds.parquet"
    pq.write_table(pa.table({"body": ["x"]}), path)
    (row,), _ = read(path)
    assert row["error_class"] == "MissingText"
    assert "columns body, expected 'text'" in row["error_message"]
