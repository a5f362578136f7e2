"""The file of weights: written and read back, by sampling and by training, and what is refused."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.mixture import MixtureConfig
from pipeline.config import Config, load_toml, parse
from pipeline.errors import ConfigError
from pipeline.mixture_file import SAMPLING, TRAINING, mixture_toml, weights_named
from trainer.data_config import DataConfig


class Run(Config):
    mixture: MixtureConfig


BYTES, TOKENS = {"eng_Latn": 0.75, "khm_Khmr": 0.25}, {"eng_Latn": 0.5, "khm_Khmr": 0.5}


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.toml"
    path.write_text(mixture_toml("lang", {SAMPLING: BYTES, TRAINING: TOKENS}))
    return str(path)


def test_sampling_reads_shares_of_bytes_and_training_shares_of_tokens(weights):
    assert parse({"weights": weights}, MixtureConfig, where="x").weights == BYTES
    assert parse({"by": "lang", "weights": weights}, DataConfig, where="x").weights == TOKENS


def test_a_config_is_its_weights_wherever_they_were_read(weights):
    named = parse({"weights": weights}, MixtureConfig, where="x")
    assert named == parse({"weights": BYTES}, MixtureConfig, where="x")
    assert named.model_dump(mode="json")["weights"] == BYTES


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 10**9).map(lambda n: n / 10**9), min_size=1))
def test_any_name_comes_back(shares):
    document = tomllib.loads(mixture_toml("domain", {SAMPLING: shares, TRAINING: shares}))
    assert document[SAMPLING] == {"by": "domain", "weights": shares} == document["train"]["data"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"weights = .*weights.toml.* \(run.toml \[mixture\]\): cannot be read .* correct the path"),
        ("[mixture", "cannot be read .*; expected a TOML file of weights"),
        ("[train.data]\nweights = { a = 1 }", r"has no \[mixture.weights\] of numbers from 0; .* make it anew"),
        ("mixture = 3", r"has no \[mixture.weights\]"),
        ("[mixture]\nby = 'lang'\nweights = { a = -1 }", r"has no \[mixture.weights\] of numbers from 0"),
        ("[mixture]\nby = 'lang'\nweights = { a = true }", r"has no \[mixture.weights\] of numbers from 0"),
        ("[mixture]\nby = 'domain'\nweights = { a = 1 }", "has weights by 'domain', this table is by 'lang'"),
        ("[mixture]\nby = 'lang'\nweights = { a = 0 }", "every weight is 0, which drops every document"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, text, message):
    path = tmp_path / "weights.toml"
    if text is not None:
        path.write_text(text)
    document = {"mixture": {"weights": str(path)}}
    with pytest.raises(ConfigError, match=message):
        parse(document, Run, where="run.toml")


def test_what_is_no_string_is_left_as_it_is():
    assert weights_named({"a": 1}, SAMPLING, "lang") == {"a": 1} and weights_named(None, SAMPLING, "lang") is None


def test_the_weights_of_training_need_their_own_table(tmp_path):
    path = tmp_path / "regmix.toml"
    path.write_text(mixture_toml("domain", {SAMPLING: BYTES}))
    file = tmp_path / "data.toml"
    file.write_text(f'by = "domain"\nweights = "{path}"\n')
    assert load_toml(file, MixtureConfig).weights == BYTES
    with pytest.raises(ConfigError, match=r"has no \[train.data.weights\]"):
        load_toml(file, DataConfig)
