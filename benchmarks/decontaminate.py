"""Decontamination: text looked through per second and core, against datatrove's filter on the same documents.

    python benchmarks/decontaminate.py [FILE.parquet|FILE.jsonl] [--evals FOLDER] [--megabytes 50] [--repeats 5]
        [--peer-megabytes 2] [--no-peer]

Documents come from the column or key ``text`` of FILE, or else are the docstrings of Python and its installed packages.
The evaluation sets are GSM8K, HumanEval and XQuAD (``--evals``, by default ``../shared/data/evals``), or else 5,000
passages of 40 words drawn from the documents' own, none of them a passage of a document. Both sides look for the same
passages' n-grams of 13 words. Ours finds every place of each; the peer, ``NGramsDecontFilter``, stops at a document's
first hit. Every hundredth document is given a passage, and how many of these are found is counted on both sides. The
index of the peer is hashed by its own functions; its indexer asks for lighteval, which is not needed. Its interpreter
is named by ``CHAFFINCH_DATATROVE_PYTHON``, or made as in ``benchmarks/signals.py``.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
from datatrove_peer import DATATROVE, peer_python
from measure import cpu_seconds, peak_memory_bytes, report
from texts import read_texts, take

from filters.evaluation_sets import EvaluationSet, read_passages
from pipeline.ngram_index import NgramIndex, build_index

NGRAM_WORDS = 13
EVALS = Path(__file__).resolve().parents[2] / "shared" / "data" / "evals"
BATCH_ROWS = 1024

PEER_PROGRAM = """
import json, sys, time
import numpy as np
from datatrove.data import Document
from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter
from datatrove.utils.text import ngrams, simplify_text
given = json.load(open(sys.argv[1], encoding="utf-8"))
config = NGramsDecontConfig(n_grams=given["ngram_words"])
filter_ = NGramsDecontFilter(sys.argv[2], config)
hashes = {
    filter_.hash_func(" ".join(ngram))
    for passage in given["passages"]
    for ngram in ngrams(filter_.tokenizer.word_tokenize(simplify_text(passage, config.norm_config)), config.n_grams)
}
np.array(sorted(hashes), dtype=config.hash_config.np_descr).tofile(sys.argv[2] + "/sets.index.hashes")
filter_.filter(Document(text="warm up the tokenizer", id=""))
start = time.process_time()
kept = [filter_.filter(Document(text=text, id="")) is True for text in given["texts"]]
print(json.dumps({"cpu_seconds": time.process_time() - start, "kept": kept}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--evals", type=Path, default=EVALS)
    parser.add_argument("--megabytes", type=float, default=50.0)
    parser.add_argument("--peer-megabytes", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true")
    arguments = parser.parse_args()
    texts = take(read_texts(arguments.file), arguments.megabytes)
    passages = published(arguments.evals) if arguments.evals.is_dir() else drawn(texts)
    long_passages = [text for text in passages if len(text.split()) >= 2 * NGRAM_WORDS]
    planted = set(range(0, len(texts), 100))
    generator = random.Random(0)
    texts = [f"{text}\n{generator.choice(long_passages)}" if i in planted else text for i, text in enumerate(texts)]
    column = pa.array(passages, pa.string())
    build_seconds = cpu_seconds(lambda: build(column), 1)
    index = build(column)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    batches = [pa.array(texts[start : start + BATCH_ROWS]) for start in range(0, len(texts), BATCH_ROWS)]
    seconds = cpu_seconds(lambda: [index.find(batch) for batch in batches], arguments.repeats)
    found = {
        row for batch, texts_ in enumerate(batches) for row in (index.find(texts_).rows + batch * BATCH_ROWS).tolist()
    }
    figures: dict[str, Any] = {
        "passages": len(passages),
        "ngrams": index.num_ngrams,
        "index_cpu_seconds": round(build_seconds, 3),
        "documents": len(texts),
        "megabytes": round(megabytes, 3),
        "megabytes_per_cpu_second": round(megabytes / seconds, 2),
        "planted_documents": len(planted),
        "planted_documents_found": len(planted & found),
        "other_documents_found": len(found - planted),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    ratio = None
    if not arguments.no_peer:
        figures |= compare(texts[: len(take(texts, arguments.peer_megabytes))], passages, planted)
        ratio = round(figures["megabytes_per_cpu_second"] / figures["datatrove_megabytes_per_cpu_second"], 1)
    for name, value in figures.items():
        print(f"{name}: {value}")
    report("decontaminate", figures, None if arguments.no_peer else DATATROVE, ratio)


def build(passages: pa.Array) -> NgramIndex:
    """Index of passages of ``NGRAM_WORDS`` words or more: the peer knows no others."""
    return build_index(passages, ngram_words=NGRAM_WORDS, min_words=NGRAM_WORDS)


def published(folder: Path) -> list[str]:
    """Passages of GSM8K, HumanEval and XQuAD below ``folder``."""
    sets = [
        EvaluationSet(name="gsm8k", path=f"{folder}/gsm8k/**/test.jsonl", fields=("question", "answer")),
        EvaluationSet(name="humaneval", path=f"{folder}/human-eval/data/HumanEval.jsonl.gz", fields=("prompt",)),
        EvaluationSet(
            name="xquad", path=f"{folder}/xquad/*.json", items="data.paragraphs", fields=("context", "qas.question")
        ),
    ]
    texts: list[str] = read_passages(tuple(sets)).column("text").to_pylist()
    return texts


def drawn(texts: list[str]) -> list[str]:
    """Passages that no document has: words of documents in no order."""
    generator = random.Random(1)
    words = sorted({word for text in texts[:2000] for word in text.split()})
    return [" ".join(generator.choices(words, k=40)) for _ in range(5000)]


def compare(texts: list[str], passages: list[str], planted: set[int]) -> dict[str, Any]:
    """datatrove's speed on ``texts``, and what it finds in them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "given.json"
        given = {"texts": texts, "passages": passages, "ngram_words": NGRAM_WORDS}
        path.write_text(json.dumps(given), encoding="utf-8")
        index_folder = Path(folder) / "index"
        index_folder.mkdir()
        command = [peer_python(), "-c", PEER_PROGRAM, str(path), str(index_folder)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    peer = json.loads(done.stdout.splitlines()[-1])
    found = {i for i, kept in enumerate(peer["kept"]) if not kept}
    here = {i for i in planted if i < len(texts)}
    return {
        "datatrove_megabytes_per_cpu_second": round(
            sum(len(text.encode()) for text in texts) / 1e6 / peer["cpu_seconds"], 3
        ),
        "datatrove_planted_documents": len(here),
        "datatrove_planted_documents_found": len(here & found),
        "datatrove_other_documents_found": len(found - here),
    }


if __name__ == "__main__":
    main()
