"""The row stage: config, schema, nulls; and that signatures catch pairs as often as the LSH curve says."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest

from pipeline.config import parse
from pipeline.errors import ConfigError
from pipeline.kernels.shingles import Shingling
from pipeline.lsh_banding import Banding
from pipeline.stage import fuse
from stages.minhash_signatures import MINHASH_SCHEMA, MinHashConfig, make_stage


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"num_perm": 128, "num_bands": 9},
            "num_perm=128 is not divisible by num_bands=9; try 8 or 16 (web.toml)",
        ),
        ({"num_perm": 100}, "num_perm=100 is not divisible by num_bands=14; try 10 or 20 (web.toml)"),
        (
            {"threshold": 0.8, "num_bands": 14},
            "threshold=0.8 and num_bands=14 both choose the bands; remove one of them (web.toml)",
        ),
        (
            {"preset": "fineweb", "num_bands": 7},
            "preset='fineweb' settles permutations and bands, and so does num_bands=7; expected one of the two",
        ),
        ({"preset": "redpajama"}, "expected 'fineweb', 'refinedweb', 'dclm', 'slimpajama' or 'bigcode'"),
        ({"recall": 0.9}, "recall=0.9 without threshold; expected the similarity at which"),
        (
            {"threshold": 0.1, "recall": 0.99, "num_perm": 16},
            "recall=0.99 at threshold=0.1 takes at least 44 permutations; num_perm=16; raise num_perm to 44 or more",
        ),
        (
            {"shingle_words": 5, "shingle_chars": 13},
            "shingle_words=5 and shingle_chars=13 both say what a shingle is; remove one of them (web.toml)",
        ),
        ({"threshold": 1.5}, "threshold = 1.5 (web.toml); expected less than 1; change the value"),
        ({"num_perms": 64}, "unknown key 'num_perms' (web.toml); expected one of"),
    ],
)
def test_impossible_configs_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse(values, MinHashConfig, where="web.toml")
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("values", "banding"),
    [
        ({}, (14, 8)),
        ({"num_perm": 9000 // 20, "num_bands": 30}, (30, 15)),
        ({"num_perm": 128, "threshold": 0.5}, (25, 5)),  # what datasketch.MinHashLSH(0.5, 128) takes
        ({"threshold": 0.8, "recall": 0.95}, (15, 7)),
        ({"preset": "dclm"}, (93, 15)),
        ({"preset": "slimpajama"}, (9, 13)),
    ],
)
def test_banding(values: dict[str, object], banding: tuple[int, int]) -> None:
    config = MinHashConfig.model_validate(values)
    assert config.banding() == Banding(*banding)
    assert MinHashConfig.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("values", "shingling", "num_perm"),
    [
        ({}, Shingling(5, "words"), 112),
        ({"shingle_words": 3}, Shingling(3, "words"), 112),
        ({"shingle_chars": 9}, Shingling(9, "characters"), 112),
        ({"preset": "slimpajama"}, Shingling(13, "characters"), 128),
        ({"preset": "slimpajama", "shingle_words": 5}, Shingling(5, "words"), 128),
        ({"preset": "refinedweb", "shingle_hash": "sha1"}, Shingling(5, "words", "sha1"), 9000),
        ({"num_perm": 64, "num_bands": 8}, Shingling(5, "words"), 64),
    ],
)
def test_shingles_and_permutations(values: dict[str, object], shingling: Shingling, num_perm: int) -> None:
    config = MinHashConfig.model_validate(values)
    assert (config.shingling(), config.permutations) == (shingling, num_perm)
    row = make_stage(config).apply(pa.record_batch({"text": ["one two three four five six"]}))
    assert len(row.column("signature")[0].as_py()) == 4 * num_perm
    assert len(row.column("bands")[0].as_py()) == config.banding().num_bands


@pytest.mark.parametrize("values", [{}, {"shingle_chars": 13}, {"shingle_words": 5, "shingle_hash": "sha1"}])
def test_texts_shorter_than_a_shingle_are_alike_only_if_they_are_equal(values: dict[str, object]) -> None:
    texts = ["Heron.", "heron", "pond", "the pond", "pond the", "", "?", None]
    bands = make_stage(MinHashConfig.model_validate(values)).apply(pa.record_batch({"text": texts})).column("bands")
    found = [None if row is None else tuple(row) for row in bands.to_pylist()]
    assert found[0] == found[1]  # the same word
    assert found[5:] == [None, None, None]  # no word: a candidate for nothing, so never a copy
    shared = [set(left) & set(right) for left, right in itertools.combinations(found[1:5], 2) if left and right]
    assert shared == [set()] * 6


def test_stage_adds_its_columns_and_passes_the_rest_on() -> None:
    batch = pa.record_batch(
        {"doc_id": ["a", "b", "c", "d"], "text": ["Some words of text.", None, "  ", "some  words of\ntext."]}
    )
    result = fuse([make_stage(MinHashConfig(num_perm=8, num_bands=4))])(batch)
    assert result.schema.names == ["doc_id", "text", *MINHASH_SCHEMA.names]
    signature, bands, text_hash = (result.column(name).to_pylist() for name in MINHASH_SCHEMA.names)
    assert [row is None for row in signature] == [False, True, True, False]
    assert [row is None for row in bands] == [False, True, True, False]
    assert [row is None for row in text_hash] == [False, True, False, False]
    assert len(signature[0]) == 4 * 8
    assert len(bands[0]) == 4
    assert signature[0] == signature[3]
    assert text_hash[0] != text_hash[3]  # differs in case
    empty = fuse([make_stage(MinHashConfig())])(batch.slice(0, 0))
    assert empty.num_rows == 0


def test_pairs_are_caught_as_often_as_the_bands_promise() -> None:
    generator = random.Random(11)
    num_pairs = 400
    stage = make_stage(MinHashConfig(shingle_words=1))
    for similarity in (0.5, 0.7, 0.8, 0.9):
        shared_words = round(200 * 2 * similarity / (1 + similarity))  # of 200 in each text
        jaccard = shared_words / (400 - shared_words)
        texts = []
        for _ in range(num_pairs):
            words = [f"w{generator.getrandbits(60)}" for _ in range(400 - shared_words)]
            texts += [" ".join(words[:200]), " ".join(words[:shared_words] + words[200:])]
        bands = np.array(stage.apply(pa.record_batch({"text": texts})).column("bands").to_pylist())
        caught = (bands[0::2] == bands[1::2]).any(axis=1).mean()
        expected = 1 - (1 - jaccard**8) ** 14
        assert abs(caught - expected) <= 4 * np.sqrt(expected * (1 - expected) / num_pairs)
