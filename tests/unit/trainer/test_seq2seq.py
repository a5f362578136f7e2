"""What encoder and decoder get of a window, worked out by hand or undone to the text; how texts are continued."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer import objectives, seq2seq
from trainer.batch import NO_DOCUMENT, Batch
from trainer.data import IGNORED_TARGET as NO
from trainer.device import compute_threads
from trainer.model import EncoderDecoder
from trainer.model_config import ModelConfig
from trainer.model_inputs import model_inputs
from trainer.objective_config import SPECIAL_IDS, ObjectiveConfig
from trainer.seq2seq import Seq2SeqObjective, continuation_form, sequence_lengths

V, EOS = 50, 0
MODE_R, MODE_S, MODE_X = range(V + 4, V + 7)
SENTINEL = V + len(SPECIAL_IDS)
TEXT = [11, 12, 13, 14, 15, 16, 17, EOS]


@pytest.fixture(autouse=True)
def one_thread():
    with compute_threads(1):
        yield


def batch_of(name: str, windows, *, position: int = 0, masking: bool = False, **numbers) -> Batch:
    objective = Seq2SeqObjective(ObjectiveConfig(name=name, **numbers), V, EOS, 0, document_masking=masking)
    return objective.batch(np.array(windows), np.arange(position, position + len(windows)))


def test_prefix(monkeypatch):
    monkeypatch.setattr(seq2seq, "uniform_draws", lambda key, count: np.full(count, 0.4))
    batch = batch_of("prefix", [[9, *TEXT], [9, 21, 22, 23, *[NO] * 5]])
    assert batch.source.tokens.tolist() == [[EOS, 11, 12, 13, *[EOS] * 4], [EOS, 21, *[EOS] * 6]]
    assert batch.source.documents.tolist() == [[0] * 4 + [NO_DOCUMENT] * 4, [0] * 2 + [NO_DOCUMENT] * 6]
    assert batch.inputs.tolist() == [[EOS, 14, 15, 16, 17, *[EOS] * 3], [EOS, 22, *[EOS] * 6]]
    assert batch.targets.tolist() == [[14, 15, 16, 17, EOS, *[NO] * 3], [22, 23, *[NO] * 6]]
    assert batch.prefix_lengths is None and not batch.source.target_documents.any()


def test_span_corruption(monkeypatch):
    """2 spans with 4 tokens of 11: 9 ids for the encoder, 7 for the decoder, and no place is left over."""
    hidden = np.array([False, True, True, True, False, False, False, True, False, False, False])
    monkeypatch.setattr(objectives, "noise_spans", lambda *numbers: hidden)
    batch = batch_of("span_corruption", [[9, *TEXT, 21, 22, 23]], noise_density=0.4, mean_span_tokens=2)
    assert batch.source.tokens.tolist() == [[11, SENTINEL, 15, 16, 17, SENTINEL + 1, 21, 22, 23]]
    told = [SENTINEL, 12, 13, 14, SENTINEL + 1, EOS, SENTINEL + 2]
    assert batch.targets.tolist() == [told]
    assert batch.inputs.tolist() == [[EOS, *told[:-1]]]


def test_documents_are_examples_of_their_own(monkeypatch):
    """Each with its own spans, sentinels and beginning; the third does not fit any more and is cut."""
    monkeypatch.setattr(
        objectives, "noise_spans", lambda num_tokens, *rest: np.arange(num_tokens) == min(1, num_tokens - 1)
    )
    window = [9, 11, 12, 13, EOS, 21, 22, 23, EOS, *range(31, 43)]
    numbers = {"noise_density": 0.3, "mean_span_tokens": 3.0}
    assert sequence_lengths(ObjectiveConfig(name="span_corruption", **numbers), 20) == (16, 9)
    batch = batch_of("span_corruption", [window], masking=True, **numbers)
    source = [11, SENTINEL, 13, EOS, 21, SENTINEL, 23, EOS, 31, SENTINEL, 33, 34]
    assert batch.source.tokens[0, :12].tolist() == source
    assert batch.source.documents.tolist() == [[0] * 4 + [1] * 4 + [2] * 4 + [NO_DOCUMENT] * 4]
    assert batch.inputs.tolist() == [[EOS, SENTINEL, 12, EOS, SENTINEL, 22, EOS, SENTINEL, 32]]
    assert batch.targets.tolist() == [
        [SENTINEL, 12, SENTINEL + 1, SENTINEL, 22, SENTINEL + 1, SENTINEL, 32, SENTINEL + 1]
    ]
    assert batch.source.target_documents.tolist() == [[0] * 3 + [1] * 3 + [2] * 3]


def test_ul2_announces_its_denoiser():
    windows = np.tile(np.arange(201) % (V - 1) + 1, (100, 1))
    batch = batch_of("ul2", windows)
    modes = batch.source.tokens[:, 0]
    assert set(modes) == {MODE_R, MODE_S, MODE_X}
    of_s = modes == MODE_S
    assert batch.source.tokens[of_s][:, 1:151].tolist() == [windows[0, 1:151].tolist()] * int(of_s.sum())
    assert batch.targets[of_s][:, :50].tolist() == [windows[0, 151:].tolist()] * int(of_s.sum())
    assert (batch.targets[of_s][:, 50:] == NO).all() and (batch.targets[~of_s][:, 0] == SENTINEL).all()
    assert batch.source.tokens.shape[1] == 200 - 30 + 10 + 1, "R with spans of 3 at 15 %, and its mode"
    assert batch.inputs.shape[1] == 100 + 33 + 1, "X with spans of 3 at 50 %"


@given(
    st.integers(4, 150), st.floats(1, 20), st.floats(0.05, 0.9), st.integers(0, 1000), st.booleans(), st.integers(0, 40)
)
def test_corrupted_text_can_be_put_together_again(num_tokens, mean_span, density, position, masking, every):
    """Document by document, as far as they fit; without masking all of the window is there."""
    text = np.arange(num_tokens) % (V - 1) + 1
    if every:
        text[every::every] = EOS
    numbers = {"mean_span_tokens": mean_span, "noise_density": density}
    batch = batch_of("span_corruption", [[9, *text]], position=position, masking=masking, **numbers)
    rebuilt: list[int] = []
    asked = batch.targets[0] != NO
    for document in range(int(batch.source.documents.max()) + 1):
        spans: dict[int, list[int]] = {}
        for token in batch.targets[0][asked & (batch.source.target_documents[0] == document)].tolist():
            if token >= SENTINEL:
                assert token == SENTINEL + len(spans), "sentinels follow each other"
                spans[token] = []
            else:
                spans[SENTINEL + len(spans) - 1].append(token)
        for token in batch.source.tokens[0][batch.source.documents[0] == document].tolist():
            rebuilt += spans[token] if token >= SENTINEL else [token]
    assert rebuilt == text[: len(rebuilt)].tolist() and rebuilt
    if not masking:
        assert len(rebuilt) == num_tokens
        assert asked.all() and (batch.source.documents == 0).all(), "a full window leaves no place"


def test_a_batch_follows_from_seed_and_place():
    windows = np.tile(np.arange(65) % V, (4, 1))
    whole, last = batch_of("ul2", windows), batch_of("ul2", windows[2:], position=2)
    chosen = whole.rows(slice(2, 4))
    assert np.array_equal(chosen.inputs, last.inputs) and np.array_equal(chosen.targets, last.targets)
    assert np.array_equal(chosen.source.tokens, last.source.tokens)
    assert not np.array_equal(whole.source.tokens, batch_of("ul2", windows, position=9).source.tokens)


@pytest.mark.parametrize("name", ["prefix", "span_corruption", "ul2"])
@pytest.mark.parametrize("position", ["relative", "rope"])
def test_a_token_of_another_document_changes_no_loss(name, position):
    """The second document's tokens are others, in as many places: the losses of the first and third stay."""
    config = ModelConfig(kind="encoder_decoder", position=position, num_layers=1, hidden_size=32, num_heads=2)
    model = EncoderDecoder(config, SENTINEL + 100, seed=0)
    torch.nn.init.normal_(model.unembedding.weight)
    first, third = list(range(1, 12)), list(range(30, 45))
    losses, batches = [], []
    for second in (range(12, 30), range(29, 11, -1)):
        batch = batch_of(name, [[9, *first, EOS, *second, EOS, *third, EOS]], masking=True)
        with torch.no_grad():
            losses.append(model.negative_log_likelihood(*model_inputs(batch, torch.device("cpu")))[0])
        batches.append(batch)
    documents = torch.from_numpy(batches[0].source.target_documents[0])
    assert set(documents[batches[0].targets[0] != NO].tolist()) == {0, 1, 2}
    assert torch.allclose(losses[0][documents != 1], losses[1][documents != 1], atol=1e-6)
    assert not torch.allclose(losses[0], losses[1], atol=1e-2)


@pytest.mark.parametrize(
    ("name", "source", "inputs", "targets"),
    [
        ("prefix", [EOS, 4, 5], [EOS, 6, 7], [6, 7, 8]),
        ("span_corruption", [4, 5, SENTINEL], [EOS, SENTINEL, 6, 7], [NO, 6, 7, 8]),
        ("ul2", [MODE_S, 4, 5], [EOS, 6, 7], [6, 7, 8]),
    ],
)
def test_a_text_is_continued_as_its_end_was_asked_for(name, source, inputs, targets):
    form = continuation_form(ObjectiveConfig(name=name), V, EOS)
    example = form.example(np.array([4, 5]), np.array([6, 7, 8]))
    assert (example.source.tolist(), example.inputs.tolist(), example.targets.tolist()) == (source, inputs, targets)


def test_lengths_of_t5s_own_setting():
    """T5's inputs of 512 ids come of 568 tokens, its targets of 114 (with an end each, which ours lack)."""
    assert sequence_lengths(ObjectiveConfig(name="span_corruption"), 568) == (511, 113 + 1)
