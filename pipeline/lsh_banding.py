"""How many bands of how many signature values: what of each similarity becomes a candidate for a near copy.

Two documents of Jaccard similarity s share at least one band with probability 1 − (1 − s^rows)^bands, an S-shaped
curve: rows push it to the right and make it steep, bands push it to the left. Three ways to choose:

* a published pair (``PRESETS``);
* a *target*: the similarity from which pairs are to be caught and the share of them that is to be caught there.
  datasketch's optimiser weighs the area of false positives (below the threshold) against that of false negatives
  (above it); its weights are moved from even ones towards false negatives until the curve reaches the wanted share at
  the threshold, and no further, since every step beyond makes more candidates of pairs that are no copies;
* numbers of one's own.

Source: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4; ``datasketch.MinHashLSH``.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

SIMILARITIES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""Where the curve is written down for people."""

FALSE_POSITIVE_WEIGHTS = tuple(eighths / 2**power for power in range(4, 28) for eighths in (8, 7, 6, 5))
"""From one half down, in steps of a tenth or so; binary fractions, since datasketch wants both weights to sum to 1."""


@dataclass(frozen=True)
class Banding:
    """``num_bands`` bands of ``rows_per_band`` signature values."""

    num_bands: int
    rows_per_band: int

    def catch_probability(self, similarity: float) -> float:
        """Chance that a pair of this Jaccard similarity (0 to 1) shares a band."""
        return 1.0 - (1.0 - similarity**self.rows_per_band) ** self.num_bands

    def describe(self) -> dict[str, object]:
        """For manifests and reports: the numbers, and the curve at ``SIMILARITIES``."""
        curve = {f"{similarity:.2f}": round(self.catch_probability(similarity), 4) for similarity in SIMILARITIES}
        return {"num_bands": self.num_bands, "rows_per_band": self.rows_per_band, "catch_probability": curve}


@dataclass(frozen=True)
class Preset:
    """A published choice of bands, and of what a shingle is."""

    num_perm: int
    banding: Banding
    shingle_size: int
    shingle_unit: Literal["words", "characters"]
    source: str


PRESETS = {
    "fineweb": Preset(112, Banding(14, 8), 5, "words", "Penedo et al. 2024, section 3.4"),
    "refinedweb": Preset(9000, Banding(450, 20), 5, "words", "Penedo et al. 2023: 9,000 hashes"),
    "dclm": Preset(1395, Banding(93, 15), 5, "words", "Li et al. 2024: 1,395 hashes"),
    "slimpajama": Preset(
        128, Banding(9, 13), 13, "characters", "Soboleva et al. 2023, and its code: datasketch's choice for .8 of 128"
    ),
    "bigcode": Preset(
        256, Banding(25, 10), 5, "words", "Kocetkov et al. 2022, and its Spark job: datasketch's choice for .7 of 256"
    ),
}
"""What others ran. Their ways to words differ (GPT-2 tokens, code identifiers); the curves are theirs exactly."""

PresetName = Literal["fineweb", "refinedweb", "dclm", "slimpajama", "bigcode"]


@lru_cache(maxsize=64)
def banding_for(threshold: float, recall: float | None, num_perm: int) -> Banding:
    """The banding of a target.

    Args:
        threshold: Jaccard similarity, in (0, 1).
        recall: share of the pairs at ``threshold`` that must share a band, in (0, 1); None for even weights.
        num_perm: signature values there are; some may be left over.

    Returns:
        Bands and rows whose product is at most ``num_perm``.

    Raises:
        ValueError: if not even ``num_perm`` bands of one value reach ``recall``.
    """
    needed = 1 if recall is None else math.ceil(math.log1p(-recall) / math.log1p(-threshold))
    if needed > num_perm:
        raise ValueError(
            f"recall={recall} at threshold={threshold} takes at least {needed} permutations; num_perm={num_perm}; "
            f"raise num_perm to {needed} or more, or lower recall"
        )
    if recall is None:
        return _optimal(threshold, num_perm, FALSE_POSITIVE_WEIGHTS[0])

    def reaches(weight: float) -> bool:
        return _optimal(threshold, num_perm, weight).catch_probability(threshold) >= recall

    first = bisect_left(FALSE_POSITIVE_WEIGHTS, True, key=reaches)
    if first == len(FALSE_POSITIVE_WEIGHTS):
        return Banding(num_perm, 1)  # what catches most, and enough, as the check above says
    return _optimal(threshold, num_perm, FALSE_POSITIVE_WEIGHTS[first])


@lru_cache(maxsize=256)
def _optimal(threshold: float, num_perm: int, false_positive_weight: float) -> Banding:
    """datasketch's choice."""
    from datasketch import MinHashLSH  # imports scipy: only a run with a target pays for it

    weights = (false_positive_weight, 1 - false_positive_weight)
    index = MinHashLSH(threshold=threshold, num_perm=num_perm, weights=weights)
    return Banding(index.b, index.r)
