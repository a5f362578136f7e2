"""What is done with a trained model: questions, recitation, units of perplexity, export to transformers."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from jobs.cli import main
from pipeline.errors import ConfigError, ShardError
from pipeline.storage import sha256_of
from pipeline.token_shard import load_manifest
from trainer.config import TrainConfig
from trainer.continuations import continuation_nats, continue_greedily
from trainer.evaluate import text_lengths
from trainer.export import export_model
from trainer.memorisation import measure_memorisation
from trainer.model import Decoder, EncoderDecoder
from trainer.model_config import ModelConfig
from trainer.multiple_choice import read_questions, score_choices
from trainer.objective_config import ObjectiveConfig
from trainer.train import train
from trainer.trained_model import TrainedModel, load_trained

SHAPE = {"num_layers": 2, "hidden_size": 32, "num_heads": 4, "num_kv_heads": 2, "context_tokens": 32}
CONFIG = TrainConfig.model_validate(
    {
        "model": SHAPE,
        "optimizer": {"learning_rate": 0.02, "warmup_steps": 5},
        "tokens_per_step": 512,
        "num_steps": 40,
        "device": "cpu",
        "num_threads": 1,
    }
)


@pytest.fixture(scope="module")
def trained(shards, tmp_path_factory) -> str:
    output = str(tmp_path_factory.mktemp("training"))
    train(CONFIG, shards, output)
    return output


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> str:
    """Bytes, and an end of text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={char: number for number, char in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken("<end>", special=True)])
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(path))
    return str(path)


def random_model(tokenizer: str, **changes) -> TrainedModel:
    decoder = Decoder(ModelConfig(**{**SHAPE, "context_tokens": 64, **changes}), 257, seed=3)
    torch.nn.init.normal_(decoder.unembedding.weight, std=0.3, generator=torch.Generator().manual_seed(1))
    return TrainedModel(decoder.eval(), 1, 257, 256, sha256_of(tokenizer))


def test_continuations_are_scored_as_a_loop_would(tokenizer):
    model, rng = random_model(tokenizer).network, np.random.default_rng(0)
    pairs = [(rng.integers(0, 256, n), rng.integers(0, 256, m)) for n, m in ((5, 3), (0, 4), (70, 10), (3, 80), (9, 1))]
    expected = []
    for beginning, continuation in pairs:
        continuation = continuation[:64]
        told = np.concatenate([[256], beginning, continuation])[-65:]
        with torch.no_grad():
            rows = model(torch.from_numpy(told[None, :-1]))[0].double().log_softmax(dim=-1)
        asked = range(len(told) - 1 - len(continuation), len(told) - 1)
        expected.append(-sum(float(rows[place, told[place + 1]]) for place in asked))
    assert continuation_nats(model, pairs, 256) == pytest.approx(expected, rel=1e-5)
    assert continuation_nats(model, pairs, 256, batch_tokens=1) == pytest.approx(expected, rel=1e-5)


def test_a_greedy_continuation_takes_the_likeliest(tokenizer):
    model = random_model(tokenizer).network
    beginnings = np.array([[1, 2, 3], [4, 5, 6]])
    told = beginnings
    for _ in range(4):
        with torch.no_grad():
            likeliest = model(torch.from_numpy(told))[:, -1].argmax(dim=-1, keepdim=True).numpy()
        told = np.concatenate([told, likeliest], axis=1)
    assert continue_greedily(model, beginnings, 4).tolist() == told[:, 3:].tolist()


QUESTIONS = {
    "hellaswag": {"ctx": "She lifts the lid and", "endings": ["stirs.", "flies.", "sinks."], "label": "0"},
    "arc": {
        "question": "What melts?",
        "choices": {"text": ["ice", "wind"], "label": ["A", "B"]},
        "answerKey": "B",
    },
    "boolq": {"passage": "Rain is water.", "question": "is rain wet", "answer": False},
    "truthfulqa": {
        "question": "What grows?",
        "mc1_targets": {"Grass.": 1, "Stone.": 0},
        "mc2_targets": {"choices": ["Grass.", "Trees.", "Stone."], "labels": [1, 1, 0]},
    },
}
AI2 = {
    "question": {"stem": "What melts?", "choices": [{"text": "ice", "label": "1"}, {"text": "wind", "label": "2"}]},
    "answerKey": "1",
}


@pytest.mark.parametrize(
    ("layout", "row", "beginning", "choices", "is_right"),
    [
        ("hellaswag", QUESTIONS["hellaswag"], "She lifts the lid and", ("stirs.", "flies.", "sinks."), (1, 0, 0)),
        ("arc", QUESTIONS["arc"], "Question: What melts?\nAnswer:", ("ice", "wind"), (0, 1)),
        ("arc", AI2, "Question: What melts?\nAnswer:", ("ice", "wind"), (1, 0)),
        ("boolq", QUESTIONS["boolq"], "Rain is water.\nQuestion: is rain wet?\nAnswer:", ("yes", "no"), (0, 1)),
        ("truthfulqa", QUESTIONS["truthfulqa"], "Q: What grows?\nA:", ("Grass.", "Trees.", "Stone."), (1, 1, 0)),
    ],
)
def test_layouts(tmp_path, layout, row, beginning, choices, is_right):
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps(row) + "\n\n")
    (question,) = read_questions(str(path), layout)
    assert (question.beginning, question.choices) == (beginning, choices)
    assert question.is_right == tuple(map(bool, is_right))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "line 1 of .* is no question of layout 'arc'"),
        (json.dumps({**QUESTIONS["arc"], "answerKey": "C"}), "0 of 2 choices are right"),
        ("\n", "has no question"),
    ],
)
def test_a_line_of_another_layout_is_named(tmp_path, content, message):
    path = tmp_path / "questions.jsonl"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_questions(str(path), "arc")


def test_choices_are_scored_by_likelihood(tmp_path, tokenizer):
    model = random_model(tokenizer)
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps(QUESTIONS["truthfulqa"]) + "\n")
    found = score_choices(model, tokenizer, str(path), "truthfulqa")
    begin = list(b"Q: What grows?\nA:")
    alphabet = Tokenizer.from_file(tokenizer)
    ids = [alphabet.encode(text).ids for text in (bytes(begin).decode(), " Grass.", " Trees.", " Stone.")]
    nats = continuation_nats(model.network, [(np.array(ids[0]), np.array(choice)) for choice in ids[1:]], 256)
    probability = np.exp(-nats) / np.exp(-nats).sum()
    assert found.probability_right == pytest.approx(probability[:2].sum(), rel=1e-6)
    assert found.accuracy == float(nats.argmin() < 2)
    assert found.bits_per_byte_right == pytest.approx(nats[:2].mean() / 7 / math.log(2), rel=1e-6)
    assert found.margin_bits_per_byte == pytest.approx((nats[2] - nats[:2].min()) / 7 / math.log(2), rel=1e-6)
    assert found.chance == pytest.approx(2 / 3)
    other = TrainedModel(model.network, 1, 257, 256, "0" * 64)
    with pytest.raises(ConfigError, match="expected the same; name the run's"):
        score_choices(other, tokenizer, str(path), "truthfulqa")


def test_questions_are_put_to_an_encoder(tmp_path, tokenizer):
    config = ModelConfig(**SHAPE, kind="encoder_decoder", position="relative")
    network = EncoderDecoder(config, 257 + 107, seed=3).eval()
    torch.nn.init.normal_(network.unembedding.weight, std=0.3, generator=torch.Generator().manual_seed(1))
    model = TrainedModel(network, 1, 257, 256, sha256_of(tokenizer), ObjectiveConfig(name="span_corruption"))
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps(QUESTIONS["truthfulqa"]) + "\n")
    found = score_choices(model, tokenizer, str(path), "truthfulqa")
    alphabet = Tokenizer.from_file(tokenizer)
    source, *choices = (alphabet.encode(text).ids for text in ("Q: What grows?\nA:", " Grass.", " Trees."))
    sentinel, nats = 257 + 7, []
    for choice in choices:
        with torch.no_grad():
            logits = network(torch.tensor([[256, sentinel, *choice[:-1]]]), torch.tensor([[*source, sentinel]]))[0, 1:]
        nats.append(-float(logits.log_softmax(dim=-1)[range(7), choice].sum()))
    assert found.bits_per_byte_right == pytest.approx(sum(nats) / 2 / 7 / math.log(2), rel=1e-5)


def test_a_model_recites_what_it_has_overfitted(make_shards, tmp_path):
    folder = make_shards(((70,), (40,)))
    config = CONFIG.model_copy(update={"num_steps": 150, "tokens_per_step": 128})
    train(config, folder, str(tmp_path / "long"))
    train(config.model_copy(update={"num_steps": 6}), folder, str(tmp_path / "short"))
    numbers = {"passage_tokens": 24, "prompt_tokens": 12}
    recited = [
        measure_memorisation(load_trained(str(tmp_path / name)), folder, **numbers) for name in ("long", "short")
    ]
    assert [row.copies for row in recited[0].by_copies] == [1] and recited[0].by_copies[0].num_passages == 2
    assert recited[0].share >= 0.5 and recited[1].share == 0
    with pytest.raises(ConfigError, match=r"passage_tokens=60 with prompt_tokens=12 in a context of 32"):
        measure_memorisation(load_trained(str(tmp_path / "long")), folder, passage_tokens=60, prompt_tokens=12)


def test_an_exported_model_gives_transformers_the_same_logits(trained, tmp_path, tokenizer):
    transformers = pytest.importorskip("transformers")
    outcome = CliRunner().invoke(main, ["export", trained, str(tmp_path), "--tokenizer", tokenizer])
    assert outcome.exit_code == 0, outcome.output
    theirs = transformers.LlamaForCausalLM.from_pretrained(str(tmp_path), dtype=torch.float32)
    ours = load_trained(trained).network
    tokens = torch.randint(0, 61, (3, 32), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(theirs(tokens).logits, ours(tokens), atol=1e-4)
    assert (tmp_path / "tokenizer.json").read_bytes() == Path(tokenizer).read_bytes()


def test_parts_that_llama_lacks_are_not_exported(tokenizer, tmp_path):
    with pytest.raises(ConfigError, match="position='alibi' cannot be exported; Llama has position='rope'"):
        export_model(random_model(tokenizer, position="alibi"), str(tmp_path))


def test_tied_embeddings_are_exported(tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    model = random_model(tokenizer, tie_embeddings=True)
    export_model(model, str(tmp_path))
    theirs = transformers.LlamaForCausalLM.from_pretrained(str(tmp_path), dtype=torch.float32)
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.allclose(theirs(tokens).logits, model.network(tokens), atol=1e-4)


def test_characters_and_words_of_the_shards_text(tokenizer, shards):
    manifest = load_manifest(shards).model_copy(update={"tokenizer_sha256": sha256_of(tokenizer)})
    encode = Tokenizer.from_file(tokenizer).encode
    documents = [np.array([*encode(text).ids, 256]) for text in ("two  words", "žąsis 鵝", "")]
    assert text_lengths(tokenizer, manifest, documents).tolist() == [[10, 2], [7, 2], [0, 0]]
    with pytest.raises(ShardError, match="expected the same; name the run's tokenizer"):
        text_lengths(tokenizer, load_manifest(shards), documents)


def test_no_checkpoint_is_an_error(tmp_path):
    with pytest.raises(ShardError, match=r"no checkpoint in .*; train first, or correct the path"):
        load_trained(str(tmp_path))
