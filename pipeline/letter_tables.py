"""How often a letter follows another in the languages that were written in the legacy charsets of the web.

``letter_tables.json`` holds numbers alone, made by ``benchmarks/train_letter_tables.py``: per alphabetic language its
letters and a level per pair of them, per ideographic language (Chinese, Japanese, Korean) its commonest characters and
a level for each. A level is one character and stands for a multiple of ``STEP_NATS`` below 0. Here they become arrays,
and characters become classes: ``pipeline/charset_scores.py`` adds up.

Text is a chain of classes: outside (space, digits, signs), the letters of the language, Latin letters in a language of
another script, and foreign letters. What a class does not tell is in the character's own share of it (``_SIGN_STEPS``
and the like). So what is added up is, roughly, the logarithm of a probability, and comparable between languages and
charsets. Arrays hold whole numbers of steps as floats, so that sums are exact in any order.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ConfigError

SHIPPED_TABLES = Path(__file__).with_name("letter_tables.json")
STEP_NATS = 0.2
CLASSES = ("outside", "latin", "foreign")
"""Classes that every language has; its letters follow."""

OUTSIDE, FOREIGN = 0, 1
"""The first two symbols; letters follow."""

_VERSION = 1
_FIRST_LEVEL = 0x23  # '#'; '"' and what lies below would need an escape in JSON, as would one character above
_ESCAPED = 0x5C
_NUM_LEVELS = 80
_COMMON_SIGNS = "\u00a0’“”„«»–—"
_OTHER_SIGNS = "©®™€£°§·…•‘‚‹›½¼²³ªº¿¡´×\u00ad\u200c\u200d،؛؟"
_SIGN_STEPS = dict.fromkeys(_COMMON_SIGNS, -22) | dict.fromkeys(_OTHER_SIGNS, -33)
_ASCII_SIGN_STEPS, _RARE_SIGN_STEPS, _BROKEN_STEPS = -15, -60, -80
_LATIN_STEPS, _FOREIGN_STEPS = -16, -25
_KANA_STEPS, _HANGUL_STEPS, _IDEOGRAPH_STEPS, _HALF_WIDTH_STEPS = -32, -48, -55, -20
"""Shares of characters in their classes that are not in the tables, from the sizes of the classes."""


def write_level(nats: float) -> str:
    """A logarithm as the character that stands for it in the tables."""
    level = _FIRST_LEVEL + min(max(round(-nats / STEP_NATS), 0), _NUM_LEVELS - 1)
    return chr(level + (level >= _ESCAPED))


def _read_levels(levels: str) -> np.ndarray:
    codes = np.frombuffer(levels.encode("ascii"), np.uint8).astype(np.int32)
    return -(codes - _FIRST_LEVEL - (codes > _ESCAPED)).astype(np.float32)


def fold(character: str) -> str:
    """Lower case, of one character."""
    return character.lower()[0]


def is_letter(character: str) -> bool:
    """Letters and the marks that are written above and below them."""
    return unicodedata.category(character)[0] in "LM"


def ideographic_class(character: str) -> str:
    """The class of a character in Chinese, Japanese and Korean text."""
    code = ord(character)
    if code < 0x80:
        return "latin" if character.isalpha() else "outside"
    if 0x3041 <= code <= 0x3096:
        return "hiragana"
    if 0x30A1 <= code <= 0x30FC:
        return "katakana"
    if 0x4E00 <= code <= 0x9FFF or code == 0x3005:
        return "ideograph"
    if 0xAC00 <= code <= 0xD7A3:
        return "hangul"
    if 0xFF61 <= code <= 0xFF9F:
        return "half_width"
    if 0x3000 <= code <= 0x303F or 0xFF01 <= code <= 0xFF5E or character in _SIGN_STEPS:
        return "mark"
    return "foreign"


def sign_steps(character: str) -> int:
    """The share of a character that is no letter among such characters."""
    if character == "\ufffd" or (ord(character) >= 0x7F and unicodedata.category(character) in ("Cc", "Cn", "Co")):
        return _BROKEN_STEPS
    return _SIGN_STEPS.get(character, _ASCII_SIGN_STEPS if character.isascii() else _RARE_SIGN_STEPS)


@dataclass(frozen=True)
class AlphabeticTables:
    """All alphabetic languages in one set of arrays.

    Args:
        languages: their names.
        symbols: number of each letter of any of them.
        class_of: uint8 array (languages, symbols): class of a symbol in a language.
        pair_steps: float32 array (languages, classes, classes): of a class after another.
        symbol_steps: float32 array (languages, symbols): share of the symbol in its class.
        is_own: bool array (languages, symbols): letters of the language.
    is_latin: bool array (languages).
    """

    languages: tuple[str, ...]
    symbols: dict[str, int]
    class_of: np.ndarray
    pair_steps: np.ndarray
    symbol_steps: np.ndarray
    is_own: np.ndarray
    is_latin: np.ndarray


@dataclass(frozen=True)
class IdeographicTable:
    """One ideographic language, for characters of the basic plane.

    Args:
        class_of: uint8 array (65536).
        pair_steps: float32 array (classes, classes).
        character_steps: float32 array (65536): share of the character in its class.
    """

    class_of: np.ndarray
    pair_steps: np.ndarray
    character_steps: np.ndarray


def _load() -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(SHIPPED_TABLES.read_text(encoding="utf-8"))
    if (tables["version"], tables["step_nats"]) != (_VERSION, STEP_NATS):
        raise ConfigError(
            f"found version {tables['version']} in steps of {tables['step_nats']}; expected {_VERSION} in steps of "
            f"{STEP_NATS} ({SHIPPED_TABLES}); make them anew with benchmarks/train_letter_tables.py"
        )
    return tables


@functools.cache
def alphabetic_tables() -> AlphabeticTables:
    """The shipped tables of alphabetic languages, read once per process."""
    found: dict[str, Any] = _load()["letters"]
    letters = sorted(
        {letter for table in found.values() for letter in table["letters"]} | set("abcdefghijklmnopqrstuvwxyz")
    )
    symbols = {letter: FOREIGN + 1 + position for position, letter in enumerate(letters)}
    num_classes = max(len(table["levels"]) for table in found.values())
    class_of = np.full((len(found), FOREIGN + 1 + len(letters)), CLASSES.index("foreign"), np.uint8)
    class_of[:, OUTSIDE] = CLASSES.index("outside")
    class_of[:, [symbols[letter] for letter in "abcdefghijklmnopqrstuvwxyz"]] = CLASSES.index("latin")
    pair_steps = np.zeros((len(found), num_classes, num_classes), np.float32)
    for language, table in enumerate(found.values()):
        own = [symbols[letter] for letter in table["letters"]]
        class_of[language, own] = len(CLASSES) + np.arange(len(own))
        rows = np.stack([_read_levels(row) for row in table["levels"]])
        pair_steps[language, : len(rows), : len(rows)] = rows
    class_steps = np.zeros(num_classes, np.float32)
    class_steps[CLASSES.index("latin")], class_steps[CLASSES.index("foreign")] = _LATIN_STEPS, _FOREIGN_STEPS
    return AlphabeticTables(
        languages=tuple(found),
        symbols=symbols,
        class_of=class_of,
        pair_steps=pair_steps,
        symbol_steps=class_steps[class_of],
        is_own=class_of >= len(CLASSES),
        is_latin=np.array([name.endswith("_Latn") for name in found]),
    )


@functools.cache
def ideographic_tables() -> tuple[IdeographicTable, ...]:
    """The shipped tables of Chinese, Japanese and Korean, read once per process."""
    return tuple(_ideographic_table(table) for table in _load()["characters"].values())


def _ideographic_table(table: dict[str, Any]) -> IdeographicTable:
    names = table["classes"]
    otherwise = {"latin": _LATIN_STEPS, "ideograph": _IDEOGRAPH_STEPS, "hangul": _HANGUL_STEPS}
    otherwise |= {
        "hiragana": _KANA_STEPS,
        "katakana": _KANA_STEPS,
        "half_width": _HALF_WIDTH_STEPS,
        "mark": _KANA_STEPS,
    }
    class_of = np.full(1 << 16, names.index("foreign"), np.uint8)
    nats = np.full(1 << 16, _RARE_SIGN_STEPS, np.float32)
    for code in _codes_with_a_class():
        character = chr(code)
        name = ideographic_class(character)
        if name in names:
            class_of[code] = names.index(name)
        nats[code] = sign_steps(character) if name == "outside" else otherwise.get(name, _RARE_SIGN_STEPS)
    listed = np.array([ord(character) for character in table["characters"]])
    nats[listed] = _read_levels(table["shares"])
    nats[0xFFFD] = _BROKEN_STEPS
    nats[0xD800:0xF900] = _BROKEN_STEPS  # surrogates and private use
    return IdeographicTable(class_of, np.stack([_read_levels(row) for row in table["levels"]]), nats)


def _codes_with_a_class() -> list[int]:
    ranges = ((0, 0x100), (0x2000, 0x2200), (0x3000, 0x3100), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0xFF00, 0xFFA0))
    return [code for start, end in ranges for code in range(start, end)]
