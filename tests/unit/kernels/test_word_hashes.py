"""Word hashes against a reference that normalises with str methods and unicodedata, character by character."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.word_hashes import character_table, hash_words

MASK = (1 << 64) - 1
UNSPACED_NAMES = (
    "CJK UNIFIED",
    "CJK COMPATIBILITY IDEOGRAPH",
    "HIRAGANA",
    "KATAKANA",
    "THAI",
    "LAO",
    "KHMER",
    "MYANMAR",
)
APOSTROPHES = "'’ʼ＇"


def reference_words(text: str) -> list[str]:
    words, word = [], ""
    for character in text:
        category = unicodedata.category(character)
        if category == "Cf" or character in APOSTROPHES or 0xFE00 <= ord(character) <= 0xFE0F:
            continue
        lower = character.lower()[0]
        is_letter = category[0] in "LMN"
        is_own = is_letter and bool(character_table()[ord(character)] >> 31)
        if is_letter and not is_own:
            word += lower
            continue
        if word:
            words.append(word)
            word = ""
        if is_own:
            words.append(lower)
    return [*words, word] if word else words


def mix64(value: int) -> int:
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & MASK
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & MASK
    return value ^ (value >> 33)


def reference_hash(word: str) -> int:
    chain = 0x9AE16A3B2F90404F
    for character in word:
        chain = (chain ^ ord(character)) * 0x9E3779B97F4A7C15 & MASK
    return mix64(chain)


def hashes_of(text: str) -> list[int]:
    data, offsets, _ = text_buffers(pa.array([text]))
    out = np.empty(len(data) // 2 + 1, dtype=np.uint64)
    return out[: hash_words(data, offsets[0], offsets[1], character_table(), out)].tolist()


def expected(*words: str) -> list[int]:
    return [reference_hash(word) for word in words]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n\t…!?— ", []),
        ("One two", ["one", "two"]),
        ("word—word, word/word", ["word", "word", "word", "word"]),
        ("don't DON’T dont", ["dont", "dont", "dont"]),
        ("soft\u00adhyphen zero\u200bwidth", ["softhyphen", "zerowidth"]),
        ("Price 1,299 in 2024", ["price", "1", "299", "in", "2024"]),
        ("ΑΣ Straße ДОМ İ", ["ασ", "straße", "дом", "i"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("我爱Python。", ["我", "爱", "python"]),
        ("ひらカタ", ["ひ", "ら", "カ", "タ"]),
        ("ภาษา", list("ภาษา")),
        ("ខ្មែរ", list("ខ្មែរ")),
        ("\U00020000a\U0003134a", ["\U00020000", "a", "\U0003134a"]),
        ("𐐀 😀 x️", ["𐐨", "x"]),
        ("a\U000e0041b", ["ab"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert hashes_of(text) == expected(*words)


@given(st.text(alphabet=st.characters(max_codepoint=0x1FFFF, exclude_categories=["Cs"]), max_size=60))
def test_any_text_agrees_with_the_reference(text: str) -> None:
    assert hashes_of(text) == expected(*reference_words(text))


@pytest.mark.parametrize("name", UNSPACED_NAMES)
def test_letters_of_unspaced_scripts_are_words(name: str) -> None:
    table = character_table()
    letters = [
        code_point
        for code_point in range(len(table))
        if unicodedata.name(chr(code_point), "").startswith(name)
        and unicodedata.category(chr(code_point)) in ("Lo", "Mn", "Mc")
    ]
    assert letters
    assert [hex(code_point) for code_point in letters if not table[code_point] >> 31] == []


def test_a_spaced_script_has_no_character_that_is_a_word() -> None:
    table = character_table()
    for name in ("LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "HANGUL SYLLABLE", "ETHIOPIC"):
        flagged = [c for c in range(len(table)) if unicodedata.name(chr(c), "").startswith(name) and table[c] >> 31]
        assert flagged == [], name


@pytest.mark.parametrize("tail", [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80", b"\xff"])
def test_broken_utf8_ends_inside_the_buffer(tail: bytes) -> None:
    data = np.frombuffer(b"word " + tail, dtype=np.uint8)
    out = np.empty(len(data) // 2 + 1, dtype=np.uint64)
    num_words = hash_words(data, 0, len(data), character_table(), out)
    assert out[:1].tolist() == expected("word")
    assert num_words <= 2
