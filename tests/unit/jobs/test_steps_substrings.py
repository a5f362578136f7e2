"""The step ``dedup_substrings`` on a run folder made by hand: what it cuts, whatever the partitioning."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_survivors import make_survivors

from jobs.run_context import RunContext
from jobs.steps_substrings import dedup_substrings_step
from pipeline import storage
from pipeline.progress import StageProgress
from pipeline.text_cuts import TEXT_CUT, cut_texts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NUM_UNITS = 5
WORDS = [f"word{number}" for number in range(5000)]


def planted(num_documents: int = 60) -> list[str]:
    """Texts of 200 random words; most have passages of 5 to 60 words in common with others, two are such alone."""
    generator = random.Random(5)
    shared = [" ".join(generator.choices(WORDS, k=length)) for length in (5, 19, 20, 21, 40, 60)]
    texts = []
    for _ in range(num_documents):
        pieces = [" ".join(generator.choices(WORDS, k=50)) for _ in range(4)]
        for passage in generator.sample(shared, 2):
            pieces.insert(generator.randrange(5), passage)
        texts.append("\n".join(pieces))
    return [*texts, shared[5], f"{shared[4]}\n\n{shared[5]}", "日本語" * 30, ""]


def make_run(folder: Path, texts: list[str], spark: SparkSession, num_partitions: int, **settings: Any) -> RunContext:
    """The run as it is when the step begins."""
    documents = [
        {
            "source": "ab"[i % 2],
            "text": text,
            "num_bytes": len(text.encode()),
            "lang": ["eng_Latn", None][i // 2 % 2],
        }
        for i, text in enumerate(texts)
    ]
    tables = {"dedup": {"substrings": {"min_tokens": 20, **settings}}}
    spark.conf.set("spark.sql.shuffle.partitions", str(num_partitions))
    return make_survivors(folder, documents, NUM_UNITS, tables, spark)


def perform(context: RunContext) -> tuple[dict[str, bytes], dict[str, dict[str, Any]]]:
    """Files that the step leaves, and its rows by doc_id."""
    step = dedup_substrings_step(context.config)
    context.fingerprints.update(dict.fromkeys(step.upstream, "0"))
    assert not context.is_finished(step)
    step.run(context, StageProgress(step.name))
    assert context.is_finished(step)
    folder = Path(context.folder("_work/dedup_substrings"))
    assert not storage.exists(context.folder("_work/dedup_substrings_scratch"))
    files = {path.name: path.read_bytes() for path in folder.glob("part-*.parquet")}
    rows = [row for name in files for row in pq.read_table(folder / name, schema=TEXT_CUT).to_pylist()]
    return files, {row["doc_id"]: row for row in rows}


def left(texts: list[str], cuts: dict[str, dict[str, Any]]) -> list[str]:
    rows = [cuts.get(f"{i:032x}", {"starts": [], "ends": []}) for i in range(len(texts))]
    kind = pa.list_(pa.int64())
    return cut_texts(
        pa.array(texts), *(pa.array([row[side] for row in rows], kind) for side in ("starts", "ends"))
    ).to_pylist()


def expected(texts: list[str], order: list[int], min_tokens: int, keep_first: bool = True) -> list[list[str]]:
    """Words that stay of each text, by comparing all passages; words are apart by white space, or single ideographs."""
    words = [list(text.replace("\n", " ").split()) if text.isascii() else list(text) for text in texts]
    places: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for rank, number in enumerate(order):
        for at in range(len(words[number]) - min_tokens + 1):
            places.setdefault(tuple(words[number][at : at + min_tokens]), []).append((rank, at))
    gone = set()
    for group in places.values():
        for rank, at in group:
            if any(
                (other != rank or abs(place - at) >= min_tokens) and ((other, place) < (rank, at) or not keep_first)
                for other, place in group
            ):
                gone |= {(order[rank], at + i) for i in range(min_tokens)}
    return [[word for at, word in enumerate(row) if (number, at) not in gone] for number, row in enumerate(words)]


def as_words(texts: list[str]) -> list[list[str]]:
    return [text.split() if text.isascii() else list(text) for text in texts]


@pytest.fixture(scope="module")
def runs(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory):
    """Files and rows for 1 and 7 partitions."""
    texts = planted()
    return texts, [
        perform(make_run(tmp_path_factory.mktemp("run"), texts, spark, num_partitions)) for num_partitions in (1, 7)
    ]


def test_partitions_do_not_show(runs):
    _, (one, seven) = runs
    assert one[0] == seven[0] != {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"window_tokens": 1}, {"window_tokens": 20}, {"keep": "none"}, {"scope": "source"}]
)
def test_four_partitions_other_windows_and_settings(settings, spark, tmp_path, runs):
    texts, ((files, _), *_) = runs
    found, cuts = perform(make_run(tmp_path, texts, spark, 4, **settings))
    if "window_tokens" in settings:
        assert found == files  # the cost changes, the cuts do not
    elif "keep" in settings:
        assert as_words(left(texts, cuts)) == expected(texts, list(range(len(texts))), 20, keep_first=False)
        assert {row["kept_doc_id"] for row in cuts.values()} == {None}
    else:
        of_source = [range(first, len(texts), 2) for first in (0, 1)]
        stays = left(texts, cuts)
        for numbers in of_source:
            own = [texts[number] for number in numbers]
            order = sorted(range(len(own)), key=lambda at: (-len(own[at].encode()), numbers[at]))
            assert as_words([stays[number] for number in numbers]) == expected(own, order, 20)


def test_what_stays_is_what_comparing_all_passages_leaves(runs):
    texts, ((_, cuts), *_) = runs
    order = sorted(range(len(texts)), key=lambda number: (-len(texts[number].encode()), number))
    assert as_words(left(texts, cuts)) == expected(texts, order, 20)
    assert sum(row["num_bytes_cut"] for row in cuts.values()) == sum(
        len(before.encode()) - len(after.encode()) for before, after in zip(texts, left(texts, cuts), strict=True)
    )


def test_emptied_documents_name_reason_and_survivor(runs):
    texts, ((_, cuts), *_) = runs
    passage_alone = cuts[f"{len(texts) - 4:032x}"]
    assert passage_alone["dropped_reason"] == "emptied_by_dedup_substrings"
    assert (passage_alone["value"], passage_alone["threshold"]) == (60.0, 20.0)
    source = texts[int(passage_alone["kept_doc_id"], 16)]
    assert texts[-4] in source
    assert len(source) == max(len(text) for text in texts if texts[-4] in text)
    assert passage_alone["detail"] == (
        f"1 repeated passage(s); the longest: 60 words, all in {passage_alone['kept_doc_id']}"
    )
    dropped = [row for row in cuts.values() if row["dropped_reason"] is not None]
    assert {row["doc_id"] for row in dropped} == {f"{len(texts) - 4:032x}", f"{len(texts) - 3:032x}"}
    repeats_itself = cuts[f"{len(texts) - 2:032x}"]
    assert (repeats_itself["num_bytes_cut"], repeats_itself["dropped_reason"]) == (3 * 69, None)
