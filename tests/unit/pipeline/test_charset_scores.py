"""Charsets by the words that they make of bytes: hand-made cases, and that the sums depend on nothing else."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import letter_tables
from pipeline.charset_scores import MULTI_BYTE, PRIOR_NATS, num_read_differently, page_words, score_charsets
from pipeline.errors import ConfigError
from pipeline.letter_tables import STEP_NATS, alphabetic_tables, ideographic_tables, write_level

WORDS = ["kütüphane", "güneşin", "çocuklar", "akşam", "ödünç", "için", "ağaç", "yıl", "değil", "olduğu"]


def best(payload: bytes) -> str:
    scores = score_charsets(page_words(payload), PRIOR_NATS)
    return max(scores, key=lambda charset: scores[charset])


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        (" ".join(WORDS), "cp1254"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy", "cp1250"),
        ("Съешь же ещё этих мягких французских булок", "koi8-r"),
        ("Съешь же ещё этих мягких французских булок", "cp866"),
        ("Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich", "mac-roman"),
        ("ξεσκεπάζω την ψυχοφθόρα βδελυγμία και την κρύβω", "cp1253"),
        ("今天天气很好，我们去公园走走。", "gb18030"),
        ("今日はとても良い天気ですね。公園へ行きましょう。", "cp932"),
    ],
)
def test_the_charset_that_makes_words(text: str, charset: str) -> None:
    payload = text.encode(charset)
    assert payload.decode(best(payload)) == text


@given(st.permutations(WORDS), st.integers(1, 3))
def test_neither_order_nor_repetition_of_words_matters(words: list[str], times: int) -> None:
    words_once = page_words(" ".join(WORDS).encode("cp1254"))
    found = page_words(" ".join(words * times).encode("cp1254"))
    assert score_charsets(found, PRIOR_NATS) == score_charsets(words_once, PRIOR_NATS)


@given(st.binary(min_size=1, max_size=300).filter(lambda data: not data.isascii()))
def test_any_bytes_have_a_score_in_every_charset(payload: bytes) -> None:
    scores = score_charsets(page_words(payload), PRIOR_NATS)
    assert scores.keys() == PRIOR_NATS.keys()
    assert all(math.isfinite(score) and score <= 0 for score in scores.values())


def test_markup_is_not_looked_at() -> None:
    words = page_words("<p class='Ünï'>Tür<script>öö</script> geöffnet".encode("cp1252"))
    assert words.high.split() == ["Tür".encode("cp1252"), "geöffnet".encode("cp1252")]


def test_bytes_read_differently() -> None:
    words = page_words("für ½ Öl".encode("iso8859-1"))
    assert num_read_differently(words, "cp1252", "iso8859-15") == 1
    assert num_read_differently(words, "cp1252", "cp1254") == 0


def test_the_tables_hold_what_they_should() -> None:
    tables = alphabetic_tables()
    assert len(tables.languages) >= 50
    assert len(ideographic_tables()) == 4
    czech = tables.languages.index("ces_Latn")
    assert tables.is_own[czech, tables.symbols["ř"]] and not tables.is_own[czech, tables.symbols["ñ"]]
    assert set(MULTI_BYTE) < set(PRIOR_NATS)


@given(st.integers(0, 79))
def test_levels_are_read_as_they_are_written(level: int) -> None:
    assert letter_tables._read_levels(write_level(-level * STEP_NATS)).tolist() == [-level]


def test_tables_of_another_version_are_refused(tmp_path, monkeypatch) -> None:
    tables = tmp_path / "tables.json"
    tables.write_text(json.dumps({"version": 0, "step_nats": STEP_NATS}))
    monkeypatch.setattr(letter_tables, "SHIPPED_TABLES", tables)
    with pytest.raises(ConfigError, match="found version 0"):
        letter_tables._load()
