"""How a position is told: rotary angles, slopes of a bias linear in the distance, a learned bias by distance.

T5's bias has one value per head and bucket. Half of the buckets (of an encoder: of either direction's half) are one
distance each, the others grow in equal ratios up to ``relative_max_distance``, beyond which all is one bucket.

Sources: RoPE, Su et al. 2021, section 3.2.2, in the half-split layout of GPT-NeoX; ALiBi, Press et al. 2022, section 3
and its code for numbers of heads that are no power of two; relative bias, Raffel et al. 2020, section 2.1, with the
buckets of its code (``_relative_position_bucket``), float32 logarithms included.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from trainer.model_config import ModelConfig


def rotation_table(config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Cosine and sine of position x base^(-2i / head width), each of shape (context_tokens, head width / 2)."""
    half = config.head_size // 2
    frequencies = config.rope_base ** -(torch.arange(half, dtype=torch.float64) / half)
    angles = torch.outer(torch.arange(config.context_tokens, dtype=torch.float64), frequencies)
    return angles.cos().float(), angles.sin().float()


def rotate(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn the pair (i, i + half) of each head by its position's angle; shape and type of ``heads`` are kept."""
    first, second = heads.chunk(2, dim=-1)
    turned = torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
    return turned.to(heads.dtype)


def alibi_slopes(num_heads: int) -> Tensor:
    """Slope of each head, shape (num_heads,): 2^(-8/n), 2^(-16/n), … for n a power of two.

    Other numbers take the slopes of the power below, then every second one of the power above.
    """
    below = 2 ** math.floor(math.log2(num_heads))
    slopes = [2 ** (-8 * (i + 1) / below) for i in range(below)]
    slopes += [2 ** (-4 * (i + 1) / below) for i in range(0, 2 * (num_heads - below), 2)]
    return torch.tensor(slopes)


def relative_bucket(distance: Tensor, num_buckets: int, max_distance: int, *, both_ways: bool) -> Tensor:
    """Bucket of each distance.

    Args:
        distance: place of the key minus that of the query, integers of any shape.
        num_buckets: in all.
        max_distance: the first distance that only the last bucket has.
        both_ways: whether keys behind the query have buckets of their own, the upper half; else they share bucket 0
            with the query itself.

    Returns:
        int64 in 0 … num_buckets - 1, same shape.
    """
    first = torch.zeros_like(distance)
    if both_ways:
        num_buckets //= 2
        first = (distance > 0) * num_buckets
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    num_exact = num_buckets // 2
    ratio = torch.log(distance.clamp(min=1).float() / num_exact) / math.log(max_distance / num_exact)
    wide = (num_exact + (ratio * (num_buckets - num_exact)).long()).clamp(max=num_buckets - 1)
    return first + torch.where(distance < num_exact, distance, wide)


class RelativeBias(nn.Module):
    """What T5 adds to attention scores: a learned value per head and bucket of distances."""

    def __init__(self, config: ModelConfig, *, both_ways: bool) -> None:
        super().__init__()
        self.sizes = (config.relative_buckets, config.relative_max_distance)
        self.both_ways = both_ways
        self.values = nn.Embedding(config.relative_buckets, config.num_heads)

    def forward(self, length: int) -> Tensor:
        """Bias of each head, query and key, shape (1, num_heads, length, length)."""
        position = torch.arange(length, device=self.values.weight.device)
        distances = torch.arange(1 - length, length, device=position.device)
        by_distance = self.values(relative_bucket(distances, *self.sizes, both_ways=self.both_ways))
        return by_distance[position[None, :] - position[:, None] + length - 1].permute(2, 0, 1)[None]
