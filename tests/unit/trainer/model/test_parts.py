"""Each part of the decoder against a plain reference, and every combination of parts against what all promise."""

import itertools
import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from trainer.flops import flops_per_token, num_active_params_non_embedding, num_params, num_params_non_embedding
from trainer.model import Decoder
from trainer.model.attention import Attention, make_view
from trainer.model.decoder import Block
from trainer.model.feed_forward import Experts, FeedForward
from trainer.model.positions import alibi_slopes, rotate, rotation_table
from trainer.model_config import ModelConfig

SHAPE = {"num_layers": 2, "hidden_size": 32, "num_heads": 4, "context_tokens": 12}
DOCUMENTS = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2], [0] * 12])


def reference_attention(attention, config, hidden, documents):
    """Position by position and head by head, with a loop over what each may see."""
    mixed = torch.zeros_like(hidden)
    size = config.head_size
    for row in range(len(hidden)):
        projected = attention.query_key_value(hidden[row])
        heads = projected.view(12, config.num_heads + 2 * config.kv_heads, size)
        query, key, value = heads.split([config.num_heads, config.kv_heads, config.kv_heads], dim=1)
        query, key = attention.query_norm(query), attention.key_norm(key)
        if config.position == "rope":
            cosine, sine = rotation_table(config)
            query, key = (rotate(x.transpose(0, 1), cosine, sine).transpose(0, 1) for x in (query, key))
        for head, at in itertools.product(range(config.num_heads), range(12)):
            shared = head // (config.num_heads // config.kv_heads)
            window = config.sliding_window_tokens or 12
            seen = [
                j
                for j in range(at + 1)
                if at - j < window and (documents is None or documents[row, j] == documents[row, at])
            ]
            scores = key[seen, shared] @ query[at, head] / math.sqrt(size)
            if config.position == "alibi":
                scores = scores - alibi_slopes(config.num_heads)[head] * torch.tensor([at - j for j in seen])
            mixed[row, at, head * size : (head + 1) * size] = scores.softmax(0) @ value[seen, shared]
    return attention.output(mixed)


@pytest.mark.parametrize("backend", ["sdpa", "flex"])
@pytest.mark.parametrize("documents", [None, DOCUMENTS], ids=["whole", "masked"])
@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"num_kv_heads": 2},
        {"num_kv_heads": 1, "qk_norm": True},
        {"sliding_window_tokens": 3},
        {"position": "alibi"},
        {"position": "alibi", "num_kv_heads": 2, "sliding_window_tokens": 4},
        {"position": "none"},
        {"position": "learned", "qk_norm": True},
    ],
    ids=str,
)
def test_attention_is_its_definition(parts, documents, backend):
    torch.manual_seed(0)
    config = ModelConfig(**SHAPE, **parts, attention_backend=backend)
    attention = Attention(config)
    hidden = torch.randn(2, 12, 32)
    rotation = rotation_table(config) if config.position == "rope" else None
    view = make_view(config, torch.zeros(2, 12, dtype=torch.long), documents, rotation)
    with torch.no_grad():
        found, expected = attention(hidden, view), reference_attention(attention, config, hidden, documents)
    assert torch.allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize(
    ("num_heads", "slopes"),
    [(8, [2.0**-i for i in range(1, 9)]), (1, [2.0**-8]), (3, [2.0**-4, 2.0**-8, 2.0**-2])],
)
def test_alibis_slopes_are_the_papers(num_heads, slopes):
    assert alibi_slopes(num_heads).tolist() == pytest.approx(slopes)


@pytest.mark.parametrize(
    ("activation", "formula"),
    [
        ("relu", lambda up: up.clamp(min=0)),
        ("gelu", lambda up: up * (1 + torch.erf(up / math.sqrt(2))) / 2),
        ("swiglu", lambda gate, up: gate / (1 + (-gate).exp()) * up),
        ("geglu", lambda gate, up: gate * (1 + torch.erf(gate / math.sqrt(2))) / 2 * up),
        ("reglu", lambda gate, up: gate.clamp(min=0) * up),
    ],
)
def test_activations(activation, formula):
    torch.manual_seed(0)
    layer = FeedForward(ModelConfig(**SHAPE, activation=activation, ffn_hidden_size=24))
    hidden = torch.randn(5, 32)
    inner = layer.gate_up.weight.split(24) if layer.is_gated else (layer.up.weight,)
    expected = formula(*(hidden @ matrix.T for matrix in inner)) @ layer.output.weight.T
    assert torch.allclose(layer(hidden), expected, atol=1e-6)


def test_experts_are_the_weighted_sum_of_those_chosen():
    torch.manual_seed(0)
    layer = Experts(ModelConfig(**SHAPE, num_experts=5, experts_per_token=2))
    hidden = torch.randn(2, 6, 32)
    found = layer(hidden)
    counts, mean = torch.zeros(5), torch.zeros(5)
    for row, at in itertools.product(range(2), range(6)):
        probabilities = layer.router(hidden[row, at]).softmax(0)
        chosen = probabilities.argsort(descending=True)[:2]
        counts[chosen] += 1
        mean += probabilities / 12
        weights = probabilities[chosen] / probabilities[chosen].sum()
        expected = sum(w * layer.experts[e](hidden[row, at]) for w, e in zip(weights, chosen, strict=True))
        assert torch.allclose(found[row, at], expected, atol=1e-6)
    assert float(layer.balancing_loss) == pytest.approx(float(5 * (counts / 24 * mean).sum()), rel=1e-5)


def test_experts_used_alike_cost_1_and_one_alone_costs_more():
    config = ModelConfig(**SHAPE, num_experts=4, experts_per_token=1)
    layer = Experts(config)
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[:, :4] = 5 * torch.eye(4)
    hidden = torch.zeros(4, 32)
    hidden[range(4), range(4)] = 1.0
    layer(hidden)
    assert float(layer.balancing_loss) == pytest.approx(1, abs=1e-5)
    layer(hidden[:1].expand(4, 32))
    assert float(layer.balancing_loss) > 3


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, lambda b, x: (h := x + b["a"](b["n1"](x))) + b["f"](b["n2"](h))),
        ({"norm_placement": "post"}, lambda b, x: b["n2"]((h := b["n1"](x + b["a"](x))) + b["f"](h))),
        (
            {"norm_placement": "deepnorm"},
            lambda b, x: b["n2"](4**0.25 * (h := b["n1"](4**0.25 * x + b["a"](x))) + b["f"](h)),
        ),
        ({"parallel_block": "gpt_neox"}, lambda b, x: x + b["a"](b["n1"](x)) + b["f"](b["n2"](x))),
        ({"parallel_block": "palm"}, lambda b, x: x + b["a"](b["n1"](x)) + b["f"](b["n1"](x))),
    ],
    ids=["pre", "post", "deepnorm", "gpt_neox", "palm"],
)
@pytest.mark.parametrize("norm", ["rmsnorm", "layernorm"])
def test_blocks_are_wired_as_their_papers_say(parts, expected, norm):
    torch.manual_seed(0)
    config = ModelConfig(**SHAPE, **parts, norm=norm)
    block = Block(config)
    tokens = torch.zeros(1, 12, dtype=torch.long)
    view = make_view(config, tokens, None, rotation_table(config))
    named = {
        "a": lambda x: block.attention(x, view),
        "f": block.feed_forward,
        "n1": block.attention_norm,
        "n2": getattr(block, "feed_forward_norm", None),
    }
    hidden = torch.randn(1, 12, 32)
    with torch.no_grad():
        assert torch.allclose(block(hidden, view), expected(named, hidden), atol=1e-6)
    assert isinstance(block.attention_norm, torch.nn.LayerNorm) == (norm == "layernorm")


MODELS = [
    {},
    {"position": "alibi", "norm": "layernorm", "activation": "gelu"},
    {"position": "learned", "norm": "layernorm", "norm_placement": "post", "activation": "relu"},
    {"position": "none", "norm_placement": "deepnorm", "num_kv_heads": 2},
    {"parallel_block": "gpt_neox", "qk_norm": True, "activation": "geglu"},
    {"parallel_block": "palm", "num_kv_heads": 1, "tie_embeddings": True},
    {"num_experts": 4, "experts_per_token": 2, "activation": "reglu", "sliding_window_tokens": 5},
]


@pytest.mark.parametrize("parts", MODELS, ids=str)
def test_every_model_keeps_what_all_promise(parts):
    """First loss ln V, no look ahead, counted parameters, gradients everywhere, documents blind to each other."""
    config = ModelConfig(**SHAPE, **parts)
    model = Decoder(config, vocab_size=500, seed=1)
    tokens = torch.from_numpy(np.random.default_rng(0).integers(1, 500, (8, 13)))
    losses = model.negative_log_likelihood(tokens[:, :-1], tokens[:, 1:])
    assert abs(float(losses.mean()) - math.log(500)) < 0.1

    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == num_params(config, 500)
    outside = {"embedding.weight", "unembedding.weight", "position_embedding.weight"}
    blocks = sum(p.numel() for name, p in model.named_parameters() if name not in outside)
    assert blocks == num_params_non_embedding(config) >= num_active_params_non_embedding(config)

    with torch.no_grad():  # a zero output layer hides what it is given
        model.unembedding.weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
    changed = tokens[:, :-1].clone()
    changed[:, 7] = 499 - changed[:, 7]
    with torch.no_grad():
        before, after = model(tokens[:, :-1]), model(changed)
        documents = (torch.arange(12) >= 7).long().expand(8, 12)
        masked, masked_changed = model(tokens[:, :-1], documents), model(changed, documents)
    assert torch.allclose(before[:, :7], after[:, :7], atol=1e-6)
    assert not torch.allclose(before[:, 8:], after[:, 8:], atol=1e-6)
    changed[:, 7] = tokens[:, 7]
    changed[:, 3] = 499 - changed[:, 3]
    with torch.no_grad():
        assert torch.allclose(model(changed, documents)[:, 7:], masked[:, 7:], atol=1e-6)
        assert not torch.allclose(masked_changed[:, 7:], masked[:, 7:], atol=1e-6)

    model.zero_grad()
    (model.negative_log_likelihood(tokens[:, :-1], tokens[:, 1:]).mean() + model.auxiliary_loss()).backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []


def test_experts_cost_what_a_token_goes_through():
    dense = ModelConfig(**SHAPE)
    sparse = ModelConfig(**SHAPE, num_experts=8, experts_per_token=1)
    router = 2 * 32 * 8
    assert num_active_params_non_embedding(sparse) == num_params_non_embedding(dense) + router
    assert flops_per_token(sparse, 500) == flops_per_token(dense, 500) + 6 * router
    windowed = ModelConfig(**SHAPE, sliding_window_tokens=3)
    assert flops_per_token(dense, 500) - flops_per_token(windowed, 500) == 12 * 2 * 32 * (12 - 3)


def test_balancing_loss_is_weighted_and_averaged_over_layers():
    model = Decoder(ModelConfig(**SHAPE, num_experts=4, load_balancing_weight=0.5), vocab_size=50, seed=0)
    model(torch.arange(12)[None])
    found = [float(block.feed_forward.balancing_loss.detach()) for block in model.blocks]
    assert float(model.auxiliary_loss().detach()) == pytest.approx(0.5 * sum(found) / 2)
    assert float(Decoder(ModelConfig(**SHAPE), vocab_size=50, seed=0).auxiliary_loss()) == 0


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"num_kv_heads": 3}, "num_heads=4 is not divisible by num_kv_heads=3; .* try num_kv_heads=1"),
        ({"hidden_size": 36}, "hidden_size=36 is not divisible by 2 x num_heads=4 .*try hidden_size="),
        ({"hidden_size": 34, "position": "alibi"}, "hidden_size=34 is not divisible by 1 x num_heads=4; try"),
        ({"parallel_block": "palm", "norm_placement": "post"}, "set norm_placement = 'pre'"),
        ({"num_experts": 2, "experts_per_token": 3}, "experts_per_token=3 of num_experts=2"),
        ({"position": "sine"}, "position"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, message):
    with pytest.raises(ValidationError, match=message):
        ModelConfig(**{**SHAPE, **parts})


def test_a_width_for_alibi_needs_no_pairs():
    assert ModelConfig(**{**SHAPE, "hidden_size": 36}, position="alibi").head_size == 9
