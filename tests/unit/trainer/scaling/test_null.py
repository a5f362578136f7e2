"""A variant against itself: hardly ever decided, and always where it should be."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError
from trainer.scaling.null import null_comparisons


def write(path: Path, values: dict[float, list[float]]) -> str:
    lines = ["variant,flops,seed,domain,bits_per_byte"]
    for flops, of_seeds in values.items():
        lines += [f"kept,{flops},{seed},overall,{value}" for seed, value in enumerate(of_seeds)]
        lines += [f"other,{flops},0,overall,9", f"kept,{flops},0,web,5"]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_noise_is_not_decided(tmp_path):
    """Over many sets of seeds the rate is that of the level, 5 %; of one set it varies about it."""
    rates = []
    for number in range(30):
        rng = np.random.default_rng(number)
        path = write(tmp_path / "runs.csv", {1e12: list(2.5 * (1 + rng.normal(0, 3e-4, 12)))})
        (found,) = null_comparisons(path, "kept", resamples=20, seed=number)
        assert (found.num_seeds, found.resamples, found.flops) == (12, 20, 1e12)
        assert 1e-4 < found.seed_deviation < 6e-4
        rates.append(found.rate)
    assert 0.01 < np.mean(rates) < 0.09


def test_sizes_of_few_seeds_are_left_out(tmp_path):
    path = write(tmp_path / "runs.csv", {1e12: [2.5, 2.4, 2.6, 2.55], 2e12: [2.0, 2.1, 2.2]})
    assert [row.flops for row in null_comparisons(path, "kept", resamples=5)] == [1e12]
    path = write(tmp_path / "few.csv", {2e12: [2.0, 2.1, 2.2]})
    with pytest.raises(ConfigError, match=r"has at most 3 seeds a size in .*; expected 4 or more"):
        null_comparisons(path, "kept")
