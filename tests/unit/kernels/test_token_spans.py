"""Words in bytes against ``str``: their places, their hashes, the lines that they begin."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.token_spans import token_spans


def words(text: pa.Array) -> list[list[tuple[str, bool]]]:
    """Words of each row, and whether a line begins with them."""
    spans = token_spans(text_buffers(text))
    return [
        [
            (value.as_py().encode()[spans.starts[i] : spans.ends[i]].decode(), bool(spans.begins_line[i]))
            for i in range(spans.bounds[row], spans.bounds[row + 1])
        ]
        for row, value in enumerate(text)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Grüß Gott!", [("Grüß", True), ("Gott", False), ("!", False)]),
        ("\n a\tb \u2028 c", [("a", True), ("b", False), ("c", True)]),
        ("don't 3.14", [("don't", True), ("3.14", False)]),
        ("中文 👩\u200d👩 ก็", [("中", True), ("文", False), ("👩\u200d👩", False), ("ก็", False)]),
        (" \n", []),
        ("", []),
    ],
)
def test_words_in_bytes(text, expected):
    assert words(pa.array([text])) == [expected]
    assert words(pa.array(["before", text, "after"], pa.large_string()).slice(1, 1)) == [expected]


def test_a_null_has_no_words():
    spans = token_spans(text_buffers(pa.array(["a b", None, "a"])))
    assert spans.bounds.tolist() == [0, 2, 2, 3]
    assert spans.hashes[0] == spans.hashes[2] != spans.hashes[1]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(alphabet="aAé中👍.,(' \n\u00a0", max_size=30), max_size=4))
def test_words_cover_all_but_white_space_and_equal_words_have_equal_hashes(texts):
    column = pa.array(texts, pa.string())
    spans = token_spans(text_buffers(column))
    of_word: dict[str, int] = {}
    for text, row in zip(texts, words(column), strict=True):
        assert "".join(word for word, _ in row) == "".join(text.split())
        assert all(word == word.strip() for word, _ in row)
    for (word, _), value in zip([entry for row in words(column) for entry in row], spans.hashes.tolist(), strict=True):
        assert of_word.setdefault(word, value) == value
    assert len(set(of_word.values())) == len(of_word)
