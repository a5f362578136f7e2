"""A tiny language to train on: a Markov chain over 61 ids."""

from collections.abc import Callable

import numpy as np
import pytest
from made_shards import MadeDocument, markov_tokens, write_shards

BYTES_PER_TOKEN = 3


@pytest.fixture(scope="session")
def make_shards(tmp_path_factory) -> Callable[..., str]:
    """Writes a shard folder of Markov documents and returns its path."""

    def make(lengths: tuple[tuple[int, ...], ...], validation_lengths: tuple[int, ...] = (90, 40, 2, 200)) -> str:
        rng = np.random.default_rng(0)

        def documents(wanted: tuple[int, ...], langs: tuple[str, ...]) -> list[MadeDocument]:
            return [
                MadeDocument(markov_tokens(rng, length), BYTES_PER_TOKEN * (length - 1), langs[number % len(langs)])
                for number, length in enumerate(wanted)
            ]

        shards = {f"train-{number:05d}": documents(wanted, ("eng_Latn",)) for number, wanted in enumerate(lengths)}
        for domain in ("docs", "web"):
            shards[f"validation-{domain}"] = documents(validation_lengths, ("eng_Latn", "lit_Latn"))
        return write_shards(tmp_path_factory.mktemp("shards"), shards, seed=3)

    return make


@pytest.fixture(scope="session")
def shards(make_shards) -> str:
    """About 20,000 training tokens in two shards."""
    rng = np.random.default_rng(1)
    return make_shards(tuple(tuple(int(n) for n in rng.integers(5, 150, 130)) for _ in range(2)))
