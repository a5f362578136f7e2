"""Bands: published ones against the chances their papers and FACTS give, chosen ones against their target."""

from __future__ import annotations

import pytest
from datasketch import MinHashLSH

from pipeline.lsh_banding import FALSE_POSITIVE_WEIGHTS, PRESETS, SIMILARITIES, Banding, banding_for


@pytest.mark.parametrize(
    ("name", "num_perm", "probabilities"),
    [  # at .70, .75, .80, .85
        ("fineweb", 112, (0.565, 0.772, 0.924, 0.988)),
        ("refinedweb", 9000, (0.302, 0.761, 0.995, 1.0)),
        ("dclm", 1395, (0.358, 0.714, 0.964, 1.0)),
    ],
)
def test_published_curves(name: str, num_perm: int, probabilities: tuple[float, ...]) -> None:
    preset = PRESETS[name]
    found = [round(preset.banding.catch_probability(s), 3) for s in (0.7, 0.75, 0.8, 0.85)]
    assert found == list(probabilities)
    assert preset.num_perm == num_perm


@pytest.mark.parametrize(("name", "threshold"), [("slimpajama", 0.8), ("bigcode", 0.7)])
def test_presets_that_are_datasketchs_choice(name: str, threshold: float) -> None:
    preset = PRESETS[name]
    index = MinHashLSH(threshold=threshold, num_perm=preset.num_perm)
    assert preset.banding == Banding(index.b, index.r)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_signature_values_for_its_bands(name: str) -> None:
    preset = PRESETS[name]
    assert preset.banding.num_bands * preset.banding.rows_per_band <= preset.num_perm


@pytest.mark.parametrize(
    ("threshold", "recall", "num_perm"), [(0.8, 0.95, 112), (0.8, 0.5, 112), (0.7, 0.99, 128), (0.9, 0.999, 64)]
)
def test_a_target_is_reached_and_not_overshot(threshold: float, recall: float, num_perm: int) -> None:
    banding = banding_for(threshold, recall, num_perm)
    assert banding.num_bands * banding.rows_per_band <= num_perm
    assert banding.catch_probability(threshold) >= recall
    for weight in FALSE_POSITIVE_WEIGHTS:  # every weight before it falls short
        index = MinHashLSH(threshold=threshold, num_perm=num_perm, weights=(weight, 1 - weight))
        if Banding(index.b, index.r) == banding:
            break
        assert Banding(index.b, index.r).catch_probability(threshold) < recall


def test_without_a_recall_datasketchs_even_weights_decide() -> None:
    index = MinHashLSH(threshold=0.5, num_perm=128)
    assert banding_for(0.5, None, 128) == Banding(index.b, index.r)


def test_the_most_that_signatures_can_catch_is_taken_where_it_is_needed() -> None:
    assert banding_for(0.1, 0.8, 16) == Banding(16, 1)


def test_an_impossible_target_is_refused_with_a_mend() -> None:
    with pytest.raises(ValueError, match=r"recall=0\.99 at threshold=0\.1 takes at least 44 permutations; num_perm=16"):
        banding_for(0.1, 0.99, 16)
    assert banding_for(0.1, 0.99, 44).catch_probability(0.1) >= 0.99


def test_the_curve_is_described() -> None:
    described = Banding(14, 8).describe()
    assert described["num_bands"] == 14
    assert described["rows_per_band"] == 8
    curve = described["catch_probability"]
    assert isinstance(curve, dict)
    assert len(curve) == len(SIMILARITIES)
    assert curve["0.80"] == 0.9235
