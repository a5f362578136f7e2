"""Signatures against datasketch fed with the same shingle hashes, and shingles against a slow reference."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasketch import LeanMinHash, MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.minhash import Scheme, make_permutations, similarity, sketch
from pipeline.kernels.shingles import Shingling, shingle_in_place
from pipeline.kernels.word_hashes import character_table, hash_words

MASK = (1 << 64) - 1
TEXTS = [
    "The quick brown fox jumps over the lazy dog and then the quick brown fox jumps over the lazy dog again",
    "one two three four five",
    "one two three",
    "слово за словом, и ещё одно слово — все слова",
    "自然语言处理是人工智能的一个重要方向",
    "again " * 40,
]


def mix64(value: int) -> int:
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & MASK
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & MASK
    return value ^ (value >> 33)


def word_hashes(text: str) -> list[int]:
    data, offsets, _ = text_buffers(pa.array([text]))
    out = np.empty(len(data) // 2 + 1, dtype=np.uint64)
    return out[: hash_words(data, offsets[0], offsets[1], character_table(), out)].tolist()


def reference_shingles(text: str, shingle_words: int) -> list[int]:
    """64-bit hashes of the shingles, in order."""
    words = word_hashes(text)
    width = min(shingle_words, len(words))
    hashes = []
    for i in range(len(words) - width + 1 if words else 0):
        value = 0xA0761D6478BD642F
        for word in words[i : i + width]:
            value = (value * 0xD6E8FEB86659FD93 + word) & MASK
        hashes.append(mix64(value))
    return hashes


def reference_signature(text: str, shingle_words: int, num_perm: int, seed: int, scheme: Scheme) -> np.ndarray:
    minhash = MinHash(num_perm=num_perm, seed=seed, hashfunc=lambda value: value, scheme=scheme)
    minhash.update_batch([shingle & 0xFFFFFFFF for shingle in reference_shingles(text, shingle_words)])
    return minhash.digest()


def reference_bands(signature: np.ndarray, num_bands: int, rows_per_band: int) -> list[int]:
    bands = []
    for band in range(num_bands):
        value = mix64(band + 1)
        for minimum in signature[band * rows_per_band : (band + 1) * rows_per_band].tolist():
            value = mix64(value ^ minimum)
        bands.append(value - (1 << 64) if value >> 63 else value)
    return bands


@lru_cache
def permutations(scheme: Scheme = "affine32", num_perm: int = 32, seed: int = 7):  # type: ignore[no-untyped-def]
    return make_permutations(num_perm, seed, scheme)


def signature_of(text: str, **options: Any) -> np.ndarray:
    signature, _ = sketch(pa.array([text]), permutations(), **{**SMALL, **options})
    return np.frombuffer(signature[0].as_py(), dtype="<u4")


SMALL: dict[str, Any] = {"shingling": Shingling(5), "num_bands": 4, "rows_per_band": 8}


@pytest.mark.parametrize("scheme", ["affine32", "legacy"])
@pytest.mark.parametrize("seed", [0, 1, 4294967295])
def test_permutations_are_those_of_datasketch(scheme: Scheme, seed: int) -> None:
    ours = make_permutations(112, seed, scheme)
    a, b = MinHash(num_perm=112, seed=seed, scheme=scheme).permutations
    assert ours.a.dtype == a.dtype
    assert ours.a.tolist() == a.tolist()
    assert ours.b.tolist() == b.tolist()


@pytest.mark.parametrize("scheme", ["affine32", "legacy"])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("shingle_words", "num_bands", "rows_per_band"), [(5, 14, 8), (1, 3, 5), (13, 112, 1)])
def test_signatures_and_bands(
    scheme: Scheme, text: str, shingle_words: int, num_bands: int, rows_per_band: int
) -> None:
    signature, bands = sketch(
        pa.array([text]),
        make_permutations(112, 1, scheme),
        shingling=Shingling(shingle_words),
        num_bands=num_bands,
        rows_per_band=rows_per_band,
    )
    expected = reference_signature(text, shingle_words, 112, 1, scheme)
    found = np.frombuffer(signature[0].as_py(), dtype="<u4")
    assert found.tolist() == expected.tolist()
    assert bands[0].as_py() == reference_bands(expected, num_bands, rows_per_band)
    assert (
        LeanMinHash(seed=1, hashvalues=found, scheme=scheme).jaccard(
            LeanMinHash(seed=1, hashvalues=expected, scheme=scheme)
        )
        == 1.0
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), max_size=12), st.integers(0, 12), st.booleans())
def test_any_texts_cut_into_any_batches(texts: list[str | None], cut: int, large: bool) -> None:
    array = pa.array(texts, pa.large_string() if large else pa.string())
    signature, bands = sketch(array, permutations(), **SMALL)
    signature.validate(full=True)
    bands.validate(full=True)
    parts = [sketch(part, permutations(), **SMALL) for part in (array.slice(0, cut), array.slice(cut))]
    assert signature.to_pylist() == [row for part, _ in parts for row in part.to_pylist()]
    assert bands.to_pylist() == [row for _, part in parts for row in part.to_pylist()]
    for text, row, band_row in zip(texts, signature.to_pylist(), bands.to_pylist(), strict=True):
        if text is None or not word_hashes(text):
            assert row is None
            assert band_row is None
        else:
            expected = reference_signature(text, 5, 32, 7, "affine32")
            assert np.frombuffer(row, dtype="<u4").tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("One, two; three: FOUR five six!", "one two three four\n\nfive   six", True),
        ("one two three four five 6", "one two three four five 7", False),
        ("one two three", "one two", False),
        ("one two three four five six", "six five four three two one", False),
        ("a b c d e a b c d e a b c d e", "a b c d e a b c d e", True),
    ],
)
def test_what_counts_as_the_same_text(left: str, right: str, equal: bool) -> None:
    assert (signature_of(left).tolist() == signature_of(right).tolist()) is equal


def test_shingles_are_made_in_place() -> None:
    hashes = np.array(word_hashes(TEXTS[0]), dtype=np.uint64)
    expected = reference_shingles(TEXTS[0], 3)
    num_shingles = shingle_in_place(hashes, len(hashes), 3)
    assert hashes[:num_shingles].tolist() == expected


def test_equal_values_in_two_bands_hash_differently() -> None:
    shared = make_permutations(1, 1)
    repeated = type(shared)("affine32", shared.a.repeat(4), shared.b.repeat(4))
    _, bands = sketch(
        pa.array(["one two three four five six"]), repeated, shingling=Shingling(5), num_bands=4, rows_per_band=1
    )
    assert len(set(bands[0].as_py())) == 4


@pytest.mark.parametrize("scheme", ["affine32", "legacy"])
def test_similarity_estimates_jaccard_within_its_error(scheme: Scheme) -> None:
    generator = random.Random(5)
    words = [f"w{generator.randrange(10**9)}" for _ in range(4000)]
    pairs = []
    for share in (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0):
        other = [word if i < share * len(words) else f"x{i}" for i, word in enumerate(words)]
        left, right = (set(reference_shingles(" ".join(text), 5)) for text in (words, other))
        pairs.append((" ".join(words), " ".join(other), len(left & right) / len(left | right)))
    options: dict[str, Any] = {"shingling": Shingling(5), "num_bands": 4, "rows_per_band": 256}
    many = make_permutations(1024, 3, scheme)
    left_signatures, _ = sketch(pa.array([left for left, _, _ in pairs]), many, **options)
    right_signatures, _ = sketch(pa.array([right for _, right, _ in pairs]), many, **options)
    jaccard = np.array([value for _, _, value in pairs])
    error = np.abs(similarity(left_signatures, right_signatures) - jaccard)
    assert (error <= 4 * np.sqrt(jaccard * (1 - jaccard) / 1024) + 1e-12).all()


def test_similarity_of_slices_and_of_nothing() -> None:
    signature, _ = sketch(pa.array(TEXTS), permutations(), **SMALL)
    matrix = np.array([np.frombuffer(row, dtype="<u4") for row in signature.to_pylist()])
    expected = (matrix[2:5] == matrix[1:4]).mean(axis=1)
    assert similarity(signature.slice(2, 3), signature.slice(1, 3)).tolist() == expected.tolist()
    wide = signature.cast(pa.large_binary())
    assert similarity(wide.slice(2, 3), signature.slice(1, 3)).tolist() == expected.tolist()
    assert similarity(signature.slice(0, 0), signature.slice(0, 0)).tolist() == []
