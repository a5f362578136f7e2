"""An encoder-decoder as a run trains, resumes, scores, asks and exports it; what it is not made for is refused."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipeline.errors import ConfigError
from trainer import flops
from trainer.__main__ import main
from trainer.batch import Batch, stack_examples
from trainer.config import OptimizerConfig, TrainConfig
from trainer.continuations import continuation_nats, continue_greedily
from trainer.data import IGNORED_TARGET, open_shard, open_shards
from trainer.device import compute_threads
from trainer.evaluate import evaluate
from trainer.memorisation import measure_memorisation
from trainer.model import EncoderDecoder
from trainer.model_inputs import model_inputs
from trainer.optim import build_optimizers
from trainer.scoring import pieces_of, score_documents
from trainer.seq2seq import Seq2SeqObjective, continuation_form, sequence_lengths
from trainer.train import train
from trainer.trained_model import TrainedModel, load_trained

EOS, V = 0, 61
MODEL = {
    "kind": "encoder_decoder",
    "position": "relative",
    "activation": "geglu",
    "num_layers": 1,
    "hidden_size": 32,
    "num_heads": 2,
    "context_tokens": 32,
}
TINY = {
    "model": MODEL,
    "objective": {"name": "span_corruption"},
    "optimizer": {"warmup_steps": 3, "learning_rate": 0.01},
    "tokens_per_step": 256,
    "num_steps": 24,
    "checkpoint_every_steps": 10,
    "device": "cpu",
    "num_threads": 1,
}


def config(**changes) -> TrainConfig:
    return TrainConfig.model_validate({**TINY, **changes})


@pytest.fixture(autouse=True)
def one_thread():
    with compute_threads(1):
        yield


def curve(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def hashes(output: Path) -> dict[str, str]:
    files = [path for path in sorted(output.rglob("*")) if path.is_file() and path.name != "timings.jsonl"]
    return {str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def trained(shards, tmp_path_factory):
    output = tmp_path_factory.mktemp("training")
    return output, train(config(), shards, str(output))


def test_what_a_training_tells(trained):
    output, result = trained
    assert result.first_loss == pytest.approx(math.log(V + 107), abs=0.1), "it begins by knowing nothing"
    assert result.final_loss < result.first_loss - 0.5
    model, rows = load_trained(str(output)).network, curve(output)
    assert rows[0]["tokens"] == 8 * (5 + 2 + 1), "of each 32 tokens 5 are hidden in 2 spans; 8 are asked"
    lengths = sequence_lengths(config().objective, 32)
    assert lengths == (29, 8)
    assert isinstance(model, EncoderDecoder)
    assert result.num_params + 107 * 32 * 2 == sum(parameter.numel() for parameter in model.parameters())
    assert result.training_flops == flops.seq2seq_training_flops(config().model, lengths, 24 * 8)


@pytest.mark.parametrize("name", ["prefix", "span_corruption", "ul2"])
def test_a_model_learns_document_by_document(name, shards, tmp_path):
    """With tied embeddings and a head scaled as in T5 v1.0."""
    model = {**MODEL, "tie_embeddings": True, "activation": "relu"}
    result = train(config(model=model, objective={"name": name}, document_masking=True), shards, str(tmp_path))
    special = config(objective={"name": name}).objective.num_special_ids
    assert result.first_loss == pytest.approx(math.log(V + special), abs=0.1)
    assert result.final_loss < result.first_loss - 0.2


def test_a_resumed_run_is_the_undisturbed_one(trained, shards, tmp_path):
    """To the last bit, from the checkpoint after step 10; the run was cut off at step 13."""

    def cut_off(progress):
        if progress.step == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config(), shards, str(tmp_path), on_progress=cut_off)
    train(config(), shards, str(tmp_path))
    assert hashes(tmp_path) == {name: digest for name, digest in hashes(trained[0]).items() if "eval" not in name}


def test_pieces_of_a_step_add_up(trained, shards, tmp_path):
    train(config(forward_tokens=32, num_steps=4), shards, str(tmp_path / "one"))
    train(config(forward_tokens=256, num_steps=4), shards, str(tmp_path / "whole"))
    losses = [[row["loss"] for row in curve(tmp_path / name)] for name in ("one", "whole")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def learn_by_heart(name: str, batch: Batch, num_steps: int) -> tuple[EncoderDecoder, list[float]]:
    settings = config(objective={"name": name})
    model = EncoderDecoder(settings.model, V + settings.objective.num_special_ids, seed=0)
    (optimizer,) = build_optimizers(model, OptimizerConfig(learning_rate=0.01))
    losses = []
    for _ in range(num_steps):
        given = model.negative_log_likelihood(*model_inputs(batch, torch.device("cpu")))
        loss = given.sum() / (batch.targets != IGNORED_TARGET).sum()
        losses.append(float(loss.detach()))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval(), losses


def test_one_batch_is_learned_by_heart():
    objective = Seq2SeqObjective(config().objective, V, EOS, 0, document_masking=True)
    windows = np.random.default_rng(0).integers(0, V, (8, 33))
    _, losses = learn_by_heart("span_corruption", objective.batch(windows, np.arange(8)), 120)
    assert losses[0] == pytest.approx(math.log(V + 107), abs=0.1) and losses[-1] < 0.05


def test_what_is_learned_by_heart_is_recited(make_shards):
    """A passage from the start of a document one token longer, the encoder reading the prompt."""
    folder = make_shards(((32,),))
    passage = np.asarray(open_shard(folder, "train-00000", open_shards(folder))[0][:31], dtype=np.int64)
    form = continuation_form(config(objective={"name": "prefix"}).objective, V, EOS)
    batch = stack_examples([[form.example(passage[:12], passage[12:])]], EOS)
    model, _ = learn_by_heart("prefix", batch, 40)
    trained = TrainedModel(model, 40, V, EOS, "0" * 64, config(objective={"name": "prefix"}).objective)
    assert measure_memorisation(trained, folder, passage_tokens=31, prompt_tokens=12).share == 1.0
    with pytest.raises(ConfigError, match="passage_tokens=40 with prompt_tokens=12 in a context of 32"):
        measure_memorisation(trained, folder, passage_tokens=40, prompt_tokens=12)


def test_a_piece_is_as_long_as_the_model_can_tell():
    """A span of the objective's; half the context for objectives that end in long ones."""
    spans = {"name": "span_corruption", "mean_span_tokens": 8}
    assert (config().evaluation_stride_tokens, config(objective=spans).evaluation_stride_tokens) == (3, 8)
    assert config(objective={"name": "ul2"}).evaluation_stride_tokens == 16
    assert config(evaluation={"stride_tokens": 5}).evaluation_stride_tokens == 5
    assert TrainConfig(num_steps=30).evaluation_stride_tokens == 128


def test_pieces_cover_a_document_once():
    assert list(pieces_of(45, 32, 20)) == [(0, 0, 20), (8, 20, 40), (28, 40, 45)]
    assert list(pieces_of(3, 32, 16)) == [(0, 0, 3)]


FORMS = {
    "prefix": lambda text: ([EOS, *text], [EOS]),
    "span_corruption": lambda text: ([*text, V + 7], [EOS, V + 7]),
    "ul2": lambda text: ([V + 5, *text], [EOS]),
}


def random_model(name: str) -> EncoderDecoder:
    settings = config(objective={"name": name})
    model = EncoderDecoder(settings.model, V + settings.objective.num_special_ids, seed=3)
    torch.nn.init.normal_(model.unembedding.weight, std=0.3, generator=torch.Generator().manual_seed(1))
    return model.eval()


def chained_nats(model, name: str, text: list[int], asked: list[int]) -> float:
    """One token at a time, each in a forward pass of its own."""
    source, told = FORMS[name](text)
    nats = 0.0
    for token in asked:
        with torch.no_grad():
            logits = model(torch.tensor([told]), torch.tensor([source]))[0, -1].double()
        nats -= float(logits.log_softmax(dim=-1)[token])
        told = [*told, token]
    return nats


@pytest.mark.parametrize("name", list(FORMS))
def test_scores_are_those_of_a_chain(name):
    """Each token once, after the pieces before it: no more than the context leaves beside a stride of 12."""
    model, rng = random_model(name), np.random.default_rng(0)
    documents = [rng.integers(1, V, length) for length in (5, 29, 1, 41)]
    settings = config(objective={"name": name}, evaluation={"stride_tokens": 12}, forward_tokens=64)
    expected = []
    for tokens in (document.tolist() for document in documents):
        starts = range(0, len(tokens), 12)
        expected.append(sum(chained_nats(model, name, tokens[max(0, k - 20) : k], tokens[k : k + 12]) for k in starts))
    assert score_documents(model, documents, EOS, settings) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", list(FORMS))
def test_choices_are_asked_of_the_decoder(name):
    """The question is the encoder's, cut at its left; a choice that is too long ends early."""
    model, rng = random_model(name), np.random.default_rng(0)
    form = continuation_form(config(objective={"name": name}).objective, V, EOS)
    pairs = [(rng.integers(1, V, n), rng.integers(1, V, m)) for n, m in ((5, 3), (0, 4), (70, 10), (3, 80))]
    opening = 2 if name == "span_corruption" else 1
    expected = [
        chained_nats(model, name, beginning[-31:].tolist(), choice[: 33 - opening].tolist())
        for beginning, choice in pairs
    ]
    assert continuation_nats(model, pairs, EOS, form=form) == pytest.approx(expected, rel=1e-5)
    assert continuation_nats(model, pairs, EOS, form=form, batch_tokens=1) == pytest.approx(expected, rel=1e-5)


def test_a_greedy_continuation_takes_the_likeliest():
    model, form = random_model("ul2"), continuation_form(config(objective={"name": "ul2"}).objective, V, EOS)
    told = continue_greedily(model, np.array([[1, 2, 3], [4, 5, 6]]), 3, form=form)
    for beginning, continuation in zip(([1, 2, 3], [4, 5, 6]), told.tolist(), strict=True):
        source, tokens = FORMS["ul2"](beginning)
        for token in continuation:
            with torch.no_grad():
                assert int(model(torch.tensor([tokens]), torch.tensor([source]))[0, -1].argmax()) == token
            tokens = [*tokens, token]


def test_held_out_text_is_scored(trained, shards):
    """Every document, in bits per byte of its text; as good as the loss suggests, and the same again."""
    output, _ = trained
    first = evaluate(config(), shards, str(output))
    assert first.overall.tokens == 2 * (90 + 40 + 2 + 200)
    assert first.overall.bits_per_byte == pytest.approx(first.overall.bits_per_token * 664 / (3 * 656))
    assert evaluate(config(), shards, str(output)) == first


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": {"name": "muon", "warmup_steps": 1}},
        {"dtype": "bfloat16", "measure_noise_scale": True, "forward_tokens": 64},
        {"model": {**MODEL, "num_experts": 3, "experts_per_token": 1, "activation": "relu"}},
        {"model": {**MODEL, "mup_base_width": 16, "position": "learned", "norm": "layernorm"}},
        {"batch_warmup": {"initial_tokens": 64, "steps": 3}, "data": {"weights": {"eng_Latn": 1}}},
        {
            "model": {**MODEL, "position": "alibi", "num_kv_heads": 1, "sliding_window_tokens": 8},
            "spikes": {"action": "skip"},
        },
    ],
)
def test_a_training_takes_what_a_decoders_takes(changes, shards, tmp_path):
    result = train(config(num_steps=8, **changes), shards, str(tmp_path))
    assert result.first_loss == pytest.approx(math.log(V + 107), abs=0.1)
    assert result.final_loss < result.first_loss - 0.1


def test_the_command_trains_and_scores(shards, tmp_path, capsys):
    path = tmp_path / "train.toml"
    path.write_text(f"""
shards = "{shards}"
output = "{tmp_path / "out"}"
[train]
tokens_per_step = 64
num_steps = 4
device = "cpu"
num_threads = 1
document_masking = true
[train.evaluation]
max_tokens = 100
[train.optimizer]
warmup_steps = 1
[train.objective]
name = "ul2"
[train.model]
kind = "encoder_decoder"
position = "relative"
num_layers = 1
hidden_size = 32
num_heads = 2
context_tokens = 32
""")
    assert main([str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["training"]["num_steps"] == 4 and told["evaluation"]["overall"]["bits_per_byte"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objective": {}},
            "objective.name='causal' with model.kind='encoder_decoder'; expected an objective that div",
        ),
        ({"objective": {"name": "masked"}}, "one of prefix, span_corruption, ul2; set .* name = 'span_corruption'"),
        ({"objective": {"name": "fill_in_the_middle"}}, "objective.name='fill_in_the_middle'"),
        ({"evaluation": {"stride_tokens": 32}}, "stride_tokens=32 with model.kind=.*; expected less, .* try 16"),
    ],
)
def test_what_it_is_not_made_for_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        config(**changes)


def test_it_is_no_reference_of_a_selective_loss(trained, shards, tmp_path):
    decoder = {name: value for name, value in MODEL.items() if name not in ("kind", "position")}
    selective = config(model=decoder, objective={"selective": {"reference": str(trained[0])}})
    with pytest.raises(
        ConfigError, match="is of kind 'encoder_decoder'; expected a decoder, which has a loss for every"
    ):
        train(selective, shards, str(tmp_path))
