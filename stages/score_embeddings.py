"""Row stage that scores texts by a regression head on embeddings of a local sentence-transformers model.

Each ``[[quality.embeddings]]`` adds a column ``quality_<name>``, on the scale of the annotations that its head was
fitted to, which ``[filters.quality]`` judges like any other score. Texts are encoded one by one
(``pipeline/sentence_encoder.py``, extra ``embeddings``), so this is for small corpora or few candidates.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from pydantic import Field

from filters.quality import ModelName, score_column
from filters.regression_head import RegressionHead
from pipeline import storage
from pipeline.config import Config, parse
from pipeline.errors import ConfigError
from pipeline.language_codes import LanguageCode
from pipeline.models import locate
from pipeline.schema import LANGUAGE, SCORE
from pipeline.sentence_encoder import embed, folder_sha256
from pipeline.stage import Stage, with_columns

INPUT = pa.schema([("text", pa.string()), LANGUAGE.field("lang")])


class EmbeddingScorerConfig(Config):
    """One ``[[quality.embeddings]]``.

    Args:
        name: what filters call it; part of its column's name.
        encoder: local folder of a sentence-transformers model; the head says which it must be.
        path: path or URL of a head that ``chaffinch quality regress`` fitted.
        sha256: of the head's file.
        languages: score only documents in these; unset: all.
    """

    name: ModelName
    encoder: str = Field(min_length=1)
    path: str = Field(min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-fA-F]{64}$")
    languages: tuple[LanguageCode, ...] | None = Field(default=None, min_length=1)

    @property
    def column(self) -> str:
        """Its column of ``signals/``."""
        return score_column("quality", self.name)


class EmbeddingScorersConfig(Config):
    """All of a run, for the stage's fingerprint."""

    scorers: tuple[EmbeddingScorerConfig, ...]


@functools.lru_cache(maxsize=4)
def load_head(config: EmbeddingScorerConfig) -> RegressionHead:
    """The head, checked to belong to the encoder.

    Raises:
        ConfigError: if a file is missing or another one, or the head was fitted to another encoder.
    """
    location = str(locate(config.path, config.sha256))
    try:
        document = storage.read_json(location)
    except ValueError as error:
        raise ConfigError(f"{location} is not JSON: {error}; expected a head of `chaffinch quality regress`") from None
    head = parse(document, RegressionHead, where=location)
    found = folder_sha256(config.encoder)
    if found != head.encoder_sha256:
        raise ConfigError(
            f"{config.encoder} has SHA-256 {found}, but the head {location} was fitted to {head.encoder_sha256}; "
            f"expected the same encoder; name it, or fit the head again"
        )
    return head


def _scores(batch: pa.RecordBatch, config: EmbeddingScorerConfig) -> pa.Array:
    rows, texts = [], []
    pairs = zip(batch.column("text").to_pylist(), batch.column("lang").to_pylist(), strict=True)
    for row, (text, lang) in enumerate(pairs):
        if text is not None and text.strip() and (config.languages is None or lang in config.languages):
            rows.append(row)
            texts.append(text)
    scores = np.full(batch.num_rows, np.nan)
    if rows:
        scores[rows] = load_head(config).score(embed(texts, config.encoder))
    return pa.array(scores.astype(np.float32), SCORE, mask=np.isnan(scores))


def make_stage(scorers: Sequence[EmbeddingScorerConfig]) -> Stage:
    """The stage ``score_embeddings``; one column a scorer."""

    def apply(batch: pa.RecordBatch) -> pa.RecordBatch:
        return with_columns(batch, {config.column: _scores(batch, config) for config in scorers})

    return Stage(
        name="score_embeddings",
        version="1",
        config=EmbeddingScorersConfig(scorers=tuple(scorers)),
        input_schema=INPUT,
        output_schema=pa.schema([(config.column, SCORE) for config in scorers]),
        apply=apply,
    )
