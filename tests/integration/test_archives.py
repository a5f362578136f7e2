"""The reader against warcio, an independent one, on archives that nobody here wrote.

For every archive of ``../shared/data/warc`` and ``../shared/data/crawl`` the number of records by type must be
warcio's; where it is not, ``DIFFERENCES`` says what we find and why.
"""

from __future__ import annotations

import contextlib
import gzip
import io
from collections import Counter
from pathlib import Path

import pytest
import zstandard
from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

from pipeline.archive.members import READ_BYTES
from pipeline.input_unit import InputConfig, InputUnit, list_units
from stages import read_warc
from stages.read_warc import PAGE_TYPES, ReadConfig

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data, which is not part of the repository")

DIFFERENCES: dict[str, tuple[dict[str, int], str]] = {
    "warcio/bad.arc": (
        {"response": 1, "unreadable": 3},
        "three header lines have no length (-1, -1, abc); warcio takes them for empty records",
    ),
    "warcio/example-space-in-url.arc": (
        {"warcinfo": 1, "unreadable": 1},
        "the block ends 12 bytes before its declared length; warcio gives what there is",
    ),
    "warcio/example-trunc.warc": (
        {"warcinfo": 2, "response": 1, "request": 1, "unreadable": 1},
        "the declared length of the response is too short; the 6 bytes behind it are reported, warcio warns",
    ),
    "warcio/example-wrong-chunks.warc.gz": (
        {"response": 1, "request": 1},
        "warcio raises at the body, which is declared as chunked and is not",
    ),
    "warcio/example-bad-non-chunked.warc.gz": (
        {"warcinfo": 2, "response": 1, "request": 2, "revisit": 1},
        "one gzip member for all records, which warcio refuses",
    ),
    "warcio/example-bad.warc.gz.bad": (
        {"warcinfo": 1, "response": 2, "request": 2, "revisit": 1},
        "one gzip member for all records, which warcio refuses",
    ),
    "pywb/warcs/example.warc": (
        {"warcinfo": 1, "response": 2, "request": 2, "revisit": 1, "unreadable": 1},
        "the declared length of a record is too short; the 7 bytes behind it are reported, warcio warns",
    ),
    "pywb/waczs/valid_example_1.wacz": (
        {"warcinfo": 2, "response": 1, "request": 1, "unreadable": 2},
        "a ZIP file that holds a WARC as it is: its records are found, what lies around them is reported",
    ),
    "resiliparse/clipped.warc.gz": (
        {"unreadable": 1},
        "the member breaks off inside the block; warcio gives what there is",
    ),
}
DIFFERENCES["pywb/warcs/bad.arc"] = DIFFERENCES["warcio/bad.arc"]
DIFFERENCES["pywb/warcs/example-bad.warc.gz.bad"] = DIFFERENCES["warcio/example-bad.warc.gz.bad"]
DIFFERENCES["derived/example.warc.zst"] = DIFFERENCES["pywb/warcs/example.warc"]

NOT_ARCHIVES = (".cdx", ".cdxj", ".aclj", ".idx", ".loc", ".wacz", ".txt", ".cdx.gz", ".paths.gz", "LICENSE")


def units(pattern: str) -> list[InputUnit]:
    return list_units([InputConfig(name="shared", paths=(pattern,))], str(DATA)) if DATA.is_dir() else []


def read(unit: InputUnit) -> tuple[Counter[str], list[str]]:
    """Counts, and the error classes; checks that rows and counts agree and that ids are unique."""
    counts: Counter[str] = Counter()
    ids: list[str] = []
    errors: list[str] = []
    for batch in read_warc.read(unit, ReadConfig(), counts):
        ids += batch.column("doc_id").to_pylist()
        errors += [error for error in batch.column("error_class").to_pylist() if error]
    assert len(ids) == len(set(ids)) == sum(counts[name] for name in (*PAGE_TYPES, "unreadable"))
    assert len(errors) == counts["unreadable"]
    return counts, errors


def decompressed(path: Path) -> io.BytesIO:
    """The file's bytes, decompressed where warcio cannot do it itself."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
    return io.BytesIO(data)


def count_with_warcio(path: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    with contextlib.suppress(ArchiveLoadFailed), contextlib.redirect_stderr(io.StringIO()):
        for record in ArchiveIterator(decompressed(path)):
            name = {"arc_header": "warcinfo"}.get(record.rec_type, record.rec_type)
            is_known = name in (*PAGE_TYPES, "warcinfo", "request", "metadata", "continuation")
            counts[name if is_known else "unknown"] += 1
    return counts


@pytest.mark.parametrize("unit", units("warc/**"), ids=lambda unit: unit.warc_file)
def test_archives_of_many_makers(unit: InputUnit) -> None:
    counts, errors = read(unit)
    if unit.warc_file.endswith(NOT_ARCHIVES) and unit.warc_file not in DIFFERENCES:
        assert errors == ["NotAnArchive"]
        assert counts == {"unreadable": 1}
        return
    if unit.warc_file.endswith(".lz4"):  # warcio cannot read lz4; each has a twin
        twin = unit.location.removesuffix(".lz4")
        assert counts == count_with_warcio(Path(twin))
        return
    counted = count_with_warcio(Path(unit.location))
    expected, reason = DIFFERENCES.get(unit.warc_file, (counted, ""))
    assert counts == expected
    assert not reason or counts != counted, f"warcio agrees now: {reason}"


@pytest.mark.parametrize("unit", units("crawl/*.warc.gz"), ids=lambda unit: unit.warc_file)
def test_the_crawl(unit: InputUnit) -> None:
    """warcio takes long here, so records are counted by their first line, member by member."""
    expected: Counter[str] = Counter()
    with gzip.open(unit.location) as stream:
        previous = b""
        for line in stream:
            if previous.startswith(b"WARC/1.0") and line.startswith(b"WARC-Type: "):
                expected[line.split()[1].decode()] += 1
            previous = line
    counts, errors = read(unit)
    assert errors == []
    assert counts == expected


def test_one_large_archive_against_warcio() -> None:
    (unit,) = units("crawl/lt-00000.warc.gz")
    assert unit.size_bytes > READ_BYTES
    assert read(unit)[0] == count_with_warcio(Path(unit.location))
