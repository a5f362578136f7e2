"""What a user sees when a config is wrong: one line with file, key, found, expected and the mend."""

from __future__ import annotations

import pytest
from pydantic import Field, model_validator

from pipeline.config import Config, load_toml
from pipeline.errors import ConfigError


class Bands(Config):
    num_perm: int = Field(default=112, gt=0)
    num_bands: int = 14

    @model_validator(mode="after")
    def _divisible(self) -> Bands:
        if self.num_perm % self.num_bands:
            raise ValueError(f"num_perm={self.num_perm} is not divisible by num_bands={self.num_bands}; try 8 or 16")
        return self


class Whole(Config):
    seed: int = 0
    bands: Bands | None = None


def load(tmp_path, text: str) -> Whole:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return load_toml(path, Whole)


def test_a_good_file(tmp_path):
    assert load(tmp_path, "seed = 3\n[bands]\nnum_bands = 16\n").bands == Bands(num_bands=16)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sead = 3", ["unknown key 'sead'", "run.toml", "expected one of seed, bands", "did you mean 'seed'?"]),
        ("[bands]\nnum_prem = 3", ["unknown key 'num_prem'", "run.toml [bands]", "did you mean 'num_perm'?"]),
        ("seed = 'x'", ["seed = 'x'", "run.toml", "expected an integer", "without quotes"]),
        ("[bands]\nnum_perm = 0", ["num_perm = 0", "[bands]", "greater than 0"]),
        ("[bands]\nnum_bands = 9", ["num_perm=112 is not divisible by num_bands=9", "[bands]", "try 8 or 16"]),
        ("a = 1\nseed ==", ["run.toml is not TOML", "line 2"]),
    ],
)
def test_a_fault_is_one_line_with_place_and_mend(tmp_path, text, parts):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_two_faults_are_two_lines(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "sead = 1\nseed = 'x'")
    assert len(str(caught.value).splitlines()) == 2


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"no config file at .*absent\.toml; expected a TOML file"):
        load_toml(tmp_path / "absent.toml", Whole)


def test_a_config_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Bands().num_perm = 3
