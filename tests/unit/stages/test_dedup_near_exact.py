"""Verification by exact Jaccard similarity, and what happens to texts too short for a shingle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from planted_pages import PlantedPages, make_pages

from pipeline.errors import ConfigError
from pipeline.kernels.shingle_sets import shingle_sets
from stages.dedup_near import NearDedupConfig, find_near_duplicates
from stages.minhash_signatures import MinHashConfig, make_stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MIN_SIMILARITY = 0.8


def sketched(doc_ids: list[str], texts: list[str], config: MinHashConfig) -> pa.Table:
    columns = {
        "doc_id": doc_ids,
        "text": texts,
        "num_bytes": pa.array([len(text.encode()) for text in texts], pa.int64()),
        "fetch_time": pa.nulls(len(texts), pa.timestamp("ms", tz="UTC")),
    }
    return pa.Table.from_batches([make_stage(config).apply(pa.record_batch(columns))]).drop_columns(["text_hash"])


def clusters(
    spark: SparkSession, table: pa.Table, scratch: Path, minhash: MinHashConfig, **config: Any
) -> dict[str, tuple[str, float]]:
    """Kept document and similarity to it, of each member of a cluster."""
    asked: list[int] = []

    def shingle_source(candidates: DataFrame) -> DataFrame:
        asked.append(candidates.count())
        sets = shingle_sets(table.column("text").combine_chunks(), minhash.shingling()).cast(pa.binary())
        found = pa.table({"doc_id": table.column("doc_id"), "shingles": sets})
        return spark.createDataFrame(found).join(candidates, on="doc_id", how="left_semi")

    found = find_near_duplicates(
        spark.createDataFrame(table.drop_columns(["text"])),
        NearDedupConfig(**config),
        scratch=str(scratch),
        shingle_sets=shingle_source,
    ).collect()
    assert len(asked) == (config.get("verify") == "exact")
    assert all(number < table.num_rows for number in asked)
    return {row["doc_id"]: (row["kept_doc_id"], row["similarity"]) for row in found}


@pytest.fixture(scope="module")
def pages() -> PlantedPages:
    return make_pages(300, seed=4)


def test_similarities_are_exact_and_no_false_link_is_made(
    spark: SparkSession, tmp_path: Path, pages: PlantedPages
) -> None:
    known = {frozenset((pages.doc_ids[i], pages.doc_ids[j])): jaccard for i, j, jaccard in pages.pairs}
    minhash = MinHashConfig(num_perm=128, num_bands=64)  # catches all pairs from .5 on, and many more
    found = clusters(
        spark,
        sketched(pages.doc_ids, pages.texts, minhash),
        tmp_path,
        minhash,
        verify="exact",
        min_similarity=MIN_SIMILARITY,
    )
    for doc_id, (kept, similarity) in found.items():
        assert similarity == (1.0 if doc_id == kept else known.get(frozenset((doc_id, kept)), 0.0))
    linked = [tuple(pair) for pair, jaccard in known.items() if jaccard >= MIN_SIMILARITY]
    assert {doc_id for pair in linked for doc_id in pair} == set(found)
    assert all(found[left][0] == found[right][0] for left, right in linked)
    survivors = {doc_id for doc_id, (kept, _) in found.items() if doc_id == kept}
    assert len(survivors) == num_components(linked)


def num_components(pairs: list[tuple[str, ...]]) -> int:
    group = {doc_id: {doc_id} for pair in pairs for doc_id in pair}
    for left, right in pairs:
        merged = group[left] | group[right]
        group |= dict.fromkeys(merged, merged)
    return len({id(members) for members in group.values()})


def test_texts_shorter_than_a_shingle_neither_collapse_nor_vanish(spark: SparkSession, tmp_path: Path) -> None:
    minhash = MinHashConfig(shingle_words=5)
    texts = ["Heron.", "heron", "pond", "the pond", "a heron", "…", "?!", ""]
    doc_ids = [f"{number:032x}" for number in range(len(texts))]
    found = clusters(spark, sketched(doc_ids, texts, minhash), tmp_path, minhash)
    assert found == {doc_ids[0]: (doc_ids[0], 1.0), doc_ids[1]: (doc_ids[0], 1.0)}


def test_exact_verification_without_texts_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    table = sketched(["0" * 32, "1" * 32], ["one two three"] * 2, MinHashConfig()).drop_columns(["text"])
    config = NearDedupConfig(verify="exact")
    with pytest.raises(ConfigError, match=r"verify = 'exact' without a source of shingle sets; expected"):
        find_near_duplicates(spark.createDataFrame(table), config, scratch=str(tmp_path))
