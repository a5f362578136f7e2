"""Line cleaning: text per second and core, and C4's line rules against datatrove's on the same documents.

    python benchmarks/lines.py [FILE.parquet|FILE.jsonl] [--megabytes 20] [--repeats 5] [--no-peer]

Documents and peer interpreter are those of ``benchmarks/signals.py``. The peer runs datatrove's C4 filter without its
document rules, which leaves its line rules; agreement is the share of documents that both leave with equal text.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from datatrove_peer import DATATROVE, PEER_MEGABYTES, run_peer
from measure import cpu_seconds, peak_memory_bytes, report
from texts import num_megabytes, parse_arguments, read_texts, take

from filters.line_rules import CleanLinesConfig, clean, measure_lines, resolve
from filters.signals import MeasureConfig

PEER_PROGRAM = """
import json, sys, time
from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter
filter_ = C4QualityFilter(min_num_sentences=-1, filter_lorem_ipsum=False, filter_curly_bracket=False)

def cleaned(text):
    document = Document(text=text, id="", metadata={})
    filter_.filter(document)
    return document.text

texts = json.load(open(sys.argv[1], encoding="utf-8"))
cleaned("Warm up the tokenizer.")
start = time.process_time()
left = [cleaned(text) for text in texts]
print(json.dumps({"cpu_seconds": time.process_time() - start, "texts": left}))
"""


def main() -> None:
    arguments = parse_arguments(__doc__)
    texts = take(read_texts(arguments.file), arguments.megabytes)
    text, lang = column(texts)
    megabytes = num_megabytes(texts)
    rules = {name: resolve(CleanLinesConfig(apply=sets), MeasureConfig()) for name, sets in SETS.items()}
    seconds = {"measure": cpu_seconds(lambda: measure_lines(text, lang, rules["nothing"]), arguments.repeats)}
    for name, config in rules.items():
        seconds[f"clean_{name}"] = cpu_seconds(lambda config=config: clean(text, lang, config), arguments.repeats)
    rates = {f"{name}_megabytes_per_cpu_second": round(megabytes / value, 1) for name, value in seconds.items()}
    figures: dict[str, Any] = {"documents": len(texts), "megabytes": round(megabytes, 3), **rates}
    figures["peak_memory_bytes"] = peak_memory_bytes()
    ratio = None
    if not arguments.no_peer:
        figures |= compare(take(texts, min(PEER_MEGABYTES, arguments.megabytes)))
        ours, peers = (figures[f"{name}_megabytes_per_cpu_second"] for name in ("clean_c4", "datatrove_c4"))
        ratio = round(ours / peers, 1)
    for name, value in figures.items():
        print(f"{name}: {value}")
    report("lines", figures, None if arguments.no_peer else DATATROVE, ratio)


SETS: dict[str, Any] = {"nothing": (), "refinedweb": ("refinedweb",), "c4": ("c4",), "both": ("refinedweb", "c4")}


def column(texts: list[str]) -> tuple[pa.Array, pa.Array]:
    return pa.array(texts, pa.string()), pa.array(["eng_Latn"] * len(texts))


def compare(texts: list[str]) -> dict[str, Any]:
    """datatrove's speed on ``texts``, and on how many of them its C4 leaves the text that ours leaves."""
    peer = run_peer(PEER_PROGRAM, texts)
    ours = clean(*column(texts), resolve(CleanLinesConfig(apply=("c4",)), MeasureConfig())).text.to_pylist()
    equal = sum(found == expected for found, expected in zip(ours, peer["texts"], strict=True))
    return {
        "datatrove_c4_megabytes_per_cpu_second": round(num_megabytes(texts) / peer["cpu_seconds"], 3),
        "c4_text_agreement": round(equal / len(texts), 4),
    }


if __name__ == "__main__":
    main()
