"""Repeated passages: text per second and core, rows that would be shuffled, and the same cuts by comparing everything.

    python benchmarks/dedup_substrings.py [FILE.parquet] [--megabytes 40] [--peer-megabytes 10]

Documents come from the column ``text`` of FILE, or are made of random words with passages of 10 to 200 words planted in
them. All rounds of ``stages/dedup_substrings.py`` run here one after the other in one process, with NumPy for what
Spark does between them.

The peer gives every passage of a text that fits into memory its rank, by doubling (Karp, Miller, Rosenberg 1972), as
the construction of a suffix array does: exact, without hashes of passages, on one machine. It is given our words, and
what it cuts must be what we cut.
"""

from __future__ import annotations

import argparse
import random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from measure import cpu_seconds, peak_memory_bytes, report

from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.token_spans import token_spans
from pipeline.kernels.winnowing import candidate_passages, select_anchors
from pipeline.repeated_passages import OCCURRENCE, Runs, occurrences, redundant_runs
from stages.dedup_substrings import SubstringDedupConfig, Tokens, anchor_rows, candidate_rows, tokens_of

BATCH_DOCUMENTS = 1024


def read_documents(path: str | None, num_bytes: int) -> pa.RecordBatch:
    """Documents of about ``num_bytes`` bytes of text in all, in the order in which they are preferred."""
    texts = _made(num_bytes) if path is None else pq.read_table(path, columns=["text"])["text"].to_pylist()
    chosen: list[str] = []
    total_bytes = 0
    for text in filter(None, texts):
        if total_bytes >= num_bytes:
            break
        chosen.append(text)
        total_bytes += len(text.encode())
    numbers = pa.array(range(len(chosen)), pa.int64())
    names = pa.array([str(number) for number in range(len(chosen))])
    columns = {"doc_id": names, "row_index": numbers, "number": numbers, "text": pa.array(chosen, pa.large_string())}
    return pa.record_batch(columns)


def _made(num_bytes: int) -> list[str]:
    generator = random.Random(0)
    vocabulary = ["".join(generator.choices("etaoinshrdlu", k=generator.randint(2, 10))) for _ in range(30_000)]
    passages = [generator.choices(vocabulary, k=generator.randint(10, 200)) for _ in range(num_bytes // 20_000 + 1)]
    texts = []
    for _ in range(num_bytes // 3500 + 1):
        words = generator.choices(vocabulary, k=450)
        if generator.random() < 0.3:
            words += generator.choice(passages)
        texts.append(" ".join(words))
    return texts


def batches_of(documents: pa.RecordBatch) -> list[pa.RecordBatch]:
    return [documents.slice(first, BATCH_DOCUMENTS) for first in range(0, documents.num_rows, BATCH_DOCUMENTS)]


def find(documents: pa.RecordBatch, config: SubstringDedupConfig) -> tuple[Runs, dict[str, int]]:
    """All rounds. Returns what is cut, ``rows`` being numbers of documents, and how many rows Spark would be given."""
    batches = batches_of(documents)
    anchors = pa.Table.from_batches([anchor_rows(tokens_of(batch, config), config, "0") for batch in batches])
    counted = anchors.group_by("anchor").aggregate([("num_places", "sum")])
    repeated = counted.filter(pc.greater(counted["num_places_sum"], 1))["anchor"].to_numpy().view(np.uint64)
    repeated = np.sort(repeated).view(np.int64)
    candidates = [candidate_rows(tokens_of(batch, config), batch, repeated, config) for batch in batches]
    places = pa.Table.from_batches([occurrences(batch) for batch in candidates])
    everywhere = _first_and_last(places)
    found = []
    for batch in candidates:
        runs = redundant_runs(batch, everywhere, min_tokens=config.min_tokens, keep_first=True)
        found.append(runs._replace(rows=batch.column("number").to_numpy()[runs.rows]))
    sizes = {"num_anchor_rows": anchors.num_rows, "num_passage_rows": places.num_rows}
    return Runs(*(np.concatenate(columns) for columns in zip(*found, strict=True))), sizes


def _first_and_last(places: pa.Table) -> dict[str, np.ndarray]:
    """``OCCURRENCE`` over all batches, which come in the order of their documents."""
    columns = {name: places.column(name).to_numpy() for name in OCCURRENCE.names}
    order = np.argsort(columns["passage"], kind="stable")
    passages = columns["passage"][order]
    changes = passages[1:] != passages[:-1]
    first = order[np.concatenate([[True], changes])]
    last = order[np.concatenate([changes, [True]])]
    return {name: column[last if name.startswith("last") else first] for name, column in columns.items()}


def compare_everything(tokens: Tokens, min_tokens: int) -> np.ndarray:
    """Which words are cut, by ranks of all passages; bool, shape (num_words,)."""
    num_words = len(tokens.hashes)
    documents = np.repeat(np.arange(len(tokens.bounds) - 1), np.diff(tokens.bounds))
    ranks = np.unique(tokens.hashes, return_inverse=True)[1].astype(np.int64)
    size = 1
    while size < min_tokens:
        step = min(size, min_tokens - size)  # of two passages that overlap or touch, one of size + step
        pairs = ranks[: len(ranks) - step] * num_words + ranks[step:]
        ranks, size = np.unique(pairs, return_inverse=True)[1].astype(np.int64), size + step
    begins = np.flatnonzero(documents[: len(ranks)] == documents[min_tokens - 1 :])
    _, firsts, ranks = np.unique(ranks[begins], return_index=True, return_inverse=True)
    firsts = begins[firsts][ranks]
    is_cut = (documents[firsts] != documents[begins]) | (begins - firsts >= min_tokens)
    return marked(begins[is_cut], begins[is_cut] + min_tokens, num_words)


def marked(begins: np.ndarray, ends: np.ndarray, num_words: int) -> np.ndarray:
    """Words in any of the stretches; bool, shape (num_words,)."""
    depth = np.zeros(num_words + 1, np.int64)
    np.add.at(depth, begins, 1)
    np.add.at(depth, ends, -1)
    return np.cumsum(depth)[:-1] > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="Parquet file with a column named text")
    parser.add_argument("--megabytes", type=float, default=40, help="text to go through")
    parser.add_argument("--peer-megabytes", type=float, default=10, help="text that both sides go through")
    parser.add_argument("--min-tokens", type=int, default=50)
    arguments = parser.parse_args()
    config = SubstringDedupConfig(min_tokens=arguments.min_tokens)
    documents = read_documents(arguments.file, int(arguments.megabytes * 1e6))
    megabytes = num_megabytes(documents)
    tokens = tokens_of(documents, config)
    sizes = {"min_tokens": config.min_tokens, "window_tokens": config.window}
    anchors = np.unique(select_anchors(*tokens, **sizes))
    buffers = text_buffers(documents.column("text"))
    steps = {
        "words": lambda: token_spans(buffers),
        "anchors_of_words": lambda: select_anchors(*tokens, **sizes),
        "passages_of_words_none_repeated": lambda: candidate_passages(*tokens, anchors[:0], **sizes),
        "passages_of_words_all_repeated": lambda: candidate_passages(*tokens, anchors, **sizes),
        "all_rounds": lambda: find(documents, config),
    }
    figures: dict[str, float] = {"text_megabytes": megabytes, "num_words": len(tokens.hashes)}
    for name, step in steps.items():
        figures[f"{name}_megabytes_per_cpu_second"] = megabytes / cpu_seconds(step, 3)
    runs, num_rows = find(documents, config)
    figures |= {name: float(number) for name, number in num_rows.items()}
    figures["share_of_words_cut"] = float((runs.ends - runs.begins).sum() / len(tokens.hashes))

    small = read_documents(arguments.file, int(arguments.peer_megabytes * 1e6))
    small_tokens = tokens_of(small, config)
    found, _ = find(small, config)
    begins = small_tokens.bounds[found.rows]
    ours = marked(begins + found.begins, begins + found.ends, len(small_tokens.hashes))
    if not np.array_equal(ours, compare_everything(small_tokens, config.min_tokens)):
        raise RuntimeError("what is cut differs from what comparing all passages cuts; this is a bug")
    ours_seconds = cpu_seconds(lambda: find(small, config), 1)
    peer_seconds = cpu_seconds(lambda: compare_everything(tokens_of(small, config), config.min_tokens), 1)
    figures["comparing_everything_megabytes_per_cpu_second"] = num_megabytes(small) / peer_seconds
    figures["peak_memory_megabytes"] = peak_memory_bytes() / 1e6
    for name, value in figures.items():
        print(f"{name}: {value:,.4g}")
    report("dedup_substrings", figures, "ranks of all passages by doubling", peer_seconds / ours_seconds)


def num_megabytes(documents: pa.RecordBatch) -> float:
    return (pc.sum(pc.binary_length(documents.column("text"))).as_py() or 0) / 1e6


if __name__ == "__main__":
    main()
