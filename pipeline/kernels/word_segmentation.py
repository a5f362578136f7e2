"""Words of a text: runs between white space, with punctuation, contractions and units split off.

A run of non-space characters is treated from the outside in: as long as something comes off, one prefix (bracket,
quote, currency, ...) and one suffix (comma, full stop after a lower-case letter, 's, a unit after a digit, ...) are
taken away, until a special word is left (``special_words``) or nothing comes off. What is left is one word if it looks
like a URL; otherwise it is cut at its infixes (hyphen, slash, ... between letters). In scripts written without spaces
every letter with its marks is a word. Nothing is looked up in a dictionary, so one pass suffices: O(characters).

The rules are those of spaCy's blank English pipeline, which FineWeb counts words with, told by Unicode category
where spaCy lists characters, without emoticons. The alternative, UAX #29 word boundaries, differs from it in
hyphens, numbers and contractions, and with it the word counts of every published threshold.

All functions take a text as ``codes`` (uint32 code points) and ``flags`` (uint16, see ``unicode_tables``), both at
least as long as the positions given, and positions in characters.
"""

from __future__ import annotations

from numba import njit

from pipeline.kernels.special_words import CUT_MASK, KEEP, MAX_SPECIAL_CHARS, UNIT, special_action
from pipeline.kernels.unicode_tables import (
    ALPHA,
    DIGIT,
    EXTEND,
    ICON,
    LOWER,
    PREFIX,
    QUOTE,
    SPACE,
    SUFFIX,
    UNSPACED,
    UPPER,
)

_DOT, _COMMA, _HYPHEN, _SLASH, _COLON, _AT, _PLUS = (ord(character) for character in ".,-/:@+")
_ELLIPSIS, _EM_DASH, _EN_DASH, _TILDE = 0x2026, 0x2014, 0x2013, ord("~")
_NO_STOP_AFTER = tuple(ord(character) for character in "/\\@~^=")
_MAX_UNIT_CHARS = 4
_MIN_TOP_LEVEL_CHARS, _MAX_TOP_LEVEL_CHARS = 2, 63


@njit(nogil=True, cache=True)
def segment_words(codes, flags, start, end, special_keys, special_actions, starts, ends, num_words, scratch):  # type: ignore[no-untyped-def]
    """Find the words of ``codes[start:end]``.

    Args:
        special_keys, special_actions: as ``special_words.special_word_table`` returns them.
        starts, ends: int32, written from index ``num_words``; room for one word a character.
        num_words: words that ``starts`` and ``ends`` hold already.
        scratch: int32, one item a character.

    Returns:
        ``num_words`` plus the number of words found; word ``i`` is ``codes[starts[i]:ends[i]]``.
    """
    position = start
    while position < end:
        if flags[position] & SPACE:
            position += 1
            continue
        if flags[position] & UNSPACED:
            starts[num_words] = position
            position += 1
            while position < end and flags[position] & EXTEND:
                position += 1
            ends[num_words] = position
            num_words += 1
            continue
        first = position
        only_letters = True
        while position < end and not flags[position] & (SPACE | UNSPACED):
            only_letters = only_letters and codes[position] < 0x80 and (flags[position] & ALPHA) != 0
            position += 1
        if only_letters:
            num_words = _add_core(
                codes, flags, first, position, special_keys, special_actions, starts, ends, num_words, False
            )
        else:
            num_words = _segment_run(
                codes, flags, first, position, special_keys, special_actions, starts, ends, num_words, scratch
            )
    return num_words


@njit(nogil=True, cache=True)
def _segment_run(codes, flags, first, last, special_keys, special_actions, starts, ends, num_words, suffix_starts):  # type: ignore[no-untyped-def]
    """Words of a run without white space: prefixes, core, suffixes in their order."""
    num_suffixes = 0
    run_end = last
    while first < last:
        if _stands(codes, flags, first, last, special_keys, special_actions):
            break
        prefix = _prefix_chars(codes, flags, first, last)
        inner = first + prefix
        if prefix and _stands(codes, flags, inner, last, special_keys, special_actions):
            num_words = _add(starts, ends, num_words, first, inner)
            first = inner
            break
        suffix = _suffix_chars(codes, flags, inner, last, special_keys, special_actions)
        if suffix and _stands(codes, flags, first, last - suffix, special_keys, special_actions):
            last -= suffix
            suffix_starts[num_suffixes] = last
            num_suffixes += 1
            break
        if prefix:
            num_words = _add(starts, ends, num_words, first, inner)
            first = inner
        if suffix:
            last -= suffix
            suffix_starts[num_suffixes] = last
            num_suffixes += 1
        if not prefix and not suffix:
            break
    if first < last:
        num_words = _add_core(codes, flags, first, last, special_keys, special_actions, starts, ends, num_words, True)
    for i in range(num_suffixes - 1, -1, -1):
        suffix_end = suffix_starts[i - 1] if i > 0 else run_end
        num_words = _add(starts, ends, num_words, suffix_starts[i], suffix_end)
    return num_words


@njit(nogil=True, cache=True)
def _add(starts, ends, num_words, first, last):  # type: ignore[no-untyped-def]
    starts[num_words] = first
    ends[num_words] = last
    return num_words + 1


@njit(nogil=True, cache=True)
def _stands(codes, flags, first, last, special_keys, special_actions):  # type: ignore[no-untyped-def]
    """Whether ``codes[first:last]`` is a special word: nothing is split off it."""
    if first >= last or last - first > MAX_SPECIAL_CHARS:
        return False
    action = special_action(codes, first, last, special_keys, special_actions)
    return action != 0 and action != UNIT


@njit(nogil=True, cache=True)
def _add_core(codes, flags, first, last, special_keys, special_actions, starts, ends, num_words, has_infixes):  # type: ignore[no-untyped-def]
    """Add what is left between prefixes and suffixes: whole, cut as a special word, or cut at its infixes."""
    action = special_action(codes, first, last, special_keys, special_actions)
    if action != 0 and action != KEEP and action != UNIT:
        cut = first + (action & CUT_MASK)
        num_words = _add(starts, ends, num_words, first, cut)
        if action > CUT_MASK:
            num_words = _add(starts, ends, num_words, cut, first + (action >> 8))
            cut = first + (action >> 8)
        return _add(starts, ends, num_words, cut, last)
    if action == KEEP or not has_infixes or is_url(codes, flags, first, last):
        return _add(starts, ends, num_words, first, last)
    piece = position = first
    while position < last:
        infix = _infix_chars(codes, flags, first, position, last)
        if infix and position > first:
            if piece < position:
                num_words = _add(starts, ends, num_words, piece, position)
            num_words = _add(starts, ends, num_words, position, position + infix)
            piece = position + infix
        position += max(infix, 1)
    return _add(starts, ends, num_words, piece, last) if piece < last else num_words


@njit(nogil=True, cache=True)
def _run_of_dots(codes, position, last):  # type: ignore[no-untyped-def]
    end = position
    while end < last and codes[end] == _DOT:
        end += 1
    return end - position


@njit(nogil=True, cache=True)
def _is_digit(codes, position):  # type: ignore[no-untyped-def]
    return 0x30 <= codes[position] <= 0x39


@njit(nogil=True, cache=True)
def _prefix_chars(codes, flags, first, last):  # type: ignore[no-untyped-def]
    """How many characters split off at the front; 0 if none."""
    if flags[first] & PREFIX:
        return 1
    if codes[first] == _DOT:
        dots = _run_of_dots(codes, first, last)
        return dots if dots > 1 else 0
    if codes[first] == _PLUS and (first + 1 == last or not _is_digit(codes, first + 1)):
        return 1
    return 0


@njit(nogil=True, cache=True)
def _suffix_chars(codes, flags, first, last, special_keys, special_actions):  # type: ignore[no-untyped-def]
    """How many characters split off at the end of ``codes[first:last]``; 0 if none."""
    if first >= last:
        return 0
    final = codes[last - 1]
    if final == _DOT:
        begin = last - 1
        while begin > first and codes[begin - 1] == _DOT:
            begin -= 1
        if last - begin > 1:
            return last - begin
        return 1 if _stop_splits(codes, flags, first, last) else 0
    if flags[last - 1] & SUFFIX:
        return 1
    if (final == 0x73 or final == 0x53) and last - first > 1 and (codes[last - 2] == 0x27 or codes[last - 2] == 0x2019):
        return 2  # 's
    if last - first > 1 and _is_digit(codes, last - 2) and (final == _PLUS or flags[last - 1] & PREFIX):
        return 1  # "10+", "10€"
    for length in range(min(_MAX_UNIT_CHARS, last - first - 1), 0, -1):
        if _is_digit(codes, last - length - 1):
            if special_action(codes, last - length, last, special_keys, special_actions) == UNIT:
                return length
    return 0


@njit(nogil=True, cache=True)
def _stop_splits(codes, flags, first, last):  # type: ignore[no-untyped-def]
    """Whether the full stop at the end ends a sentence rather than an initial ("J.") or a path."""
    if last - first < 2:
        return False
    before = codes[last - 2]
    if flags[last - 2] & UPPER and not flags[last - 2] & LOWER:
        return last - first > 2 and (flags[last - 3] & UPPER) != 0
    for code in _NO_STOP_AFTER:
        if before == code:
            return False
    return True


@njit(nogil=True, cache=True)
def _infix_chars(codes, flags, first, position, last):  # type: ignore[no-untyped-def]
    """How many characters make an infix at ``position``; 0 if none."""
    code = codes[position]
    if flags[position] & (ALPHA | DIGIT):
        return 0
    if code == _ELLIPSIS or flags[position] & ICON:
        return 1
    if code == _DOT:
        dots = _run_of_dots(codes, position, last)
        if dots > 1:
            return dots
    if position == first or position + 1 >= last:
        return 0
    before, after = flags[position - 1], flags[position + 1]
    if code == _DOT:
        return 1 if before & (LOWER | QUOTE) and after & (UPPER | QUOTE) else 0
    if code == _COMMA:
        return 1 if before & ALPHA and after & ALPHA else 0
    if _is_digit(codes, position - 1) and (code == _PLUS or code == _HYPHEN or code == 0x2A or code == 0x5E):
        if _is_digit(codes, position + 1) or codes[position + 1] == _HYPHEN:
            return 1
    if not (before & ALPHA or _is_digit(codes, position - 1)):
        return 0
    if code == _COLON or code == _SLASH or code == 0x3C or code == 0x3D or code == 0x3E:
        return 1 if after & ALPHA else 0
    longest = 3 if code == _HYPHEN else 2 if code == _EM_DASH else 1 if code == _EN_DASH or code == _TILDE else 0
    end = position
    while end < last and codes[end] == code and end - position < longest:
        end += 1
    return end - position if longest and end < last and flags[end] & ALPHA else 0


@njit(nogil=True, cache=True)
def is_url(codes, flags, first, last):  # type: ignore[no-untyped-def]
    """Whether ``codes[first:last]`` reads as ``[scheme://][user@]host.tld[:port][/path]``; hosts need a dot."""
    if _begins_with_host(codes, flags, first, last):
        return True
    scheme_chars = 0
    in_scheme = True
    for position in range(first, last):
        code = codes[position]
        if in_scheme and code == _COLON:
            is_scheme = scheme_chars >= 2 and position + 3 < last
            if is_scheme and codes[position + 1] == _SLASH and codes[position + 2] == _SLASH:
                if _begins_with_host(codes, flags, position + 3, last):
                    return True
        in_scheme = in_scheme and (
            (flags[position] & (ALPHA | DIGIT)) != 0 or code == 0x5F or code == _PLUS or code == _HYPHEN or code == _DOT
        )
        scheme_chars += in_scheme
        if code == _AT and position > first and _begins_with_host(codes, flags, position + 1, last):
            return True
    return False


@njit(nogil=True, cache=True)
def _begins_with_host(codes, flags, first, last):  # type: ignore[no-untyped-def]
    """Whether a host name with a lower-case top level, or an IPv4 address, stands here, with port or path or nothing."""
    position = label = first
    num_labels = 0
    all_digits = True
    top_level = False
    while position <= last:
        at_end = position == last
        code = 0 if at_end else codes[position]
        in_label = not at_end and (
            0x61 <= code <= 0x7A or 0x41 <= code <= 0x5A or _is_digit(codes, position) or 0xA1 <= code <= 0xFFFF
        )
        if not in_label and code != _HYPHEN and code != 0x5F:
            if position == label or codes[position - 1] == _HYPHEN or codes[position - 1] == 0x5F:
                return False
            num_labels += 1
            top_level = _is_top_level(flags, label, position)
            if code != _DOT:
                break
            label = position + 1
        elif position == label and not in_label:
            return False
        all_digits = all_digits and (_is_digit(codes, position))
        position += 1
    if not (num_labels >= 2 and top_level) and not (num_labels == 4 and all_digits):
        return False
    if position < last and codes[position] == _COLON:
        digits = position + 1
        while digits < last and _is_digit(codes, digits):
            digits += 1
        if not 2 <= digits - position - 1 <= 5:
            return False
        position = digits
    return position == last or codes[position] == _SLASH or codes[position] == 0x3F or codes[position] == 0x23


@njit(nogil=True, cache=True)
def _is_top_level(flags, first, last):  # type: ignore[no-untyped-def]
    if not _MIN_TOP_LEVEL_CHARS <= last - first <= _MAX_TOP_LEVEL_CHARS:
        return False
    for position in range(first, last):
        if not flags[position] & LOWER:
            return False
    return True
