"""WARC to text: pages and megabytes per second, against the same libraries called in a bare loop.

    python benchmarks/ingest.py [FILE.warc.gz …] [--repeats 3] [--pages 8000] [--times 1]

Two measurements, each of ours against the peer's in turns, on the same pages and with the same extractor:

* *one process*: ``stages/read_warc.py`` and ``stages/extract_text.py`` as pass 1 runs them, without Spark and without
  writing; CPU time.
* *two cores*: pass 1's engine (``pipeline/runner.py``: Spark, a child process per unit, rows checked and counted,
  ``documents/`` and ``signals/`` written as Parquet, hashed and committed) against two processes of the bare loop that
  write nothing; wall time, and CPU time of all processes, the JVM's too, without the start of Spark and of the
  processes. Of one file each core has a copy that is long enough; several are read as they are, by both sides with the
  heaviest first, each ``--times`` times under other names: in a turn of 20 seconds the JVM still spends a second on
  compiling itself, which a run of hours does not see.

The peer is the loop that the libraries' documentation shows, the least that can be done: fastwarc's iterator over the
responses with status 200 that are HTML, parsed in the charset that the header declares or that resiliparse detects,
resiliparse's main content; no count, no check, no bound, no table. ``ratio`` is our texts per second over the bare
loop's on two cores, by the clock: at least 0.80 if Spark and all bookkeeping cost 25 % at most. It is the median over
turns of ours against the loop's right after it, since a shared machine is at one time faster than at another.
``cpu_ratio`` is the same by CPU time, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from fastwarc.warc import ArchiveIterator, WarcRecordType
from measure import cpu_seconds, report
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding
from resiliparse.parse.html import HTMLTree
from spark_cost import CostMeter

from filters.url import UrlConfig
from jobs.passes import extract_unit
from jobs.spark import SparkConfig, start_spark
from jobs.warm_up import warm_up
from pipeline.archive.split import SplitBounds
from pipeline.content_type import HTML_TYPES
from pipeline.input_split import split_units, units_to_repeat, work_bytes
from pipeline.input_unit import InputConfig, InputUnit, list_units
from pipeline.progress import StageProgress
from pipeline.read_config import ReadConfig
from pipeline.runner import run_units
from pipeline.schema import HOST, LOCATION, PAGE, RECORD_IDENTITY, TEXT
from pipeline.stage import Stage
from pipeline.unit_of_work import Output, ProcessFunction, Unit
from pipeline.watch import Watch
from stages import extract_text, filter_url, read_warc
from stages.extract_text import ExtractConfig

EXTRACT = ExtractConfig(extractor="resiliparse")
DOCUMENTS = pa.schema([*RECORD_IDENTITY, *HOST, *TEXT])
SIGNALS = pa.schema([*RECORD_IDENTITY, *HOST, PAGE.field("http_status"), *LOCATION])
CORES = 2


def bare_loop(path: str) -> int:
    """Texts that the bare loop extracts."""
    num_texts = 0
    with open(path, "rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response, auto_decode="all"):
            if record.http_headers.status_code != 200:
                continue
            if record.http_content_type not in HTML_TYPES:
                continue
            payload = record.reader.read()
            tree = HTMLTree.parse_from_bytes(payload, record.http_charset or detect_encoding(payload) or "utf-8")
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
    apply = extract_text.make_stage(EXTRACT).apply
    batches = (apply(batch) for batch in read_warc.read(unit, ReadConfig(), Counter()))
    return sum(pc.count(batch.column("text")).as_py() for batch in batches)


def one_process(file: str, repeats: int) -> dict[str, float]:
    """CPU time of both on ``file``."""
    (unit,) = list_units([InputConfig(name="benchmark", paths=(file,), format="warc")], os.getcwd())
    megabytes = unit.size_bytes / 1e6
    num_texts, peer_texts = read_and_extract(unit), bare_loop(file)
    ours = cpu_seconds(lambda: read_and_extract(unit), repeats)
    peer = cpu_seconds(lambda: bare_loop(file), repeats)
    reading = cpu_seconds(lambda: read_alone(unit), repeats)
    return {
        "records": sum(read_alone(unit).values()),
        "texts": num_texts,
        "peer_texts": peer_texts,
        "archive_megabytes": round(megabytes, 3),
        "texts_per_cpu_second": round(num_texts / ours, 1),
        "archive_megabytes_per_cpu_second": round(megabytes / ours, 3),
        "reading_share_of_cpu": round(reading / ours, 3),
        "peer_texts_per_cpu_second": round(peer_texts / peer, 1),
    }


def two_cores(files: list[str], repeats: int, folder: Path) -> dict[str, float]:
    """Wall and CPU time of both on ``files``: medians of ``repeats`` turns."""
    files = sorted(files, key=os.path.getsize, reverse=True)
    megabytes = sum(map(os.path.getsize, files)) / 1e6
    inputs = InputConfig(name="benchmark", paths=tuple(files), format="warc")
    parts = split_units(list_units([inputs], os.getcwd()), ReadConfig().split_bytes)
    units = [Unit(name=part.unit, weight=work_bytes(part), spec=part) for part in parts]
    stages = (filter_url.make_stage(UrlConfig()), extract_text.make_stage(EXTRACT))
    spark = start_spark(SparkConfig(master=f"local[{CORES}]"))
    turn = 0

    def run() -> int:
        nonlocal turn
        turn += 1
        outputs = {
            "signals": Output(folder=f"{folder}/{turn}/signals", schema=SIGNALS, write_empty=True),
            "documents": Output(folder=f"{folder}/{turn}/documents", schema=DOCUMENTS),
            "quarantine": Output(folder=f"{folder}/{turn}/quarantine", schema=RECORD_IDENTITY),
        }
        results = run_units(
            spark,
            units=units,
            process=_process(stages),
            outputs=outputs,
            fingerprint="benchmark",
            progress=StageProgress("benchmark"),
            units_per_group=64,
            prepare_children=functools.partial(warm_up, stages),
            to_repeat=units_to_repeat,
        )
        return sum(result.counts["documents"] for result in results)

    with ProcessPoolExecutor(CORES) as pool:
        num_texts, peer_texts = run(), sum(pool.map(bare_loop, files))  # starts workers, compiles
        ours, peer = [], []
        for _ in range(repeats):
            with CostMeter(samples_memory=False) as cost:
                run()
            ours.append(cost)
            with CostMeter(samples_memory=False) as cost:
                sum(pool.map(bare_loop, files))
            peer.append(cost)
    spark.stop()
    our_wall, peer_wall = (statistics.median(cost.wall_seconds for cost in side) for side in (ours, peer))
    our_cpu, peer_cpu = (statistics.median(cost.cpu_seconds for cost in side) for side in (ours, peer))
    turns = list(zip(ours, peer, strict=True))
    wall_ratios = [his.wall_seconds / own.wall_seconds * num_texts / peer_texts for own, his in turns]
    cpu_ratios = [his.cpu_seconds / own.cpu_seconds * num_texts / peer_texts for own, his in turns]
    return {
        "spark_texts": num_texts,
        "spark_texts_per_second": round(num_texts / our_wall, 1),
        "peer_two_process_texts_per_second": round(peer_texts / peer_wall, 1),
        "archive_megabytes_per_core_second": round(megabytes / (CORES * our_wall), 3),
        "spark_wall_seconds": round(our_wall, 2),
        "peer_two_process_wall_seconds": round(peer_wall, 2),
        "spark_cpu_seconds": round(our_cpu, 2),
        "peer_two_process_cpu_seconds": round(peer_cpu, 2),
        "wall_ratio": round(statistics.median(wall_ratios), 3),
        "least_wall_ratio": round(min(wall_ratios), 3),
        "greatest_wall_ratio": round(max(wall_ratios), 3),
        "cpu_ratio": round(statistics.median(cpu_ratios), 3),
    }


def _process(stages: tuple[Stage, ...]) -> ProcessFunction:
    config = ReadConfig()

    def read(unit: InputUnit, counts: Counter[str], watch: Watch, bounds: SplitBounds) -> Iterator[pa.RecordBatch]:
        return read_warc.read(unit, config, counts, watch=watch, bounds=bounds)

    return extract_unit(read, stages)


def demo_archive(folder: Path) -> Path:
    """One archive of the demo's input, made afresh in ``folder``."""
    script = Path(__file__).resolve().parents[1] / "examples" / "make_demo_input.py"
    subprocess.run([sys.executable, str(script), str(folder)], check=True)
    return folder / "python-docs-00000.warc.gz"


def repeated(file: str, num_pages: int, folder: Path) -> list[str]:
    """One file per core: ``file`` as often as it takes to hold ``num_pages`` pages in all; members can be joined."""
    times = -(-num_pages // (CORES * max(1, bare_loop(file))))
    copies = []
    for core in range(CORES):
        copy = folder / f"copy-{core}.warc.gz"
        copy.write_bytes(Path(file).read_bytes() * times)
        copies.append(str(copy))
    return copies


def linked(files: list[str], times: int, folder: Path) -> list[str]:
    """Every file ``times`` times, by links under names of their own."""
    links = [folder / f"{number}-{Path(file).name}" for number in range(times) for file in files]
    for link, file in zip(links, files * times, strict=True):
        link.symlink_to(Path(file).resolve())
    return [str(link) for link in links]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="archives; one of the demo's, of Python's documentation, if left out")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side")
    parser.add_argument("--pages", type=int, default=8000, help="of a single file, to extract on two cores in a turn")
    parser.add_argument("--times", type=int, default=1, help="how often each of several files is read in a turn")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = arguments.files or [str(demo_archive(folder / "demo"))]
        figures = one_process(max(files, key=os.path.getsize), arguments.repeats)
        if len(files) > 1:
            on_two_cores = linked(files, arguments.times, folder)
        else:
            on_two_cores = repeated(files[0], arguments.pages, folder)
        figures |= two_cores(on_two_cores, arguments.repeats, folder / "run")
    for name, value in figures.items():
        print(f"{name}: {value}")
    report("ingest", figures, "fastwarc and resiliparse in a bare loop, two processes", figures["wall_ratio"])


if __name__ == "__main__":
    main()
