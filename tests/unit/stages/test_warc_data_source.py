"""The data source ``warc`` and row stages on a DataFrame, in Spark, against the reader in this process."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyspark.sql.datasource import EqualTo, Filter, In, IsNotNull

from filters.url import UrlConfig
from pipeline.archive.record_table import RECORD
from pipeline.archive.records import Record, iter_records
from pipeline.errors import ConfigError, SchemaError
from stages import extract_text, filter_url
from stages.map_in_arrow import batches_function
from stages.warc_data_source import PushdownWarcDataSource, WarcDataSource, WarcReader

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DOCUMENTATION = Path(__file__).parents[3] / "docs/ingest.md"
HTML = "<html><body><article><p>The heron stands still, number {}. It waits for a fish.</p></article></body></html>"


def record(kind: str, number: int, block: bytes, content_type: str) -> bytes:
    head = (
        f"WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://pond.example/{number}\r\n"
        f"WARC-Date: 2026-01-02T03:04:05Z\r\nWARC-Record-ID: <urn:x:{kind}-{number}>\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def response(number: int, status: int = 200) -> bytes:
    body = gzip.compress(HTML.format(number).encode(), mtime=0)
    head = f"HTTP/1.1 {status} X\r\nContent-Type: text/html; charset=utf-8\r\nContent-Encoding: gzip\r\n\r\n"
    return record("response", number, head.encode() + body, "application/http; msgtype=response")


def request(number: int) -> bytes:
    return record("request", number, b"GET / HTTP/1.1\r\n\r\n", "application/http; msgtype=request")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two archives of responses and requests; in the first, one member is damaged."""
    folder = tmp_path_factory.mktemp("crawl")
    for file in range(2):
        members = []
        for number in range(file * 100, file * 100 + 30):
            members += [
                gzip.compress(request(number)),
                gzip.compress(response(number, 404 if number % 10 == 3 else 200)),
            ]
        if file == 0:
            members[11] = members[11][:-30] + b"\xff" * 22 + members[11][-8:]
        (folder / f"{file}.warc.gz").write_bytes(b"".join(members))
    return folder


def read_here(folder: Path) -> list[dict[str, Any]]:
    """Place, type and error of every event, by the reader of archives itself."""
    rows = []
    for path in sorted(folder.iterdir()):
        for event in iter_records(io.BytesIO(path.read_bytes()), 1 << 20):
            kind = event.fields.record_type if isinstance(event, Record) else event.fields.get("warc-type")
            error = None if isinstance(event, Record) else event.error_class
            rows.append(
                {"warc_file": str(path), "warc_offset": event.offset, "record_type": kind, "error_class": error}
            )
    return rows


PLACE = "warc_file, warc_offset, record_type, error_class"


def reader_of(columns: str = "", pushed: list[Filter] | None = None, **options: str) -> WarcReader:
    source = PushdownWarcDataSource({**options, "columns": columns} if columns else options)
    reader = source.reader(source.schema())
    assert list(reader.pushFilters(pushed or [])) == [other for other in pushed or [] if isinstance(other, IsNotNull)]
    return reader


def rows_of(reader: WarcReader) -> list[dict[str, Any]]:
    """What the reader gives, in this process, partition by partition as they come back from Spark."""
    parts = [pickle.loads(pickle.dumps(part)) for part in reader.partitions()]
    return [row for part in parts for batch in reader.read(part) for row in batch.to_pylist()]


def test_every_record_and_every_damage_is_a_row(folder: Path) -> None:
    expected = read_here(folder)
    assert [row["error_class"] for row in expected if row["error_class"]] == ["CorruptMember"]
    assert rows_of(reader_of(PLACE, path=f"{folder}/*.warc.gz")) == expected
    paths = json.dumps([f"{folder}/1.warc.gz", f"{folder}/0.warc.gz", f"{folder}/0.*"])
    assert rows_of(reader_of(PLACE, paths=paths)) == expected


def test_parts_of_a_file_are_the_file(folder: Path) -> None:
    whole, parts = (reader_of(PLACE, path=f"{folder}/*", **options) for options in ({}, {"split_bytes": "1000"}))
    assert len(whole.partitions()) == 2
    assert len(parts.partitions()) > 20
    assert rows_of(parts) == rows_of(whole)


def test_what_a_row_says(folder: Path) -> None:
    (row,) = (
        row for row in rows_of(reader_of(path=f"{folder}/1.*")) if row["warc_record_id"] == "<urn:x:response-103>"
    )
    assert list(row) == RECORD.names
    found = (row["url"], row["http_status"], row["content_type"], row["charset"])
    assert found == ("http://pond.example/103", 404, "text/html", "utf-8")
    assert row["payload"].decode() == HTML.format(103)
    assert dict(row["warc_headers"])["warc-record-id"] == row["warc_record_id"]
    assert dict(row["http_headers"])["content-encoding"] == "gzip"
    assert row["fetch_time"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert row["num_bytes"] == int(dict(row["warc_headers"])["content-length"])


def test_a_body_is_decoded_only_if_a_column_needs_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise AssertionError("a body was decoded")

    monkeypatch.setattr("pipeline.archive.record_table.decode_body", refuse)
    cheap = ", ".join(name for name in RECORD.names if name not in ("payload", "content_type"))
    assert len(rows_of(reader_of(cheap, path=f"{folder}/1.*"))) == 60
    with pytest.raises(AssertionError, match="a body was decoded"):
        rows_of(reader_of("content_type", path=f"{folder}/1.*"))


@pytest.mark.parametrize(
    ("pushed", "types"),
    [
        ([EqualTo(("record_type",), "response")], {"response"}),
        ([IsNotNull(("record_type",)), In(("record_type",), ("request", "revisit"))], {"request"}),
        ([EqualTo(("record_type",), "response"), In(("record_type",), ("request", "response"))], {"response"}),
        ([EqualTo(("record_type",), "response"), EqualTo(("record_type",), "request")], set()),
        ([], {"request", "response"}),
    ],
)
def test_filters_on_the_type_are_taken_over(folder: Path, pushed: list[Filter], types: set[str]) -> None:
    rows = rows_of(reader_of(PLACE, pushed, path=f"{folder}/*"))
    assert rows == [row for row in read_here(folder) if row["record_type"] in types]


def test_record_types_by_option(folder: Path) -> None:
    rows = rows_of(reader_of(PLACE, path=f"{folder}/*", record_types="request, revisit"))
    assert rows == [row for row in read_here(folder) if row["record_type"] == "request"]


def test_a_payload_above_the_limit_is_null(folder: Path) -> None:
    rows = rows_of(reader_of("record_type, payload", path=f"{folder}/1.*", max_payload_bytes="100"))
    assert {(row["record_type"], row["payload"] is None) for row in rows} == {("response", True), ("request", False)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "x", "speed": "9"}, "unknown option 'speed'; expected one of path, paths"),
        ({"path": "x", "split_bytes": "-1"}, "split_bytes = '-1'; expected a number of bytes"),
        ({"path": "nowhere/*.warc"}, "'nowhere/\\*.warc' matches no file"),
        ({}, "no path is given"),
    ],
)
def test_options_that_cannot_be(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        reader_of(**options).partitions()


def test_a_folder_is_no_archive(folder: Path) -> None:
    with pytest.raises(ConfigError, match=rf"'{folder}' is a folder; expected archives; name '{folder}/\*\*'"):
        reader_of(path=str(folder)).partitions()


def test_paths_are_absolute_for_executors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert [part.location for part in reader_of(path="*.gz").partitions()] == [
        f"{folder}/0.warc.gz",
        f"{folder}/1.warc.gz",
    ]


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="unknown column 'text'"):
        WarcDataSource({"columns": "url,text"}).schema()


def test_the_example_in_the_documentation(spark: SparkSession, folder: Path) -> None:
    _, _, section = DOCUMENTATION.read_text(encoding="utf-8").partition("\n## For other people's jobs\n")
    blocks = re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, Any] = {"spark": spark, "path": [f"{folder}/0.warc.gz", f"{folder}/1.warc.gz"]}
    for block in blocks:
        exec(block, names)
    texts = names["texts"]
    assert "payload" not in texts.columns
    found = {(row.url, row.text, row.ended_reason, row.error_class) for row in texts.collect()}
    numbers = [number for number in (*range(30), *range(100, 130)) if number % 10 != 3 and number != 5]  # 5 is damaged
    assert found == {
        (f"http://pond.example/{number}", f"The heron stands still, number {number}. It waits for a fish.", None, None)
        for number in numbers
    }


def test_in_spark_with_a_filter_that_is_pushed_down(spark: SparkSession, folder: Path) -> None:
    spark.conf.set("spark.sql.python.filterPushdown.enabled", "true")
    spark.dataSource.register(PushdownWarcDataSource)
    try:
        frame = spark.read.format("warc").option("columns", PLACE).load(f"{folder}/*.warc.gz")
        frame = frame.where("record_type = 'request'")
        plan = frame._jdf.queryExecution().executedPlan().toString()
        found = [row.asDict() for row in frame.collect()]
    finally:
        spark.conf.unset("spark.sql.python.filterPushdown.enabled")
        spark.dataSource.register(WarcDataSource)
    assert "= request" not in plan[: plan.index("BatchScan")]  # Spark itself filters no more
    expected = [row for row in read_here(folder) if row["record_type"] == "request"]
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_several_stages_on_batches() -> None:
    stages = [
        extract_text.make_stage(extract_text.ExtractConfig()),
        filter_url.make_stage(UrlConfig()),
    ]
    batch = pa.record_batch(
        {
            "payload": pa.array([b"<p>A heron at the pond", b"<p> "]),
            "content_type": ["text/html"] * 2,
            "charset": pa.nulls(2, pa.string()),
            "page": [1, 2],
            "url": ["http://a.example.org/", None],
        }
    )
    (result,) = batches_function(stages)(iter([batch]))
    assert result.column("page").to_pylist() == [1, 2]
    assert result.column("text").to_pylist() == ["A heron at the pond", None]
    assert result.column("ended_reason").to_pylist() == [None, "no_text"]
    assert result.column("host").to_pylist() == ["a.example.org", None]
    with pytest.raises(SchemaError, match="column 'content_type' is missing at the input of stage 'extract_text'"):
        list(batches_function(stages)(iter([batch.select(["payload", "charset"])])))
