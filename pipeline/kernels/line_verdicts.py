"""Verdict on one line: which rule takes it, or what is left of it when a part goes.

Three sets of rules meet here, in this order: known boilerplate, RefinedWeb's line-wise corrections, C4's line rules.
The first rule that fires takes the whole line; an edit takes phrases or citations out of it, and what is left is
written to scratch memory and judged further. RefinedWeb's rules are evaluated whether they are carried out or not,
since the share of words that they flag is a signal of its own.

Sources: Penedo et al. 2023 (RefinedWeb), G.2, with DCLM's reading of it (Li et al. 2024, its public code); Raffel et
al. 2020 (C4), 2.2, in datatrove's order. Deviations: the share of upper case is taken without the white space at the
line's ends; digits with white space between them are digits only; phrases are found at word boundaries only; what an
edit leaves must reach RefinedWeb's fewest words again; a blank line is no fault in that set.
"""

from __future__ import annotations

from pipeline.kernels.c4_phrases import JAVASCRIPT, POLICY, citation_end, find_phrases
from pipeline.kernels.compilation import kernel
from pipeline.kernels.line_hashes import hash_line
from pipeline.kernels.line_phrases import copy_chars, cut_phrases, is_counter
from pipeline.kernels.line_signals import ends_in_ellipsis
from pipeline.kernels.sorted_hashes import contains_hash
from pipeline.kernels.unicode_tables import ANCHOR, DIGIT, LINE_BREAK, LOWER, SPACE, UPPER

LINE_RULES = (
    "boilerplate",
    "refinedweb_upper_case",
    "refinedweb_digits_only",
    "refinedweb_counter",
    "refinedweb_too_few_words",
    "refinedweb_phrase",
    "c4_long_word",
    "c4_no_terminal_punctuation",
    "c4_too_few_words",
    "c4_javascript",
    "c4_policy",
    "c4_citation",
    "white_space",
)
"""Every way in which a byte can go, in the order of its counts. ``white_space`` is what is trimmed around the rest."""

(
    BOILERPLATE, UPPER_CASE, DIGITS_ONLY, COUNTER, REFINEDWEB_WORDS, PHRASE, LONG_WORD, NO_TERMINAL, C4_WORDS,
    C4_JAVASCRIPT, C4_POLICY, CITATION, WHITE_SPACE,
) = range(len(LINE_RULES))  # fmt: skip
KEPT = -1

# Places in a verdict, an int64 array: the rule that takes the line (or KEPT), its words, those of them that RefinedWeb
# flags, the words left, the characters left in scratch memory (UNTOUCHED: none, the line stands as it is), bytes cut.
RULE, WORDS, FLAGGED_WORDS, WORDS_LEFT, CHARS_LEFT, PHRASE_BYTES, CITATION_BYTES = range(7)
VERDICT_SIZE = 7
UNTOUCHED = -1

# Places among the settings, an int64 array.
(
    BOILERPLATE_APPLIES, REFINEDWEB_APPLIES, C4_APPLIES, MIN_WORDS, MAX_EDITED_WORDS, DROP_DIGITS, C4_PUNCTUATION,
    C4_MIN_WORDS, C4_MAX_WORD_CHARS, C4_DROP_JAVASCRIPT, C4_DROP_POLICY,
) = range(11)  # fmt: skip

_OPEN_BRACKET = ord("[")
_LINE_ENDS = tuple(ord(character) for character in ".?!\"'")


@kernel
def judge_line(
    codes, flags, first, last, facts, settings, max_upper_case, phrases, boilerplate, lower_case, line_codes,
    line_flags, verdict,
):  # fmt: skip
    """Judge the line ``first`` to ``last``, without white space at its ends.

    Args:
        facts: as ``scan_line`` returns them.
        settings, max_upper_case, phrases, boilerplate, lower_case: as ``line_edits.LineSettings`` has them.
        line_codes, line_flags: receive what an edit leaves of the line.
        verdict: receives the verdict.
    """
    num_words = facts[1]
    verdict[:] = 0
    verdict[RULE], verdict[CHARS_LEFT] = KEPT, UNTOUCHED
    verdict[WORDS] = verdict[WORDS_LEFT] = num_words
    flagged, num_left = _judge_refinedweb(
        codes, flags, first, last, facts, settings, max_upper_case, phrases, line_codes, line_flags
    )
    words_left = 0
    if flagged == KEPT:
        words_left = num_words
    elif flagged == PHRASE:
        words_left = scan_line(line_codes, line_flags, 0, num_left)[1]
        if words_left < settings[MIN_WORDS] or words_left == 0:
            flagged, words_left = REFINEDWEB_WORDS, 0
    verdict[FLAGGED_WORDS] = num_words - words_left
    if settings[BOILERPLATE_APPLIES] and contains_hash(
        boilerplate, hash_line(codes, flags, first, last, lower_case[0], lower_case[1])
    ):
        verdict[RULE] = BOILERPLATE
        return
    if settings[REFINEDWEB_APPLIES]:
        if flagged == PHRASE:
            verdict[WORDS_LEFT], verdict[CHARS_LEFT] = words_left, num_left
            verdict[PHRASE_BYTES] = utf8_bytes(codes, first, last) - utf8_bytes(line_codes, 0, num_left)
        elif flagged != KEPT:
            verdict[RULE] = flagged
            return
    if settings[C4_APPLIES] and verdict[CHARS_LEFT] == UNTOUCHED:
        _judge_c4(codes, flags, first, last, settings, line_codes, line_flags, verdict)
    elif settings[C4_APPLIES]:
        _judge_c4(line_codes, line_flags, 0, num_left, settings, line_codes, line_flags, verdict)


@kernel
def scan_line(codes, flags, position, end):
    """Read one line.

    Returns:
        Where it ends; its runs between white space; the characters of the longest of them; its upper-case characters;
        its digits; its characters that are not white space; the union of its characters' flags; its UTF-8 bytes.
    """
    num_words = longest_chars = length = num_upper = num_digits = num_filled = seen = num_bytes = 0
    while position < end and not flags[position] & LINE_BREAK:
        flag = flags[position]
        seen |= flag
        num_bytes += _char_bytes(codes[position])
        if flag & SPACE:
            length = 0
        else:
            num_words += length == 0
            length += 1
            num_filled += 1
            longest_chars = max(longest_chars, length)
            num_upper += (flag & (UPPER | LOWER)) == UPPER
            num_digits += (flag & DIGIT) != 0
        position += 1
    return position, num_words, longest_chars, num_upper, num_digits, num_filled, seen, num_bytes


@kernel
def _char_bytes(code):
    """UTF-8 bytes of a character."""
    return 1 + (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)


@kernel
def utf8_bytes(codes, start, end):
    """UTF-8 bytes of ``codes[start:end]``."""
    num_bytes = 0
    for i in range(start, end):
        num_bytes += _char_bytes(codes[i])
    return num_bytes


@kernel
def _judge_refinedweb(codes, flags, first, last, facts, settings, max_upper_case, phrases, line_codes, line_flags):
    """RefinedWeb's verdict: KEPT, PHRASE, or the rule that takes the line; and the characters left in scratch."""
    _, num_words, _, num_upper, num_digits, num_filled, _, _ = facts
    num_chars = last - first
    if num_chars == 0:
        return KEPT, 0
    if num_upper > max_upper_case * num_chars:
        return UPPER_CASE, 0
    if settings[DROP_DIGITS] and num_digits == num_filled:
        return DIGITS_ONLY, 0
    lower, upper, bounds, kinds = phrases
    if num_digits and is_counter(codes, flags, first, last, lower, upper, bounds, kinds):
        return COUNTER, 0
    if num_words < settings[MIN_WORDS]:
        return REFINEDWEB_WORDS, 0
    if num_words <= settings[MAX_EDITED_WORDS]:
        num_left = cut_phrases(codes, flags, first, last, lower, upper, bounds, kinds, line_codes, line_flags)
        if num_left < num_chars:
            return PHRASE, num_left
    return KEPT, 0


@kernel
def _judge_c4(codes, flags, first, last, settings, line_codes, line_flags, verdict):
    """Enter C4's verdict on what the rules before it left, which may lie in scratch memory already."""
    _, num_words, longest_chars, _, _, _, seen, _ = scan_line(codes, flags, first, last)
    if longest_chars > settings[C4_MAX_WORD_CHARS]:
        verdict[RULE] = LONG_WORD
        return
    if _first_citation(codes, flags, first, last) < last:
        num_bytes = utf8_bytes(codes, first, last)
        num_left = _cut_citations(codes, flags, first, last, line_codes, line_flags)
        verdict[RULE] = _c4_fault(line_codes, line_flags, 0, num_left, num_words, seen, settings)
        while num_left and line_flags[num_left - 1] & SPACE:  # only now: C4 takes "so. [1]" to end in white space
            num_left -= 1
        verdict[CHARS_LEFT] = num_left
        verdict[CITATION_BYTES] = num_bytes - utf8_bytes(line_codes, 0, num_left)
        verdict[WORDS_LEFT] = scan_line(line_codes, line_flags, 0, num_left)[1]
    else:
        verdict[RULE] = _c4_fault(codes, flags, first, last, num_words, seen, settings)


@kernel
def _c4_fault(codes, flags, first, last, num_words, seen, settings):
    """What is wrong with a line after its citations went; its words were counted before."""
    if settings[C4_PUNCTUATION] and not _ends_well(codes, first, last):
        return NO_TERMINAL
    if num_words < settings[C4_MIN_WORDS]:
        return C4_WORDS
    found = find_phrases(codes, flags, first, last) if seen & ANCHOR else 0
    if found & JAVASCRIPT and settings[C4_DROP_JAVASCRIPT]:
        return C4_JAVASCRIPT
    if found & POLICY and settings[C4_DROP_POLICY]:
        return C4_POLICY
    return KEPT


@kernel
def _ends_well(codes, first, last):
    """Whether a line ends in terminal punctuation, and not in an ellipsis."""
    return last > first and codes[last - 1] in _LINE_ENDS and not ends_in_ellipsis(codes, first, last)


@kernel
def _first_citation(codes, flags, first, last):
    """Where the first citation stands; ``last`` if there is none."""
    for position in range(first, last):
        if codes[position] == _OPEN_BRACKET and citation_end(codes, flags, position, last) > position:
            return position
    return last


@kernel
def _cut_citations(codes, flags, first, last, line_codes, line_flags):
    """Copy a line to scratch memory (where it may lie) without its citations; returns the characters left.

    None of them is white space at the line's start.
    """
    num_chars = 0
    position = first
    while position < last:
        close = citation_end(codes, flags, position, last) if codes[position] == _OPEN_BRACKET else position
        if close > position:
            position = close
        elif num_chars == 0 and flags[position] & SPACE:
            position += 1
        else:
            num_chars = copy_chars(codes, flags, position, position + 1, line_codes, line_flags, num_chars)
            position += 1
    return num_chars
