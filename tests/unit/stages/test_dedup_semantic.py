"""SemDeDup's rule by hand and against a loop over all documents, however Spark cuts them; the recall of clusters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from pipeline.config import parse
from pipeline.errors import ConfigError
from pipeline.hashing import hash_keys
from pipeline.spherical_kmeans import Centroids, moved, sums_by_cluster
from pipeline.unit_vectors import cosine, quantise, squared_lengths
from stages.dedup_semantic import SemanticDedupConfig, nearest_earlier, semantic_duplicates

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Page(NamedTuple):
    """One document."""

    doc_id: str
    embedding: list[float] | None
    lang: str | None = "eng_Latn"
    num_bytes: int = 100
    dump: int = 0


def config(**settings: Any) -> SemanticDedupConfig:
    order = {"survivor_order": ("-num_bytes",)}
    return SemanticDedupConfig(**{"encoder": "e", "min_similarity": 0.9, "max_iterations": 2, **order, **settings})


def found(
    spark: SparkSession,
    folder: Path,
    pages: list[Page],
    settings: SemanticDedupConfig,
    *,
    num_partitions: int = 1,
    reach_dumps: int = 100,
    block_documents: int = 16_384,
) -> dict[str, tuple[str, str, float]]:
    """For each document that goes the one kept, the nearest and the similarity."""
    embeddings = spark.createDataFrame([page[:2] for page in pages], "doc_id string, embedding array<float>")
    rows = [(page.doc_id, page.lang, page.dump, page.dump, page.num_bytes) for page in pages]
    documents = spark.createDataFrame(rows, "doc_id string, lang string, age long, dump_index long, num_bytes long")
    nearest = nearest_earlier(
        embeddings.repartition(num_partitions),
        documents,
        settings,
        reach_dumps=reach_dumps,
        scratch=str(folder / "scratch"),
        block_documents=block_documents,
    )
    rows = semantic_duplicates(nearest, settings.min_similarity).collect()
    assert len(rows) == len({row["doc_id"] for row in rows})
    return {row["doc_id"]: (row["kept_doc_id"], row["nearest_doc_id"], row["similarity"]) for row in rows}


def angle(degrees: float) -> list[float]:
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


BY_HAND = [  # six directions in a plane; cosines: 10 degrees .985, 20 .940, 30 .866
    Page("a", angle(0), num_bytes=60),
    Page("b", angle(20), num_bytes=50),  # like a: goes
    Page("c", angle(40), num_bytes=40),  # like b, which is gone: goes all the same, and a stands for it
    Page("d", angle(70), num_bytes=30),  # .866 from c: stays
    Page("e", angle(180), num_bytes=20),  # stays
    Page("f", angle(75), num_bytes=10),  # like d
]


APART = [
    Page("short", [1.0, 0.0], "fra_Latn", 50, dump=0),
    Page("long", [1.0, 0.0], "fra_Latn", 100, dump=2),
    Page("translated", [1.0, 0.0], "deu_Latn", 70, dump=1),
    Page("unknown", [1.0, 0.0], None, 10, dump=1),
    Page("blank", None),
    Page("nothing", [0.0, 0.0]),
]


def test_the_rule_on_six_directions(spark: SparkSession, tmp_path: Path) -> None:
    kept = found(spark, tmp_path, [*BY_HAND, *APART], config(min_similarity=0.93))
    assert {doc_id: row[:2] for doc_id, row in kept.items()} == {
        "b": ("a", "a"),
        "c": ("a", "b"),
        "f": ("d", "d"),
        "long": ("short", "short"),  # which is of an older dump
    }
    assert kept["b"][2] == pytest.approx(np.cos(np.radians(20)), abs=5e-4)
    assert kept["long"][2] == 1.0


@pytest.mark.slow
def test_the_farthest_from_the_centroid_is_kept(spark: SparkSession, tmp_path: Path) -> None:
    """The paper's order: the centroid lies at 51 degrees, so b (20) comes first, then f (75), d (70) and c (40)."""
    pages = [page for page in BY_HAND if page.doc_id in "bcdf"]
    kept = found(spark, tmp_path, pages, config(keep="farthest", min_similarity=0.93))
    assert {doc_id: row[0] for doc_id, row in kept.items()} == {"c": "b", "d": "f"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "reach_dumps", "expected"),
    [
        ({}, 2, {}),
        ({"same_language": False}, 3, {"long": "short", "translated": "short", "unknown": "short"}),
        ({"same_language": False}, 2, {"long": "short", "translated": "short", "unknown": "short"}),
        ({"same_language": False}, 1, {"unknown": "translated"}),
    ],
)
def test_languages_and_dumps_stay_apart(
    spark: SparkSession, tmp_path: Path, settings: dict[str, Any], reach_dumps: int, expected: dict[str, str]
) -> None:
    kept = found(spark, tmp_path, APART, config(**settings), reach_dumps=reach_dumps)
    assert {doc_id: row[0] for doc_id, row in kept.items()} == expected
    assert {row[2] for row in kept.values()} <= {1.0}


@pytest.mark.slow
def test_a_corpus_without_embeddings(spark: SparkSession, tmp_path: Path) -> None:
    assert found(spark, tmp_path, APART[-2:], config()) == {}


# --- against a loop over all documents


def planted(num_groups: int, dim: int = 16) -> list[Page]:
    """Pairs and triples, their members at every angle from 0 to 60 degrees from the first, among others."""
    draw = np.random.default_rng(5)
    pages = []
    for group in range(num_groups):
        first = draw.normal(size=dim)
        first /= np.linalg.norm(first)
        for member in range(1 + group % 3):
            away = draw.normal(size=dim)
            away -= away @ first * first
            away /= np.linalg.norm(away)
            turn = np.radians(draw.uniform(0, 60)) if member else 0.0
            vector = np.cos(turn) * first + np.sin(turn) * away
            lang = ("eng_Latn", "deu_Latn")[int(draw.random() < 0.2)]
            size, dump = int(draw.integers(100, 140)), int(draw.integers(0, 3))
            pages.append(Page(f"{int(draw.integers(1 << 62)):032x}", vector.tolist(), lang, size, dump))
    return pages


def by_a_loop(pages: list[Page], settings: SemanticDedupConfig, reach_dumps: int) -> dict[str, tuple[str, float]]:
    """SemDeDup spelt out: k-means in one array, then each document against all before it in its cluster."""
    vectors = quantise(np.array([page.embedding for page in pages], np.float32))
    keys = (hash_keys(settings.seed, "dedup_semantic", [page.doc_id for page in pages]) >> np.uint64(1)).astype(int)
    num_clusters = settings.clusters_for(len(pages))
    share = num_clusters * settings.sample_per_cluster / len(pages)
    sample = vectors[keys < int(share * 2**63)] if share < 1 else vectors
    centroids = vectors[np.argsort(keys)[:num_clusters]]
    for _ in range(settings.max_iterations):
        centroids = moved(centroids, *sums_by_cluster([sample], centroids))
    clusters, products = Centroids(centroids).assign(vectors)
    squares = squared_lengths(vectors)
    to_centroid = cosine(products, squares, squared_lengths(centroids)[clusters])
    farthest = settings.keep == "farthest"
    order = sorted(
        range(len(pages)),
        key=lambda i: (pages[i].dump, to_centroid[i] if farthest else 0, -pages[i].num_bytes, pages[i].doc_id),
    )
    kept: dict[str, str] = {}
    gone: dict[str, tuple[str, float]] = {}
    for place, i in enumerate(order):
        others = [
            j
            for j in order[:place]
            if clusters[j] == clusters[i]
            and pages[i].dump - pages[j].dump < reach_dumps
            and (pages[j].lang == pages[i].lang or not settings.same_language)
        ]
        exact = {j: int(vectors[i].astype(int) @ vectors[j].astype(int)) for j in others}
        cosines = {j: float(cosine(np.array(exact[j]), squares[i], squares[j])) for j in others}
        nearest = max(others, key=lambda j: cosines[j], default=None)
        kept[pages[i].doc_id] = pages[i].doc_id
        if nearest is not None and cosines[nearest] >= settings.min_similarity:
            kept[pages[i].doc_id] = kept[pages[nearest].doc_id]
            gone[pages[i].doc_id] = (kept[pages[nearest].doc_id], cosines[nearest])
    return gone


@pytest.mark.parametrize(
    ("num_partitions", "block_documents", "settings", "reach_dumps"),
    [
        pytest.param(1, 16_384, {}, 100, marks=pytest.mark.slow),
        pytest.param(4, 7, {}, 100, marks=pytest.mark.slow),
        (7, 50, {"keep": "farthest", "sample_per_cluster": 40}, 2),
    ],
)
def test_the_same_as_a_loop_however_documents_are_cut(
    spark: SparkSession,
    tmp_path: Path,
    num_partitions: int,
    block_documents: int,
    settings: dict[str, Any],
    reach_dumps: int,
) -> None:
    pages = planted(500)
    assert len(pages) > 990
    chosen = config(num_clusters=5, seed=3, **settings)
    expected = by_a_loop(pages, chosen, reach_dumps)
    order = np.random.default_rng(num_partitions).permutation(len(pages))
    kept = found(
        spark,
        tmp_path,
        [pages[place] for place in order],
        chosen,
        num_partitions=num_partitions,
        reach_dumps=reach_dumps,
        block_documents=block_documents,
    )
    assert {doc_id: (row[0], row[2]) for doc_id, row in kept.items()} == expected
    assert 50 < len(expected) < 250


def test_what_clusters_cost() -> None:
    """Near pairs are found but where a border runs between them; what no document at all is like never goes."""
    pages = [page._replace(lang="eng_Latn", dump=0) for page in planted(300)]
    all_pairs = by_a_loop(pages, config(num_clusters=1), 1)
    for num_clusters in (4, 32):
        kept = by_a_loop(pages, config(num_clusters=num_clusters, max_iterations=5), 1)
        assert set(kept) <= set(all_pairs)
        assert 0.9 * len(all_pairs) <= len(kept) < len(all_pairs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_clusters": 3, "documents_per_cluster": 10}, "both say how many clusters there are"),
        ({"min_similarity": 1.5}, "less than or equal to 1"),
        ({"min_similarity": False}, "min_similarity"),
        ({"keep": "random"}, "keep"),
        ({"survivor_order": ["-doc_id"]}, "doc_id only breaks ties"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse({"encoder": "e", "min_similarity": 0.9, **settings}, SemanticDedupConfig, where="[dedup.semantic]")


def test_the_number_of_clusters_follows_the_corpus() -> None:
    assert [config(documents_per_cluster=100).clusters_for(n) for n in (1, 100, 101, 1000)] == [1, 1, 2, 10]
    assert config(num_clusters=7).clusters_for(10**9) == 7
