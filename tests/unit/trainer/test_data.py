"""The token stream: every token once an epoch, any batch at once, damage named."""

import json

import numpy as np
import pytest

from pipeline.errors import ShardError
from pipeline.token_shard import ShardReader, load_manifest
from trainer.config import TrainConfig
from trainer.data import IGNORED_TARGET, TokenStream, open_shard, open_shards
from trainer.mixed_stream import Batches
from trainer.permutation import permute

CONTEXT = 16


@pytest.fixture
def folder(make_shards):
    """3 shards with 3 + 29, 4 and 17 + 2 tokens: sequences run over shard borders, and the last is not full."""
    return make_shards(((3, 29), (4,), (17, 2)))


def batches_of(folder, sequences_per_step, seed=5, manifest=None):
    config = TrainConfig(
        model={"context_tokens": CONTEXT}, tokens_per_step=CONTEXT * sequences_per_step, num_steps=40, seed=seed
    )
    return Batches(config, folder, manifest or open_shards(folder))


def stream_of(folder, seed=5) -> TokenStream:
    return batches_of(folder, 1, seed).sequences


def all_tokens(folder):
    names = [entry.name for entry in load_manifest(folder).of_split("train")]
    return np.concatenate([ShardReader(f"{folder}/{name}").tokens for name in names]).astype(np.int64)


def test_sequences_are_the_stream_cut_at_the_context(folder):
    """Put back in order, the targets of an epoch are the shards one after the other."""
    stream, tokens = stream_of(folder), all_tokens(folder)
    assert (stream.num_tokens, stream.num_sequences) == (55, 4)
    batch = batches_of(folder, 4).batch(0)
    inputs, targets = batch.inputs, batch.targets
    assert inputs.shape == targets.shape == (4, CONTEXT)
    order = np.argsort(stream.sequence_indices(np.arange(4)))
    flat = targets[order].ravel()
    assert flat[:55].tolist() == tokens.tolist()
    assert flat[55:].tolist() == [IGNORED_TARGET] * 9
    assert inputs[order].ravel()[:55].tolist() == [0, *tokens[:-1]], "each input is the token before its target"


@pytest.mark.parametrize("sequences_per_step", [1, 3, 5])
def test_each_token_is_a_target_once_per_epoch(folder, sequences_per_step):
    """Steps need not divide epochs: the endless series of targets is cut at epochs and compared as multisets."""
    stream, tokens = stream_of(folder), all_tokens(folder)
    batches = batches_of(folder, sequences_per_step)
    steps = [batches.batch(step).targets for step in range(12)]
    series = np.concatenate(steps).reshape(-1, CONTEXT)
    num_epochs = len(series) // stream.num_sequences
    assert num_epochs >= 3
    for epoch in range(num_epochs):
        targets = series[epoch * stream.num_sequences :][: stream.num_sequences].ravel()
        assert sorted(targets[targets != IGNORED_TARGET]) == sorted(tokens)


def test_each_epoch_has_its_own_order(make_shards):
    folder = make_shards(((CONTEXT * 50,),))
    stream = stream_of(folder)
    epochs = stream.sequence_indices(np.arange(150)).reshape(3, 50).tolist()
    assert [sorted(epoch) for epoch in epochs] == [list(range(50))] * 3
    assert len({tuple(epoch) for epoch in [*epochs, range(50)]}) == 4
    assert stream_of(folder, seed=6).sequence_indices(np.arange(50)).tolist() != epochs[0]


def test_a_batch_does_not_depend_on_those_before(folder):
    batches, fresh = batches_of(folder, 3), batches_of(folder, 3)
    for step in range(6):
        batches.batch(step)
    assert np.array_equal(batches.batch(7).inputs, fresh.batch(7).inputs)


def test_several_processes_share_a_step(folder):
    batches = batches_of(folder, 5)
    parts = [batches.batch(2, slice(rank, None, 2)).inputs for rank in range(2)]
    assert [len(part) for part in parts] == [3, 2]
    whole = np.empty((5, CONTEXT), dtype=np.int64)
    whole[0::2], whole[1::2] = parts
    assert np.array_equal(whole, batches.batch(2).inputs)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 17, 64, 65, 1000])
def test_permute_is_a_bijection(size):
    places = permute(np.arange(size), size, key=2**64 - 3)
    assert sorted(places) == list(range(size))
    assert np.array_equal(permute(np.arange(size)[::-1], size, key=2**64 - 3), places[::-1])


def test_permute_spreads_positions_evenly():
    """The mean place of each of 8 positions over 4,000 keys is within 5 standard errors of the middle."""
    places = np.array([permute(np.arange(8), 100, key) for key in range(0, 4_000_000_000, 1_000_000)])
    standard_error = np.sqrt((100**2 - 1) / 12 / len(places))
    assert np.abs(places.mean(axis=0) - 49.5).max() < 5 * standard_error


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-2], r"train-00000.bin has sha256 .*; manifest.json expects"),
        (lambda data: b"\1" + data[1:], r"train-00000.bin has sha256 .*; manifest.json expects"),
    ],
)
def test_a_damaged_shard_is_an_error(make_shards, damage, message):
    folder = make_shards(((20,),))
    path = f"{folder}/train-00000.bin"
    with open(path, "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(damage(data))
    with pytest.raises(ShardError, match=message):
        open_shards(folder)


def test_a_vocabulary_too_large_for_the_token_type_is_an_error(make_shards):
    folder = make_shards(((20,),))
    path = f"{folder}/manifest.json"
    with open(path) as file:
        manifest = json.load(file)
    with open(path, "w") as file:
        json.dump({**manifest, "vocab_size": 100_000}, file)
    with pytest.raises(ShardError, match="says dtype uint16 for vocab_size=100000; expected int32, which"):
        open_shards(folder)


def test_no_training_tokens_is_an_error(make_shards):
    with pytest.raises(ShardError, match="names no training tokens"):
        open_shards(make_shards(()))


def test_a_manifest_of_other_counts_is_an_error(folder):
    manifest = load_manifest(folder)
    entry = manifest.shards[0].model_copy(update={"num_tokens": 31})
    changed = manifest.model_copy(update={"shards": (entry, *manifest.shards[1:])})
    with pytest.raises(ShardError, match="holds 32 tokens of uint16; its manifest says 31 of uint16"):
        open_shard(folder, "train-00000", changed)


def test_an_id_outside_the_vocabulary_is_an_error(folder):
    manifest = load_manifest(folder).model_copy(update={"vocab_size": 10})
    with pytest.raises(ShardError, match=r"token id \d+ in .*; its manifest says vocab_size=10"):
        batches_of(folder, 4, manifest=manifest).batch(0)
