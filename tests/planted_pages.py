"""Pages with planted near-copies whose Jaccard similarity is known, for what is tested about near-duplicates.

Pages come in families. The first of a family is made of random words; each other one keeps a run of words at the
beginning or the end of an earlier member and goes on with words of its own. With n shingles a page, of which m are
kept, the similarity of the two is m / (2n − m), so any can be aimed at; what is reported is counted from the sets.
Pages of different families share no shingle: words are drawn from so many that five in a row do not come twice.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

NUM_WORDS = 120
MAX_FAMILY = 6
_VOCABULARY = 1 << 20


@dataclass(frozen=True)
class PlantedPages:
    """Pages in no particular order.

    Args:
        doc_ids: 32 hex digits each, distinct, in an order that has nothing to do with the families.
        texts: lower-case ASCII words, one space between two.
        pairs: (i, j, jaccard) with i < j, for all pairs that share a shingle: all pairs that are not listed have
            similarity 0.
    """

    doc_ids: list[str]
    texts: list[str]
    pairs: list[tuple[int, int, float]]


def make_pages(num_pages: int, seed: int, *, shingle_words: int = 5, lowest: float = 0.5) -> PlantedPages:
    """``num_pages`` pages in families of 1 to 6, with planted similarities spread evenly over ``lowest`` to 1.

    Args:
        num_pages: how many.
        seed: the same pages come from the same seed on any machine.
        shingle_words: words in a shingle.
        lowest: the least similarity that is aimed at; pages of one family may still be less alike, by way of a third.
    """
    generator = np.random.default_rng(seed)
    pages: list[list[int]] = []
    families: list[range] = []
    while len(pages) < num_pages:
        first = len(pages)
        for _ in range(min(int(generator.integers(1, MAX_FAMILY + 1)), num_pages - first)):
            fresh = generator.integers(0, _VOCABULARY, NUM_WORDS).tolist()
            earlier = pages[int(generator.integers(first, len(pages)))] if len(pages) > first else None
            wanted = float(generator.uniform(lowest, 1.0))
            at_start = bool(generator.integers(0, 2))
            pages.append(fresh if earlier is None else _copy(earlier, fresh, wanted, at_start, shingle_words))
        families.append(range(first, len(pages)))
    order = generator.permutation(num_pages).tolist()
    place = {page: number for number, page in enumerate(order)}
    shingles = [{tuple(page[i : i + shingle_words]) for i in range(NUM_WORDS - shingle_words + 1)} for page in pages]
    pairs = []
    for left, right in (pair for family in families for pair in itertools.combinations(family, 2)):
        shared = len(shingles[left] & shingles[right])
        if shared:
            i, j = sorted((place[left], place[right]))
            pairs.append((i, j, shared / len(shingles[left] | shingles[right])))
    doc_ids = [generator.bytes(16).hex() for _ in order]
    return PlantedPages(doc_ids, [" ".join(f"w{word:x}" for word in pages[page]) for page in order], sorted(pairs))


def _copy(earlier: list[int], fresh: list[int], wanted: float, at_start: bool, shingle_words: int) -> list[int]:
    """``earlier`` with words at one end replaced by those of ``fresh``, to the similarity ``wanted``."""
    num_shingles = NUM_WORDS - shingle_words + 1
    num_kept = round(2 * num_shingles * wanted / (1 + wanted)) + shingle_words - 1
    return earlier[:num_kept] + fresh[num_kept:] if at_start else fresh[: NUM_WORDS - num_kept] + earlier[-num_kept:]
