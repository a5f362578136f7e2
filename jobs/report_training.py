"""The report's sections on text and tokens: redaction, tokenizers, shards, the trained model, config and versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc

from jobs import report_figures as figures
from jobs.report_figures import MAX_BARS
from jobs.report_page import PageTable, Section, code, ident, num, text, unfinished
from jobs.run_folder import RunFolder
from jobs.written_numbers import count, plural, share, short_hash, size
from pipeline import storage
from pipeline.shard_manifest import load_manifest

TRAIN_FOLDER = "training"
_COLOURS = (figures.KEPT, figures.SECOND, figures.LOST, figures.DROPPED)
_MAX_CURVE_POINTS = 2000


def redaction(run: RunFolder) -> Section:
    """How much personal data was replaced, by language."""
    title = "Personal data"
    if not run.is_finished("corpus"):
        return unfinished("redaction", title, "corpus/")
    config = run.record["config"].get("pii")
    if config is None:
        return Section("redaction", title, ["Redaction is off: the config has no [pii]."])
    rows = run.rows("corpus", ["lang", "num_redactions"])
    touched = rows.append_column("touched", pc.greater(rows.column("num_redactions"), 0).cast("int64"))
    totals = touched.group_by("lang").aggregate(
        [("num_redactions", "sum"), ("touched", "sum"), ("num_redactions", "count")]
    )
    found = sorted(totals.to_pylist(), key=lambda row: (-row["num_redactions_sum"], row["lang"]))
    table_rows = [
        (row["lang"], count(row["num_redactions_count"]), count(row["touched_sum"]),
         share(row["touched_sum"], row["num_redactions_count"]), count(row["num_redactions_sum"]))
        for row in found
    ]  # fmt: skip
    entities = ", ".join(config.get("entities", ()))
    num_redactions = sum(row["num_redactions_sum"] for row in found)
    num_touched = sum(row["touched_sum"] for row in found)
    sentence = (
        f"{plural(num_redactions, 'replacement')} in {plural(num_touched, 'document')} "
        f"({share(num_touched, rows.num_rows)} of those kept). Looked for: {entities}."
    )
    columns = (text("language"), num("documents"), num("with redactions"), num("share"), num("redactions"))
    return Section("redaction", title, [sentence], tables=[PageTable(columns, table_rows)])


def tokenizers(run: RunFolder) -> Section:
    """The vocabularies trained, compared by bytes per token."""
    title = "Tokenizers"
    if not run.is_finished("tokenizer"):
        return unfinished("tokenizers", title, "tokenizer/")
    report = storage.read_json(run.path("tokenizer/report.json"))
    candidates: list[dict[str, Any]] = report["candidates"]
    chosen: str = report["use"]
    names = [f"{entry['kind']} (chosen)" if entry["kind"] == chosen else entry["kind"] for entry in candidates]
    per_language = [entry["evaluation"]["per_language"] for entry in candidates]
    langs = sorted({lang for found in per_language for lang in found})
    langs.sort(key=lambda lang: -max(found.get(lang, {}).get("num_bytes", 0) for found in per_language))
    shown = langs[:MAX_BARS]
    series = [
        (name, [found.get(lang, {}).get("bytes_per_token") or 0 for lang in shown], _COLOURS[index % len(_COLOURS)])
        for index, (name, found) in enumerate(zip(names, per_language, strict=True))
    ]
    figure = figures.bars("plot-tokenizers", "Bytes per token", shown, series, number_format=".2f")
    overall = [
        (
            name,
            count(entry["vocab_size"]),
            _ratio(entry["evaluation"]["overall"]["bytes_per_token"]),
            _ratio(entry["evaluation"]["overall"]["tokens_per_word"]),
            size(entry["evaluation"]["overall"]["num_bytes"]),
            count(entry["evaluation"]["overall"]["num_round_trip_failures"]),
        )
        for name, entry in zip(names, candidates, strict=True)
    ]
    columns = (
        text("tokenizer"), num("vocabulary"), num("bytes per token"), num("tokens per word"), num("measured on"),
        num("texts not given back"),
    )  # fmt: skip
    by_language = [
        (lang, *(_ratio(found.get(lang, {}).get("bytes_per_token")) for found in per_language)) for lang in langs
    ]
    tables = [
        PageTable(columns, overall),
        PageTable((text("language"), *(num(name) for name in names)), by_language, title="Bytes per token by language"),
    ]
    splits = " and ".join(sorted({entry["evaluated_split"] for entry in candidates}))
    sentence = f"{chosen} was chosen. Measured on {splits} text; more bytes per token means shorter sequences."
    return Section("tokenizers", title, [sentence], [figure] if shown else [], tables)


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def shards(run: RunFolder) -> Section:
    """What a trainer reads."""
    title = "Shards"
    if not run.is_finished("shards"):
        return unfinished("shards", title, "shards/")
    manifest = load_manifest(run.path("shards"))
    rows = [
        (entry.name, entry.split, count(entry.num_tokens), count(entry.num_documents), size(entry.num_bytes),
         _ratio(entry.num_bytes / entry.num_tokens if entry.num_tokens else None), short_hash(entry.bin_sha256))
        for entry in manifest.shards
    ]  # fmt: skip
    train = manifest.of_split("train")
    validation = manifest.of_split("validation")
    sentence = (
        f"{count(sum(entry.num_tokens for entry in train))} training tokens in {plural(len(train), 'shard')}, "
        f"{count(sum(entry.num_tokens for entry in validation))} held out in {plural(len(validation), 'shard')}; "
        f"{manifest.dtype}, vocabulary of {count(manifest.vocab_size)}, end-of-text id {manifest.eos_token_id}."
    )
    columns = (
        code("shard"), text("split"), num("tokens"), num("sequences"), num("text"), num("bytes per token"),
        ident("SHA-256 of .bin"),
    )  # fmt: skip
    return Section("shards", title, [sentence], tables=[PageTable(columns, rows)])


def model(run: RunFolder) -> Section:
    """The loss curve, and held-out bits per byte beside a unigram model's."""
    title = "The model trained on it"
    if run.record["config"].get("train") is None:
        return Section("model", title, ["No model was trained: the config has no [train]."])
    evaluation = evaluation_of(run)
    if evaluation is None:
        return unfinished("model", title, f"{TRAIN_FOLDER}/")
    metrics = list(_metrics(run))
    step = max(1, len(metrics) // _MAX_CURVE_POINTS)
    points = metrics[::step] + ([metrics[-1]] if (len(metrics) - 1) % step else [])
    curve = figures.curve(
        "plot-loss",
        "Training loss",
        [point["tokens"] for point in points],
        [point["loss"] for point in points],
        x_title="tokens",
        y_title="nats per token",
    )
    overall = evaluation["overall"]
    per_language = sorted(evaluation["per_language"].items(), key=lambda item: (-item[1]["bytes"], item[0]))
    shown = per_language[:MAX_BARS]
    series = [
        ("model", [score["bits_per_byte"] for _, score in shown], figures.KEPT),
        ("unigram model", [score["unigram_bits_per_byte"] for _, score in shown], figures.MUTED),
    ]
    by_language = figures.bars(
        "plot-bits-per-byte",
        "Held-out bits per byte",
        [lang for lang, _ in shown],
        series,
        number_format=".2f",
        note="Lower is better. Bytes do not depend on the tokenizer, but scripts differ in bytes per character: "
        "compare a language with itself.",
    )
    sentence = (
        f"{overall['bits_per_byte']:.4f} bits per byte on {plural(overall['documents'], 'held-out document')} "
        f"({size(overall['bytes'])}) after {plural(evaluation['step'], 'step')}; a unigram model of the same "
        f"tokens needs {overall['unigram_bits_per_byte']:.4f}. Training loss fell from {metrics[0]['loss']:.3f} to "
        f"{metrics[-1]['loss']:.3f} nats per token."
    )
    tables = [
        _scores("Held-out text by language", "language", [("all", overall), *per_language]),
        _scores("Held-out text by domain", "domain", sorted(evaluation["per_domain"].items())),
    ]
    return Section("model", title, [sentence], [curve, by_language], tables)


def _scores(title: str, what: str, scores: list[tuple[str, dict[str, Any]]]) -> PageTable:
    rows = [
        (name, f"{score['bits_per_byte']:.4f}", f"{score['unigram_bits_per_byte']:.4f}",
         f"{score['bits_per_token']:.3f}", count(score["documents"]), count(score["tokens"]), size(score["bytes"]))
        for name, score in scores
    ]  # fmt: skip
    columns = (
        text(what), num("bits per byte"), num("unigram"), num("bits per token"), num("documents"), num("tokens"),
        num("text"),
    )  # fmt: skip
    return PageTable(columns, rows, title=title)


def evaluation_of(run: RunFolder) -> dict[str, Any] | None:
    """``evaluation.json``; None if no model was trained."""
    if run.record["config"].get("train") is None or not run.is_finished(TRAIN_FOLDER):
        return None
    evaluation: dict[str, Any] = storage.read_json(run.path(TRAIN_FOLDER, "evaluation.json"))
    return evaluation


def _metrics(run: RunFolder) -> Iterator[dict[str, Any]]:
    for line in storage.read_bytes(run.path(TRAIN_FOLDER, "metrics.jsonl")).decode().splitlines():
        yield json.loads(line)


def config(run: RunFolder) -> Section:
    """The resolved config and the versions of everything that took part."""
    record = run.record
    settings = [(key, value) for key, value in _flat("", record["config"])]
    versions = [(name, number) for name, number in sorted(record["versions"].items())]
    sentence = (
        f"Config {record['config_fingerprint']}, inputs {record['inputs_fingerprint']}, seed {record['seed']}. "
        f"Another run with these gives the same bytes."
    )
    tables = [
        PageTable((code("key"), code("value")), settings, title="Config, with defaults filled in"),
        PageTable((text("package"), text("version")), versions, title="Versions"),
    ]
    return Section("config", "Config and versions", [sentence], tables=tables)


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Dotted keys and JSON values; None reads "not set"."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else key, inner)
    elif isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
        for index, inner in enumerate(value):
            yield from _flat(f"{prefix}[{index}]", inner)
    else:
        yield prefix, "not set" if value is None else json.dumps(value, ensure_ascii=False)
