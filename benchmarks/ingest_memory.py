"""Memory of a worker that reads extreme archives: one record of 2 GB, and millions of records of a few bytes.

    python benchmarks/ingest_memory.py [--gigabytes 2] [--million-records 10] [--only huge|tiny]

The archives are made here, gzipped (2 MB and 50 MB: zeros and repeats compress), and read as pass 1 reads them,
``stages/read_warc.py`` in a process of its own whose peak is the kernel's figure. The records must all be counted: the
huge one ends as ``payload_too_large``, the tiny ones are pages. A second huge archive is not compressed but sparse, and
of a third the record is cut off, so that the reader searches all of it for the next record. ``ratio`` is 1 GiB over the
largest peak: above 1 the promise holds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from measure import peak_memory_bytes, report

from pipeline.input_unit import InputUnit
from pipeline.read_config import ReadConfig
from stages import read_warc

ALLOWED_BYTES = 1 << 30
_STEP_BYTES = 1 << 22
_RECORDS_PER_STEP = 10_000


def header(number: int, block_bytes: int, record_type: str = "response") -> bytes:
    return (
        f"WARC/1.0\r\nWARC-Type: {record_type}\r\nWARC-Record-ID: <urn:uuid:{number:032}>\r\n"
        f"WARC-Target-URI: http://birds.example/{number}\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {block_bytes}\r\n\r\n"
    ).encode()


HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"


def huge(num_bytes: int) -> Iterator[bytes]:
    """A record of ``num_bytes`` of markup between two small ones."""
    small = HTTP + b"<p>wren</p>"
    yield header(1, len(small)) + small + b"\r\n\r\n" + header(2, num_bytes) + HTTP
    left = num_bytes - len(HTTP)
    while left:
        step = min(left, _STEP_BYTES)
        yield b"<p> " * (step // 4) + b" " * (step % 4)
        left -= step
    yield b"\r\n\r\n" + header(3, len(small)) + small + b"\r\n\r\n"


def tiny(num_records: int) -> Iterator[bytes]:
    block = HTTP + b"<p>wren</p>"
    for start in range(0, num_records, _RECORDS_PER_STEP):
        numbers = range(start, min(start + _RECORDS_PER_STEP, num_records))
        yield b"".join(header(number, len(block)) + block + b"\r\n\r\n" for number in numbers)


def write_gzip(path: Path, parts: Iterator[bytes]) -> None:
    """One member: the worst case for a reader that would hold a member whole."""
    compressor = zlib.compressobj(level=1, wbits=31)
    with path.open("wb") as target:
        for part in parts:
            target.write(compressor.compress(part))
        target.write(compressor.flush())


def write_sparse(path: Path, num_bytes: int, *, is_cut_off: bool = False) -> None:
    """A plain archive with a record of zeros, which take no room on disk; cut off, it claims twice its length."""
    small = HTTP + b"<p>wren</p>"
    with path.open("wb") as target:
        target.write(header(1, num_bytes * (2 if is_cut_off else 1)) + HTTP)
        target.seek(num_bytes - len(HTTP), os.SEEK_CUR)
        target.write(b"\r\n\r\n" + header(2, len(small)) + small + b"\r\n\r\n")


def read(path: str, answer: multiprocessing.SimpleQueue) -> None:
    """In a process of its own: counts, reasons, seconds and peak memory."""
    unit = InputUnit(
        unit="u",
        source="s",
        domain="d",
        location=path,
        warc_file="w",
        format="warc",
        size_bytes=os.path.getsize(path),
    )
    counts: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    start = time.process_time()
    for batch in read_warc.read(unit, ReadConfig(), counts):
        for column in ("ended_reason", "error_class"):
            ends.update(filter(None, batch.column(column).to_pylist()))
    answer.put((dict(counts), dict(ends), time.process_time() - start, peak_memory_bytes()))


def measure(name: str, path: Path, expected: dict[str, int], ends: dict[str, int]) -> dict[str, float]:
    """Read ``path`` in a fresh process and check what came out of it.

    Raises:
        SystemExit: if a record was lost.
    """
    context = multiprocessing.get_context("spawn")  # a forked child would begin with this process's peak
    answer: multiprocessing.SimpleQueue = context.SimpleQueue()
    process = context.Process(target=read, args=(str(path), answer))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{name}: the reader exited with {process.exitcode}")
    counts, found_ends, seconds, peak_bytes = answer.get()
    if (counts, found_ends) != (expected, ends):
        raise SystemExit(f"{name}: found {counts} {found_ends}, expected {expected} {ends}")
    print(f"{name}: {counts} {found_ends}, {seconds:.1f} s of CPU, peak {peak_bytes / 1e6:.0f} MB")
    path.unlink()
    return {f"{name}_peak_megabytes": round(peak_bytes / 1e6, 1), f"{name}_cpu_seconds": round(seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2, help="of the huge record")
    parser.add_argument("--million-records", type=float, default=10, help="of the tiny ones; 10 take ten minutes")
    parser.add_argument("--only", choices=("huge", "tiny"), help="one of the two")
    arguments = parser.parse_args()
    num_bytes, num_records = int(arguments.gigabytes * 1e9), int(arguments.million_records * 1e6)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archive.warc"
        if arguments.only != "tiny":
            too_large = {"payload_too_large": 1}
            write_gzip(path, huge(num_bytes))
            figures |= measure("huge_gzip", path, {"response": 3}, too_large)
            write_sparse(path, num_bytes)
            figures |= measure("huge_plain", path, {"response": 2}, too_large)
            write_sparse(path, num_bytes, is_cut_off=True)
            figures |= measure("huge_cut_off", path, {"unreadable": 1, "response": 1}, {"WrongLength": 1})
        if arguments.only != "huge":
            write_gzip(path, tiny(num_records))
            figures |= measure("tiny_gzip", path, {"response": num_records}, {})
    peak_bytes = max(value for name, value in figures.items() if name.endswith("_peak_megabytes")) * 1e6
    report("ingest_memory", figures, "1 GiB per worker", round(ALLOWED_BYTES / peak_bytes, 2))


if __name__ == "__main__":
    main()
