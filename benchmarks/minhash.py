"""MinHash signatures: text per second and core, against datasketch and rensa on the same documents and shingles.

    python benchmarks/minhash.py [FILE.parquet] [--megabytes 20]

Documents come from the column ``text`` of FILE, or are made of random words. All three sides make 112 minima over word
5-grams; the peers are given words by lower-casing and splitting in Python, which is what one has to do there. rensa is
measured if it is installed in the running environment, or in the one whose interpreter stands in ``RENSA_PYTHON``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from datasketch import MinHash
from measure import cpu_seconds, report

from pipeline.kernels.minhash import make_permutations, sketch
from pipeline.kernels.text_hash import text_hashes

NUM_PERM = 112
SHINGLE_WORDS = 5
PEER_BYTES = 2_000_000  # datasketch needs a second for each few megabytes
_WORD = re.compile(r"\w+")

_RENSA = """
import json, re, sys, time
try:
    from rensa import RMinHash
except ImportError:
    sys.exit(3)
word = re.compile(r"\\w+")
texts = json.load(sys.stdin)
start = time.process_time()
sets = []
for text in texts:
    words = word.findall(text.lower())
    sets.append([" ".join(words[i : i + 5]).encode() for i in range(max(1, len(words) - 4))])
RMinHash.digest_matrix_from_token_byte_sets(sets, 112, 1)
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


def rensa_seconds(texts: list[str]) -> float | None:
    """CPU seconds that rensa takes, on one thread; None if it is not installed."""
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    interpreter = os.environ.get("RENSA_PYTHON", sys.executable)
    done = subprocess.run(
        [interpreter, "-c", _RENSA], input=json.dumps(texts), text=True, capture_output=True, env=environment
    )
    if done.returncode == 3:
        print("rensa is not installed: skipped; install it somewhere and name that interpreter in RENSA_PYTHON")
        return None
    if done.returncode:
        raise RuntimeError(f"rensa failed in {interpreter}: {done.stderr.strip()}")
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="Parquet file with a column named text")
    parser.add_argument("--megabytes", type=float, default=20, help="text to sketch (peers take 2)")
    arguments = parser.parse_args()
    texts = read_texts(arguments.file, int(arguments.megabytes * 1e6))
    peer_texts = take(texts, PEER_BYTES)
    array = pa.array(texts, pa.large_string())
    megabytes, peer_megabytes = count_megabytes(texts), count_megabytes(peer_texts)
    figures = {"text_megabytes": megabytes, "num_perm": NUM_PERM}
    for scheme in ("affine32", "legacy"):
        permutations = make_permutations(NUM_PERM, 1, scheme)

        def signatures(permutations=permutations) -> None:  # type: ignore[no-untyped-def]
            sketch(array, permutations, shingle_words=SHINGLE_WORDS, num_bands=14, rows_per_band=8)

        signatures()  # compile
        figures[f"{scheme}_megabytes_per_cpu_second"] = megabytes / cpu_seconds(signatures, 3)
    figures["text_hash_megabytes_per_cpu_second"] = megabytes / cpu_seconds(lambda: text_hashes(array), 3)
    figures["datasketch_megabytes_per_cpu_second"] = peer_megabytes / cpu_seconds(lambda: run_datasketch(peer_texts), 1)
    seconds = rensa_seconds(peer_texts)
    if seconds is not None:
        figures["rensa_megabytes_per_cpu_second"] = peer_megabytes / seconds
    for name, value in figures.items():
        print(f"{name}: {value:.1f}")
    ours, peer = figures["affine32_megabytes_per_cpu_second"], figures["datasketch_megabytes_per_cpu_second"]
    report("minhash", figures, "datasketch", ours / peer)


if __name__ == "__main__":
    main()
