"""The fused pass over text in Spark: language, signals, MinHash and verdict, in text per second of a core.

    python benchmarks/fused_pass.py [FILE.parquet|FILE.jsonl] [--megabytes 40] [--repeats 3]

The row stages of a run (``jobs/steps_extract.py``, without reading and extraction) and ``decide`` are fused into one
``mapInArrow`` over a cached DataFrame of texts, in ``local[1]``: one Python worker on one core. What returns is one row
a batch. Time is that of the worker itself (its CPU time, from within the function), so that neither Spark's start nor
other work on the machine is counted; the first pass, in which kernels load, is not counted either.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator

import pyarrow as pa
from measure import report
from pyspark.sql import SparkSession
from texts import read_texts, take

from filters.registry import FiltersConfig
from filters.signals import MeasureConfig
from pipeline.schema import ENDED
from pipeline.stage import fuse
from stages import decide, identify_language, measure_signals, minhash_signatures

ROWS_PER_BATCH = 1000
FILTERS = FiltersConfig.model_validate(
    {"language": {}, "gopher_repetition": {}, "gopher_quality": {}, "c4": {}, "fineweb": {}}
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--megabytes", type=float, default=40.0)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    texts = take(read_texts(arguments.file), arguments.megabytes)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = (
        SparkSession.builder.master("local[1]")
        .appName("fused pass")
        .config("spark.driver.memory", "3g")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", ROWS_PER_BATCH)
        .getOrCreate()
    )
    table = pa.table({"text": pa.array(texts, pa.string())})
    frame = spark.createDataFrame(table).coalesce(1).cache()
    frame.count()
    seconds, num_bytes = [], 0
    for _ in range(arguments.repeats + 1):
        rows = frame.mapInArrow(judge_batches, "cpu_seconds double, num_bytes long, num_kept long").collect()
        seconds.append(sum(row.cpu_seconds for row in rows))
        num_bytes = sum(row.num_bytes for row in rows)
    spark.stop()
    best = min(seconds[1:])
    figures = {
        "documents": len(texts),
        "megabytes": round(num_bytes / 1e6, 3),
        "kept": sum(row.num_kept for row in rows),
        "megabytes_per_cpu_second": round(num_bytes / 1e6 / best, 2),
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
    report("fused_pass", figures, None, None)


def judge_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One row a batch: CPU seconds of the fused stages, bytes of text, documents kept."""
    apply = fuse(
        [
            identify_language.make_stage(identify_language.LanguageConfig()),
            measure_signals.make_stage(MeasureConfig()),
            minhash_signatures.make_stage(minhash_signatures.MinHashConfig()),
            decide.make_stage(FILTERS),
        ]
    )
    for batch in batches:
        start = time.process_time()
        judged = apply(with_ended(batch))
        row = {
            "cpu_seconds": [time.process_time() - start],
            "num_bytes": [sum(len(text.encode()) for text in batch.column("text").to_pylist())],
            "num_kept": [judged.column("ended_stage").null_count],
        }
        yield pa.RecordBatch.from_pydict(row)


def with_ended(batch: pa.RecordBatch) -> pa.RecordBatch:
    """``batch`` as read: no page has ended."""
    columns = {name: pa.nulls(batch.num_rows, kind) for name, kind in zip(ENDED.names, ENDED.types, strict=True)}
    return pa.RecordBatch.from_arrays(
        [batch.column("text").cast(pa.string()), *columns.values()], names=["text", *columns]
    )


if __name__ == "__main__":
    main()
