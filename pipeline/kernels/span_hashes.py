"""Lines, paragraphs, or runs of consecutive sentences of texts, each as a 64-bit key and the bytes that it takes up.

A text is decoded once and read from front to back. What is hashed of a piece is its content, white space at both ends
aside: normalised as ``line_hashes`` has it, or character by character. A run of sentences has the hash of their hashes
in order. What is cut with a piece is more than its content: also the line break, the blank lines or the white space
before the next one, so that nothing is left of it.

* A line ends where ``splitlines`` ends one.
* A paragraph ends at a blank line.
* A sentence ends at a line break, or where a word begins behind a terminal mark and the punctuation after it, as
  ``c4_lines.count_sentences`` counts them. "e.g." ends one too, in every copy alike.

O(characters); memory for one text and for the pieces found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from pipeline.kernels.arrow_text import TextBuffers
from pipeline.kernels.compilation import kernel
from pipeline.kernels.hash_table import hash_codes
from pipeline.kernels.line_hashes import NO_HASH, hash_line, lower_case_table
from pipeline.kernels.line_signals import after_break, strip
from pipeline.kernels.line_verdicts import utf8_bytes
from pipeline.kernels.special_words import special_word_table
from pipeline.kernels.unicode_tables import LINE_BREAK, PUNCTUATION, TERMINAL, character_flags, decode_utf8
from pipeline.kernels.word_segmentation import BROKEN, UNICODE_MODE, segment_words

LINES, PARAGRAPHS, SENTENCE_SPANS = 0, 1, 2

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HALF_WORD = np.uint64(32)
_SMALLEST_ROOM = 1024


class Spans(NamedTuple):
    """Pieces of the texts of a column, in order; those without a key are left out.

    Args:
        rows: int64, shape (num_spans,): of which text.
        keys: uint64, hash of content and the row's salt.
        starts, ends: int64, UTF-8 bytes into the text: what goes if the piece is cut.
    """

    rows: np.ndarray
    keys: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def hash_spans(
    text: TextBuffers, salts: np.ndarray, *, unit: int, num_sentences: int, min_chars: int, normalise: bool
) -> Spans:
    """Find and hash the pieces of every text.

    Args:
        text: the column; null rows have none.
        salts: uint64, shape (num_rows,): pieces of rows with different salts have different keys.
        unit: LINES, PARAGRAPHS or SENTENCE_SPANS.
        num_sentences: of a span; every run of so many consecutive sentences is one, and a shorter text has none.
        min_chars: pieces whose content is shorter have no key.
        normalise: hash letters in lower case, their marks, and "0" for each digit, and nothing else; a piece without
            letters and digits then has no key, otherwise a blank one.
    """
    most_bytes = int(np.diff(text.offsets)[text.is_valid].max(initial=0))
    found = _hash_all(
        *text, salts, character_flags(), lower_case_table(), special_word_table(), unit, num_sentences, min_chars,
        normalise, most_bytes,
    )  # fmt: skip
    return Spans(*found)


@njit(nogil=True, cache=True)
def _hash_all(
    data, offsets, is_valid, salts, flag_table, lower_case, special, unit, num_sentences, min_chars, normalise,
    most_bytes,
):  # fmt: skip
    room = most_bytes + 3
    codes, flags = np.empty(room, np.uint32), np.empty(room, np.uint32)
    words_room = 2 * room if unit == SENTENCE_SPANS else 0
    words = (np.empty(words_room, np.int32), np.empty(words_room, np.int32), np.empty(words_room, np.uint64),
             np.empty(words_room, np.uint32))  # fmt: skip
    cuts = np.empty(words_room, np.int32)
    marks, hashes = np.empty((3, room), np.int64), np.empty(room, np.uint64)
    rows, keys = np.empty(_SMALLEST_ROOM, np.int64), np.empty(_SMALLEST_ROOM, np.uint64)
    starts, ends = np.empty(_SMALLEST_ROOM, np.int64), np.empty(_SMALLEST_ROOM, np.int64)
    num_spans = 0
    for row in range(is_valid.size):
        if not is_valid[row]:
            continue
        num_chars = decode_utf8(data, offsets[row], offsets[row + 1], flag_table[0], flag_table[1], codes, flags)
        if unit == SENTENCE_SPANS:
            num_words = segment_words(codes, flags, num_chars, UNICODE_MODE, special, words, 0, cuts)
            num_pieces = _find_sentences(words, num_words, num_chars, marks)
        else:
            num_pieces = _find_lines(codes, flags, num_chars, unit == PARAGRAPHS, marks)
        _hash_pieces(codes, flags, marks, num_pieces, normalise, lower_case, hashes)
        size = rows.size
        while size < num_spans + num_pieces:
            size *= 2
        if size > rows.size:
            rows, keys = _grown(rows, size), _grown(keys, size)
            starts, ends = _grown(starts, size), _grown(ends, size)
        length = num_sentences if unit == SENTENCE_SPANS else 1
        num_spans = _enter_spans(
            codes, marks, hashes, num_pieces, length, min_chars, row, salts[row], rows, keys, starts, ends, num_spans
        )
    return rows[:num_spans], keys[:num_spans], starts[:num_spans], ends[:num_spans]


@njit(nogil=True, cache=True)
def _grown(array, size):
    larger = np.empty(size, array.dtype)
    larger[: array.size] = array
    return larger


@kernel
def _find_lines(codes, flags, num_chars, joined, marks):
    """Lines that are not blank, or paragraphs of such lines.

    Args:
        joined: whether consecutive lines that are not blank make one piece.
        marks: int64, shape (3, room); receives of each piece where it and its content begin and where its content
            ends, in characters. A piece ends where the next begins, the last with the text; the first begins with it.

    Returns:
        Number of pieces.
    """
    num_pieces = position = 0
    is_open = False
    while position < num_chars:
        stop = position
        while stop < num_chars and not flags[stop] & LINE_BREAK:
            stop += 1
        first, last = strip(flags, position, stop)
        if first == last:
            is_open = False
        elif is_open and joined:
            marks[2, num_pieces - 1] = last
        else:
            marks[0, num_pieces] = position if num_pieces else 0
            marks[1, num_pieces], marks[2, num_pieces] = first, last
            num_pieces += 1
            is_open = True
        position = after_break(codes, stop, num_chars) if stop < num_chars else stop
    marks[0, num_pieces] = num_chars
    return num_pieces


@kernel
def _find_sentences(words, num_words, num_chars, marks):
    """Sentences of a text that was cut into words; ``marks`` and the result as for ``_find_lines``."""
    starts, ends, _, kinds = words
    num_pieces = 0
    mark_seen = False
    for word in range(num_words):
        kind = kinds[word]
        begins_one = (kind & BROKEN) != 0 or (mark_seen and kind & (TERMINAL | PUNCTUATION) == 0)
        if begins_one:
            marks[0, num_pieces] = starts[word] if num_pieces else 0
            marks[1, num_pieces] = starts[word]
            num_pieces += 1
            mark_seen = False
        mark_seen = mark_seen or (kind & TERMINAL) != 0
        marks[2, num_pieces - 1] = ends[word]
    marks[0, num_pieces] = num_chars
    return num_pieces


@kernel
def _hash_pieces(codes, flags, marks, num_pieces, normalise, lower_case, hashes):
    for piece in range(num_pieces):
        first, last = marks[1, piece], marks[2, piece]
        if normalise:
            hashes[piece] = hash_line(codes, flags, first, last, lower_case[0], lower_case[1])
        else:
            hashes[piece] = hash_codes(codes, first, last)


@kernel
def _enter_spans(
    codes, marks, hashes, num_pieces, length, min_chars, row, salt, rows, keys, starts, ends, num_spans
):  # fmt: skip
    """Enter every run of ``length`` pieces that has a key; returns the number of spans so far."""
    byte = char = last_char = last_byte = 0
    for piece in range(num_pieces - length + 1):
        after = piece + length
        byte += utf8_bytes(codes, char, marks[0, piece])
        char = marks[0, piece]
        if last_char < char:
            last_char, last_byte = char, byte
        last_byte += utf8_bytes(codes, last_char, marks[0, after])
        last_char = marks[0, after]
        if marks[2, after - 1] - marks[1, piece] < min_chars:
            continue
        key = salt
        is_hashed = False
        for i in range(piece, after):
            is_hashed = is_hashed or hashes[i] != NO_HASH
            key = (key ^ hashes[i]) * _MULTIPLIER
            key ^= key >> _HALF_WORD
        if is_hashed:
            rows[num_spans], keys[num_spans], starts[num_spans], ends[num_spans] = row, key, byte, last_byte
            num_spans += 1
    return num_spans
