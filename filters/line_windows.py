"""Lines, and parts of long lines, in which a pattern fires: what an expensive recogniser has to look at.

The pattern (the *gate*) is searched in the whole text by the regular expression engine, so lines without a hit cost
nothing in Python. A line longer than ``MAX_WINDOW_CHARS`` is cut, so that a quadratic recogniser stays linear in the
length of the text. Cuts are made at white space with ``CLEARANCE_CHARS`` characters without digit or ``@`` on both
sides, which no identifier of a person contains; where there is none (a table of numbers, a blob without spaces), at
the last blank, else between two characters, and what lies across such a cut may be missed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_WINDOW_CHARS = 4096
CLEARANCE_CHARS = 40
_SAFE_CUT = re.compile(rf"(?<=[^\d@\n]{{{CLEARANCE_CHARS}}})\s(?=[^\d@\n]{{{CLEARANCE_CHARS}}})")


def gated_windows(text: str, gate: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Windows of ``text`` in which ``gate`` fires.

    Args:
        text: any text.
        gate: a pattern without lookarounds that no line feed can be part of.

    Yields:
        (start, end) of lines, or parts of long lines, without the line feed; in code points, ascending.
    """
    position = 0
    while position <= len(text) and (hit := gate.search(text, position)):
        line_start = text.rfind("\n", position, hit.start()) + 1 or position
        line_end = text.find("\n", hit.end())
        line_end = len(text) if line_end < 0 else line_end
        for start, end in windows(text, line_start, line_end):
            if gate.search(text, start, end):
                yield start, end
        position = line_end + 1


def windows(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut ``text[start:end]`` into windows of at most ``MAX_WINDOW_CHARS`` code points."""
    while end - start > MAX_WINDOW_CHARS:
        limit = start + MAX_WINDOW_CHARS
        cut = 0
        for gap in _SAFE_CUT.finditer(text, start + 1, limit + CLEARANCE_CHARS):
            cut = gap.start()
        if not cut:
            cut = max(text.rfind(" ", start + 1, limit), 0) or limit
        yield start, cut
        start = cut
    yield start, end
