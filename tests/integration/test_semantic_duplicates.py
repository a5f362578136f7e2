"""A run with ``[dedup.semantic]`` through the command line, with a small encoder in place of sentence-transformers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow.dataset as ds
import pytest

ENCODER = '''
"""In place of the package: a text is embedded by which of a folder's words it has, however they are written."""
import json, pathlib
import numpy as np

class SentenceTransformer:
    def __init__(self, folder, device, local_files_only):
        self.words = json.loads((pathlib.Path(folder) / "words.json").read_text())

    def encode(self, texts, show_progress_bar):
        return np.array([[text.lower().split().count(word) for word in self.words] for text in texts], np.float32)
'''
CONFIG = """
[run]
output = "{folder}/run"
[[input]]
name = "notes"
paths = ["{folder}/notes.jsonl"]
columns = {{ id = "id", url = "url" }}
[spark]
master = "local[2]"
driver_memory = "1g"
shuffle_partitions = 2
[dedup.exact]
[dedup.near]
[dedup.semantic]
encoder = "{folder}/encoder"
min_similarity = {min_similarity}
same_language = false
[dedup.lines]
min_chars = 200
[mixture]
validation_fraction = 0.1
[tokenizer]
vocab_size = 300
"""


@pytest.mark.slow
def test_what_says_the_same_in_other_words_goes(tmp_path: Path, run_chaffinch) -> None:
    generator = random.Random(1)
    words = [f"word{number}" for number in range(300)]
    notes = {str(number): generator.choices(words, k=100 + number) for number in range(12)}
    notes["told again"] = generator.sample(notes["11"], k=100)  # another order: not one shingle in common
    notes["half told"] = generator.sample(notes["10"], k=55) + generator.choices(words, k=40)
    rows = [
        {"id": name, "url": f"http://notes.example/{name.replace(' ', '-')}", "text": " ".join(told)}
        for name, told in notes.items()
    ]
    (tmp_path / "notes.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder/words.json").write_text(json.dumps(words))
    (tmp_path / "package").mkdir()
    (tmp_path / "package/sentence_transformers.py").write_text(ENCODER)
    config = tmp_path / "run.toml"
    env = {"PYTHONPATH": str(tmp_path / "package")}

    def decided(min_similarity: float) -> tuple[dict[str, dict], set[str], str]:
        config.write_text(CONFIG.format(folder=tmp_path, min_similarity=min_similarity))
        said = run_chaffinch("run", str(config), "--until", "ledger", env=env).stderr
        rows = ds.dataset(str(tmp_path / "run/decisions"), format="parquet").to_table().to_pylist()
        by_url = {row["url"].rsplit("/", 1)[1]: row for row in rows}
        return by_url, {url for url, row in by_url.items() if row["stage"] == "dedup_semantic"}, said

    by_url, gone, _ = decided(0.9)
    assert gone == {"told-again"}
    fate = by_url["told-again"]
    assert (fate["verdict"], fate["reason"]) == ("dropped", "semantic_duplicate")
    assert (fate["kept_doc_id"], fate["threshold"]) == (by_url["11"]["doc_id"], 0.9)
    assert 0.93 < fate["value"] < 1
    ledger = json.loads((tmp_path / "run/ledger.json").read_text())
    assert ledger["text_cuts"][0] == {"stage": "dedup_semantic", "num_documents": 0, "num_bytes": 0}
    corpus = ds.dataset(str(tmp_path / "run/corpus"), format="parquet").to_table().column("doc_id").to_pylist()
    assert fate["doc_id"] not in corpus
    assert fate["kept_doc_id"] in corpus
    manifest = json.loads((tmp_path / "run/_work/dedup_semantic/_manifest.json").read_text())
    curve = {row["min_similarity"]: row["num_documents"] for row in manifest["details"]["at_similarity"]}
    assert curve[0.9] == 1
    assert curve[0.99] == 0
    told = run_chaffinch("explain", str(tmp_path / "run"), "http://notes.example/told-again").stdout
    assert "dropped by dedup_semantic: semantic_duplicate" in told
    assert f"most like {by_url['11']['doc_id']}" in told
    said = run_chaffinch("what-if", str(tmp_path / "run"), "--set", "filters.gopher_quality.min_words=5")
    assert "dedup_semantic" in said.stdout + said.stderr

    _, gone, said = decided(0.5)
    assert "embed_documents     skipped" in said  # embeddings stay
    assert gone >= {"told-again", "half-told"}
