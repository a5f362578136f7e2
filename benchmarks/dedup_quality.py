"""Near-duplicate detection against known pairs: what presets and verification find, miss, and remove wrongly.

    python benchmarks/dedup_quality.py [--data ../shared/data/neardup] [--num-planted 3000]

* ``mccormick``: 100 and 1,000 news articles with 5 and 10 known pairs; precision and recall of the pairs found.
* ``dolma``: 30 web documents, ten of them a second time in another folder; every other pair found is a wrong one.
* ``help pages``: 2,561 parallel en-US and en-GB pages of LibreOffice's help. The list gives words and Jaccard
  similarity of each pair, the texts are not part of it: each becomes a pair of pages of as many words, drawn at random,
  with single words replaced at random places until the similarity is the listed one.
* ``planted``: pairs made likewise, their similarities spread evenly over .5 to 1.

In the last two a pair is a copy if the Jaccard similarity of its word 5-grams is .8 or more. Clusters are found by
``jobs/copies_in_memory.py``, which the tests hold to the clusters of the Spark stage.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from measure import report

from jobs.copies_in_memory import near_copies
from pipeline.kernels.shingle_sets import jaccard, shingle_sets
from pipeline.kernels.shingles import Shingling
from pipeline.lsh_banding import PRESETS
from stages.dedup_near import NearDedupConfig
from stages.minhash_signatures import MinHashConfig, make_stage

DATA = Path(__file__).parents[2] / "shared" / "data" / "neardup"
IS_COPY = 0.8
BUCKETS = (0.0, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
SHINGLE = Shingling(5)
MINHASH = {
    **{name: MinHashConfig.model_validate({"preset": name}) for name in PRESETS},
    "target .8/.95": MinHashConfig(threshold=0.8, recall=0.95),
    "fineweb, 13 characters": MinHashConfig(preset="fineweb", shingle_chars=13),
}
VERIFICATION = {
    "none": NearDedupConfig(min_similarity=None),
    "signature .70": NearDedupConfig(min_similarity=0.7),
    "signature .75": NearDedupConfig(min_similarity=0.75),
    "signature .80": NearDedupConfig(min_similarity=0.8),
    "exact .70": NearDedupConfig(min_similarity=0.7, verify="exact"),
    "exact .80": NearDedupConfig(min_similarity=0.8, verify="exact"),
}


@dataclass(frozen=True)
class Gold:
    """Texts, and which pairs of them are copies (left < right)."""

    name: str
    texts: list[str]
    copies: frozenset[tuple[int, int]]


def mccormick(folder: Path, size: int) -> Gold:
    rows = [line.split(" ", 1) for line in (folder / f"articles_{size}.train").read_text(encoding="utf-8").splitlines()]
    place = {name: number for number, (name, _) in enumerate(rows)}
    truth = (folder / f"articles_{size}.truth").read_text(encoding="utf-8").split()
    pairs = zip(truth[0::2], truth[1::2], strict=True)
    copies = frozenset(_ordered(place[left], place[right]) for left, right in pairs)
    return Gold(f"mccormick {size}", [text for _, text in rows], copies)


def dolma(folder: Path) -> Gold:
    files = [folder / "provided/documents/000.json.gz", folder / "provided/deduper/documents/000.json.gz"]
    files += [folder / "multiple_files" / f"cc_en_head-{part}.jsonl.gz" for part in ("0091", "0174")]
    parts = [gzip.decompress(path.read_bytes()).decode().splitlines() for path in files]
    number = len(parts[0])
    texts = [json.loads(line)["text"] for part in parts for line in part]
    return Gold("dolma", texts, frozenset((place, place + number) for place in range(number)))


def help_pages(folder: Path, seed: int = 1) -> Gold:
    with open(folder / "pairs_enUS_enGB.tsv", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return made_pairs("help pages", [(int(row["words_a"]), float(row["jaccard_5gram"])) for row in rows], seed)


def planted(num_pages: int, seed: int = 2) -> Gold:
    generator = np.random.default_rng(seed)
    return made_pairs("planted", [(300, float(s)) for s in generator.uniform(0.5, 1.0, num_pages // 2)], seed)


def made_pairs(name: str, wanted: list[tuple[int, float]], seed: int) -> Gold:
    """A pair of pages for each number of words and similarity; pages 2i and 2i + 1 belong together."""
    generator = np.random.default_rng(seed)
    texts = [text for num_words, similarity in wanted for text in make_pair(generator, num_words, similarity)]
    similarities = pair_similarities(texts, SHINGLE)
    copies = frozenset((2 * number, 2 * number + 1) for number in np.flatnonzero(similarities >= IS_COPY).tolist())
    return Gold(name, texts, copies)


def make_pair(generator: np.random.Generator, num_words: int, similarity: float) -> tuple[str, str]:
    """A page of random words, and a copy with single words replaced until it is no more alike than wanted."""
    words = [f"w{word:x}" for word in generator.integers(0, 1 << 30, num_words)]
    changed = list(words)
    num_shingles = max(num_words - SHINGLE.size + 1, 1)
    is_kept = np.ones(num_shingles, bool)
    for place in generator.permutation(num_words).tolist():
        num_kept = int(is_kept.sum())
        if num_kept / (2 * num_shingles - num_kept) <= similarity:
            break
        changed[place] = f"v{generator.integers(0, 1 << 30):x}"
        is_kept[max(0, place - SHINGLE.size + 1) : place + 1] = False
    return " ".join(words), " ".join(changed)


def pair_similarities(texts: list[str], shingling: Shingling) -> np.ndarray:
    """Exact Jaccard similarity of pages 2i and 2i + 1; shape (num_pages / 2,)."""
    sets = shingle_sets(pa.array(texts, pa.large_string()), shingling)
    places = pa.array(np.arange(0, len(texts), 2))
    return jaccard(sets.take(places), sets.take(pc.add(places, 1)))


def _ordered(left: int, right: int) -> tuple[int, int]:
    return min(left, right), max(left, right)


@dataclass(frozen=True)
class Sketched:
    """Documents as deduplication sees them."""

    documents: pa.Table
    signatures: pa.Array
    sets: pa.Array


def sketch_all(texts: list[str], config: MinHashConfig) -> Sketched:
    column = pa.array(texts, pa.large_string()).cast(pa.string())
    stage = make_stage(config)
    row: pa.RecordBatch = stage.apply(pa.record_batch({"text": column}))
    columns = {
        "doc_id": pa.array([f"{number:08d}" for number in range(len(texts))]),
        "num_bytes": pc.binary_length(column).cast(pa.int64()),
        "fetch_time": pa.nulls(len(texts), pa.timestamp("ms", tz="UTC")),
        "bands": row.column("bands"),
    }
    documents = pa.table(columns)
    return Sketched(documents, row.column("signature"), shingle_sets(column, config.shingling()))


def pairs_found(sketched: Sketched, config: NearDedupConfig) -> set[tuple[int, int]]:
    """Pairs of documents that end in one cluster."""
    sketches = sketched.sets if config.verify == "exact" else sketched.signatures
    kept = near_copies(sketched.documents, lambda numbers: sketches.take(pa.array(numbers)), config)
    clusters: dict[int, list[int]] = {}
    for document, survivor in enumerate(kept.tolist()):
        clusters.setdefault(survivor, []).append(document)
    return {pair for members in clusters.values() for pair in itertools.combinations(members, 2)}


def scores(found: set[tuple[int, int]], gold: Gold) -> dict[str, float | int]:
    right = len(found & gold.copies)
    return {
        "precision": round(right / len(found), 4) if found else 1.0,
        "recall": round(right / len(gold.copies), 4),
        "wrong": len(found) - right,
        "missed": len(gold.copies) - right,
    }


def compare(golds: list[Gold]) -> dict[str, dict[str, dict[str, dict[str, float | int]]]]:
    """Scores by preset, verification and gold set, and a table of them."""
    print(f"\nPrecision / recall (wrong, missed); a copy has similarity {IS_COPY} or more, or is a known pair")
    print(f"{'bands and shingles':<24}{'verified by':<15}" + "".join(f"{gold.name:>26}" for gold in golds))
    results: dict[str, dict[str, dict[str, dict[str, float | int]]]] = {}
    for name, minhash in MINHASH.items():
        sketched = [sketch_all(gold.texts, minhash) for gold in golds]
        results[name] = {}
        for verification, near in VERIFICATION.items():
            of_golds = {
                gold.name: scores(pairs_found(documents, near), gold)
                for gold, documents in zip(golds, sketched, strict=True)
            }
            results[name][verification] = of_golds
            cells = "".join(
                f"{found['precision']:>9.3f} / {found['recall']:.3f} ({found['wrong']:>3},{found['missed']:>3})"
                for found in of_golds.values()
            )
            print(f"{name:<24}{verification:<15}{cells}")
    return results


def catch_rates(gold: Gold) -> dict[str, dict[str, list[float]]]:
    """For made pairs: share of pairs that share a band, by preset and bucket of similarity, beside the expected one."""
    print(f"\nShare of pairs that become candidates, by similarity: {gold.name} (expected from the LSH curve)")
    labels = [f"{low:.2f}-{high:.2f}" for low, high in itertools.pairwise(BUCKETS)] + ["1.00"]
    print(f"{'bands and shingles':<24}" + "".join(f"{label:>15}" for label in labels))
    results: dict[str, dict[str, list[float]]] = {}
    for name, minhash in MINHASH.items():
        found = pairs_found(sketch_all(gold.texts, minhash), VERIFICATION["none"])
        similarities = pair_similarities(gold.texts, minhash.shingling())
        caught = np.array([(2 * number, 2 * number + 1) in found for number in range(len(similarities))])
        expected = np.array([minhash.banding().catch_probability(float(s)) for s in similarities])
        rows = list(_by_bucket(similarities, caught, expected))
        results[name] = {label: row for label, row in zip(labels, rows, strict=True) if row}
        cells = "".join(f"{f'{row[0]:.3f} ({row[1]:.3f})' if row else '-':>15}" for row in rows)
        print(f"{name:<24}{cells}")
    return results


def _by_bucket(similarities: np.ndarray, caught: np.ndarray, expected: np.ndarray) -> Iterator[list[float]]:
    """Measured and expected share and number of pairs, bucket by bucket; empty where there is no pair."""
    bucket = np.searchsorted(BUCKETS, similarities, side="right") - 1
    for number in range(len(BUCKETS)):
        here = bucket == number
        count = int(here.sum())
        yield [round(float(caught[here].mean()), 4), round(float(expected[here].mean()), 4), count] if count else []


def presets_table() -> None:
    print("Chance that a pair is caught, by Jaccard similarity")
    curves = {name: config.banding().describe() for name, config in MINHASH.items() if "characters" not in name}
    similarities: list[str] = list(next(iter(curves.values()))["catch_probability"])  # type: ignore[call-overload]
    print(f"{'':<16}{'bands x rows':>14}" + "".join(f"{similarity:>8}" for similarity in similarities))
    for name, curve in curves.items():
        shape = f"{curve['num_bands']} x {curve['rows_per_band']}"
        chances: Any = curve["catch_probability"]
        print(f"{name:<16}{shape:>14}" + "".join(f"{chance:>8.3f}" for chance in chances.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--num-planted", type=int, default=3000, help="pages with planted copies")
    arguments = parser.parse_args()
    presets_table()
    golds = [planted(arguments.num_planted)]
    if arguments.data.is_dir():
        known = [mccormick(arguments.data / "mccormick/data", size) for size in (100, 1000)]
        golds = [*known, dolma(arguments.data / "dolma"), help_pages(arguments.data / "lo-en-pairs"), *golds]
    else:
        print(f"{arguments.data} is absent: planted pairs only")
    figures = {"pairs": compare(golds), "caught": {gold.name: catch_rates(gold) for gold in golds[-2:]}}
    report("dedup_quality", figures, None, None)


if __name__ == "__main__":
    main()
