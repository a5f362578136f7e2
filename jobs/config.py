"""The one file that describes a run: every owner's config model, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from filters.control_token import ControlTokenConfig
from filters.line_rules import CleanLinesConfig
from filters.pii import PiiConfig
from filters.registry import FiltersConfig, enabled_scored_filters
from filters.signals import MeasureConfig
from filters.url import UrlConfig
from jobs.dedup_scope import DedupScopeConfig, check_dumps
from jobs.quality_models import QualityModelsConfig
from jobs.spark import SparkConfig
from pipeline.config import Config, load_toml
from pipeline.input_config import InputConfig
from pipeline.read_config import ReadConfig
from stages.decontaminate import DecontaminateConfig
from stages.dedup_exact import ExactDedupConfig
from stages.dedup_lines import LineDedupConfig
from stages.dedup_near import NearDedupConfig
from stages.dedup_semantic import SemanticDedupConfig
from stages.dedup_substrings import SubstringDedupConfig
from stages.extract_text import ExtractConfig
from stages.identify_language import LanguageConfig
from stages.minhash_signatures import MinHashConfig
from stages.read_wat import PageMetadataConfig
from stages.sample_mixture import SampleMixtureConfig
from stages.survivor import SurvivorOrder, check_scores
from stages.write_token_shards import ShardsConfig
from tokenizer_training.tokenizer_config import TokenizerConfig
from trainer.config import TrainConfig

SEED_BOUND = 1 << 63
FILTERS_WITH_SEED = ("bad_words", "quality", "dsir")
ALWAYS_MEASURED = ("doc_id", "lang")  # of the columns that filters on scores read


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


class DedupConfig(DedupScopeConfig):
    """``[dedup]``: how far copies are looked for; ``[dedup.*]``: a table that is absent turns that kind off."""

    exact: ExactDedupConfig | None = None
    minhash: MinHashConfig = MinHashConfig()
    near: NearDedupConfig | None = None
    semantic: SemanticDedupConfig | None = None
    lines: LineDedupConfig | None = None
    substrings: SubstringDedupConfig | None = None

    @property
    def survivor_orders(self) -> dict[str, SurvivorOrder]:
        """The order of each kind of document deduplication that is on."""
        kinds = {
            "exact": self.exact,
            "near": self.near,
            "semantic": self.semantic,
            "lines": self.lines,
            "substrings": self.substrings,
        }
        return {kind: config.survivor_order for kind, config in kinds.items() if config is not None}


class RunConfig(Config):
    """A whole run. Absent tables take their defaults; ``[page_metadata]``, ``[pii]``, ``[train]``, filters are off."""

    run: RunSection
    input: tuple[InputConfig, ...] = Field(min_length=1)
    spark: SparkConfig = SparkConfig()
    read: ReadConfig = ReadConfig()
    page_metadata: PageMetadataConfig | None = None
    url: UrlConfig = UrlConfig()
    extract: ExtractConfig = ExtractConfig()
    language: LanguageConfig = LanguageConfig()
    measure: MeasureConfig = MeasureConfig()
    clean_lines: CleanLinesConfig = CleanLinesConfig()
    quality: QualityModelsConfig = QualityModelsConfig()
    filters: FiltersConfig = FiltersConfig()
    dedup: DedupConfig = DedupConfig()
    decontaminate: DecontaminateConfig | None = None
    pii: PiiConfig | None = None
    mixture: SampleMixtureConfig = SampleMixtureConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    control_token: ControlTokenConfig | None = None
    shards: ShardsConfig = ShardsConfig()
    train: TrainConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_seed(cls, values: Any) -> Any:
        """``[run] seed`` is the seed of filters that draw, sampling, tokenizer and training, unless they set their own.

        What has the wrong form here, seed or table, is left for its own model to refuse.
        """
        run = values.get("run") if isinstance(values, dict) else None
        seed = run.get("seed") if isinstance(run, dict) else None
        if type(seed) is not int or not 0 <= seed < SEED_BOUND:  # bool is an int
            return values
        tables = {name: values.get(name, {}) for name in ("mixture", "tokenizer")}
        tables |= {name: values[name] for name in ("control_token", "train") if name in values}
        seeded: dict[str, Any] = {
            name: {"seed": seed, **table} for name, table in tables.items() if isinstance(table, dict)
        }
        if isinstance(filters := values.get("filters"), dict):
            seeded["filters"] = {
                name: {"seed": seed, **table} if name in FILTERS_WITH_SEED and isinstance(table, dict) else table
                for name, table in filters.items()
            }
        if isinstance(inputs := values.get("input"), list | tuple):
            seeded["input"] = tuple(_seed_of_sample(entry, seed) for entry in inputs)
        return {**values, **seeded}

    @model_validator(mode="before")
    @classmethod
    def _cleaned_documents_are_judged(cls, values: Any) -> Any:
        """Line cleaning can leave nothing of a document: its filter runs wherever it does."""
        cleaning = values.get("clean_lines") if isinstance(values, dict) else None
        filters = values.get("filters", {}) if isinstance(values, dict) else None
        edits = isinstance(cleaning, dict) and (cleaning.get("apply") or cleaning.get("boilerplate_files"))
        if not edits or not isinstance(filters, dict):
            return values
        return {**values, "filters": {"clean_lines": {}, **filters}}

    @model_validator(mode="after")
    def _lines_are_identified(self) -> RunConfig:
        judged = self.filters.language
        if judged is not None and judged.any_threshold("min_line_share") and not self.language.per_line:
            raise ValueError(
                "[filters.language] has min_line_share, but [language] per_line is false, so no line's language is "
                "known; expected per_line = true; set it, or remove min_line_share"
            )
        return self

    @model_validator(mode="after")
    def _scores_are_measured(self) -> RunConfig:
        for filter_, filter_config in enabled_scored_filters(self.filters):
            for column in filter_.columns(filter_config):
                if column not in (*ALWAYS_MEASURED, *self.quality.columns):
                    known = ", ".join(self.quality.columns) or "none"
                    raise ValueError(
                        f"[filters.{filter_.name}] reads {column!r}, which no model of [quality] measures (they give "
                        f"{known}); expected one that does; add it, or correct the name"
                    )
        if self.control_token is not None and self.control_token.column not in self.quality.columns:
            raise ValueError(
                f"[control_token] reads {self.control_token.column!r}, which no model of [quality] measures; expected "
                f"a [[quality.models]] of kind toxicity with that name; add it, or correct the name"
            )
        return self

    @model_validator(mode="after")
    def _survivor_orders_are_measured(self) -> RunConfig:
        for kind, order in self.dedup.survivor_orders.items():
            check_scores(order, self.quality.columns, where=f"[dedup.{kind}]")
        for kind, part in (("lines", self.dedup.lines), ("substrings", self.dedup.substrings)):
            if part is not None:
                check_scores(part.survivor_order, None, where=f"[dedup.{kind}]")
        return self

    @model_validator(mode="after")
    def _control_tokens_are_special(self) -> RunConfig:
        wanted = () if self.control_token is None else self.control_token.tokens
        missing = [token for token in wanted if token not in self.tokenizer.special_tokens]
        if missing:
            raise ValueError(
                f"[control_token] uses {missing[0]!r}, which is no special token of the tokenizer; expected all of "
                f"{list(wanted)} in special_tokens of [tokenizer]; add them there"
            )
        return self

    @model_validator(mode="after")
    def _dumps_are_inputs(self) -> RunConfig:
        check_dumps(self.dedup, self.input)
        return self

    @model_validator(mode="after")
    def _sources_are_distinct(self) -> RunConfig:
        names = [entry.name for entry in self.input]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(
                f"name {repeated[0]!r} is used by two [[input]] tables; expected distinct names; rename one"
            )
        return self


def _seed_of_sample(entry: Any, seed: int) -> Any:
    """An ``[[input]]`` table that takes a number of files from a list, with the run's seed unless it has its own."""
    draws = isinstance(entry, dict) and type(entry.get("paths")) is int
    return {"seed": seed, **entry} if draws else entry


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
