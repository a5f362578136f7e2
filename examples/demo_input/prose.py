"""The prose in documentation: what is left of a docstring or README when code, tables and markup are taken out.

Docstrings are found by pattern instead of by parsing or importing: a string in triple double quotes that opens a file
or follows the colon of a ``def`` or ``class``. That is wrong once in some thousand times, which does no harm here, ten
times as fast as ``ast.parse``, and runs no code of the package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_DOCSTRING = re.compile(r'(?:\A(?:\s|#[^\n]*\n)*|:[ \t]*(?:#[^\n]*)?\n\s*)[rR]?"""(.*?)"""', re.DOTALL)
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
_MARKUP = (
    (re.compile(r":[a-zA-Z:]+:`~?([^`<]*)(?:<[^>]*>)?`"), r"\1"),  # :class:`Path`
    (re.compile(r"`{1,2}([^`]*)`{1,2}_*"), r"\1"),
    (re.compile(r"\*{1,2}([^*\s][^*]*)\*{1,2}"), r"\1"),
    (re.compile(r"\[([^\]]*)\]\([^)]*\)"), r"\1"),  # [text](address)
    (re.compile(r'"([\w.()]+)"'), r"\1"),  # "name", as the language reference quotes code
)
_NOT_PROSE = re.compile(r"[{}<>=|\\]|^(?:\.\. |[-+~^]{3}|[:@#])")
_SENTENCE_END = (".", ":", "!", "?")
_MIN_WORDS = 8
_NOT_A_LETTER = re.compile(r"[^\w ]|[\d_]")
_MAX_OTHER_FRACTION = 0.1


def docstrings(source: str) -> Iterator[str]:
    """The docstrings of a Python source file, in order, as they stand."""
    for match in _DOCSTRING.finditer(source):
        yield match.group(1)


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of ``text`` that are whole sentences of mostly letters, each on one line, without markup."""
    for block in _BLANK_LINES.split(text.strip()):
        words = block.split()
        if len(words) < _MIN_WORDS or not words[-1].endswith(_SENTENCE_END):
            continue
        paragraph = " ".join(words)
        for pattern, replacement in _MARKUP:
            paragraph = pattern.sub(replacement, paragraph)
        if _NOT_PROSE.search(paragraph):
            continue
        if len(_NOT_A_LETTER.findall(paragraph)) <= _MAX_OTHER_FRACTION * len(paragraph):
            yield paragraph.removesuffix(":") + "." if paragraph.endswith(":") else paragraph
