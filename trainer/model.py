"""A decoder-only transformer in the shape of Llama.

Pre-norm blocks of causal attention with rotary positions and a SwiGLU feed-forward layer, RMSNorm, no biases, tied or
free output embedding. Parameter names and layouts are plain PyTorch; queries, keys and values are one matrix.

Cost per token, forward: 2 FLOPs per weight outside the embeddings, plus 4 x context x hidden per layer for attention
scores and values (``trainer/flops.py``). With the small models that judge data on a CPU, the vocabulary dominates: at
hidden size 128 and 8,192 ids the output layer has as many weights as ten blocks. The loss therefore never keeps the
logits of a whole step: ``train.py`` takes a step in pieces of ``forward_tokens``.

Initialisation gives a first loss of ln V, the loss of knowing nothing: a free output layer starts at zero. Tied
embeddings cannot; they start at standard deviation min(0.02, 2.5 / hidden_size), which keeps the logit of the input
token itself (hidden_size times that) below 2.5 and the loss within 0.1 of ln V.

Sources: Llama (Touvron et al. 2023, section 2.2); RoPE (Su et al. 2021, section 3.2.2, in the half-split layout of
GPT-NeoX); SwiGLU (Shazeer 2020); the scale 0.02 / sqrt(2 x layers) of residual projections from GPT-2.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import ModelConfig
from trainer.data import IGNORED_TARGET

_INIT_STD = 0.02


class Attention(nn.Module):
    """Causal multi-head attention with rotary positions."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=False)
        self.output = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, hidden: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        batch, length, width = hidden.shape
        heads = self.query_key_value(hidden).view(batch, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (batch, head, position, head width)
        mixed = F.scaled_dot_product_attention(rotate(query, *rotation), rotate(key, *rotation), value, is_causal=True)
        return self.output(mixed.transpose(1, 2).reshape(batch, length, width))


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.hidden_size, 2 * config.ffn_size, bias=False)
        self.output = nn.Linear(config.ffn_size, config.hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        gate, up = self.gate_up(hidden).chunk(2, dim=-1)
        return self.output(F.silu(gate) * up)


class Block(nn.Module):
    """One layer: attention, then feed-forward, each on the normalised residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.hidden_size, eps=config.norm_epsilon)
        self.attention = Attention(config)
        self.feed_forward_norm = nn.RMSNorm(config.hidden_size, eps=config.norm_epsilon)
        self.feed_forward = FeedForward(config)

    def forward(self, hidden: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        hidden = hidden + self.attention(self.attention_norm(hidden), rotation)
        return hidden + self.feed_forward(self.feed_forward_norm(hidden))


class Decoder(nn.Module):
    """Token ids to next-token logits.

    Args:
        config: size and shape.
        vocab_size: number of token ids.
        seed: of the initial weights, which depend on nothing else.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, *, seed: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocab_size, config.hidden_size)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.final_norm = nn.RMSNorm(config.hidden_size, eps=config.norm_epsilon)
        self.unembedding = nn.Linear(config.hidden_size, vocab_size, bias=False)
        if config.tie_embeddings:
            self.unembedding.weight = self.embedding.weight
        self.cosine: Tensor
        self.sine: Tensor
        cosine, sine = rotation_table(config)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)
        self._initialize(torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def _initialize(self, generator: torch.Generator) -> None:
        residual_std = _INIT_STD / math.sqrt(2 * self.config.num_layers)
        tied_std = min(_INIT_STD, 2.5 / self.config.hidden_size)
        for name, parameter in self.named_parameters():
            if name == "embedding.weight":
                parameter.normal_(0, tied_std if self.config.tie_embeddings else _INIT_STD, generator=generator)
            elif name == "unembedding.weight":
                parameter.zero_()
            elif parameter.ndim == 2:
                std = residual_std if name.endswith("output.weight") else _INIT_STD
                parameter.normal_(0, std, generator=generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token.

        Args:
            tokens: ids, shape (batch, position), at most ``context_tokens`` positions.

        Returns:
            Shape (batch, position, vocab_size).
        """
        length = tokens.shape[1]
        hidden = self.embedding(tokens)
        rotation = (self.cosine[:length], self.sine[:length])
        for block in self.blocks:
            hidden = block(hidden, rotation)
        return self.unembedding(self.final_norm(hidden))

    def negative_log_likelihood(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Minus the log probability of each target in nats, float32, shape (batch, position).

        0 where the target is ``IGNORED_TARGET``.
        """
        logits = self(tokens).float()
        losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED_TARGET, reduction="none")
        return losses.view(targets.shape)


def rotation_table(config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Cosine and sine of position x base^(-2i / head width), each of shape (context_tokens, head width / 2)."""
    half = config.hidden_size // config.num_heads // 2
    frequencies = config.rope_base ** -(torch.arange(half, dtype=torch.float64) / half)
    angles = torch.outer(torch.arange(config.context_tokens, dtype=torch.float64), frequencies)
    return angles.cos().float(), angles.sin().float()


def rotate(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn the pair (i, i + half) of each head by its position's angle; shape and type of ``heads`` are kept."""
    first, second = heads.chunk(2, dim=-1)
    turned = torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
    return turned.to(heads.dtype)
