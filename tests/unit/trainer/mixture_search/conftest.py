"""Shards of three languages: one is chance, one is known after a few steps, one takes the whole training."""

import numpy as np
import pytest
from made_shards import MadeDocument, counting_tokens, markov_tokens, noise_tokens, write_shards

LENGTH = 64
LANGUAGES = {"easy": (counting_tokens, 2), "hard": (markov_tokens, 3), "noise": (noise_tokens, 1)}
"""How the tokens of each are made, and bytes per token."""


@pytest.fixture(scope="session")
def languages(tmp_path_factory) -> str:
    """A shard folder; every language has the same number of tokens."""
    rng = np.random.default_rng(0)
    shards = {
        name: [
            MadeDocument(make_tokens(rng, LENGTH), bytes_per_token * LENGTH, lang)
            for _ in range(documents_each)
            for lang, (make_tokens, bytes_per_token) in LANGUAGES.items()
        ]
        for name, documents_each in (("train-00000", 120), ("validation-web", 8))
    }
    return write_shards(tmp_path_factory.mktemp("languages"), shards)
