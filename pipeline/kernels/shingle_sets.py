"""Sets of shingle hashes as binary values, and the exact Jaccard similarity of two of them.

What verifies candidates where an estimate from signatures is not enough: only documents that share a band need a set,
so text is read again for those alone, and what is shuffled is hashes. A set is its 32-bit hashes, sorted, without
repeats, little-endian: about as many bytes as the text for word shingles, four times as many for character shingles.
"""

from __future__ import annotations

import numba
import numpy as np
import pyarrow as pa

from pipeline.kernels.shingles import Shingling, shingle_hashes


def shingle_sets(text: pa.Array, shingling: Shingling) -> pa.LargeBinaryArray:
    """The set of each text; null where it is null or has no word.

    Args:
        text: string or large_string.
    """
    hashes, ends = shingle_hashes(text, shingling)
    found = [np.unique(hashes[ends[row] : ends[row + 1]]).astype("<u4").tobytes() or None for row in range(len(text))]
    return pa.array(found, pa.large_binary())


def jaccard(left: pa.Array, right: pa.Array) -> np.ndarray:
    """Jaccard similarity of sets, |A ∩ B| / |A ∪ B|; shape (num_rows,), float64.

    Args:
        left, right: binary or large_binary arrays of sets, without nulls.
    """
    similarities = np.empty(len(left), dtype=np.float64)
    if len(left):
        _merge(*_values(left), *_values(right), similarities)
    return similarities


def _values(sets: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """All hashes of a column, uint32, and where each row's begin and end in them, int64, shape (num_rows + 1,)."""
    _, offset_buffer, data_buffer = sets.buffers()
    wide = pa.types.is_large_binary(sets.type)
    offsets = np.frombuffer(offset_buffer, dtype=np.int64 if wide else np.int32)
    bounds = offsets[sets.offset : sets.offset + len(sets) + 1].astype(np.int64)
    data = np.frombuffer(data_buffer, dtype=np.uint8)[bounds[0] : bounds[-1]]
    return data.view("<u4"), (bounds - bounds[0]) // 4


@numba.njit(nogil=True, cache=True)
def _merge(left, left_bounds, right, right_bounds, similarities):
    for row in range(len(similarities)):
        i, left_end = left_bounds[row], left_bounds[row + 1]
        j, right_end = right_bounds[row], right_bounds[row + 1]
        num_hashes = (left_end - i) + (right_end - j)
        num_shared = 0
        while i < left_end and j < right_end:
            x, y = left[i], right[j]
            num_shared += x == y
            i += x <= y
            j += y <= x
        similarities[row] = num_shared / (num_hashes - num_shared)
