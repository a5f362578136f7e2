"""Each objective's batch, worked out by hand or undone to the text; what a prefix sees; tokens that are selected."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from trainer import objectives
from trainer.batch import Batch
from trainer.config import TrainConfig
from trainer.data import IGNORED_TARGET as NO
from trainer.data import open_shards
from trainer.model import Decoder
from trainer.model_config import ModelConfig
from trainer.objective_config import SPECIAL_IDS, ObjectiveConfig
from trainer.objectives import UL2_DENOISERS, Objective, noise_spans
from trainer.selection import Selection
from trainer.train import train

V, EOS = 50, 0
MASK, PREFIX, SUFFIX, MIDDLE, MODE_R, MODE_S, MODE_X = range(V, V + len(SPECIAL_IDS))
SENTINEL = V + len(SPECIAL_IDS)
TEXT = [11, 12, 13, 14, 15, 16, 17, EOS]


def batch_of(name: str, windows, *, position: int = 0, seed: int = 0, **numbers) -> Batch:
    objective = Objective(ObjectiveConfig(name=name, **numbers), V, EOS, seed)
    windows = np.array(windows)
    return objective.batch(windows, np.arange(position, position + len(windows)))


def test_causal():
    batch = batch_of("causal", [[9, 1, 2, 3], [NO, 4, 5, NO]])
    assert batch.inputs.tolist() == [[9, 1, 2], [EOS, 4, 5]]
    assert batch.targets.tolist() == [[1, 2, 3], [4, 5, NO]]
    assert batch.prefix_lengths is None


def test_prefix(monkeypatch):
    monkeypatch.setattr(objectives, "uniform_draws", lambda key, count: np.full(count, 0.4))
    batch = batch_of("prefix", [[9, *TEXT]])
    assert batch.inputs.tolist() == [[9, *TEXT[:-1]]]
    assert batch.targets.tolist() == [[NO, NO, NO, 14, 15, 16, 17, EOS]], "0.4 of 8 tokens: 3 are given"
    assert batch.prefix_lengths.tolist() == [4], "9 and the three"


def test_masked(monkeypatch):
    draws = np.array([[0.0, 0.9, 0.14, 0.15, 0.1], [0.1, 0.1, 0.85, 0.1, 0.95], [0.5] * 5])
    monkeypatch.setattr(objectives, "uniform_draws", lambda key, count: draws.ravel()[:count])
    batch = batch_of("masked", [[9, 11, 12, 13, 14, 15, NO]])
    assert batch.inputs.tolist() == [[MASK, 12, 25, 14, 15, EOS]]
    assert batch.targets.tolist() == [[11, NO, 13, NO, 15, NO]]
    assert batch.prefix_lengths.tolist() == [6]


def test_span_corruption(monkeypatch):
    hidden = np.array([False, True, True, False, False, True])
    monkeypatch.setattr(objectives, "noise_spans", lambda num_tokens, *rest: hidden[:num_tokens])
    monkeypatch.setattr(objectives, "num_spans", lambda *numbers: (3, 2))
    batch = batch_of("span_corruption", [[9, *TEXT, *TEXT[:3]]])  # 11 positions: 6 tokens, 2 x 2 sentinels, the last
    told = [11, SENTINEL, 14, 15, SENTINEL + 1, SENTINEL, 12, 13, SENTINEL + 1, 16, SENTINEL + 2]
    assert batch.inputs.tolist() == [[9, *told[:-1]]]
    assert batch.targets.tolist() == [[NO] * 5 + told[5:]]
    assert batch.prefix_lengths.tolist() == [6]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (0.9, [PREFIX, 11, 12, SUFFIX, 16, 17, MIDDLE, 13, 14, 15, EOS]),
        (0.1, [PREFIX, SUFFIX, 16, 17, MIDDLE, 11, 12, 13, 14, 15, EOS]),
    ],
)
def test_fill_in_the_middle(monkeypatch, order, expected):
    draws = [np.array([0.4, order, 0.7, 0.25]), np.array([0.6, 0, 0, 0])]  # cuts at 5 and 2 of 7; the second stays
    monkeypatch.setattr(objectives, "uniform_draws", lambda key, count: draws.pop(0))
    batch = batch_of("fill_in_the_middle", [[9, *TEXT, 21, 22, 23, EOS]])
    told = [*expected, 21]  # 12 positions: three new ids push three tokens out
    assert batch.inputs.tolist() == [[9, *told[:-1]]]
    assert batch.targets.tolist() == [told]
    assert batch.prefix_lengths is None


def test_ul2_announces_its_denoiser():
    windows = np.tile(np.arange(201) % V, (200, 1))
    batch = batch_of("ul2", windows)
    modes = [MODE_R, MODE_R, MODE_S, MODE_X, MODE_X, MODE_X, MODE_X]
    counts = np.bincount(batch.inputs[:, 0] - V, minlength=7)
    assert set(batch.inputs[:, 0]) == set(modes)
    for mode in (MODE_R, MODE_S, MODE_X):
        expected = modes.count(mode) / len(modes)
        assert counts[mode - V] / 200 == pytest.approx(expected, abs=4 * math.sqrt(expected / 200))
    of_s = batch.inputs[:, 0] == MODE_S
    assert (batch.prefix_lengths[of_s] == 151).all()
    assert batch.targets[of_s][:, 150:].tolist() == [windows[0, 151:].tolist()] * int(of_s.sum())
    assert len(UL2_DENOISERS) == 7


@given(st.integers(2, 300), st.floats(1, 64), st.floats(0.05, 0.9), st.integers(0, 2**63))
def test_spans_have_their_share(num_tokens, mean_span, density, key):
    hidden = noise_spans(num_tokens, mean_span, density, key)
    assert 1 <= hidden.sum() == min(max(round(num_tokens * density), 1), num_tokens - 1)
    assert not hidden[0], "a gap comes first"
    num_spans = int((hidden & ~np.concatenate([[False], hidden[:-1]])).sum())
    assert num_spans <= max(1, round(hidden.sum() / mean_span))


@given(st.integers(5, 120), st.floats(1, 20), st.floats(0.05, 0.9), st.integers(0, 1000))
def test_corrupted_text_can_be_put_together_again(num_tokens, mean_span, density, position):
    text = np.arange(num_tokens) % (V - 1) + 1
    batch = batch_of(
        "span_corruption", [[9, *text]], position=position, mean_span_tokens=mean_span, noise_density=density
    )
    given_ids, asked = batch.inputs[0][1 : batch.prefix_lengths[0]], batch.targets[0][batch.targets[0] != NO]
    spans: dict[int, list[int]] = {}
    for token in asked.tolist():
        if token >= SENTINEL:
            spans[token] = []
            latest = token
        else:
            spans[latest].append(token)
    rebuilt = [t for token in given_ids.tolist() for t in (spans[token] if token >= SENTINEL else [token])]
    assert rebuilt == text[: len(rebuilt)].tolist()
    assert len(rebuilt) >= min(2, num_tokens) and spans[max(spans)] == []


def test_a_batch_follows_from_seed_and_place():
    windows = np.tile(np.arange(65) % V, (4, 1))
    whole = batch_of("ul2", windows)
    last = batch_of("ul2", windows[2:], position=2)
    assert np.array_equal(whole.inputs[2:], last.inputs) and np.array_equal(whole.targets[2:], last.targets)
    assert not np.array_equal(whole.inputs, batch_of("ul2", windows, seed=1).inputs)


@pytest.mark.parametrize("position", ["rope", "alibi"])
@pytest.mark.parametrize("backend", ["sdpa", "flex"])
def test_what_a_prefix_sees(position, backend):
    """A position of the prefix changes with each other of it; one behind it changes nothing before."""
    shape = {"num_layers": 1, "hidden_size": 32, "num_heads": 2, "context_tokens": 8}
    model = Decoder(ModelConfig(**shape, position=position, attention_backend=backend), V, seed=1)
    torch.nn.init.normal_(model.unembedding.weight)
    tokens, lengths = torch.arange(8)[None] + 1, torch.tensor([4])
    with torch.no_grad():
        before = model(tokens, None, lengths)
        for place in range(8):
            changed = tokens.clone()
            changed[0, place] = 30
            differs = (model(changed, None, lengths) - before).abs().amax(dim=(0, 2)) > 1e-6
            seen_by = [place <= other or (place < 4 and other < 4) for other in range(8)]
            assert differs.tolist() == seen_by


SHAPE = {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "context_tokens": 32}


def small_config(**changes) -> TrainConfig:
    tables = {"model": SHAPE, "optimizer": {"warmup_steps": 3, "learning_rate": 0.01}, "tokens_per_step": 512}
    return TrainConfig(**tables, num_steps=30, device="cpu", num_threads=1, **changes)


@pytest.mark.parametrize("name", ["prefix", "masked", "span_corruption", "fill_in_the_middle", "ul2"])
def test_a_model_learns_by_it(name, shards, tmp_path):
    result = train(small_config(objective={"name": name}), shards, str(tmp_path))
    special = ObjectiveConfig(name=name).num_special_ids
    assert result.first_loss == pytest.approx(math.log(61 + special), abs=0.1), "it begins by knowing nothing"
    assert result.final_loss < result.first_loss - 0.25


def test_selection_keeps_the_largest_excess():
    model = Decoder(ModelConfig(**SHAPE), 61, seed=0)
    inputs = torch.ones(1, 6, dtype=torch.int64)
    targets = torch.tensor([[5, 6, 7, 8, NO, 9]])
    reference = model.negative_log_likelihood(inputs, targets)
    losses = reference + torch.tensor([[0.1, 0.5, -0.3, 0.4, 9.0, 0.2]])
    weights = Selection(model, 0.6).weights(inputs, targets, losses, small_config())
    assert weights.tolist() == [[0, 1, 0, 1, 0, 1]], "3 of 5 targets"


def test_selective_training(shards, tmp_path):
    train(small_config(), shards, str(tmp_path / "reference"))
    selective = {"reference": str(tmp_path / "reference"), "keep_fraction": 0.5}
    result = train(small_config(objective={"selective": selective}), shards, str(tmp_path / "selective"))
    assert result.final_loss < result.first_loss
    short = {**SHAPE, "context_tokens": 64}
    with pytest.raises(ConfigError, match="reads 32 tokens, context_tokens=64; expected at least as many"):
        train(
            small_config(objective={"selective": selective}).model_copy(update={"model": ModelConfig(**short)}),
            shards,
            str(tmp_path / "longer"),
        )
    manifest = open_shards(shards)
    assert manifest.tokenizer_sha256
    with pytest.raises(ValueError, match="expected 'causal', whose losses the reference has too"):
        small_config(objective={"name": "prefix", "selective": selective})
