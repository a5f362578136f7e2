"""Hashes that stand in for randomness: fixed values, unambiguous parts, uniform draws."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.hashing import document_id, fingerprint, hash_key, hash_keys, uniform


def test_ids_are_the_same_on_every_run():
    assert document_id("site", "a.warc.gz", 0) == "14f8314b03950e07c7f5e7fd0232b95e"
    assert document_id("site", "a.warc.gz", 12) == document_id("site", "a.warc.gz", "12")


def test_parts_cannot_run_into_each_other():
    assert document_id("s", "ab", "c") != document_id("s", "a", "bc") != document_id("sa", "b", "c")


def test_purposes_epochs_and_seeds_are_independent():
    keys = {hash_key(seed, purpose, "x", epoch) for seed in (0, 1) for purpose in ("a", "b") for epoch in (0, 1)}
    assert len(keys) == 8


def test_draws_are_uniform():
    draws = uniform(hash_keys(3, "test", (str(i) for i in range(20_000))))
    assert ((draws >= 0) & (draws < 1)).all()
    counts, _ = np.histogram(draws, bins=20, range=(0, 1))
    assert abs(counts - 1000).max() < 150  # 4.9 standard deviations


def test_the_largest_key_maps_below_one():
    assert uniform(np.array([2**64 - 1, 0], dtype=np.uint64)).tolist() == [1 - 2**-53, 0.0]


def test_a_fingerprint_ignores_the_order_of_keys_and_nothing_else():
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": [1, 2]}) != fingerprint({"a": [2, 1]}) != fingerprint({"a": ["2", 1]})
    with pytest.raises(ValueError, match="Out of range float"):
        fingerprint({"a": float("nan")})
