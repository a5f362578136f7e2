"""``chaffinch quality regress``: a regression head on embeddings, from texts with scores, measured on held-out ones."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq
from pydantic import Field

from filters.classifier_metrics import ThresholdRow, threshold_row
from filters.regression_head import fit_head
from pipeline import storage
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.hashing import hash_keys, uniform
from pipeline.sentence_encoder import embed, folder_sha256


class FitRegressionConfig(Config):
    """A file for ``chaffinch quality regress``.

    Args:
        output: the JSON file to write.
        encoder: local folder of a sentence-transformers model.
        annotations: Parquet or jsonl file with texts and their scores.
        text_column: its column of texts.
        score_column: its column of scores, numbers.
        l2: penalty on the weights.
        positive_from: the score from which a text counts as good in the report; FineWeb-Edu keeps 3 and more.
        held_out_fraction: share of the texts that is only scored.
        seed: of the split.
    """

    output: str = Field(min_length=1)
    encoder: str = Field(min_length=1)
    annotations: str = Field(min_length=1)
    text_column: str = Field(default="text", min_length=1)
    score_column: str = Field(default="score", min_length=1)
    l2: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    positive_from: float = Field(default=3.0, allow_inf_nan=False)
    held_out_fraction: float = Field(default=0.1, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)


class RegressionReport(Config):
    """Held-out figures.

    Args:
        r_squared: share of the scores' variance that is explained.
        mean_absolute_error: on the scale of the scores.
        at_positive: precision, recall and F1 of calling good what scores ``positive_from`` and more; None where no
            held-out text is good.
    """

    sha256: str
    num_train: int
    num_held_out: int
    r_squared: float
    mean_absolute_error: float
    at_positive: ThresholdRow | None


def fit_regression(config: FitRegressionConfig, base_dir: str) -> RegressionReport:
    """Fit, measure and write the head.

    Raises:
        ConfigError: if a file, column or the encoder is missing, or too few texts are there to hold some out.
    """
    texts, scores = _annotations(config, base_dir)
    is_held_out = uniform(hash_keys(config.seed, "held_out", texts)) < config.held_out_fraction
    if len(set(scores[~is_held_out])) < 2 or len(set(scores[is_held_out])) < 2:
        raise ConfigError(
            f"{len(texts)} texts leave fewer than two different scores on one side of held_out_fraction = "
            f"{config.held_out_fraction}; expected two on both; give more texts or another fraction"
        )
    encoder = os.path.join(base_dir, config.encoder)
    embeddings = embed(texts, encoder)
    head = fit_head(embeddings[~is_held_out], scores[~is_held_out], l2=config.l2, encoder_sha256=folder_sha256(encoder))
    location = os.path.join(base_dir, config.output)
    storage.write_json(location, head.model_dump(mode="json"))
    found, wanted = head.score(embeddings[is_held_out]), scores[is_held_out]
    is_good = wanted >= config.positive_from
    return RegressionReport(
        sha256=storage.sha256_of(location),
        num_train=int((~is_held_out).sum()),
        num_held_out=int(is_held_out.sum()),
        r_squared=float(1 - np.sum((wanted - found) ** 2) / np.sum((wanted - wanted.mean()) ** 2)),
        mean_absolute_error=float(np.abs(wanted - found).mean()),
        at_positive=threshold_row(config.positive_from, found, is_good) if 0 < is_good.sum() < len(is_good) else None,
    )


def _annotations(config: FitRegressionConfig, base_dir: str) -> tuple[list[str], np.ndarray]:
    """Texts in the order of the file, and their scores, float64; rows without either are left out."""
    location = os.path.join(base_dir, config.annotations)
    try:
        with storage.open_input(location) as stream:
            is_parquet = location.endswith((".parquet", ".pq"))
            table = pq.read_table(stream) if is_parquet else pj.read_json(stream)
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"cannot read {location}: {error}; expected Parquet or jsonl; correct annotations") from None
    missing = [name for name in (config.text_column, config.score_column) if name not in table.column_names]
    if missing:
        raise ConfigError(
            f"{location} has columns {table.column_names}, expected {missing[0]!r}; set text_column or score_column"
        )
    table = table.select([config.text_column, config.score_column]).drop_null()
    scores = pc.cast(table.column(1), pa.float64()).to_numpy()
    return table.column(0).to_pylist(), scores
