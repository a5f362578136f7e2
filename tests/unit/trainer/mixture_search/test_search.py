"""Whole searches: what each training of DoReMi is given, what RegMix makes of its table, RegMix on real trainings."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import t

from pipeline.config import parse
from pipeline.errors import ConfigError
from trainer.config import TrainConfig
from trainer.data import open_shards
from trainer.evaluate import evaluate
from trainer.mixture_search import doremi, tiny_runs
from trainer.mixture_search.doremi import search_doremi
from trainer.mixture_search.found_mixture import measure_groups, t_quantile
from trainer.mixture_search.regmix import jackknife_errors
from trainer.mixture_search.search_config import MixtureSearchConfig
from trainer.mixture_search.tiny_runs import search_regmix
from trainer.scaling.run_table import COLUMNS
from trainer.sweep.queue import SweepOutcome
from trainer.train import train

CONTEXT = 32
NAMES = ("easy", "hard", "noise")


def config(output, shards, **changes) -> MixtureSearchConfig:
    settings = {
        "model": {"num_layers": 1, "hidden_size": 32, "num_heads": 1, "context_tokens": CONTEXT},
        "optimizer": {"learning_rate": 0.02, "warmup_steps": 2},
        "tokens_per_step": 18 * CONTEXT,
        "num_steps": 20,
        "device": "cpu",
        "num_threads": 1,
        "seed": 4,
    }
    document = {"output": str(output), "shards": shards, "train": {**settings, **changes.pop("train", {})}, **changes}
    return parse(document, MixtureSearchConfig, where="test")


def test_shares_of_tokens_become_shares_of_bytes(languages):
    """Bytes per token are 2, 3 and 1: halves of easy and noise are 2/3 and 1/3 of the bytes."""
    groups = measure_groups(languages, open_shards(languages), "lang")
    assert groups.names == NAMES and groups.shares == pytest.approx([1 / 3] * 3)
    assert groups.byte_shares(np.array([0.5, 0, 0.5])) == pytest.approx([2 / 3, 0, 1 / 3])
    with pytest.raises(ConfigError, match="has one domain, 'web'; expected two or more to mix"):
        measure_groups(languages, open_shards(languages), "domain")


def pretend(monkeypatch, answers):
    """Trainings that take no time: proxies end with the weights of ``answers``, in turn."""
    told = []

    def trained(settings, shards, output):
        told.append((output.split("/doremi/")[1], settings))
        found = None if settings.data.doremi is None else dict(zip(NAMES, answers.pop(0), strict=True))
        return SimpleNamespace(group_weights=found)

    monkeypatch.setattr(doremi, "train", trained)
    return told


def test_each_round_has_the_weights_of_the_one_before_as_its_reference(languages, tmp_path, monkeypatch):
    told = pretend(monkeypatch, [[0.2, 0.6, 0.2], [0.2, 0.7, 0.1], [0.2, 0.7005, 0.0995]])
    settings = {"max_rounds": 5, "smoothing": 0.01, "baseline": {"easy": 2, "hard": 1, "noise": 1}}
    found = search_doremi(config(tmp_path, languages, doremi=settings))
    assert [name for name, _ in told] == [f"round-{n}/{kind}-4" for n in (1, 2, 3) for kind in ("reference", "proxy")]
    references = [list(training.data.weights.values()) for _, training in told[::2]]
    assert np.array(references) == pytest.approx(np.array([[0.5, 0.25, 0.25], [0.2, 0.6, 0.2], [0.2, 0.7, 0.1]]))
    for (_, proxy), (reference, _) in zip(told[1::2], told[::2], strict=True):
        assert proxy.data.doremi.reference == f"{tmp_path}/doremi/{reference}"
        assert (proxy.data.doremi.groups, proxy.data.doremi.smoothing) == (NAMES, 0.01)
    assert found.facts == {"rounds": 3, "largest_change_in_last_round": pytest.approx(0.0005)}
    assert [group.weight for group in found.groups] == [0.2, 0.7005, 0.0995] and found.num_runs == 6
    assert all(group.interval is None for group in found.groups)


def test_seeds_give_the_mean_and_students_interval(languages, tmp_path, monkeypatch):
    told = pretend(monkeypatch, [[0.1, 0.5, 0.4], [0.1, 0.7, 0.2], [0.1, 0.6, 0.3]])
    found = search_doremi(config(tmp_path, languages, doremi={"seeds": 3}))
    assert sorted({training.seed for _, training in told}) == [4, 5, 6]
    hard = found.groups[1]
    assert hard.weight == pytest.approx(0.6) and found.groups[0].interval == pytest.approx((0.1, 0.1))
    half = t.ppf(0.975, 2) * 0.1 / np.sqrt(3)
    assert hard.interval == pytest.approx((0.6 - half, 0.6 + half), abs=5e-3)
    assert found.groups[2].interval[0] == pytest.approx(0.3 - half, abs=5e-3)
    assert t_quantile(7) == pytest.approx(t.ppf(0.975, 7), rel=5e-3)


def test_time_that_is_over_ends_a_sitting(languages, tmp_path, monkeypatch):
    told = pretend(monkeypatch, [])
    assert search_doremi(config(tmp_path, languages), max_seconds=-1) is None and not told


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"doremi": {"baseline": {"easy": 1, "other": 1}}},
            "baseline weighs easy, other; expected a weight for each of",
        ),
        ({"train": {"tokens_per_step": 2 * CONTEXT}}, "2 sequences in the first step for 3 groups"),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_it_trains(languages, tmp_path, monkeypatch, changes, message):
    told = pretend(monkeypatch, [])
    with pytest.raises(ConfigError, match=message):
        search_doremi(config(tmp_path, languages, train={"num_steps": 4, **changes.pop("train", {})}, **changes))
    assert not told


def test_trainings_of_a_search_have_no_data_of_their_own(languages, tmp_path):
    with pytest.raises(ConfigError, match=r"\[mixture_search.train\] has a table data; expected none"):
        config(tmp_path, languages, train={"data": {"weights": {"easy": 1.0}}})


def test_a_search_goes_on_where_it_was_left(languages, tmp_path):
    settings = config(tmp_path, languages, train={"num_steps": 6})
    finished = []
    first = search_doremi(settings, on_finished=finished.append)
    assert finished == ["round-1/reference-4", "round-1/proxy-4"]
    curve = tmp_path / "doremi/round-1/proxy-4/metrics.jsonl"
    before = curve.stat().st_mtime_ns
    assert search_doremi(settings) == first and curve.stat().st_mtime_ns == before, "nothing is trained again"
    assert sum(group.weight for group in first.groups) == pytest.approx(1)


def pretend_runs(monkeypatch, loss, failing=()):
    """Instead of trainings, a table of what ``loss`` says of each mixture."""
    plans = []

    def run_sweep(plan, output, *, parallel_runs, max_seconds, on_finished):
        plans.append(plan)
        rows = []
        for number, run in enumerate(plan.runs):
            on_finished(run, "loss nan" if number in failing else None)
            if number in failing:
                continue
            shares = np.array([run.train.data.weights.get(name, 0) for name in NAMES])
            for domain, value in (("overall", 2.0), ("lang:hard", loss(shares))):
                rows.append([run.name, run.num_params, run.num_tokens, run.flops, 4, domain, value, value])
        with open(f"{output}/runs.csv", "w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
        return SweepOutcome(failures={plan.runs[number].name: "loss nan" for number in failing})

    monkeypatch.setattr(tiny_runs, "run_sweep", run_sweep)
    return plans


def test_regression_on_the_table_of_runs(languages, tmp_path, monkeypatch):
    """The best mixture is known; two trainings failed."""
    best = np.array([0.3, 0.6, 0.1])
    plans = pretend_runs(monkeypatch, lambda shares: 1 + ((shares - best) ** 2).sum(), failing=(3, 17))
    (tmp_path / "regmix").mkdir()
    told = []
    settings = config(tmp_path, languages, regmix={"runs": 40, "target": "lang:hard"})
    found = search_regmix(settings, on_finished=told.append)
    assert [group.weight for group in found.groups] == pytest.approx(best, abs=0.06)
    for group, truth in zip(found.groups, best, strict=True):
        assert group.interval[0] <= truth <= group.interval[1] and group.interval[1] - group.interval[0] < 0.4
    assert found.num_runs == 38 and found.facts["failed_runs"] == 2
    assert found.facts["cross_validated_rank_correlation"] > 0.9
    assert found.facts["predicted_bits_per_byte"] < found.facts["predicted_bits_per_byte_now"] - 0.05
    assert told[3] == "mixture-00003: loss nan" and told[4] == "mixture-00004"
    runs = plans[0].runs
    assert len({run.train.data.model_dump_json() for run in runs}) == 40 and {run.train.seed for run in runs} == {4}
    assert runs[0].num_tokens == 20 * 18 * CONTEXT and runs[0].flops == 6 * runs[0].num_params * runs[0].num_tokens


def test_what_a_table_cannot_answer(languages, tmp_path, monkeypatch):
    pretend_runs(monkeypatch, lambda shares: 1.0)
    (tmp_path / "regmix").mkdir()
    with pytest.raises(ConfigError, match=r"target = 'lang:lit_Latn' is not in .* expected one of lang:hard, overall"):
        search_regmix(config(tmp_path, languages, regmix={"runs": 16, "target": "lang:lit_Latn"}))
    pretend_runs(monkeypatch, lambda shares: 1.0, failing=range(5))
    with pytest.raises(ConfigError, match=r"11 of 16 trainings .* \(loss nan\); expected 16 or more"):
        search_regmix(config(tmp_path, languages, regmix={"runs": 16, "target": "lang:hard"}))


def test_jackknife_of_a_mean_is_the_textbooks():
    """Leaving one of n out in turn, the error of the mean is s / sqrt(n)."""
    values = np.array([1.0, 4.0, 2.0, 9.0])
    means = np.array([[np.delete(values, number).mean()] for number in range(4)])
    assert jackknife_errors(means) == pytest.approx([values.std(ddof=1) / 2])


@pytest.mark.slow
def test_regmix_finds_that_weight_on_the_target_lowers_its_loss(languages, tmp_path):
    settings = config(tmp_path / "search", languages, regmix={"runs": 24, "target": "lang:hard"})
    assert search_regmix(settings, max_seconds=-1) is None, "no time, no training"
    found = search_regmix(settings)
    weights = {group.group: group.weight for group in found.groups}
    assert weights["hard"] > 0.6 > 1 / 3 > weights["noise"]
    assert found.groups[1].interval[0] > 1 / 3
    assert found.facts["cross_validated_rank_correlation"] > 0.8
    assert search_regmix(settings) == found

    def hard_bits(name, mixture):
        data = {"weights": dict(zip(NAMES, mixture, strict=True))}
        training = TrainConfig.model_validate({**settings.train.model_dump(), "seed": 9, "data": data})
        train(training, languages, str(tmp_path / name))
        return evaluate(training, languages, str(tmp_path / name)).per_language["hard"].bits_per_byte

    assert hard_bits("found", weights.values()) < 0.9 * hard_bits("now", [1, 1, 1])
