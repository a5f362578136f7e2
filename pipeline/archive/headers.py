"""Header syntax of WARC, ARC and HTTP: where a header starts and ends, and what its fields say.

Real archives are looser than the standards: line ends may be CRLF, LF or CR CR LF, fields may be folded, URLs in ARC
header lines may hold spaces. All of that is read. fastwarc's ``HeaderMap`` gives up on LF headers, on headers longer
than 32 KiB, and joins repeated fields with a comma, which turns two content types into a third.

ARC header lines are rewritten as WARC fields, as warcio does; the file description counts as ``warcinfo``.

Source: ISO 28500:2017 (WARC 1.1), section 4; "Arc File Format" (Burner and Kahle, Internet Archive, 1996), versions 1
and 2; RFC 9112, section 5 (folding).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from pipeline.kernels.header_fields import (
    END,
    IS_ODD,
    LENGTH,
    NAMES,
    NUM_FOUND,
    PLACES,
    RECORD_TYPE,
    RECORD_TYPES,
    scan_header,
)

HEADER_END = re.compile(rb"\n\r*\n")  # begins with a literal, for speed; the CR before it does not matter
WARC_START = re.compile(rb"WARC/\d")
_ARC_LINE = (
    rb"(?P<url>[A-Za-z][\w+.-]{0,30}:[^\n]{0,8192}?) "
    rb"(?P<ip>\d{1,3}(?:\.\d{1,3}){3}|[\da-fA-F]{0,4}(?::[\da-fA-F.]*){2,8}) "
    rb"(?P<date>\d{12,18}) (?P<type>[^\n]{0,1024}) (?P<length>[^\s]{1,40})\r*\n"
)
ARC_START = re.compile(_ARC_LINE)
MAX_ARC_LINE_BYTES = 1 << 14
MAX_HEADER_BYTES = 1 << 20
LINE_ENDS = re.compile(rb"[\r\n]{0,16}")  # behind a record there are four
_FIELD = re.compile(r"\n([^:\n]*):([^\n]*)")
_PLACES = {name: PLACES + number for number, name in enumerate(NAMES)}
_MAX_PLACE = 0xFFFFFFFF
_SCRATCH = np.empty(NUM_FOUND, dtype=np.int64)
_FOLD = re.compile(r"\r*\n[ \t]+(?=[^\s])")

# What is looked for when the place of the next record is not known. ARC lines begin behind a newline, which the
# patterns match too, as a literal that lets the regex engine skip to candidates; WARC records may begin anywhere.
_WARC_LINE = rb"WARC/\d\.\d[ \t\r]*\n"
NEXT_WARC = re.compile(_WARC_LINE)
NEXT_ARC = re.compile(rb"\n(?=" + _ARC_LINE + rb")")
NEXT_ANY = re.compile(_WARC_LINE + rb"|\n(?=" + _ARC_LINE + rb")")


def starts_record(data: bytes) -> bool:
    """Whether ``data`` begins with a WARC or an ARC record."""
    return bool(WARC_START.match(data) or ARC_START.match(data))


def parse_fields(header: bytes) -> dict[str, str]:
    """Fields of a WARC or HTTP header, without its first line.

    Returns:
        Values by lower-cased name: the first of several of the same name, folded lines joined by a space, lines
        without a colon left out, bytes that are not UTF-8 replaced.
    """
    text = header.decode("utf-8", "replace")
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    return {name.strip().lower(): value.strip() for name, value in reversed(_FIELD.findall(text))}


class Fields(Mapping[str, str]):
    """What ``parse_fields`` returns, with those that reading needs found in one pass and cut out when asked for.

    Args:
        data: bytes that hold the header as it stands in the file.
        start, limit: it begins at ``start`` and is looked at up to ``limit``. Parsed in full are at most its first
            ``MAX_HEADER_BYTES``: a block without a blank line would make a dictionary of itself.
        parsed: instead of a header, what it says.
    """

    __slots__ = ("_data", "_found", "_limit", "_parsed", "_start")

    def __init__(
        self, data: bytes, start: int = 0, limit: int | None = None, *, parsed: dict[str, str] | None = None
    ) -> None:
        self._data = data
        self._start = start
        self._limit = len(data) if limit is None or limit > len(data) else limit
        self._found: tuple[int, ...] = scan_header(data, start, self._limit, _SCRATCH)
        self._parsed = parsed
        if self._found[IS_ODD] or self._limit >> 31:  # places behind that do not fit into the kernel's numbers
            self._all()

    @property
    def end(self) -> int | None:
        """Position behind the blank line that ends the header; ``None`` if there is none."""
        end = self._found[END]
        return None if end < 0 else end

    @property
    def record_type(self) -> str:
        """``WARC-Type`` in lower case; empty if there is none."""
        number = self._found[RECORD_TYPE]
        if number < 0 or self._parsed is not None:
            return (self.find("warc-type") or "").lower()
        return RECORD_TYPES[number]

    @property
    def block_bytes(self) -> int | None:
        """``Content-Length`` as a number, ``None`` if it is absent or not one."""
        number = self._found[LENGTH]
        if number < 0 or self._parsed is not None:
            length = self.find("content-length") or ""
            return int(length) if length.isascii() and length.isdigit() and len(length) <= 18 else None
        return number

    def find(self, name: str) -> str | None:
        """As ``get``, and quicker."""
        place = _PLACES.get(name)
        if place is None or self._parsed is not None:
            return self._all().get(name)
        found = self._found[place]
        if found < 0:
            return None
        return self._data[found >> 32 : found & _MAX_PLACE].decode("utf-8", "replace").strip()

    def __getitem__(self, name: str) -> str:
        value = self.find(name)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, str]:
        if self._parsed is None:
            end = min(self.end or self._limit, self._start + MAX_HEADER_BYTES)
            self._parsed = parse_fields(self._data[self._start : end])
        return self._parsed


def arc_fields(line: re.Match[bytes]) -> dict[str, str]:
    """WARC fields that say what an ARC header line says."""
    parts = {name: value.decode("utf-8", "replace") for name, value in line.groupdict().items()}
    date = parts["date"][:14].ljust(14, "0")
    return {
        "warc-type": "warcinfo" if parts["url"].startswith("filedesc:") else "response",
        "warc-target-uri": parts["url"],
        "warc-date": f"{date[:4]}-{date[4:6]}-{date[6:8]}T{date[8:10]}:{date[10:12]}:{date[12:14]}Z",
        "content-type": parts["type"].partition(" ")[0],
        "content-length": parts["length"],
    }
