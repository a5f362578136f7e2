"""Words by the kernel: at the boundaries that ``regex`` finds, by spaCy's rules written with strings, by example."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_words import kernel_words

from pipeline.kernels.hash_table import hash_codes
from pipeline.kernels.special_words import (
    CUT_MASK,
    KEEP,
    MAX_SPECIAL_CHARS,
    UNIT,
    special_action,
    special_word_table,
    special_words,
)
from pipeline.kernels.word_break_classes import UNSPACED_SCRIPTS
from pipeline.kernels.word_segmentation import DATATROVE_MODE, UNICODE_MODE

regex = pytest.importorskip("regex")  # the oracle of UAX #29

SPECIAL = special_words()
CORNERS = "《》〈〉「」『』【】〔〕"
AFFIXES = set("!\"#&'()*,:;<>?[]_`{}¡«´·»¿،؛؟٪۔।–—‘’‚“”„…⟦⟧、。！（），：；？～\u2329\u232a" + CORNERS)
PREFIXES_ONLY = set("$%=£¥§฿﷼") | {chr(code) for code in range(0x20A0, 0x20C0)}
QUOTES = set("'\"`,«´»‘’‚“”„⟦⟧（）\u2329\u232a" + CORNERS)
UNSPACED = re.compile("[" + "".join(chr(c) for c in UNSPACED_SCRIPTS if chr(c).isalpha() or c == 0x3007) + "]")
SKIN_TONES = "".join(map(chr, range(0x1F3FB, 0x1F400)))  # symbols by category, but Extend to UAX 29
MARKS = "".join(chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) in ("Mn", "Mc", "Me", "Cf"))
EXTEND = SKIN_TONES + MARKS
MIDDLE = r"[\p{WB=MidLetter}\p{WB=MidNum}\p{WB=MidNumLet}\p{WB=Double_Quote}]"
FRAGMENTS = [
    "don't", "Cannot", "it’s", "U.S.", "e.g.", "J.", "foo.bar", "foo.Bar", "NASA.", "10km", "5%", "$5.00", "10€", "10+",
    "well-known", "a--b", "a---b", "and/or", "a/b", "x=1", "12:30", "1-2", "2^-3", "http://a.bc/d?e#f", "me@x.org:80/p",
    "www.example.com", "-a.example.com", "a_.com/x", "…", "...", "....", "--option", "C++", "#tag", "'quoted'", "((x))",
    "“y”", "word,", "end.)", "中文。字", "ภาษา", "ភាសា", "ライト", "👩‍👩‍👧!", "a👍b", "é", "שלום,",
    "ﻣ", "\u200b", "\ufeff", " ", "\n", "\r\n", "\t", "\u2028", "\u00a0", "'s", "dogs'", "1,000", "a,b", "3m²", "»x«",
    "a.m.",
    "11pm", "¡Hola!", ".",
]  # fmt: skip


def unicode_words(text: str) -> list[str]:
    """UAX #29 as the regex package has it, letters of unspaced scripts with their marks one by one."""
    words = []
    for run in text.split():
        for part in re.split(f"({UNSPACED.pattern}[{EXTEND}]*)", run):
            pieces = [part] if UNSPACED.match(part) else regex.split(r"(?V1w)\b", part)
            words += [piece for piece in pieces if piece]
    return words


def spacy_words(text: str) -> list[str]:
    return [word for run in text.split() for word in joined(split_run(run))]


def joined(words: list[str]) -> list[str]:
    """Neighbours that together are special, the longest of them first."""
    for length in range(min(len(words), MAX_SPECIAL_CHARS), 1, -1):
        for first in range(len(words) - length + 1):
            together = "".join(words[first : first + length])
            if stands(together):
                return joined(words[:first]) + split_core(together) + joined(words[first + length :])
    return words


def splits_at_end(character: str) -> bool:
    return character in AFFIXES or unicodedata.category(character) == "So"


def splits_at_front(character: str) -> bool:
    return splits_at_end(character) or character in PREFIXES_ONLY


def split_run(core: str) -> list[str]:
    prefixes: list[str] = []
    suffixes: list[str] = []
    while core and not stands(core):
        prefix = find_prefix(core)
        if prefix and stands(core[len(prefix) :]):
            prefixes.append(prefix)
            core = core[len(prefix) :]
            break
        suffix = find_suffix(core[len(prefix) :])
        if suffix and stands(core[: -len(suffix)]):
            suffixes.insert(0, suffix)
            core = core[: -len(suffix)]
            break
        if not prefix and not suffix:
            break
        prefixes += [prefix] if prefix else []
        suffixes[:0] = [suffix] if suffix else []
        core = core[len(prefix) : len(core) - len(suffix)]
    return prefixes + split_core(core) + suffixes


def stands(word: str) -> bool:
    return SPECIAL.get(word, 0) not in (0, UNIT)


def find_prefix(word: str) -> str:
    if found := re.match(r"\.\.+|US\$|[CA]\$", word):
        return found[0]
    return word[0] if splits_at_front(word[0]) or re.match(r"\+(?![0-9])", word) else ""


def find_suffix(word: str) -> str:
    if not word:
        return ""
    if dots := re.search(r"\.\.+$", word):
        return dots[0]
    if word[-1] == ".":
        return "." if stop_splits(word[:-1]) else ""
    if word.endswith("……"):
        return "……"
    if splits_at_end(word[-1]):
        return word[-1]
    if found := re.search(r"['’][sS]$", word):
        return found[0]
    if re.search(r"[0-9][^=§]$", word) and (word[-1] == "+" or splits_at_front(word[-1])):
        return word[-1]
    if found := re.search(r"(?<=[0-9])(US|C|A)\$$", word):
        return found[0]
    units = [word[-length:] for length in (4, 3, 2, 1) if re.match("[0-9]", word[-length - 1 : -length] or "x")]
    return next((unit for unit in units if SPECIAL.get(unit) == UNIT), "")


def stop_splits(before: str) -> bool:
    if re.search("°[CFKcfk]$", before):
        return True
    if not before or before[-1] in "/\\@~^=$":
        return False
    category = unicodedata.category(before[-1])
    if before[-1] > "\x7f" and not (category[0] in "LM" or category in ("Nd", "Cf") or splits_at_end(before[-1])):
        return before[-1] == "²"
    upper = [unicodedata.category(character) in ("Lu", "Lt", "Lo") for character in before[-2:]]
    return unicodedata.category(before[-1]) not in ("Lu", "Lt") or (len(before) > 1 and upper[0])


def split_core(core: str) -> list[str]:
    if not core:
        return []
    action = SPECIAL.get(core, 0)
    if action not in (0, KEEP, UNIT):
        cuts = [action & CUT_MASK] + ([action >> 8] if action > CUT_MASK else [])
        return [core[start:end] for start, end in zip([0, *cuts], [*cuts, len(core)], strict=True)]
    if action == KEEP or is_url(core):
        return [core]
    pieces = [""]
    position = 0
    while position < len(core):
        infix = find_infix(core, position)
        if infix and position > 0:
            pieces += [infix, ""]
        else:
            pieces[-1] += core[position : position + max(len(infix), 1)]
        position += max(len(infix), 1)
    return [piece for piece in pieces if piece]


def find_infix(core: str, position: int) -> str:
    rest = core[position:]
    before, after = core[position - 1 : position], rest[1:2]
    if rest[0] == "…" or unicodedata.category(rest[0]) == "So":
        return rest[0]
    if dots := re.match(r"\.\.+", rest):
        return dots[0]
    if not before or not after:
        return ""
    if rest[0] == ".":
        return "." if (is_lower(before) or is_quote(before)) and (is_upper(after) or is_quote(after)) else ""
    if rest[0] == ",":
        return "," if before.isalpha() and after.isalpha() else ""
    if before in "0123456789" and rest[0] in "+-*^" and after in "0123456789-":
        return rest[0]
    if before.isalpha() or before in "0123456789":
        if rest[0] in ":<>=/" and after.isalpha():
            return rest[0]
        for hyphen in ("-", "–", "—", "~", "--", "---", "——"):
            if rest.startswith(hyphen) and rest[len(hyphen) : len(hyphen) + 1].isalpha():
                return hyphen
    return ""


def is_lower(character: str) -> bool:
    return unicodedata.category(character) in ("Ll", "Lm", "Lo")


def is_upper(character: str) -> bool:
    return unicodedata.category(character) in ("Lu", "Lt", "Lo")


def is_quote(character: str) -> bool:
    return character in QUOTES


def is_url(core: str) -> bool:
    candidates = [core, *(core[found.end() :] for found in re.finditer("(?<=.)@", core, re.DOTALL))]
    scheme = re.match(r"[^:]{2,}://(?=.)", core, re.DOTALL)
    if scheme and all(is_scheme_character(character) for character in scheme[0][:-3]):
        candidates.append(core[scheme.end() :])
    return any(begins_with_host(candidate) for candidate in candidates)


def is_scheme_character(character: str) -> bool:
    return character.isalpha() or unicodedata.category(character) == "Nd" or character in "_+-."


def begins_with_host(text: str) -> bool:
    label = "(?![-_])[A-Za-z0-9\u00a1-\uffff_-]+(?<![-_])"
    found = re.match(
        rf"((?:{label}\.)+)([A-Za-z0-9\u00a1-\uffff_-]+)(?::[0-9]{{2,5}}(?![0-9]))?(?=[/?#]|$(?!\n))", text
    )
    return bool(found) and 2 <= len(found[2]) <= 63 and all(is_lower(character) for character in found[2])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n\t\u3000", []),
        ("don't U.S.A. e.g. J. Smith", ["do", "n't", "U.S.A.", "e.g.", "J.", "Smith"]),
        ("I’ll shouldn't've cannot 5pm", ["I", "’ll", "should", "n't", "'ve", "can", "not", "5", "pm"]),
        ("well-known a/b foo.bar foo.Bar", ["well", "-", "known", "a", "/", "b", "foo.bar", "foo", ".", "Bar"]),
        ("10km $5.00 3.5% 10,000 a,b", ["10", "km", "$", "5.00", "3.5", "%", "10,000", "a", ",", "b"]),
        ("'quoted' (parens) end.)", ["'", "quoted", "'", "(", "parens", ")", "end", ".", ")"]),
        ("x@y.com http://a.bc/d?e /usr/bin", ["x@y.com", "http://a.bc/d?e", "/usr", "/", "bin"]),
        ("-- --- ... 1-2 --option=value", ["--", "---", "...", "1", "-", "2", "--option", "=", "value"]),
        ("rock'n'roll Bob's dogs'", ["rock'n'roll", "Bob", "'s", "dogs", "'"]),
        ("C++, NASA. (w/o)", ["C++", ",", "NASA", ".", "(", "w/o", ")"]),
        ("(see 8): yes :-) <3", ["(", "see", "8)", ":", "yes", ":-)", "<3"]),
        ("(section 8) x:( 20°C.", ["(", "section", "8)", "x", ":(", "20", "°", "C", "."]),
        ("(8)): x:) foo(bar): fi-a.", ["(", "8)", "):", "x", ":)", "foo(bar", "):", "fi", "-", "a."]),
        ("US$5 10US$ A$3 b$.", ["US$", "5", "10", "US$", "A$", "3", "b$."]),
        ("wait…… †. 5€. ok²", ["wait", "……", "†.", "5€.", "ok²"]),
        ("中文, ライト", ["中文", ",", "ライト"]),
    ],
)
def test_english_is_cut_as_spacy_cuts_it(text: str, words: list[str]) -> None:
    assert kernel_words(text, DATATROVE_MODE) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("中文。字", ["中", "文", "。", "字"]),
        ("ភាសា", ["ភា", "សា"]),
        ("ไทย123ดี", ["ไ", "ท", "ย", "123", "ดี"]),
        ("カナ、かな", ["カ", "ナ", "、", "か", "な"]),
        ("សួស្តី\u200bពិភព", ["សួ", "ស្", "តី\u200b", "ពិ", "ភ", "ព"]),
    ],
)
def test_letters_of_unspaced_scripts_are_words_with_their_marks(text: str, words: list[str]) -> None:
    assert kernel_words(text, UNICODE_MODE) == words


TEXTS = st.lists(
    st.one_of(st.sampled_from(FRAGMENTS), st.text(st.characters(codec="utf-8"), max_size=6), st.sampled_from(" .,'-")),
    max_size=14,
).map("".join)


@settings(max_examples=1500, deadline=None)
@given(TEXTS)
def test_datatrove_mode_agrees_with_the_reference(text: str) -> None:
    assert kernel_words(text, DATATROVE_MODE) == spacy_words(text)


@settings(max_examples=1500, deadline=None)
@given(TEXTS)
def test_unicode_mode_agrees_with_regex(text: str) -> None:
    """Apostrophes aside, behind which regex adds a boundary of its own in front of vowels, as in French; and marks
    and format characters with nothing before them, which it joins to the next word."""
    known = "".join(char for char in text if unicodedata.category(char) != "Cn" and char not in "'’")
    known = re.sub(rf"(?<!\S)[{EXTEND}]+", "", known)
    known = re.sub(rf"(?<={UNSPACED.pattern})[{EXTEND}]*[{SKIN_TONES}][{EXTEND}]*", "", known)  # belongs to no letter
    # rule WB4, which regex forgets about the sign between letter and letter, or digit and digit
    known = regex.sub(rf"(?<={MIDDLE})[{EXTEND}]+|[{EXTEND}]+(?={MIDDLE})", "", known)
    assert kernel_words(known, UNICODE_MODE) == unicode_words(known)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("can't 3.14 1,000 e.g. a.b a:b a-b", ["can't", "3.14", "1,000", "e.g", ".", "a.b", "a:b", "a", "-", "b"]),
        ("snake_case __x__ a1b2", ["snake_case", "__x__", "a1b2"]),
        ("צה\"ל ג' ג'ירפה", ['צה"ל', "ג'", "ג'ירפה"]),
        ("🇫🇷🇩🇪🇪 👩‍👩‍👧 👍🏽", ["🇫🇷", "🇩🇪", "🇪", "👩‍👩‍👧", "👍🏽"]),
        ("e\u0301te\u0301 a\u00adb \u0301", ["e\u0301te\u0301", "a\u00adb", "\u0301"]),
        ("a\ufeff.b 1\u0301,2 a.\u0301b", ["a\ufeff.b", "1\u0301,2", "a.\u0301b"]),
        ("can''t 3..4 a. .b", ["can", "'", "'", "t", "3", ".", ".", "4", "a", ".", ".", "b"]),
    ],
)
def test_unicode_words_by_example(text: str, words: list[str]) -> None:
    assert kernel_words(text, UNICODE_MODE) == words


@pytest.mark.parametrize("mode", [UNICODE_MODE, DATATROVE_MODE])
@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_words_cover_everything_but_white_space_in_order(mode: int, text: str) -> None:
    assert "".join(kernel_words(text, mode)) == "".join(text.split())


def test_every_special_word_is_found_by_its_hash() -> None:
    table = special_word_table()
    for word, action in SPECIAL.items():
        codes = np.array([ord(character) for character in word], dtype=np.uint32)
        assert special_action(codes, 0, len(codes), table) == action, word
    hashes = {int(hash_codes(np.array([*map(ord, word)], np.uint32), 0, len(word))) for word in SPECIAL}
    assert len(hashes) == len(SPECIAL)


@pytest.mark.parametrize(
    ("word", "action"),
    [("don't", 2), ("dont", 2), ("Shouldn't've", 6 | 9 << 8), ("I’m", 1), ("well", 0), ("km", UNIT), ("Mr.", KEEP)],
)
def test_special_words_by_example(word: str, action: int) -> None:
    assert SPECIAL.get(word, 0) == action


@pytest.mark.parametrize("mode", [UNICODE_MODE, DATATROVE_MODE])
def test_a_megabyte_without_a_space_takes_linear_time_and_memory(mode: int) -> None:
    assert len(kernel_words("!" * 300_000, mode)) == 300_000
    assert kernel_words("a.b@" * 75_000, mode)[-1].endswith("@")
