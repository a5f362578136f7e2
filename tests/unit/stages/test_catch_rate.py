"""Of pairs of each similarity, as many share a band as the LSH curve says: 3,000 pages with planted near-copies."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from planted_pages import PlantedPages, make_pages

from pipeline.kernels.shingle_sets import jaccard, shingle_sets
from stages.minhash_signatures import MinHashConfig, make_stage

NUM_PAGES = 3000
STEP = 0.05


@pytest.fixture(scope="module")
def pages() -> PlantedPages:
    return make_pages(NUM_PAGES, seed=20)


def caught_pairs(pages: PlantedPages, config: MinHashConfig) -> np.ndarray:
    """For each of ``pages.pairs`` whether the two share a band."""
    bands = make_stage(config).apply(pa.record_batch({"text": pages.texts})).column("bands")
    rows = bands.flatten().to_numpy().reshape(len(pages.texts), -1)
    left, right, _ = (np.array(column) for column in zip(*pages.pairs, strict=True))
    return (rows[left.astype(int)] == rows[right.astype(int)]).any(axis=1)


def similarities(pages: PlantedPages, config: MinHashConfig) -> np.ndarray:
    sets = shingle_sets(pa.array(pages.texts), config.shingling())
    left, right, _ = (pa.array(column) for column in zip(*pages.pairs, strict=True))
    return jaccard(sets.take(left), sets.take(right))


def test_exact_similarity_is_that_of_the_sets_that_pages_were_planted_with(pages: PlantedPages) -> None:
    assert len(pages.pairs) > 3000
    assert similarities(pages, MinHashConfig()).tolist() == [similarity for *_, similarity in pages.pairs]


@pytest.mark.parametrize(
    "values",
    [
        {"preset": "fineweb"},
        {"preset": "dclm"},
        {"preset": "bigcode"},
        {"preset": "slimpajama"},
        {"threshold": 0.8, "recall": 0.95},
        {"num_perm": 64, "num_bands": 16, "seed": 5, "scheme": "legacy"},
        {"preset": "refinedweb"},
    ],
    ids=str,
)
def test_the_catch_rate_lies_on_the_curve(pages: PlantedPages, values: dict[str, object]) -> None:
    """Within four standard errors of the binomial in each bucket; a bucket's expectation is that of its pairs."""
    config = MinHashConfig.model_validate(values)
    found = caught_pairs(pages, config)
    banding = config.banding()
    buckets = defaultdict(list)
    for similarity, caught in zip(similarities(pages, config), found, strict=True):
        buckets[math.floor(similarity / STEP)].append((banding.catch_probability(similarity), caught))
    assert len(buckets) >= 10
    for bucket, pairs in buckets.items():
        chances, hits = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
        error = 4 * math.sqrt((chances * (1 - chances)).sum()) + 1  # one pair more or less where nothing varies
        assert abs(hits.sum() - chances.sum()) <= error, (bucket * STEP, hits.sum(), chances.sum(), len(pairs))
    assert found[similarities(pages, config) == 1.0].all()


def test_no_two_strangers_become_a_pair_of_copies(pages: PlantedPages) -> None:
    """Pages without a common shingle share no band at all: 64 bits a band do not collide."""
    bands = make_stage(MinHashConfig()).apply(pa.record_batch({"text": pages.texts})).column("bands").to_pylist()
    owners = defaultdict(set)
    for page, row in enumerate(bands):
        for band in row:
            owners[band].add(page)
    related = {(left, right) for left, right, _ in pages.pairs}
    met = {(a, b) for members in owners.values() for a in members for b in members if a < b}
    assert met <= related
    assert len(met) > 1000
