"""The whole config: one seed for all, sources apart, and the examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.config import load_run_config
from jobs.sweep import load_sweep
from pipeline.config import load_toml, parse
from pipeline.errors import ConfigError
from trainer.mixture_search.search_config import MixtureSearchFile

EXAMPLES = Path(__file__).parents[3] / "examples"
INPUT = '[[input]]\nname = "web"\npaths = ["web.warc.gz"]\n'
TRAIN = "[train]\nnum_steps = 50\n"
SEED = '[run]\noutput = "out"\nseed = 11\n'


def load(folder: Path, text: str):
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return load_run_config(path)


@pytest.mark.parametrize(
    ("tables", "seeds"),
    [
        ("", (11, 11, None)),
        (TRAIN, (11, 11, 11)),
        ("[mixture]\nseed = 3\n" + TRAIN, (3, 11, 11)),
        ("[mixture]\nalpha = 0.5\n[tokenizer]\nseed = 0\n" + TRAIN, (11, 0, 11)),
        (TRAIN + "seed = 5\n", (11, 11, 5)),
    ],
    ids=["no tables", "train", "mixture's own", "tokenizer's own, zero", "train's own"],
)
def test_the_runs_seed_is_every_tables_that_sets_none(tmp_path, tables, seeds):
    config = load(tmp_path, SEED + INPUT + tables)
    found = (config.mixture.seed, config.tokenizer.seed, None if config.train is None else config.train.seed)
    assert found == seeds


def test_without_a_seed_of_the_run_tables_keep_their_own(tmp_path):
    config = load(tmp_path, '[run]\noutput = "out"\n' + INPUT + "[mixture]\nseed = 3\n")
    assert (config.run.seed, config.mixture.seed, config.tokenizer.seed) == (0, 3, 0)


def test_the_seed_of_the_signatures_is_their_own(tmp_path):
    assert load(tmp_path, SEED + INPUT).dedup.minhash.seed == 1


@pytest.mark.parametrize(
    ("seed", "expected"),
    [("-5", "greater than or equal to 0"), (str(1 << 63), f"less than {1 << 63}"), ("true", "an integer")],
)
def test_a_refused_seed_is_told_once(tmp_path, seed, expected):
    with pytest.raises(ConfigError) as refusal:
        load(tmp_path, f'[run]\noutput = "out"\nseed = {seed}\n' + INPUT + TRAIN)
    path = tmp_path / "run.toml"
    assert str(refusal.value) == f"seed = {seed} ({path} [run]); expected {expected}; change the value"


@pytest.mark.parametrize("table", ["mixture", "tokenizer", "train"])
def test_a_value_in_the_place_of_a_seeded_table(tmp_path, table):
    with pytest.raises(ConfigError, match=rf"^{table} = 3 \(.*run.toml\); expected a table; change the value$"):
        load(tmp_path, f"{table} = 3\n" + SEED + INPUT)


def test_sources_are_distinct(tmp_path):
    with pytest.raises(ConfigError) as refusal:
        load(tmp_path, SEED + INPUT + INPUT.replace("web.warc.gz", "other.warc.gz"))
    assert str(refusal.value) == (
        f"name 'web' is used by two [[input]] tables; expected distinct names; rename one ({tmp_path / 'run.toml'})"
    )
    two = load(tmp_path, SEED + INPUT + INPUT.replace('"web"', '"more"'))
    assert [entry.name for entry in two.input] == ["web", "more"]


def test_output_of_the_command_line_goes_before_the_files(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(SEED + INPUT, encoding="utf-8")
    assert load_run_config(path, output="elsewhere").run.output == "elsewhere"
    assert load_run_config(path, output="elsewhere").run.seed == 11
    assert load_run_config(path).run.output == "out"


def test_a_run_can_be_read_back_from_what_it_recorded(tmp_path):
    """``run.json`` holds every key, the seeds among them, and lists where the models hold tuples."""
    config = load(tmp_path, SEED + INPUT + "[filters.c4]\nmin_sentences = false\n[mixture]\nseed = 3\n" + TRAIN)
    assert parse(config.model_dump(mode="json"), type(config), where="run.json") == config


@pytest.mark.parametrize(
    "name", sorted({path.name for path in EXAMPLES.glob("*.toml")} - {"demo_sweep.toml", "mixture.toml"})
)
def test_an_example_loads(name):
    config = load_run_config(EXAMPLES / name)
    assert config.run.output.startswith("runs/")
    assert config.mixture.seed == config.tokenizer.seed == config.run.seed > 0


def test_the_demos_sweep_loads():
    sweep = load_sweep(str(EXAMPLES / "demo_sweep.toml"))
    assert sweep.base == load_run_config(EXAMPLES / "demo.toml").run.output


def test_the_search_for_a_mixture_loads():
    search = load_toml(EXAMPLES / "mixture.toml", MixtureSearchFile).mixture_search
    assert search.shards == f"{load_run_config(EXAMPLES / 'crawl.toml').run.output}/shards"


def test_a_rule_on_lines_needs_their_languages(tmp_path):
    rule = "[filters.language]\nmin_line_share = 0.5\n"
    with pytest.raises(ConfigError, match=r"has min_line_share, but \[language\] per_line is false"):
        load(tmp_path, SEED + INPUT + rule)
    config = load(tmp_path, SEED + INPUT + "[language]\nper_line = true\n" + rule)
    assert config.filters.language is not None and config.filters.language.min_line_share == 0.5
