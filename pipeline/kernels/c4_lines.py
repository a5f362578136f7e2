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

import numpy as np

from pipeline.kernels.compilation import kernel
from pipeline.kernels.line_signals import after_break, ends_in_ellipsis, strip
from pipeline.kernels.unicode_tables import ANCHOR, DIGIT, LINE_BREAK, PUNCTUATION, SPACE, TERMINAL
from pipeline.kernels.word_segmentation import segment_words

C4_SIGNALS = (
    "c4_num_lines_kept",
    "c4_num_sentences",
    "c4_num_lorem_ipsum_lines",
    "c4_num_curly_brace_lines",
    "c4_num_javascript_lines",
    "c4_num_policy_lines",
)

_LOREM, _BRACE, _JAVASCRIPT, _POLICY = 1, 2, 4, 8
_OPEN_BRACKET, _CLOSE_BRACKET, _OPEN_BRACE = ord("["), ord("]"), ord("{")
_KELVIN = 0x212A  # its lower case is "k"


def _codes_of(text: str) -> np.ndarray:
    return np.array([ord(character) for character in text], dtype=np.uint32)


_LINE_ENDS = tuple(ord(character) for character in ".?!\"'")
_EDIT, _CITATION_NEEDED = _codes_of("[edit]"), _codes_of("[citation needed]")
_LOREM_IPSUM, _JAVASCRIPT_WORD = _codes_of("lorem ipsum"), _codes_of("javascript")
_TERMS, _PRIVACY, _COOKIE = _codes_of("terms of use"), _codes_of("privacy policy"), _codes_of("cookie policy")
_USES, _USE_OF, _USE = _codes_of("uses cookies"), _codes_of("use of cookies"), _codes_of("use cookies")
_J, _P, _V, _F = (ord(character) for character in "jpvf")
_P_IN_LOREM, _V_IN_PRIVACY, _F_IN_TERMS = "lorem ipsum".index("p"), "privacy".index("v"), "terms of".index("f")
_K_IN_COOKIE, _K_IN_USES, _K_IN_USE_OF, _K_IN_USE = (
    phrase.index("k") for phrase in ("cookie", "uses cookies", "use of cookies", "use cookies")
)


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
            found = _find_phrases(codes, flags, first, last) if seen & ANCHOR else 0
            num_sentences = count_sentences(flags, starts, ends, first_word, word)
        else:
            if rules[0] and not _ends_well(line_codes, 0, cleaned_chars):
                continue
            found = _find_phrases(line_codes, line_flags, 0, cleaned_chars)
            end_word = segment_words(
                line_codes, line_flags, 0, cleaned_chars, special[0], special[1], starts, ends, num_words, scratch
            )
            num_sentences = count_sentences(line_flags, starts, ends, num_words, end_word)
        _count_line(found, num_sentences, rules, out)


@kernel
def _count_line(found, num_sentences, rules, out):
    """Enter a line's phrases and sentences in ``C4_SIGNALS``, as far as the rules let it come."""
    out[2] += (found & _LOREM) != 0
    out[4] += (found & _JAVASCRIPT) != 0
    if found & _JAVASCRIPT and rules[3]:
        return
    out[3] += (found & _BRACE) != 0
    out[5] += (found & _POLICY) != 0
    if found & _POLICY and rules[4]:
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
def _matches(codes, position, end, pattern):
    """Whether ``pattern`` stands at ``position``, exactly."""
    if position + pattern.size > end:
        return False
    for i in range(pattern.size):
        if codes[position + i] != pattern[i]:
            return False
    return True


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
            close = _citation_end(codes, flags, position, end)
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
def _citation_end(codes, flags, position, end):
    """Where the citation at the bracket ``position`` ends; ``position`` if it is none."""
    if _matches(codes, position, end, _EDIT):
        return position + _EDIT.size
    if _matches(codes, position, end, _CITATION_NEEDED):
        return position + _CITATION_NEEDED.size
    close = position + 1
    while close < end and flags[close] & DIGIT:
        close += 1
    return close + 1 if close < end and codes[close] == _CLOSE_BRACKET else position


@kernel
def _fold(code):
    """Lower case of an ASCII letter, and of the Kelvin sign, the only other character that folds to one alone."""
    if 0x41 <= code <= 0x5A:
        code = code + np.uint32(0x20)
    return np.uint32(0x6B) if code == _KELVIN else code


@kernel
def _matches_folded(codes, start, end, position, pattern):
    """Whether ``pattern`` (lower-case ASCII) stands at ``position``, in any case, inside ``codes[start:end]``."""
    if position < start or position + pattern.size > end:
        return False
    for i in range(pattern.size):
        if _fold(codes[position + i]) != pattern[i]:
            return False
    return True


@kernel
def _ends_well(codes, start, end):
    """Whether a line ends in terminal punctuation, and not in an ellipsis."""
    return end > start and codes[end - 1] in _LINE_ENDS and not ends_in_ellipsis(codes, start, end)


@kernel
def _find_phrases(codes, flags, start, end):
    """Bits for what the line contains; each phrase is looked for around its rarest letter."""
    found = 0
    for anchor in range(start, end):
        if flags[anchor] & ANCHOR:
            found |= _phrase_around(codes, start, end, anchor)
    return found


@kernel
def _phrase_around(codes, start, end, anchor):
    """Bit of the phrase whose rarest letter stands at ``anchor``; 0 if there is none."""
    letter = _fold(codes[anchor])
    if letter == _OPEN_BRACE:
        return _BRACE
    if letter == _J:
        return _JAVASCRIPT if _matches_folded(codes, start, end, anchor, _JAVASCRIPT_WORD) else 0
    if letter == _P:
        return _LOREM if _matches_folded(codes, start, end, anchor - _P_IN_LOREM, _LOREM_IPSUM) else 0
    if letter == _V:
        return _POLICY if _matches_folded(codes, start, end, anchor - _V_IN_PRIVACY, _PRIVACY) else 0
    if letter == _F:
        return _POLICY if _matches_folded(codes, start, end, anchor - _F_IN_TERMS, _TERMS) else 0
    is_policy = (
        _matches_folded(codes, start, end, anchor - _K_IN_COOKIE, _COOKIE)
        or _matches_folded(codes, start, end, anchor - _K_IN_USES, _USES)
        or _matches_folded(codes, start, end, anchor - _K_IN_USE_OF, _USE_OF)
        or _matches_folded(codes, start, end, anchor - _K_IN_USE, _USE)
    )
    return _POLICY if is_policy else 0
