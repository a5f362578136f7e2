"""The one file that describes a run: every owner's config model, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from filters.pii import PiiConfig
from filters.registry import FiltersConfig
from filters.signals import MeasureConfig
from filters.url import UrlConfig
from jobs.spark import SparkConfig
from pipeline.config import Config, load_toml
from pipeline.input_unit import InputConfig
from pipeline.read_config import ReadConfig
from stages.dedup_exact import ExactDedupConfig
from stages.dedup_near import NearDedupConfig
from stages.extract_text import ExtractConfig
from stages.identify_language import LanguageConfig
from stages.minhash_signatures import MinHashConfig
from stages.sample_mixture import SampleMixtureConfig
from stages.write_token_shards import ShardsConfig
from tokenizer_training.tokenizer_config import TokenizerConfig
from trainer.config import TrainConfig

SEED_BOUND = 1 << 63


class RunSection(Config):
    """``[run]``.

    Args:
        output: folder of the run, a path or URL; relative paths are relative to the current folder.
        seed: every draw is a hash of it and a doc_id. ``[dedup.minhash]`` has its own: it decides what is a copy.
        units_per_group: input files that are committed together; a killed run loses one group at most.
    """

    output: str
    seed: int = Field(default=0, ge=0, lt=SEED_BOUND)
    units_per_group: int = Field(default=64, ge=1)


class Seed(Config):
    """What the shuffle depends on, as a fingerprint sees it."""

    seed: int


class DedupConfig(Config):
    """``[dedup.*]``; a table that is absent turns that kind of deduplication off."""

    exact: ExactDedupConfig | None = None
    minhash: MinHashConfig = MinHashConfig()
    near: NearDedupConfig | None = None


class RunConfig(Config):
    """A whole run. Absent tables take their defaults, but ``[pii]``, ``[train]`` and each filter are then off."""

    run: RunSection
    input: tuple[InputConfig, ...] = Field(min_length=1)
    spark: SparkConfig = SparkConfig()
    read: ReadConfig = ReadConfig()
    url: UrlConfig = UrlConfig()
    extract: ExtractConfig = ExtractConfig()
    language: LanguageConfig = LanguageConfig()
    measure: MeasureConfig = MeasureConfig()
    filters: FiltersConfig = FiltersConfig()
    dedup: DedupConfig = DedupConfig()
    pii: PiiConfig | None = None
    mixture: SampleMixtureConfig = SampleMixtureConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    shards: ShardsConfig = ShardsConfig()
    train: TrainConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_seed(cls, values: Any) -> Any:
        """``[run] seed`` is the seed of sampling, tokenizer and training, unless their tables set their own.

        What has the wrong form here, seed or table, is left for its own model to refuse.
        """
        run = values.get("run") if isinstance(values, dict) else None
        seed = run.get("seed") if isinstance(run, dict) else None
        if type(seed) is not int or not 0 <= seed < SEED_BOUND:  # bool is an int
            return values
        tables = {name: values.get(name, {}) for name in ("mixture", "tokenizer")}
        if "train" in values:
            tables["train"] = values["train"]
        seeded = {name: {"seed": seed, **table} for name, table in tables.items() if isinstance(table, dict)}
        return {**values, **seeded}

    @model_validator(mode="after")
    def _sources_are_distinct(self) -> RunConfig:
        names = [entry.name for entry in self.input]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(
                f"name {repeated[0]!r} is used by two [[input]] tables; expected distinct names; rename one"
            )
        return self


def load_run_config(path: str | Path, *, output: str | None = None) -> RunConfig:
    """Read a run's TOML.

    Args:
        output: replaces ``run.output`` (the command line's ``--output``).

    Raises:
        ConfigError: one line per fault.
    """
    config = load_toml(path, RunConfig)
    if output is None:
        return config
    return config.model_copy(update={"run": config.run.model_copy(update={"output": output})})
