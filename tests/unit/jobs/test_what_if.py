"""What-if, threshold curves and derived thresholds on signals that are written down here: no text, no Spark."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from filters.gopher_quality import GOPHER_QUALITY
from filters.registry import FILTERS, FiltersConfig
from filters.signals import MeasureConfig
from jobs.cli import main
from jobs.config import RunConfig
from jobs.derive_thresholds import as_toml, derive_tables
from jobs.run_folder import RunFolder
from jobs.threshold_curve import SCHEMA
from jobs.threshold_curves import curves, write_curves
from jobs.what_if import what_if
from jobs.what_if_changes import read_changes, stored_config
from jobs.what_if_settle import settle
from pipeline.config import parse
from pipeline.errors import ConfigError, LedgerError
from pipeline.hashing import document_id
from pipeline.manifest import commit, file_entry
from pipeline.schema import DECISION, ENDED, score_type

NUM_PAGES = 400
SIGNALS = {rule.signal: f"{filter_.name}.{rule.threshold}" for filter_ in FILTERS for rule in filter_.rules}
CONFIG = {
    "run": {"seed": 5},
    "input": [{"name": "toy", "paths": ["*.warc"]}],
    "filters": {
        "language": {"languages": ["en", "de", "fi"], "min_score": 0.3},
        "gopher_quality": {
            **{rule.threshold: False for rule in GOPHER_QUALITY.rules},
            "min_words": 40,
            "max_mean_word_chars": 0.8,
            "min_mean_word_chars": 0.1,
            "max_hash_to_word_ratio": 0.9,
            "lang": {"fin_Latn": {"max_mean_word_chars": 0.95}},
        },
    },
    "mixture": {"alpha": 0.5, "budget_fraction": 0.8},
}


def pages() -> pa.Table:
    draw = np.random.default_rng(4)
    langs = draw.choice(
        ["eng_Latn", "deu_Latn", "fin_Latn", "rus_Cyrl", None], NUM_PAGES, p=[0.4, 0.2, 0.2, 0.15, 0.05]
    )
    is_page = draw.uniform(size=NUM_PAGES) < 0.95
    columns: dict[str, Any] = {
        "doc_id": [document_id("toy", number) for number in range(NUM_PAGES)],
        "url": [f"http://toy.example/{number}" for number in range(NUM_PAGES)],
        "lang": [lang if found else None for lang, found in zip(langs, is_page, strict=True)],
        "source": ["toy"] * NUM_PAGES,
        "domain": ["toy"] * NUM_PAGES,
        "num_bytes": pa.array(draw.integers(10, 1000, NUM_PAGES), mask=~is_page),
        "unit": ["0"] * NUM_PAGES,
        "page_index": list(range(NUM_PAGES)),
        "row_index": pa.array(np.cumsum(is_page) - 1, mask=~is_page),
        "text_hash": pa.nulls(NUM_PAGES, pa.binary()),
        "bands": pa.nulls(NUM_PAGES, pa.list_(pa.int64())),
        "signature": pa.nulls(NUM_PAGES, pa.binary()),
        "fetch_time": pa.nulls(NUM_PAGES, pa.timestamp("ms", tz="UTC")),
    }
    for name in SIGNALS:
        values = draw.integers(0, 100, NUM_PAGES) if "num_" in name else draw.uniform(0, 1, NUM_PAGES).round(2)
        columns[name] = pa.array(values, mask=~is_page | (draw.uniform(size=NUM_PAGES) < 0.02))
    for field in ENDED:
        columns[field.name] = pa.nulls(NUM_PAGES, field.type)
    columns["ended_reason"] = pa.array([None if found else "http_status" for found in is_page], pa.string())
    columns["ended_stage"] = pa.array([None if found else "read_warc" for found in is_page], pa.string())
    return pa.table(columns)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run that has come to its decisions."""
    return make_run(tmp_path, CONFIG, pages())


def make_run(root: Path, written: dict[str, Any], table: pa.Table) -> Path:
    config = RunConfig.model_validate({**written, "run": {**written["run"], "output": "unused"}})
    resolved = config.model_dump(mode="json", exclude={"spark"})
    del resolved["run"]["output"]
    (root / "run.json").write_text(json.dumps({"config": resolved}))
    _write(root, "signals", table)
    texts = pa.table({"text": [f"text of {row}" for row in range(NUM_PAGES)]})
    _write(root, "documents", texts)
    run = RunFolder(str(root))
    settled = settle(run, stored_config(run)).pages
    columns = {name: settled[name] for name in settled.column_names if name in DECISION.names}
    rest = {field.name: pa.nulls(NUM_PAGES, field.type) for field in DECISION if field.name not in columns}
    _write(root, "decisions", pa.table({**columns, **rest}).select(DECISION.names).cast(DECISION))
    return root


def _write(root: Path, name: str, table: pa.Table) -> None:
    (root / name).mkdir(exist_ok=True)
    pq.write_table(table, root / name / "part-0.parquet")
    entry = file_entry(str(root / name), "part-0.parquet", table.num_rows)
    commit(str(root / name), name=name, identities=(), upstream={}, files=[entry], schema=table.schema)


def fires(value: float | None, drop_if: str, threshold: float | None) -> bool:
    return None not in (value, threshold) and (value < threshold if drop_if == "<" else value > threshold)  # type: ignore[operator]


# --- what-if


def test_a_change_without_effect_changes_nothing(folder: Path) -> None:
    answer = what_if(str(folder), read_changes(["filters.gopher_quality.min_words=40"], None))
    assert answer.before == answer.after
    assert (answer.num_gained, answer.num_lost, answer.samples) == (0, 0, ())


def test_the_sums_are_those_of_the_fates(folder: Path) -> None:
    answer = what_if(str(folder), read_changes(["filters.gopher_quality.min_words=80"], None))
    for funnel in (answer.before, answer.after):
        assert funnel.num_kept + sum(entry.num_documents for entry in funnel.reasons) == NUM_PAGES
        assert funnel.stages[-1].num_kept == funnel.num_kept
        assert sum(entry.num_kept for entry in funnel.languages) == funnel.num_kept
    assert answer.after.num_kept - answer.before.num_kept == answer.num_gained - answer.num_lost
    assert answer.num_gained > 0, "a smaller corpus leaves room in the budget"
    assert answer.num_lost > 10


def test_samples_are_of_both_sides_and_those_with_the_smallest_ids(folder: Path) -> None:
    changes = read_changes(["filters.gopher_quality.min_words=80"], None)
    every, some = (what_if(str(folder), changes, num_samples=number).samples for number in (NUM_PAGES, 4))
    gained = sorted(page.doc_id for page in every if page.after.verdict == "kept")
    lost = sorted(page.doc_id for page in every if page.before.verdict == "kept")
    assert [page.doc_id for page in some] == gained[:2] + lost[:2]
    for page in every:
        assert {page.before.verdict, page.after.verdict} == {"kept", "dropped"}
        assert page.text_head.startswith("text of ")
        assert page.url is not None


def test_a_change_of_the_filter_s_own_threshold_reaches_languages_that_name_none(folder: Path) -> None:
    answer = what_if(str(folder), read_changes(["filters.gopher_quality.min_words=101"], None))
    assert answer.after.num_kept < answer.before.num_kept / 10  # all but what was not measured


def test_a_filter_that_the_run_did_without_and_one_taken_out(folder: Path) -> None:
    more = what_if(str(folder), read_changes(["filters.fineweb.max_short_line_fraction=0.1"], None))
    assert any(entry.stage == "fineweb" for entry in more.after.reasons)
    less = what_if(str(folder), read_changes(["filters.gopher_quality=false"], None))
    assert not any(entry.stage == "gopher_quality" for entry in less.after.reasons)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing is changed; expected --set KEY=VALUE or --changes FILE.toml"),
        (["--set", "extract.min_chars=3"], "[extract] decides what is read or measured"),
        (["--set", "dedup.minhash.seed=3"], "[dedup.minhash] decides what is read or measured"),
        (["--set", "clean_lines.apply=['c4']"], "[clean_lines] decides what is read or measured"),
        (["--set", "tokenizer.vocab_size=3"], "[tokenizer] has no say in which documents are kept"),
        (["--set", "filters.gopher_quality.min_wrds=3"], "did you mean 'min_words'?"),
        (["--set", "filters.gopher_quality.min_words=-3"], "expected greater than or equal to 0"),
        (["--set", "min_words"], "is not TOML"),
        (["--set", "filters.c4.languages=en"], "expected KEY=VALUE with strings in quotes"),
        (["--changes", "nowhere.toml"], "expected a TOML file of changes"),
        (["--set", "filters.ccnet.model='x'"], "x"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(folder: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["what-if", str(folder), *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_changes_of_a_file_go_under_those_of_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "changes.toml"
    path.write_text("[mixture]\nalpha = 0.1\nmax_epochs = 2.0\n", encoding="utf-8")
    assert read_changes(["mixture.alpha=0.2"], str(path)) == {"mixture": {"alpha": 0.2, "max_epochs": 2.0}}


def test_a_run_without_decisions_is_refused(folder: Path) -> None:
    (folder / "decisions" / "_manifest.json").unlink()
    with pytest.raises(ConfigError, match="no finished decisions/"):
        what_if(str(folder), {"mixture": {"alpha": 0.1}})


def test_decisions_of_another_run_are_noticed(folder: Path) -> None:
    table = pq.read_table(folder / "decisions" / "part-0.parquet")
    _write(folder, "decisions", table.slice(1))
    with pytest.raises(LedgerError, match="399 rows for 400 pages"):
        what_if(str(folder), {"mixture": {"alpha": 0.1}})


def test_text_and_json(folder: Path) -> None:
    arguments = ["what-if", str(folder), "--set", "filters.gopher_quality.min_words=80", "--samples", "2"]
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == 0, shown.output
    assert "too_few_words" in shown.stdout
    assert shown.stdout.count("http://toy.example/") == 2
    answer = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    assert answer["changes"] == {"filters": {"gopher_quality": {"min_words": 80}}}
    assert len(answer["samples"]) == 2


# --- curves


def test_curves_are_what_counting_gives(folder: Path) -> None:
    run = RunFolder(str(folder))
    table = curves(run)
    assert table.schema == SCHEMA
    documents = [row for row in pages().to_pylist() if row["row_index"] is not None]
    config = run.filters_config
    in_force = [(filter_, rule, getattr(config, filter_.name)) for filter_ in FILTERS for rule in filter_.rules]
    in_force = [(filter_, rule, table_of) for filter_, rule, table_of in in_force if table_of is not None]
    rows = table.to_pylist()
    for row in rows[:: max(1, len(rows) // 300)]:
        of_lang = [document for document in documents if (document["lang"] or "und") == row["lang"]]
        alone = [page for page in of_lang if not fires(page[row["signal"]], row["drop_if"], row["threshold"])]
        kept = [
            page
            for page in alone
            if page["lang"] != "rus_Cyrl"
            and not any(
                fires(page[rule.signal], rule.drop_if, table_of.threshold(rule.threshold, page["lang"]))
                for filter_, rule, table_of in in_force
                if (filter_.name, rule.threshold) != (row["filter"], row["key"])
            )
        ]
        assert row["num_documents"] == len(of_lang)
        assert row["num_bytes"] == sum(page["num_bytes"] for page in of_lang)
        assert row["documents_kept_alone"] == len(alone)
        assert row["bytes_kept_alone"] == sum(page["num_bytes"] for page in alone)
        assert row["documents_kept"] == len(kept)
        assert row["bytes_kept"] == sum(page["num_bytes"] for page in kept)
        assert row["tokens_kept_estimated_from_bytes"] is None


def test_every_rule_has_a_curve_with_its_threshold_in_force(folder: Path) -> None:
    table = pq.read_table(write_curves(str(folder)))
    assert {*zip(table["filter"].to_pylist(), table["key"].to_pylist(), strict=True)} == {
        (filter_.name, rule.threshold) for filter_ in FILTERS for rule in filter_.rules
    }
    of_rule = [row for row in table.to_pylist() if row["key"] == "max_mean_word_chars" and row["is_in_force"]]
    assert {row["lang"]: row["threshold"] for row in of_rule} == {
        "eng_Latn": 0.8, "deu_Latn": 0.8, "rus_Cyrl": 0.8, "und": 0.8, "fin_Latn": 0.95,
    }  # fmt: skip


# --- filters on scores

SHA256 = "0" * 64
BEFORE_SCORES = {"read_warc", "language", "gopher_quality"}
SCORES = {"quality_good": 1.0, "toxicity_rude": 1.0, "perplexity": 1000.0, "num_bad_words": 3.0}  # name: highest
MODELS = {
    "models": [
        {"name": "good", "path": "good.bin", "sha256": SHA256},
        {"name": "rude", "path": "rude.bin", "sha256": SHA256, "kind": "toxicity"},
    ],
    "bad_words": [{"language": "en", "path": "words.txt", "sha256": SHA256}],
    "perplexity": [{"language": "en", "path": "en.arpa", "sha256": SHA256}],
}
SCORED: dict[str, Any] = {
    "quality": {"model": "good", "min_score": 0.2, "lang": {"fin_Latn": {"min_score": 0.1}}},
    "toxicity": {"model": "rude", "max_score": 0.9},
    "bad_words": {"max_bad_words": 2},
    "ccnet": {"max_head_perplexity": 300, "max_middle_perplexity": 800, "keep": ["middle"]},
}
RULES_ON_SCORES = {
    ("quality", "min_score"), ("toxicity", "max_score"), ("bad_words", "max_bad_words"),
    ("ccnet", "max_head_perplexity"), ("ccnet", "max_middle_perplexity"),
}  # fmt: skip


def scored_run(root: Path, filters: dict[str, Any]) -> RunFolder:
    draw = np.random.default_rng(6)
    table = pages()
    missing = pa.compute.is_null(table["row_index"]).to_numpy()
    for name, highest in SCORES.items():
        values = draw.integers(0, 4, NUM_PAGES) if name == "num_bad_words" else draw.uniform(0, highest, NUM_PAGES)
        table = table.append_column(name, pa.array(values, score_type(name), mask=missing))
    config = {**CONFIG, "quality": MODELS, "filters": {**CONFIG["filters"], **filters}}  # type: ignore[dict-item]
    return RunFolder(str(make_run(root, config, table)))


def test_filters_on_scores_have_curves_and_rules_where_they_have_thresholds(tmp_path: Path) -> None:
    run = scored_run(tmp_path, SCORED)
    rows = curves(run).to_pylist()
    of_scores = [row for row in rows if row["filter"] in SCORED]
    assert {(row["filter"], row["key"]) for row in of_scores} == RULES_ON_SCORES
    assert {(found.filter_name, found.rule.threshold) for found in run.rules if found.filter_name in SCORED} == (
        RULES_ON_SCORES
    )
    settled = settle(run, stored_config(run)).pages
    assert {"quality_too_low", "too_toxic", "too_many_bad_words", "perplexity_head", "perplexity_tail"} <= {
        *settled["reason"].to_pylist()
    }
    # With every threshold where it is, what a curve says is kept is what is not dropped by any rule.
    by_rules = [row["lang"] or "und" for row in settled.to_pylist() if row["stage"] not in {*SCORED, *BEFORE_SCORES}]
    in_force = [row for row in of_scores if row["is_in_force"]]
    assert {row["lang"] for row in in_force} >= {"eng_Latn", "fin_Latn"}
    for row in in_force:
        assert row["documents_kept"] == by_rules.count(row["lang"]), row


@pytest.mark.parametrize(
    "filters",
    [
        {"quality": {"model": "good", "method": "top_fraction", "keep_fraction": 0.5}},
        {"quality": {"model": "good", "method": "pareto"}},
        {"ccnet": {}},
        {"ccnet": {"max_head_perplexity": 300, "max_middle_perplexity": 800, "keep": ["head", "tail"]}},
        {"bad_words": {"keep_fraction": 0.1}},
    ],
)
def test_what_draws_or_ranks_has_no_curve(tmp_path: Path, filters: dict[str, Any]) -> None:
    run = scored_run(tmp_path, filters)
    assert not {*filters} & {*curves(run)["filter"].to_pylist()}
    assert not {*filters} & {found.filter_name for found in run.rules}


def test_what_if_ranks_again_among_what_the_changed_filters_leave(tmp_path: Path) -> None:
    ranking = {"quality": {"model": "good", "method": "top_fraction", "keep_fraction": 0.5}}
    run = scored_run(tmp_path, ranking)
    answer = what_if(run.location, read_changes(["filters.gopher_quality.min_words=70"], None))
    dropped = Counter[str]()
    for entry in answer.after.reasons:
        dropped[entry.reason] += entry.num_documents
    (tmp_path / "changed").mkdir()
    rules: dict[str, Any] = CONFIG["filters"]["gopher_quality"]  # type: ignore[index]
    changed = {**ranking, "gopher_quality": {**rules, "min_words": 70}}
    pages_after = settle(
        scored_run(tmp_path / "changed", changed), stored_config(RunFolder(str(tmp_path / "changed")))
    ).pages.to_pylist()
    for lang in ("eng_Latn", "deu_Latn", "fin_Latn"):
        scored = run.rows("signals", ["doc_id", "quality_good"]).to_pylist()
        scores = {page["doc_id"]: page["quality_good"] for page in scored}
        reached = [page for page in pages_after if page["lang"] == lang and _reaches_quality(page)]
        kept = [page for page in reached if page["reason"] != "below_top_fraction"]
        assert len(kept) == int(len(reached) * 0.5 + 0.5)
        assert (
            sorted(scores[page["doc_id"]] for page in kept)
            == sorted(scores[page["doc_id"]] for page in reached)[len(reached) - len(kept) :]
        )
    assert dropped["below_top_fraction"] == sum(page["reason"] == "below_top_fraction" for page in pages_after)
    assert answer.before.num_kept > answer.after.num_kept


def _reaches_quality(page: dict[str, Any]) -> bool:
    return page["stage"] not in BEFORE_SCORES


# --- derived thresholds


def test_derived_tables_are_read_by_a_run_s_config(folder: Path) -> None:
    run = RunFolder(str(folder))
    tables = derive_tables(
        run, method="ten_tail", reference="en", filter_names=["gopher_quality", "language"], min_documents=20
    )
    document = tomllib.loads(as_toml(tables, method="ten_tail", reference="en"))
    config = parse(document["filters"], FiltersConfig, where="derived.toml")
    assert config.gopher_quality is not None
    assert {*config.gopher_quality.overrides()} == {"deu_Latn", "fin_Latn", "rus_Cyrl"}
    finnish = [page["mean_word_chars"] for page in pages().to_pylist() if page["lang"] == "fin_Latn"]
    values = [value for value in finnish if value is not None]
    highest = config.gopher_quality.threshold("max_mean_word_chars", "fin_Latn")
    assert highest is not None
    assert 0.05 < sum(value > highest for value in values) / len(values) <= 0.1
    assert config.gopher_quality.threshold("min_words", "fin_Latn") == 50, "counts stay the filter's own"
    assert config.language is not None
    assert "eng_Latn" in config.language.overrides()


def test_derive_writes_a_file_or_prints(folder: Path, tmp_path: Path) -> None:
    arguments = ["thresholds", "derive", str(folder), "--min-documents", "20"]
    printed = CliRunner().invoke(main, arguments)
    path = tmp_path / "derived.toml"
    written = CliRunner().invoke(main, [*arguments, "--output", str(path)])
    assert (printed.exit_code, written.exit_code) == (0, 0), printed.output + written.output
    assert written.stdout == f"{path}\n"
    assert path.read_text(encoding="utf-8") == printed.stdout
    assert "[filters.gopher_repetition.lang.fin_Latn]  # " in printed.stdout


def test_stop_words_are_the_most_frequent_words(folder: Path) -> None:
    arguments = ["thresholds", "derive", str(folder), "--min-documents", "20", "--stop-words"]
    printed = CliRunner().invoke(main, arguments)
    assert printed.exit_code == 0, printed.output
    document = tomllib.loads(printed.stdout)
    assert document["measure"]["stop_words"] == {
        lang: ["of", "text"] for lang in ("deu_Latn", "eng_Latn", "fin_Latn", "rus_Cyrl")
    }
    assert parse(document["measure"], MeasureConfig, where="derived.toml").stop_words["fin_Latn"] == ("of", "text")


def test_a_config_to_derive_from_is_run_first(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["thresholds", "derive", str(tmp_path / "absent.toml")])
    assert result.exit_code == 2
    assert "no config file at" in result.stderr


def test_too_few_documents_of_the_reference_language(folder: Path) -> None:
    arguments = ["thresholds", "derive", str(folder), "--reference", "sv"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "has 0 documents in swe_Latn, the reference language; expected 100 or more" in result.stderr
