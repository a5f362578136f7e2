"""A decoder-only transformer; by default in the shape of Llama.

Blocks of causal attention and a feed-forward layer, no biases but LayerNorm's, tied or free output embedding. Which
parts it has is ``ModelConfig``'s to say; parameter names and layouts are plain PyTorch.

Cost per token, forward: 2 FLOPs per weight outside the embeddings, plus 4 x context x hidden per layer for attention
scores and values (``trainer/flops.py``). With the small models that judge data on a CPU, the vocabulary dominates: at
hidden size 128 and 8,192 ids the output layer has as many weights as ten blocks. The loss therefore never keeps the
logits of a whole step: ``training_run.py`` takes a step in pieces of ``forward_tokens``.

Initialisation gives a first loss of ln V, the loss of knowing nothing: a free output layer starts at zero. Tied
embeddings cannot; they start at standard deviation min(0.02, 2.5 / hidden_size), which keeps the logit of the input
token itself (hidden_size times that) below 2.5 and the loss within 0.1 of ln V. DeepNorm's residual factor is
(2L)^(1/4), and its values, outputs and feed-forward layers start smaller by (8L)^(-1/4).

With muP (``mup_base_width``) matrices of the blocks start smaller by the root of the width factor and learn slower by
the factor, and the output layer's input is divided by it (Yang et al. 2022, table 8).

Sources: Llama (Touvron et al. 2023, section 2.2); the scale 0.02 / sqrt(2 x layers) of residual projections from GPT-2;
DeepNorm, Wang et al. 2022, figure 2 (decoder only); parallel blocks, Black et al. 2022 (GPT-NeoX) and Chowdhery et al.
2022 (PaLM). Deviation: DeepNorm scales this model's own initial weights, not Xavier's.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.data import IGNORED_TARGET
from trainer.model.attention import Attention, View, make_view
from trainer.model.feed_forward import balancing_loss, make_feed_forward
from trainer.model.positions import rotation_table
from trainer.model_config import ModelConfig

_INIT_STD = 0.02


def make_norm(config: ModelConfig) -> nn.Module:
    """A norm of the residual stream."""
    kind = nn.RMSNorm if config.norm == "rmsnorm" else nn.LayerNorm
    return kind(config.hidden_size, eps=config.norm_epsilon)


@torch.no_grad()
def draw_weights(
    model: nn.Module, config: ModelConfig, residual_layers: dict[str, int], *, tied_logit_scale: float, seed: int
) -> None:
    """Initial weights, which depend on ``seed`` and the shape alone.

    Args:
        model: with ``embedding`` and ``unembedding``.
        config: its shape.
        residual_layers: layers that add to each residual stream, by the beginning of its parameters' names.
        tied_logit_scale: what a tied output layer's logits are multiplied by.
        seed: of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    tied_std = min(_INIT_STD, 2.5 / (config.hidden_size * tied_logit_scale))
    for name, parameter in model.named_parameters():
        if name == "embedding.weight":
            parameter.normal_(0, tied_std if config.tie_embeddings else _INIT_STD, generator=generator)
        elif name == "unembedding.weight":
            parameter.zero_()
        elif parameter.ndim == 2:
            std = _INIT_STD / math.sqrt(config.width_factor)
            if name.endswith("output.weight"):
                std /= math.sqrt(next(count for stream, count in residual_layers.items() if name.startswith(stream)))
            parameter.normal_(0, std, generator=generator)


def target_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Minus the log probability of each target in nats, float32, shape of ``targets``; 0 where it is ignored."""
    flat = logits.float().flatten(0, 1)
    losses = F.cross_entropy(flat, targets.flatten(), ignore_index=IGNORED_TARGET, reduction="none")
    return losses.view(targets.shape)


class Block(nn.Module):
    """One layer: attention and feed-forward on the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.placement = config.norm_placement
        self.parallel = config.parallel_block
        self.residual_factor = (2 * config.num_layers) ** 0.25 if self.placement == "deepnorm" else 1.0
        self.attention_norm = make_norm(config)
        self.attention = Attention(config)
        if self.parallel != "palm":
            self.feed_forward_norm = make_norm(config)
        self.feed_forward = make_feed_forward(config)

    def forward(self, hidden: Tensor, view: View) -> Tensor:
        """Shape (batch, position, width) is kept."""
        if self.parallel == "palm":
            normed = self.attention_norm(hidden)
            return hidden + self.attention(normed, view) + self.feed_forward(normed)
        if self.parallel == "gpt_neox":
            attended = self.attention(self.attention_norm(hidden), view)
            return hidden + attended + self.feed_forward(self.feed_forward_norm(hidden))
        if self.placement == "pre":
            hidden = hidden + self.attention(self.attention_norm(hidden), view)
            return hidden + self.feed_forward(self.feed_forward_norm(hidden))
        hidden = self.attention_norm(self.residual_factor * hidden + self.attention(hidden, view))
        return self.feed_forward_norm(self.residual_factor * hidden + self.feed_forward(hidden))


class Decoder(nn.Module):
    """Token ids to next-token logits.

    Args:
        config: size, shape and parts.
        vocab_size: number of token ids.
        seed: of the initial weights, which depend on nothing else.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, *, seed: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocab_size, config.hidden_size)
        if config.position == "learned":
            self.position_embedding = nn.Embedding(config.context_tokens, config.hidden_size)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.final_norm = make_norm(config) if config.norm_placement == "pre" else nn.Identity()
        self.unembedding = nn.Linear(config.hidden_size, vocab_size, bias=False)
        if config.tie_embeddings:
            self.unembedding.weight = self.embedding.weight
        self.cosine: Tensor
        self.sine: Tensor
        if config.position == "rope":
            cosine, sine = rotation_table(config)
            self.register_buffer("cosine", cosine, persistent=False)
            self.register_buffer("sine", sine, persistent=False)
        draw_weights(self, config, {"": 2 * config.num_layers}, tied_logit_scale=1.0, seed=seed)
        if config.norm_placement == "deepnorm":
            self._shrink_for_deepnorm((8 * config.num_layers) ** -0.25)

    @torch.no_grad()
    def _shrink_for_deepnorm(self, factor: float) -> None:
        num_scores = (self.config.num_heads + self.config.kv_heads) * self.config.head_size  # rows of queries and keys
        for name, parameter in self.named_parameters():
            if name.endswith("query_key_value.weight"):
                parameter[num_scores:].mul_(factor)
            elif name.startswith("blocks.") and parameter.ndim == 2 and not name.endswith("router.weight"):
                parameter.mul_(factor)

    def forward(self, tokens: Tensor, documents: Tensor | None = None, prefix_lengths: Tensor | None = None) -> Tensor:
        """Logits of the next token.

        Args:
            tokens: ids, shape (batch, position), at most ``context_tokens`` positions.
            documents: number of the document of each position, same shape; positions see their own document alone.
                None: all before them.
            prefix_lengths: first positions of each row that see each other both ways, shape (batch,); None: none.

        Returns:
            Shape (batch, position, vocab_size).
        """
        length = tokens.shape[1]
        hidden = self.embedding(tokens)
        if self.config.position == "learned":
            hidden = hidden + self.position_embedding.weight[:length]
        rotation = (self.cosine[:length], self.sine[:length]) if self.config.position == "rope" else None
        view = make_view(self.config, tokens, documents, rotation, prefix_lengths)
        for block in self.blocks:
            hidden = block(hidden, view)
        return self.unembedding(self.final_norm(hidden) / self.config.width_factor)

    def negative_log_likelihood(
        self,
        tokens: Tensor,
        targets: Tensor,
        documents: Tensor | None = None,
        prefix_lengths: Tensor | None = None,
    ) -> Tensor:
        """Minus the log probability of each target in nats, float32, shape (batch, position).

        0 where the target is ``IGNORED_TARGET``.
        """
        return target_losses(self(tokens, documents, prefix_lengths), targets)

    def auxiliary_loss(self) -> Tensor:
        """What the last forward pass adds to the training loss: the experts' balancing, 0 without experts."""
        return balancing_loss(self.blocks, self.config.load_balancing_weight).to(self.embedding.weight.device)
