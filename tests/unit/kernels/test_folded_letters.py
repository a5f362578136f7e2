"""Folding against ``fold``, character by character, and the hashes of runs against sums of their letters."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.folded_letters import (
    BASE,
    LETTERS_PER_BYTE,
    end_of_letter,
    fold,
    fold_tables,
    hash_letters,
    inside_word,
    letter_value,
    word_starts,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=60)


def folded(text: str) -> str:
    return "".join(map(fold, text))


def hashed(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Prefix hashes, and places of letters in bytes."""
    data = np.frombuffer(text.encode(), np.uint8)
    prefixes, places = np.zeros(LETTERS_PER_BYTE * len(data) + 2, np.uint64), np.zeros(2 * len(data) + 2, np.int32)
    num_letters = hash_letters(data, 0, len(data), fold_tables(), prefixes, places)
    return prefixes[: num_letters + 1], places[:num_letters]


def words(text: str) -> list[str]:
    data = np.frombuffer(text.encode(), np.uint8)
    starts = np.zeros(len(data) + 1, np.int32)
    num_words = word_starts(data, 0, len(data), fold_tables(), starts)
    letters = folded(text)
    starts[num_words] = len(letters)
    return [letters[starts[i] : starts[i + 1]] for i in range(num_words)]


@settings(deadline=None)  # the first call compiles
@given(TEXT)
def test_the_kernel_folds_each_character_as_python_does(text: str):
    prefixes, places = hashed(text)
    value, expected = 0, [0]
    for letter in folded(text):
        value = (value * int(BASE) + int(letter_value(ord(letter)))) % 2**64
        expected.append(value)
    assert prefixes.tolist() == expected
    first_bytes = [len(text[:i].encode()) for i, character in enumerate(text) for _ in fold(character)]
    assert places.tolist() == first_bytes


@settings(deadline=None)  # the first call compiles
@given(TEXT)
def test_words_are_made_of_all_letters_in_order(text: str):
    found = words(text)
    assert "".join(found) == folded(text)
    assert all(found)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Don't stop", "DONT, STOP!"),
        ("straße", "STRASSE"),
        ("Ünïcödé", "unicode"),
        ("e\u0301t\u00e9", "ÉTE"),
        ("ＡＢＣ１２", "abc12"),
        ("ﬁne", "fine"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("DİYARBAKIR", "diyarbakır"),
        ("مُحَمَّد ٣", "محـمد 3"),
        ("한국어", unicodedata.normalize("NFD", "한국어")),
        ("½ Ⅷ", "12viii"),
        ("co\u00adoperate\u200b", "cooperate"),
        ("well-known", "wellknown"),
    ],
)
def test_settings_of_one_text_have_the_same_letters(text: str, other: str):
    assert hashed(text)[0][-1] == hashed(other)[0][-1]
    assert len(hashed(text)[0]) == len(hashed(other)[0])


@pytest.mark.parametrize(("text", "other"), [("abc", "abd"), ("12", "21"), ("ша", "ща"), ("黑", "白"), ("ab", "abb")])
def test_different_letters_have_different_hashes(text: str, other: str):
    assert hashed(text)[0][-1] != hashed(other)[0][-1]


def test_changing_case_or_normal_form_changes_no_letter():
    """But for characters that stand for more letters than are kept of them."""
    different = set()
    for character in map(chr, (*range(0xD800), *range(0xE000, 0x20000))):
        category = unicodedata.category(character)
        if category in ("Cn", "Co") or (category == "Lo" and unicodedata.is_normalized("NFKD", character)):
            continue
        whole = folded(unicodedata.normalize("NFKD", character))
        if len(whole) <= LETTERS_PER_BYTE * len(character.encode()):
            others = (character.upper(), character.lower(), character.title(), unicodedata.normalize("NFD", character))
            different |= {character for other in others if folded(other) != fold(character)}
            if fold(character) != whole:
                different.add(character)
    assert different == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop-me (now) 12", ["dont", "stop", "me", "now", "12"]),
        ("has_close", ["has", "close"]),
        ("黑豹队 NFL 2年", ["黑", "豹", "队", "nfl", "2", "年"]),
        ("ภาษาไทยงาย", ["ภาษา", "ไทยง", "าย"]),
        ("a\u0301b c\u0301", ["ab", "c"]),
        ("", []),
        ("... !", []),
    ],
)
def test_words(text: str, expected: list[str]):
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "end"), [("ab", 0, 1), ("e\u0301t", 0, 3), ("黑豹", 0, 3), ("it's", 1, 2)]
)
def test_a_letter_ends_with_its_marks(text: str, position: int, end: int):
    data = np.frombuffer(text.encode(), np.uint8)
    assert end_of_letter(data, position, len(data), fold_tables()) == end


@pytest.mark.parametrize(
    ("text", "inside"),
    [("ab", True), ("a b", False), ("a-b", False), ("1a", True), ("é" + "a", True), ("黑豹", False), ("a豹", False)],
)
def test_a_word_goes_on_between_letters_of_scripts_with_spaces(text: str, inside: bool):
    data = np.frombuffer(text.encode(), np.uint8)
    assert inside_word(data, len(text[0].encode()), 0, len(data), fold_tables()) == inside
    assert not inside_word(data, 0, 0, len(data), fold_tables())
    assert not inside_word(data, len(data), 0, len(data), fold_tables())
