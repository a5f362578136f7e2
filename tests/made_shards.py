"""Folders of token shards whose documents are made up, written by the code that writes a run's own.

For what is tested and measured about training: each kind of document says how much of it can be learned. The benchmark
of the trainer uses the writer too, on machines that have neither Spark nor pytest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schema import TOKENS
from pipeline.token_shard import dtype_for_vocab
from stages.write_token_shards import ShardSpec, assemble_manifest, build_shard

EOS = 0
VOCAB_SIZE = 61
"""Of the three kinds below: the end-of-text token and 60 others."""


@dataclass(frozen=True)
class MadeDocument:
    """One sequence of a shard.

    Args:
        tokens: ids, the end-of-text token last, shape (num_tokens,).
        num_bytes: UTF-8 bytes that its text is said to have.
        lang: ISO 639-3 and script, or any other name.
        doc_id: None: the shard's name and the document's number in it.
        domain: of a training document; those of a validation shard have the domain that it is named after.
        epoch: number of the copy.
    """

    tokens: np.ndarray
    num_bytes: int
    lang: str = "eng_Latn"
    doc_id: str | None = None
    domain: str = "web"
    epoch: int = 0


def markov_tokens(rng: np.random.Generator, num_tokens: int) -> np.ndarray:
    """Each id is followed by one of 3 of 60; all ids are equally frequent, so unigrams predict nothing."""
    state, tokens = int(rng.integers(VOCAB_SIZE - 1)), []
    for _ in range(num_tokens - 1):
        tokens.append(1 + state)
        state = (7 * state + int(rng.choice([1, 11, 23], p=[0.8, 0.1, 0.1]))) % (VOCAB_SIZE - 1)
    return np.array([*tokens, EOS])


def counting_tokens(rng: np.random.Generator, num_tokens: int) -> np.ndarray:
    """Each id is followed by the next: known after a few steps."""
    return np.append(1 + (int(rng.integers(VOCAB_SIZE - 1)) + np.arange(num_tokens - 1)) % (VOCAB_SIZE - 1), EOS)


def noise_tokens(rng: np.random.Generator, num_tokens: int) -> np.ndarray:
    """Chance."""
    return np.append(rng.integers(1, VOCAB_SIZE, num_tokens - 1), EOS)


def write_shards(
    folder: Path,
    shards: Mapping[str, Sequence[MadeDocument]],
    *,
    vocab_size: int = VOCAB_SIZE,
    seed: int = 0,
    tokenizer_sha256: str = "0" * 64,
) -> str:
    """Write shards with their document tables and manifest.

    Args:
        folder: where to; made if it is missing.
        shards: documents in their order, by the shard's name: ``train-<number>`` or ``validation-<domain>``.
        vocab_size: all ids are below it.
        seed: that the manifest names.
        tokenizer_sha256: that the manifest names; no tokenizer is written.

    Returns:
        ``folder``.
    """
    dtype = dtype_for_vocab(vocab_size)
    rows: list[dict[str, object]] = []
    specs = []
    for name, documents in shards.items():
        split, _, domain = name.partition("-")
        first_key = len(rows) + 1
        for number, document in enumerate(documents):
            rows.append(
                {
                    "doc_id": document.doc_id or f"{name}-{number}",
                    "lang": document.lang,
                    "domain": document.domain if split == "train" else domain,
                    "split": split,
                    "epoch": document.epoch,
                    "order_key": first_key + number,
                    "num_bytes": document.num_bytes,
                    "num_tokens": len(document.tokens),
                    "tokens": document.tokens.astype(dtype).tobytes(),
                }
            )
        specs.append(
            ShardSpec(
                name=name,
                split=split,
                domain=None if split == "train" else domain,
                first_key=first_key,
                last_key=len(rows),
                dtype=dtype.name,
            )
        )
    with tempfile.TemporaryDirectory() as scratch:
        tokens = f"{scratch}/tokens.parquet"
        pq.write_table(pa.Table.from_pylist(rows, TOKENS), tokens)
        entries = [build_shard([tokens], spec, str(folder)) for spec in specs]
    manifest = assemble_manifest(
        entries,
        tokenizer_sha256=tokenizer_sha256,
        vocab_size=vocab_size,
        dtype=dtype.name,
        eos_token_id=EOS,
        seed=seed,
        run_fingerprint="f" * 32,
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json(indent=2))
    return str(folder)
