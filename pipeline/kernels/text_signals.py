"""All signals of the heuristic filters in one visit to each text.

A text is decoded once into code points and flags, then cut into words, of which hash and kind are noted; everything
else reads words rather than characters: repeated n-grams, lines and paragraphs, C4's line rules. Memory is allocated
once a batch, for its longest text, and touched only as far as a text needs it (about 130 bytes a character at worst).
Every function releases the GIL.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.kernels.arrow_text import TextBuffers
from pipeline.kernels.c4_lines import C4_SIGNALS, measure_c4
from pipeline.kernels.compilation import kernel
from pipeline.kernels.line_signals import LINE_SIGNALS, measure_breaks, measure_marks, measure_paragraphs
from pipeline.kernels.repetition import (
    NODE_ITEMS,
    NUM_TALLIES,
    REPETITION_SIGNALS,
    SLOTS_PER_WORD,
    measure_repetition,
)
from pipeline.kernels.special_words import special_word_table
from pipeline.kernels.unicode_tables import SPACE, character_flags, decode_utf8
from pipeline.kernels.word_segmentation import segment_words
from pipeline.kernels.word_signals import WORD_SIGNALS, measure_words, stop_word_tables

SIGNAL_NAMES = (*WORD_SIGNALS, *REPETITION_SIGNALS, *LINE_SIGNALS, *C4_SIGNALS)

_REPETITION_AT = len(WORD_SIGNALS)
_LINES_AT = _REPETITION_AT + len(REPETITION_SIGNALS)
_C4_AT = _LINES_AT + len(LINE_SIGNALS)
_PARAGRAPHS_AT = _LINES_AT + LINE_SIGNALS.index("num_paragraphs")
_BREAKS_AT = _LINES_AT + LINE_SIGNALS.index("duplicate_line_fraction")
_NEWLINES_AT = WORD_SIGNALS.index("newline_to_word_ratio")
_NEWLINE = ord("\n")


def measure_texts(
    text: TextBuffers,
    *,
    mode: int,
    stop_words: list[tuple[str, ...]],
    stop_list: np.ndarray,
    short_line_chars: int,
    c4_rules: tuple[int, int, int, int, int],
    fineweb_after_c4: bool,
) -> np.ndarray:
    """Measure every text.

    Args:
        text: the column; null rows are skipped.
        mode: how words are found, as ``segment_words`` takes it.
        stop_words: lists of words, compared with case.
        stop_list: int64, shape (num_rows,): which list each text is measured with; -1 for none.
        short_line_chars: a line of up to so many characters is short.
        c4_rules: as ``c4_lines.measure_c4`` takes them.
        fineweb_after_c4: measure FineWeb's four signals on the lines that C4's rules leave.

    Returns:
        float64, shape (num_rows, len(SIGNAL_NAMES)); NaN in null rows and for stop words without a list, 0 throughout
        for an empty text. A fraction or mean over nothing is 0.
    """
    values = np.full((len(text.is_valid), len(SIGNAL_NAMES)), np.nan)
    most_bytes = int(np.diff(text.offsets)[text.is_valid].max(initial=0))
    rules = np.array(c4_rules, dtype=np.int64)
    _measure_all(
        *text, character_flags(), special_word_table(), mode, stop_word_tables(stop_words), stop_list,
        short_line_chars, rules, fineweb_after_c4, most_bytes, values,
    )  # fmt: skip
    return values


@njit(nogil=True, cache=True)
def _measure_all(
    data, offsets, is_valid, flag_table, special, mode, stop_tables, stop_list, short_line_chars, rules,
    fineweb_after_c4, most_bytes, values,
):  # fmt: skip
    room = most_bytes + 3
    codes, flags = np.empty(room, np.uint32), np.empty(room, np.uint32)
    line = (np.empty(room, np.uint32), np.empty(room, np.uint32))
    left_room = 2 * room if fineweb_after_c4 else 0
    left = (np.empty(left_room, np.uint32), np.empty(left_room, np.uint32))
    words = (np.empty(2 * room, np.int32), np.empty(2 * room, np.int32), np.empty(2 * room, np.uint64),
             np.empty(2 * room, np.uint32))  # fmt: skip
    cuts = np.empty(2 * room, np.int32)
    num_slots = 64
    while num_slots < 2 * room:
        num_slots *= 2
    table_keys, table_numbers = np.empty(num_slots, np.uint64), np.empty(num_slots, np.int32)
    repeats = (
        np.empty(SLOTS_PER_WORD * num_slots // 2, np.uint32), np.empty(NODE_ITEMS * room, np.uint32),
        np.empty(NUM_TALLIES, np.int64),
    )  # fmt: skip
    stop_seen = np.empty(stop_tables.shape[1], np.uint8)
    no_stop_words = np.empty(0, np.uint64)
    for row in range(is_valid.size):
        if not is_valid[row]:
            continue
        out = values[row]
        out[:] = 0.0
        num_chars = decode_utf8(data, offsets[row], offsets[row + 1], flag_table[0], flag_table[1], codes, flags)
        if num_chars == 0:
            continue
        num_words = segment_words(codes, flags, num_chars, mode, special, words, 0, cuts)
        num_breaks = _count_breaks(codes, num_chars)
        stop_table = stop_tables[stop_list[row]] if stop_list[row] >= 0 else no_stop_words
        measure_words(codes, flags, num_chars, num_breaks, words, num_words, stop_table, stop_seen, out)
        measure_repetition(words, num_words, num_chars, repeats, out[_REPETITION_AT:_LINES_AT])
        measure_marks(codes, flags, num_chars, words, num_words, out[_LINES_AT:_PARAGRAPHS_AT])
        measure_paragraphs(
            codes, words, num_words, num_chars, num_breaks, table_keys, table_numbers, out[_PARAGRAPHS_AT:_BREAKS_AT]
        )
        measure_breaks(
            codes, flags, num_chars, words, num_words, num_breaks, short_line_chars, table_keys, table_numbers,
            out[_BREAKS_AT:_C4_AT],
        )  # fmt: skip
        num_left = measure_c4(
            codes, flags, np.int64(out[_LINES_AT]), rules, mode, special, words, num_words, line, cuts, left,
            out[_C4_AT:],
        )  # fmt: skip
        if fineweb_after_c4:
            _measure_left(left, num_left, mode, special, words, cuts, short_line_chars, table_keys, table_numbers, out)


@kernel
def _measure_left(left, num_left, mode, special, words, cuts, short_line_chars, table_keys, table_numbers, out):
    """Replace FineWeb's four signals by those of the text that C4's rules left; ``words`` is overwritten."""
    codes, flags = left
    while num_left and flags[num_left - 1] & SPACE:
        num_left -= 1
    of_gopher = out[_BREAKS_AT], out[_BREAKS_AT + 1]
    out[_BREAKS_AT:_C4_AT] = 0.0
    out[_NEWLINES_AT] = 0.0
    if num_left:
        num_words = segment_words(codes, flags, num_left, mode, special, words, 0, cuts)
        num_breaks = _count_breaks(codes, num_left)
        out[_NEWLINES_AT] = num_breaks / num_words
        measure_breaks(
            codes, flags, num_left, words, num_words, num_breaks, short_line_chars, table_keys, table_numbers,
            out[_BREAKS_AT:_C4_AT],
        )  # fmt: skip
    out[_BREAKS_AT], out[_BREAKS_AT + 1] = of_gopher


@kernel
def _count_breaks(codes, num_chars):
    """Number of ``\\n``."""
    num_breaks = 0
    for i in range(num_chars):
        num_breaks += codes[i] == _NEWLINE
    return num_breaks
