"""Every signal against a slow reference written straight from the papers' definitions, string by string."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_words import kernel_words
from pydantic import ValidationError

from filters.signals import SIGNALS_SCHEMA, MeasureConfig, measure
from pipeline.kernels import sources_digest
from pipeline.kernels.unicode_tables import TERMINAL_PUNCTUATION
from pipeline.kernels.word_segmentation import DATATROVE_MODE, UNICODE_MODE

TERMINAL = {chr(code) for code in TERMINAL_PUNCTUATION}
SYMBOLS = TERMINAL | set(
    "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
)  # fmt: skip
SYMBOLS |= {chr(code) for start, end in ((0, 9), (11, 13), (13, 32), (127, 160)) for code in range(start, end)}
STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
FINEWEB_SIGNALS = (
    "newline_to_word_ratio",
    "terminal_punctuation_line_fraction",
    "short_line_fraction",
    "fineweb_duplicate_line_char_fraction",
)
BULLETS = "-*•‣◦▪▸►●○■□–—"
POLICY = ["terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"]


def words_of(text: str, segmentation: str) -> list[str]:
    """Words by the kernel, which has a reference of its own in test_word_segmentation.py."""
    return kernel_words(text, DATATROVE_MODE if segmentation == "datatrove" else UNICODE_MODE)


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def reference(text: str, config: MeasureConfig) -> dict[str, float]:
    if not text:
        return dict.fromkeys(SIGNALS_SCHEMA.names, 0)
    words = words_of(text, config.segmentation)
    c4, left = c4_signals(text, config)
    signals = {
        **word_signals(text, words),
        **repetition_signals(text, words),
        **line_signals(text, words, config),
        **c4,
    }
    if config.fineweb_lines == "as_c4_left_them":
        fineweb = {**word_signals(left, words_of(left, config.segmentation)), **line_signals(left, words, config)}
        signals |= {name: fineweb[name] for name in FINEWEB_SIGNALS}
    return signals


def word_signals(text: str, words: list[str]) -> dict[str, float]:
    proper = [word for word in words if any(character not in SYMBOLS for character in word)]
    alphabetic = [word for word in words if any(character.isalpha() for character in word)]
    return {
        "num_words": len(proper),
        "num_words_with_symbols": len(words),
        "num_sentences": count_sentences(words),
        "mean_word_chars": share(sum(map(len, proper)), len(proper)),
        "hash_to_word_ratio": share(text.count("#"), len(words)),
        "ellipsis_to_word_ratio": share(text.count("...") + text.count("…"), len(words)),
        "alphabetic_word_fraction": share(len(alphabetic), len(words)),
        "num_distinct_stop_words": len(STOP_WORDS & set(words)),
        "stop_word_fraction": share(sum(word in STOP_WORDS for word in words), len(words)),
        "newline_to_word_ratio": share(text.count("\n"), len(words)),
        "letter_fraction": share(sum(map(str.isalpha, text)), len(text)),
        "digit_fraction": share(sum(unicodedata.category(character) == "Nd" for character in text), len(text)),
        "punctuation_fraction": share(sum(unicodedata.category(character)[0] == "P" for character in text), len(text)),
        "symbol_fraction": share(sum(unicodedata.category(character)[0] == "S" for character in text), len(text)),
        "white_space_fraction": share(sum(map(str.isspace, text)), len(text)),
    }


def count_sentences(words: list[str]) -> int:
    num_sentences, mark_seen = min(len(words), 1), False
    for word in words:
        if word in TERMINAL:
            mark_seen = True
        elif mark_seen and not all(unicodedata.category(character).startswith("P") for character in word):
            num_sentences, mark_seen = num_sentences + 1, False
    return num_sentences


def repetition_signals(text: str, words: list[str]) -> dict[str, float]:
    signals = {}
    for n in (2, 3, 4):
        ngrams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        top, count = Counter(ngrams).most_common(1)[0] if ngrams else ((), 0)
        signals[f"top_{n}gram_char_fraction"] = len(" ".join(top)) * count / len(text)
    for n in range(5, 11):
        seen, num_chars, i = set(), 0, 0
        while i < len(words) - n + 1:
            ngram = tuple(words[i : i + n])
            num_chars += len("".join(ngram)) if ngram in seen else 0
            i += n if ngram in seen else 1
            seen.add(ngram)
        signals[f"duplicated_{n}gram_char_fraction"] = num_chars / len(text)
    return signals


def duplicates(pieces: list[str]) -> tuple[int, int]:
    copies = [piece for i, piece in enumerate(pieces) if piece in pieces[:i]]
    return len(copies), sum(map(len, copies))


def line_signals(text: str, words: list[str], config: MeasureConfig) -> dict[str, float]:
    lines = text.splitlines() or [""]
    not_blank = [line.lstrip() for line in lines if line.strip()]
    length = max(len(text), 1)
    paragraphs = re.split(r"\n{2,}", text.strip())
    pieces = re.split(r"\n+", text)
    filled = [line for line in text.split("\n") if line.strip()]
    return {
        "num_lines": len(lines),
        "bullet_line_fraction": sum(line.lstrip().startswith(("•", "-")) for line in lines) / len(lines),
        "ellipsis_line_fraction": sum(line.rstrip().endswith(("...", "…")) for line in lines) / len(lines),
        "list_line_fraction": share(sum(map(is_item, not_blank)), len(not_blank)),
        "num_paragraphs": len(paragraphs),
        "duplicate_paragraph_fraction": duplicates(paragraphs)[0] / len(paragraphs),
        "duplicate_paragraph_char_fraction": duplicates(paragraphs)[1] / length,
        "duplicate_line_fraction": duplicates(pieces)[0] / len(pieces),
        "duplicate_line_char_fraction": duplicates(pieces)[1] / length,
        "terminal_punctuation_line_fraction": share(sum(line[-1] in TERMINAL for line in filled), len(filled)),
        "short_line_fraction": share(sum(len(line) <= config.short_line_chars for line in filled), len(filled)),
        "fineweb_duplicate_line_char_fraction": share(duplicates(filled)[1], len(text.replace("\n", ""))),
    }


def is_item(line: str) -> bool:
    return bool(re.match(rf"([{BULLETS}]|[0-9]{{1,3}}[.)])\s", line))


def c4_signals(text: str, config: MeasureConfig) -> tuple[dict[str, float], str]:
    counts = Counter[str]()
    left = []
    for line in text.splitlines():
        line = line.strip()
        spaced = line.split()
        if any(len(word) > config.c4_max_word_chars for word in spaced) or len(spaced) < config.c4_min_line_words:
            continue
        line = re.sub(r"\[\d*]|\[edit]|\[citation needed]", "", line)
        if config.c4_terminal_punctuation and (not line.endswith((".", "?", "!", '"', "'")) or line.endswith("...")):
            continue
        folded = line.lower()
        counts["lorem_ipsum"] += "lorem ipsum" in folded
        counts["javascript"] += "javascript" in folded
        if config.c4_drop_javascript_lines and "javascript" in folded:
            continue
        counts["curly_brace"] += "{" in line
        says_policy = any(phrase in folded for phrase in POLICY)
        counts["policy"] += says_policy
        if config.c4_drop_policy_lines and says_policy:
            continue
        counts["kept"] += 1
        counts["sentences"] += max(count_sentences(words_of(line, config.segmentation)), 1)
        left.append(line)
    signals: dict[str, float] = {
        "c4_num_lines_kept": counts["kept"],
        "c4_num_sentences": counts["sentences"],
        "c4_num_lorem_ipsum_lines": counts["lorem_ipsum"],
        "c4_num_curly_brace_lines": counts["curly_brace"],
        "c4_num_javascript_lines": counts["javascript"],
        "c4_num_policy_lines": counts["policy"],
    }
    return signals, "\n".join(left).strip()


def assert_agrees(text: str, config: MeasureConfig | None = None) -> None:
    config = config or MeasureConfig()
    found = measure(pa.array([text]), config).to_pylist()[0]
    expected = reference(text, config)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=1e-12), text


FRAGMENTS = [
    "the", "to be", "of", "and that", "have", "Word", "a", "b", "#", "...", "…", ".", "?", "!", '"', "'", ")", ",",
    "\n", "\n\n", "\n\n\n", "\r\n", "\r", "\v", "\x1c", "\x85", "\u2028", " ", "  ", "\t", "\u00a0", "\u3000",
    "•", "- ", "[1]", "[", "]", "[edit]", "[citation needed]", "[٣]", "{", "lorem ipsum", "Lorem IPSUM", "JavaScript",
    "\u212aelvin",
    "terms of use", "Privacy Policy", "coo\u212aie policy", "uses cookies", "use of cookies", "use cookies", "x" * 11,
    "A line that is long enough.", "A line that is long enough.", "one two three four five six", "é",
    "e\u0301", "中文。", "ไทย", "ភាសា។", "שלום", "مرحبا؟", "👩‍👩‍👧", "\u200b", "\ufeff", "1,000", "I.e. this.",
    "Hello [2] there. [3]", "\x00",
]  # fmt: skip
PIECES = st.one_of(
    st.sampled_from(FRAGMENTS), st.sampled_from(" \n"), st.text(st.characters(codec="utf-8"), max_size=3)
)
TEXTS = st.lists(PIECES, max_size=40).map("".join)
FEW_WORDS = st.lists(st.sampled_from(["a", "b", "a b c d e f", "\n", ".", " "]), max_size=60).map(" ".join)


@pytest.mark.parametrize("segmentation", ["unicode", "datatrove"])
@settings(max_examples=600, deadline=None)
@given(text=TEXTS)
def test_kernel_agrees_with_the_reference(segmentation: str, text: str) -> None:
    assert_agrees(text, MeasureConfig(segmentation=segmentation))


@settings(max_examples=500, deadline=None)
@given(FEW_WORDS)
def test_repetition_agrees_with_the_reference(text: str) -> None:
    assert_agrees(text)


def keeps_blank_lines(keys: dict[str, Any]) -> bool:
    return not keys["c4_terminal_punctuation"] and keys["c4_min_line_words"] == 0


def test_blank_lines_that_c4_would_keep_are_refused() -> None:
    keys = {"c4_terminal_punctuation": False, "c4_min_line_words": 0}
    with pytest.raises(ValidationError, match="c4_min_line_words of 1 or more"):
        MeasureConfig(fineweb_lines="as_c4_left_them", **keys)
    assert keeps_blank_lines(MeasureConfig(**keys).model_dump())


@settings(max_examples=500, deadline=None)
@given(
    TEXTS,
    st.fixed_dictionaries(
        {
            "segmentation": st.sampled_from(["unicode", "datatrove"]),
            "fineweb_lines": st.sampled_from(["as_extracted", "as_c4_left_them"]),
            "short_line_chars": st.integers(0, 12),
            "c4_terminal_punctuation": st.booleans(),
            "c4_min_line_words": st.integers(0, 4),
            "c4_max_word_chars": st.integers(1, 12),
            "c4_drop_javascript_lines": st.booleans(),
            "c4_drop_policy_lines": st.booleans(),
        }
    )
    .filter(lambda keys: not keeps_blank_lines(keys) or keys["fineweb_lines"] == "as_extracted")
    .map(lambda keys: MeasureConfig(**keys)),
)
def test_settings_agree_with_the_reference(text: str, config: MeasureConfig) -> None:
    assert_agrees(text, config)


@pytest.mark.parametrize("text", ["\n", "\n\n", " ", "\r\n", "a", "a\n", "\na", "\na\n", "x\n\n\nx", ".\n.", "[1][2]"])
def test_short_texts_agree_with_the_reference(text: str) -> None:
    assert_agrees(text)


@pytest.mark.parametrize(
    ("signal", "phrase"),
    [
        *(("c4_num_policy_lines", phrase) for phrase in POLICY),
        ("c4_num_policy_lines", "USE COO\u212aIES"),
        ("c4_num_javascript_lines", "JavaScript"),
        ("c4_num_lorem_ipsum_lines", "Lorem Ipsum"),
        ("c4_num_lorem_ipsum_lines", "lorem [12]ipsum"),
        ("c4_num_curly_brace_lines", "{"),
    ],
)
def test_each_phrase_is_found_at_either_end_of_a_line_and_inside(signal: str, phrase: str) -> None:
    config = MeasureConfig(c4_terminal_punctuation=False)
    lines = [f"{phrase} in a line", f"in x{phrase}x a line", f"in a line {phrase}", f"in a line {phrase[:-1]}"]
    counts = measure(pa.array([line.strip() for line in lines]), config).column(signal)
    assert counts.to_pylist() == [1, 1, 1, 0]


def test_empty_text_measures_zero_and_null_text_null() -> None:
    empty, missing = measure(pa.array(["", None], pa.string()), MeasureConfig()).to_pylist()
    assert empty == dict.fromkeys(SIGNALS_SCHEMA.names, 0)
    assert missing == dict.fromkeys(SIGNALS_SCHEMA.names)


def test_stop_words_are_counted_once_and_with_case() -> None:
    config = MeasureConfig(stop_words={"en": ("der", "die", "das")})
    counts = measure(pa.array(["der Hund, der die Katze jagt", "Der The the"]), config)
    assert counts.column("num_distinct_stop_words").to_pylist() == [2, 0]
    assert counts.column("stop_word_fraction").to_pylist() == [3 / 7, 0]


def test_stop_words_follow_the_language() -> None:
    texts = pa.array(["der Hund und die Katze", "the dog and the cat", "der Hund", "der Hund", None])
    lang = pa.array(["deu_Latn", "eng_Latn", "tlh_Latn", None, "deu_Latn"])
    config = MeasureConfig()
    assert measure(texts, config, lang).column("num_distinct_stop_words").to_pylist() == [3, 2, None, None, None]
    without = MeasureConfig(stop_words={"deu_Latn": ()})
    assert measure(texts, without, lang).column("num_distinct_stop_words").to_pylist() == [None, 2, None, None, None]


@pytest.mark.parametrize("words", [("a",), tuple("abcdefghijklmnopqrstuvwxyz"), tuple(map(str, range(300)))])
def test_a_table_of_stop_words_holds_each_of_them(words: tuple[str, ...]) -> None:
    counts = measure(pa.array([" ".join(words), "none of them"]), MeasureConfig(stop_words={"en": words}))
    assert counts.column("num_distinct_stop_words").to_pylist() == [len(words), 0]
    assert counts.column("stop_word_fraction").to_pylist() == [1, 0]


ODD_TEXTS = {
    "empty": "",
    "one word": "heron",
    "one mark": ".",
    "replacement characters": "caf\ufffd \ufffd\ufffd a\ufffdb.\n\ufffd",
    "right to left": "שלום עולם, זה טקסט. \u200fمرحبا بالعالم؟ نعم!\u202b נעים\u202c",
    "emoji": "👩‍👩‍👧 said 👍🏽 and 🇫🇷🇩🇪 ok ❤️! #1 :) (8)",
    "zero width": "zero\u200bwidth \u200d joiner\u2060s \ufeff and\u00adsoft",
    "combining marks": "e\u0301te\u0301 \u0301 alone a\u0300\u0301\u0302 न\u093f \u0e19\u0e49\u0e33",
    "unspaced scripts": "中文没有空格。日本語のテキスト、カタカナ。ภาษาไทย ລາວ မြန်မာ ភាសាខ្មែរ",
    "line breaks of all kinds": "a\r\nb\rc\vd\fe\x1cf\x85g\u2028h\u2029\n\n\ni \n \n\n j",
    "nulls": "\x00\x00 a\x00b \x00",
    "astral planes": "𝒳 = 𝒴 𠀀𠀁 𐍈𐍉 \U0010ffff",
}


@pytest.mark.parametrize("segmentation", ["unicode", "datatrove"])
@pytest.mark.parametrize("name", ODD_TEXTS)
def test_odd_texts_agree_with_the_reference(name: str, segmentation: str) -> None:
    for text in (ODD_TEXTS[name], ODD_TEXTS[name] * 3, f"{ODD_TEXTS[name]}\n\n{ODD_TEXTS[name]}\n"):
        assert_agrees(text, MeasureConfig(segmentation=segmentation, fineweb_lines="as_c4_left_them"))


ROWS = ["One two. Three!", None, "", "中文。字\n\n中文。字", "x " * 300, "- a\n- b...\n", None, "the the to be"]


@pytest.mark.parametrize("text_type", [pa.string(), pa.large_string()])
def test_rows_do_not_depend_on_batch_cuts(text_type: pa.DataType) -> None:
    column = pa.array(ROWS, text_type)
    whole = measure(column, MeasureConfig())
    for start in range(len(ROWS)):
        for length in (0, 1, 3):
            part = measure(column.slice(start, length), MeasureConfig())
            assert part.equals(whole.slice(start, length))


def test_a_large_document_is_measured() -> None:
    paragraph = "Every page read ends as exactly one row, kept or dropped, with stage and reason. "
    text = paragraph * 125_000
    assert len(text) > 10_000_000
    big = measure(pa.array([text]), MeasureConfig()).to_pylist()[0]
    assert big["num_words_with_symbols"] == 125_000 * len(words_of(paragraph, "unicode"))
    assert big["num_sentences"] == 125_000
    assert big["duplicated_10gram_char_fraction"] > 0.8


def test_the_cache_folder_follows_the_sources(tmp_path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    before = sources_digest(tmp_path)
    (tmp_path / "a.py").write_text("x = 2\n")
    assert sources_digest(tmp_path) != before
