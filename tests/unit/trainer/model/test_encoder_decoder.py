"""The encoder-decoder against plain references, against transformers' T5, and what its initialisation promises."""

import itertools
import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipeline.errors import ConfigError
from trainer import flops
from trainer.batch import NO_DOCUMENT
from trainer.config import OptimizerConfig
from trainer.data import IGNORED_TARGET
from trainer.device import compute_threads
from trainer.export import export_model
from trainer.model import Decoder, EncoderDecoder, make_model
from trainer.model.attention import CrossAttention
from trainer.model.positions import RelativeBias, relative_bucket
from trainer.model_config import ModelConfig
from trainer.optim import build_optimizers
from trainer.trained_model import TrainedModel

V = 50
SHAPE = {"kind": "encoder_decoder", "num_layers": 2, "hidden_size": 32, "num_heads": 4, "context_tokens": 16}
T5 = {**SHAPE, "position": "relative", "num_decoder_layers": 3, "norm_epsilon": 1e-6}


@pytest.fixture(autouse=True)
def one_thread():
    with compute_threads(1):
        yield


def random_model(seed: int = 1, vocab_size: int = V, **changes) -> EncoderDecoder:
    """Weights large enough that every part has a say."""
    model = EncoderDecoder(ModelConfig(**{**T5, **changes}), vocab_size, seed=0)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            centre = 1.0 if parameter.ndim == 1 else 0.0
            parameter.normal_(centre, 0.3, generator=generator)
    return model.eval()


def test_causal_buckets_by_hand():
    """Of 8, 4 are one distance each; 4 … 15 grow by the fourth root of 4; keys behind the query are bucket 0."""
    expected = {3: 0, 0: 0, -1: 1, -2: 2, -3: 3, -4: 4, -5: 4, -6: 5, -7: 5, -8: 6, -11: 6, -12: 7, -16: 7, -99: 7}
    found = relative_bucket(torch.tensor(list(expected)), 8, 16, both_ways=False)
    assert found.tolist() == list(expected.values())


def test_buckets_of_both_directions_by_hand():
    """Four each way, 2 of them one distance each; keys behind the query have the upper ones."""
    expected = {0: 0, -1: 1, -2: 2, -5: 2, -6: 3, -50: 3, 1: 5, 2: 6, 5: 6, 6: 7, 50: 7}
    found = relative_bucket(torch.tensor(list(expected)), 8, 16, both_ways=True)
    assert found.tolist() == list(expected.values())


@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (8, 20), (64, 1000), (4, 3)])
def test_buckets_are_those_of_transformers(both_ways, num_buckets, max_distance):
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
    distances = torch.arange(-1100, 1101)
    theirs = t5.T5Attention._relative_position_bucket(distances, both_ways, num_buckets, max_distance)
    assert torch.equal(relative_bucket(distances, num_buckets, max_distance, both_ways=both_ways), theirs)


def test_a_bias_is_that_of_key_minus_query():
    bias = RelativeBias(ModelConfig(**T5), both_ways=True)
    found = bias(5)
    assert found.shape == (1, 4, 5, 5)
    for query, key in itertools.product(range(5), repeat=2):
        bucket = relative_bucket(torch.tensor(key - query), 32, 128, both_ways=True)
        assert torch.equal(found[0, :, query, key], bias.values.weight[bucket])


def plain_attention(query, key, value, output, hidden, attended, seen, bias, num_heads):
    """Head by head, place by place."""
    rows = []
    size = query.shape[0] // num_heads
    for place in range(len(hidden)):
        heads = []
        for head in range(num_heads):
            part = slice(head * size, (head + 1) * size)
            places = [other for other in range(len(attended)) if seen(place, other)]
            keys, values = attended[places] @ key[part].T, attended[places] @ value[part].T
            scores = keys @ (query[part] @ hidden[place]) / math.sqrt(size)
            scores = scores + torch.tensor([bias(head, other - place) for other in places])
            heads.append(scores.softmax(0) @ values)
        rows.append(output @ torch.cat(heads))
    return torch.stack(rows)


def plain_logits(model: EncoderDecoder, tokens: list[int], source: list[int]) -> torch.Tensor:
    """T5 written out for one row; logits of a free head."""
    weights = dict(model.state_dict())

    def norm(name, hidden):
        return hidden / (hidden.pow(2).mean(dim=-1, keepdim=True) + 1e-6).sqrt() * weights[f"{name}.weight"]

    def split(name, hidden, attended, seen, bias):
        joint = torch.cat([weights[n] for n in weights if n.startswith(f"{name}.") and "output" not in n])
        output = weights[f"{name}.output.weight"]
        return plain_attention(*joint.chunk(3), output, hidden, attended, seen, bias, 4)

    def side(name, hidden, encoded):
        table = weights[f"{name}.relative_bias.values.weight"]
        is_encoder = encoded is None

        def bias(head, distance):
            bucket = relative_bucket(torch.tensor(distance), 32, 128, both_ways=is_encoder)
            return float(table[bucket, head])

        for number in range(2 if is_encoder else 3):
            block = f"{name}.blocks.{number}"
            normed = norm(f"{block}.attention_norm", hidden)
            before = (lambda place, other: True) if is_encoder else (lambda place, other: other <= place)
            hidden = hidden + split(f"{block}.attention", normed, normed, before, bias)
            if not is_encoder:
                normed = norm(f"{block}.cross_attention_norm", hidden)
                everything = (lambda place, other: True, lambda head, distance: 0.0)
                hidden = hidden + split(f"{block}.cross_attention", normed, encoded, *everything)
            gate, up = (
                norm(f"{block}.feed_forward_norm", hidden) @ weights[f"{block}.feed_forward.gate_up.weight"].T
            ).chunk(2, -1)
            gelu = gate * 0.5 * (1 + torch.erf(gate / math.sqrt(2)))
            hidden = hidden + (gelu * up) @ weights[f"{block}.feed_forward.output.weight"].T
        return norm(f"{name}.final_norm", hidden)

    embedding = weights["embedding.weight"]
    encoded = side("encoder", embedding[source], None)
    return side("decoder", embedding[tokens], encoded) @ weights["unembedding.weight"].T


def test_logits_are_those_of_the_definition():
    model = random_model(activation="geglu")
    tokens, source = [3, 7, 7, 1], [9, 4, 30, 2, 2, 18]
    with torch.no_grad():
        found = model(torch.tensor([tokens]), torch.tensor([source]))[0]
        assert torch.allclose(found, plain_logits(model, tokens, source), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("tie_embeddings", "activation"), [(True, "relu"), (False, "geglu"), (False, "swiglu"), (True, "gelu")]
)
def test_an_exported_model_gives_transformers_the_same_logits(tie_embeddings, activation, tmp_path):
    """v1.0: tied and ReLU; v1.1: a head of its own and gated GELU."""
    transformers = pytest.importorskip("transformers")
    model = random_model(tie_embeddings=tie_embeddings, activation=activation, hidden_size=64)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(0.5)
    export_model(TrainedModel(model, 1, V, 0, "0" * 64), str(tmp_path))
    theirs = transformers.T5ForConditionalGeneration.from_pretrained(str(tmp_path), dtype=torch.float32).eval()
    assert (theirs.lm_head.weight is theirs.shared.weight) == tie_embeddings
    generator = torch.Generator().manual_seed(0)
    source, tokens = (torch.randint(0, V, (3, length), generator=generator) for length in (160, 11))
    with torch.no_grad():
        ours = model(tokens, source)
        assert ours.std() > 0.1
        assert torch.allclose(theirs(input_ids=source, decoder_input_ids=tokens).logits, ours, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position": "rope"}, "position='rope' cannot be exported; T5 has position='relative'"),
        ({"num_kv_heads": 2}, "num_kv_heads=2 cannot be exported"),
    ],
)
def test_parts_that_t5_lacks_are_not_exported(changes, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        export_model(TrainedModel(random_model(**changes), 1, V, 0, "0" * 64), str(tmp_path))


DOCUMENTS, SOURCE_DOCUMENTS = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 2, 2, NO_DOCUMENT]


def influence(model: EncoderDecoder, documents, source_documents) -> tuple[np.ndarray, np.ndarray]:
    """Which decoder positions change with each decoder token, and with each encoder token."""
    tokens, source = torch.arange(6)[None] + 1, torch.arange(8)[None] + 11
    found = []
    with torch.no_grad():
        before = model(tokens, source, documents, source_documents)
        for changed_side in (0, 1):
            rows = []
            for place in range((6, 8)[changed_side]):
                ids = [tokens.clone(), source.clone()]
                ids[changed_side][0, place] = 40
                after = model(*ids, documents, source_documents)
                rows.append((after - before).abs().amax(dim=(0, 2)).numpy() > 1e-6)
            found.append(np.stack(rows, axis=1))
    return found[0], found[1]


@pytest.mark.parametrize("position", ["relative", "rope", "alibi", "learned", "none"])
@pytest.mark.parametrize("others", [{}, {"num_kv_heads": 1, "qk_norm": True, "norm_placement": "post"}])
def test_what_positions_see(position, others):
    """The decoder those before, and all of the encoder; with documents, of either side their own alone."""
    model = random_model(position=position, **others)
    of_decoder, of_encoder = influence(model, None, None)
    assert np.array_equal(of_decoder, np.tri(6, dtype=bool)) and of_encoder.all()
    documents, source_documents = torch.tensor([DOCUMENTS]), torch.tensor([SOURCE_DOCUMENTS])
    of_decoder, of_encoder = influence(model, documents, source_documents)
    same = np.equal.outer(DOCUMENTS, DOCUMENTS)
    assert np.array_equal(of_decoder, np.tri(6, dtype=bool) & same)
    assert np.array_equal(of_encoder, np.equal.outer(DOCUMENTS, SOURCE_DOCUMENTS))


def test_a_window_bounds_either_side():
    model = random_model(position="rope", num_layers=1, num_decoder_layers=1, sliding_window_tokens=2)
    of_decoder, _ = influence(model, None, None)
    assert np.array_equal(of_decoder, np.tri(6, dtype=bool) & ~np.tri(6, k=-2, dtype=bool))
    embedded = torch.randn(1, 8, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        rotation = (model.cosine[:8], model.sine[:8])
        before = model.encoder(embedded, None, rotation)
        embedded[0, 4] += 1
        differs = (model.encoder(embedded, None, rotation) - before).abs().amax(dim=(0, 2)) > 1e-6
    assert differs.tolist() == [False] * 3 + [True] * 3 + [False] * 2


def test_rows_that_are_filled_up_have_finite_gradients():
    model = random_model()
    source_documents = torch.tensor([[0, 0, NO_DOCUMENT, NO_DOCUMENT]])
    targets = torch.tensor([[4, 5, IGNORED_TARGET, IGNORED_TARGET]])
    tokens = torch.tensor([[1, 4, 0, 0]])
    losses = model.negative_log_likelihood(tokens, targets, tokens, torch.zeros_like(tokens), source_documents)
    losses.sum().backward()
    assert (losses == 0).tolist() == [[False, False, True, True]]
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
    alone = model.negative_log_likelihood(tokens[:, :2], targets[:, :2], tokens[:, :2])
    assert torch.allclose(losses[:, :2], alone, atol=1e-5)


def test_grouped_cross_attention_shares_keys():
    """Two heads of keys for four of queries are four, each twice."""
    grouped, full = (CrossAttention(ModelConfig(**T5, num_kv_heads=kv)) for kv in (2, 4))
    with torch.no_grad():
        full.query.weight.copy_(grouped.query.weight)
        full.output.weight.copy_(grouped.output.weight)
        heads = grouped.key_value.weight.view(2, 2, 8, 32).repeat_interleave(2, dim=1)
        full.key_value.weight.copy_(heads.reshape(64, 32))
        hidden, encoded = torch.randn(2, 3, 32), torch.randn(2, 5, 32)
        assert torch.allclose(grouped(hidden, encoded, None), full(hidden, encoded, None), atol=1e-6)


@pytest.mark.parametrize("tie_embeddings", [False, True])
@pytest.mark.parametrize("hidden_size", [32, 512])
def test_first_loss_is_that_of_knowing_nothing(hidden_size, tie_embeddings):
    config = ModelConfig(**{**T5, "hidden_size": hidden_size, "tie_embeddings": tie_embeddings})
    model = make_model(config, 5_000, seed=1)
    tokens, source = torch.from_numpy(np.random.default_rng(0).integers(0, 5_000, (2, 4, 65)))
    with torch.no_grad():
        loss = model.negative_log_likelihood(tokens[:, :-1], tokens[:, 1:], source).mean()
    assert abs(float(loss) - math.log(5_000)) < 0.1


def test_each_layer_adds_little_at_first():
    """Outputs to the residual stream start smaller by the root of the number of layers that add to it."""
    model = EncoderDecoder(ModelConfig(**{**T5, "hidden_size": 256}), V, seed=0)
    weights = dict(model.named_parameters())
    expected = {
        "encoder.blocks.1.attention.output.weight": 0.02 / math.sqrt(4),
        "decoder.blocks.2.cross_attention.output.weight": 0.02 / math.sqrt(9),
        "decoder.blocks.0.feed_forward.output.weight": 0.02 / math.sqrt(9),
        "decoder.blocks.0.cross_attention.key_value.weight": 0.02,
    }
    for name, std in expected.items():
        assert float(weights[name].detach().std()) == pytest.approx(std, rel=0.03)
    again, other = (EncoderDecoder(ModelConfig(**{**T5, "hidden_size": 256}), V, seed=seed) for seed in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert not torch.equal(model.embedding.weight, other.embedding.weight)


def test_optimisers_decay_the_matrices_of_both_sides():
    model = EncoderDecoder(ModelConfig(**{**T5, "mup_base_width": 16}), V, seed=0)
    (adamw,) = build_optimizers(model, OptimizerConfig(weight_decay=0.1))
    names = {parameter: name for name, parameter in model.named_parameters()}
    decayed, free = ({names[parameter] for parameter in group["params"]} for group in adamw.param_groups)
    assert all(".blocks." in name and "norm" not in name for name in decayed) and decayed | free == set(names.values())
    assert {"encoder.relative_bias.values.weight", "decoder.final_norm.weight", "embedding.weight"} <= free
    assert "decoder.blocks.2.cross_attention.query.weight" in decayed
    assert [group["rate_factor"] for group in adamw.param_groups] == [0.5, 1.0]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"position": "learned", "tie_embeddings": True, "norm": "layernorm", "activation": "gelu"},
        {"position": "rope", "num_kv_heads": 2, "qk_norm": True, "norm_placement": "post"},
        {"num_experts": 3, "experts_per_token": 1},
    ],
)
def test_parameters_are_counted(changes):
    config = ModelConfig(**{**T5, **changes})
    model = EncoderDecoder(config, V, seed=0)
    assert flops.num_params(config, V) == sum(parameter.numel() for parameter in model.parameters())


def test_flops_by_hand():
    """Width 4, one head, inner width 32; E = 6 and D = 2 positions for 8 tokens of text."""
    config = ModelConfig(
        kind="encoder_decoder",
        num_layers=1,
        num_decoder_layers=2,
        hidden_size=4,
        num_heads=1,
        context_tokens=8,
        activation="gelu",
        ffn_hidden_size=32,
    )
    attention, feed_forward, norm = 4 * 16, 2 * 4 * 32, 4
    at_encoder = attention + feed_forward + 2 * norm + norm + 2 * (2 * 16)
    at_decoder = 2 * (attention + attention - 2 * 16 + feed_forward + 3 * norm) + norm
    assert flops.num_params_non_embedding(config) == at_encoder + at_decoder
    assert flops.seq2seq_training_flops(config, (6, 2), 10) == 60 * (6 * at_encoder + 2 * at_decoder)
    scores = 1 * 6 * 6 + 2 * 2 * (2 + 6)
    whole = 6 * (6 * at_encoder + 2 * (at_decoder + V * 4)) + 12 * 4 * scores
    assert flops.flops_per_token(config, V, (6, 2)) == whole / 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "decoder", "num_decoder_layers": None}, "position='relative' with kind='decoder'; expected a part"),
        ({"kind": "decoder", "position": "rope"}, "num_decoder_layers=3 with kind='decoder'; .* remove it"),
        ({"norm_placement": "deepnorm"}, "norm_placement='deepnorm' with kind='encoder_decoder'; expected norms"),
        ({"parallel_block": "palm"}, "parallel_block='palm' with kind='encoder_decoder'"),
        ({"attention_backend": "flex"}, "attention_backend='flex' with kind='encoder_decoder'"),
        ({"relative_max_distance": 16}, "relative_max_distance=16 with relative_buckets=32; .* try .*=128"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        ModelConfig(**{**T5, **changes})


def test_a_decoder_stays_one():
    assert isinstance(make_model(ModelConfig(), V, seed=0), Decoder)
    assert isinstance(make_model(ModelConfig(**SHAPE), V, seed=0), EncoderDecoder)
