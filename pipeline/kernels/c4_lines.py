"""C4's line rules, evaluated without editing: what would be left of a text, and what its lines contain.

A line (``splitlines``, stripped) is dropped for a word that is too long, for not ending in terminal punctuation, for
too few words, for "javascript" or for a policy phrase, in this order; a citation mark such as ``[12]`` is taken out
before the line's end is looked at. "Lorem ipsum" and "{" only count on lines that the rules before them left, as in
datatrove. Sentences are counted on the lines that survive. O(characters); a line with citations is copied to scratch
memory and segmented again, as taking them out changes its words.

Source: Raffel et al. 2020, section 2.2; order and quirks of datatrove 0.10. Deviation: it stops at the first lorem
ipsum or brace; here all of them are counted, which cannot change the verdict.
"""

from __future__ import annotations

from pipeline.kernels.c4_phrases import BRACE, JAVASCRIPT, LOREM, POLICY, citation_end, find_phrases
from pipeline.kernels.compilation import kernel
from pipeline.kernels.line_signals import after_break, ends_in_ellipsis, strip
from pipeline.kernels.unicode_tables import ANCHOR, LINE_BREAK, PUNCTUATION, SPACE, TERMINAL
from pipeline.kernels.word_segmentation import segment_words

C4_SIGNALS = (
    "c4_num_lines_kept",
    "c4_num_sentences",
    "c4_num_lorem_ipsum_lines",
    "c4_num_curly_brace_lines",
    "c4_num_javascript_lines",
    "c4_num_policy_lines",
)

_OPEN_BRACKET = ord("[")
_LINE_ENDS = tuple(ord(character) for character in ".?!\"'")


@kernel
def measure_c4(codes, flags, num_chars, rules, special, words, line_codes, line_flags, scratch, out):
    """Signals of a text.

    Args:
        rules: int64: must lines end in terminal punctuation (0 or 1), fewest words a line, longest word in
            characters, drop javascript lines (0 or 1), drop policy lines (0 or 1).
        special: the two arrays of ``special_word_table``.
        words: starts and ends (int32) and number of the text's words, with room for ``num_chars`` more behind them.
        line_codes, line_flags, scratch: uint32, uint16, int32; one item a character each.
        out: float64, receives ``C4_SIGNALS``.
    """
    starts, ends, num_words = words
    out[:] = 0.0
    position = word = 0
    while position < num_chars:
        end, line_words, longest_chars, seen, has_bracket = _scan_line(codes, flags, position, num_chars)
        first, last = strip(flags, position, end)
        position = after_break(codes, end, num_chars)
        first_word = word
        while word < num_words and starts[word] < end:
            word += 1
        if longest_chars > rules[2] or line_words < rules[1]:
            continue
        cleaned_chars = last - first
        if has_bracket:
            cleaned_chars = _without_citations(codes, flags, first, last, line_codes, line_flags)
        if cleaned_chars == last - first:
            if rules[0] and not _ends_well(codes, first, last):
                continue
            found = find_phrases(codes, flags, first, last) if seen & ANCHOR else 0
            num_sentences = count_sentences(flags, starts, ends, first_word, word)
        else:
            if rules[0] and not _ends_well(line_codes, 0, cleaned_chars):
                continue
            found = find_phrases(line_codes, line_flags, 0, cleaned_chars)
            end_word = segment_words(
                line_codes, line_flags, 0, cleaned_chars, special[0], special[1], starts, ends, num_words, scratch
            )
            num_sentences = count_sentences(line_flags, starts, ends, num_words, end_word)
        _count_line(found, num_sentences, rules, out)


@kernel
def _count_line(found, num_sentences, rules, out):
    """Enter a line's phrases and sentences in ``C4_SIGNALS``, as far as the rules let it come."""
    out[2] += (found & LOREM) != 0
    out[4] += (found & JAVASCRIPT) != 0
    if found & JAVASCRIPT and rules[3]:
        return
    out[3] += (found & BRACE) != 0
    out[5] += (found & POLICY) != 0
    if found & POLICY and rules[4]:
        return
    out[0] += 1
    out[1] += max(num_sentences, 1)


@kernel
def count_sentences(flags, starts, ends, first_word, end_word):
    """Sentences in words ``first_word`` to ``end_word``: a new one begins behind a terminal mark and its punctuation.

    A terminal mark is a word of one character, so that neither "..." nor the stop in "e.g." ends a sentence.
    """
    num_sentences = 1 if end_word > first_word else 0
    mark_seen = False
    for word in range(first_word, end_word):
        start = starts[word]
        if ends[word] - start == 1 and flags[start] & TERMINAL:
            mark_seen = True
        elif mark_seen:
            for i in range(start, ends[word]):
                if not flags[i] & PUNCTUATION:
                    num_sentences += 1
                    mark_seen = False
                    break
    return num_sentences


@kernel
def _scan_line(codes, flags, position, end):
    """Read one line.

    Returns:
        Where the line ends; its runs between white space; the characters of the longest of them; the union of its
        characters' flags; and whether it holds a bracket.
    """
    num_words = longest_chars = length = seen = 0
    has_bracket = False
    while position < end and not flags[position] & LINE_BREAK:
        flag = flags[position]
        seen |= flag
        if flag & SPACE:
            length = 0
        else:
            num_words += length == 0
            length += 1
            longest_chars = max(longest_chars, length)
            has_bracket = has_bracket or codes[position] == _OPEN_BRACKET
        position += 1
    return position, num_words, longest_chars, seen, has_bracket


@kernel
def _without_citations(codes, flags, start, end, line_codes, line_flags):
    """Copy a line without ``[12]``, ``[edit]`` and ``[citation needed]``; returns its characters.

    Nothing is written as long as no citation has been met, so that a line without any costs a search only.
    """
    position = copied = start
    num_chars = 0
    while position < end:
        close = position
        if codes[position] == _OPEN_BRACKET:
            close = citation_end(codes, flags, position, end)
        if close == position:
            position += 1
            continue
        for i in range(copied, position):
            line_codes[num_chars] = codes[i]
            line_flags[num_chars] = flags[i]
            num_chars += 1
        position = copied = close
    if copied == start:
        return end - start
    for i in range(copied, end):
        line_codes[num_chars] = codes[i]
        line_flags[num_chars] = flags[i]
        num_chars += 1
    return num_chars


@kernel
def _ends_well(codes, start, end):
    """Whether a line ends in terminal punctuation, and not in an ellipsis."""
    return end > start and codes[end - 1] in _LINE_ENDS and not ends_in_ellipsis(codes, start, end)
