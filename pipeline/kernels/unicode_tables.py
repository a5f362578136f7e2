"""What a code point is: one 32-bit set of flags for each, in a two-stage table, and text decoded with them.

The flags come from ``unicodedata``, so they follow the Unicode version of the running Python (``UNICODE_VERSION``),
from the word-break classes of UAX #29 (``word_break_classes``) and from the punctuation sets that the heuristic
filters were published with. A code point's flags stand at ``flags[blocks[code >> 8] << 8 | code & 255]``; equal blocks
of 256 are stored once, which leaves about 200 kB instead of 4 MB, small enough for the second-level cache. Building
takes about 0.3 s, once per process.
"""

from __future__ import annotations

import functools
import unicodedata

import numpy as np

from pipeline.kernels.code_ranges import parse_ranges
from pipeline.kernels.compilation import kernel
from pipeline.kernels.word_break_classes import CATEGORIES, UNSPACED_SCRIPTS, general_categories, word_break_flags

UNICODE_VERSION = unicodedata.unidata_version

# Bits 19 to 21 and from 24 on are those of ``word_break_classes``.
SPACE = 1 << 0  # str.isspace
ALPHA = 1 << 1  # str.isalpha: categories L*
LOWER = 1 << 2  # a letter that is not upper case (scripts without case count as both)
UPPER = 1 << 3  # a letter that is not lower case
DIGIT = 1 << 4  # category Nd: what \d matches
SYMBOL = 1 << 5  # counts as punctuation in the Gopher filters
TERMINAL = 1 << 6  # ends a sentence
PUNCTUATION = 1 << 7  # categories P*
EXTEND = 1 << 8  # marks and format characters: never begin a word of their own in an unspaced script
UNSPACED = 1 << 9  # letters of scripts written without spaces between words
LINE_BREAK = 1 << 10  # ends a line in str.splitlines
PREFIX = 1 << 11  # splits off at the front of a word
SUFFIX = 1 << 12  # splits off at the end of a word
ICON = 1 << 13  # category So (emoji, dingbats): splits a word anywhere
QUOTE = 1 << 14
ANCHOR = 1 << 15  # letters and signs of which every phrase of C4's line rules has one
RARE_ANCHOR = 1 << 16  # the rarer ones among them, "j" and "{"
BRACKET = 1 << 17  # "[", which may begin a citation
COUNTED = 1 << 18  # "#", "." and the ellipsis, which Gopher's quality filter counts
SIGN = 1 << 22  # categories S*
LETTERS = 1 << 23  # as ALPHA; for the flags that all characters of a word have

_NUM_CODES = 0x110000
_BLOCK = 256


TERMINAL_PUNCTUATION = parse_ranges(
    "21 2E 3F 589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368 166E 1735-1736 17D4-17D6 "
    "17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E 1C3B-1C3C 1C7E-1C7F 203C-203D 2047-2049 "
    "2E2E 2E3C 2E53-2E54 3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB "
    "FE52 FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143 "
    "111C5-111C6 111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 1144B-1144C 115C2-115C3 115C9-115D7 11641-11642 "
    "1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5 16B37-16B38 "
    "16B44 16E98 1BC9F 1DA88"
)
"""Sentence-ending characters of all scripts (159): what FineWeb's filter accepts at the end of a line."""

_CCNET_PUNCTUATION = parse_ranges(
    "0-8 B-1F 21-2F 3A-40 5B-60 7B-9F AB B4 BB 2013-2014 2019 201C-201E 2026 2236 2501 25BA 3001-3002 3008-300D "
    "3010-3011 FF01 FF05 FF08-FF09 FF0C FF0E FF11 FF1A-FF1B FF1F FF5E"
)
"""CCNet's punctuation, which FineWeb's Gopher filters inherit, with its slip: FF11 is a digit."""

# What splits off a word, as spaCy lists it for English. The full stop and the plus sign have rules of their own.
_AFFIXES = parse_ranges(
    "21-23 26-2A 2C 3A-3C 3E-3F 5B 5D 5F-60 7B 7D A1 AB B4 B7 BB BF 60C 61B 61F 66A 6D4 964 2013-2014 2018-201A "
    "201C-201E 2026 2329-232A 27E6-27E7 3001-3002 3008-3011 3014-3015 FF01 FF08-FF09 FF0C FF1A-FF1B FF1F FF5E"
)
_PREFIXES_ONLY = parse_ranges("24-25 3D A3 A5 A7 E3F 20A0-20BF FDFC")
_QUOTES = parse_ranges("22 27 2C 60 AB B4 BB 2018-201A 201C-201E 2329-232A 27E6-27E7 3008-3011 3014-3015 FF08-FF09")
_ANCHORS = "fFjJkKpPvV{\u212a"
_RARE_ANCHORS = "jJ{"
_LINE_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


FLAGS = np.uint32
"""Of ``character_flags``, and of the arrays that kernels decode into."""


@functools.cache
def character_flags() -> tuple[np.ndarray, np.ndarray]:
    """The two-stage table.

    Returns:
        ``blocks``, uint8, shape (4352,): number of the block of 256 code points; and ``flags``, uint32, shape
        (num_blocks * 256,).
    """
    categories = general_categories(_NUM_CODES)
    flags = np.array([_flags_of_category(category) for category in CATEGORIES], dtype=FLAGS)[categories]
    _set(flags, [code for code in range(0x3001) if chr(code).isspace()], SPACE)
    _set(flags, _CCNET_PUNCTUATION, SYMBOL)
    _set(flags, TERMINAL_PUNCTUATION, SYMBOL | TERMINAL)
    _set(flags, _LINE_BREAKS, LINE_BREAK)
    _set(flags, _ANCHORS, ANCHOR)
    _set(flags, _RARE_ANCHORS, RARE_ANCHOR)
    _set(flags, "[", BRACKET)
    _set(flags, "#.\u2026", COUNTED)
    _set(flags, _AFFIXES, PREFIX | SUFFIX)
    _set(flags, _PREFIXES_ONLY, PREFIX)
    _set(flags, _QUOTES, QUOTE)
    unspaced = UNSPACED_SCRIPTS[(flags[UNSPACED_SCRIPTS] & ALPHA) != 0]
    _set(flags, [*unspaced, 0x3007], UNSPACED)  # U+3007, the ideographic zero, is a number letter
    flags |= word_break_flags(categories)
    unique, blocks = np.unique(flags.reshape(-1, _BLOCK), axis=0, return_inverse=True)
    return blocks.ravel().astype(np.uint8), np.ascontiguousarray(unique).ravel()


def _flags_of_category(category: str) -> int:
    """Flags that follow from the general category alone."""
    members = {
        ALPHA | LETTERS: ("Lu", "Ll", "Lt", "Lm", "Lo"),
        LOWER: ("Ll", "Lm", "Lo"),
        UPPER: ("Lu", "Lt", "Lo"),
        DIGIT: ("Nd",),
        PUNCTUATION: ("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"),
        EXTEND: ("Mn", "Mc", "Me", "Cf"),
        SIGN: ("Sm", "Sc", "Sk", "So"),
        PREFIX | SUFFIX | ICON: ("So",),
    }
    return sum(flag for flag, categories in members.items() if category in categories)


def _set(flags: np.ndarray, codes: str | list[int] | np.ndarray, flag: int) -> None:
    flags[_as_codes(codes)] |= np.uint32(flag)


def _as_codes(codes: str | list[int] | np.ndarray) -> np.ndarray:
    return np.array([ord(code) for code in codes] if isinstance(codes, str) else codes, dtype=np.int64)


@kernel
def decode_utf8(data, start, end, blocks, table, codes, flags):
    """Decode bytes ``data[start:end]`` and look up each character's flags.

    Args:
        data: uint8, valid UTF-8 from ``start`` to ``end`` (Arrow guarantees it for string columns).
        blocks, table: as ``character_flags`` returns them.
        codes, flags: uint32 of at least ``end - start`` items; written from index 0.

    Returns:
        Number of characters.
    """
    text = data[start:end]
    first_block = np.int64(blocks[0]) << 8
    ascii_table = table[first_block : first_block + 0x80]
    num_ascii = 0
    for i in range(text.size):
        lead = text[i]
        if lead >= 0x80:
            break
        codes[i] = lead
        flags[i] = ascii_table[lead]
        num_ascii += 1
    position = num_chars = num_ascii
    while position < text.size:
        lead = np.uint32(text[position])
        if lead < 0x80:
            codes[num_chars] = lead
            flags[num_chars] = ascii_table[lead]
            position += 1
        else:
            length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            code = lead & np.uint32(0x7F >> length)
            for i in range(position + 1, min(position + length, text.size)):
                code = (code << np.uint32(6)) | (np.uint32(text[i]) & np.uint32(0x3F))
            code = min(code, np.uint32(0x10FFFF))
            codes[num_chars] = code
            flags[num_chars] = table[(np.uint32(blocks[code >> 8]) << 8) | (code & np.uint32(0xFF))]
            position += length
        num_chars += 1
    return num_chars
