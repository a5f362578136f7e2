"""MinHash signatures: text per second and core, against datatrove, rensa and datasketch in the same run.

    python benchmarks/minhash.py [FILE.parquet] [--megabytes 20] [--no-peers]

Documents come from the column ``text`` of FILE, or are made of random words. All sides make 112 minima over word
5-grams of the same texts, ours with the bands. datatrove runs the shingles and signatures of its first MinHash stage
(its own normalisation and word tokenizer; no file is written); rensa and datasketch are given words by lower-casing
and splitting in Python, which is what one has to do there. Peers run in interpreters of their own:
``CHAFFINCH_DATATROVE_PYTHON`` and ``CHAFFINCH_RENSA_PYTHON``, or virtual environments made in the cache folder, which
takes pip and a network.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import re
import subprocess
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasketch import MinHash
from datatrove_peer import interpreter_with, peer_python
from measure import cpu_seconds, report

from pipeline.kernels.minhash import Permutations, Scheme, make_permutations, sketch
from pipeline.kernels.shingles import Shingling
from pipeline.kernels.text_hash import text_hashes

NUM_PERM = 112
SHINGLE_WORDS = 5
PEER_BYTES = 2_000_000  # datatrove needs seconds for each megabyte
_WORD = re.compile(r"\w+")

_RENSA = """
import json, re, sys, time
from rensa import RMinHash
word = re.compile(r"\\w+")
texts = json.load(open(sys.argv[1], encoding="utf-8"))
start = time.process_time()
sets = []
for text in texts:
    words = word.findall(text.lower())
    sets.append([" ".join(words[i : i + 5]).encode() for i in range(max(1, len(words) - 4))])
RMinHash.digest_matrix_from_token_byte_sets(sets, 112, 1)
print(time.process_time() - start)
"""

_DATATROVE = """
import json, sys, tempfile, time
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
texts = json.load(open(sys.argv[1], encoding="utf-8"))
stage = MinhashDedupSignature(tempfile.mkdtemp(), MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8))
stage.get_signature(stage.get_shingles("one two three four five six seven"))
start = time.process_time()
for text in texts:
    shingles = stage.get_shingles(text)
    if shingles.size:
        stage.get_signature(shingles)
print(time.process_time() - start)
"""


def read_texts(path: str | None, num_bytes: int) -> list[str]:
    """Texts of about ``num_bytes`` bytes in all."""
    if path is None:
        generator = random.Random(0)
        vocabulary = ["".join(generator.choices("etaoinshrdlu", k=generator.randint(2, 10))) for _ in range(30_000)]
        return [" ".join(generator.choices(vocabulary, k=500)) for _ in range(num_bytes // 3500 + 1)]
    return take([text for text in pq.read_table(path, columns=["text"])["text"].to_pylist() if text], num_bytes)


def take(texts: list[str], num_bytes: int) -> list[str]:
    """The first texts, up to about ``num_bytes`` bytes."""
    total_bytes = 0
    for count, text in enumerate(texts):
        total_bytes += len(text.encode())
        if total_bytes >= num_bytes:
            return texts[: count + 1]
    return texts


def count_megabytes(texts: list[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def run_datasketch(texts: list[str]) -> None:
    for text in texts:
        words = _WORD.findall(text.lower())
        minhash = MinHash(num_perm=NUM_PERM, seed=1)
        minhash.update_batch(
            " ".join(words[i : i + SHINGLE_WORDS]).encode() for i in range(max(1, len(words) - SHINGLE_WORDS + 1))
        )


def peer_seconds(python: str, program: str, texts: list[str]) -> float:
    """CPU seconds that a peer's program takes for ``texts``, on one thread."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.json"
        path.write_text(json.dumps(texts), encoding="utf-8")
        environment = {**os.environ, "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command = [python, "-c", program, str(path)]
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, env=environment, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="Parquet file with a column named text")
    parser.add_argument("--megabytes", type=float, default=20, help="text to sketch (peers take 2)")
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()
    texts = read_texts(arguments.file, int(arguments.megabytes * 1e6))
    array = pa.array(texts, pa.large_string())
    megabytes = count_megabytes(texts)
    figures: dict[str, float] = {"text_megabytes": megabytes, "num_perm": NUM_PERM}
    kinds = {"word_5grams": Shingling(SHINGLE_WORDS), "character_13grams": Shingling(13, "characters")}
    schemes: tuple[Scheme, ...] = ("affine32", "legacy")
    for (name, shingling), scheme in itertools.product(kinds.items(), schemes):
        permutations = make_permutations(NUM_PERM, 1, scheme)

        def signatures(shingling: Shingling = shingling, permutations: Permutations = permutations) -> None:
            sketch(array, permutations, shingling=shingling, num_bands=14, rows_per_band=8)

        figures[f"{name}_{scheme}_megabytes_per_cpu_second"] = megabytes / cpu_seconds(signatures, 3)
    figures["text_hash_megabytes_per_cpu_second"] = megabytes / cpu_seconds(lambda: text_hashes(array), 3)
    ours = figures["word_5grams_affine32_megabytes_per_cpu_second"]
    if not arguments.no_peers:
        figures |= compare(take(texts, PEER_BYTES), ours)
    for name, value in figures.items():
        print(f"{name}: {value:.2f}")
    report("minhash", figures, None if arguments.no_peers else "datatrove", figures.get("times_datatrove"))


def compare(texts: list[str], ours: float) -> dict[str, float]:
    """Speeds of the peers in megabytes a CPU second, and ours over theirs."""
    seconds = {
        "datatrove": peer_seconds(peer_python(), _DATATROVE, texts),
        "rensa": peer_seconds(interpreter_with("rensa", "rensa"), _RENSA, texts),
        "datasketch": cpu_seconds(lambda: run_datasketch(texts), 1),
    }
    speeds = {name: count_megabytes(texts) / taken for name, taken in seconds.items()}
    return {f"{name}_megabytes_per_cpu_second": speed for name, speed in speeds.items()} | {
        f"times_{name}": ours / speed for name, speed in speeds.items()
    }


if __name__ == "__main__":
    main()
