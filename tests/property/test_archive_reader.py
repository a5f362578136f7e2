"""Whatever is done to an archive, its reader neither raises nor hangs, and its counts add up.

Archives of a few records are cut, overwritten, spliced and compressed in every way that the reader knows; the rows and
counts must balance, records that no mutation touched must come out, and the outcome must not depend on anything but
the bytes.
"""

from __future__ import annotations

import gzip
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.input_unit import InputUnit
from stages import read_warc
from stages.read_warc import PAGE_TYPES, ReadConfig

LINE_ENDS = b"\r\n\r\n"


def record(number: int, body: bytes, record_type: str = "response") -> bytes:
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
    block = http % (len(body), body)
    head = (
        f"WARC/1.0\r\nWARC-Type: {record_type}\r\nWARC-Record-ID: <urn:uuid:{number}>\r\n"
        f"WARC-Date: 2024-05-06T07:08:09Z\r\n"
        f"WARC-Target-URI: http://birds.example/{number}\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + LINE_ENDS


ARC_HEAD = b"filedesc://a.arc 0.0.0.0 20140101000000 text/plain 5\n1 0 X\n\n"


def arc_record(number: int, body: bytes) -> bytes:
    block = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    return f"http://birds.example/{number} 192.0.2.1 20140102030405 text/html {len(block)}\n".encode() + block + b"\n"


COMPRESS = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "lz4": lambda data: pa.Codec("lz4").compress(data).to_pybytes(),
}
bodies = st.lists(st.binary(min_size=1, max_size=200).map(lambda data: b"<p>" + data), min_size=1, max_size=5)
types = st.sampled_from([*PAGE_TYPES, "request", "warcinfo", "metadata", "continuation", "surprise"])


@st.composite
def archives(draw: st.DrawFn) -> list[bytes]:
    """Members of an intact archive, one per record."""
    compress = COMPRESS[draw(st.sampled_from(sorted(COMPRESS)))]
    contents = draw(bodies)
    if draw(st.booleans()):
        plain = [ARC_HEAD, *(arc_record(number, body) for number, body in enumerate(contents))]
    else:
        plain = [record(number, body, draw(types)) for number, body in enumerate(contents)]
    if draw(st.booleans()):
        return [compress(b"".join(plain))]
    return [compress(content) for content in plain]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(b"".join(draw(archives())))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 60))
        match draw(st.sampled_from(["flip", "cut", "insert", "overwrite", "end", "repeat"])):
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at : at + length]
            case "insert":
                data[at:at] = draw(st.binary(max_size=60))
            case "overwrite":
                data[at : at + length] = draw(st.sampled_from([b"\0", b"\xff", b"\n", b"9"])) * length
            case "end":
                del data[at:]
            case "repeat":
                data[at:at] = data[at : at + 10 * length]
    return bytes(data)


def read(data: bytes, config: ReadConfig) -> tuple[list[dict], Counter[str]]:
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "birds.warc"
        path.write_bytes(data)
        unit = InputUnit(
            unit="u",
            source="s",
            domain="d",
            location=str(path),
            warc_file="birds.warc",
            format="warc",
            size_bytes=len(data),
        )
        rows = []
        for batch in read_warc.read(unit, config, counts):
            batch.validate(full=True)
            rows += batch.to_pylist()
    return rows, counts


def assert_adds_up(rows: list[dict], counts: Counter[str], data: bytes) -> None:
    assert len(rows) == sum(counts[name] for name in (*PAGE_TYPES, "unreadable"))
    assert sum(row["error_class"] is not None for row in rows) == counts["unreadable"]
    assert len({row["doc_id"] for row in rows}) == len(rows)
    for row in rows:
        assert 0 <= row["warc_offset"] < len(data)
        assert [row["payload"], row["ended_reason"], row["error_class"]].count(None) == 2


@settings(max_examples=300, deadline=None)
@given(mutated(), st.sampled_from([20, 1 << 20]), st.booleans())
def test_a_mutated_archive_is_read_without_an_error_and_adds_up(data: bytes, limit: int, verify: bool) -> None:
    config = ReadConfig(max_payload_bytes=limit, verify_digests=verify)
    rows, counts = read(data, config)
    assert_adds_up(rows, counts, data)
    assert (rows, counts) == read(data, config)
    assert not data.strip(b"\r\n") or sum(counts.values()) > 0


@settings(max_examples=100, deadline=None)
@given(archives(), st.data())
def test_intact_members_around_a_damaged_one_come_out(members: list[bytes], data: st.DataObject) -> None:
    intact = [read(b"".join(members), ReadConfig())[1][name] for name in ("unreadable",)]
    assert intact == [0]
    if len(members) == 1 or not members[0].startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        return  # a damaged plain record may look like another intact one; lz4 frames have no checksum here
    hit = data.draw(st.integers(0, len(members) - 1))
    at = data.draw(st.integers(0, len(members[hit]) - 1))
    damaged = bytearray(members[hit])
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    rows, counts = read(b"".join([*members[:hit], bytes(damaged), *members[hit + 1 :]]), ReadConfig())
    whole, _ = read(b"".join(members), ReadConfig())
    offsets = [sum(map(len, members[:number])) for number in range(len(members))]
    untouched = [row for row in whole if row["warc_offset"] != offsets[hit]]
    found = [row for row in rows if row["error_class"] is None and row["warc_offset"] != offsets[hit]]
    assert found == untouched
    assert counts["unreadable"] <= 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=500))
def test_any_bytes_at_all(data: bytes) -> None:
    for content in (data, gzip.compress(data), b"WARC/1.0\r\n" + data, b"filedesc://" + data):
        rows, counts = read(content, ReadConfig())
        assert_adds_up(rows, counts, content)
