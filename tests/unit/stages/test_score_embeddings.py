"""The head's algebra, and scoring with a stub in place of sentence-transformers (which is not needed to test it)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from filters.regression_head import RegressionHead, fit_head
from jobs.cli import main
from pipeline import sentence_encoder
from pipeline.config import parse
from pipeline.errors import ConfigError
from pipeline.sentence_encoder import folder_sha256
from pipeline.stage import fuse
from pipeline.storage import sha256_of
from stages import score_embeddings
from stages.score_embeddings import EmbeddingScorerConfig


class StubEncoder:
    """Embeds a text by its length, its vowels and its words."""

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []

    def encode(self, texts: list[str], *, show_progress_bar: bool) -> np.ndarray:
        self.batch_sizes.append(len(texts))
        rows = [[len(text), sum(letter in "aeiou" for letter in text), len(text.split())] for text in texts]
        return np.array(rows, dtype=np.float32)


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubEncoder]:
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}", encoding="utf-8")
    stub = StubEncoder()
    monkeypatch.setattr(sentence_encoder, "load_encoder", lambda folder: stub)
    monkeypatch.chdir(tmp_path)
    folder_sha256.cache_clear()
    yield stub
    folder_sha256.cache_clear()


def test_ridge_is_the_solution_of_its_normal_equations() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(50, 4)), draw.normal(size=50)
    head = fit_head(x, y, l2=2.5, encoder_sha256="e")
    weights, residual = np.array(head.weights), x @ np.array(head.weights) + head.intercept - y
    assert x.T @ residual + 2.5 * weights == pytest.approx(np.zeros(4), abs=1e-9)
    assert residual.sum() == pytest.approx(0, abs=1e-9)


def test_scores_are_cut_to_the_annotations_range() -> None:
    head = RegressionHead(encoder_sha256="e", weights=(1.0,), intercept=0.5, lowest=0.0, highest=5.0)
    assert head.score(np.array([[-3.0], [2.0], [9.0]])).tolist() == [0.0, 2.5, 5.0]


def write_head(path: Path, **settings: Any) -> EmbeddingScorerConfig:
    head = {
        "encoder_sha256": folder_sha256("encoder"),
        "weights": [0.0, 0.0, 1.0],
        "intercept": 0.0,
        "lowest": 0.0,
        "highest": 5.0,
    }
    path.write_text(json.dumps({**head, **settings}), encoding="utf-8")
    return EmbeddingScorerConfig(
        name="edu", encoder="encoder", path=str(path), sha256=sha256_of(str(path)), languages=("en",)
    )


def test_texts_are_encoded_one_by_one_and_scored(encoder: StubEncoder, tmp_path: Path) -> None:
    config = write_head(tmp_path / "head.json")
    batch = pa.record_batch(
        {
            "text": ["three words here", None, " ", "ein Wort", "a b c d e f g"],
            "lang": pa.array(["eng_Latn", None, "eng_Latn", "deu_Latn", "eng_Latn"]),
        }
    )
    found = fuse([score_embeddings.make_stage([config])])(batch).column("quality_edu")
    assert found.to_pylist() == [3.0, None, None, None, 5.0]
    assert encoder.batch_sizes == [1, 1]


def test_a_head_of_another_encoder_is_refused(encoder: StubEncoder, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="was fitted to other; expected the same encoder"):
        score_embeddings.load_head(write_head(tmp_path / "head.json", encoder_sha256="other"))


def test_an_empty_folder_is_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a sentence-transformers model"):
        folder_sha256(str(tmp_path / "nothing"))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    sentence_encoder.load_encoder.cache_clear()
    with pytest.raises(ConfigError, match=r"pip install 'chaffinch\[embeddings\]'"):
        sentence_encoder.load_encoder("encoder")


def write_config(annotations: str) -> None:
    Path("regress.toml").write_text(
        f'output = "head.json"\nencoder = "encoder"\nannotations = "{annotations}"\nl2 = 0.001\n'
        "held_out_fraction = 0.3\n",
        encoding="utf-8",
    )


def test_fit_by_command(encoder: StubEncoder) -> None:
    """Scores that are a linear function of the embedding are found again on held-out texts."""
    rows = [{"text": "word " * (number % 6) + "a" * number, "score": float(number % 6)} for number in range(60)]
    Path("annotated.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    write_config("annotated.jsonl")
    shown = CliRunner().invoke(main, ["quality", "regress", "regress.toml"])
    assert shown.exit_code == 0, shown.output
    report = json.loads(shown.stdout)
    assert report["r_squared"] > 0.9
    assert report["at_positive"]["f1"] > 0.9
    assert report["num_train"] + report["num_held_out"] == 60
    head = parse(json.loads(Path("head.json").read_text()), RegressionHead, where="head.json")
    assert head.encoder_sha256 == folder_sha256("encoder")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a", "grade": 1}\n', "expected 'score'; set text_column or score_column"),
        ('{"text": "a", "score": 1}\n', "fewer than two different scores"),
        ("not json\n", "expected Parquet or jsonl"),
        (None, "cannot read"),
    ],
)
def test_annotations_that_cannot_be_used(encoder: StubEncoder, content: str | None, message: str) -> None:
    if content is not None:
        Path("annotated.jsonl").write_text(content, encoding="utf-8")
    write_config("annotated.jsonl")
    shown = CliRunner().invoke(main, ["quality", "regress", "regress.toml"])
    assert shown.exit_code == 2
    assert message in shown.stderr
