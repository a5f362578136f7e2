"""Repeated passages against the definition spelt out: every word in a passage that equals an earlier one, no other."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.token_spans import token_spans
from pipeline.repeated_passages import OCCURRENCE, byte_ranges, occurrences, redundant_runs
from stages.dedup_substrings import SubstringDedupConfig, anchor_rows, candidate_rows, tokens_of

ARTICLES = Path(__file__).parents[3] / "shared" / "data" / "neardup" / "mccormick" / "data" / "articles_100.train"
Place = tuple[int, int]


def by_definition(documents: list[list[str]], min_tokens: int, *, keep_first: bool) -> set[Place]:
    """Words (document, position) that are cut; ``documents`` are in survivor order."""
    places = defaultdict(list)
    for number, words in enumerate(documents):
        for position in range(len(words) - min_tokens + 1):
            places[tuple(words[position : position + min_tokens])].append((number, position))
    cut = set()
    for group in places.values():
        for place in group:
            others = [
                other
                for other in group
                if (other < place or not keep_first)
                and (other[0] != place[0] or abs(other[1] - place[1]) >= min_tokens)
            ]
            if others:
                cut |= {(place[0], place[1] + i) for i in range(min_tokens)}
    return cut


def by_stage(documents: list[list[str]], config: SubstringDedupConfig, batch_size: int, scope=None) -> set[Place]:
    """The same by the stage."""
    return cut_of_texts([" ".join(words) for words in documents], config, batch_size, scope)


def cut_of_texts(texts: list[str], config: SubstringDedupConfig, batch_size: int, scope=None) -> set[Place]:
    """Words that the stage cuts, with what Spark does between its rounds done here."""
    batches = []
    for first in range(0, len(texts), batch_size):
        here = texts[first : first + batch_size]
        rows = pa.record_batch(
            {
                "doc_id": pa.array([str(first + i) for i in range(len(here))]),
                "row_index": pa.array(range(len(here)), pa.int64()),
                "number": pa.array(range(first, first + len(here)), pa.int64()),
                "text": pa.array(here, pa.string()),
                "lang": pa.array((scope or [None] * len(texts))[first : first + batch_size], pa.string()),
            }
        )
        batches.append((rows, tokens_of(rows, config)))
    num_places: dict[int, int] = defaultdict(int)
    for _, tokens in batches:
        for row in anchor_rows(tokens, config, "00000").to_pylist():
            num_places[row["anchor"]] += row["num_places"]
    repeated = [anchor for anchor, number in num_places.items() if number > 1]
    repeated_here = np.sort(np.array(repeated, np.int64).view(np.uint64)).view(np.int64)
    candidates = [candidate_rows(tokens, rows, repeated_here, config) for rows, tokens in batches]
    known: dict[int, tuple[Place, Place]] = {}
    for batch in candidates:
        for passage, *place in zip(*(column.to_pylist() for column in occurrences(batch).columns), strict=True):
            first, last = tuple(place[:2]), tuple(place[2:])
            old = known.get(passage, (first, last))
            known[passage] = (min(old[0], first), max(old[1], last))
    table = sorted((passage, *first, *last) for passage, (first, last) in known.items())
    columns = dict(zip(OCCURRENCE.names, np.array(table, np.int64).reshape(-1, 5).T, strict=True))
    cut = set()
    for batch in candidates:
        runs = redundant_runs(batch, columns, min_tokens=config.min_tokens, keep_first=config.keep == "first")
        numbers = batch.column("number").to_numpy()[runs.rows]
        for number, begin, end in zip(numbers, runs.begins, runs.ends, strict=True):
            cut |= {(int(number), position) for position in range(begin, end)}
    return cut


DOCUMENTS = st.lists(
    st.lists(st.sampled_from("ab"), max_size=60) | st.lists(st.sampled_from("abcd"), max_size=60), max_size=6
)


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, st.integers(2, 9), st.data(), st.integers(1, 6), st.sampled_from(["first", "none"]))
def test_what_is_cut_is_what_the_definition_says(documents, min_tokens, data, batch_size, keep):
    window = data.draw(st.integers(1, min_tokens))
    config = SubstringDedupConfig(min_tokens=min_tokens, window_tokens=window, keep=keep)
    expected = by_definition(documents, min_tokens, keep_first=keep == "first")
    assert by_stage(documents, config, batch_size) == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(2, 60), st.integers(2, 12), st.sampled_from(["first", "none"]))
def test_periodic_texts(period, length, min_tokens, keep):
    documents = [[f"w{i % period}" for i in range(length)], [f"w{i % period}" for i in range(length // 2)]]
    config = SubstringDedupConfig(min_tokens=min_tokens, keep=keep)
    assert by_stage(documents, config, 1) == by_definition(documents, min_tokens, keep_first=keep == "first")


def test_of_a_word_for_ever_one_passage_stays():
    config = SubstringDedupConfig(min_tokens=3)
    assert by_stage([["a"] * 10], config, 1) == {(0, position) for position in range(3, 10)}


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.integers(2, 6))
def test_every_word_that_goes_is_left_elsewhere_in_the_same_company(documents, min_tokens):
    """The order of places ends: from a cut word, equal passages lead to one that stays."""
    cut = by_stage(documents, SubstringDedupConfig(min_tokens=min_tokens), 2)
    for number, position in cut:
        word = documents[number][position]
        stays = [
            (other, at)
            for other in range(len(documents))
            for at in range(len(documents[other]))
            if (other, at) not in cut and documents[other][at] == word and (other, at) < (number, position)
        ]
        assert stays


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(st.sampled_from("ab"), max_size=30), st.sampled_from(["x", "y", None])), max_size=6))
def test_scopes_do_not_see_each_other(rows):
    documents, scopes = [words for words, _ in rows], [scope for _, scope in rows]
    config = SubstringDedupConfig(min_tokens=4, scope="language")
    expected = set()
    for scope in ("x", "y", None):
        numbers = [number for number, value in enumerate(scopes) if value == scope]
        within = by_definition([documents[number] for number in numbers], 4, keep_first=True)
        expected |= {(numbers[number], position) for number, position in within}
    assert by_stage(documents, config, 2, scopes) == expected


TEXT = st.text(alphabet=st.sampled_from(list("ab.(é中👍\n \t'\u00a0")), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(TEXT, st.data())
def test_ranges_of_bytes_hold_the_words_and_white_space_beside_them(text, data):
    spans = token_spans(text_buffers(pa.array([text])))
    encoded = text.encode()
    words = [encoded[start:end].decode() for start, end in zip(spans.starts, spans.ends, strict=True)]
    if not words:
        return
    begin = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(begin + 1, len(words)))
    runs = _runs([0], [begin], [end])
    (start_byte,), (end_byte,) = byte_ranges(spans, runs)
    assert "".join(encoded[start_byte:end_byte].decode().split()) == "".join("".join(words[begin:end]).split())
    left = encoded[:start_byte] + encoded[end_byte:]
    assert "".join(left.decode().split()) == "".join("".join(words[:begin] + words[end:]).split())


def _runs(rows, begins, ends):
    from pipeline.repeated_passages import Runs

    return Runs(*(np.array(column, np.int64) for column in (rows, begins, ends)), np.zeros(len(rows), np.int64))


@pytest.mark.parametrize(
    ("text", "begin", "end", "left"),
    [
        ("A B C", 1, 2, "A C"),
        ("A\nB\nC", 1, 2, "A\nC"),
        ("A B\nC", 1, 2, "A\nC"),
        ("A\nB C", 1, 2, "A\nC"),
        ("A\n\nB\n\nC", 1, 2, "A\n\nC"),
        ("A B", 1, 2, "A"),
        ("A\nB", 1, 2, "A\n"),
        ("A B", 0, 1, "B"),
        ("中文字", 1, 2, "中字"),
        ("A B.", 1, 2, "A ."),
    ],
)
def test_white_space_of_one_side_goes(text, begin, end, left):
    spans = token_spans(text_buffers(pa.array([text])))
    (start_byte,), (end_byte,) = byte_ranges(spans, _runs([0], [begin], [end]))
    assert (text.encode()[:start_byte] + text.encode()[end_byte:]).decode() == left


@pytest.mark.skipif(not ARTICLES.exists(), reason=f"no {ARTICLES}: the shared data is not here")
@pytest.mark.parametrize("window", [None, 1, 50])
def test_planted_passages_in_news_articles(window):
    """Passages of 20 to 200 words of one article in the middle of others."""
    generator = random.Random(9)
    texts = [line.split(" ", 1)[1].strip() for line in ARTICLES.read_text(encoding="utf-8").splitlines()[:100]]
    for length in range(20, 201, 10):
        donor, taker = generator.sample(range(len(texts)), 2)
        words = texts[donor].split(" ")
        begin = generator.randrange(max(1, len(words) - length))
        into = texts[taker].split(" ")
        into[len(into) // 2 : len(into) // 2] = words[begin : begin + length]
        texts[taker] = " ".join(into)
    spans = token_spans(text_buffers(pa.array(texts)))
    documents = [spans.hashes[begin:end].tolist() for begin, end in itertools.pairwise(spans.bounds)]
    config = SubstringDedupConfig(window_tokens=window)
    cut = cut_of_texts(texts, config, 16)
    assert cut == by_definition(documents, 50, keep_first=True)
    assert len(cut) > 1500


def test_boilerplate_is_handed_in_once_a_batch():
    banner = " ".join(f"w{number}" for number in range(80))
    texts = pa.array([f"x{number} {banner}" for number in range(1000)])
    numbers = pa.array(range(1000), pa.int64())
    rows = pa.record_batch({"doc_id": numbers.cast("string"), "row_index": numbers, "number": numbers, "text": texts})
    config = SubstringDedupConfig()
    tokens = tokens_of(rows, config)
    anchors = anchor_rows(tokens, config, "00000")
    shared = anchors.filter(pc.equal(anchors.column("num_places"), 1000))
    assert 1 <= shared.num_rows <= 5
    repeated = np.sort(shared.column("anchor").to_numpy().view(np.uint64)).view(np.int64)
    places = occurrences(candidate_rows(tokens, rows, repeated, config))
    common = places.filter(pc.not_equal(places.column("first_number"), places.column("last_number")))
    assert common.num_rows == 80 - 50 + 1
    assert set(common.column("first_number").to_pylist()) == {0}
    assert set(common.column("last_number").to_pylist()) == {999}
