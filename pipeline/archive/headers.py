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

HEADER_END = re.compile(rb"\n\r*\n")  # begins with a literal, for speed; the CR before it does not matter
WARC_START = re.compile(rb"WARC/\d")
_ARC_LINE = (
    rb"(?P<url>[A-Za-z][\w+.-]{0,30}:[^\n]{0,8192}?) "
    rb"(?P<ip>\d{1,3}(?:\.\d{1,3}){3}|[\da-fA-F]{0,4}(?::[\da-fA-F.]*){2,8}) "
    rb"(?P<date>\d{12,18}) (?P<type>[^\n]{0,1024}) (?P<length>[^\s]{1,40})\r*\n"
)
ARC_START = re.compile(_ARC_LINE)
MAX_ARC_LINE_BYTES = 1 << 14
LINE_ENDS = re.compile(rb"[\r\n]{0,16}")  # behind a record there are four
_FIELD = re.compile(r"\n([^:\n]*):([^\n]*)")
_TYPE = re.compile(rb"\nWARC-Type: ([a-z]{1,20})\r?\n")  # as nearly every crawler writes it; others are parsed in full
_LENGTH = re.compile(rb"\nContent-Length: (\d{1,18})\r?\n")
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


def parse_fields(header: bytes, pattern: re.Pattern[str] = _FIELD) -> dict[str, str]:
    """Fields of a WARC or HTTP header, without its first line.

    Args:
        header: as it stands in the file.
        pattern: all fields, or those of ``only``, which takes half the time.

    Returns:
        Values by lower-cased name: the first of several of the same name, folded lines joined by a space, lines
        without a colon left out, bytes that are not UTF-8 replaced.
    """
    text = header.decode("utf-8", "replace")
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    return {name.strip().lower(): value.strip() for name, value in reversed(pattern.findall(text))}


def only(*names: str) -> re.Pattern[str]:
    """What ``parse_fields`` looks for when but a few fields are wanted, by their lower-case names."""
    return re.compile(rf"\n[^\S\n]*({'|'.join(names)})[^\S\n]*:([^\n]*)", re.IGNORECASE)


class RecordHeader:
    """The header of a WARC record, parsed as far as it is asked for.

    Two records of three in a crawl are requests and metadata, of which only type and length are needed.

    Args:
        raw: the header as it stands in the file; empty for ARC.
        fields: given for ARC, whose header lines are translated.
    """

    def __init__(self, raw: bytes, fields: dict[str, str] | None = None) -> None:
        self._raw = raw
        self._fields = fields
        skimmed = None if fields is not None else _TYPE.search(raw)
        length = None if skimmed is None else _LENGTH.search(raw)
        self.record_type = (skimmed.group(1).decode() if skimmed else self.fields.get("warc-type", "")).lower()
        self.block_bytes = int(length.group(1)) if length else declared_block_bytes(self.fields)

    @property
    def fields(self) -> dict[str, str]:
        """As ``parse_fields`` returns them."""
        if self._fields is None:
            self._fields = parse_fields(self._raw)
        return self._fields


def declared_block_bytes(fields: dict[str, str]) -> int | None:
    """``Content-Length`` as a number, ``None`` if it is absent or not one."""
    length = fields.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) <= 18 else None


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
