"""Framing: every byte of an archive is in a record or in a broken record, and damage costs what it hits alone."""

from __future__ import annotations

import gzip
import io
import itertools
import random
from collections.abc import Callable

import pyarrow as pa
import pytest
import zstandard
from fastwarc.warc import ArchiveIterator
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.archive.digests import digest_error
from pipeline.archive.members import Members
from pipeline.archive.records import BrokenRecord, Record, iter_records

KEPT = 1 << 20


def http(body: bytes, content_type: str = "text/html") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n".encode() + body


def warc(
    number: int,
    block: bytes,
    *,
    length: object = None,
    line_end: str = "\r\n",
    version: str = "WARC/1.0",
    **fields: str,
) -> bytes:
    described = {
        "WARC-Type": "response",
        "WARC-Record-ID": f"<urn:uuid:{number:04}>",
        "WARC-Target-URI": f"http://birds.example/{number}",
        "Content-Type": "application/http; msgtype=response",
        "Content-Length": str(len(block) if length is None else length),
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    lines = [version, *(f"{name}: {value}" for name, value in described.items() if value), "", ""]
    return line_end.join(lines).encode() + block + b"\r\n\r\n"


def body_of(number: int) -> bytes:
    return http(random.Random(number).randbytes(300).hex().encode())


def lz4(data: bytes) -> bytes:
    return pa.Codec("lz4").compress(data).to_pybytes()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstandard.compress,
    "lz4": lz4,
}
RECORDS = [warc(number, body_of(number)) for number in range(6)]
CHANGES = [
    (b"Content-Length: ", b"Content-Length: 1"),
    (b"Content-Length: 6", b"Content-Length: 5"),
    (b"Content-Length: ", b"Length: "),
    (b"WARC-Type: response", b"warc-type: Request"),
    (b"WARC/1.0", b"WARC/x"),
    (b"\r\n", b"\n"),
]
"""What is done to a record's bytes."""


def events(data: bytes, kept: int = KEPT) -> list[Record | BrokenRecord]:
    return list(iter_records(io.BytesIO(data), kept))


def summary(data: bytes) -> list[str]:
    """Number of each record, or the class of what is broken."""
    return [
        event.fields["warc-record-id"][-5:-1] if isinstance(event, Record) else event.error_class
        for event in events(data)
    ]


@pytest.mark.parametrize("name", COMPRESS)
def test_records_are_cut_as_fastwarc_cuts_them(name: str) -> None:
    members = [COMPRESS[name](record) for record in RECORDS]
    data = b"".join(members)
    expected = [
        (record.stream_pos, record.headers["WARC-Record-ID"], record.reader.read())
        for record in ArchiveIterator(io.BytesIO(data), parse_http=False)
    ]
    found = [(event.offset, event.fields["warc-record-id"], event.block) for event in events(data)]
    assert found == expected
    assert [offset for offset, _, _ in found] == [sum(map(len, members[:number])) for number in range(6)]


@pytest.mark.parametrize("name", COMPRESS)
def test_one_member_for_all_records_and_members_that_cut_records(name: str) -> None:
    whole = b"".join(RECORDS)
    one = COMPRESS[name](whole)
    pieces = b"".join(COMPRESS[name](whole[at : at + 100]) for at in range(0, len(whole), 100))
    for data in (one, pieces):
        found = events(data)
        assert [event.block for event in found] == [body_of(number) for number in range(6)]
        assert len({(event.offset, event.index) for event in found}) == 6


@pytest.mark.parametrize("name", ["gzip", "zstd", "lz4"])
@pytest.mark.parametrize("hit", [0, 2, 5])
def test_a_damaged_member_costs_its_record_alone(name: str, hit: int) -> None:
    members = [COMPRESS[name](record) for record in RECORDS]
    middle = len(members[hit]) // 2
    damaged = {
        "cut": members[hit][:middle],
        "overwritten": members[hit][:middle] + b"\xff" * 40 + members[hit][middle + 40 :],
        "head lost": b"garbage!" + members[hit][8:],
        "garbage before": b"garbage!" * 20,
    }
    for kind, member in damaged.items():
        if name != "gzip" and kind == "overwritten":
            continue  # zstd and lz4 frames have no checksum here: such damage is what verify_digests is for
        data = b"".join([*members[:hit], member, *members[hit + 1 :]])
        found = events(data)
        rest = [f"{number:04}" for number in range(6) if number != hit]
        assert [e.fields["warc-record-id"][-5:-1] for e in found if isinstance(e, Record)] == rest, (name, kind)
        broken = [event for event in found if isinstance(event, BrokenRecord)]
        assert len(broken) == 1, (name, kind, broken)
        assert broken[0].offset == sum(map(len, members[:hit])), (name, kind)


def test_a_damaged_member_names_the_record_that_it_hit() -> None:
    member = bytearray(gzip.compress(RECORDS[1]))
    member[-6] ^= 0xFF  # the checksum
    first = gzip.compress(RECORDS[0])
    broken = events(first + bytes(member) + gzip.compress(RECORDS[2]))[1]
    assert isinstance(broken, BrokenRecord)
    assert broken.error_class == "CorruptMember"
    assert broken.fields["warc-target-uri"] == "http://birds.example/1"
    assert "incorrect data check" in broken.message
    assert broken.offset == len(first)


@pytest.mark.parametrize("name", ["gzip", "zstd", "lz4"])
def test_empty_members_do_not_end_the_file(name: str) -> None:
    members = [COMPRESS[name](record) for record in RECORDS[:2]]
    empty = COMPRESS[name](b"")
    assert summary(empty + members[0] + empty * 3 + members[1] + empty) == ["0000", "0001"]


def test_every_cut_of_a_gzip_archive_is_noticed() -> None:
    members = [gzip.compress(record, mtime=0) for record in RECORDS[:3]]
    data = b"".join(members)
    for length in range(len(data) + 1):
        found = events(data[:length])
        ends = [sum(map(len, members[: number + 1])) for number in range(3)]
        num_whole = sum(end <= length for end in ends)
        records = [event for event in found if isinstance(event, Record)]
        assert len(records) == num_whole, length
        assert len(found) == num_whole + (length not in (0, *ends)), length


def test_every_cut_of_a_plain_archive_is_noticed() -> None:
    data = b"".join(RECORDS[:3])
    lines_end = len(b"\r\n\r\n")
    for length in range(len(data) + 1):
        ends = [sum(map(len, RECORDS[: number + 1])) - lines_end for number in range(3)]
        num_whole = sum(end <= length for end in ends)
        is_clean = length == 0 or any(end <= length <= end + lines_end for end in ends)
        found = events(data[:length])
        assert sum(isinstance(event, Record) for event in found) == num_whole, length
        assert len(found) == num_whole + (not is_clean), length


BETWEEN = {
    "garbage": (b"garbage\r\n\r\n", ["GarbageBetweenRecords"]),
    "zeros": (b"\0" * 5000, ["GarbageBetweenRecords"]),
    "line ends": (b"\r\n" * 5000, []),
    "no length": (warc(7, b"", length=""), ["MalformedHeader"]),
    "length abc": (warc(7, body_of(7), length="abc"), ["MalformedHeader"]),
    "length -5": (warc(7, body_of(7), length="-5"), ["MalformedHeader"]),
    "length of 5,000 digits": (warc(7, body_of(7), length="9" * 5000), ["MalformedHeader"]),
    "no type": (warc(7, body_of(7), WARC_Type=""), ["MalformedHeader"]),
    "header without an end": (b"WARC/1.0\r\nWARC-Type: response\r\nX: " + b"x" * 70_000 + b"\r\n", ["MalformedHeader"]),
    "length too long": (warc(7, body_of(7), length=9000), ["WrongLength"]),
    "length too long by one": (warc(7, body_of(7), length=len(body_of(7)) + 5), ["WrongLength"]),
    "length too short": (warc(7, body_of(7), length=100), ["0007", "GarbageBetweenRecords"]),
    "LF line ends": (warc(7, body_of(7), line_end="\n"), ["0007"]),
    "CR CR LF line ends": (warc(7, body_of(7), line_end="\r\r\n"), ["0007"]),
    "WARC 1.1": (warc(7, body_of(7), version="WARC/1.1"), ["0007"]),
    "long header": (warc(7, body_of(7), X="x" * 100_000), ["0007"]),
    "no line ends behind": (warc(7, body_of(7))[:-4], ["0007"]),
    "a WARC in the block": (warc(7, http(b"".join(RECORDS))), ["0007"]),
    "an ARC line in the block": (warc(7, http(b"\nhttp://a/ 1.2.3.4 20140101000000 text/html 5\nhello\n")), ["0007"]),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_what_stands_between_plain_records(name: str) -> None:
    between, expected = BETWEEN[name]
    data = b"".join([*RECORDS[:2], between, *RECORDS[2:]])
    if name == "header without an end":  # the next record's fields are taken for its own until the header ends
        assert "0003" in summary(data)
        return
    assert summary(data) == ["0000", "0001", *expected, "0002", "0003", "0004", "0005"]


@pytest.mark.parametrize("name", [name for name in BETWEEN if name != "zeros"])
def test_what_stands_between_members(name: str) -> None:
    between, expected = BETWEEN[name]
    found = summary(b"".join(map(gzip.compress, [*RECORDS[:2], between, *RECORDS[2:]])))
    expected = ["TruncatedRecord" if name == "length too long" else label for label in expected]
    if name == "length too long by one":
        expected = ["TruncatedRecord"]
    if name != "header without an end":
        assert found == ["0000", "0001", *expected, "0002", "0003", "0004", "0005"]


def test_a_block_above_the_limit_is_passed_over_but_measured() -> None:
    data = b"".join([RECORDS[0], warc(1, http(b"x" * 3_000_000)), RECORDS[2]])
    for compressed in (data, gzip.compress(data)):
        found = events(compressed, kept=1000)
        assert [len(event.block) for event in found][1] == 1000
        assert found[1].block_bytes == len(http(b"")) + 3_000_000
        assert [event.fields["warc-record-id"][-5:-1] for event in found] == ["0000", "0001", "0002"]


@pytest.mark.parametrize("content", [b"Apache License\n" * 1000, b"PK\x03\x04" + bytes(range(256)) * 9, b"{}\n", b"x"])
def test_not_an_archive_is_one_row(content: bytes) -> None:
    for data in (content, gzip.compress(content), zstandard.compress(content), content * 300):
        assert summary(data) == ["NotAnArchive"]


def test_an_empty_file_has_no_records() -> None:
    assert summary(b"") == summary(gzip.compress(b"")) == summary(b"\r\n\r\n") == []


def test_garbage_before_the_first_record() -> None:
    assert summary(b"garbage\n" + RECORDS[0]) == ["GarbageBetweenRecords", "0000"]


def test_zstd_with_a_dictionary_at_its_head() -> None:
    dictionary = zstandard.train_dictionary(2048, [warc(n, body_of(n)) for n in range(300)])
    compressor = zstandard.ZstdCompressor(dict_data=dictionary)
    frames = b"".join(compressor.compress(record) for record in RECORDS)
    for content in (dictionary.as_bytes(), zstandard.compress(dictionary.as_bytes())):
        head = b"\x5d\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content
        assert summary(head + frames) == [f"{number:04}" for number in range(6)]
    assert "0000" not in summary(frames)


ARC = (
    b"filedesc://birds.arc 0.0.0.0 20140101000000 text/plain 76\n1 0 Birds\n"
    b"URL IP-address Archive-date Content-type Archive-length\n" + b" " * 10 + b"\n"
)


def arc(url: str, block: bytes, *, length: object = None, fields: str = "") -> bytes:
    return f"{url} 192.0.2.1 20140102030405 text/html {fields}{len(block) if length is None else length}\n".encode() + (
        block + b"\n"
    )


def test_arc_records_come_out_as_warc_fields() -> None:
    block = http(b"<p>curlews")
    data = (
        ARC + arc("http://a.example/a b?c=d e", block) + arc("http://b.example/", b"no http", fields="200 - - 0 a.arc ")
    )
    for compressed in (data, gzip.compress(data)):
        found = events(compressed)
        assert [event.fields["warc-type"] for event in found] == ["warcinfo", "response", "response"]
        assert found[1].fields["warc-target-uri"] == "http://a.example/a b?c=d e"
        assert found[1].fields["warc-date"] == "2014-01-02T03:04:05Z"
        assert found[1].fields["content-type"] == "application/http; msgtype=response"
        assert found[1].block == block
        assert found[2].fields["content-type"] == "text/html"


def test_broken_arc_records_cost_themselves_alone() -> None:
    block = http(b"<p>curlews")
    good = [arc(f"http://a.example/{number}", block) for number in range(3)]
    broken = [arc("http://a.example/x", block, length=bad) for bad in ("abc", -1, 5000)]
    data = ARC + good[0] + broken[0] + good[1] + broken[1] + b"garbage\n" + broken[2] + good[2]
    labels = [e.fields["warc-target-uri"][-1] if isinstance(e, Record) else e.error_class for e in events(data)[1:]]
    assert labels == ["0", "MalformedHeader", "1", "MalformedHeader", "WrongLength", "2"]


@pytest.mark.parametrize("kind", COMPRESS)
def test_an_intact_archive_is_read_once(kind: str) -> None:
    """On a web server each byte that is read again is a request."""
    places: list[tuple[int, int]] = []

    class Stream(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            start = self.tell()
            data = super().read(size)
            places.extend([(start, start + len(data))] if data else [])
            return data

    data = b"".join(map(COMPRESS[kind], RECORDS * 40))
    data += b"".join(COMPRESS[kind](warc(9, random.Random(seed).randbytes(1 << 18))) for seed in range(12))
    assert len(list(iter_records(Stream(data), KEPT))) == 252
    assert len(places) >= 2
    assert places[0][0] == 0 and places[-1][1] == len(data)
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(places))


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_malformed_header_says_nothing_of_the_record_behind_it(kind: str) -> None:
    """However much of what follows has been read already."""
    malformed = b"WARC/1.0\r\nWARC-Record-ID: <urn:uuid:0009>\r\nWARC-Ty\xff: x\r\n\r\n" + b"block\r\n\r\n"
    records = [RECORDS[0], malformed, RECORDS[1], RECORDS[2]]
    for one_each in (True, False):
        compressed = map(COMPRESS[kind], records) if one_each else [COMPRESS[kind](b"".join(records))]
        (broken,) = (event for event in events(b"".join(compressed)) if isinstance(event, BrokenRecord))
        assert broken.error_class == "MalformedHeader"
        assert broken.fields == {"warc-record-id": "<urn:uuid:0009>", "warc-ty\ufffd": "x"}


def test_digests() -> None:
    (record,) = (event for event in events(RECORDS[0]) if isinstance(event, Record))
    block = "sha1:" + __import__("base64").b32encode(__import__("hashlib").sha1(record.block).digest()).decode()
    right = events(warc(0, body_of(0), WARC_Block_Digest=block))[0]
    wrong = events(warc(0, body_of(1), WARC_Block_Digest=block))[0]
    unreadable = events(warc(0, body_of(1), WARC_Block_Digest="crc:1234", WARC_Payload_Digest="sha1:short"))[0]
    assert isinstance(right, Record) and isinstance(wrong, Record) and isinstance(unreadable, Record)
    assert digest_error(record) is digest_error(right) is digest_error(unreadable) is None
    assert f"expected {block}" in (digest_error(wrong) or "")


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_members_that_are_one_record_come_out_as_in_the_general_way(data: st.DataObject) -> None:
    """``Framer`` takes them at once; here they are joined, cut and damaged in every way, and read in both."""
    compress = COMPRESS[data.draw(st.sampled_from(["gzip", "zstd"]))]
    members = []
    for number in range(data.draw(st.integers(1, 6))):
        record = RECORDS[number] + data.draw(
            st.sampled_from([b"", b"\r\n", b"\n" * 20, b"x", b"\r\n\r\n" + RECORDS[0]])
        )
        if data.draw(st.booleans()):
            record = record.replace(*data.draw(st.sampled_from(CHANGES)))
        cut = data.draw(st.sampled_from([0, 0, 0, 1, 90, 700]))
        members += [compress(part) for part in (record[:cut], record[cut:]) if part]
    archive = bytearray(b"".join(members))
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(archive) - 1))
        archive[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=8))
    kept = data.draw(st.sampled_from([100, KEPT]))
    at_once = [_told(event) for event in events(bytes(archive), kept)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Members, "take", lambda members, max_bytes: None)
        assert [_told(event) for event in events(bytes(archive), kept)] == at_once


@pytest.mark.parametrize(("parts", "num_taken"), [(1, 39), (2, 0)])
def test_members_are_taken_whole_again_behind_damage(
    parts: int, num_taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fast way is left for the damaged member alone, and given up where no member is a record."""
    members = [gzip.compress(part) for record in (RECORDS * 7)[:40] for part in _cut(record, parts)]
    members[7 * parts] = members[7 * parts][:-6] + b"!!!!!!"  # its checksum
    tried, taken, take = [], [], Members.take

    def counted(self: Members, max_bytes: int) -> object:
        tried.append(member := take(self, max_bytes))
        taken.extend([member] if member else [])
        return member

    monkeypatch.setattr(Members, "take", counted)
    found = events(b"".join(members))
    assert [isinstance(event, Record) for event in found] == [number != 7 for number in range(40)]
    assert len(taken) == num_taken and len(tried) - len(taken) < 10


def _cut(record: bytes, parts: int) -> list[bytes]:
    return [record] if parts == 1 else [record[:20], record[20:]]


def _told(event: Record | BrokenRecord) -> tuple[object, ...]:
    told = (event.offset, event.index, event.fields)
    if isinstance(event, BrokenRecord):
        return (*told, event.error_class, event.message)
    return (*told, event.fields.record_type, event.block_bytes, event.block, event.is_whole)
