"""The index against a search of every n-gram's letters, word by word, in plain Python."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.folded_letters import fold
from pipeline.ngram_index import NgramIndex, build_index

_SENTENCE = "heron stands still at the edge of a pond and waits for fish that swim by in clear water 1 2 3"
WORDS = _SENTENCE.split()


def index_of(passages: list[str | None], ngram_words: int = 8, min_words: int = 5) -> NgramIndex:
    return build_index(pa.array(passages, pa.string()), ngram_words=ngram_words, min_words=min_words)


def found(index: NgramIndex, text: str) -> set[tuple[int, int, int]]:
    """(passage, first byte, end) of each place."""
    hits = index.find(pa.array([text]))
    return {
        (int(owner), int(start), int(end))
        for ngram, start, end in zip(hits.ngrams, hits.starts, hits.ends, strict=True)
        for owner in index.owners[index.owner_bounds[ngram] : index.owner_bounds[ngram + 1]]
    }


def brute_force(passages: list[str], text: str, ngram_words: int, min_words: int) -> set[tuple[int, int, int]]:
    """As ``found``, for ASCII: letters of each n-gram looked for in the letters of the text."""
    letters = [(character.lower(), i) for i, character in enumerate(text) if fold(character)]
    flat = "".join(letter for letter, _ in letters)
    places = set()
    for number, passage in enumerate(passages):
        words = re.findall(r"[a-z0-9]+", passage.lower())
        width = min(ngram_words, len(words))
        if len(words) < min_words:
            continue
        for i in range(len(words) - width + 1):
            wanted = "".join(words[i : i + width])
            if len(wanted) < 8:
                continue
            at_edges = len(words) < ngram_words or len(wanted) < 2 * width
            for match in re.finditer(f"(?={wanted})", flat):
                start, end = letters[match.start()][1], letters[match.start() + len(wanted) - 1][1] + 1
                cuts_word = text[max(0, start - 1) : start + 1].isalnum() and start > 0
                cuts_word = cuts_word or (end < len(text) and text[end - 1 : end + 1].isalnum())
                if not (at_edges and cuts_word):
                    places.add((number, start, end))
    return places


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(8, 13), st.integers(3, 8))
def test_the_index_finds_what_a_search_for_every_ngram_finds(seed: int, ngram_words: int, min_words: int):
    generator = random.Random(seed)
    passages = [" ".join(generator.choices(WORDS, k=generator.randrange(1, 30))) for _ in range(10)]
    pieces = [re.sub(" ", lambda _: generator.choice([" ", ", ", "-", "", "\n"]), piece) for piece in passages]
    pieces += [" ".join(piece.split()[2:-1]) for piece in passages]
    fillers = [" ".join(generator.choices(WORDS, k=3)) for _ in pieces]
    text = "".join(
        f"{filler}{generator.choice(['', ' '])}{piece}" for filler, piece in zip(fillers, pieces, strict=True)
    )
    index = index_of(passages, ngram_words, min_words)
    assert found(index, text) == brute_force(passages, text, ngram_words, min_words)
    assert index.num_words.tolist() == [len(passage.split()) for passage in passages]


def test_a_passage_is_found_in_every_row_and_nowhere_else():
    passage = " ".join(WORDS[:10])
    index = index_of([passage])
    hits = index.find(pa.array([None, "", passage, "x" * 50, f"a {passage} b {passage}"]))
    assert hits.rows.tolist() == [2] * 3 + [4] * 6
    assert index.num_ngrams == 3


def test_passages_share_ngrams_and_each_counts_its_own_once():
    first = " ".join(WORDS[:10])
    index = index_of([first, f"{first} more", f"{first}. {first}", None, "too short", ""])
    assert index.num_ngrams_of.tolist() == [3, 4, 10, 0, 0, 0]
    assert {owner for owner, _, _ in found(index, first)} == {0, 1, 2}


@pytest.mark.parametrize(
    ("passage", "text", "is_found"),
    [
        ("Who was the king of Spain?", "He asked: who was the King of Spain", True),
        ("Who was the king of Spain?", "who was the king of spainards", False),  # inside a word
        ("Who was the king of Spain?", "who was the king", False),
        ("Who was he?", "Who was he?", False),  # fewer words than min_words
        ("a b c d e", "a b c d e", False),  # fewer than 8 letters
        ("0 1 2 3 4 5 6 7 8 9", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9", True),
        ("0 1 2 3 4 5 6 7 8 9", "id 0123456789", False),
        ("黑豹队的防守只丢了分", "今天黑豹队的防守，只丢了分。", True),
        ("黑豹队的防守只丢了分", "今天黑豹队的防守只丢了三分", True),  # 8 of 10 characters
        ("黑豹队的防守", "黑豹队的防守", False),  # 6 letters
    ],
)
def test_short_passages_count_as_a_whole(passage: str, text: str, is_found: bool):
    assert bool(found(index_of([passage]), text)) == is_found


def test_ranges_are_those_of_whole_characters_with_their_marks():
    passage = "Ünder thë brïdge über dem Fluß stånds ä herön"
    text = f"¿{passage.upper()}\u0301?"
    places = found(index_of([passage]), text)
    cut = {text.encode()[start:end].decode() for _, start, end in places}
    assert any(piece.startswith("ÜNDER THË") for piece in cut)
    assert any(piece.endswith("HERÖN\u0301") for piece in cut)


def test_more_hits_than_there_is_room_for_at_first():
    passage = " ".join(WORDS[:12])
    index = index_of([passage])
    assert len(index.find(pa.array([f"{passage} "] * 1000)).rows) == 5000


def test_an_index_of_nothing_finds_nothing():
    assert len(index_of([]).find(pa.array(["heron " * 50])).rows) == 0
    assert index_of(["short"]).num_ngrams == 0


def test_saved_and_loaded_it_is_the_same(tmp_path: Path):
    passages = [" ".join(random.Random(i).choices(WORDS, k=20)) for i in range(50)]
    index = index_of(passages)
    entries = index.save(str(tmp_path))
    loaded = NgramIndex.load(str(tmp_path))
    text = pa.array([" ".join(passages)])
    for ours, theirs in zip(index.find(text), loaded.find(text), strict=True):
        assert ours.tolist() == theirs.tolist()
    assert np.array_equal(loaded.owners, index.owners)
    assert {entry.path for entry in entries} == {path.name for path in tmp_path.iterdir()}
