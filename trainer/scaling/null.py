"""How often data that is the same is called different: the decision's own error, on real runs.

Runs of one variant that differ in their seed alone are dealt into two halves at random, the halves are paired and
compared as two variants would be. Whatever is decided is decided wrongly. Pairs of other seeds share neither initial
weights nor the order of the data, so they are noisier than the pairs of a real comparison; the rate does not depend on
the size of the noise, since a decision measures it.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from pipeline.errors import ConfigError
from trainer.scaling.decision import decide
from trainer.scaling.run_table import PAIRING, positive, read_rows

_LEAST_SEEDS = 4


class NullAtSize(BaseModel):
    """Comparisons of a variant with itself at one size."""

    model_config = ConfigDict(frozen=True)

    flops: float
    num_seeds: int
    resamples: int
    false_decisions: int
    seed_deviation: float  # standard deviation of the seeds' bits per byte, as a share of their mean

    @property
    def rate(self) -> float:
        """Share of the comparisons that decided."""
        return self.false_decisions / self.resamples


def null_comparisons(
    path: str, variant: str, *, domain: str = "overall", resamples: int = 200, seed: int = 0
) -> list[NullAtSize]:
    """Compare a variant of a table of runs with itself, at each size with four seeds or more.

    Args:
        path: as of ``compare_variants``.
        variant: whose runs are dealt.
        domain: of the bits per byte.
        resamples: ways of dealing at each size.
        seed: of the dealing.

    Raises:
        ConfigError: if the file is not such a table, or no size has four seeds.
    """
    by_size: dict[float, list[float]] = {}
    for line, row in enumerate(read_rows(path, PAIRING), start=2):
        if row["variant"] == variant and row["domain"] == domain:
            flops = positive(row["flops"], "flops", path, line)
            by_size.setdefault(flops, []).append(positive(row["bits_per_byte"], "bits_per_byte", path, line))
    found = [
        _at_size(flops, np.array(values), resamples, seed)
        for flops, values in sorted(by_size.items())
        if len(values) >= _LEAST_SEEDS
    ]
    if not found:
        most = max((len(values) for values in by_size.values()), default=0)
        raise ConfigError(
            f"variant {variant!r} has at most {most} seeds a size in {path} (domain {domain}); expected "
            f"{_LEAST_SEEDS} or more to deal into two halves; train more seeds"
        )
    return found


def _at_size(flops: float, values: np.ndarray, resamples: int, seed: int) -> NullAtSize:
    rng = np.random.default_rng(seed)
    num_pairs = len(values) // 2
    decided = 0
    for _ in range(resamples):
        dealt = values[rng.permutation(len(values))]
        a, b = dealt[:num_pairs], dealt[num_pairs : 2 * num_pairs]
        (difference,) = decide("null", np.full(num_pairs, flops), a, b).sizes
        decided += difference.verdict != "not decided"
    return NullAtSize(
        flops=flops,
        num_seeds=len(values),
        resamples=resamples,
        false_decisions=decided,
        seed_deviation=float(values.std(ddof=1) / values.mean()),
    )
