"""Stop words by frequency, at the shares that decide and one occurrence beside them."""

from __future__ import annotations

from collections import Counter

import pytest

from filters.stop_words import LEAST_WORDS, STOP_WORDS, frequent_words

NUM_WORDS = 10_000  # .8 % are 80 words, .3 % are 30, .2 % are 20


@pytest.mark.parametrize(
    ("num_frequent", "count", "expected"),
    [
        (LEAST_WORDS, 81, LEAST_WORDS),
        (LEAST_WORDS, 80, LEAST_WORDS + 1),
        (LEAST_WORDS - 1, 81, LEAST_WORDS),
        (LEAST_WORDS - 2, 81, LEAST_WORDS),  # .3 % gives seven, so .2 % counts, and "rare" with it
    ],
)
def test_eight_words_above_the_upper_share_or_all_above_the_lower(num_frequent: int, count: int, expected: int) -> None:
    counts = Counter({f"w{number}": count for number in range(num_frequent)}) | Counter({"common": 31, "rare": 30})
    assert len(frequent_words(counts, NUM_WORDS)) == expected
    assert ("rare" in frequent_words(counts, NUM_WORDS)) == (num_frequent == LEAST_WORDS - 2)


def test_the_most_frequent_come_first_and_equals_by_their_letters() -> None:
    counts = Counter({"b": 40, "a": 40, "c": 90})
    assert frequent_words(counts, NUM_WORDS) == ("c", "a", "b")
    assert frequent_words(Counter(), 0) == ()


def test_ours_are_eight_or_more_a_language() -> None:
    assert all(len(set(words)) >= LEAST_WORDS for words in STOP_WORDS.values())
