from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.archive.headers import HEADER_END, MAX_HEADER_BYTES, Fields, parse_fields
from pipeline.kernels.header_fields import NAMES, RECORD_TYPES

OTHERS = (
    "x-content-type-options",
    "warc-block-digest",
    "content-type-x",
    "",
    "content\rtype",
    "ſtatus",
    "\u2003warc-date",
)
NAME = st.sampled_from([*NAMES, *OTHERS]).flatmap(
    lambda name: st.sampled_from([name, name.upper(), name.title(), f" {name}", f"{name} ", f"{name}\t", name[:-1]])
)
VALUE = st.one_of(
    st.sampled_from(
        [
            *RECORD_TYPES,
            "Response",
            "responses",
            "42",
            "007",
            "4 2",
            "-1",
            "9" * 18,
            "9" * 19,
            "",
            "²",
            "a: b",
            "\x85x\xa0",
        ]
    ),
    st.text(alphabet="ab:; \t\r\x1cé\u2003", max_size=12),
).map(str.encode) | st.binary(max_size=12).map(lambda value: value.replace(b"\n", b""))
LINE_END = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r\r\n", b"\r\n ", b"\n\t"])
LINE = st.builds(
    lambda name, colon, value, end: name.encode() + colon + value + end,
    NAME,
    st.sampled_from([b": "] * 8 + [b":", b" :", b"", b":\t "]),
    VALUE,
    LINE_END,
)
HEADER = st.builds(
    lambda first, lines, end: first + b"".join(lines) + end,
    st.sampled_from([b"WARC/1.0\r\n", b"HTTP/1.1 200 OK\n", b"HTTP/1.1 200 OK", b"\n", b""]),
    st.lists(LINE, max_size=8),
    st.sampled_from([b"\r\n", b"\n", b"\r\r\n", b"", b"x"]),
)


@settings(deadline=None)  # the first compiles the kernel
@given(before=st.binary(max_size=9), header=HEADER, behind=st.binary(max_size=9))
def test_fields_are_those_of_a_full_parse(before: bytes, header: bytes, behind: bytes) -> None:
    data = before + header + behind
    end = HEADER_END.search(header + behind)
    expected = parse_fields((header + behind)[: end.end()] if end else header + behind)
    fields = Fields(data, len(before))
    assert fields.end == (len(before) + end.end() if end else None)
    assert {name: fields.find(name) for name in NAMES} == {name: expected.get(name) for name in NAMES}
    assert fields.record_type == expected.get("warc-type", "").lower()
    length = expected.get("content-length", "")
    is_number = length.isascii() and length.isdigit() and len(length) <= 18
    assert fields.block_bytes == (int(length) if is_number else None)
    assert fields == expected and list(fields) == list(expected) and len(fields) == len(expected)


@pytest.mark.parametrize("name", NAMES)
def test_each_field_is_found_whatever_its_case_and_place(name: str) -> None:
    for spelled in (name, name.upper(), name.title()):
        header = f"WARC/1.0\r\nX-{spelled}: no\r\n{spelled}: yes\r\n{spelled}: no\r\n\r\n".encode()
        assert Fields(header).find(name) == Fields(header)[name] == "yes"
    assert Fields(f"WARC/1.0\r\nX: {name}: no\r\n\r\n".encode()).find(name) is None


def test_a_header_is_read_up_to_its_limit_only() -> None:
    header = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 1234\r\n\r\n"
    for limit in range(len(header)):
        fields = Fields(header, 0, limit)
        assert fields.end is None
        assert dict(fields) == parse_fields(header[:limit])
        assert fields.find("content-length") == parse_fields(header[:limit]).get("content-length")
    assert Fields(header, 0, len(header)).end == len(header)


def test_fields_that_are_given_are_taken_as_they_are() -> None:
    fields = Fields(b"", parsed={"warc-type": "Response", "content-length": "12"})
    assert (fields.record_type, fields.block_bytes, fields.end) == ("response", 12, None)
    with pytest.raises(KeyError):
        fields["content-type"]


def test_a_block_without_an_end_of_its_header_is_not_parsed_whole() -> None:
    """Else a page of 30 MB would become a million strings."""
    odd = b"HTTP/1.1 200 OK\r\n" + b"a :b\n"
    header = odd + b"x" * MAX_HEADER_BYTES + b"\nfar: 1\n"
    fields = Fields(header)
    assert fields.end is None
    assert dict(fields) == {"a": "b"} == parse_fields(header[:MAX_HEADER_BYTES])
