"""Charsets: right, wrong and missing declarations end as the same text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.charset import decode, python_charset

RUSSIAN = "Птицы возвращаются в город весной, и на старой набережной снова слышны их голоса. " * 3
JAPANESE = "春になると、つばめが駅の屋根に戻ってきます。毎年おなじ場所に巣をつくります。" * 3
FRENCH = "Les hirondelles reviennent au port ; l'été, elles chassent à la tombée de la nuit. " * 3

TEXTS = [
    (RUSSIAN, ["utf-8", "windows-1251", "koi8-r"]),
    (JAPANESE, ["utf-8", "shift_jis", "euc-jp", "iso-2022-jp"]),
    (FRENCH, ["utf-8", "windows-1252", "iso-8859-15"]),
    ("早春的池塘边，孩子们在数着归来的野鸭。" * 5, ["utf-8", "gb18030", "gb2312"]),
    ("봄이 오면 제비가 역으로 돌아온다. " * 5, ["utf-8", "euc-kr"]),
]
CASES = [(text, charset) for text, charsets in TEXTS for charset in charsets]


@pytest.mark.parametrize(("text", "charset"), CASES)
def test_the_declared_charset_is_used(text: str, charset: str) -> None:
    assert decode(text.encode(charset), charset, is_html=False)[0] == text


@pytest.mark.parametrize(("text", "charset"), CASES)
def test_meta_stands_in_for_the_header(text: str, charset: str) -> None:
    page = f'<html><head><meta http-equiv="Content-Type" content="text/html; charset={charset}"></head>{text}'
    assert decode(page.encode(charset), None, is_html=True)[0] == page


@pytest.mark.parametrize("text", [text for text, _ in TEXTS])
@pytest.mark.parametrize("wrong", ["iso-8859-1", "windows-1251", "shift_jis", "no-such-charset", "utf-16", None])
def test_utf8_is_found_whatever_is_declared(text: str, wrong: str | None) -> None:
    assert decode(text.encode(), wrong, is_html=False) == (text, "utf-8")


@pytest.mark.parametrize(
    ("text", "charset"), [(RUSSIAN, "windows-1251"), (RUSSIAN, "koi8-r"), (JAPANESE, "shift_jis"), (JAPANESE, "euc-jp")]
)
def test_an_undeclared_charset_is_detected(text: str, charset: str) -> None:
    assert decode(text.encode(charset), None, is_html=False)[0] == text


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_wins_over_the_declaration(charset: str) -> None:
    text, used = decode(RUSSIAN.encode(charset), "koi8-r", is_html=False)
    assert text == RUSSIAN
    assert used.startswith(charset.removesuffix("-sig"))


@pytest.mark.parametrize(
    ("label", "expected"),
    [("latin1", "cp1252"), ("ISO-8859-1", "cp1252"), ("gb2312", "gb18030"), ("x-sjis", "cp932"), ("utf-7", None)]
    + [(label, None) for label in ("", "unicode_escape", "undefined", "base64", "idna")],
)
def test_labels_mean_what_they_mean_on_the_web(label: str, expected: str | None) -> None:
    assert python_charset(label) == expected


def test_a_page_cut_inside_a_character_stays_utf8() -> None:
    text, charset = decode(RUSSIAN.encode()[:-2], None, is_html=False)
    assert charset == "utf-8"
    assert text.startswith(RUSSIAN[:-3])


def test_ascii_declared_as_utf16_stays_ascii() -> None:
    assert decode(b"<p>plain ascii</p>", "utf-16", is_html=True)[0] == "<p>plain ascii</p>"


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "gb18030", "euc-jp"])
def test_lone_surrogates_are_not_made(charset: str) -> None:
    smuggled = {
        "utf-8": b"a\xed\xa0\x80b\0",
        "utf-16": b"\xff\xfea\0\x00\xd8b\0\0\0",
        "gb18030": b"a\x83\x36\xc7\x39b\0",
    }
    text, _ = decode(smuggled.get(charset, b"a\xff\xfeb\0"), charset, is_html=False)
    assert text.encode().decode() == text
    assert text[0] == "a" and text[-1] == "b"


@given(st.binary(max_size=400), st.sampled_from([None, "utf-8", "utf-16", "gbk", "hz-gb-2312", "bogus"]), st.booleans())
def test_any_bytes_become_valid_text(payload: bytes, declared: str | None, is_html: bool) -> None:
    text, charset = decode(payload, declared, is_html=is_html)
    assert "\0" not in text
    assert text.encode().decode() == text
    assert (text, charset) == decode(payload, declared, is_html=is_html)


@pytest.mark.parametrize("declared", ["iso-8859-1", "windows-1251", "utf-8", None])
def test_utf8_with_a_line_of_another_charset_stays_utf8(declared: str | None) -> None:
    text, charset = decode(RUSSIAN.encode() + "café".encode("latin-1"), declared, is_html=False)
    assert (text, charset) == (f"{RUSSIAN}caf\ufffd", "utf-8")


def test_utf16_without_a_mark_is_believed_where_the_bytes_are_so() -> None:
    assert decode(RUSSIAN.encode("utf-16-le"), "utf-16le", is_html=False) == (RUSSIAN, "utf-16-le")
    assert decode(RUSSIAN.encode("cp1251"), "utf-16le", is_html=False)[0] == RUSSIAN


def test_a_single_character_overrules_no_declaration() -> None:
    page = "The seminar costs 100 ¤ for each of the twelve participants, without meals."
    assert decode(page.encode("latin-1"), "iso-8859-1", is_html=False)[0] == page


def test_the_header_goes_before_meta_unless_it_is_refuted() -> None:
    page = f'<meta charset="windows-1251"><p>{RUSSIAN}'
    assert decode(page.encode("cp1251"), "iso-8859-1", is_html=True) == (page, "cp1251")
    english = '<meta charset="windows-1251"><p>It isn’t in the café, nor in the naïve façade’s shadow.'
    assert decode(english.encode("cp1252"), "iso-8859-1", is_html=True) == (english, "cp1252")
