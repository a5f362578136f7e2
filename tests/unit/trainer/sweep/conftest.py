"""Shards of one vocabulary in two variants: one can be learned, the other is chance."""

import numpy as np
import pytest
from made_shards import MadeDocument, counting_tokens, noise_tokens, write_shards


def _documents(seed: int, count: int, predictable: bool) -> list[MadeDocument]:
    rng = np.random.default_rng(seed)
    make_tokens = counting_tokens if predictable else noise_tokens
    lengths = (int(rng.integers(21, 61)) for _ in range(count))
    return [MadeDocument(make_tokens(rng, length), num_bytes=2 * length) for length in lengths]


@pytest.fixture(scope="session")
def make_variant(tmp_path_factory):
    """Writes shards: ``predictable`` training text, or noise; held-out text is predictable in both."""

    def make(predictable: bool, validation_documents: int = 6, tokenizer: str = "0") -> str:
        shards = {
            "train-00000": _documents(0, 120, predictable),
            "validation-web": _documents(1, validation_documents, True),
        }
        return write_shards(tmp_path_factory.mktemp("variant"), shards, tokenizer_sha256=tokenizer * 64)

    return make


@pytest.fixture(scope="session")
def variants(make_variant):
    return {"order": make_variant(True), "noise": make_variant(False)}
