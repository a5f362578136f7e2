"""Language identification: speed and agreement with fastText on the same model and documents, accuracy by language.

    python benchmarks/language.py [FILE.parquet|FILE.jsonl ...] [--megabytes 40] [--max-chars N] [--model PATH]
        [--lid FOLDER] [--table FILE.md]

Speed: documents come from the column or key ``text`` of the FILEs (best: ``documents/`` of a run in many languages),
else are the sentences of the language sets, joined to documents. Ours is one call of the kernel on all documents, once
with a word cache that is empty at the start and once as a worker has it after its first files; theirs is fastText's own
``predict`` on each, called through its C++ object. Both see the same text as one line, and CPU time is measured in the
same process. Agreement is over all these documents. The ratio in the last line is that of the empty cache.

Accuracy: the sentences of 75 languages of lingua's test data and the UDHR, where FOLDER (``../shared/data/lid``) is
there. Each label is what the model's label means as ISO 639-3; a macrolanguage and its members count as the same, as
models name either. Macro F1 is over the languages of a set that the model knows. It is computed from our labels and
from fastText's: both stand in the table, and must be equal.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from langcodes.data_dicts import MACROLANGUAGES
from measure import peak_memory_bytes, report

from pipeline import fasttext_model
from pipeline.fasttext_model import FastTextModel
from pipeline.kernels.fasttext_predict import predict
from pipeline.language_codes import normalise, of_label
from pipeline.models import locate

LID_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "lid"
UDHR_MIN_CHARS = 40  # of a paragraph
SENTENCES_PER_DOCUMENT = 20
REPEATS = 3


class Sample(NamedTuple):
    """A text, and the language that its set says it is in (ISO 639-3)."""

    language: str
    text: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--megabytes", type=float, default=40.0)
    parser.add_argument("--max-chars", type=int)
    parser.add_argument("--model", default=None)
    parser.add_argument("--lid", type=Path, default=LID_FOLDER)
    parser.add_argument("--table", type=Path)
    arguments = parser.parse_args()
    path = arguments.model or str(locate("lid.176.ftz"))
    ours, theirs = fasttext_model.load(path), fasttext.FastText._FastText(model_path=path).f
    sets = language_sets(arguments.lid)
    texts = take(read_texts(arguments.files) or documents_of(sets), arguments.megabytes)
    figures = compare_speed(ours, theirs, texts, arguments.max_chars)
    tables = {}
    for name, samples in sets.items():
        found, tables[name] = compare_accuracy(ours, theirs, samples)
        figures |= {f"{name}_{key}": value for key, value in found.items()}
    figures["peak_memory_bytes"] = peak_memory_bytes()
    for name, value in figures.items():
        print(f"{name}: {value}")
    if arguments.table and tables:
        arguments.table.write_text(as_markdown(tables), encoding="utf-8")
    report("language", figures, "fasttext 0.9.3", figures["speed_ratio_empty_cache"])


def compare_speed(ours: FastTextModel, theirs: Any, texts: list[str], max_chars: int | None) -> dict[str, Any]:
    """Documents and megabytes a CPU second of both, and on how many documents they disagree."""
    column = pa.array(texts, pa.string())
    lines = [text[:max_chars].replace("\n", " ") + "\n" for text in texts]
    megabytes = sum(len(line.encode()) - 1 for line in lines) / 1e6
    predict(ours, column.slice(0, 1))  # compiles
    cold_seconds, our_seconds, their_seconds = [], [], []
    for _ in range(REPEATS):
        ours.scratch.clear()  # the cache of words
        for seconds in (cold_seconds, our_seconds):
            start = time.process_time()
            found = predict(ours, column, max_chars=max_chars)
            seconds.append(time.process_time() - start)
        start = time.process_time()
        expected = [theirs.predict(line, 1, 0.0, "strict") for line in lines]
        their_seconds.append(time.process_time() - start)
    our_median, peer_median = statistics.median(our_seconds), statistics.median(their_seconds)
    labels = [ours.labels[number] if number >= 0 else None for number in found.labels[:, 0]]
    expected_labels = [best[0][1].removeprefix("__label__") if best else None for best in expected]
    scores = np.array([best[0][0] if best else 0 for best in expected])
    ratios = sorted(their / our for our, their in zip(our_seconds, their_seconds, strict=True))
    return {
        "documents": len(texts),
        "megabytes": round(megabytes, 2),
        "documents_per_cpu_second": round(len(texts) / our_median),
        "megabytes_per_cpu_second": round(megabytes / our_median, 2),
        "megabytes_per_cpu_second_empty_cache": round(megabytes / statistics.median(cold_seconds), 2),
        "fasttext_documents_per_cpu_second": round(len(texts) / peer_median),
        "fasttext_megabytes_per_cpu_second": round(megabytes / peer_median, 2),
        "speed_ratio": round(statistics.median(ratios), 2),
        "speed_ratio_empty_cache": round(
            statistics.median(b / a for a, b in zip(cold_seconds, their_seconds, strict=True)), 2
        ),
        "different_labels": sum(a != b for a, b in zip(labels, expected_labels, strict=True)),
        "largest_score_difference": float(f"{np.abs(scores - found.probabilities[:, 0]).max():.2e}"),
    }


def compare_accuracy(
    ours: FastTextModel, theirs: Any, samples: list[Sample]
) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """Accuracy and macro F1 of both, over samples of languages that the model knows; and a row for each language."""
    meanings = {label: macrolanguage(of_label(label).language) for label in ours.labels}
    known = [sample for sample in samples if sample.language in set(meanings.values())]
    labels = predict(ours, pa.array([sample.text for sample in known])).labels[:, 0]
    found = [meanings[ours.labels[number]] if number >= 0 else "und" for number in labels]
    expected = []
    for sample in known:
        best = theirs.predict(sample.text.replace("\n", " ") + "\n", 1, 0.0, "strict")
        expected.append(meanings[best[0][1].removeprefix("__label__")] if best else "und")
    truth = [sample.language for sample in known]
    mine, peers = scores_by_language(truth, found), scores_by_language(truth, expected)
    rows = [(normalise(language), *mine[language], peers[language][-1]) for language in mine]
    figures = {
        "samples": len(known),
        "languages": len(mine),
        "accuracy": round(accuracy(truth, found), 5),
        "fasttext_accuracy": round(accuracy(truth, expected), 5),
        "macro_f1": round(statistics.fmean(row[-1] for row in mine.values()), 5),
        "fasttext_macro_f1": round(statistics.fmean(row[-1] for row in peers.values()), 5),
        "different_labels": sum(a != b for a, b in zip(found, expected, strict=True)),
    }
    return figures, rows


def accuracy(truth: list[str], found: list[str]) -> float:
    return sum(a == b for a, b in zip(truth, found, strict=True)) / len(truth)


def scores_by_language(truth: list[str], found: list[str]) -> dict[str, tuple[int, float, float, float]]:
    """Samples, precision, recall and F1 of each language that occurs in ``truth``, by code."""
    right = Counter(a for a, b in zip(truth, found, strict=True) if a == b)
    asked, answered = Counter(truth), Counter(found)
    scores = {}
    for language in sorted(asked):
        precision = right[language] / answered[language] if answered[language] else 0.0
        recall = right[language] / asked[language]
        f1 = 2 * right[language] / (asked[language] + answered[language])
        scores[language] = (asked[language], precision, recall, f1)
    return scores


def macrolanguage(code: str) -> str:
    """ISO 639-3 code of the macrolanguage that a language belongs to, or its own."""
    two_or_three = MACROLANGUAGES.get(code, code)
    return of_label(two_or_three).language if two_or_three != code else code


def language_sets(folder: Path) -> dict[str, list[Sample]]:
    """The labelled sets below ``folder``, those that are there."""
    sets = {"lingua": list(lingua(folder)), "udhr": list(udhr(folder))}
    return {name: samples for name, samples in sets.items() if samples}


def lingua(folder: Path) -> Iterator[Sample]:
    """Sentences, a file a language, named by ISO 639-1."""
    for path in sorted((folder / "lingua/cmd/language-testdata/sentences").glob("*.txt")):
        language = macrolanguage(of_label(path.stem).language)
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield Sample(language, line.strip())


def udhr(folder: Path) -> Iterator[Sample]:
    """Paragraphs of the Declaration, a file a translation, named by ISO 639-3."""
    for path in sorted((folder / "udhr-nltk/udhr2").glob("*.txt")):
        try:
            language = macrolanguage(of_label(f"{path.stem.partition('_')[0]}_Latn").language)
        except ValueError:  # 001 … 011: languages without a code
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            if len(line.strip()) >= UDHR_MIN_CHARS:
                yield Sample(language, line.strip())


def documents_of(sets: dict[str, list[Sample]]) -> list[str]:
    """Documents of some sentences of one language each, in an order that does not depend on the language."""
    samples = [sample for found in sets.values() for sample in found]
    if not samples:
        raise SystemExit("no documents: name files with a column text, or a folder of language sets with --lid")
    texts = [
        "\n".join(sample.text for sample in samples[start : start + SENTENCES_PER_DOCUMENT])
        for start in range(0, len(samples), SENTENCES_PER_DOCUMENT)
    ]
    random.Random(0).shuffle(texts)
    return texts


def read_texts(paths: list[str]) -> list[str]:
    """Texts of Parquet or jsonl files."""
    texts: list[str] = []
    for path in paths:
        if path.endswith(".parquet"):
            texts += filter(None, pq.read_table(path, columns=["text"])["text"].to_pylist())
        else:
            with open(path, encoding="utf-8") as lines:
                texts += filter(None, (json.loads(line)["text"] for line in lines))
    random.Random(0).shuffle(texts)
    return texts


def take(texts: list[str], megabytes: float) -> list[str]:
    """The first texts that make up ``megabytes``, or all."""
    taken, rest = [], megabytes * 1e6
    for text in texts:
        if rest <= 0:
            break
        taken.append(text)
        rest -= len(text.encode())
    return taken


def as_markdown(tables: dict[str, list[tuple[Any, ...]]]) -> str:
    """A table for each set: language, samples, precision, recall, F1, fastText's F1."""
    lines = []
    for name, rows in tables.items():
        lines += [f"### {name}", "", "| language | samples | precision | recall | F1 | F1, fastText's code |"]
        lines += ["|---|---:|---:|---:|---:|---:|"]
        lines += [
            f"| {code} | {samples} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {peer:.3f} |"
            for code, samples, precision, recall, f1, peer in rows
        ]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
