"""Sweeps from the command line: the plan on disk, the page made from a table of runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from jobs import sweep
from jobs.cli import main
from jobs.sweep_report import write_sweep_report
from pipeline.config import Config, load_toml
from pipeline.errors import ConfigError
from stages.sample_mixture import SampleMixtureConfig
from trainer.scaling.run_table import COLUMNS
from trainer.scaling.surface import ScalingFit
from trainer.sweep.plan import SweepPlan
from trainer.sweep.sweep_config import SweepConfig

SURFACE = ScalingFit(
    method="variable_projection", num_points=9, objective=0, A=80, B=300, E=1.7, alpha=0.34, beta=0.37, a=0.37 / 0.71
)


class MixtureFile(Config):
    mixture: SampleMixtureConfig


def config(output: Path) -> SweepConfig:
    variants = [{"name": "kept", "shards": "a"}, {"name": "rejected", "shards": "b"}]
    return SweepConfig(output=str(output), budget_flops=1e12, variant=variants)


def write_runs(output: Path, *, sizes: int = 4, seeds: int = 2) -> None:
    rng = np.random.default_rng(0)
    lines = [",".join(COLUMNS)]
    for n in np.geomspace(1e5, 3e6, sizes):
        for ratio in (5, 20, 80):
            for seed in range(seeds):
                for variant, worse in (("kept", 1.0), ("rejected", 1.03)):
                    loss = worse * SURFACE.loss(n, ratio * n) * (1 + rng.normal(0, 5e-4))
                    flops = round(6 * ratio * n * n)
                    values = (variant, round(n), round(ratio * n), flops, seed)
                    lines += [",".join(map(str, (*values, d, loss / 2.8, loss))) for d in ("overall", "<web>")]
    (output / "runs.csv").write_text("\n".join(lines) + "\n")


def test_the_page_shows_curves_law_and_decision(tmp_path: Path) -> None:
    write_runs(tmp_path)
    page = Path(write_sweep_report(config(tmp_path), target_flops=1e18)).read_text()
    for name in ("plot-curves", "plot-isoflop", "plot-fit", "plot-decision-0"):
        assert f'"{name}"' in page
    assert "kept against rejected" in page and "kept is better" in page and "1.00e+18 (target)" in page
    assert "<web>" not in page and "&lt;web&gt;" in page
    again = Path(write_sweep_report(config(tmp_path), target_flops=1e18)).read_text()
    assert page == again


def test_the_page_of_a_sweep_too_small_to_fit_says_so(tmp_path: Path) -> None:
    write_runs(tmp_path, sizes=1, seeds=1)
    page = Path(write_sweep_report(config(tmp_path))).read_text()
    assert "3 points for 5 parameters" in page and "one pair" not in page


def test_a_sweep_without_runs_has_no_page(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(ConfigError, match="has no run yet; expected one or more; run `chaffinch scaling run` first"):
        write_sweep_report(config(tmp_path))


def test_a_plan_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(sweep, "make_plan", lambda config: made.append(1) or SweepPlan(runs=(), left_out=("x",)))
    first = sweep.plan_sweep(config(tmp_path))
    assert sweep.plan_sweep(config(tmp_path)) == first and len(made) == 1
    changed = config(tmp_path).model_copy(update={"seeds": 3})
    with pytest.raises(ConfigError, match=r"plan.json was made from another \[sweep\]; .*scaling plan --again"):
        sweep.plan_sweep(changed)
    sweep.plan_sweep(changed, again=True)
    assert sweep.plan_sweep(changed) == first and len(made) == 2


def test_a_sweeps_faults_are_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text('[sweep]\noutput = "x"\nbudget_flops = 1e9\n[[sweep.variant]]\nname = "a"\nshards = "nowhere"\n')
    result = CliRunner().invoke(main, ["scaling", "plan", str(file)])
    assert result.exit_code == 1 and "nowhere" in result.stderr and result.stderr.count("\n") == 1


def test_decide_prints_each_domain_or_json(tmp_path: Path) -> None:
    write_runs(tmp_path)
    arguments = ["scaling", "decide", "--runs", str(tmp_path / "runs.csv"), "--a", "kept", "--b", "rejected"]
    text = CliRunner().invoke(main, [*arguments, "--target-flops", "1e18"])
    assert text.exit_code == 0 and "kept is better" in text.stdout and "(target)" in text.stdout
    found = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    assert [decision["domain"] for decision in found] == ["overall", "<web>"]


@pytest.mark.parametrize("method", ["isoflop", "kaplan", "broken_power_law", "variable_projection"])
def test_every_method_fits_a_table_and_names_its_target(tmp_path: Path, method: str) -> None:
    budgets = np.geomspace(1e16, 1e19, 12)
    lines = ["n,d,loss"]
    for budget in budgets:
        for step in np.linspace(-1, 1, 7):
            n = SURFACE.optimum(budget)[0] * np.exp(step)
            lines.append(f"{n},{budget / 6 / n},{SURFACE.loss(n, budget / 6 / n)}")
    path = tmp_path / "points.csv"
    path.write_text("\n".join(lines) + "\n")
    columns = ["--points", str(path), "--n", "n", "--d", "d", "--loss", "loss", "--target-flops", "1e20", "--json"]
    result = CliRunner().invoke(main, ["scaling", "fit", *columns, "--method", method])
    assert result.exit_code == 0, result.stderr
    target = json.loads(result.stdout)["target"]
    assert target["flops"] == 1e20
    best_n, best_d = SURFACE.optimum(1e20)
    if method in ("isoflop", "variable_projection"):
        assert target["n"] == pytest.approx(best_n, rel=0.1)
    if method in ("broken_power_law", "variable_projection"):
        assert target["loss"] == pytest.approx(SURFACE.loss(best_n, best_d), rel=0.01)


def test_weights_found_by_regmix_are_a_table_that_run_reads(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([2, 1, 1], 40)
    losses = 3 - 0.5 * np.sqrt(shares[:, 2]) + 0.2 * shares[:, 0]
    (tmp_path / "m.csv").write_text("index,web,books,code\n" + "".join(
        f"{i}," + ",".join(f"{value:.4f}" for value in row) + "\n" for i, row in enumerate(shares)
    ))  # fmt: skip
    (tmp_path / "l.csv").write_text("index,loss\n" + "".join(f"{i},{value}\n" for i, value in enumerate(losses)))
    output = tmp_path / "weights.toml"
    result = CliRunner().invoke(
        main,
        ["scaling", "regmix", "--mixtures", str(tmp_path / "m.csv"), "--losses", str(tmp_path / "l.csv"), "--target",
         "loss", "--output", str(output), "--json"],
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["weights"]["code"] > 0.3 > shares[:, 2].mean() and found["cross_validated_rank_correlation"] > 0.9
    loaded = load_toml(output, MixtureFile).mixture
    assert loaded.by == "domain" and loaded.weights == pytest.approx(found["weights"], abs=1e-6)
