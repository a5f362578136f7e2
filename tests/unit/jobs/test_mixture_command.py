"""``chaffinch scaling mixture``: what it prints and writes, and that run, what-if and training read it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from jobs.cli import main
from jobs.config import RunConfig
from jobs.run_folder import RunFolder
from jobs.what_if_changes import changed_config, read_changes
from pipeline.config import parse
from pipeline.errors import ConfigError
from trainer.config import TrainConfig
from trainer.mixture_search.found_mixture import Groups, found_mixture

GROUPS = Groups("lang", ("eng_Latn", "khm_Khmr"), np.array([300.0, 100.0]), np.array([1200.0, 200.0]))
INPUT = {"input": [{"name": "a", "paths": ["a.jsonl"], "format": "jsonl"}]}


@pytest.fixture
def search(tmp_path, monkeypatch):
    """A config file, and the two searches replaced: they end with given weights, or with None."""
    file = tmp_path / "search.toml"
    file.write_text(
        f'[mixture_search]\noutput = "{tmp_path / "found"}"\nshards = "s"\n[mixture_search.train]\nnum_steps = 30\n'
    )
    asked = []

    def pretend(method, widths):
        def found(settings, *, max_seconds, on_finished):
            asked.append((method, settings.output, max_seconds))
            on_finished("one training")
            if max_seconds is not None:
                return None
            weights = np.array([0.4, 0.6])
            return found_mixture(method, GROUPS, weights, widths, num_runs=2, facts={"rounds": 1.0})

        return found

    monkeypatch.setattr("trainer.mixture_search.doremi.search_doremi", pretend("doremi", None))
    monkeypatch.setattr("trainer.mixture_search.tiny_runs.search_regmix", pretend("regmix", np.array([0.1, 0.5])))
    return str(file), asked


def test_weights_are_printed_and_written(search, tmp_path):
    """Bytes per token are 4 and 2: of the bytes 1.6 of 2.8 and 1.2 of 2.8."""
    file, asked = search
    result = CliRunner().invoke(main, ["scaling", "mixture", file, "--method", "regmix"])
    assert result.exit_code == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[1] == ["eng_Latn", "0.7500", "0.4000", "0.3000", "to", "0.5000", "0.5714"]
    assert lines[2] == ["khm_Khmr", "0.2500", "0.6000", "0.1000", "to", "1.0000", "0.4286"]
    path = tmp_path / "found" / "regmix" / "weights.toml"
    assert lines[-1] == ["2", "trainings;", str(path)] and "one training" in result.stderr
    mixture = parse({"run": {"output": "x"}, **INPUT, "mixture": {"weights": str(path)}}, RunConfig, where="x").mixture
    assert mixture.weights == pytest.approx({"eng_Latn": 1.6 / 2.8, "khm_Khmr": 1.2 / 2.8})
    training = parse({"num_steps": 100, "data": {"weights": str(path)}}, TrainConfig, where="x")
    assert training.data.weights == pytest.approx({"eng_Latn": 0.4, "khm_Khmr": 0.6})
    assert asked == [("regmix", str(tmp_path / "found"), None)]


def test_what_if_asks_about_weights_of_a_file(search, tmp_path):
    file, _ = search
    CliRunner().invoke(main, ["scaling", "mixture", file, "--method", "doremi"])
    path = tmp_path / "found" / "doremi" / "weights.toml"
    made = parse({"run": {"output": "x"}, **INPUT}, RunConfig, where="x").model_dump(mode="json")
    (tmp_path / "run.json").write_text(json.dumps({"config": made}))
    changes = read_changes([f'mixture.weights="{path}"', "mixture.budget_fraction=0.5"], None)
    mixture = changed_config(RunFolder(str(tmp_path)), changes).mixture
    assert mixture.weights == pytest.approx({"eng_Latn": 1.6 / 2.8, "khm_Khmr": 1.2 / 2.8})
    with pytest.raises(ConfigError, match=r"has weights by 'lang', this table is by 'domain'"):
        changed_config(RunFolder(str(tmp_path)), {"mixture": {"by": "domain", "weights": str(path)}})


def test_json_and_a_place_of_ones_own(search, tmp_path):
    file, _ = search
    path = str(tmp_path / "mine.toml")
    result = CliRunner().invoke(main, ["scaling", "mixture", file, "--method", "doremi", "--output", path, "--json"])
    found = json.loads(result.stdout)
    assert found["file"] == path and found["groups"][1]["weight"] == 0.6 and found["groups"][1]["interval"] is None
    plain = CliRunner().invoke(main, ["scaling", "mixture", file, "--method", "doremi"])
    assert "one seed" in plain.stdout and "rounds: 1" in plain.stdout


def test_a_sitting_that_ends_first_says_so(search, tmp_path):
    file, asked = search
    result = CliRunner().invoke(main, ["scaling", "mixture", file, "--method", "doremi", "--max-minutes", "0.5"])
    assert result.exit_code == 1 and "not done after 0.5 minutes; run again to go on" in result.stderr
    assert asked[0][2] == 30 and not (tmp_path / "found").exists()
