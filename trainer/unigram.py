"""The unigram model: what a language model must beat to have learned anything.

Every token is predicted by its frequency in the train shards, add-one smoothed (Laplace):
p(t) = (count(t) + 1) / (T + V). It knows nothing of context, so its bits per byte measure the tokenizer and the
skew of its ids alone.
"""

from __future__ import annotations

import numpy as np

from pipeline.token_shard import ShardManifest
from trainer.data import open_shard

_CHUNK_TOKENS = 1 << 22


def unigram_nats(folder: str, manifest: ShardManifest) -> np.ndarray:
    """Minus the log probability of each token id, in nats.

    Args:
        folder: the run's ``shards/``; its train shards are counted, in chunks of 4 million tokens.
        manifest: as ``trainer.data.open_shards`` gives it.

    Returns:
        Shape (vocab_size,), float64.
    """
    counts = np.ones(manifest.vocab_size, dtype=np.int64)
    for entry in manifest.of_split("train"):
        tokens = open_shard(folder, entry.name, manifest).tokens
        for start in range(0, len(tokens), _CHUNK_TOKENS):
            counts += np.bincount(tokens[start : start + _CHUNK_TOKENS], minlength=manifest.vocab_size)
    return -np.log(counts / counts.sum())
