"""``[quality]``: which models score text in pass 1, and the row stages that do it.

What follows from a score is said in ``[filters]``; the stored scores can be judged again without reading text.
"""

from __future__ import annotations

from pydantic import model_validator

from pipeline.config import Config
from pipeline.models import locate
from pipeline.sentence_encoder import load_encoder
from pipeline.stage import Stage
from stages import measure_bad_words, measure_dsir, measure_perplexity, score_embeddings, score_quality
from stages.measure_bad_words import WordListConfig
from stages.measure_dsir import DsirModelConfig
from stages.measure_perplexity import PerplexityModelConfig
from stages.score_embeddings import EmbeddingScorerConfig
from stages.score_quality import ClassifierConfig


class QualityModelsConfig(Config):
    """The models; without any, ``signals/`` has no columns of scores.

    Args:
        bad_words: ``[[quality.bad_words]]``: lists of words, one a language.
        perplexity: ``[[quality.perplexity]]``: KenLM models, one a language.
        models: ``[[quality.models]]``: fastText classifiers.
        embeddings: ``[[quality.embeddings]]``: regression heads on embeddings.
        dsir: ``[quality.dsir]``: bags of words of importance resampling.
    """

    bad_words: tuple[WordListConfig, ...] = ()
    perplexity: tuple[PerplexityModelConfig, ...] = ()
    models: tuple[ClassifierConfig, ...] = ()
    embeddings: tuple[EmbeddingScorerConfig, ...] = ()
    dsir: DsirModelConfig | None = None

    @model_validator(mode="after")
    def _each_has_a_place_of_its_own(self) -> QualityModelsConfig:
        columns = [model.column for model in self.models] + [scorer.column for scorer in self.embeddings]
        _check_distinct("models", "fill column", columns)
        _check_distinct("bad_words", "are for", [model.language for model in self.bad_words])
        _check_distinct("perplexity", "are for", [model.language for model in self.perplexity])
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of ``signals/`` that the models fill."""
        return tuple(name for stage in score_stages(self) for name in stage.output_schema.names)


def score_stages(config: QualityModelsConfig) -> tuple[Stage, ...]:
    """The row stages that fill the columns, in the order of the columns; they read text and language."""
    stages = []
    if config.bad_words:
        stages.append(measure_bad_words.make_stage(config.bad_words))
    if config.perplexity:
        stages.append(measure_perplexity.make_stage(config.perplexity))
    if config.models:
        stages.append(score_quality.make_stage(config.models))
    if config.embeddings:
        stages.append(score_embeddings.make_stage(config.embeddings))
    if config.dsir is not None:
        stages.append(measure_dsir.make_stage(config.dsir))
    return tuple(stages)


def locate_models(config: QualityModelsConfig) -> tuple[str, ...]:
    """Check that every model's file is there, before anything runs.

    Returns:
        Those that workers load once and share: fastText's.

    Raises:
        ConfigError: naming the first that is missing, or is another file than its hash says.
    """
    for words in config.bad_words:
        measure_bad_words.load_list(words)
    for language_model in config.perplexity:
        measure_perplexity.load(language_model)  # it may need a package that is not installed
    for scorer in config.embeddings:
        score_embeddings.load_head(scorer)
        load_encoder(scorer.encoder)
    if config.dsir is not None:
        measure_dsir.load_weights(config.dsir)
    return tuple(str(locate(model.path, model.sha256)) for model in config.models)


def _check_distinct(table: str, what: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"two [[quality.{table}]] {what} {repeated[0]!r}; expected one each; change or join them")
