"""Repeated lines: text hashed and cut per second and core, against datatrove's sentence signatures.

    python benchmarks/dedup_lines.py [FILE.parquet|FILE.jsonl] [--megabytes 20] [--repeats 5] [--no-peer]

Documents and peer interpreter are those of ``benchmarks/signals.py``. Ours is what a worker does with a unit: find and
hash the pieces, count each key once (``count``), and given the repeated keys find the bytes that go (``cut``); for
lines, paragraphs and three-sentence spans. The peer signs three-sentence spans of the same documents with datatrove's
``SentenceDedupSignature``, the tokenizing of sentences included, the writing of its files not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datatrove_peer import DATATROVE, PEER_MEGABYTES, peer_python
from measure import cpu_seconds, peak_memory_bytes, report
from texts import read_texts, take

from stages.dedup_lines import REPEATED, LineDedupConfig, RepeatedKeys, UnitKeys, count_keys, keys_of

UNITS = ("line", "paragraph", "sentence_span")
PEER_PROGRAM = """
import json, sys, time
from datatrove.data import Document
from datatrove.pipeline.dedup import SentenceDedupSignature
from datatrove.pipeline.dedup.sentence_dedup import SentDedupConfig

signer = SentenceDedupSignature(output_folder=sys.argv[2], config=SentDedupConfig(n_sentences=3))
texts = json.load(open(sys.argv[1], encoding="utf-8"))

def sign(text):
    return signer.get_hashes(Document(text=text, id="", metadata={}), 0)

sign("Warm up. The tokenizer. Now please.")
start = time.process_time()
num_hashes = sum(len(sign(text)) for text in texts)
print(json.dumps({"cpu_seconds": time.process_time() - start, "hashes": num_hashes}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--megabytes", type=float, default=20.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true")
    arguments = parser.parse_args()
    texts = take(read_texts(arguments.file), arguments.megabytes)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    documents = unit_of(texts)
    figures: dict[str, Any] = {"documents": len(texts), "megabytes": round(megabytes, 3)}
    for unit in UNITS:
        figures |= measure_unit(documents, LineDedupConfig(unit=unit), megabytes, arguments.repeats)
    figures["peak_memory_bytes"] = peak_memory_bytes()
    ratio = None
    if not arguments.no_peer:
        figures |= compare(take(texts, min(PEER_MEGABYTES, arguments.megabytes)))
        ratio = figures["sentence_span_count_megabytes_per_cpu_second"] / figures["peer_megabytes_per_cpu_second"]
    for name, value in figures.items():
        print(f"{name:<52} {value:>16,}")
    report("dedup_lines", figures, None if arguments.no_peer else DATATROVE, None if ratio is None else round(ratio, 1))


def unit_of(texts: list[str]) -> list[pa.RecordBatch]:
    """The texts as the documents of one unit, in batches as workers read them."""
    ids = [f"{number:032x}" for number in range(len(texts))]
    table = pa.table(
        {
            "doc_id": ids,
            "unit": ["0"] * len(texts),
            "row_index": np.arange(len(texts)),
            "source": ["web"] * len(texts),
            "lang": ["eng_Latn"] * len(texts),
            "num_bytes": np.array([len(text.encode()) for text in texts]),
            "fetch_time": pa.nulls(len(texts), pa.timestamp("ms", tz="UTC")),
            "text": texts,
        }
    )
    return table.to_batches(max_chunksize=1024)


def measure_unit(
    documents: list[pa.RecordBatch], config: LineDedupConfig, megabytes: float, repeats: int
) -> dict[str, Any]:
    """Both passes over a unit, in megabytes per second of CPU, and what goes."""
    num_documents = sum(batch.num_rows for batch in documents)
    ranks = np.arange(num_documents)

    def count() -> tuple[UnitKeys, pa.Table]:
        found, facts = keys_of(documents, config)
        return found, count_keys("0", found, facts, ranks)

    found, counted = count()
    repeats_here = counted.filter(np.greater(counted.column("count").to_numpy(), 1))
    rows = pa.table([repeats_here.column(name) for name in ("unit", "key", "doc_id")], schema=REPEATED)

    def cut() -> list[pa.RecordBatch]:
        repeated = RepeatedKeys(rows)
        return [repeated.cut(batch, config) for batch in documents]

    bytes_cut = sum(sum(batch.column("num_bytes_cut").to_pylist()) for batch in cut())
    return {
        f"{config.unit}_keys": len(found.keys),
        f"{config.unit}_count_megabytes_per_cpu_second": round(megabytes / cpu_seconds(count, repeats), 1),
        f"{config.unit}_cut_megabytes_per_cpu_second": round(megabytes / cpu_seconds(cut, repeats), 1),
        f"{config.unit}_share_of_bytes_cut": round(bytes_cut / megabytes / 1e6, 4),
    }


def compare(texts: list[str]) -> dict[str, Any]:
    """The peer's signatures of the same documents."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.json"
        path.write_text(json.dumps(texts), encoding="utf-8")
        result = subprocess.run(
            [str(peer_python()), "-c", PEER_PROGRAM, str(path), folder], capture_output=True, text=True, check=True
        )
    found = json.loads(result.stdout.splitlines()[-1])
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    return {
        "peer_megabytes": round(megabytes, 3),
        "peer_hashes": found["hashes"],
        "peer_megabytes_per_cpu_second": round(megabytes / found["cpu_seconds"], 3),
    }


if __name__ == "__main__":
    main()
