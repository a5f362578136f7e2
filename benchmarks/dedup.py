"""Near-duplicate job: its cost against the number of documents, and its speed from text to survivors.

    python benchmarks/dedup.py curve [--rows 100000 1000000 10000000]
    python benchmarks/dedup.py text [--megabytes 1000]

*curve*: rows of signatures as pass 1 leaves them go through exact and near deduplication, each size in a Spark session
of its own, on two cores with 4 GB (``--memory``). Shown are CPU and wall seconds, the peak memory of all processes,
shuffled and spilled bytes, and how each grows from size to size beside n log n; a ratio of the last line above 1 means
that CPU time grew more slowly than that. Spark's start is not in it; a small job before warms it up.

*text*: made documents of 5 kB go from Parquet files through the signature stage, exact and near deduplication to the
number of survivors, on two cores with 4 GB. Speed is text over wall seconds times cores, and text over CPU seconds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from made_copies import SIGNATURE_ROWS, signature_rows, texts
from measure import report
from spark_cost import CostMeter, event_log_properties, shuffle_figures

from jobs.between import without_duplicates
from jobs.spark import SparkConfig, start_spark
from pipeline.hashing import document_id
from pipeline.part_writer import read_part
from pipeline.progress import StageProgress
from pipeline.runner import run_units
from pipeline.unit_of_work import Output, Unit, UnitReport
from stages import dedup_exact, dedup_near, minhash_signatures

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CORES = 2
ROWS_PER_FILE = 500_000
TEXT_BYTES_PER_FILE = 64_000_000
_WARM_UP_ROWS = 2_000


def write_rows(folder: Path, num_rows: int) -> None:
    """Parquet files of SIGNATURE_ROWS, as many rows in each as the memory of a task bears."""
    folder.mkdir()
    writer: pq.ParquetWriter | None = None
    for number, batch in enumerate(signature_rows(num_rows, seed=num_rows)):
        if number * batch.num_rows % ROWS_PER_FILE == 0:
            if writer is not None:
                writer.close()
            writer = pq.ParquetWriter(folder / f"part-{number:05d}.parquet", SIGNATURE_ROWS, compression="lz4")
        if writer is not None:
            writer.write_batch(batch)
    if writer is not None:
        writer.close()


def find_survivors(documents: DataFrame, scratch: Path) -> dict[str, int]:
    """Exact and near deduplication; counts of documents, of both kinds of copies, and of survivors."""
    spark = documents.sparkSession
    exact = dedup_exact.make_stage(dedup_exact.ExactDedupConfig())
    near = dedup_near.make_stage(dedup_near.NearDedupConfig(), scratch=str(scratch / "near"))
    exact.apply(documents).write.parquet(str(scratch / "exact"))
    exact_clusters = spark.read.parquet(str(scratch / "exact"))
    near.apply(without_duplicates(documents, exact_clusters)).write.parquet(str(scratch / "clusters"))
    clusters = exact_clusters.unionByName(spark.read.parquet(str(scratch / "clusters")))
    copies = {
        row["kind"]: row["count"] for row in clusters.where("doc_id <> kept_doc_id").groupBy("kind").count().collect()
    }
    survivors = without_duplicates(documents, clusters).count()
    found = {
        "num_documents": documents.count(),
        **{f"{kind}_copies": copies.get(kind, 0) for kind in ("exact", "near")},
    }
    if found["num_documents"] != survivors + sum(copies.values()):
        raise SystemExit(f"{found} leave {survivors} survivors: the sums differ")
    return {**found, "num_survivors": survivors}


def session(arguments: argparse.Namespace, event_log: str) -> SparkSession:
    conf = {**event_log_properties(event_log), **dict(entry.split("=", 1) for entry in arguments.conf)}
    return start_spark(
        SparkConfig(
            master=f"local[{CORES}]",
            driver_memory=arguments.memory,
            shuffle_partitions=arguments.shuffle_partitions,
            conf=conf,
        )
    )


def measured_job(arguments: argparse.Namespace, make: Any) -> dict[str, Any]:
    """Figures of one job in a session of its own.

    Args:
        make: from a folder to a function that gives the documents to a session; the second is part of the job.
    """
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        for part in ("log", "warm"):
            (folder / part).mkdir()
        inputs = make(folder)
        write_rows(folder / "few", _WARM_UP_ROWS)
        spark = session(arguments, str(folder / "log"))
        find_survivors(spark.read.parquet(str(folder / "few")), folder / "warm")
        with CostMeter() as cost:
            counts = find_survivors(inputs(spark), folder)
        spark.stop()
        return {**counts, **vars(cost), **shuffle_figures(str(folder / "log"))}


def of_rows(num_rows: int) -> Any:
    def make(folder: Path) -> Any:
        write_rows(folder / "rows", num_rows)
        return lambda spark: spark.read.parquet(str(folder / "rows"))

    return make


def of_text(num_bytes: int) -> Any:
    """Documents in files of their own; the signature stage runs as it does in pass 1, within what is measured."""
    stage = minhash_signatures.make_stage(minhash_signatures.MinHashConfig())

    def make(folder: Path) -> Any:
        units = write_texts(folder / "documents", num_bytes)

        def sketch(unit: str, unit_report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
            for batch in read_part(str(folder / "documents" / f"part-{unit}.parquet")):
                unit_report.counts["text_bytes"] += int(np.sum(batch.column("num_bytes").to_numpy()))
                yield {"signals": stage.apply(batch).select(SIGNATURE_ROWS.names)}

        def inputs(spark: SparkSession) -> DataFrame:
            output = Output(folder=str(folder / "signals"), schema=SIGNATURE_ROWS)
            results = run_units(
                spark,
                units=units,
                process=sketch,
                outputs={"signals": output},
                fingerprint="benchmark",
                progress=StageProgress("signatures"),
                units_per_group=len(units),
            )
            counts = sum((Counter(result.counts) for result in results), Counter[str]())
            print(f"{counts['text_bytes']:,} bytes of text in {len(units)} files")
            return spark.read.parquet(*[str(folder / "signals" / f"part-{unit.name}.parquet") for unit in units])

        return inputs

    return make


def write_texts(folder: Path, num_bytes: int) -> list[Unit]:
    """Parquet files of ``doc_id``, ``text``, ``num_bytes`` and ``fetch_time``."""
    folder.mkdir()
    units: list[Unit] = []
    writer: pq.ParquetWriter | None = None
    room = 0
    for chunk, found in enumerate(texts(num_bytes, seed=1)):
        sizes = np.array([len(text) for text in found])
        batch = pa.record_batch(
            {
                "doc_id": [document_id("benchmark", chunk, place) for place in range(len(found))],
                "text": found,
                "num_bytes": sizes,
                "fetch_time": pa.array(np.arange(len(found))).cast(pa.timestamp("ms", tz="UTC")),
            }
        )
        if room <= 0:
            if writer is not None:
                writer.close()
            unit = Unit(name=f"{len(units):05d}", weight=1, spec=f"{len(units):05d}")
            units.append(unit)
            writer = pq.ParquetWriter(folder / f"part-{unit.name}.parquet", batch.schema, compression="zstd")
            room = TEXT_BYTES_PER_FILE
        if writer is not None:
            writer.write_batch(batch)
        room -= int(sizes.sum())
    if writer is not None:
        writer.close()
    return units


def curve(arguments: argparse.Namespace) -> None:
    """Each size in a process of its own, so that its peak is not another's."""
    found: list[dict[str, Any]] = []
    for num_rows in arguments.rows:
        command = [sys.executable, __file__, "rows", str(num_rows), *passed_on(arguments)]
        found.append(
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        )
        print(json.dumps(found[-1]), flush=True)
    columns = ("cpu_seconds", "wall_seconds", "shuffle_bytes", "spilled_bytes", "peak_memory_bytes")
    print(f"{'rows':>12} {'survivors':>12} " + " ".join(f"{name:>18}" for name in columns))
    for row in found:
        cells = " ".join(f"{row[name]:>18,.1f}" for name in columns)
        print(f"{row['num_documents']:>12,} {row['num_survivors']:>12,} {cells}")
    growth = []
    for small, large in itertools.pairwise(found):
        n, m = small["num_documents"], large["num_documents"]
        expected = m * math.log(m) / (n * math.log(n))
        growth.append(expected / (large["cpu_seconds"] / small["cpu_seconds"]))
        grown = ", ".join(f"{name} {large[name] / max(small[name], 1e-9):.1f}" for name in columns[:3])
        print(f"{n:,} to {m:,}: n log n grows {expected:.1f} times; {grown}")
    report("dedup_curve", {"sizes": found}, "n log n", min(growth, default=None))


def passed_on(arguments: argparse.Namespace) -> list[str]:
    """Options that every session takes."""
    options = ["--memory", arguments.memory, "--shuffle-partitions", str(arguments.shuffle_partitions)]
    options += ["--folder", arguments.folder] if arguments.folder else []
    return options + [part for entry in arguments.conf for part in ("--conf", entry)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    by_kind = {kind: kinds.add_parser(kind) for kind in ("curve", "rows", "text")}
    by_kind["curve"].add_argument("--rows", type=int, nargs="+", default=[10**5, 10**6, 10**7])
    by_kind["rows"].add_argument("rows", type=int)
    by_kind["text"].add_argument("--megabytes", type=float, default=1000)
    for kind in by_kind.values():
        kind.add_argument("--memory", default="4g", help="of the JVM, driver and executor in one")
        kind.add_argument("--shuffle-partitions", type=int, default=16)
        kind.add_argument("--folder", help="for scratch files, 25 GB at 10 million rows; the system's if not given")
        kind.add_argument("--conf", action="append", default=[], metavar="KEY=VALUE", help="further Spark properties")
    arguments = parser.parse_args()
    if arguments.kind == "curve":
        curve(arguments)
    elif arguments.kind == "rows":
        print(json.dumps(measured_job(arguments, of_rows(arguments.rows))))
    else:
        found = measured_job(arguments, of_text(int(arguments.megabytes * 1e6)))
        megabytes = arguments.megabytes
        found["megabytes_per_second_and_core"] = megabytes / found["wall_seconds"] / CORES
        found["megabytes_per_cpu_second"] = megabytes / found["cpu_seconds"]
        for name, value in found.items():
            print(f"{name}: {value:,.1f}" if isinstance(value, float) else f"{name}: {value:,}")
        report("dedup_text", found, "10 MB/s per core", found["megabytes_per_second_and_core"] / 10)


if __name__ == "__main__":
    main()
