"""Attention, causal or with a prefix that sees itself both ways: multi-head, grouped or multi-query.

It reaches over all positions before, a window, or one's own document; in an encoder-decoder also from the decoder's
positions to the encoder's.

What a position may see is the same for every layer, so it is worked out once a forward pass (``View``). Plain causal
attention needs no mask and takes PyTorch's fused kernels; a window, document borders or ALiBi need a dense mask or bias
of context x context there, or FlexAttention, which skips blocks that nobody sees and computes the bias as it goes.

Sources: grouped and multi-query heads, Ainslie et al. 2023; sliding window, Beltagy et al. 2020 (Longformer), as
Mistral has it; QK-norm, Dehghani et al. 2023 (ViT-22B, section 2), with RMSNorm head by head as in Qwen 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from trainer.model.positions import alibi_slopes, rotate
from trainer.model_config import ModelConfig


@dataclass(frozen=True)
class View:
    """What positions see of each other, for one forward pass.

    Args:
        rotation: cosine and sine of each position, or None.
        mask: for fused attention: bool (seen or not) or float (bias, -inf where not seen); broadcasts to (batch, heads,
            position, position). None: plain causal.
        block_mask: for FlexAttention, instead of ``mask``.
        slopes: ALiBi's, for FlexAttention.
    """

    rotation: tuple[Tensor, Tensor] | None = None
    mask: Tensor | None = None
    block_mask: BlockMask | None = None
    slopes: Tensor | None = None


def make_view(
    config: ModelConfig,
    tokens: Tensor,
    documents: Tensor | None,
    rotation: tuple[Tensor, Tensor] | None,
    prefix_lengths: Tensor | None = None,
    bias: Tensor | None = None,
) -> View:
    """The view of a batch.

    Args:
        tokens: shape (batch, position); for the shape and device.
        documents: number of the document of each position, shape (batch, position); None: one document.
        rotation: cosine and sine of the first positions.
        prefix_lengths: first positions that see each other both ways, shape (batch,); None: none.
        bias: T5's, broadcasting to (batch, heads, position, position); None: the position is told otherwise.
    """
    window = config.sliding_window_tokens
    length = tokens.shape[1]
    needs_window = window is not None and window < length
    is_biased = config.position in ("alibi", "relative")
    if documents is None and prefix_lengths is None and not needs_window and not is_biased:
        return View(rotation)
    slopes = alibi_slopes(config.num_heads).to(tokens.device) if config.position == "alibi" else None
    if _takes_flex(config, tokens.device):
        return View(rotation, block_mask=_block_mask(documents, window, prefix_lengths, tokens), slopes=slopes)
    position = torch.arange(length, device=tokens.device)
    distance = position[:, None] - position[None, :]
    seen = (distance >= 0)[None, None]
    if prefix_lengths is not None:
        is_given = position < prefix_lengths[:, None]
        seen = seen | (is_given[:, None, :, None] & is_given[:, None, None, :])
    if window is not None:
        seen = seen & (distance.abs() < window)
    if documents is not None:
        seen = seen & (documents[:, None, :, None] == documents[:, None, None, :])
    if slopes is not None:
        bias = -slopes[None, :, None, None] * distance.abs()
    if bias is None:
        return View(rotation, mask=seen)
    return View(rotation, mask=bias.masked_fill(~seen, -torch.inf))


class Attention(nn.Module):
    """Queries, keys and values are one matrix, in this order."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.sizes = (config.num_heads, config.kv_heads, config.kv_heads)
        self.head_size = config.head_size
        self.query_key_value = nn.Linear(config.hidden_size, sum(self.sizes) * config.head_size, bias=False)
        self.output = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.query_norm, self.key_norm = _head_norms(config)

    def forward(self, hidden: Tensor, view: View) -> Tensor:
        """Mix the positions of ``hidden``, shape (batch, position, width)."""
        batch, length, width = hidden.shape
        heads = self.query_key_value(hidden).view(batch, length, sum(self.sizes), self.head_size).transpose(1, 2)
        query, key, value = heads.split(self.sizes, dim=1)  # each (batch, head, position, head width)
        query, key = self.query_norm(query), self.key_norm(key)
        if view.rotation is not None:
            query, key = rotate(query, *view.rotation), rotate(key, *view.rotation)
        grouped = self.sizes[0] != self.sizes[1]
        if view.block_mask is not None:
            mixed = _flex(query, key, value, view, grouped)
        else:
            mask = None if view.mask is None else _as_bias(view.mask, query)
            mixed = F.scaled_dot_product_attention(
                query, key, value, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped
            )
        return self.output(mixed.transpose(1, 2).reshape(batch, length, width))


class CrossAttention(nn.Module):
    """From a decoder's positions to an encoder's; neither is rotated or biased, since places in the two do not compare.

    Keys and values are one matrix, in this order.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.sizes = (config.num_heads, config.kv_heads)
        self.head_size = config.head_size
        self.query = nn.Linear(config.hidden_size, config.num_heads * config.head_size, bias=False)
        self.key_value = nn.Linear(config.hidden_size, 2 * config.kv_heads * config.head_size, bias=False)
        self.output = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.query_norm, self.key_norm = _head_norms(config)

    def forward(self, hidden: Tensor, encoded: Tensor, seen: Tensor | None) -> Tensor:
        """Mix positions of ``encoded`` into those of ``hidden``.

        Args:
            hidden: shape (batch, position, width).
            encoded: shape (batch, encoder position, width).
            seen: which position sees which, bool of shape (batch, 1, position, encoder position); None: all.
        """
        num_heads, kv_heads = self.sizes
        batch, length, width = hidden.shape
        query = self.query(hidden).view(batch, length, num_heads, self.head_size).transpose(1, 2)
        heads = self.key_value(encoded).view(batch, encoded.shape[1], 2 * kv_heads, self.head_size).transpose(1, 2)
        key, value = heads.chunk(2, dim=1)
        query, key = self.query_norm(query), self.key_norm(key)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=seen, enable_gqa=num_heads != kv_heads)
        return self.output(mixed.transpose(1, 2).reshape(batch, length, width))


def _head_norms(config: ModelConfig) -> tuple[nn.Module, nn.Module]:
    """Norms of each head's queries and keys."""
    if not config.qk_norm:
        return nn.Identity(), nn.Identity()
    size, epsilon = config.head_size, config.norm_epsilon
    return nn.RMSNorm(size, eps=epsilon), nn.RMSNorm(size, eps=epsilon)


def _takes_flex(config: ModelConfig, device: torch.device) -> bool:
    if config.kind == "encoder_decoder":
        return False
    return config.attention_backend == "flex" or (config.attention_backend == "auto" and device.type == "cuda")


def _as_bias(mask: Tensor, query: Tensor) -> Tensor:
    return mask if mask.dtype == torch.bool else mask.to(query.dtype)


def _block_mask(
    documents: Tensor | None, window: int | None, prefix_lengths: Tensor | None, tokens: Tensor
) -> BlockMask:
    batch, length = tokens.shape

    def seen(b: Tensor, _h: Tensor, query: Tensor, key: Tensor) -> Tensor:
        visible = query >= key
        if prefix_lengths is not None:
            visible = visible | ((query < prefix_lengths[b]) & (key < prefix_lengths[b]))
        if window is not None:
            visible = visible & ((query - key).abs() < window)
        if documents is not None:
            visible = visible & (documents[b, query] == documents[b, key])
        return visible

    return create_block_mask(
        seen,
        B=None if documents is None and prefix_lengths is None else batch,
        H=None,
        Q_LEN=length,
        KV_LEN=length,
        device=tokens.device,
    )


def _flex(query: Tensor, key: Tensor, value: Tensor, view: View, grouped: bool) -> Tensor:
    slopes = view.slopes

    def fall(score: Tensor, _b: Tensor, head: Tensor, query_at: Tensor, key_at: Tensor) -> Tensor:
        assert slopes is not None
        return score - slopes[head] * (query_at - key_at).abs()

    attend = _compiled_flex() if query.device.type == "cuda" else flex_attention
    return attend(
        query,
        key,
        value,
        score_mod=None if slopes is None else fall,
        block_mask=view.block_mask,
        enable_gqa=grouped,
    )


@lru_cache(maxsize=1)
def _compiled_flex() -> Any:
    """Uncompiled, FlexAttention materialises every score."""
    return torch.compile(flex_attention)
