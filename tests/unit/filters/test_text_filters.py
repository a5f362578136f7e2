"""Every rule at its threshold and one step to either side, on numbers and on real text; order, switches, languages."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from filters.registry import FILTERS, FiltersConfig, enabled_filters, judge, required_signals
from filters.rule import Filter, Rule
from filters.signals import SIGNALS_SCHEMA, MeasureConfig, measure
from pipeline.config import Config, parse
from pipeline.errors import ConfigError

STEP = 1e-9
RULES = [(filter_, rule) for filter_ in FILTERS for rule in filter_.rules]
IDS = [f"{filter_.name}-{rule.reason}" for filter_, rule in RULES]
# Ten different lines of eight different words each, which no filter minds.
GOOD_LINES = [
    " ".join(f"{start}{middle}le" for middle in ("ab", "ec", "id", "of", "ug", "an", "ep")) + f" {end}."
    for start, end in zip(
        "bcdfghklmn", ["the", "with", "and", "so", "far", "why", "not", "her", "him", "us"], strict=True
    )
]
GOOD = "\n".join(GOOD_LINES)
EVERYTHING = FiltersConfig.model_validate({filter_.name: {} for filter_ in FILTERS})


def passing_row(filter_: Filter, config: Config) -> dict[str, float]:
    """Signals on the good side of every threshold: on it, since all comparisons are strict."""
    row = dict.fromkeys([*SIGNALS_SCHEMA.names, "lang_score"], 0.0)
    for rule in filter_.rules:
        if rule.drop_if == "<":
            row[rule.signal] = getattr(config, rule.threshold)
    return row


def verdict(row: dict[str, Any], config: FiltersConfig) -> tuple[str, str, float, float] | None:
    outcome = judge(pa.RecordBatch.from_pylist([{"lang": "en", **row}]), config)
    if outcome.reason[0].as_py() is None:
        return None
    return tuple(column[0].as_py() for column in (outcome.stage, outcome.reason, outcome.value, outcome.threshold))


@pytest.mark.parametrize(("filter_", "rule"), RULES, ids=IDS)
def test_a_rule_fires_one_step_beyond_its_threshold(filter_: Filter, rule: Rule) -> None:
    config = FiltersConfig.model_validate({filter_.name: {}})
    threshold = getattr(getattr(config, filter_.name), rule.threshold)
    row = passing_row(filter_, getattr(config, filter_.name))
    bad, good = (threshold - STEP, threshold + STEP) if rule.drop_if == "<" else (threshold + STEP, threshold - STEP)
    assert verdict(row | {rule.signal: threshold}, config) is None
    assert verdict(row | {rule.signal: good}, config) is None
    assert verdict(row | {rule.signal: bad}, config) == (filter_.name, str(rule.reason), bad, threshold)


@pytest.mark.parametrize(("filter_", "rule"), RULES, ids=IDS)
def test_false_turns_a_rule_off(filter_: Filter, rule: Rule) -> None:
    config = parse({filter_.name: {rule.threshold: False}}, FiltersConfig, where="test.toml")
    row = passing_row(filter_, filter_.config_type())
    bad = -1.0 if rule.drop_if == "<" else 1e9
    found = verdict(row | {rule.signal: bad}, config)
    assert found is None or found[1] != rule.reason
    others = [other for other in filter_.rules if other.signal == rule.signal and other is not rule]
    assert (rule.signal in required_signals(config)) == bool(others)


def paragraphs(*texts: str) -> str:
    return "\n\n".join(texts)


LONG = "x" * 1200
TEXTS = [
    ("gopher_quality", "too_few_words", " ".join(["word"] * 49), " ".join(["the word and"] * 17)),
    ("gopher_quality", "too_many_words", "the and " * 50_001, "the and " * 50_000),
    ("gopher_quality", "words_too_short", "the be " + "to of " * 50, "the and " * 50),
    ("gopher_quality", "words_too_long", "the and " + "incomprehensible " * 50, "the and " + "ten-letter " * 50),
    ("gopher_quality", "too_many_hashes", "# " * 20 + "the and " * 50, "# " * 5 + "the and " * 50),
    ("gopher_quality", "too_many_ellipses", "the and… " * 50, "the and " * 50 + "…"),
    (
        "gopher_quality",
        "too_many_bullet_lines",
        "- the word and that\n" * 50,
        "- the word and that\n" * 40 + "the word and that\n" * 10,
    ),
    ("gopher_quality", "too_many_ellipsis_lines", "the and all of that ...\n" * 2 + GOOD.replace("\n", " "), GOOD),
    ("gopher_quality", "too_few_alphabetic_words", GOOD + " 123" * 40, GOOD + " 123" * 10),
    ("gopher_quality", "too_few_stop_words", "word thing " * 50, "the thing and " * 50),
    ("gopher_repetition", "duplicate_paragraphs", paragraphs("a", "a", "a", GOOD), paragraphs("a", "a", *GOOD_LINES)),
    ("gopher_repetition", "duplicate_paragraph_chars", paragraphs(*GOOD_LINES, *GOOD_LINES[:3]), GOOD),
    ("gopher_repetition", "duplicate_lines", "a\nb\na\nb\na\n" + GOOD_LINES[0], "a\na\n" + GOOD),
    ("gopher_repetition", "duplicate_line_chars", "\n".join([*GOOD_LINES, *GOOD_LINES[:3]]), GOOD),
    ("gopher_repetition", "frequent_2gram", "some word a some word b some word c", GOOD),
    ("gopher_repetition", "duplicated_5grams", f"{GOOD} {' '.join(GOOD_LINES[:3])}", GOOD),
    ("c4", "lorem_ipsum", GOOD + "\nThere is Lorem ipsum here.", GOOD + "\nThere is lorem here."),
    ("c4", "curly_brace", GOOD + "\nint main() { x; } y.", GOOD + "\nint main() [ x; ] y."),
    ("c4", "curly_brace", GOOD + "\nint main() { y.", GOOD + "\nint main() { y"),
    ("c4", "curly_brace", GOOD + "\nint main() { y.", GOOD + "\nint { javascript y."),
    ("c4", "curly_brace", GOOD + "\nint main() { y.", GOOD + f"\nint main() {{ {LONG} y."),
    ("c4", "too_few_sentences", "\n".join(GOOD_LINES[:4]), "\n".join(GOOD_LINES[:5])),
    (
        "c4",
        "too_few_sentences",
        "\n".join([*GOOD_LINES[:4], "We use cookies."]),
        "\n".join([*GOOD_LINES[:4], "A b c."]),
    ),
    ("fineweb", "too_few_lines_end_in_punctuation", GOOD.replace(".", ""), GOOD),
    ("fineweb", "too_many_short_lines", "Yes!\nNo!\nWhy?\n" + GOOD_LINES[0], GOOD),
    ("fineweb", "duplicate_line_chars", GOOD + "\n" + GOOD_LINES[0], GOOD),
    ("fineweb", "too_many_newlines", "Incomprehensibilities never rest.\n\n\n", GOOD),
]


@pytest.mark.parametrize(("name", "reason", "bad", "good"), TEXTS)
def test_a_text_with_one_fault_is_dropped_for_it(name: str, reason: str, bad: str, good: str) -> None:
    config = FiltersConfig.model_validate({name: {}})
    outcome = judge(measure(pa.array([bad, good]), MeasureConfig()), config)
    assert outcome.stage[0].as_py() == name
    assert outcome.reason[0].as_py() == reason
    assert outcome.reason[1].as_py() != reason


def test_a_good_text_passes_every_filter() -> None:
    signals = measure(pa.array([GOOD]), MeasureConfig()).to_pylist()[0]
    assert verdict(signals | {"lang_score": 0.99}, EVERYTHING) is None


def test_filters_run_in_the_order_of_the_recipe_whatever_the_order_of_the_tables() -> None:
    config = FiltersConfig.model_validate({filter_.name: {} for filter_ in reversed(FILTERS)})
    names = [filter_.name for filter_, _ in enabled_filters(config)]
    assert names == ["language", "gopher_repetition", "gopher_quality", "c4", "fineweb"]
    row = dict.fromkeys(SIGNALS_SCHEMA.names, 0.0) | {"lang_score": 0.1}
    assert verdict(row, config) == ("language", "language_uncertain", 0.1, 0.65)
    assert verdict(row | {"lang_score": 1.0}, config) == ("gopher_quality", "too_few_words", 0.0, 50.0)


def test_a_filter_without_a_table_does_not_run() -> None:
    assert enabled_filters(FiltersConfig()) == []
    assert required_signals(FiltersConfig()) == []
    assert judge(pa.RecordBatch.from_pylist([{"num_words": 0}]), FiltersConfig()).reason.to_pylist() == [None]


def test_what_was_not_measured_is_not_held_against_a_document() -> None:
    row = dict.fromkeys([*SIGNALS_SCHEMA.names, "lang_score", "lang"])
    batch = pa.RecordBatch.from_pylist(
        [row], schema=pa.schema([*SIGNALS_SCHEMA, ("lang_score", pa.float64()), ("lang", pa.string())])
    )
    assert judge(batch, EVERYTHING).reason.to_pylist() == [None]


def test_language_rules() -> None:
    config = FiltersConfig.model_validate({"language": {"languages": ["en", "fr"]}})
    batch = pa.RecordBatch.from_pylist(
        [{"lang": lang, "lang_score": score} for lang, score in [("en", 0.9), ("de", 0.9), ("fr", 0.6), (None, None)]]
    )
    assert required_signals(config) == ["lang", "lang_score"]
    outcome = judge(batch, config)
    assert outcome.reason.to_pylist() == [None, "language_not_wanted", "language_uncertain", None]
    assert outcome.stage.to_pylist() == [None, "language", "language", None]
    assert outcome.threshold.to_pylist() == [None, None, 0.65, None]


def test_a_filter_judges_its_languages_only() -> None:
    config = FiltersConfig.model_validate({"gopher_quality": {"languages": ["en"]}})
    signals = measure(pa.array(["Zu kurz."] * 3), MeasureConfig())
    batch = pa.RecordBatch.from_arrays(
        [*signals.columns, pa.array(["en", "de", None])], names=[*signals.schema.names, "lang"]
    )
    assert judge(batch, config).reason.to_pylist() == ["too_few_words", None, None]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"gopher_quality": {"min_words": 10, "max_words": 5}},
            "min_words = 10 is above max_words = 5, which drops every document; expected min_words <= max_words; "
            "lower one or raise the other (t.toml [gopher_quality])",
        ),
        ({"c4": {"min_sentences": -1}}, "min_sentences = -1 (t.toml [c4]); expected greater than or equal to 0"),
        ({"fineweb": {"max_short_line_fraction": 1.5}}, "max_short_line_fraction = 1.5 (t.toml [fineweb])"),
        ({"c4": {"min_sentences": True}}, "a threshold is true; expected a number, or false to turn the rule off"),
        ({"gopher": {}}, "unknown key 'gopher'"),
    ],
)
def test_impossible_values_are_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(document, FiltersConfig, where="t.toml")
    assert message in str(refused.value)
