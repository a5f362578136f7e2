"""The row stage: config, schema, nulls; and that signatures catch pairs as often as the LSH curve says."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from pipeline.config import parse
from pipeline.errors import ConfigError
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
    ],
)
def test_banding(values: dict[str, object], banding: tuple[int, int]) -> None:
    config = MinHashConfig.model_validate(values)
    assert config.banding() == banding
    assert MinHashConfig.model_validate(config.model_dump()) == config


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
