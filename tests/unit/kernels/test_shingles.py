"""Shingles against a slow reference in Python, and in the compatible mode against datasketch itself."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from datasketch import LeanMinHash, MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.minhash import Scheme, make_permutations, sketch
from pipeline.kernels.sha1_shingles import normal_characters, normal_words, shingles
from pipeline.kernels.shingle_sets import jaccard, shingle_sets
from pipeline.kernels.shingles import Shingling, shingle_hashes

TEXTS = [
    "The heron's nest — over 1,200 reeds, and no fish!",
    "one two",
    "",
    "…?!",
    "x",
    "İstanbul’da Ἀχιλλεύς ΌΔΟΣ straße naïve e\u0301te\u0301",
    "自然语言处理 is 人工智能",
    "ภาษาไทย \U00020000\U0002a6d6 \U000e0061 ab\u00adcd",
    "  \t lead and trail \n",
]
MIXED = st.text(
    st.one_of(
        st.sampled_from("ab \n'.É自然ไ\u00ad\u0301"),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=40,
)
SHINGLINGS = st.builds(Shingling, st.integers(1, 8), st.sampled_from(["words", "characters"]))


def hashes_of(text: str, shingling: Shingling) -> list[int]:
    hashes, ends = shingle_hashes(pa.array([text]), shingling)
    assert ends.tolist() == [0, len(hashes)]
    return hashes.tolist()


def expected_shingles(text: str, shingling: Shingling) -> list[str]:
    return shingles(text, shingling.size, of_characters=shingling.unit == "characters")


@pytest.mark.parametrize(
    ("text", "words", "characters"),
    [
        ("The heron's nest—over 1,200!", ["the", "herons", "nest", "over", "1", "200"], "the herons nest over 1 200"),
        ("自然 AI语言", ["自", "然", "ai", "语", "言"], "自然 ai语言"),
        ("\U00020000\U0002a6d6x", ["\U00020000", "\U0002a6d6", "x"], "\U00020000\U0002a6d6x"),
        ("ab\u00adcd \U000e0061", ["abcd"], "abcd"),
        (" \n…", [], ""),
    ],
)
def test_normal_forms(text: str, words: list[str], characters: str) -> None:
    assert normal_words(text) == words
    assert normal_characters(text) == characters


@pytest.mark.parametrize(
    ("text", "size", "of_characters", "expected"),
    [
        ("a b c d", 3, False, ["a b c", "b c d"]),
        ("a b", 3, False, ["a b"]),
        ("abcd", 3, True, ["abc", "bcd"]),
        ("a, b", 3, True, ["a b"]),
        ("a, b", 9, True, ["a b"]),
        ("!", 3, True, []),
        ("", 3, False, []),
    ],
)
def test_a_text_is_cut_into_shingles(text: str, size: int, of_characters: bool, expected: list[str]) -> None:
    assert shingles(text, size, of_characters=of_characters) == expected


@settings(max_examples=150, deadline=None)
@given(MIXED, MIXED, SHINGLINGS)
def test_compiled_hashes_are_equal_exactly_where_shingles_are(left: str, right: str, shingling: Shingling) -> None:
    """The reference spells shingles out; between its strings and the kernel's hashes there is a bijection."""
    strings = expected_shingles(left, shingling) + expected_shingles(right, shingling)
    hashes = hashes_of(left, shingling) + hashes_of(right, shingling)
    assert len(strings) == len(hashes)
    assert len(set(zip(strings, hashes, strict=True))) == len(set(strings)) == len(set(hashes))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), MIXED), max_size=8), st.integers(0, 8), SHINGLINGS)
def test_batches_may_be_cut_anywhere(texts: list[str | None], cut: int, shingling: Shingling) -> None:
    array = pa.array(texts, pa.string())
    hashes, ends = shingle_hashes(array, shingling)
    parts = [shingle_hashes(part, shingling) for part in (array.slice(0, cut), array.slice(cut))]
    assert hashes.tolist() == [value for part, _ in parts for value in part.tolist()]
    assert np.diff(ends).tolist() == [value for _, part in parts for value in np.diff(part).tolist()]


@pytest.mark.parametrize("scheme", ["affine32", "legacy"])
@pytest.mark.parametrize("shingling", [Shingling(5, "words", "sha1"), Shingling(3, "characters", "sha1")])
@pytest.mark.parametrize("seed", [1, 77])
def test_the_compatible_mode_gives_datasketchs_own_values(scheme: Scheme, shingling: Shingling, seed: int) -> None:
    """datasketch is given the shingles as bytes and hashes them itself, from SHA-1 on."""
    texts = [*TEXTS, "word " * 50, "a" * 200]
    found, _ = sketch(
        pa.array(texts), make_permutations(64, seed, scheme), shingling=shingling, num_bands=8, rows_per_band=8
    )
    for text, row in zip(texts, found.to_pylist(), strict=True):
        theirs = MinHash(num_perm=64, seed=seed, scheme=scheme)
        theirs.update_batch(shingle.encode() for shingle in expected_shingles(text, shingling))
        if row is None:
            assert theirs.is_empty()
            continue
        ours = LeanMinHash(seed=seed, hashvalues=np.frombuffer(row, "<u4"), scheme=scheme)
        assert ours == LeanMinHash(theirs)
        assert ours.jaccard(theirs) == 1.0


@settings(max_examples=60, deadline=None)
@given(MIXED, st.integers(1, 8), st.booleans())
def test_the_compatible_mode_on_any_text(text: str, size: int, of_characters: bool) -> None:
    shingling = Shingling(size, "characters" if of_characters else "words", "sha1")
    found, _ = sketch(pa.array([text]), make_permutations(16, 1), shingling=shingling, num_bands=4, rows_per_band=4)
    theirs = MinHash(num_perm=16, seed=1, scheme="affine32")
    theirs.update_batch(shingle.encode() for shingle in expected_shingles(text, shingling))
    row = found[0].as_py()
    assert (row is None) == theirs.is_empty()
    assert row is None or np.frombuffer(row, "<u4").tolist() == theirs.digest().tolist()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(MIXED, MIXED), max_size=6), SHINGLINGS)
def test_jaccard_of_sets(pairs: list[tuple[str, str]], shingling: Shingling) -> None:
    sides = [shingle_sets(pa.array([pair[side] for pair in pairs], pa.string()), shingling) for side in (0, 1)]
    expected = []
    alive = []
    for number, pair in enumerate(pairs):
        left, right = (set(expected_shingles(text, shingling)) for text in pair)
        assert (sides[0][number].as_py() is None) == (not left)
        if left and right:
            alive.append(number)
            expected.append(len(left & right) / len(left | right))
    taken = [side.take(pa.array(alive, pa.int64())) for side in sides]
    assert jaccard(*taken).tolist() == expected
    assert jaccard(taken[0].slice(1), taken[1].cast(pa.binary()).slice(1)).tolist() == expected[1:]


def test_a_set_is_sorted_and_without_repeats() -> None:
    value = shingle_sets(pa.array(["go on and on and on"]), Shingling(1))[0].as_py()
    hashes = np.frombuffer(value, "<u4").tolist()
    assert hashes == sorted(set(hashes_of("go on and on and on", Shingling(1))))
    assert len(hashes) == 3
