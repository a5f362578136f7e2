"""Signals of the four heuristic filters: text per second and core, against datatrove on the same documents.

    python benchmarks/signals.py [FILE.parquet|FILE.jsonl] [--megabytes 20] [--repeats 5] [--no-peer]

Documents come from the column or key ``text`` of FILE, or else are the docstrings of Python and its installed packages.
Ours is one call of ``filters.signals.measure`` on all documents, every signal measured. The peer runs datatrove's
Gopher repetition, Gopher quality, C4 and FineWeb filters one after the other on each document, each on the text as it
is, none skipped after a verdict. Its interpreter is named by ``CHAFFINCH_DATATROVE_PYTHON``; else a virtual environment
is made in the cache folder (``XDG_CACHE_HOME`` or ``~/.cache``), which takes pip and a network. Agreement is the share
of equal keep-or-drop verdicts.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from datatrove_peer import DATATROVE, PEER_MEGABYTES, run_peer
from measure import cpu_seconds, peak_memory_bytes, report
from texts import num_megabytes, parse_arguments, read_texts, take

from filters.registry import FiltersConfig, judge
from filters.signals import MeasureConfig, measure

FILTERS = ("gopher_repetition", "gopher_quality", "c4", "fineweb")

PEER_PROGRAM = """
import json, sys, time
from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
filters = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(), FineWebQualityFilter()]

def judge(filter_, text):
    try:
        return filter_.filter(Document(text=text, id="", metadata={})) is True
    except ZeroDivisionError:
        return False

texts = json.load(open(sys.argv[1], encoding="utf-8"))
[judge(filter_, "warm up the tokenizer") for filter_ in filters]
start = time.process_time()
verdicts = [[judge(filter_, text) for filter_ in filters] for text in texts]
print(json.dumps({"cpu_seconds": time.process_time() - start, "verdicts": verdicts}))
"""


def main() -> None:
    arguments = parse_arguments(__doc__)
    texts = take(read_texts(arguments.file), arguments.megabytes)
    column = pa.array(texts, pa.string())
    megabytes = num_megabytes(texts)
    seconds = cpu_seconds(lambda: measure(column, MeasureConfig()), arguments.repeats)
    figures: dict[str, Any] = {
        "documents": len(texts),
        "megabytes": round(megabytes, 3),
        "megabytes_per_cpu_second": round(megabytes / seconds, 2),
        "documents_per_cpu_second": round(len(texts) / seconds, 1),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    ratio = None
    if not arguments.no_peer:
        figures |= compare(take(texts, min(PEER_MEGABYTES, arguments.megabytes)))
        ratio = round(figures["megabytes_per_cpu_second"] / figures["datatrove_megabytes_per_cpu_second"], 1)
    for name, value in figures.items():
        print(f"{name}: {value}")
    report("signals", figures, None if arguments.no_peer else DATATROVE, ratio)


def compare(texts: list[str]) -> dict[str, Any]:
    """datatrove's speed on ``texts``, and how often its verdicts equal ours."""
    peer = run_peer(PEER_PROGRAM, texts)
    signals = measure(pa.array(texts, pa.string()), MeasureConfig())
    figures: dict[str, Any] = {
        "datatrove_megabytes_per_cpu_second": round(num_megabytes(texts) / peer["cpu_seconds"], 3)
    }
    for i, name in enumerate(FILTERS):
        reasons = judge(signals, FiltersConfig.model_validate({name: {}})).reason.to_pylist()
        agreed = sum(
            (reason is None) == verdicts[i] for reason, verdicts in zip(reasons, peer["verdicts"], strict=True)
        )
        figures[f"{name}_agreement"] = round(agreed / len(texts), 4)
    return figures


if __name__ == "__main__":
    main()
