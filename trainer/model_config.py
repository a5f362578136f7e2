"""Size, shape and parts of the model, a decoder or an encoder with a decoder: the TOML table ``[train.model]``."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.config import Config, Off

_GATED = ("swiglu", "geglu", "reglu")


class ModelConfig(Config):
    """Size, shape and parts of the model.

    The default has about 0.8 million parameters beside its embeddings: with a vocabulary of 8,192 it learns more than
    unigrams in a minute on two cores.

    Args:
        kind: a decoder alone, or an encoder that a decoder attends to (T5).
        num_layers, hidden_size, num_heads: of the blocks; of an encoder-decoder, ``num_layers`` in the encoder.
        num_decoder_layers: of an encoder-decoder; None: as many as in the encoder.
        context_tokens: length of a sequence.
        num_kv_heads: heads of keys and values; None: as many as queries, 1: multi-query, between: grouped.
        sliding_window_tokens: how many positions a position sees, its own included; None: all before it.
        position: rotary, a bias linear in the distance (ALiBi), a learned vector per position, nothing, or, of an
            encoder-decoder, a learned bias per head and range of distances that all layers of a side share (T5).
        rope_base: of the rotary frequencies.
        relative_buckets: ranges of distances that ``position = "relative"`` tells apart.
        relative_max_distance: from which on all distances are one range.
        norm: of the residual stream; LayerNorm has a bias.
        norm_placement: before each layer, after it, or after it with the residual scaled up (DeepNorm).
        norm_epsilon: under the root.
        qk_norm: whether queries and keys are normalised head by head.
        activation: of the feed-forward layer; the three gated ones have a third matrix.
        ffn_hidden_size: its inner width; None: 8/3 of hidden_size if gated, else 4 times, up to a multiple of 32.
        parallel_block: attention and feed-forward side by side: each with a norm (GPT-NeoX) or with one (PaLM).
        num_experts: feed-forward layers of each block, of which a router chooses; None: one, without a router.
        experts_per_token: how many it chooses.
        load_balancing_weight: of the loss that keeps experts equally busy.
        tie_embeddings: whether the output layer is the embedding; an encoder-decoder then divides its input by the root
            of hidden_size (T5).
        mup_base_width: hidden size at which learning rate and initial weights are as without it; other widths keep the
            best rate of that one (muP). The size of a head is to stay the same. None: off.
        attention_backend: PyTorch's fused attention, FlexAttention, or ``auto``: FlexAttention on CUDA where a mask is
            needed, since a dense mask costs context x context.
    """

    kind: Literal["decoder", "encoder_decoder"] = "decoder"
    num_layers: int = Field(default=4, gt=0, le=256)
    num_decoder_layers: int | None = Field(default=None, gt=0, le=256)
    hidden_size: int = Field(default=128, gt=0, le=32_768)
    num_heads: int = Field(default=4, gt=0, le=256)
    context_tokens: int = Field(default=256, gt=1, le=1 << 20)
    num_kv_heads: int | None = Field(default=None, gt=0, le=256)
    sliding_window_tokens: Annotated[int | None, Field(gt=0), Off] = None
    position: Literal["rope", "alibi", "learned", "none", "relative"] = "rope"
    rope_base: float = Field(default=10_000.0, gt=1)
    relative_buckets: int = Field(default=32, ge=4, le=1024, multiple_of=2)
    relative_max_distance: int = Field(default=128, gt=1, le=1 << 20)
    norm: Literal["rmsnorm", "layernorm"] = "rmsnorm"
    norm_placement: Literal["pre", "post", "deepnorm"] = "pre"
    norm_epsilon: float = Field(default=1e-5, gt=0, le=1e-2)
    qk_norm: bool = False
    activation: Literal["relu", "gelu", "swiglu", "geglu", "reglu"] = "swiglu"
    ffn_hidden_size: int | None = Field(default=None, gt=0)
    parallel_block: Annotated[Literal["gpt_neox", "palm"] | None, Off] = None
    num_experts: Annotated[int | None, Field(gt=1, le=1024), Off] = None
    experts_per_token: int = Field(default=2, gt=0, le=1024)
    load_balancing_weight: float = Field(default=0.01, ge=0, le=1)
    tie_embeddings: bool = False
    mup_base_width: Annotated[int | None, Field(gt=0), Off] = None
    attention_backend: Literal["auto", "sdpa", "flex"] = "auto"

    @model_validator(mode="after")
    def _parts_fit(self) -> ModelConfig:
        pair = 2 if self.position == "rope" else 1
        if self.hidden_size % (pair * self.num_heads):
            why = " (rotary embedding turns pairs in each head)" if pair == 2 else ""
            nearest = pair * self.num_heads * max(1, round(self.hidden_size / (pair * self.num_heads)))
            raise ValueError(
                f"hidden_size={self.hidden_size} is not divisible by {pair} x num_heads={self.num_heads}{why}; "
                f"try hidden_size={nearest}"
            )
        if self.num_heads % self.kv_heads:
            raise ValueError(
                f"num_heads={self.num_heads} is not divisible by num_kv_heads={self.kv_heads}; expected each key head "
                f"to serve equally many queries; try num_kv_heads={math.gcd(self.num_heads, self.kv_heads)}"
            )
        if self.parallel_block and self.norm_placement != "pre":
            raise ValueError(
                f"parallel_block={self.parallel_block!r} with norm_placement={self.norm_placement!r}; expected 'pre': "
                f"both layers read the normalised stream; set norm_placement = 'pre'"
            )
        if self.mup_base_width is not None and self.tie_embeddings:
            raise ValueError(
                f"mup_base_width={self.mup_base_width} with tie_embeddings; expected a free output layer, which muP "
                f"scales otherwise than the embedding; set tie_embeddings = false"
            )
        if self.num_experts is not None and self.experts_per_token > self.num_experts:
            raise ValueError(
                f"experts_per_token={self.experts_per_token} of num_experts={self.num_experts}; expected at most as "
                f"many; try experts_per_token=2"
            )
        return self

    @model_validator(mode="after")
    def _parts_are_of_the_kind(self) -> ModelConfig:
        if self.kind == "decoder":
            found = {
                "position='relative'": self.position == "relative",
                f"num_decoder_layers={self.num_decoder_layers}": self.num_decoder_layers is not None,
            }
            expected = "a part that a decoder alone has; remove it, or set kind = 'encoder_decoder'"
        else:
            found = {
                "norm_placement='deepnorm'": self.norm_placement == "deepnorm",
                f"parallel_block={self.parallel_block!r}": self.parallel_block is not None,
                "attention_backend='flex'": self.attention_backend == "flex",
            }
            expected = "norms 'pre' or 'post', layers one after the other and fused attention; remove it"
        for name, is_set in found.items():
            if is_set:
                raise ValueError(f"{name} with kind={self.kind!r}; expected {expected}")
        if self.position == "relative" and self.relative_max_distance <= self.relative_buckets // 2:
            raise ValueError(
                f"relative_max_distance={self.relative_max_distance} with relative_buckets={self.relative_buckets}; "
                f"expected more than half the buckets, each of which is one distance in the decoder; try "
                f"relative_max_distance={4 * self.relative_buckets}"
            )
        return self

    @property
    def decoder_layers(self) -> int:
        """Layers of the decoder."""
        return self.num_layers if self.num_decoder_layers is None else self.num_decoder_layers

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values."""
        return self.num_kv_heads or self.num_heads

    @property
    def head_size(self) -> int:
        """Channels of a head."""
        return self.hidden_size // self.num_heads

    @property
    def width_factor(self) -> float:
        """How many times wider than muP's base the model is; 1 without muP."""
        return 1.0 if self.mup_base_width is None else self.hidden_size / self.mup_base_width

    @property
    def is_gated(self) -> bool:
        """Whether the feed-forward layer multiplies its activation with a third matrix's output."""
        return self.activation in _GATED

    @property
    def ffn_size(self) -> int:
        """Inner width of the feed-forward layers."""
        return self.ffn_hidden_size or 32 * math.ceil(self.hidden_size * (8 / 3 if self.is_gated else 4) / 32)
