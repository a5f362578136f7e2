"""WARC to text: pages and megabytes per second and core, against the same libraries called in a bare loop.

    python benchmarks/ingest.py [FILE.warc.gz] [--repeats 3]

Ours is ``stages/read_warc.py`` and ``stages/extract_text.py`` as pass 1 runs them, without Spark and without writing.
The peer is the least that can be done: fastwarc's iterator over the responses with status 200, the payload parsed in
the charset that its header declares, resiliparse's main content; no count, no check, no detection, no table. Both run
in this process, on the same file. The ratio is ours over the peer's pages per second: 1 less the cost of bookkeeping.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow.compute as pc
from fastwarc.warc import ArchiveIterator, WarcRecordType
from measure import cpu_seconds, report
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from pipeline.input_unit import InputConfig, InputUnit, list_units
from stages import extract_text, read_warc
from stages.extract_text import ExtractConfig
from stages.read_warc import ReadConfig


def bare_loop(path: str) -> int:
    """Texts that the bare loop extracts."""
    num_texts = 0
    with open(path, "rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response, auto_decode="all"):
            if record.http_headers.status_code != 200:
                continue
            tree = HTMLTree.parse_from_bytes(record.reader.read(), record.http_charset or "utf-8")
            num_texts += bool(extract_plain_text(tree, main_content=True, alt_texts=False, preserve_formatting=True))
    return num_texts


def read_alone(unit: InputUnit) -> Counter[str]:
    """Records that our reader counts."""
    counts: Counter[str] = Counter()
    for _ in read_warc.read(unit, ReadConfig(), counts):
        pass
    return counts


def read_and_extract(unit: InputUnit) -> int:
    """Texts that our reader and extractor make."""
    apply = extract_text.make_stage(ExtractConfig()).apply
    batches = (apply(batch) for batch in read_warc.read(unit, ReadConfig(), Counter()))
    return sum(pc.count(batch.column("text")).as_py() for batch in batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="an archive; one of the demo's, of Python's documentation, if left out")
    parser.add_argument("--repeats", type=int, default=3, help="the median run counts")
    arguments = parser.parse_args()
    if arguments.file is None:
        with tempfile.TemporaryDirectory() as folder:
            measure(str(demo_archive(Path(folder))), arguments.repeats)
    else:
        measure(arguments.file, arguments.repeats)


def demo_archive(folder: Path) -> Path:
    """One archive of the demo's input, made afresh in ``folder``."""
    script = Path(__file__).resolve().parents[1] / "examples" / "make_demo_input.py"
    subprocess.run([sys.executable, str(script), str(folder)], check=True)
    return folder / "python-docs-00000.warc.gz"


def measure(file: str, repeats: int) -> None:
    """Time both on ``file`` and print the figures."""
    (unit,) = list_units([InputConfig(name="benchmark", paths=(file,), format="warc")], os.getcwd())
    megabytes = unit.size_bytes / 1e6
    num_texts, peer_texts = read_and_extract(unit), bare_loop(file)
    ours = cpu_seconds(lambda: read_and_extract(unit), repeats)
    peer = cpu_seconds(lambda: bare_loop(file), repeats)
    reading = cpu_seconds(lambda: read_alone(unit), repeats)
    figures = {
        "records": sum(read_alone(unit).values()),
        "texts": num_texts,
        "peer_texts": peer_texts,
        "archive_megabytes": round(megabytes, 3),
        "texts_per_cpu_second": round(num_texts / ours, 1),
        "archive_megabytes_per_cpu_second": round(megabytes / ours, 3),
        "reading_share_of_cpu": round(reading / ours, 3),
        "peer_texts_per_cpu_second": round(peer_texts / peer, 1),
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
    ratio = figures["texts_per_cpu_second"] / figures["peer_texts_per_cpu_second"]
    report("ingest", figures, "fastwarc and resiliparse in a bare loop", round(ratio, 3))


if __name__ == "__main__":
    main()
