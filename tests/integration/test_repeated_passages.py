"""A run with ``[dedup.substrings]`` through the command line: corpus, fates, ledger and ``explain``."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow.dataset as ds
import pytest

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
[dedup.substrings]
min_tokens = 40
[mixture]
alpha = 1.0
validation_fraction = 0.1
[tokenizer]
vocab_size = 300
"""


@pytest.mark.slow
def test_a_passage_stays_in_one_document(tmp_path: Path, run_chaffinch) -> None:
    generator = random.Random(1)
    words = [f"word{number}" for number in range(3000)]
    long, short = (" ".join(generator.choices(words, k=length)) for length in (60, 39))
    notes = {"alone": long}
    for number in range(12):
        front, back = (" ".join(generator.choices(words, k=80 + number)) for _ in range(2))
        notes[str(number)] = "\n".join([front, *[[long], [short], []][number % 3], back])
    rows = [{"id": name, "url": f"http://notes.example/{name}", "text": text} for name, text in notes.items()]
    (tmp_path / "notes.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = tmp_path / "run.toml"
    config.write_text(CONFIG.format(folder=tmp_path))
    run_chaffinch("run", str(config), "--until", "ledger")

    output = tmp_path / "run"
    corpus = ds.dataset(str(output / "corpus"), format="parquet").to_table().to_pylist()
    expected = {
        f"http://notes.example/{name}": text if name == "9" else text.replace(f"{long}\n", "")  # 9 is the longest
        for name, text in notes.items()
        if name != "alone"
    }
    assert {row["url"]: row["text"] for row in corpus} == expected
    decisions = ds.dataset(str(output / "decisions"), format="parquet").to_table().to_pylist()
    by_url = {row["url"].rsplit("/", 1)[1]: row for row in decisions}
    alone = by_url["alone"]
    assert (alone["stage"], alone["reason"]) == ("dedup_substrings", "emptied_by_dedup_substrings")
    assert (alone["value"], alone["threshold"], alone["kept_doc_id"]) == (60.0, 40.0, by_url["9"]["doc_id"])
    num_bytes = len(long) + 1
    ledger = json.loads((output / "ledger.json").read_text())
    assert ledger["text_cuts"] == [{"stage": "dedup_substrings", "num_documents": 3, "num_bytes": 3 * num_bytes}]
    told = run_chaffinch("explain", str(output), "http://notes.example/3").stdout
    assert f"the longest: 60 words, all in {by_url['9']['doc_id']}" in told
