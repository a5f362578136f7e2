"""Repeated lines, paragraphs and sentence spans: against a loop over all texts, and against Dolma's spans."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.copies_in_memory import ranks
from pipeline.text_cuts import TEXT_CUT, cut_texts
from stages.dedup_lines import (
    REPEATED,
    LineDedupConfig,
    RepeatedKeys,
    count_keys,
    counted_schema,
    keys_of,
    repeated_keys,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DOLMA = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "neardup" / "dolma"
Texts = Sequence[tuple[str, str, str]]  # source, lang, text


def documents(texts: Texts, num_units: int = 1) -> dict[str, pa.RecordBatch]:
    """Texts dealt out to units; an earlier text is the better one."""
    units: dict[str, list[dict[str, Any]]] = {}
    for number, (source, lang, text) in enumerate(texts):
        rows = units.setdefault(f"u{number % num_units}", [])
        row = {"doc_id": f"{number:04d}", "source": source, "lang": lang, "num_bytes": 1, "row_index": len(rows)}
        rows.append({**row, "text": text, "unit": f"u{number % num_units}", "fetch_time": None})
    types = {field.name: field.type for field in counted_schema(LineDedupConfig().survivor_order)}
    schema = pa.schema(
        [("doc_id", pa.string()), ("source", pa.string()), ("lang", pa.string()), ("num_bytes", pa.int64()),
         ("row_index", pa.int64()), ("text", pa.string()), ("unit", pa.string()), ("fetch_time", types["fetch_time"])]
    )  # fmt: skip
    return {unit: pa.RecordBatch.from_pylist(rows, schema=schema) for unit, rows in units.items()}


def count(unit: str, batch: pa.RecordBatch, config: LineDedupConfig, rows_per_batch: int = 2) -> pa.Table:
    parts = [batch.slice(start, rows_per_batch) for start in range(0, batch.num_rows, rows_per_batch)]
    found, facts = keys_of(parts, config)
    return count_keys(unit, found, facts, ranks(facts, config.survivor_order))


def repeated_in_memory(counted: Sequence[pa.Table], config: LineDedupConfig) -> dict[str, pa.Table]:
    """What ``repeated_keys`` does, without Spark; the smallest doc_id is the best here."""
    rows = [row for table in counted for row in table.to_pylist()]
    totals: Counter[int] = Counter()
    best: dict[int, str] = {}
    for row in rows:
        totals[row["key"]] += row["count"]
        best[row["key"]] = min(row["doc_id"], best.get(row["key"], row["doc_id"]))
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["key"]):
        if totals[row["key"]] >= config.min_count:
            kept = best[row["key"]] if config.keep == "first" else None
            found.setdefault(row["unit"], []).append({"unit": row["unit"], "key": row["key"], "kept_doc_id": kept})
    return {unit: pa.Table.from_pylist(rows, schema=REPEATED) for unit, rows in found.items()}


def cuts(texts: Texts, config: LineDedupConfig, num_units: int = 1) -> dict[str, dict[str, Any]]:
    """``TEXT_CUT`` by doc_id."""
    units = documents(texts, num_units)
    repeated = repeated_in_memory([count(unit, batch, config) for unit, batch in units.items()], config)
    none = REPEATED.empty_table()
    cut = [RepeatedKeys(repeated.get(unit, none)).cut(batch, config) for unit, batch in units.items()]
    assert all(batch.schema == TEXT_CUT for batch in cut)
    return {row["doc_id"]: row for batch in cut for row in batch.to_pylist()}


def left(texts: Texts, config: LineDedupConfig, num_units: int = 1) -> list[str]:
    """The texts without what is cut."""
    found = cuts(texts, config, num_units)
    sides = ([found.get(f"{i:04d}", {}).get(side) for i in range(len(texts))] for side in ("starts", "ends"))
    lists = (pa.array(side, pa.list_(pa.int64())) for side in sides)
    return cut_texts(pa.array([text for *_, text in texts], pa.string()), *lists).to_pylist()


def config(**options: Any) -> LineDedupConfig:
    return LineDedupConfig.model_validate(options)


def plain(*texts: str) -> Texts:
    return [("web", "eng_Latn", text) for text in texts]


def reference(texts: Texts, settings: LineDedupConfig) -> list[str]:
    """Lines of the alphabet below, in one loop."""
    scope_of = {"source": lambda text: text[0], "language": lambda text: text[1], "global": lambda _: None}
    scope = scope_of[settings.scope]
    form = (lambda line: line.strip().lower()) if settings.normalise else str.strip
    pieces = [(scope(text), form(line)) for text in texts for line in text[2].split("\n") if line.strip()]
    counts = Counter(piece for piece in pieces if len(piece[1]) >= settings.min_chars)
    seen = set()
    found = []
    for text in texts:
        lines, touched = [], False
        for line in text[2].split("\n"):
            piece = (scope(text), form(line))
            repeats = bool(line.strip()) and counts[piece] >= settings.min_count
            goes = repeats and (settings.keep == "none" or piece in seen)
            seen.add(piece)
            touched |= goes
            lines += [] if goes else [line]
        kept = [line for line in lines if line.strip()]  # blank lines go with the line before them
        found.append("\n".join(kept).strip() if touched else text[2])
    return found


@settings(deadline=None, max_examples=200)
@given(
    texts=st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.sampled_from(["eng_Latn", "deu_Latn"]),
            st.lists(st.sampled_from(["x", "X", " y", "zz z", "w"]), max_size=4).map("\n".join),
        ),
        max_size=6,
    ),
    scope=st.sampled_from(["source", "language", "global"]),
    min_count=st.integers(2, 3),
    keep=st.sampled_from(["first", "none"]),
    min_chars=st.integers(1, 2),
    normalise=st.booleans(),
    num_units=st.integers(1, 4),
)
def test_a_loop_over_all_lines_cuts_the_same_whatever_the_units(texts: Texts, num_units: int, **options: Any) -> None:
    assert left(texts, config(**options), num_units) == reference(texts, config(**options))


def test_the_best_document_keeps_its_first_occurrence() -> None:
    texts = plain("short\nshared", "much longer\nShared!\nshared", "other")
    assert left(texts, config()) == ["short\nshared", "much longer", "other"]
    found = cuts(texts, config())["0001"]
    assert (found["starts"], found["ends"], found["num_bytes_cut"]) == ([11], [26], 15)
    assert (found["dropped_reason"], found["detail"]) == (None, "2 of 3 lines repeat")


def test_paragraphs_go_with_their_blank_lines_and_lines_within_stay() -> None:
    texts = plain("A b\nc.\n\nD e.\n\nF.", "G.\n\na B\nC\n\nD e.\nH")
    assert left(texts, config(unit="paragraph")) == [texts[0][2], "G.\n\nD e.\nH"]


def test_of_three_sentence_spans_all_but_the_first_go() -> None:
    story = "One came. Two left. Three stayed. Four slept."
    texts = plain(story, f"New start. {story} New end.", "Two left. Three stayed. And more.")
    assert left(texts, config(unit="sentence_span")) == [story, "New start. New end.", texts[2][2]]
    pairs = config(unit="sentence_span", sentences_per_span=2)
    assert left(texts, pairs)[2] == "And more."


def test_a_document_without_anything_left_is_dropped_with_its_share() -> None:
    found = cuts(plain("a\nb", "b\na", "a\nnew text"), config())
    assert found["0001"]["dropped_reason"] == "emptied_by_dedup_lines"
    assert (found["0001"]["value"], found["0001"]["threshold"]) == (1.0, None)
    assert found["0002"]["dropped_reason"] is None
    assert "0000" not in found


def test_a_document_that_would_lose_too_much_is_dropped() -> None:
    texts = plain("same line\nfirst", "same line\nx", "same line\nmuch more of its own")
    found = cuts(texts, config(max_cut_share=0.5))
    assert found["0001"]["dropped_reason"] == "mostly_repeated"
    assert (found["0001"]["value"], found["0001"]["threshold"]) == (10 / 11, 0.5)
    assert found["0002"]["dropped_reason"] is None


def test_nothing_repeats_in_an_empty_unit() -> None:
    assert cuts([], config()) == {}
    assert left(plain("", "only once"), config()) == ["", "only once"]


def test_keys_are_counted_the_same_in_spark(spark: SparkSession) -> None:
    texts = [(f"dump{i % 2}", "eng_Latn", f"own {i}\nall\n" + "pair\n" * (i < 3)) for i in range(12)]
    for options in ({}, {"keep": "none"}, {"scope": "global", "min_count": 4}):
        settings = config(**options)
        counted = [count(unit, batch, settings) for unit, batch in documents(texts, 3).items()]
        expected = repeated_in_memory(counted, settings)
        frame = spark.createDataFrame(pa.concat_tables(counted).to_pandas())
        for num_partitions in (1, 5):
            found = repeated_keys(frame.repartition(num_partitions, "key"), settings).collect()
            rows = sorted((row["unit"], row["key"], row["kept_doc_id"]) for row in found) if found else []
            by_hand = [tuple(row.values()) for table in expected.values() for row in table.to_pylist()]
            assert rows == sorted(by_hand) != []


@pytest.mark.skipif(not DOLMA.exists(), reason="needs ../shared/data/neardup/dolma")
def test_dolmas_paragraph_spans() -> None:
    """Dolma counts in characters, one more at the end of a text, and compares lines as they are."""

    def read(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in gzip.open(DOLMA / name)]

    originals = read("provided/documents/000.json.gz")
    expected = [
        entry["attributes"]["bff_duplicate_paragraph_spans"] for entry in read("expected/dedupe-paragraphs.json.gz")
    ]
    found = cuts(plain(*(document["text"] for document in originals)), config(normalise=False, scope="global"))
    for number, document in enumerate(originals):
        text = document["text"]
        gone = {i for start, end, _ in expected[number] for i in range(start, min(end, len(text)))}
        row = found.get(f"{number:04d}", {"starts": [], "ends": []})
        encoded = text.encode()
        ours = set()
        for start, end in zip(row["starts"], row["ends"], strict=True):
            ours |= set(range(len(encoded[:start].decode()), len(encoded[:end].decode())))
        assert {i for i in ours ^ gone if not text[i].isspace()} == set()
    assert sum(bool(spans) for spans in expected) == len(found) == 1
