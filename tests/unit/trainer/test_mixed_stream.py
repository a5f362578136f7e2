"""Weights and phases: exact shares, every token of a group once an epoch, any batch at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.token_shard import ShardReader, read_docs
from trainer.config import TrainConfig
from trainer.data import IGNORED_TARGET, open_shards
from trainer.mixed_stream import Batches, apportion

CONTEXT = 8
LENGTHS = ((40, 17, 9), (64, 3), (90,))


@pytest.fixture
def folder(make_shards):
    return make_shards(LENGTHS)


def batches_of(folder, data, *, num_steps=50, sequences_per_step=4) -> Batches:
    config = TrainConfig(
        model={"context_tokens": CONTEXT},
        tokens_per_step=CONTEXT * sequences_per_step,
        num_steps=num_steps,
        optimizer={"warmup_steps": 0},
        seed=3,
        data=data,
    )
    return Batches(config, folder, open_shards(folder))


def tokens_of(folder, shard):
    return np.asarray(ShardReader(f"{folder}/{shard}").tokens, dtype=np.int64)


def series(batches, steps) -> np.ndarray:
    return np.concatenate([batches.batch(step).targets for step in steps])


def test_phases_have_their_shares_to_the_sequence(folder):
    first = {"train-00000": 1, "train-00001": 2}
    phases = [{"fraction": 0.8, "weights": first}, {"fraction": 0.2, "weights": {"train-00002": 5}}]
    batches = batches_of(folder, {"by": "shard", "phase": phases})
    groups, _ = batches.sequences.places(np.arange(200))
    assert np.bincount(groups[:160], minlength=3).tolist() == [53, 107, 0]  # 160 x 1/3 and 2/3: 53.3 and 106.7
    assert np.bincount(groups[160:], minlength=3).tolist() == [0, 0, 40]
    assert len(set(groups[:12].tolist())) == 2, "the groups take turns"
    epochs = batches.sequences.epochs(200)
    assert epochs == {"train-00000": 53 / 9, "train-00001": 107 / 9, "train-00002": 40 / 12}


def test_a_group_is_gone_through_token_by_token(folder):
    batches = batches_of(folder, {"by": "shard", "weights": {"train-00000": 1, "train-00002": 1}})
    groups, within = batches.sequences.places(np.arange(200))
    for number, shard in enumerate(("train-00000", "train-00002")):
        mine = groups == number
        assert sorted(within[mine].tolist()) == list(range(100))
        num_sequences = -(-len(tokens_of(folder, shard)) // CONTEXT)
        of_epoch = np.flatnonzero(mine)[np.argsort(within[mine])][:num_sequences]
        targets = series(batches, range(50))[of_epoch].ravel()
        assert sorted(targets[targets != IGNORED_TARGET]) == sorted(tokens_of(folder, shard))


def test_documents_of_a_language_are_one_stream(make_shards):
    """Validation shards of the fixture have two languages; here the training documents are all of one."""
    folder = make_shards(LENGTHS)
    alone = batches_of(folder, {"weights": {"eng_Latn": 3.5}}, sequences_per_step=28, num_steps=1)
    tokens = np.concatenate([tokens_of(folder, f"train-0000{i}") for i in range(3)])
    assert set(read_docs(f"{folder}/train-00000")["lang"].to_pylist()) == {"eng_Latn"}
    targets = alone.batch(0).targets.ravel()
    assert sorted(targets[targets != IGNORED_TARGET]) == sorted(tokens)


def test_a_run_that_skipped_batches_goes_on_after_the_end(folder):
    batches = batches_of(folder, {"by": "shard", "weights": {"train-00000": 1, "train-00001": 1}}, num_steps=4)
    groups, within = batches.sequences.places(np.arange(64))
    assert np.bincount(groups).tolist() == [32, 32]
    assert sorted(within[groups == 1].tolist()) == list(range(32))


def test_an_unknown_group_is_an_error(folder):
    with pytest.raises(ConfigError, match=r"weighs lang 'deu_Latn', of which .* they have eng_Latn; correct"):
        batches_of(folder, {"weights": {"deu_Latn": 1}})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "none of weights, phase and doremi given"),
        ({"weights": {"a": 1}, "phase": [{"fraction": 1, "weights": {"a": 1}}]}, "weights and phase given"),
        ({"phase": [{"fraction": 0.5, "weights": {"a": 1}}]}, "add up to 0.5; expected 1"),
        ({"weights": {"a": 0}}, "weights of phase 0 add up to 0"),
    ],
)
def test_impossible_mixtures_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(num_steps=100, data=data)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=9).filter(lambda w: sum(w) > 0.1), st.integers(0, 10**6))
def test_apportioning_loses_nothing_and_is_within_one_seat(weights, seats):
    counts = apportion(np.array(weights), seats)
    quotas = np.array(weights) / sum(weights) * seats
    assert counts.sum() == seats and np.abs(counts - quotas).max() < 1 + 1e-6
