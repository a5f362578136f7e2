"""Sets of 64-bit hashes as sorted arrays: no table to build, and workers can share them as memory maps."""

from __future__ import annotations

from pipeline.kernels.compilation import kernel


@kernel
def contains_hash(hashes, value):
    """Whether ``value`` is among ``hashes`` (uint64, sorted)."""
    low, high = 0, hashes.size
    while low < high:
        middle = (low + high) >> 1
        if hashes[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low < hashes.size and hashes[low] == value
