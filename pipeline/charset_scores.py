"""How well the bytes of a page make words of some language, read in one charset or another.

Bytes read in a wrong charset are letters that do not follow each other in any language: Russian in Windows-1252 is
words of accented letters, Turkish there has ``ð`` and ``þ`` where Icelandic would not. So each charset is given the
logarithm of the probability of the words that it makes of the bytes, in the language that suits it best
(``pipeline/letter_tables.py``): since it is the same bytes every time, these are comparable. What is looked at are the
page's different words that hold bytes above 127; its other words say which languages written in Latin letters are
likely at all.

Single-byte charsets need no decoding: pairs of bytes are counted once and looked up as pairs of letters. In Chinese,
Japanese and Korean it is single characters that tell.

Cost: 2 to 4 ms a page, 0.1 s once per process; paid for pages alone that are neither ASCII nor UTF-8.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.letter_tables import (
    FOREIGN,
    OUTSIDE,
    STEP_NATS,
    alphabetic_tables,
    fold,
    ideographic_tables,
    is_letter,
    sign_steps,
)

MULTI_BYTE = ("gb18030", "big5", "cp932", "euc_jp", "cp949")
PRIOR_NATS = {
    "cp1252": 0.0,
    "cp1251": -1.0,
    **dict.fromkeys(MULTI_BYTE, -1.0),
    **dict.fromkeys(("cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"), -2.0),
    **dict.fromkeys(("koi8-r", "iso8859-2", "iso8859-7"), -2.5),
    "koi8-u": -2.6,
    **dict.fromkeys(("iso8859-3", "iso8859-4", "iso8859-5", "iso8859-6", "iso8859-8", "iso8859-10"), -3.0),
    **dict.fromkeys(("iso8859-13", "iso8859-14", "iso8859-15", "iso8859-16"), -3.0),
    **dict.fromkeys(("mac-roman", "mac-cyrillic", "cp866"), -4.0),
}
"""Charsets that are looked for, and how likely each is before a byte is seen."""

_LOOKED_AT_BYTES = 1 << 17
_MAX_WORD_BYTES = 1 << 15
_MAX_ASCII_WORDS = 1000
_MAX_UNLIKELY_STEPS = 30
_LEAST_LETTER_SHARE = 0.8
_TAGS = re.compile(rb"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
# Bytes that are no part of a character of several bytes in any of the charsets stand around words.
_WORDS = re.compile(rb"[^\x00-/:-?]*[\x80-\xff][^\x00-/:-?]*")
_ASCII_WORDS = re.compile(rb"(?<![\x80-\xffA-Za-z])[A-Za-z]{2,}(?![\x80-\xffA-Za-z])")
_UNCASED, _LOWER, _UPPER, _NO_LETTER = range(4)
_CASE_STEPS = np.array(  # a case (column) after another (row)
    [[0, -1, -10, 0], [0, -1, -35, 0], [0, -3, -5, 0], [0, -1, -10, 0]], np.float32
)


class PageWords(NamedTuple):
    """Different words of a page, between spaces: those that hold bytes above 127, and some of the others."""

    high: bytes
    ascii: bytes


def page_words(payload: bytes) -> PageWords:
    """What of a page is looked at: words of its visible text, or of all of it if they are all ASCII there."""
    visible = _TAGS.sub(b" ", payload[:_LOOKED_AT_BYTES])
    found = _WORDS.findall(visible) or _WORDS.findall(payload)
    high = b" " + b" ".join(dict.fromkeys(found))[:_MAX_WORD_BYTES] + b" "
    ascii_words = dict.fromkeys(_ASCII_WORDS.findall(visible))
    return PageWords(high, b" " + b" ".join(list(ascii_words)[:_MAX_ASCII_WORDS]) + b" ")


def score_charsets(words: PageWords, charsets: Iterable[str]) -> dict[str, float]:
    """Logarithm of the probability of a page's words in each of ``charsets``; larger is likelier.

    Args:
        words: some hold bytes above 127.
        charsets: by their Python names; stateless ones.
    """
    likely = _language_steps(words.ascii)
    pairs, counts = _byte_pairs(words.high)
    is_ascii = (pairs < 0x8000) & (pairs & 0x80 == 0)
    plain = _byte_table("ascii")  # these pairs are the same in all charsets, so they are added up once
    likely_here = likely + _steps_by_language(plain, *_halves(pairs[is_ascii]), counts[is_ascii], _all_languages())
    pairs, counts = pairs[~is_ascii], counts[~is_ascii]
    scores = {}
    for charset in dict.fromkeys(charsets):
        prior = PRIOR_NATS.get(charset, min(PRIOR_NATS.values()))
        if charset in MULTI_BYTE:
            steps = _multi_byte_steps(words.high, charset, likely)
        else:
            steps = _best_language(_byte_table(charset), *_halves(pairs), counts, likely_here, _languages_of(charset))
        scores[charset] = prior + STEP_NATS * steps
    return scores


def num_read_differently(words: PageWords, charset: str, other: str) -> int:
    """Bytes above 127 that two single-byte charsets read differently."""
    differs = np.array([one != two for one, two in zip(_characters(charset), _characters(other), strict=True)])
    return int(differs[np.frombuffer(words.high, np.uint8)].sum())


def _multi_byte_steps(words: bytes, charset: str, likely: np.ndarray) -> float:
    """As ideographic text, or, where most of it is letters, as alphabetic text."""
    text = words.decode(charset, "replace")
    codes = np.minimum(np.frombuffer(text.encode("utf-32-le"), np.uint32), 0xFFFD)
    ideographic = max(
        table.pair_steps[table.class_of[codes[:-1]], table.class_of[codes[1:]]].sum()
        + table.character_steps[codes[1:]].sum()
        for table in ideographic_tables()
    )
    distinct, position = np.unique(codes, return_inverse=True)
    table = _table([chr(code) for code in distinct])
    is_alphabetic = (table.symbols > FOREIGN) & (distinct >= 0x80)
    if 2 * is_alphabetic[position].sum() < (codes >= 0x80).sum():
        return float(ideographic)
    pairs, counts = np.unique(position[:-1] * len(distinct) + position[1:], return_counts=True)
    first, second = np.divmod(pairs, len(distinct))
    return max(float(ideographic), _best_language(table, first, second, counts, likely, _all_languages()))


def _byte_pairs(text: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Neighbouring bytes as 256 × first + second, and how often each pair occurs."""
    codes = np.frombuffer(text, np.uint8).astype(np.int32)
    counts = np.bincount(codes[:-1] << 8 | codes[1:], minlength=1)
    pairs = np.flatnonzero(counts)
    return pairs, counts[pairs].astype(np.float32)


def _halves(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return pairs >> 8, pairs & 0xFF


class _Table(NamedTuple):
    """Of each of some characters: its symbol, its share among signs if it is one, its case."""

    symbols: np.ndarray
    sign_steps: np.ndarray
    cases: np.ndarray


def _table(characters: Sequence[str]) -> _Table:
    known = alphabetic_tables().symbols
    facts = [_character_facts(character) for character in characters]
    symbols = [known.get(letter, FOREIGN) if letter else OUTSIDE for letter, _, _ in facts]
    signs, cases = [steps for _, steps, _ in facts], [case for *_, case in facts]
    return _Table(np.array(symbols), np.array(signs, np.float32), np.array(cases))


@functools.cache
def _byte_table(charset: str) -> _Table:
    return _table(_characters(charset))


@functools.cache
def _characters(charset: str) -> tuple[str, ...]:
    return tuple(bytes([byte]).decode(charset, "replace")[:1] or "\ufffd" for byte in range(256))


@functools.lru_cache(maxsize=4096)
def _character_facts(character: str) -> tuple[str | None, float, int]:
    """Its letter in lower case, if it is one, share among signs, and case."""
    if not is_letter(character):
        return None, sign_steps(character), _NO_LETTER
    if character.lower() == character.upper():
        return character, 0.0, _UNCASED
    return fold(character), 0.0, _LOWER if character == character.lower() else _UPPER


@functools.cache
def _languages_of(charset: str) -> np.ndarray:
    """Numbers of the languages of which the charset has nearly all letters."""
    tables = alphabetic_tables()
    is_there = np.zeros(tables.is_own.shape[1], bool)
    is_there[_byte_table(charset).symbols] = True
    return np.flatnonzero((tables.is_own & is_there).sum(axis=1) >= _LEAST_LETTER_SHARE * tables.is_own.sum(axis=1))


def _best_language(
    table: _Table, first: np.ndarray, second: np.ndarray, counts: np.ndarray, likely: np.ndarray, languages: np.ndarray
) -> float:
    """Steps of the pairs in the likeliest of some languages, whose numbers are given."""
    of_all = table.sign_steps[second] + _CASE_STEPS[table.cases[first], table.cases[second]]
    return float(
        of_all @ counts + np.max(_steps_by_language(table, first, second, counts, languages) + likely[languages])
    )


def _steps_by_language(
    table: _Table, first: np.ndarray, second: np.ndarray, counts: np.ndarray, languages: np.ndarray
) -> np.ndarray:
    """Array (languages): steps of the pairs, but for what is the same in all languages."""
    tables = alphabetic_tables()
    class_of = tables.class_of[languages]
    before, now = class_of[:, table.symbols[first]], class_of[:, table.symbols[second]]
    num_classes = tables.pair_steps.shape[-1]
    places = (languages[:, None] * num_classes + before) * num_classes + now
    found = tables.pair_steps.reshape(-1).take(places)
    return (found + tables.symbol_steps[languages][:, table.symbols[second]]) @ counts


def _language_steps(ascii_words: bytes) -> np.ndarray:
    """How much less likely a language is than the likeliest, by the words of plain Latin letters; others are not."""
    tables = alphabetic_tables()
    pairs, counts = _byte_pairs(ascii_words)
    found = _steps_by_language(_byte_table("ascii"), *_halves(pairs), counts, _all_languages())
    behind = found - np.max(found[tables.is_latin])
    return np.where(tables.is_latin, np.maximum(behind, -_MAX_UNLIKELY_STEPS), 0.0)


def _all_languages() -> np.ndarray:
    return np.arange(len(alphabetic_tables().languages))
