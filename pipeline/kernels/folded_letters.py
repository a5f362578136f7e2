"""A text as the sequence of its letters and digits, without case, marks, width, punctuation or white space.

Two settings of one passage have the same letters here: re-cased, re-punctuated, broken into other lines, with ``don't``
or ``dont``, ``well-known``, ``well known`` or ``wellknown``, in full-width forms, with or without accents and vowel
points, composed or decomposed. Each code point is folded alone, so one table decides:

* letters (L) and numbers (N) become the letters and numbers of NFKD(casefold(NFKD(c))), decimal digits of any script
  those of ASCII; dotless i becomes i, since it and i have one upper case in Unicode;
* marks (M), format characters, apostrophes, modifier letters that are signs, and the tatweel vanish within a word;
* everything else vanishes too, and ends a word.

``hash_letters`` gives the polynomial hashes of all prefixes, so that the hash of any run of letters costs one
multiplication. Words matter only to who chooses the runs (``word_starts``): in scripts without spaces a word is one
letter (Han, Kana, Bopomofo), or four (Thai, Lao, Khmer, Myanmar: about as many as an English word has).

Polynomials modulo 2^64 over mixed values of the letters: two different runs of up to 1,000 letters collide with a
chance of about 2^-64 (texts made to collide, by the Thue-Morse sequence, need more letters). O(bytes), about 3 ns each.

Source: GPT-4 Technical Report (2023), appendix C, compares in the same way: "removing all spaces and symbols, keeping
only characters (including numbers)". Unicode 15.1, section 3.13, compatibility caseless matching, less marks.
"""

from __future__ import annotations

import functools
import unicodedata
from typing import NamedTuple

import numpy as np

from pipeline.kernels.compilation import inlined_kernel, kernel
from pipeline.kernels.word_break_classes import UNSPACED_SCRIPTS
from pipeline.kernels.word_hashes import decode

BASE = np.uint64(0x9FB21C651E98DF25)
LETTERS_PER_BYTE = 2  # at most; few characters stand for more, and those are cut short
LETTERS_PER_WORD = 4  # in scripts with neither spaces nor ideographs

_NUM_CODES = 0x30000  # planes 0 to 2; plane 3 holds Han only, the rest nothing that is a letter
_HAN_PLANES_END = 0x40000
_BOUNDARY, _GLUE = 0, 1
_CODE = np.uint32((1 << 21) - 1)
_SEVERAL = np.uint32(1 << 29)  # the low bits are a place in ``expansions``
_IN_FOURS = np.uint32(1 << 30)
_OWN_WORD = np.uint32(1 << 31)

_SYLLABIC = range(0x0E00, 0x1880)  # of UNSPACED_SCRIPTS; Myanmar goes on above A9E0
_MORE_SYLLABIC = range(0xA9E0, 0xAA80)
_GLUED = frozenset("'\u2018\u2019\uff07\u0640") | frozenset(map(chr, range(0x02B9, 0x02D0)))
_ALIKE = {"\u0131": "i"}


class FoldTables(NamedTuple):
    """What ``hash_letters`` looks characters up in.

    Args:
        ascii_values: uint64, shape (128,): the value of each letter, 0 for what is none.
        actions: uint32, shape (196608,): 0 ends a word, 1 vanishes, anything else is the code of the folded letter, or
            where several stand in ``expansions``, with flags.
        expansions: uint32: a number n, then n codes, and so on.
    """

    ascii_values: np.ndarray
    actions: np.ndarray
    expansions: np.ndarray


def fold(character: str) -> str:
    """The letters and digits that a character stands for; at most two for each of its bytes in UTF-8."""
    if character in _GLUED:
        return ""
    if _NUM_CODES <= ord(character) < _HAN_PLANES_END:
        return character
    caseless = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    letters = (_ALIKE.get(part, part) for part in caseless if unicodedata.category(part)[0] in "LN")
    kept = "".join(_as_ascii_digit(part) for part in letters if part not in _GLUED)
    return kept[: LETTERS_PER_BYTE * len(character.encode("utf-8", "surrogatepass"))]


def _as_ascii_digit(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)


@functools.cache
def fold_tables() -> FoldTables:
    """The tables; building takes a third of a second, once per process."""
    actions = np.zeros(_NUM_CODES, dtype=np.uint32)
    expansions: list[int] = []
    unspaced = np.zeros(_NUM_CODES, dtype=bool)
    unspaced[UNSPACED_SCRIPTS[UNSPACED_SCRIPTS < _NUM_CODES]] = True
    for code in range(_NUM_CODES):
        character = chr(code)
        category = unicodedata.category(character)
        if category in ("Cn", "Cs", "Co", "Cc"):
            continue
        is_itself = category == "Lo" and unicodedata.is_normalized(
            "NFKD", character
        )  # most are, and it is quick to ask
        letters = character if is_itself else fold(character)
        if not letters:
            actions[code] = _GLUE if category[0] == "M" or category == "Cf" or character in _GLUED else _BOUNDARY
        elif len(letters) == 1:
            actions[code] = ord(letters)
        else:
            actions[code] = _SEVERAL | np.uint32(len(expansions))
            expansions += [len(letters), *map(ord, letters)]
        if letters and unspaced[code]:
            actions[code] |= _IN_FOURS if code in _SYLLABIC or code in _MORE_SYLLABIC else _OWN_WORD
    ascii_letters = actions[:128].astype(np.uint64)
    ascii_values = np.where(ascii_letters > _GLUE, _mixed(ascii_letters), np.uint64(0))
    tables = FoldTables(ascii_values, actions, np.array(expansions, dtype=np.uint32))
    for table in tables:
        table.flags.writeable = False
    return tables


@inlined_kernel
def letter_value(code):
    """The value of a folded letter: MurmurHash3's finaliser of its code, odd."""
    value = np.uint64(code)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return (value ^ (value >> np.uint64(33))) | np.uint64(1)


def _mixed(codes: np.ndarray) -> np.ndarray:
    """``letter_value`` of many."""
    return np.array([letter_value(code) for code in codes], dtype=np.uint64)


@inlined_kernel
def _action(code, actions):
    if code < _NUM_CODES:
        return actions[code]
    return np.uint32(code) | _OWN_WORD if code < _HAN_PLANES_END else np.uint32(_GLUE)


@inlined_kernel
def _character(data, position, end):
    """Code point of the character at ``position`` and its length in bytes."""
    if data[position] < 0x80:
        return np.int64(data[position]), 1
    code, length = decode(data, position, end)
    return np.int64(code), length


@kernel
def hash_letters(data, start, end, tables, prefixes, places):
    """Fold ``data[start:end]``.

    Args:
        tables: ``FoldTables``.
        prefixes: uint64, receives the hash of the first i letters at place i; room for ``LETTERS_PER_BYTE`` a byte, and
            two more.
        places: int32, receives where the character of each letter begins, in bytes from ``start``; as much room.

    Returns:
        The number of letters.
    """
    ascii_values, actions, expansions = tables
    value = np.uint64(0)
    prefixes[0] = value
    num_letters = 0
    position = start
    while position < end:
        byte = data[position]
        if byte < 0x80:  # written always, and counted if it is a letter: no branch depends on the text
            letter = ascii_values[byte]
            longer = value * BASE + letter
            places[num_letters] = position - start
            prefixes[num_letters + 1] = longer
            is_letter = letter != 0
            value = longer if is_letter else value
            num_letters += is_letter
            position += 1
            continue
        code, length = decode(data, position, end)
        action = _action(code, actions)
        if action > _GLUE:
            first = np.int64(action & _CODE)
            num = np.int64(expansions[first] if action & _SEVERAL else 1)
            for i in range(num):
                folded = expansions[first + 1 + i] if action & _SEVERAL else action & _CODE
                value = value * BASE + letter_value(folded)
                places[num_letters] = position - start
                prefixes[num_letters + 1] = value
                num_letters += 1
        position += length
    return num_letters


@kernel
def word_starts(data, start, end, tables, starts):
    """Write at which letter each word of ``data[start:end]`` begins (int32); returns how many words there are."""
    _, actions, expansions = tables
    num_letters = np.int64(0)
    num_words = in_word = 0
    position = start
    while position < end:
        code, length = _character(data, position, end)
        action = _action(code, actions)
        position += length
        if action == _BOUNDARY:
            in_word = 0
        elif action != _GLUE:
            in_fours = action & _IN_FOURS != 0
            if action & _OWN_WORD or in_word == 0 or (in_fours and in_word == LETTERS_PER_WORD):
                starts[num_words] = num_letters
                num_words += 1
                in_word = 0
            num_letters += np.int64(expansions[np.int64(action & _CODE)]) if action & _SEVERAL else 1
            in_word = 0 if action & _OWN_WORD else in_word + 1
    return num_words


@kernel
def end_of_letter(data, position, end, tables):
    """Where the character at ``position`` ends, with the marks that follow it."""
    _, actions, _ = tables
    is_first = True
    while position < end:
        code, length = _character(data, position, end)
        if not is_first and (_action(code, actions) != _GLUE or code < 0x80):
            break
        is_first = False
        position += length
    return position


@kernel
def inside_word(data, position, start, end, tables):
    """Whether a word goes on over ``position``: letters of scripts with spaces stand right before and behind it."""
    _, actions, _ = tables
    if position <= start or position >= end:
        return False
    before = position - 1
    while before > start and data[before] & 0xC0 == 0x80:
        before -= 1
    code, _ = _character(data, before, end)
    after, _ = _character(data, position, end)
    left, right = _action(code, actions), _action(after, actions)
    apart = _OWN_WORD | _IN_FOURS
    return left > _GLUE and right > _GLUE and (left | right) & apart == 0
