"""Signals of lines and paragraphs: duplicates, bullets, ellipses, line ends.

Three notions of a line meet here, each from its source: ``splitlines`` (any Unicode line break, blank lines counted)
for Gopher quality; the pieces between runs of ``\\n`` for Gopher repetition, where an empty piece stands before a
leading and behind a trailing break; and the non-blank pieces between single ``\\n`` for FineWeb. Lines are compared
by 64-bit hash in one table (odds of a collision in ``hash_table``). O(characters), two passes.

Sources: Rae et al. 2021, A.1 and Table A1; Penedo et al. 2024 (FineWeb), section 3.5; as datatrove computes them.
"""

from __future__ import annotations

from pipeline.kernels.compilation import kernel
from pipeline.kernels.hash_table import clear_table, hash_codes, intern
from pipeline.kernels.unicode_tables import LINE_BREAK, SPACE, TERMINAL

LINE_SIGNALS = (
    "num_lines",
    "bullet_line_fraction",
    "ellipsis_line_fraction",
    "num_paragraphs",
    "duplicate_paragraph_fraction",
    "duplicate_paragraph_char_fraction",
    "duplicate_line_fraction",
    "duplicate_line_char_fraction",
    "terminal_punctuation_line_fraction",
    "short_line_fraction",
    "fineweb_duplicate_line_char_fraction",
)

_NEWLINE, _RETURN, _DOT, _ELLIPSIS, _BULLET, _HYPHEN = ord("\n"), ord("\r"), ord("."), 0x2026, 0x2022, ord("-")


@kernel
def line_end(flags, start, end):
    """Where the ``splitlines`` line that begins at ``start`` ends, without its break."""
    while start < end and not flags[start] & LINE_BREAK:
        start += 1
    return start


@kernel
def after_break(codes, position, end):
    """Where the next line begins behind the break at ``position``; ``\\r\\n`` is one break."""
    if position + 1 < end and codes[position] == _RETURN and codes[position + 1] == _NEWLINE:
        return position + 2
    return position + 1


@kernel
def strip(flags, start, end):
    """``start`` and ``end`` moved inwards over white space; ``start == end`` if nothing is left."""
    while start < end and flags[start] & SPACE:
        start += 1
    while end > start and flags[end - 1] & SPACE:
        end -= 1
    return start, end


@kernel
def ends_in_ellipsis(codes, start, end):
    """Whether ``codes[start:end]`` ends in three full stops."""
    return end - start >= 3 and codes[end - 1] == _DOT and codes[end - 2] == _DOT and codes[end - 3] == _DOT


@kernel
def count_breaks(codes, num_chars):
    """Number of ``\\n``."""
    num_breaks = 0
    for i in range(num_chars):
        num_breaks += codes[i] == _NEWLINE
    return num_breaks


@kernel
def measure_lines(codes, flags, num_chars, num_breaks, short_line_chars, table_keys, table_numbers, out):
    """Signals of a text of at least one character.

    Args:
        num_breaks: number of ``\\n`` in the text.
        short_line_chars: a line of up to so many characters is short.
        table_keys, table_numbers: uint64 and int32, room for ``num_breaks + 1`` items (see ``clear_table``).
        out: float64, receives ``LINE_SIGNALS``.
    """
    _measure_marks(codes, flags, num_chars, out[0:3])
    _measure_paragraphs(codes, flags, num_chars, num_breaks, table_keys, table_numbers, out[3:6])
    _measure_breaks(codes, flags, num_chars, num_breaks, short_line_chars, table_keys, table_numbers, out[6:11])


@kernel
def _measure_marks(codes, flags, num_chars, out):
    """Lines that begin with a bullet, lines that end in an ellipsis."""
    num_lines = num_bullets = num_ellipses = 0
    position = 0
    while position < num_chars:
        end = line_end(flags, position, num_chars)
        first, last = strip(flags, position, end)
        if first < last:
            num_bullets += codes[first] == _BULLET or codes[first] == _HYPHEN
            num_ellipses += codes[last - 1] == _ELLIPSIS or ends_in_ellipsis(codes, first, last)
        num_lines += 1
        position = after_break(codes, end, num_chars)
    out[0] = num_lines
    out[1] = num_bullets / num_lines
    out[2] = num_ellipses / num_lines


@kernel
def _measure_paragraphs(codes, flags, num_chars, num_breaks, table_keys, table_numbers, out):
    """Pieces of the stripped text between runs of two or more ``\\n``; the second and later copies count."""
    mask = clear_table(table_keys, num_breaks + 1)
    position, end = strip(flags, 0, num_chars)
    num_paragraphs = num_duplicates = num_duplicate_chars = 0
    while position < end or num_paragraphs == 0:
        last = position
        while last < end and not (codes[last] == _NEWLINE and codes[last + 1] == _NEWLINE):
            last += 1
        number = intern(hash_codes(codes, position, last), num_paragraphs, table_keys, table_numbers, mask)
        if number != num_paragraphs:
            num_duplicates += 1
            num_duplicate_chars += last - position
        num_paragraphs += 1
        position = last
        while position < end and codes[position] == _NEWLINE:
            position += 1
    out[0] = num_paragraphs
    out[1] = num_duplicates / num_paragraphs
    out[2] = num_duplicate_chars / num_chars


@kernel
def _measure_breaks(codes, flags, num_chars, num_breaks, short_line_chars, table_keys, table_numbers, out):
    """Lines between ``\\n``: duplicates among the non-empty (Gopher) and among the non-blank ones (FineWeb)."""
    mask = clear_table(table_keys, num_breaks + 1)
    num_lines = num_duplicates = num_duplicate_chars = 0
    num_filled = num_filled_duplicate_chars = num_terminal = num_short = 0
    position = 0
    while position < num_chars:
        end = position
        filled = False
        while end < num_chars and codes[end] != _NEWLINE:
            filled = filled or not flags[end] & SPACE
            end += 1
        length = end - position
        if length > 0:
            number = intern(hash_codes(codes, position, end), num_lines, table_keys, table_numbers, mask)
            if number != num_lines:
                num_duplicates += 1
                num_duplicate_chars += length
                num_filled_duplicate_chars += length if filled else 0
            num_lines += 1
        if filled:
            num_filled += 1
            num_terminal += (flags[end - 1] & TERMINAL) != 0
            num_short += length <= short_line_chars
        position = end + 1
    starts_empty, ends_empty = codes[0] == _NEWLINE, codes[num_chars - 1] == _NEWLINE
    num_pieces = num_lines + starts_empty + ends_empty
    out[0] = (num_duplicates + (starts_empty and ends_empty)) / num_pieces
    out[1] = num_duplicate_chars / num_chars
    out[2] = num_terminal / num_filled if num_filled else 0.0
    out[3] = num_short / num_filled if num_filled else 0.0
    out[4] = num_filled_duplicate_chars / (num_chars - num_breaks) if num_filled else 0.0
