"""From n-grams found in a document to the evaluation passages that own them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.ngram_index import NgramIndex


class PassageFound(NamedTuple):
    """A passage of which a document has n-grams.

    Args:
        number: row of ``PASSAGE``.
        num_found, num_ngrams: distinct n-grams of it in the document, and of it.
        starts, ends: UTF-8 byte ranges where they stand, sorted, those that overlap made one.
    """

    number: int
    num_found: int
    num_ngrams: int
    starts: list[int]
    ends: list[int]

    @property
    def share(self) -> float:
        """Share of its n-grams that the document has."""
        return self.num_found / self.num_ngrams


def passages_in(
    ngrams: np.ndarray, starts: np.ndarray, ends: np.ndarray, index: NgramIndex, min_share: float | None
) -> list[PassageFound]:
    """The passages that own the n-grams found in one document, by number; those with less than ``min_share`` left out.

    Args:
        ngrams, starts, ends: of each hit, shape (num_hits,).
    """
    num_owners = index.owner_bounds[ngrams + 1] - index.owner_bounds[ngrams]
    hit = np.repeat(np.arange(len(ngrams)), num_owners)
    place = np.arange(len(hit)) - np.repeat(np.cumsum(num_owners) - num_owners, num_owners)
    owner = index.owners[index.owner_bounds[ngrams[hit]] + place]
    order = np.lexsort((ends[hit], starts[hit], owner))
    owner, hit = owner[order], hit[order]
    found = []
    for number, of_passage in zip(*_groups(owner, hit), strict=True):
        passage = PassageFound(
            number=number,
            num_found=len(np.unique(ngrams[of_passage])),
            num_ngrams=int(index.num_ngrams_of[number]),
            **_joined(starts[of_passage], ends[of_passage]),
        )
        if min_share is None or passage.share >= min_share:
            found.append(passage)
    return found


def _groups(keys: np.ndarray, values: np.ndarray) -> tuple[list[int], list[np.ndarray]]:
    """The distinct ``keys`` (sorted), and the values of each."""
    distinct, firsts = np.unique(keys, return_index=True)
    return distinct.tolist(), np.split(values, firsts[1:])[: len(distinct)]


def _joined(starts: np.ndarray, ends: np.ndarray) -> dict[str, list[int]]:
    """Ranges sorted by their starts, those that overlap or touch made one."""
    reached = np.maximum.accumulate(ends)
    begins = np.flatnonzero(np.append(True, starts[1:] > reached[:-1]))
    return {"starts": starts[begins].tolist(), "ends": reached[np.append(begins[1:], len(ends)) - 1].tolist()}
