"""Pages in 37 charsets end as the same text however they are declared; what cannot be told is listed.

The paragraphs of ``charset_pages.toml`` were written for this, each in a language that its charset served. The tables
of letter pairs (``pipeline/letter_tables.json``) were made from other texts.
"""

from __future__ import annotations

import tomllib
import unicodedata
from pathlib import Path

import pytest

from pipeline.charset import decode, python_charset

PAGES = tomllib.loads((Path(__file__).parent / "charset_pages.toml").read_text(encoding="utf-8"))
RIGHT = [("{charset}", None), (None, "{charset}"), ("{charset}", "utf-8")]
"""Header and meta."""
MISSING: list[tuple[str | None, str | None]] = [(None, None), ("x-none", "no-such"), ("", None)]
LIMITS: dict[str, set[str]] = {
    # One letter, or one sign, of a page is too little to overrule a declaration: the one € and the one ž of these.
    "iso-8859-15": {"iso-8859-1", "iso-8859-2", "iso-8859-3", "iso-8859-4", "iso-8859-9", "iso-8859-10"}
    | {"iso-8859-13", "iso-8859-14", "us-ascii"}
    | {"windows-1250", "windows-1252", "windows-1254", "windows-1257", "windows-1258"},
    "iso-8859-13": {"iso-8859-1", "iso-8859-4", "iso-8859-9", "iso-8859-10", "iso-8859-14", "iso-8859-15"}
    | {"us-ascii", "windows-1252", "windows-1254"},
    # The same Romanian letters in the same places, with a cedilla in place of a comma below.
    "iso-8859-16": {"windows-1250", "iso-8859-2"},
}
"""Wrong declarations that are believed, by charset. Right and missing ones give the same text for all."""


def encodable(text: str, charset: str) -> str:
    """``text`` as ``charset`` can hold it: Vietnamese of Windows-1258 writes the tones as marks of their own."""
    tones = "\u0300\u0301\u0303\u0309\u0323"
    parts = []
    for character in text:
        try:
            character.encode(charset)
            parts.append(character)
        except UnicodeEncodeError:
            apart = unicodedata.normalize("NFD", character)
            base = unicodedata.normalize("NFC", "".join(mark for mark in apart if mark not in tones))
            parts.append(base + "".join(mark for mark in apart if mark in tones))
    return "".join(parts)


def page(label: str, meta: str | None) -> str:
    text = PAGES[label]["text"]
    charset = python_charset(label)
    assert charset is not None
    declared = f'<meta http-equiv="Content-Type" content="text/html; charset={meta}">' if meta else ""
    return encodable(
        f'<!doctype html><html lang="{PAGES[label]["lang"]}"><head>{declared}<title>{text[:30]}</title>'
        f'<style>body {{ margin: 0 }}</style></head><body><div class="text"><p>{text}</p></div></body></html>',
        charset,
    )


def wrong_declarations(label: str) -> list[tuple[str | None, str | None]]:
    """Every other label in the header, the usual defaults in meta and in both."""
    defaults = ["utf-8", "iso-8859-1", "windows-1251"]
    in_header = sorted({*PAGES, *defaults, "iso-8859-9", "gb2312", "us-ascii"} - {label})
    in_meta = [(header, other) for other in defaults if other != label for header in (None, other)]
    return [(other, None) for other in in_header] + in_meta


def believed_wrongly(label: str, declarations: list[tuple[str | None, str | None]]) -> set[str | None]:
    """Declarations under which a page does not come out as it was written."""
    charset = python_charset(label)
    assert charset is not None
    found: set[str | None] = set()
    for header, meta in declarations:
        html = page(label, meta and meta.format(charset=label))
        text, _ = decode(html.encode(charset), header and header.format(charset=label), is_html=True)
        if text != html:
            found.add(header or meta)
    return found


@pytest.mark.parametrize("label", PAGES)
def test_right_and_missing_declarations_give_the_text(label):
    assert believed_wrongly(label, [*RIGHT, *MISSING]) == set()


@pytest.mark.parametrize("label", PAGES)
def test_wrong_declarations_give_the_text(label):
    assert believed_wrongly(label, wrong_declarations(label)) == LIMITS.get(label, set())


def test_what_the_limits_are():
    assert len(PAGES) == 37
    assert set(LIMITS) <= set(PAGES)
    assert len(set(PAGES) - set(LIMITS)) == 34  # the same text under every declaration there is
