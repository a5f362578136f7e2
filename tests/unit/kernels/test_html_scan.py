"""The scan for a page's tags, 32 bytes at a time, against the same rules as regular expressions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.html_scan import _FORMATTING_NAMES, scan_markup

_FORMATTING = {name.encode() for name in _FORMATTING_NAMES}
_TAG = re.compile(rb"<([/a-zA-Z])")
_NAME = re.compile(rb"[^\0- />]*")
_GAP = re.compile(rb"[\0- /]*")
_ATTRIBUTE = re.compile(
    rb"""[^\0- />] [^\0- />=]* (?: [\0-\x20]* = [\0-\x20]* (?: "[^"]*(?:"|\Z) | '[^']*(?:'|\Z) | [^\0- >]* ) )?""",
    re.VERBOSE,
)

_PIECES = st.one_of(
    st.sampled_from(
        [
            *"<>/!-='\" \t\r\n\f\0aAbBiSsuZ",
            "é",
            "中",
            "<!--",
            "-->",
            "--",
            "<!-->",
            "</",
            "/>",
            "='",
            '="',
            "= ",
            "&lt;",
        ]
    ),
    st.sampled_from(
        ["<p ", "<div>", "<ARTICLE ", "<Font a=1 ", "<b>", "</B>", "<strike>", "<nobr", "<blockquote>", "</i ", "<tt/>"]
    ),
    st.sampled_from([" class='a b' ", ' href="/x?a>b" ', " title = x/y ", " checked ", "<!doctype html>", "@{[`"]),
    st.integers(0, 70).map(lambda count: "x" * count),
    st.integers(0, 70).map(lambda count: " " * count),
)
_MARKUP = st.lists(_PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode())


def _counted(html: bytes) -> tuple[int, int, int]:
    num_tags = num_nodes = num_nesting = num_open = position = 0
    while (position := html.find(b"<", position)) >= 0:
        if html.startswith(b"<!--", position):
            end = html.find(b"-->", position + 2)  # <!--> is a whole comment
            position = end + 3 if end >= 0 else len(html)
        elif not (tag := _TAG.match(html, position)):
            position += 1
        elif tag[1] == b"/":
            name = _NAME.match(html, position + 2)
            num_open -= num_open > 0 and name[0].lower() in _FORMATTING
            position = name.end()
        else:
            name = _NAME.match(html, position + 1)
            position = _GAP.match(html, name.end()).end()
            num_attributes = 0
            while attribute := _ATTRIBUTE.match(html, position):
                num_attributes += 1
                position = _GAP.match(html, attribute.end()).end()
            num_tags += 1
            num_nodes += 1 + num_open + sum(range(num_attributes))
            num_nesting += name[0].lower() in (b"div", b"article")
            num_open += name[0].lower() in _FORMATTING
    return num_tags, num_nodes, num_nesting


@settings(deadline=None, max_examples=600)
@given(markup=_MARKUP, shift=st.integers(0, 40))
def test_counts_are_those_of_the_rules(markup: bytes, shift: int) -> None:
    page = b"." * shift + markup
    assert scan_markup(page) == _counted(page)


@settings(deadline=None, max_examples=100)
@given(markup=_MARKUP)
def test_counts_of_a_page_cut_anywhere(markup: bytes) -> None:
    for end in range(len(markup)):
        assert scan_markup(markup[:end]) == _counted(markup[:end])


@settings(deadline=None, max_examples=150)
@given(page=st.binary(max_size=200), marks=st.lists(st.sampled_from(b"<>/'\"=- ab\0"), min_size=200, max_size=200))
def test_counts_of_any_bytes(page: bytes, marks: list[int]) -> None:
    mixed = bytes(mark if byte & 1 else byte for byte, mark in zip(page, marks, strict=False))
    assert scan_markup(mixed) == _counted(mixed)


@pytest.mark.parametrize("name", [*_FORMATTING_NAMES, "strike", "STRIKE", "Big"])
def test_each_formatting_element_is_open_until_its_end_tag(name: str) -> None:
    assert scan_markup(f"<{name}><p></{name}><p>".encode()) == (3, 4, 0)


@pytest.mark.parametrize(
    "name", ["c", "bi", "bigs", "strong-x", "strike12", "longer-than-eight", "b\x80", "divs", "é", "\x7f"]
)
def test_other_names_open_nothing(name: str) -> None:
    markup = f"<p{name}><p><a{name}x>".encode()
    assert scan_markup(markup) == _counted(markup) == (3, 3, 0)


@pytest.mark.parametrize(
    "opening", ["<b x='", '<b x="', "<b x=", "<b x", "<b", "<b ", "<!--", "<!-- --", "</", "<", "<!-"]
)
def test_what_is_left_open_ends_with_the_page(opening: str) -> None:
    """Whatever stands behind the page in memory is no part of it."""
    num_tags = int(opening.startswith("<b"))
    for size in range(70):
        page = opening.encode() + b"." * size
        assert scan_markup(page) == (num_tags, num_tags, 0)
        assert scan_markup(b"<div>" + page) == (1 + num_tags, 1 + num_tags, 1)
