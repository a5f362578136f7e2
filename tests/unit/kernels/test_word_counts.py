"""Words as counted by the kernel against counting the words that the signals see, text by text."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

from filters.signals import MeasureConfig, measure, segmentation_mode
from pipeline.kernels.word_counts import count_words

TEXTS = ["The cat, the cat \u2014 12 cats.", None, "", "猫は猫 can't", "...", "e\u0301t\u00e9 \U0001f986 3a"]


def test_words_with_a_letter_as_they_are_written() -> None:
    found, num_words = count_words(pa.array(TEXTS), segmentation_mode("unicode"))
    assert found == Counter(
        {"The": 1, "the": 1, "cat": 2, "cats": 1, "猫": 2, "は": 1, "can't": 1, "e\u0301t\u00e9": 1, "3a": 1}
    )
    assert num_words == sum(filter(None, measure(pa.array(TEXTS), MeasureConfig())["num_words"].to_pylist()))


@pytest.mark.parametrize("segmentation", ["unicode", "datatrove"])
def test_slices_and_large_strings(segmentation: str) -> None:
    mode = segmentation_mode(segmentation)
    texts = pa.array(TEXTS)
    parts = [count_words(texts.cast(pa.large_string()).slice(start, 2), mode) for start in (0, 2, 4)]
    whole, num_words = count_words(texts, mode)
    assert sum((counts for counts, _ in parts), Counter()) == whole
    assert sum(number for _, number in parts) == num_words
    assert count_words(pa.array([], pa.string()), mode) == (Counter(), 0)
