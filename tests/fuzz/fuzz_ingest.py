"""Coverage-guided fuzzing of the archive reader and of extraction, with atheris.

    python tests/fuzz/fuzz_ingest.py [--records 1000000] [--seconds 600] [CORPUS_FOLDER]

An input is the recipe of an archive: how it is compressed, how its records lie in members, what is broken after that,
and the records' bytes. libFuzzer mutates recipes towards branches of the reader not yet taken. Each archive goes
through ``stages/read_warc.py``, half of them in splits too, and its pages through ``stages/extract_text.py``. What must
hold:

* neither raises, nor kills the process, nor takes more than ten seconds for an archive (libFuzzer's ``-timeout``);
* nothing is lost without a row: pages and unreadable places counted = rows, no doc_id twice, each offset in the file;
* every page ends as text, as ended or as an error, and as one of them only;
* the splits have the rows and counts of the whole file.

It ends after ``--records`` records or ``--seconds``, with a line that says how many archives and records were read.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import io
import os
import pkgutil
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import atheris
import pyarrow as pa
import zstandard

import pipeline.kernels

for _, _kernels, _ in pkgutil.iter_modules(pipeline.kernels.__path__):  # Numba compiles no instrumented code
    importlib.import_module(f"pipeline.kernels.{_kernels}")

with atheris.instrument_imports(include=["pipeline", "stages"]):  # of a longer name atheris takes the first part alone
    from pipeline.archive.split import SplitBounds
    from pipeline.input_split import archives, outcome, split_units, units_to_repeat, work_bytes
    from pipeline.input_unit import InputUnit
    from pipeline.read_config import ReadConfig
    from pipeline.unit_of_work import Unit, UnitResult
    from stages import extract_text, read_warc

MAX_RECORDS_PER_ARCHIVE = 64
NUM_SEEDS = 64
SEED_BYTES = 1 << 13
CONFIG = ReadConfig(max_payload_bytes=1 << 16, verify_digests=True, respect_robots=("noindex", "noai"))
EXTRACT = extract_text.make_stage(extract_text.ExtractConfig(extractor="resiliparse", max_html_bytes=1 << 16)).apply
COMPRESS = [
    bytes,
    lambda data: gzip.compress(data, compresslevel=1, mtime=0),
    lambda data: gzip.compress(data, compresslevel=0, mtime=0),
    zstandard.ZstdCompressor(level=1, write_checksum=True).compress,
    lambda data: pa.Codec("lz4").compress(data).to_pybytes(),
]
STATUS_LINES = [b"HTTP/1.1 200 OK", b"HTTP/1.0 404 Not Found", b"HTTP/1.1 200", b"ICY 200 OK", b"HTTP/2", b""]
ENCODINGS = [b"", b"chunked", b"gzip", b"deflate", b"br", b"zstd", b"gzip, br", b"identity", b"x-gzip,chunked"]
TYPES = [
    b"text/html",
    b"text/plain; charset=koi8-r",
    b"text/html; charset=utf-16",
    b"image/png",
    b"",
    b"text/html;charset=gbk",
]
RECORD_TYPES = [
    b"response",
    b"response",
    b"request",
    b"resource",
    b"revisit",
    b"warcinfo",
    b"metadata",
    b"conversion",
    b"x",
]
TAGS = (
    b"<p> <div> </div> <table> <tr> <td> <svg> <script> <!-- --> <template> <math> <select> <article> <frameset> "
    b"<![CDATA[ </body> <html> &#x &notanentity; <textarea> <plaintext> <a\thref=' <meta\tname=robots\tcontent=noai> "
    b"<meta\tcharset=euc-jp>"
).split(b" ")

records_read = archives_read = 0


def response(data: atheris.FuzzedDataProvider) -> bytes:
    """An HTTP message, its body made of tags and bytes."""
    parts = []
    for _ in range(data.ConsumeIntInRange(0, 12)):
        parts.append(
            data.PickValueInList(TAGS) if data.ConsumeBool() else data.ConsumeBytes(data.ConsumeIntInRange(0, 40))
        )
    body = b"".join(parts)
    coding = data.PickValueInList(ENCODINGS)
    if coding in (b"gzip", b"x-gzip,chunked") and data.ConsumeBool():
        body = gzip.compress(body, compresslevel=1, mtime=0)
    if coding == b"chunked" and data.ConsumeBool():
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    field = b"Transfer-Encoding" if b"chunked" in coding else b"Content-Encoding"
    end = data.PickValueInList([b"\r\n\r\n", b"\n\n", b"\r\n", b""])
    head = [data.PickValueInList(STATUS_LINES), b"Content-Type: " + data.PickValueInList(TYPES)]
    return b"\r\n".join([*head, field + b": " + coding]) + end + body


def record(data: atheris.FuzzedDataProvider, number: int, is_arc: bool) -> bytes:
    """A WARC or ARC record whose header may lie."""
    block = response(data)
    length = len(block) + (data.ConsumeIntInRange(-30, 300) if data.ConsumeIntInRange(0, 9) == 0 else 0)
    if is_arc:
        line = f"http://birds.example/{number} 192.0.2.1 20140102030405 text/html {length}\n"
        return line.encode() + block + b"\n"
    head = (
        b"WARC/1.%d\r\nWARC-Type: %s\r\nWARC-Record-ID: <urn:uuid:%d>\r\nWARC-Date: 2024-05-06T07:08:09Z\r\n"
        b"WARC-Target-URI: http://birds.example/%d\r\nContent-Type: application/http; msgtype=response\r\n"
        b"Content-Length: %d\r\n\r\n"
    ) % (number % 2, data.PickValueInList(RECORD_TYPES), number, number, length)
    return head + block + data.PickValueInList([b"\r\n\r\n", b"\r\n\r\n", b"\n", b""])


def archive(data: atheris.FuzzedDataProvider) -> bytes:
    """Records in members, broken here and there."""
    compress = data.PickValueInList(COMPRESS)
    is_arc = data.ConsumeIntInRange(0, 4) == 0
    one_each = data.ConsumeIntInRange(0, 4) > 0
    num_damages = data.ConsumeIntInRange(0, 4)
    damages = [
        (data.ConsumeIntInRange(0, 1 << 14), data.ConsumeIntInRange(0, 4), data.ConsumeBytes(6))
        for _ in range(num_damages)
    ]
    records = [record(data, number, is_arc) for number in range(data.ConsumeIntInRange(1, MAX_RECORDS_PER_ARCHIVE))]
    records.append(data.ConsumeBytes(data.remaining_bytes()))
    content = bytearray(b"".join(map(compress, records)) if one_each else compress(b"".join(records)))
    for at, how, filler in damages:
        at %= len(content) + 1
        match how:
            case 0:
                content[at : at + len(filler)] = filler
            case 1:
                del content[at : at + 1 + len(filler) * 5]
            case 2:
                content[at:at] = filler
            case 3:
                del content[at:]
            case _:
                content[at:at] = content[at : at + 400]
    return bytes(content)


def read(unit: InputUnit, bounds: SplitBounds) -> tuple[list[pa.RecordBatch], Counter[str]]:
    counts: Counter[str] = Counter()
    return list(read_warc.read(unit, CONFIG, counts, bounds=bounds)), counts


def read_in_splits(unit: InputUnit, split_bytes: int) -> tuple[list[dict], dict[str, int]]:
    units = [Unit(name=part.unit, weight=work_bytes(part), spec=part) for part in split_units([unit], split_bytes)]
    done: dict[str, tuple[Unit, UnitResult]] = {}
    rows: dict[str, list[dict]] = {}
    again = units
    while again:
        for part in again:
            bounds = SplitBounds()
            batches, counts = read(part.spec, bounds)
            rows[part.name] = [row for batch in batches for row in batch.to_pylist()]
            details = {"source": "s", "warc_file": "w", "records": dict(counts), "split": outcome(part.spec, bounds)}
            done[part.name] = (part, UnitResult(unit=part.name, counts={}, details=details, files=()))
        again = units_to_repeat([], list(done.values()))
    (whole,) = archives([result for _, result in done.values()])
    return [row for part in units for row in rows[part.name]], whole["records"]


def check(recipe: bytes) -> None:
    """One archive: read, extract, compare."""
    global records_read, archives_read
    data = atheris.FuzzedDataProvider(recipe)
    split_share = data.PickValueInList([0, 0, 0, 2, 3, 9])  # 0: not split, to read more archives in the time
    content = archive(data)
    if not content:
        return
    read_warc.storage.open_input = lambda location: io.BytesIO(content)
    unit = InputUnit(
        unit="u", source="s", domain="d", location="w", warc_file="w", format="warc", size_bytes=len(content)
    )
    batches, counts = read(unit, SplitBounds())
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert len(rows) == sum(counts[name] for name in (*read_warc.PAGE_TYPES, "unreadable")), (counts, len(rows))
    assert sum(row["error_class"] is not None for row in rows) == counts["unreadable"]
    assert len({row["doc_id"] for row in rows}) == len(rows)
    assert all(0 <= row["warc_offset"] < len(content) for row in rows)
    assert counts or not content.strip(b"\r\n")
    for batch in batches:
        for page in EXTRACT(batch).select(["text", "ended_reason", "error_class"]).to_pylist():
            assert list(page.values()).count(None) == 2, page
    if split_share and len(content) > split_share:
        found = read_in_splits(unit, -(-len(content) // split_share))
        assert found == (rows, dict(sorted(counts.items()))), "splits differ from the whole file"
    records_read += sum(counts.values())
    archives_read += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "corpus", nargs="?", help="folder of recipes to begin with and add to; none is kept if left out"
    )
    parser.add_argument("--records", type=int, default=1_000_000, help="records to read")
    parser.add_argument("--seconds", type=int, default=3600, help="bound on the time, whatever was read")
    parser.add_argument("--seed", type=int, default=1, help="of libFuzzer's draws")
    arguments = parser.parse_args()
    start = time.monotonic()

    def one(recipe: bytes) -> None:
        check(recipe)
        if records_read >= arguments.records or time.monotonic() - start > arguments.seconds:
            print(
                f"{archives_read} archives, {records_read} mutated records, {time.monotonic() - start:.0f} s: no fault"
            )
            sys.stdout.flush()
            os._exit(0)  # libFuzzer takes any other way out for a fault

    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(arguments.corpus or scratch)
        corpus.mkdir(parents=True, exist_ok=True)
        draws = random.Random(arguments.seed)
        for number in range(NUM_SEEDS):  # long ones, so that archives have many records from the start
            (corpus / f"seed-{number}").write_bytes(draws.randbytes(draws.randrange(SEED_BYTES)))
        options = [f"-seed={arguments.seed}", "-timeout=10", "-max_len=16384", "-len_control=0", "-rss_limit_mb=4096"]
        options.append(f"-artifact_prefix={tempfile.gettempdir()}/chaffinch-")
        atheris.Setup([sys.argv[0], *options, str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
