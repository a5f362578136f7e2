"""Planted evaluation items are found in every setting, cut or dropped, and reported with their place."""

from __future__ import annotations

import functools
import json
import random
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from filters.evaluation_sets import PASSAGE, EvaluationSet, read_passages
from pipeline.config import parse
from pipeline.errors import ConfigError
from pipeline.ngram_index import NgramIndex, build_index
from pipeline.text_cuts import cut_texts
from stages.decontaminate import DecontaminateConfig, find_hits, judge_hits, resolve

EVALS = Path(__file__).resolve().parents[4] / "shared" / "data" / "evals"
QUESTIONS = [
    "A heron catches 3 fish an hour and eats two of them. How many fish has it left after 8 hours at the pond?",
    "The miller's wheel turns 12 times a minute; how often does it turn in one well-kept, sunny half-hour of May?",
    "Who built the old stone bridge?",
    "Wie viele Störche überwintern, wenn von 400 Störchen im Herbst drei Viertel nach Süden fliegen und einer umkehrt?",
    "如果一只苍鹭每小时捕三条鱼，吃掉两条，那么八小时之后它还剩下多少条鱼？",
    "كم سمكة تبقى مع البلشون إذا اصطاد ثلاث سمكات في الساعة وأكل اثنتين منها طوال ثماني ساعات كاملة؟",
    "def clamp(value: float, low: float, high: float) -> float:\n    return max(low, min(high, value))  # inclusive",
]
FILLER = (
    "The swifts come back to the tower in May and leave it again before the end of July when the nights grow long. "
)


def upper(text: str) -> str:
    return text.upper()


def swapped(text: str) -> str:
    return text.swapcase()


def without_punctuation(text: str) -> str:
    return re.sub(r"[^\w\s]|_", "", text)


def spaced_punctuation(text: str) -> str:
    return re.sub(r"[^\w\s]|_", " ", text)


def more_punctuation(text: str) -> str:
    generator = random.Random(1)
    return re.sub(r"\s+", lambda _: generator.choice([", ", " - ", "; ", "\n", "  "]), text)


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c in string.ascii_letters + string.digits else c for c in text)


SETTINGS: list[Callable[[str], str]] = [
    *(str, upper, str.lower, swapped, str.title, without_punctuation, spaced_punctuation, more_punctuation, full_width)
]


def table(texts: list[str]) -> pa.Table:
    columns = {
        "set": ["birds"] * len(texts),
        "item_index": range(len(texts)),
        "field": ["question"] * len(texts),
        "part_index": [0] * len(texts),
        "text": texts,
    }
    return pa.table(columns, schema=PASSAGE)


def index_of(passages: pa.Table, config: DecontaminateConfig) -> NgramIndex:
    text = passages.column("text").combine_chunks()
    return build_index(text, ngram_words=config.ngram_words, min_words=config.min_item_words)


def settings(**keys: Any) -> DecontaminateConfig:
    return DecontaminateConfig(set=(EvaluationSet(name="birds", path="birds.jsonl", fields=("question",)),), **keys)


def documents(texts: list[str]) -> pa.RecordBatch:
    rows = range(0, 3 * len(texts), 3)
    return pa.RecordBatch.from_pydict(
        {
            "doc_id": [f"{row:032x}" for row in rows],
            "unit": ["u"] * len(texts),
            "row_index": pa.array(rows, pa.int64()),
            "text": pa.array(texts, pa.string()),
        }
    )


def judged(
    texts: list[str], passages: pa.Table, config: DecontaminateConfig, too_common: tuple[int, ...] = ()
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of ``TEXT_CUT`` and ``FINDING``."""
    index, batch = index_of(passages, config), documents(texts)
    cuts, findings = judge_hits(
        batch,
        find_hits(batch, index),
        index=index,
        passages=passages,
        too_common=np.array(too_common, np.int32),
        config=config,
    )
    return cuts.to_pylist(), findings.to_pylist()


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_planted_item_is_found_in_every_setting(setting: Callable[[str], str]):
    texts = [f"{FILLER * 3}{setting(question)} {FILLER * 3}" for question in QUESTIONS]
    cuts, findings = judged(texts, table(QUESTIONS), settings())
    assert [(row["item_index"], row["row_index"]) for row in findings] == [(i, 3 * i) for i in range(len(QUESTIONS))]
    for row, question, text in zip(findings, QUESTIONS, texts, strict=True):
        start = len(text[: len(FILLER) * 3].encode())
        planted = range(start, start + len(setting(question).encode()))
        assert row["starts"][0] in planted
        assert row["ends"][-1] - 1 in planted
        assert row["share"] > 0.3
    assert len(cuts) == len(texts)


@functools.cache
def published() -> tuple[pa.Table, NgramIndex]:
    """Passages of GSM8K, HumanEval and XQuAD, and their index."""
    gsm8k, human_eval = "gsm8k/grade_school_math/data/test.jsonl", "human-eval/data/HumanEval.jsonl.gz"
    xquad = {"items": "data.paragraphs", "fields": ("context", "qas.question")}
    sets = (
        EvaluationSet(name="gsm8k", path=str(EVALS / gsm8k), fields=("question", "answer")),
        EvaluationSet(name="human_eval", path=str(EVALS / human_eval), fields=("prompt", "canonical_solution")),
        *(
            EvaluationSet(name=f"xquad_{lang}", path=str(EVALS / f"xquad/xquad.{lang}.json"), **xquad)
            for lang in ("ar", "de", "en", "es", "ru", "zh")
        ),
    )
    passages = read_passages(sets)
    return passages, index_of(passages, DecontaminateConfig(set=sets))


@pytest.mark.skipif(not EVALS.is_dir(), reason="../shared/data/evals is not here")
@pytest.mark.parametrize("setting", SETTINGS[:8])
def test_every_item_of_published_sets_is_found(setting: Callable[[str], str]):
    """One document for each item; each of its passages that is long enough is found in it."""
    passages, index = published()
    keys = list(zip(*(passages.column(name).to_pylist() for name in ("set", "item_index")), strict=True))
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    texts: list[list[str]] = [[] for _ in numbers]
    for key, text in zip(keys, passages.column("text").to_pylist(), strict=True):
        texts[numbers[key]].append(setting(text))
    hits = index.find(pa.array(["\n\n".join(parts) for parts in texts]))
    num_owners = np.diff(index.owner_bounds)[hits.ngrams]
    first = np.repeat(index.owner_bounds[hits.ngrams] - np.cumsum(num_owners) + num_owners, num_owners)
    owners = index.owners[first + np.arange(num_owners.sum())]
    found = np.unique(np.repeat(hits.rows, num_owners) * len(keys) + owners)
    is_long_enough = index.num_ngrams_of > 0
    wanted = np.array([numbers[key] * len(keys) + i for i, key in enumerate(keys)])[is_long_enough]
    assert len(numbers) == 1319 + 164 + 6 * 240
    assert np.setdiff1d(wanted, found).size == 0
    assert np.unique(wanted // len(keys)).size == len(numbers)  # every item has such a passage
    assert np.count_nonzero(~is_long_enough) < 0.02 * len(keys)


def test_windows_are_cut_and_the_rest_stays():
    text = f"{FILLER * 5}{QUESTIONS[0]} {FILLER * 5}"
    cuts, findings = judged([FILLER, text], table(QUESTIONS), settings())
    (cut,) = cuts
    assert (cut["row_index"], cut["dropped_reason"]) == (3, None)
    assert cut["detail"] == "birds item 0 question: 100% of its n-grams"
    left = cut_texts(*(pa.array([cut_]) for cut_ in (text, cut["starts"], cut["ends"])))[0].as_py()
    assert "heron" not in left
    assert 2 * (5 * len(FILLER) - 260) < len(left) < 2 * (5 * len(FILLER) - 200)
    assert len(text) - len(left) == cut["num_bytes_cut"]
    assert set(left.split()) <= set(FILLER.split())  # no word is cut in two, none joined
    (finding,) = findings
    assert finding["num_ngrams_found"] == finding["num_ngrams"] > 10
    at = text.encode()[finding["starts"][0] : finding["ends"][0]].decode()
    assert at == QUESTIONS[0].rstrip("?")


@pytest.mark.parametrize(
    ("keys", "text", "reason", "value", "threshold"),
    [
        ({"action": "drop"}, f"{FILLER * 20}{QUESTIONS[0]}", "holds_evaluation_text", 1.0, 0.0),
        ({"action": "drop", "min_item_share": 0.9}, QUESTIONS[0], "holds_evaluation_text", 1.0, 0.9),
        ({}, f"{FILLER}{QUESTIONS[0]}", "emptied_by_decontaminate", 1.0, 0.0),
        ({}, f"{FILLER * 8}{QUESTIONS[2]} " * 11, "too_many_contaminated_pieces", 11.0, 10.0),
        ({}, f"{FILLER * 8}{QUESTIONS[2]} " * 10, None, None, None),
        ({"max_pieces": None}, f"{FILLER * 8}{QUESTIONS[2]} " * 11, None, None, None),
        ({"max_pieces": 1}, f"{FILLER * 8}{QUESTIONS[2]} {FILLER * 8}", "too_many_contaminated_pieces", 2.0, 1.0),
    ],
)
def test_reasons(keys: dict[str, Any], text: str, reason: str | None, value: float | None, threshold: float | None):
    cuts, _ = judged([text], table(QUESTIONS), settings(**keys))
    assert [(row["dropped_reason"], row["value"], row["threshold"]) for row in cuts] == [(reason, value, threshold)]


def test_one_ngram_of_a_passage_is_enough_unless_a_share_is_asked_for():
    part = " ".join(QUESTIONS[0].split()[:14])
    cuts, findings = judged([part], table(QUESTIONS), settings())
    assert [(row["num_ngrams_found"], row["num_ngrams"]) for row in findings] == [(2, 12)]
    assert len(cuts) == 1
    assert judged([part], table(QUESTIONS), settings(min_item_share=0.2)) == ([], [])
    assert judged([part], table(QUESTIONS), settings(min_item_share=0.16)) == (
        [{**cuts[0], "threshold": 0.16}],
        findings,
    )


def test_common_ngrams_do_not_count():
    index = index_of(table(QUESTIONS), settings())
    everything = tuple(range(index.num_ngrams))
    assert judged(QUESTIONS, table(QUESTIONS), settings(), too_common=everything) == ([], [])
    hits = index.find(pa.array([QUESTIONS[0]]))
    _, findings = judged(QUESTIONS[:1], table(QUESTIONS), settings(), too_common=tuple(hits.ngrams[:4].tolist()))
    assert findings[0]["num_ngrams_found"] == findings[0]["num_ngrams"] - 4


def test_an_item_in_two_sets_is_reported_for_both():
    _, findings = judged([QUESTIONS[0]], table([QUESTIONS[0], "x" * 20, QUESTIONS[0]]), settings())
    assert [row["item_index"] for row in findings] == [0, 2]


def test_batches_do_not_show():
    texts = [FILLER, *(f"{FILLER * 4}{question} {FILLER * 4}" for question in QUESTIONS), FILLER]
    config, passages = settings(), table(QUESTIONS)
    index = index_of(passages, config)
    whole = documents(texts)
    results = []
    for size in (1, 4, len(texts)):
        cuts: list[Any] = []
        findings: list[Any] = []
        for start in range(0, len(texts), size):
            batch = whole.slice(start, size)
            hits = find_hits(batch, index)
            empty = np.array([], np.int32)
            parts = judge_hits(batch, hits, index=index, passages=passages, too_common=empty, config=config)
            cuts += parts[0].to_pylist()
            findings += parts[1].to_pylist()
        results.append((cuts, findings))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"ngram_words": 7}, "greater than or equal to 8"),
        ({"ngram_words": 51}, "less than or equal to 50"),
        ({"action": "drop", "window_chars": 100}, "window_chars is about cutting"),
        ({"min_item_share": 1.5}, "less than or equal to 1"),
    ],
)
def test_impossible_values_are_refused(keys: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        settings(**keys)


@pytest.mark.parametrize("action", ["cut", "drop"])
def test_a_config_as_run_json_keeps_it_is_read_again(action: str):
    config = settings(action=action, min_item_share=0.5)
    assert parse(config.model_dump(mode="json"), DecontaminateConfig, where="run.json") == config


def test_two_sets_of_one_name_are_refused():
    entry = EvaluationSet(name="birds", path="birds.jsonl", fields=("question",))
    with pytest.raises(ValidationError, match="two sets are named 'birds'"):
        DecontaminateConfig(set=(entry, entry))


def test_it_is_read_from_a_table_and_resolved_by_digest(tmp_path: Path):
    path = tmp_path / "birds.jsonl"
    path.write_text("".join(json.dumps({"question": question}) + "\n" for question in QUESTIONS), encoding="utf-8")
    document = {"set": [{"name": "birds", "path": str(path), "fields": ["question"]}], "max_pieces": False}
    config = parse(document, DecontaminateConfig, where="run.toml")
    assert config.max_pieces is None
    first = resolve(config)
    path.write_text(path.read_text(encoding="utf-8").replace("heron", "stork"), encoding="utf-8")
    assert resolve(config) != first
    with pytest.raises(ConfigError, match="get the right file"):
        resolve(first)
