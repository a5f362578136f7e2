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

from pipeline.kernels.compilation import kernel
from pipeline.kernels.special_words import CUT_MASK, KEEP, UNIT, special_action
from pipeline.kernels.unicode_tables import ALPHA, DIGIT, EXTEND, PREFIX, QUOTE, SPACE, SUFFIX, UNSPACED
from pipeline.kernels.word_affixes import infix_chars, is_url, prefix_chars, suffix_chars


@kernel
def segment_words(codes, flags, start, end, special_keys, special_actions, starts, ends, num_words, scratch):
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
        first = position
        if flags[position] & UNSPACED:
            position += 1
            while position < end and flags[position] & EXTEND:
                position += 1
            num_words = _add(starts, ends, num_words, first, position)
            continue
        every = ALPHA
        while position < end and not flags[position] & (SPACE | UNSPACED):
            every &= flags[position]
            position += 1
        last = position
        num_suffixes = 0
        if not every:  # a run of letters has neither prefixes nor suffixes
            first, last, num_words, num_suffixes = _peel(
                codes, flags, first, last, special_keys, special_actions, starts, ends, num_words, scratch
            )
        action = special_action(codes, first, last, special_keys, special_actions)
        if first == last:
            pass
        elif action != 0 and action != KEEP and action != UNIT:
            num_words = _add_cut(starts, ends, num_words, first, last, action)
        elif every or action == KEEP:
            num_words = _add(starts, ends, num_words, first, last)
        else:
            num_words = _add_pieces(codes, flags, first, last, starts, ends, num_words)
        for i in range(num_suffixes - 1, -1, -1):
            num_words = _add(starts, ends, num_words, scratch[i], scratch[i - 1] if i > 0 else position)
    return num_words


@kernel
def _add(starts, ends, num_words, first, last):
    starts[num_words] = first
    ends[num_words] = last
    return num_words + 1


@kernel
def _stands(codes, flags, first, last, special_keys, special_actions):
    """Whether ``codes[first:last]`` is a special word: nothing is split off it.

    The only affixes that special words begin or end with are quotes, which spares most look-ups.
    """
    action = 0
    if first < last:
        begins = not flags[first] & PREFIX or flags[first] & QUOTE
        ends = not flags[last - 1] & SUFFIX or flags[last - 1] & QUOTE
        if begins and ends:
            action = special_action(codes, first, last, special_keys, special_actions)
    return action != 0 and action != UNIT


@kernel
def _peel(codes, flags, first, last, special_keys, special_actions, starts, ends, num_words, suffix_starts):
    """Take prefixes and suffixes off a run, a pair at a time, until a special word is left or nothing comes off.

    Returns:
        Where the core begins and ends; ``num_words`` with the prefixes added; and the number of suffixes, whose starts
        stand in ``suffix_starts``, the outermost first.
    """
    num_suffixes = 0
    stands = _stands(codes, flags, first, last, special_keys, special_actions)
    while first < last and not stands:
        prefix = prefix_chars(codes, flags, first, last)
        inner = first + prefix
        if prefix:
            stands = _stands(codes, flags, inner, last, special_keys, special_actions)
        suffix = 0 if stands else suffix_chars(codes, flags, inner, last, special_keys, special_actions)
        if suffix:
            last -= suffix
            suffix_starts[num_suffixes] = last
            num_suffixes += 1
            stands = _stands(codes, flags, first, last, special_keys, special_actions)
            if stands:
                break  # the word keeps its prefix
        if prefix:
            num_words = _add(starts, ends, num_words, first, inner)
            first = inner
            if suffix:
                stands = _stands(codes, flags, first, last, special_keys, special_actions)
        elif not suffix:
            break
    return first, last, num_words, num_suffixes


@kernel
def _add_cut(starts, ends, num_words, first, last, action):
    """Add the two or three parts of a special word."""
    cut = first + (action & CUT_MASK)
    num_words = _add(starts, ends, num_words, first, cut)
    if action > CUT_MASK:
        second_cut = first + (action >> 8)
        num_words = _add(starts, ends, num_words, cut, second_cut)
        cut = second_cut
    return _add(starts, ends, num_words, cut, last)


@kernel
def _add_pieces(codes, flags, first, last, starts, ends, num_words):
    """Add a core that is no special word: whole if it is a URL, else cut at its infixes."""
    if is_url(codes, flags, first, last):
        return _add(starts, ends, num_words, first, last)
    piece = position = first
    while position < last:
        if flags[position] & (ALPHA | DIGIT):
            position += 1
            continue
        infix = infix_chars(codes, flags, first, position, last)
        if infix and position > first:
            if piece < position:
                num_words = _add(starts, ends, num_words, piece, position)
            num_words = _add(starts, ends, num_words, position, position + infix)
            piece = position + infix
        position += max(infix, 1)
    return _add(starts, ends, num_words, piece, last) if piece < last else num_words
