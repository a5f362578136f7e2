"""What parsing a page will cost, told from its tags before it is parsed.

An HTML5 parser takes linear time but in three places, and pages can be made to hit them: it copies formatting elements
(``<b>``, ``<font>``) that were left open into every paragraph that follows, and looks through those that are open at
each new one; it compares each attribute of a tag with those before it; and what walks its tree may depend on its depth.
This scan counts what these would come to. It follows quotes and comments as a tokenizer does, and keeps no tree, so it
is an estimate: an end tag is taken to close what it names.

The scan goes from one byte that matters to the next, 32 bytes at a time. A search takes as long as a processor needs
to get from an address to a bit of what stands there, some twenty cycles, and most stretches are shorter than ten bytes.
So with each tag its first 32 bytes are looked at for all kinds of bytes at once (``_window``), and name, attributes and
the next tag are found in these bits in a few cycles each. The page is copied, with bytes behind it that end whatever it
leaves open, so that no search asks where the page ends.

Cost: 4.4 instructions and 2.2 cycles a byte of pages of 15 kB; 0.5 µs for an empty one.
"""

from __future__ import annotations

import numpy as np

from pipeline.kernels.byte_masks import WINDOW_BYTES, at_most, eight_bytes_there, equal_to, lowest_bit
from pipeline.kernels.compilation import inlined_kernel, kernel
from pipeline.kernels.eight_bytes import first_bytes

_LT, _GT, _SLASH, _BANG, _HYPHEN = (np.uint8(ord(character)) for character in "<>/!-")
_QUOTE, _APOSTROPHE, _EQUALS, _BLANK = (np.uint8(ord(character)) for character in "\"'= ")
_A, _TO_Z = np.uint8(ord("a")), np.uint8(25)
_ONE, _TWO, _EIGHT, _SIZE = np.uint64(1), np.uint64(2), np.uint64(8), np.uint64(WINDOW_BYTES)

_SENTINELS = b"\0>'>\">--><" + bytes(WINDOW_BYTES)
"""What is put behind a page. In turn: the end of a name or an unquoted value, of a tag, of a tag in either quotes, of a
comment; the tag at which the scan ends; and as much as is read beyond. None of it changes a count."""
_NUM_SENTINELS = np.uint64(len(_SENTINELS))

_START, _TAGS, _NAME_ENDS, _ATTRIBUTE_ENDS, _QUOTES = range(5)
"""Items of a window."""

_FORMATTING_NAMES = ("a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u")
_MULTIPLIER, _TO_SLOT = 0x9E3779B97F4A7C15, 58  # sends each of these names to one of 64 slots of its own


def _packed(name: str) -> int:
    """A tag name of up to eight letters as one number."""
    return int.from_bytes(name.encode(), "little")


def _slots() -> np.ndarray:
    slots = np.ones(1 << (64 - _TO_SLOT), dtype=np.uint64)  # 1 is no name
    for name in _FORMATTING_NAMES:
        slots[(_packed(name) * _MULTIPLIER & (1 << 64) - 1) >> _TO_SLOT] = _packed(name)
    return slots


_FORMATTING = _slots()
_DIV, _ARTICLE = np.uint64(_packed("div")), np.uint64(_packed("article"))
_LOWER_CASE = np.uint64(0x2020202020202020)


def scan_markup(html: bytes) -> tuple[int, int, int]:
    """Count what a parser will have to do.

    Returns:
        Start tags; nodes that they may make, counting with each tag the formatting elements open at it and with each
        attribute those before it in its tag; start tags of ``div`` and ``article``.
    """
    return _scan(html + _SENTINELS)


@kernel
def _scan(html):
    num_tags = num_nodes = num_nesting = num_open = 0
    end = np.uint64(len(html)) - _NUM_SENTINELS
    position = _find(html, np.uint64(0), _LT)
    while position < end:
        following = html[position + _ONE]
        if np.uint8((following | _BLANK) - _A) <= _TO_Z:
            position += _ONE
            name, position, window = _name(html, position, _window(html, position))
            pairs, position, window = _skip_attributes(html, position, window)
            num_tags += 1
            num_nodes += 1 + num_open + pairs
            num_nesting += name in (_DIV, _ARTICLE)
            num_open += _is_formatting(name)
            position = _next_byte(html, position, window, _TAGS, _LT)
        elif following == _SLASH:
            position += _TWO
            name, position, window = _name(html, position, _window(html, position))
            if num_open:
                num_open -= _is_formatting(name)
            position = _next_byte(html, position, window, _TAGS, _LT)
        else:
            if following == _BANG:
                position = _skip_comment(html, position)
            position = _find(html, position + _ONE, _LT)
    return num_tags, num_nodes, num_nesting


@inlined_kernel
def _window(html, start):
    """Where in the 32 bytes from ``start`` on stand the kinds of bytes that a tag is cut at; tuple, see ``_START``."""
    name_ends = at_most(html, start, _BLANK) | equal_to(html, start, _GT) | equal_to(html, start, _SLASH)
    attribute_ends = name_ends | equal_to(html, start, _EQUALS)
    return start, equal_to(html, start, _LT), name_ends, attribute_ends, equal_to(html, start, _QUOTE)


@inlined_kernel
def _next(html, position, window, kind):
    """The next byte of a kind of which there is one not far away, and the window that it stands in."""
    while True:
        offset = position - window[_START]
        if offset < _SIZE:
            rest = window[kind] >> offset
            if rest:
                return position + lowest_bit(rest), window
            position = window[_START] + _SIZE
        window = _window(html, position)


@inlined_kernel
def _next_byte(html, position, window, kind, byte):
    """The next byte of a kind that is one byte; it may be far away, so windows are not moved along."""
    offset = position - window[_START]
    if offset < _SIZE:
        rest = window[kind] >> offset
        if rest:
            return position + lowest_bit(rest)
        position = window[_START] + _SIZE
    return _find(html, position, byte)


@inlined_kernel
def _find(html, position, byte):
    """The next such byte."""
    found = equal_to(html, position, byte)
    while not found:
        position += _SIZE
        found = equal_to(html, position, byte)
    return position + lowest_bit(found)


@inlined_kernel
def _name(html, start, window):
    """A tag's name, packed in lower case (0 if it has more than eight bytes), its end, and the window that this is in.

    Upper case is all that the bit of lower case makes letters of, so names of letters alone are told exactly.
    """
    end, window = _next(html, start, window, _NAME_ENDS)
    num_bytes = end - start
    name = first_bytes(eight_bytes_there(html, start) | _LOWER_CASE, num_bytes)
    return name if num_bytes <= _EIGHT else np.uint64(0), end, window


@inlined_kernel
def _is_formatting(name):
    return name == _FORMATTING[name * np.uint64(_MULTIPLIER) >> np.uint64(_TO_SLOT)]


@kernel
def _skip_comment(html, position):
    """The last byte of a comment; of another declaration, its second."""
    if html[position + _TWO] != _HYPHEN or html[position + _TWO + _ONE] != _HYPHEN:
        return position + _ONE
    position = _find(html, position + _TWO + _TWO, _GT)
    while html[position - _ONE] != _HYPHEN or html[position - _TWO] != _HYPHEN:
        position = _find(html, position + _ONE, _GT)
    return position


@inlined_kernel
def _skip_attributes(html, position, window):
    """Pairs of attributes in a tag, the position after its ``>``, and the window last looked at."""
    num_attributes = pairs = 0
    while html[position] != _GT:
        if html[position] <= _BLANK or html[position] == _SLASH:
            position += _ONE
            continue
        pairs += num_attributes
        num_attributes += 1
        position, window = _next(html, position + _ONE, window, _ATTRIBUTE_ENDS)
        position = _skip_blanks(html, position)
        if html[position] == _EQUALS:
            position = _skip_value(html, _skip_blanks(html, position + _ONE), window)
    return pairs, position + _ONE, window


@inlined_kernel
def _skip_blanks(html, position):
    while html[position] <= _BLANK:
        position += _ONE
    return position


@inlined_kernel
def _skip_value(html, position, window):
    if html[position] == _QUOTE:
        return _next_byte(html, position + _ONE, window, _QUOTES, _QUOTE) + _ONE
    if html[position] == _APOSTROPHE:
        return _find(html, position + _ONE, _APOSTROPHE) + _ONE
    ends = at_most(html, position, _BLANK) | equal_to(html, position, _GT)
    while not ends:
        position += _SIZE
        ends = at_most(html, position, _BLANK) | equal_to(html, position, _GT)
    return position + lowest_bit(ends)


@kernel
def deepest(elements, numbers, depths):
    """Greatest number of elements of some kinds that stand in one another.

    Args:
        elements: as ``segment_html`` fills it.
        numbers: int64: numbers of their tags.
        depths: int32, shape (num_elements,), to work in.
    """
    most = 0
    for element in range(elements.shape[0]):
        parent = elements[element, 0]
        depths[element] = depths[parent] if parent >= 0 else 0
        for number in numbers:
            depths[element] += elements[element, 1] == number
        most = max(most, depths[element])
    return most
