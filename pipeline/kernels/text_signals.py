"""All signals of the heuristic filters in one visit to each text.

A text is decoded once into code points and flags, which stay in cache while everything else reads them: words,
repeated n-grams, lines and paragraphs, C4's line rules. Memory is allocated once a batch, for its longest text, and
touched only as far as a text needs it (about 60 bytes a character at worst). Every function releases the GIL.

Cost: about 35 ns a byte on technical English (segmentation 9, word table 5, n-grams 7, the rest 1 to 6 each), by
``benchmarks/signals.py``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.kernels.arrow_text import TextBuffers
from pipeline.kernels.c4_lines import C4_SIGNALS, count_sentences, measure_c4
from pipeline.kernels.compilation import kernel
from pipeline.kernels.hash_table import find_slot, hash_codes
from pipeline.kernels.line_signals import LINE_SIGNALS, count_breaks, measure_lines
from pipeline.kernels.repetition import REPETITION_SIGNALS, intern_words, measure_repetition
from pipeline.kernels.special_words import special_word_table
from pipeline.kernels.unicode_tables import ALPHA, SYMBOL, character_flags, decode_utf8
from pipeline.kernels.word_segmentation import segment_words

WORD_SIGNALS = (
    "num_words",
    "num_words_with_symbols",
    "num_sentences",
    "mean_word_chars",
    "hash_to_word_ratio",
    "ellipsis_to_word_ratio",
    "alphabetic_word_fraction",
    "num_distinct_stop_words",
    "newline_to_word_ratio",
)
SIGNAL_NAMES = (*WORD_SIGNALS, *REPETITION_SIGNALS, *LINE_SIGNALS, *C4_SIGNALS)

_REPETITION_AT = len(WORD_SIGNALS)
_LINES_AT = _REPETITION_AT + len(REPETITION_SIGNALS)
_C4_AT = _LINES_AT + len(LINE_SIGNALS)
_HASH, _DOT, _ELLIPSIS = ord("#"), ord("."), 0x2026


def measure_texts(
    text: TextBuffers, *, stop_words: list[str], short_line_chars: int, c4_rules: tuple[int, int, int, int, int]
) -> np.ndarray:
    """Measure every text.

    Args:
        text: the column; null rows are skipped.
        stop_words: compared with case.
        short_line_chars: a line of up to so many characters is short.
        c4_rules: as ``c4_lines.measure_c4`` takes them.

    Returns:
        float64, shape (num_rows, len(SIGNAL_NAMES)); NaN in null rows, 0 throughout for an empty text. A fraction or
        mean over nothing is 0.
    """
    values = np.full((len(text.is_valid), len(SIGNAL_NAMES)), np.nan)
    most_bytes = int(np.diff(text.offsets)[text.is_valid].max(initial=0))
    stop_hashes = np.array([_hash_word(word) for word in stop_words], dtype=np.uint64)
    rules = np.array(c4_rules, dtype=np.int64)
    _measure_all(
        *text, character_flags(), special_word_table(), stop_hashes, short_line_chars, rules, most_bytes, values
    )
    return values


def _hash_word(word: str) -> int:
    codes = np.array([ord(character) for character in word], dtype=np.uint32)
    return int(hash_codes(codes, 0, len(codes)))


@njit(nogil=True, cache=True)
def _measure_all(
    data, offsets, is_valid, flag_table, special, stop_hashes, short_line_chars, rules, most_bytes, values
):
    room = most_bytes + 1
    codes, flags = np.empty(room, np.uint32), np.empty(room, np.uint16)
    line_codes, line_flags = np.empty(room, np.uint32), np.empty(room, np.uint16)
    starts, ends = np.empty(2 * room, np.int32), np.empty(2 * room, np.int32)
    numbers, counts, scratch = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    num_slots = 4
    while num_slots < 2 * room:
        num_slots *= 2
    table_keys, table_numbers = np.empty(num_slots, np.uint64), np.empty(num_slots, np.int32)
    for row in range(is_valid.size):
        if not is_valid[row]:
            continue
        out = values[row]
        out[:] = 0.0
        num_chars = decode_utf8(data, offsets[row], offsets[row + 1], flag_table[0], flag_table[1], codes, flags)
        if num_chars == 0:
            continue
        num_breaks = count_breaks(codes, num_chars)
        num_words = segment_words(codes, flags, 0, num_chars, special[0], special[1], starts, ends, 0, scratch)
        mask = intern_words(codes, starts, ends, num_words, table_keys, table_numbers, numbers, counts)
        out[7] = _count_known(stop_hashes, table_keys, mask)
        _measure_words(codes, flags, num_chars, num_breaks, starts, ends, num_words, out)
        measure_repetition(
            starts, ends, num_words, num_chars, numbers, counts, scratch, table_keys, table_numbers,
            out[_REPETITION_AT:_LINES_AT],
        )  # fmt: skip
        measure_lines(
            codes, flags, num_chars, num_breaks, short_line_chars, table_keys, table_numbers, out[_LINES_AT:_C4_AT]
        )
        words = (starts, ends, num_words)
        measure_c4(codes, flags, num_chars, rules, special, words, line_codes, line_flags, scratch, out[_C4_AT:])


@kernel
def _count_known(hashes, table_keys, mask):
    """How many of ``hashes`` (distinct) are among the words in the table."""
    num_known = 0
    for word_hash in hashes:
        num_known += table_keys[find_slot(word_hash, table_keys, mask)] == word_hash
    return num_known


@kernel
def _measure_words(codes, flags, num_chars, num_breaks, starts, ends, num_words, out):
    """``WORD_SIGNALS`` except the stop words.

    Words made of symbols only count in the ratios' denominators, but neither in ``num_words`` nor in the mean length.
    """
    num_proper = num_proper_chars = num_alphabetic = 0
    for word in range(num_words):
        every, some = 0xFFFF, 0
        for i in range(starts[word], ends[word]):
            every &= flags[i]
            some |= flags[i]
        if not every & SYMBOL:
            num_proper += 1
            num_proper_chars += ends[word] - starts[word]
        num_alphabetic += (some & ALPHA) != 0
    num_hashes = num_ellipses = dots = 0
    for i in range(num_chars):
        code = codes[i]
        num_hashes += code == _HASH
        dots = dots + 1 if code == _DOT else 0
        num_ellipses += code == _ELLIPSIS
        if dots == 3:
            num_ellipses += 1
            dots = 0
    out[0] = num_proper
    out[1] = num_words
    out[2] = count_sentences(flags, starts, ends, 0, num_words)
    out[3] = num_proper_chars / num_proper if num_proper else 0.0
    if num_words:
        out[4] = num_hashes / num_words
        out[5] = num_ellipses / num_words
        out[6] = num_alphabetic / num_words
        out[8] = num_breaks / num_words
