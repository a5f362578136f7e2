"""The steps of semantic deduplication: what is embedded, what redoes them, and what is refused before anything runs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jobs.build_corpus import line_of, prepare
from jobs.config import RunConfig
from jobs.steps_semantic import dedup_semantic_step, embed_step, embed_unit
from jobs.text_stages import text_stages
from pipeline import sentence_encoder
from pipeline.errors import ConfigError
from stages.dedup_semantic import SemanticDedupConfig


class StubEncoder:
    """Embeds a text by its length and its vowels."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, texts: list[str], *, show_progress_bar: bool) -> np.ndarray:
        self.texts += texts
        return np.array([[len(text), sum(letter in "aeiou" for letter in text)] for text in texts], np.float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder/config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    cached = (sentence_encoder.folder_sha256, sentence_encoder.load_encoder)  # a test may replace the second
    for function in cached:
        function.cache_clear()
    yield tmp_path
    for function in cached:
        function.cache_clear()


def config(**settings: Any) -> RunConfig:
    dedup = {"semantic": {"encoder": "encoder", "min_similarity": 0.9, **settings.pop("semantic", {})}, **settings}
    inputs = tuple({"name": name, "paths": (f"{name}.jsonl",)} for name in ("web", "books"))
    return RunConfig.model_validate({"run": {"output": "run"}, "input": inputs, "dedup": dedup})


def test_beginnings_are_embedded_one_by_one_and_blank_texts_are_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = StubEncoder()
    monkeypatch.setattr(sentence_encoder, "load_encoder", lambda folder: encoder)
    batch = pa.record_batch({"doc_id": ["a", "b", "c", "d"], "text": ["aä€𝄞 and on", " \n", "no", ""]})
    source: Any = SimpleNamespace(read=lambda unit: iter([batch, batch.slice(1, 1)]))
    report: Any = SimpleNamespace(counts=Counter())
    process = embed_unit(source, SemanticDedupConfig(encoder="encoder", min_similarity=0.9, max_chars=4))
    rows = [row for written in process("u", report) for row in written["rows"].to_pylist()]
    assert [(row["doc_id"], row["embedding"]) for row in rows] == [
        ("a", [4.0, 1.0]),
        ("b", None),
        ("c", [2.0, 1.0]),
        ("d", None),
        ("b", None),
    ]
    assert encoder.texts == ["aä€𝄞", "no"]
    assert report.counts["documents"] == 5


def test_the_steps_stand_before_repeated_lines(folder: Path) -> None:
    names = [step.name for step in line_of(config(lines={}))]
    first = names.index("survivors")
    assert names[first : first + 4] == ["survivors", "embed_documents", "dedup_semantic", "dedup_lines"]
    assert text_stages(config(lines={})) == ("dedup_semantic", "dedup_lines")


def test_only_what_changes_an_embedding_embeds_again(folder: Path) -> None:
    before = embed_step(config())
    for same in ({"min_similarity": 0.8}, {"num_clusters": 3}, {"survivor_order": ("-num_words",)}, {"seed": 5}):
        assert embed_step(config(semantic=same)).identities == before.identities
        assert dedup_semantic_step(config(semantic=same)).identities != dedup_semantic_step(config()).identities
    assert embed_step(config(semantic={"max_chars": 10})).identities != before.identities
    (folder / "moved").mkdir()
    (folder / "moved/config.json").write_text("{}")
    assert embed_step(config(semantic={"encoder": "moved"})).identities == before.identities  # the same model elsewhere
    (folder / "other").mkdir()
    (folder / "other/config.json").write_text("{ }")
    assert embed_step(config(semantic={"encoder": "other"})).identities != before.identities
    assert dedup_semantic_step(config()).upstream == ("survivors", "embed_documents")


def test_scope_and_priority_of_dedup_are_in_force(folder: Path) -> None:
    plain, by_dump = (dedup_semantic_step(config(scope=scope)).identities for scope in ("global", "dump"))
    assert plain != by_dump
    preferring = dedup_semantic_step(config(source_priority=("books", "web"))).identities[0]
    assert preferring["config"]["survivor_order"] == ["source_priority", "-num_bytes", "fetch_time", "doc_id"]


@pytest.mark.parametrize(
    ("encoder", "message"), [("nothing", "no files in .*nothing; expected a sentence-transformers")]
)
def test_no_model_in_the_folder(folder: Path, encoder: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        line_of(config(semantic={"encoder": encoder}))


def test_without_the_extra_nothing_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    for name in ("web", "books"):
        (folder / f"{name}.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(ConfigError, match=r"\[dedup.semantic\].*run: pip install 'chaffinch\[embeddings\]'"):
        prepare(config(), str(folder))


def test_an_order_by_what_nothing_measures_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"survivor_order \[dedup.semantic\] names '-quality_x'"):
        config(semantic={"survivor_order": ("-quality_x",)})
