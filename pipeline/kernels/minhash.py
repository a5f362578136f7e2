"""MinHash signatures and LSH band hashes of texts, over Arrow string buffers.

A document is the set of its shingles, each hashed to 32 bits (``shingles.py``). A signature keeps, for each of
``num_perm`` random permutations, the smallest permuted shingle; two documents agree at one place of their signatures
with a probability equal to the Jaccard similarity of their shingle sets (Broder 1997). Signatures are cut into
``num_bands`` bands, each hashed to 64 bits together with its index: two documents of similarity s share a band hash
with probability 1 − (1 − s^rows)^num_bands.

The arithmetic of the permutations is datasketch's, with its parameters for the same seed, so that a signature loads
into ``datasketch.LeanMinHash`` and answers as if datasketch had seen the same 32-bit shingle hashes (and with SHA-1 for
those hashes, it is the one that datasketch makes itself):

* ``affine32`` (its default since 2.0): a·fmix32(x) + b modulo 2^32 with odd a. A bijection, and one AVX2 instruction
  multiplies eight permutations.
* ``legacy`` (its only scheme before): ((a·x + b) modulo 2^64) modulo (2^61 − 1), the low 32 bits of it. For comparing
  with older sketches; biased upwards on very large sets, and several times slower.

Cost: num_perm multiplications a shingle. Shingles repeated in a document are permuted again, since the minimum does not
mind and a hash set would cost more than it saves. Four shingles go through all permutations at a time, so that
parameters and minima are loaded once for the four.

Source: Broder, "On the resemblance and containment of documents", 1997; datasketch 2.0, ``datasketch/minhash.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np
import pyarrow as pa

from pipeline.kernels.shingles import Shingling, shingle_hashes
from pipeline.kernels.word_hashes import mix64

Scheme = Literal["affine32", "legacy"]

_MERSENNE_PRIME = np.uint64((1 << 61) - 1)


@dataclass(frozen=True, eq=False)
class Permutations:
    """Parameters of ``num_perm`` permutations: ``a`` and ``b``, shape (num_perm,), uint32 or (legacy) uint64."""

    scheme: Scheme
    a: np.ndarray
    b: np.ndarray


def make_permutations(num_perm: int, seed: int, scheme: Scheme = "affine32") -> Permutations:
    """The permutations that ``datasketch.MinHash(num_perm, seed, scheme=scheme)`` uses."""
    generator = np.random.RandomState(seed)
    if scheme == "legacy":
        prime = int(_MERSENNE_PRIME)
        pairs = [
            (generator.randint(1, prime, dtype=np.uint64), generator.randint(0, prime, dtype=np.uint64))
            for _ in range(num_perm)
        ]
        a, b = np.array(pairs, dtype=np.uint64).T.copy()
        return Permutations(scheme, a, b)
    odd = generator.randint(0, 1 << 31, num_perm, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return Permutations(scheme, odd, generator.randint(0, 1 << 32, num_perm, dtype=np.uint32))


def sketch(
    text: pa.Array, permutations: Permutations, *, shingling: Shingling, num_bands: int, rows_per_band: int
) -> tuple[pa.BinaryArray, pa.ListArray]:
    """Signatures and band hashes of a batch of texts.

    Args:
        text: string or large_string; null stays null.
        permutations: num_bands · rows_per_band of them or more; those beyond count for similarity only.
        shingling: what of a text is hashed.

    Returns:
        ``signature``, binary: num_perm values, u32 little-endian; and ``bands``, list<int64> of num_bands values. Both
        are null where there is no text, or no word in it (what datasketch calls an empty MinHash).
    """
    hashes, ends = shingle_hashes(text, shingling)
    num_rows, num_perm = len(text), len(permutations.a)
    signatures = np.full((num_rows, num_perm), 0xFFFFFFFF, dtype=np.uint32)
    bands = np.empty((num_rows, num_bands), dtype=np.int64)
    _sketch_rows(hashes, ends, permutations.a, permutations.b, signatures)
    _hash_bands(signatures, rows_per_band, bands)
    alive = np.diff(ends) > 0
    present = pa.array(alive)
    mask = pa.array(~alive)
    width = 4 * num_perm
    widths = np.concatenate([[0], np.cumsum(np.where(alive, width, 0))]).astype(np.int32)
    validity = present.buffers()[1]
    signature = pa.Array.from_buffers(
        pa.binary(), num_rows, [validity, pa.py_buffer(widths), pa.py_buffer(signatures[alive].astype("<u4"))]
    )
    starts = np.arange(num_rows + 1, dtype=np.int32) * num_bands
    band_lists = pa.ListArray.from_arrays(pa.array(starts), pa.array(bands.reshape(-1)), mask=mask)
    return signature, band_lists


def similarity(left: pa.Array, right: pa.Array) -> np.ndarray:
    """Share of equal places of signatures, which estimates the Jaccard similarity; shape (num_rows,), float64.

    The standard error is sqrt(s·(1 − s) / num_perm): .038 at s = .8 and 112 permutations.

    Args:
        left, right: binary arrays of signatures of one width, without nulls.
    """
    if len(left) == 0:
        return np.empty(0, dtype=np.float64)
    return (_signature_matrix(left) == _signature_matrix(right)).mean(axis=1, dtype=np.float64)


def _signature_matrix(signatures: pa.Array) -> np.ndarray:
    """Signatures as rows; shape (num_rows, num_perm), uint32."""
    _, offset_buffer, data_buffer = signatures.buffers()
    wide = pa.types.is_large_binary(signatures.type)
    offsets = np.frombuffer(offset_buffer, dtype=np.int64 if wide else np.int32)
    first, last = offsets[signatures.offset], offsets[signatures.offset + len(signatures)]
    return np.frombuffer(data_buffer, dtype=np.uint8)[first:last].view("<u4").reshape(len(signatures), -1)


@numba.njit(nogil=True, cache=True)
def _sketch_rows(hashes, ends, a, b, signatures):
    """Fill ``signatures``; a row without a shingle keeps its initial values."""
    for row in range(len(signatures)):
        shingles = hashes[ends[row] : ends[row + 1]]
        if a.itemsize == 4:
            permute_affine32(shingles, a, b, signatures[row])
        else:
            permute_legacy(shingles, a, b, signatures[row])


@numba.njit(nogil=True, cache=True)
def permute_affine32(shingles: np.ndarray, a: np.ndarray, b: np.ndarray, minima: np.ndarray) -> None:
    """Lower each of ``minima`` to the smallest permuted value of ``shingles`` (uint32).

    The last group of four is filled up with its first shingle, which changes no minimum.
    """
    num_shingles = len(shingles)
    for first in range(0, num_shingles, 4):
        x0 = _fmix32(shingles[first])
        x1 = _fmix32(shingles[first + 1]) if first + 1 < num_shingles else x0
        x2 = _fmix32(shingles[first + 2]) if first + 2 < num_shingles else x0
        x3 = _fmix32(shingles[first + 3]) if first + 3 < num_shingles else x0
        for j in range(len(a)):
            value = min(
                min(np.uint32(a[j] * x0 + b[j]), np.uint32(a[j] * x1 + b[j])),
                min(np.uint32(a[j] * x2 + b[j]), np.uint32(a[j] * x3 + b[j])),
            )
            minima[j] = min(minima[j], value)


@numba.njit(nogil=True, cache=True)
def permute_legacy(shingles: np.ndarray, a: np.ndarray, b: np.ndarray, minima: np.ndarray) -> None:
    """As ``permute_affine32``, with 64-bit parameters and the fold by the Mersenne prime."""
    for shingle in shingles:
        x = np.uint64(shingle)
        for j in range(len(a)):
            product = a[j] * x + b[j]
            folded = (product & _MERSENNE_PRIME) + (product >> np.uint64(61))
            if folded >= _MERSENNE_PRIME:
                folded -= _MERSENNE_PRIME
            minima[j] = min(minima[j], np.uint32(folded))


@numba.njit(nogil=True, cache=True, inline="always")
def _fmix32(x: np.uint32) -> np.uint32:
    """MurmurHash3's 32-bit finaliser."""
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(x ^ (x >> np.uint32(16)))


@numba.njit(nogil=True, cache=True)
def _hash_bands(signatures: np.ndarray, rows_per_band: int, bands: np.ndarray) -> None:
    """Hash each band of each signature, seeded with the band's index: equal values in two bands do not meet."""
    for row in range(bands.shape[0]):
        for band in range(bands.shape[1]):
            value = mix64(np.uint64(band + 1))
            for j in range(band * rows_per_band, (band + 1) * rows_per_band):
                value = mix64(value ^ np.uint64(signatures[row, j]))
            bands[row, band] = np.int64(value)
