"""A what-if tells what a full run with the changed config does, page by page."""

from __future__ import annotations

import functools
import json
import random
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.build_corpus import line_of, prepare
from jobs.config import RunConfig, load_run_config
from jobs.run_folder import RunFolder
from jobs.run_record import write_run_record
from jobs.what_if import Answer, what_if
from jobs.what_if_changes import read_changes
from jobs.what_if_funnel import funnel
from jobs.what_if_settle import settle
from pipeline.config import parse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

WORDS = {
    "en": "the heron stands still at edge of pond and waits for fish that have to come with rain over many reeds in"
    " winter while water is cold be it morning or evening",
    "de": "der Reiher steht am Rand des Teiches und wartet auf Fische die bei Regen durch das Schilf kommen im Winter"
    " wenn kaltes Wasser ruhig ist und der Morgen noch dunkel bleibt",
    "ru": "цапля стоит у края пруда и терпеливо ждёт рыбу которая приходит вместе с дождём через камыши зимой когда"
    " вода холодная а утро ещё тёмное и тихое",
}
CONFIG = """
[run]
output = "{output}"
seed = 3

[[input]]
name = "ponds"
paths = ["{folder}/ponds-*.jsonl"]

[filters.gopher_repetition]
max_top_2gram_char_fraction = 0.2

[filters.gopher_quality]
min_words = 40
min_stop_words = false
[filters.gopher_quality.lang.deu_Latn]
max_mean_word_chars = 12

[dedup.exact]

[dedup.near]
min_similarity = 0.7

[mixture]
alpha = 0.5
budget_fraction = 0.7
validation_fraction = 0.1
"""
# Each is a change of the config above; in this order the line redoes no more than it must.
CHANGES = {
    "the mixture": ["mixture.alpha=0.9", "mixture.budget_fraction=1.7"],
    "near copies": ["dedup.near.min_similarity=0.9", 'dedup.near.survivor_order=["num_bytes"]', "mixture.alpha=0.9"],
    "near copies by exact similarity": ['dedup.near.verify="exact"', "dedup.near.min_similarity=0.85"],
    "no deduplication": ["dedup.exact=false", "dedup.near=false"],
    "rules, so that copies and budget follow": [
        "filters.gopher_quality.min_words=25",
        "filters.gopher_quality.max_mean_word_chars=4.9",
        "filters.gopher_quality.lang.rus_Cyrl.min_words=70",
        "filters.language.min_score=0.8",
        "filters.gopher_repetition=false",
    ],
}


def texts(draw: random.Random) -> list[str]:
    """Documents in three languages, with copies and ever less similar near copies of some."""
    found = []
    for number in range(150):
        words = WORDS["en" if number % 2 else "de" if number % 3 else "ru"].split()
        text = [draw.choice(words) for _ in range(draw.randint(20, 110))]
        found.append(" ".join(text))
        if number % 4 == 0:
            found.append("  ".join(text))  # equal but for white space
        if number % 3 == 0:
            for num_changed in (1, 2, 4):
                changed = list(text)
                for _ in range(num_changed):
                    changed[draw.randrange(len(changed))] = draw.choice(words)
                found.append(" ".join(changed))
    draw.shuffle(found)
    return found


@pytest.fixture(scope="module")
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("what-if")
    documents = texts(random.Random(8))
    for part in range(3):
        lines = [json.dumps({"text": text, "url": f"http://pond.example/{n}"}) for n, text in enumerate(documents)]
        (folder / f"ponds-{part}.jsonl").write_text("\n".join(lines[part::3]), encoding="utf-8")
    path = folder / "run.toml"
    path.write_text(CONFIG.format(output=folder / "run", folder=folder), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run_line(spark: SparkSession) -> Callable[[RunConfig], None]:
    """The line up to ``decisions/``, in the session of the tests."""

    def run(config: RunConfig) -> None:
        context = prepare(config, base_dir=".")
        context._spark = spark
        write_run_record(context)
        for step in line_of(config):
            context.perform(step)
            if step.name == "sample_mixture":
                return

    return run


@pytest.fixture(scope="module")
def answers(config_file: Path, run_line: Callable[[RunConfig], None]) -> dict[str, Answer]:
    """What each change would do, asked before any of them is made."""
    config = load_run_config(config_file)
    run_line(config)
    return {name: what_if(config.run.output, read_changes(lines, None)) for name, lines in CHANGES.items()}


def test_what_is_asked_changes_something(answers: dict[str, Answer]) -> None:
    for name, answer in answers.items():
        assert answer.num_pages > 300
        assert answer.num_gained + answer.num_lost > 5, name
        assert answer.before == answers["near copies"].before
    reasons = {entry.reason for answer in answers.values() for entry in answer.after.reasons}
    assert {"exact_duplicate", "near_duplicate", "over_language_budget", "too_few_words", "words_too_long"} <= reasons


def changed(config_file: Path, lines: list[str]) -> RunConfig:
    """The run's own TOML with other lines in it."""
    document = tomllib.loads(config_file.read_text(encoding="utf-8"))
    for line in lines:
        key, _, value = line.partition("=")
        *tables, name = key.split(".")
        place = functools.reduce(lambda table, inner: table.setdefault(inner, {}), tables, document)
        place[name] = tomllib.loads(f"value = {value}")["value"]
        if place[name] is False and (tables[0] == "dedup" or len(tables) == 1):
            del place[name]
    return parse(document, RunConfig, where="changed.toml")


SLOW = ("near copies", "near copies by exact similarity", "no deduplication")  # a line of Spark jobs each


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CHANGES]
)
def test_the_answer_is_what_the_line_does(
    name: str, answers: dict[str, Answer], config_file: Path, run_line: Callable[[RunConfig], None]
) -> None:
    config = changed(config_file, CHANGES[name])
    run_line(config)
    run = RunFolder(config.run.output)
    columns = ["doc_id", "lang", "num_bytes", "stage", "reason", "value", "threshold", "copies", "kept_doc_id"]
    decided = run.rows("decisions", columns)
    assert answers[name].after == funnel(decided, config)
    settled = settle(run, config)
    doc_ids = settled.pages.column("doc_id").to_pylist()
    of_line = {row["doc_id"]: row for row in decided.to_pylist()}
    for place, page in enumerate(settled.pages.to_pylist()):
        expected = of_line[page["doc_id"]]
        compared = ["stage", "reason", "copies", "lang", "num_bytes"]
        if page["stage"] in ("dedup_exact", "dedup_near"):
            assert doc_ids[settled.kept_place[place]] == expected["kept_doc_id"]
        else:
            compared += ["value", "threshold"]
        assert {column: page[column] for column in compared} == {column: expected[column] for column in compared}
