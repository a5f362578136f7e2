"""An encoder with a decoder that attends to it; with relative positions, RMSNorm and no biases, the shape of T5.

The encoder's positions see each other both ways; the decoder's see those before them, and in each block all of the
encoder's last layer. Both read the same embedding. Which other parts there are is ``ModelConfig``'s to say; they are
those of the decoder-only model, whose blocks the encoder consists of.

A token costs the weights of the side that it is on, forward 2 FLOPs each; keys and values of the decoder's attention to
the encoder are worked out at the encoder's positions (``trainer/flops.py`` has the formula).

Initialisation gives a first loss of ln V as in ``decoder.py``. Tied embeddings serve logits divided by the root of the
width, as in T5 v1.0; a free output layer (v1.1) starts at zero and its logits are as they come. Layers that add to a
residual stream start smaller by the root of their number: two a block in the encoder, three in the decoder.

Sources: Vaswani et al. 2017, section 3; Raffel et al. 2020 (T5), section 2.1; v1.1's gated units, Shazeer 2020.
Deviations: scores are divided by the root of the head's width, which T5 folds into its initial weights instead (an
export multiplies it in); heads are as wide together as the model; no dropout; initial weights have the decoder-only
model's sizes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from trainer.model.attention import Attention, CrossAttention, View, make_view
from trainer.model.decoder import Block, draw_weights, make_norm, target_losses
from trainer.model.feed_forward import balancing_loss, make_feed_forward
from trainer.model.positions import RelativeBias, rotation_table
from trainer.model_config import ModelConfig


class DecoderBlock(nn.Module):
    """One layer of the decoder: attention to itself, to the encoder, and feed-forward, on the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.is_normed_before = config.norm_placement == "pre"
        self.attention_norm = make_norm(config)
        self.attention = Attention(config)
        self.cross_attention_norm = make_norm(config)
        self.cross_attention = CrossAttention(config)
        self.feed_forward_norm = make_norm(config)
        self.feed_forward = make_feed_forward(config)

    def forward(self, hidden: Tensor, view: View, encoded: Tensor, seen: Tensor | None) -> Tensor:
        """Shape (batch, position, width) is kept; the other arguments as of the two kinds of attention."""
        if self.is_normed_before:
            hidden = hidden + self.attention(self.attention_norm(hidden), view)
            hidden = hidden + self.cross_attention(self.cross_attention_norm(hidden), encoded, seen)
            return hidden + self.feed_forward(self.feed_forward_norm(hidden))
        hidden = self.attention_norm(hidden + self.attention(hidden, view))
        hidden = self.cross_attention_norm(hidden + self.cross_attention(hidden, encoded, seen))
        return self.feed_forward_norm(hidden + self.feed_forward(hidden))


class Side(nn.Module):
    """Encoder or decoder: its blocks, and how its positions are told."""

    def __init__(self, config: ModelConfig, *, is_encoder: bool) -> None:
        super().__init__()
        self.config = config
        self.is_encoder = is_encoder
        if config.position == "relative":
            self.relative_bias = RelativeBias(config, both_ways=is_encoder)
        elif config.position == "learned":
            self.position_embedding = nn.Embedding(config.context_tokens, config.hidden_size)
        count, block = (config.num_layers, Block) if is_encoder else (config.decoder_layers, DecoderBlock)
        self.blocks = nn.ModuleList(block(config) for _ in range(count))
        self.final_norm = make_norm(config) if config.norm_placement == "pre" else nn.Identity()

    def forward(
        self,
        embedded: Tensor,
        documents: Tensor | None,
        rotation: tuple[Tensor, Tensor] | None,
        *attended: Tensor | None,
    ) -> Tensor:
        """Shape (batch, position, width) is kept; ``attended``: what a decoder's blocks take beside the view."""
        batch, length, _ = embedded.shape
        hidden = embedded
        if self.config.position == "learned":
            hidden = hidden + self.position_embedding.weight[:length]
        both_ways = torch.full((batch,), length, device=hidden.device) if self.is_encoder else None
        bias = self.relative_bias(length) if self.config.position == "relative" else None
        view = make_view(self.config, embedded, documents, rotation, both_ways, bias)
        for block in self.blocks:
            hidden = block(hidden, view, *attended)
        return self.final_norm(hidden)


class EncoderDecoder(nn.Module):
    """Token ids of an encoder and of a decoder to logits of the decoder's next token.

    Args:
        config: size, shape and parts.
        vocab_size: number of token ids.
        seed: of the initial weights, which depend on nothing else.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, *, seed: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocab_size, config.hidden_size)
        self.encoder = Side(config, is_encoder=True)
        self.decoder = Side(config, is_encoder=False)
        self.unembedding = nn.Linear(config.hidden_size, vocab_size, bias=False)
        self.logit_scale = 1 / config.width_factor
        if config.tie_embeddings:
            self.unembedding.weight = self.embedding.weight
            self.logit_scale = 1 / math.sqrt(config.hidden_size)
        self.cosine: Tensor
        self.sine: Tensor
        if config.position == "rope":
            cosine, sine = rotation_table(config)
            self.register_buffer("cosine", cosine, persistent=False)
            self.register_buffer("sine", sine, persistent=False)
        residual_layers = {"encoder.": 2 * config.num_layers, "decoder.": 3 * config.decoder_layers}
        draw_weights(self, config, residual_layers, tied_logit_scale=self.logit_scale, seed=seed)

    @property
    def blocks(self) -> list[nn.Module]:
        """The encoder's blocks, then the decoder's."""
        return [*self.encoder.blocks, *self.decoder.blocks]

    def forward(
        self,
        tokens: Tensor,
        source: Tensor,
        documents: Tensor | None = None,
        source_documents: Tensor | None = None,
    ) -> Tensor:
        """Logits of the decoder's next token.

        Args:
            tokens: ids that the decoder reads, shape (batch, position), at most ``context_tokens`` positions.
            source: ids that the encoder reads, shape (batch, encoder position), as many at most.
            documents: number of the document of each position of ``tokens``, same shape; a position sees positions of
                its own document alone, on either side, of which the encoder has one at least. None: all.
            source_documents: the same of ``source``; with ``documents`` or not at all.

        Returns:
            Shape (batch, position, vocab_size).
        """
        encoded = self.encoder(self.embedding(source), source_documents, self._rotation(source))
        seen = None
        if documents is not None and source_documents is not None:
            seen = documents[:, None, :, None] == source_documents[:, None, None, :]
        hidden = self.decoder(self.embedding(tokens), documents, self._rotation(tokens), encoded, seen)
        return self.unembedding(hidden * self.logit_scale)

    def _rotation(self, tokens: Tensor) -> tuple[Tensor, Tensor] | None:
        length = tokens.shape[1]
        return (self.cosine[:length], self.sine[:length]) if self.config.position == "rope" else None

    def negative_log_likelihood(
        self,
        tokens: Tensor,
        targets: Tensor,
        source: Tensor,
        documents: Tensor | None = None,
        source_documents: Tensor | None = None,
    ) -> Tensor:
        """Minus the log probability of each target in nats, float32, shape (batch, position).

        0 where the target is ``IGNORED_TARGET``.
        """
        return target_losses(self(tokens, source, documents, source_documents), targets)

    def auxiliary_loss(self) -> Tensor:
        """What the last forward pass adds to the training loss: the experts' balancing, 0 without experts."""
        return balancing_loss(self.blocks, self.config.load_balancing_weight).to(self.embedding.weight.device)
