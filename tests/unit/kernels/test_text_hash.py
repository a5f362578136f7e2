"""Text hashes against hashlib over ``" ".join(text.split())``."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernels.text_hash import text_hashes

SPACES = "".join(chr(code_point) for code_point in range(0x110000) if chr(code_point).isspace())


def reference(text: str | None) -> bytes | None:
    if text is None:
        return None
    return hashlib.blake2b(" ".join(text.split()).encode(), digest_size=16).digest()


@pytest.mark.parametrize(
    "text", ["", " ", SPACES, "a", " a\u00a0\u2009b\n", "a\u200bb", "é\u3000字\x85", f"x{SPACES}y{SPACES}", "🙂 🙂"]
)
def test_white_space_is_collapsed(text: str) -> None:
    assert text_hashes(pa.array([text])).to_pylist() == [reference(text)]


@pytest.mark.parametrize("space", SPACES)
def test_every_white_space_character_counts_as_a_space(space: str) -> None:
    assert text_hashes(pa.array([f"{space}one{space}{space}two{space}"])).to_pylist() == [reference("one two")]


@given(
    st.lists(
        st.one_of(
            st.none(), st.text(alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(SPACES)))
        )
    ),
    st.integers(0, 6),
    st.booleans(),
)
def test_any_batch(texts: list[str | None], start: int, large: bool) -> None:
    array = pa.array(texts, pa.large_string() if large else pa.string()).slice(start)
    assert text_hashes(array).to_pylist() == [reference(text) for text in texts[start:]]


@pytest.mark.parametrize(("left", "right"), [("Text", "text"), ("a b", "ab"), ("one.", "one"), ("é", "e\u0301")])
def test_all_else_counts(left: str, right: str) -> None:
    first, second = text_hashes(pa.array([left, right])).to_pylist()
    assert first != second
