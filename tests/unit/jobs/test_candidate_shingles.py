"""Texts of candidates, read again: the sets of the right rows, in a worker's unit and for a what-if."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.candidate_shingles import read_sets, shingle_unit
from jobs.config import DedupConfig
from jobs.run_folder import RunFolder
from jobs.what_if_sketches import sketches_at
from pipeline.kernels.shingle_sets import shingle_sets
from pipeline.kernels.shingles import Shingling
from pipeline.unit_of_work import UnitReport
from stages.dedup_near import SHINGLE_SET
from stages.minhash_signatures import MinHashConfig

NUM_DOCUMENTS = 700  # three batches
SHINGLING = Shingling(3)


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    texts = [f"page {number} stands on a pond of {number % 7} herons" for number in range(NUM_DOCUMENTS)]
    table = pa.table({"doc_id": [f"{number:032x}" for number in range(NUM_DOCUMENTS)], "text": texts})
    pq.write_table(table, folder / "part-x.parquet")
    return folder


@pytest.mark.parametrize("rows", [[0], [699], [0, 255, 256, 257, 511, 512, 699], list(range(NUM_DOCUMENTS))])
def test_a_unit_gives_the_sets_of_the_rows_on_its_list(documents: Path, tmp_path: Path, rows: list[int]) -> None:
    pq.write_table(pa.table({"row_index": pa.array(rows, pa.int64())}), tmp_path / "part-x.parquet")
    report = UnitReport(Counter(), {})
    batches = [outputs["sets"] for outputs in shingle_unit(str(documents), str(tmp_path), SHINGLING)("x", report)]
    found = pa.Table.from_batches(batches, SHINGLE_SET)
    chosen = pq.read_table(documents / "part-x.parquet").take(pa.array(rows, pa.int64()))
    assert found.column("doc_id").to_pylist() == chosen.column("doc_id").to_pylist()
    expected = shingle_sets(chosen.column("text").combine_chunks(), SHINGLING)
    assert found.column("shingles").to_pylist() == expected.to_pylist()
    assert report.counts["documents"] == len(rows)


def test_rows_are_read_batch_by_batch(documents: Path) -> None:
    batches = list(read_sets(str(documents / "part-x.parquet"), np.array([3, 300]), SHINGLING))
    assert [batch.num_rows for batch in batches] == [1, 1]


def test_a_what_if_reads_the_texts_of_the_places_it_asks_for(small_run: SimpleNamespace) -> None:
    pages = [place for place, page in enumerate(small_run.pages) if page["text"] is not None]
    places = np.array([pages[5], pages[-1], pages[0], pages[7]])  # of two units, in no order
    config = DedupConfig.model_validate({"minhash": MinHashConfig(shingle_words=2), "near": {"verify": "exact"}})
    texts = pa.array([small_run.pages[place]["text"] for place in places])
    expected = shingle_sets(texts, Shingling(2)).to_pylist()
    assert sketches_at(RunFolder(small_run.folder), places, config).to_pylist() == expected
    assert len(set(expected)) == len(expected)
