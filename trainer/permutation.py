"""A keyed permutation that is computed where it is asked for: the order of sequences in an epoch, without a list.

A Feistel network with cycle walking needs no memory and does not depend on a library's random stream.

Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains", section 5; mixing by the finaliser of
SplitMix64 (Steele et al. 2014).
"""

from __future__ import annotations

import numpy as np

_ROUNDS = 6


def permute(positions: np.ndarray, size: int, key: int) -> np.ndarray:
    """Where a keyed permutation of 0 … ``size`` - 1 sends ``positions``.

    Args:
        positions: int64, each below ``size``.
        size: number of elements.
        key: 64 bits that choose the permutation.

    Returns:
        Same shape, int64. Different positions go to different places.
    """
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    places = _feistel(positions.astype(np.uint64), half_bits, key)
    while (outside := places >= size).any():  # the network permutes up to 4 x size places: walk on until inside
        places[outside] = _feistel(places[outside], half_bits, key)
    return places.astype(np.int64)


def uniform_draws(key: int, num_draws: int) -> np.ndarray:
    """Numbers in [0, 1) that follow from ``key`` alone, float64 of shape (num_draws,)."""
    start = np.array([key & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64)
    places = np.arange(1, num_draws + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + _mix(start)
    return (_mix(places) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _feistel(places: np.ndarray, half_bits: int, key: int) -> np.ndarray:
    mask, shift = np.uint64((1 << half_bits) - 1), np.uint64(half_bits)
    left, right = places >> shift, places & mask
    for round_number in range(_ROUNDS):
        round_key = np.uint64((key + round_number * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
        left, right = right, left ^ (_mix(right + round_key) & mask)
    return (left << shift) | right


def _mix(values: np.ndarray) -> np.ndarray:
    """Finaliser of SplitMix64; arithmetic modulo 2^64."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
