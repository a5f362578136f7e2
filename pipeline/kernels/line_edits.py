"""Line cleaning: texts without the lines and phrases that the rules take, and how many bytes each rule took.

Each line (``splitlines``) is judged by ``line_verdicts``. A line that goes takes its line break along; a line that
nothing happens to is copied as bytes, but where C4's rules are carried out every line is stripped, as C4 did. At last
the text loses the white space at its ends. Each byte that goes is counted under one rule, trimmed white space under
the last, so that for every text bytes before = bytes after + the sum over the rules.

Cost: about 8 ns a byte to measure, 10 to clean, 15 with C4's rules, on one core (``benchmarks/lines.py``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from pipeline.kernels.arrow_text import TextBuffers
from pipeline.kernels.compilation import kernel
from pipeline.kernels.line_phrases import Phrases
from pipeline.kernels.line_signals import after_break, strip
from pipeline.kernels.line_verdicts import (
    C4_APPLIES,
    CHARS_LEFT,
    CITATION,
    CITATION_BYTES,
    FLAGGED_WORDS,
    KEPT,
    LINE_RULES,
    PHRASE,
    PHRASE_BYTES,
    RULE,
    UNTOUCHED,
    VERDICT_SIZE,
    WHITE_SPACE,
    WORDS,
    WORDS_LEFT,
    judge_line,
    scan_line,
    utf8_bytes,
)
from pipeline.kernels.unicode_tables import FLAGS, character_flags, decode_utf8

LINE_FACTS = ("num_words", "num_words_flagged_by_refinedweb", "cleaned_num_bytes", "cleaned_num_words")
"""What is counted of each text before the counts by rule; a word is a run between white space."""

_FACTS, _RULES = len(LINE_FACTS), len(LINE_RULES)
NUM_COUNTS = _FACTS + 2 * _RULES


class LineSettings(NamedTuple):
    """Rules as kernels take them.

    Args:
        applies: which sets are carried out: boilerplate, RefinedWeb, C4.
        refinedweb: fewest words of a line; most words of a line in which phrases are looked for; drop lines of digits.
        c4: as ``c4_lines.measure_c4`` takes them.
        max_upper_case_fraction: 1 or more turns the rule off.
        phrases: what edits look for, and what counters count.
        boilerplate: sorted uint64 line hashes (``line_hashes``).
        lower_case: ``line_hashes.lower_case_table``.
    """

    applies: tuple[bool, bool, bool]
    refinedweb: tuple[int, int, bool]
    c4: tuple[int, int, int, int, int]
    max_upper_case_fraction: float
    phrases: Phrases
    boilerplate: np.ndarray
    lower_case: tuple[np.ndarray, np.ndarray]


class EditedTexts(NamedTuple):
    """What ``edit_texts`` returns.

    Args:
        counts: int64, shape (num_rows, NUM_COUNTS): LINE_FACTS, then bytes by LINE_RULES, then lines by LINE_RULES.
        data: uint8, the cleaned texts one behind the other; empty if they were not wanted.
        offsets: int64, shape (num_rows + 1,), into ``data``.
    """

    counts: np.ndarray
    data: np.ndarray
    offsets: np.ndarray

    @property
    def facts(self) -> np.ndarray:
        return self.counts[:, :_FACTS]

    @property
    def bytes_by_rule(self) -> np.ndarray:
        return self.counts[:, _FACTS : _FACTS + _RULES]

    @property
    def lines_by_rule(self) -> np.ndarray:
        return self.counts[:, _FACTS + _RULES :]


def edit_texts(text: TextBuffers, settings: LineSettings, *, is_edited: np.ndarray, writes: bool) -> EditedTexts:
    """Clean every text, or measure what cleaning would do.

    Args:
        text: the column; null rows come out empty, with counts of 0.
        is_edited: bool, shape (num_rows,); a text that is not stays as it is, but RefinedWeb's words are counted.
        writes: whether the cleaned texts are wanted.
    """
    num_rows = len(text.is_valid)
    counts = np.zeros((num_rows, NUM_COUNTS), dtype=np.int64)
    lengths = np.diff(text.offsets)[text.is_valid]
    out = np.empty(int(lengths.sum()) if writes else 0, dtype=np.uint8)
    offsets = np.zeros(num_rows + 1, dtype=np.int64)
    numbers = np.array([*settings.applies, *settings.refinedweb, *settings.c4], dtype=np.int64)
    rules = (numbers, float(settings.max_upper_case_fraction), tuple(settings.phrases))
    lists = (settings.boilerplate, settings.lower_case)
    most_bytes = int(lengths.max(initial=0))
    _edit_all(*text, is_edited, character_flags(), rules, lists, most_bytes, writes, counts, out, offsets)
    return EditedTexts(counts, out[: offsets[-1]] if writes else out, offsets)


@njit(nogil=True, cache=True)
def _edit_all(data, offsets, is_valid, is_edited, flag_table, rules, lists, most_bytes, writes, counts, out, ends):
    room = most_bytes + 1
    codes, flags = np.empty(room, np.uint32), np.empty(room, FLAGS)
    line_codes, line_flags = np.empty(room, np.uint32), np.empty(room, FLAGS)
    verdict = np.empty(VERDICT_SIZE, np.int64)
    position = 0
    for row in range(is_valid.size):
        if is_valid[row]:
            start, end = offsets[row], offsets[row + 1]
            num_chars = decode_utf8(data, start, end, flag_table[0], flag_table[1], codes, flags)
            scratch = (line_codes, line_flags, verdict)
            position = _edit_text(
                data, start, end, codes, flags, num_chars, is_edited[row], rules, lists, scratch, writes, out,
                position, counts[row],
            )  # fmt: skip
        ends[row + 1] = position


@kernel
def _edit_text(
    data, start, end, codes, flags, num_chars, is_edited, rules, lists, scratch, writes, out, position, counts
):
    """Clean one text into ``out`` from ``position`` on; returns where it ends there."""
    line_codes, line_flags, verdict = scratch
    settings, max_upper_case, phrases = rules
    boilerplate, lower_case = lists
    begin = text_end = position
    byte, char = start, 0
    while char < num_chars:
        facts = scan_line(codes, flags, char, num_chars)
        stop, content_bytes = facts[0], facts[7]
        following = after_break(codes, stop, num_chars) if stop < num_chars else stop
        line_bytes = content_bytes + utf8_bytes(codes, stop, following)
        first, last = strip(flags, char, stop)
        judge_line(
            codes, flags, first, last, facts, settings, max_upper_case, phrases, boilerplate, lower_case, line_codes,
            line_flags, verdict,
        )  # fmt: skip
        _count(verdict, line_bytes, is_edited, counts)
        if is_edited and verdict[RULE] == KEPT:
            is_cut = verdict[CHARS_LEFT] != UNTOUCHED
            strips_ends = settings[C4_APPLIES] or is_cut  # of the line's own white space
            lead_bytes, middle_bytes = utf8_bytes(codes, char, first), utf8_bytes(codes, first, last)
            middle = byte + lead_bytes
            if not strips_ends and text_end > begin:
                position = _copy(data, byte, middle, writes, out, position)
            if is_cut:
                position = _encode(line_codes, verdict[CHARS_LEFT], writes, out, position)
            else:
                position = _copy(data, middle, middle + middle_bytes, writes, out, position)
            if first < last:
                text_end = position
            if text_end > begin:  # else it is a blank line before the text
                rest = byte + content_bytes if strips_ends else middle + middle_bytes
                position = _copy(data, rest, byte + line_bytes, writes, out, position)
        byte += line_bytes
        char = following
    if not is_edited:
        text_end = _copy(data, start, end, writes, out, begin)
    counts[2] = text_end - begin
    counts[_FACTS + WHITE_SPACE] = end - start - counts[2] - counts[_FACTS : _FACTS + WHITE_SPACE].sum()
    return text_end


@kernel
def _count(verdict, line_bytes, is_edited, counts):
    """Enter a line in a text's counts."""
    counts[0] += verdict[WORDS]
    counts[1] += verdict[FLAGGED_WORDS]
    if not is_edited:
        counts[3] += verdict[WORDS]
        return
    if verdict[RULE] != KEPT:
        counts[_FACTS + verdict[RULE]] += line_bytes
        counts[_FACTS + _RULES + verdict[RULE]] += 1
        return
    counts[3] += verdict[WORDS_LEFT]
    counts[_FACTS + PHRASE] += verdict[PHRASE_BYTES]
    counts[_FACTS + _RULES + PHRASE] += verdict[PHRASE_BYTES] > 0
    counts[_FACTS + CITATION] += verdict[CITATION_BYTES]
    counts[_FACTS + _RULES + CITATION] += verdict[CITATION_BYTES] > 0


@kernel
def _copy(data, start, end, writes, out, position):
    """Append ``data[start:end]``; returns where ``out`` ends now."""
    if writes:
        for i in range(end - start):
            out[position + i] = data[start + i]
    return position + (end - start)


@kernel
def _encode(codes, num_chars, writes, out, position):
    """Append characters as UTF-8; returns where ``out`` ends now."""
    if not writes:
        return position + utf8_bytes(codes, 0, num_chars)
    for i in range(num_chars):
        code = codes[i]
        if code < 0x80:
            out[position] = code
            position += 1
            continue
        num_more = 1 + (code >= 0x800) + (code >= 0x10000)
        out[position] = ((0xF00 >> (num_more + 1)) & 0xFF) | (code >> np.uint32(6 * num_more))
        for place in range(num_more):
            out[position + 1 + place] = 0x80 | ((code >> np.uint32(6 * (num_more - 1 - place))) & 0x3F)
        position += 1 + num_more
    return position
