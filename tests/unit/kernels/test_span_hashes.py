"""Pieces of texts against Python's own string functions, their keys against each other."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters.signals import MeasureConfig, measure
from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.span_hashes import LINES, PARAGRAPHS, SENTENCE_SPANS, Spans, hash_spans

PROSE = st.text("aAbé1٣., \n\n\r\u2028!-", max_size=30)


def spans(texts: list[str | None], **options: Any) -> Spans:
    settings: dict[str, Any] = {"unit": LINES, "num_sentences": 1, "min_chars": 1, "normalise": False, **options}
    return hash_spans(text_buffers(pa.array(texts, pa.string())), np.zeros(len(texts), np.uint64), **settings)


def pieces(text: str, **options: Any) -> list[str]:
    """What is cut with each piece."""
    found = spans([text], **options)
    return [text.encode()[start:end].decode() for start, end in zip(found.starts, found.ends, strict=True)]


def lines_of(text: str) -> list[str]:
    """Lines that are not blank, each with the blank ones behind it, the first with those before it."""
    joined: list[str] = []
    blank = ""
    for line in text.splitlines(keepends=True):
        if line.strip():
            joined.append((blank if not joined else "") + line)
        elif joined:
            joined[-1] += line
        else:
            blank += line
    return joined


def paragraphs_of(text: str) -> list[str]:
    joined: list[str] = []
    for line in lines_of(text):
        ends_one = bool(joined) and not joined[-1].splitlines()[-1].strip()
        if joined and not ends_one:
            joined[-1] += line
        else:
            joined.append(line)
    return joined


def normalised(content: str) -> str:
    kept = (c for c in content.strip() if c.isalpha() or unicodedata.category(c) in ("Nd", "Mn", "Mc", "Me", "Cf"))
    return "".join("0" if unicodedata.category(c) == "Nd" else c.lower() for c in kept)


@settings(deadline=None)
@given(PROSE)
@example("a\n\n b\r\n\u2028c")
@example("\n a")
def test_lines_and_paragraphs_tile_the_text_as_python_cuts_it(text: str) -> None:
    assert pieces(text) == lines_of(text)
    assert pieces(text, unit=PARAGRAPHS) == paragraphs_of(text)


@settings(deadline=None)
@given(st.lists(PROSE, max_size=4), st.booleans(), st.sampled_from([LINES, PARAGRAPHS]))
def test_keys_are_equal_where_contents_are(texts: list[str], normalise: bool, unit: int) -> None:
    found = spans([*texts, None], unit=unit, normalise=normalise)
    form = normalised if normalise else str.strip
    cut = lines_of if unit == LINES else paragraphs_of
    expected = [(row, form(piece)) for row, text in enumerate(texts) for piece in cut(text)]
    if normalise:
        expected = [(row, content) for row, content in expected if any(c.isalpha() or c.isdigit() for c in content)]
    assert found.rows.tolist() == [row for row, _ in expected]
    contents = [content for _, content in expected]
    for i, key in enumerate(found.keys):
        assert [key == other for other in found.keys] == [contents[i] == content for content in contents]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One here. Two, there! Three?", ["One here. ", "Two, there! ", "Three?"]),
        ('He said: "Stop." Then he left.', ['He said: "Stop." ', "Then he left."]),
        ("By e.g. Mr Smith. Next", ["By e.g. ", "Mr Smith. ", "Next"]),
        ("No end\nof a line... Yes", ["No end\n", "of a line... ", "Yes"]),
        ("苍鹭站着。它在等！", ["苍鹭站着。", "它在等！"]),
        ("  \n ", []),
        (" lead. in", [" lead. ", "in"]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert pieces(text, unit=SENTENCE_SPANS) == sentences


@settings(deadline=None)
@given(st.text("aB. !?\"'1é。", max_size=30))
def test_as_many_sentences_on_a_line_as_the_signal_counts(text: str) -> None:
    num_sentences = measure(pa.array([text]), MeasureConfig()).column("num_sentences").to_pylist()
    assert [len(pieces(text, unit=SENTENCE_SPANS))] == num_sentences


def test_every_run_of_sentences_is_a_span() -> None:
    text = "One. Two. Three. Four."
    assert pieces(text, unit=SENTENCE_SPANS, num_sentences=3) == ["One. Two. Three. ", "Two. Three. Four."]
    assert pieces("One. Two.", unit=SENTENCE_SPANS, num_sentences=3) == []
    keys = spans([text, "Two. Three. Four.", "Three. Two. Four."], unit=SENTENCE_SPANS, num_sentences=3).keys
    assert keys[1] == keys[2]
    assert keys[3] not in keys[:3]


def test_short_pieces_and_those_without_letters_have_no_key() -> None:
    assert pieces("ab\nabc\n  abc  d ", min_chars=3) == ["abc\n", "  abc  d "]
    assert pieces("***\n- 1 -\n—", normalise=True) == ["- 1 -\n"]
    assert pieces("é. é. éé.", unit=SENTENCE_SPANS, num_sentences=2, min_chars=6) == ["é. éé."]


def test_a_salt_keeps_rows_apart() -> None:
    text = text_buffers(pa.array(["same", "same", "same"]))
    keys = hash_spans(
        text, np.array([1, 2, 1], np.uint64), unit=LINES, num_sentences=1, min_chars=1, normalise=True
    ).keys
    assert keys[0] == keys[2] != keys[1]


def test_many_pieces_and_slices() -> None:
    texts = pa.array(["no", "\n".join(f"line {i:05d}" for i in range(5000)), "line 7\nx"]).slice(1)
    options = {"unit": LINES, "num_sentences": 1, "min_chars": 1, "normalise": False}
    found = hash_spans(text_buffers(texts), np.zeros(2, np.uint64), **options)
    assert np.bincount(found.rows).tolist() == [5000, 2]
    assert len(set(found.keys.tolist())) == 5002
    assert re.fullmatch(r"line 04999", texts[0].as_py()[found.starts[4999] : found.ends[4999]])
