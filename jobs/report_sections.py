"""The report's sections on records and documents: funnel, reasons, languages, signals, copies, archives, quarantine.

Each function takes the run and returns a ``Section``; where the folder that it reads does not exist (the run was
stopped earlier), the section says so in a sentence. What became of the text is in ``report_training.py``.
"""

from __future__ import annotations

from collections import Counter

import pyarrow.compute as pc

from jobs import report_figures as figures
from jobs.report_facts import ClusterSizes, cluster_sizes, mixture, sample_signals, samples_by_reason
from jobs.report_page import Column, PageTable, Section, code, count, num, plural, share, size, text, value_of
from jobs.run_folder import RuleInForce, RunFolder
from jobs.signal_histogram import as_floats, histogram

MAX_BARS = 24
MAX_QUARANTINE_ROWS = 200
NO_LANGUAGE = "none"


def unfinished(name: str, title: str, folder: str) -> Section:
    """A section whose folder is not there."""
    return Section(name, title, [f"Left out: the run stopped before {folder} was finished."])


def funnel(run: RunFolder) -> Section:
    """Stage by stage: what came in, what it dropped, what went on."""
    title = "What each stage let through"
    ledger = run.ledger
    if ledger is None:
        return unfinished("funnel", title, "ledger.json")
    stages = [stage for stage in ledger.stages if stage.num_read and (stage.stage != "read_table" or stage.num_dropped)]
    labels = [stage.stage for stage in stages]
    series = [
        ("let through", [stage.num_kept for stage in stages], figures.KEPT),
        ("dropped", [stage.num_dropped for stage in stages], figures.DROPPED),
        ("quarantined", [stage.num_quarantined for stage in stages], figures.LOST),
    ]
    rows = [
        (
            stage.stage,
            count(stage.num_read),
            count(stage.num_dropped),
            share(stage.num_dropped, stage.num_read),
            size(stage.bytes_dropped),
            count(stage.num_quarantined),
            count(stage.num_kept),
        )
        for stage in stages
    ]
    columns = (
        text("stage"), num("in"), num("dropped"), num("share"), num("text dropped"), num("quarantined"),
        num("let through"),
    )  # fmt: skip
    sentence = (
        f"{plural(ledger.num_pages, 'page')} and {plural(ledger.num_quarantined, 'unreadable record')} came in; "
        f"{count(ledger.num_kept)} documents were kept. At every stage in = let through + dropped + quarantined, "
        f"counted from the files written."
    )
    figure = figures.bars("plot-funnel", "Documents by stage", labels, series, stacked=True)
    return Section("funnel", title, [sentence], [figure], [PageTable(columns, rows)])


def reasons(run: RunFolder) -> Section:
    """Drops by reason, and a few pages of each."""
    title = "Why pages were dropped"
    ledger = run.ledger
    if ledger is None:
        return unfinished("reasons", title, "ledger.json")
    documents: Counter[tuple[str, str]] = Counter()
    text_bytes: Counter[tuple[str, str]] = Counter()
    for entry in ledger.reasons:
        documents[entry.stage, entry.reason] += entry.num_documents
        text_bytes[entry.stage, entry.reason] += entry.num_bytes
    order = sorted(documents, key=lambda key: (-documents[key], key))
    rows = [
        (stage, reason, count(documents[stage, reason]), share(documents[stage, reason], ledger.num_pages),
         size(text_bytes[stage, reason]))
        for stage, reason in order
    ]  # fmt: skip
    shown = order[:MAX_BARS]
    figure = figures.bars(
        "plot-reasons",
        "Documents dropped, by reason",
        [reason for _, reason in shown],
        [("documents", [documents[key] for key in shown], figures.DROPPED)],
        note="" if len(shown) == len(order) else f"The {len(shown)} most frequent of {len(order)} reasons.",
    )
    table = PageTable((text("stage"), text("reason"), num("documents"), num("of all pages"), num("text")), rows)
    sentence = f"{plural(ledger.num_dropped, 'page')} were dropped. The first rule that fires ends a page."
    return Section("reasons", title, [sentence], [figure] if order else [], [table] if order else [])


def samples(run: RunFolder) -> Section:
    """Pages to look at: for every reason, three chosen by the hash that is their id."""
    title = "Pages to look at"
    if not run.is_finished("decisions"):
        return unfinished("samples", title, "decisions/")
    rows = [
        (
            row["stage"],
            row["reason"],
            value_of(row["value"]),
            value_of(row["threshold"]),
            row["url"] or "",
            row["doc_id"],
        )
        for row in samples_by_reason(run)
    ]
    columns = (text("stage"), text("reason"), num("value"), num("threshold"), code("URL"), code("doc_id"))
    sentence = "Up to three pages of each reason, drawn by the hash that is their id: the same on every run."
    hint = "For a page's whole history: chaffinch explain RUN DOC_ID"
    return Section("samples", title, [sentence, hint], tables=[PageTable(columns, rows)] if rows else [])


def languages(run: RunFolder) -> Section:
    """Documents and bytes by language, before and after."""
    title = "Languages"
    ledger = run.ledger
    if ledger is None:
        return unfinished("languages", title, "ledger.json")
    entries = sorted(ledger.languages, key=lambda entry: (-entry.bytes_kept, -entry.num_bytes, entry.lang or ""))
    with_text = [entry for entry in entries if entry.lang is not None]
    shown = with_text[:MAX_BARS]
    series = [
        ("extracted", [entry.num_bytes for entry in shown], figures.MUTED),
        ("kept", [entry.bytes_kept for entry in shown], figures.KEPT),
    ]
    figure = figures.bars(
        "plot-languages",
        "Bytes of text by language",
        [entry.lang or NO_LANGUAGE for entry in shown],
        series,
        number_format="~s",
        note="" if len(shown) == len(with_text) else f"The {len(shown)} largest of {len(with_text)} languages.",
    )
    rows = [
        (
            entry.lang or f"{NO_LANGUAGE} (no text)",
            count(entry.num_documents),
            count(entry.num_kept),
            share(entry.num_kept, entry.num_documents),
            size(entry.num_bytes),
            size(entry.bytes_kept),
            share(entry.bytes_kept, entry.num_bytes),
        )
        for entry in entries
    ]
    columns = (text("language"), num("pages"), num("kept"), num("share"), num("text"), num("text kept"), num("share"))
    sentence = (
        f"{plural(len([e for e in with_text if e.num_kept]), 'language')} among the documents kept, as identified."
    )
    return Section("languages", title, [sentence], [figure] if shown else [], [PageTable(columns, rows)])


def mixture_section(run: RunFolder) -> Section:
    """What the mixture asks for, and what the shards hold."""
    title = "Mixture of the training text"
    if not run.is_finished("decisions"):
        return unfinished("mixture", title, "decisions/")
    shares = mixture(run)
    pool = sum(entry.pool_bytes for entry in shares)
    target = sum(entry.target_bytes for entry in shares)
    realised = sum(entry.realised_bytes for entry in shares)
    shown = shares[:MAX_BARS]
    series = [
        ("left after deduplication", [entry.pool_bytes / (pool or 1) for entry in shown], figures.MUTED),
        ("target", [entry.target_bytes / (target or 1) for entry in shown], figures.SECOND),
        ("sampled", [entry.realised_bytes / (realised or 1) for entry in shown], figures.KEPT),
    ]
    figure = figures.bars(
        "plot-mixture", "Share of bytes", [entry.lang for entry in shown], series, number_format=".1%"
    )
    rows = [
        (
            entry.lang,
            size(entry.pool_bytes),
            share(entry.pool_bytes, pool),
            share(entry.target_bytes, target),
            share(entry.realised_bytes, realised),
            f"{entry.target_bytes / entry.pool_bytes:.2f}" if entry.pool_bytes else "–",
            f"{entry.realised_bytes / entry.pool_bytes:.2f}" if entry.pool_bytes else "–",
        )
        for entry in shares
    ]
    columns = (
        text("language"), num("text"), num("share"), num("target"), num("sampled"), num("epochs, target"),
        num("epochs, sampled"),
    )  # fmt: skip
    alpha = run.record["config"]["mixture"]["alpha"]
    sentence = (
        f"Languages are weighted by bytes to the power {alpha:g}. {size(pool)} of training text became "
        f"{size(realised)}; {size(target)} were asked for. Documents are drawn whole, so small languages scatter "
        f"around their target."
    )
    return Section("mixture", title, [sentence], [figure] if shown else [], [PageTable(columns, rows)])


def signals(run: RunFolder) -> Section:
    """How every signal that a rule looks at is distributed, and where its thresholds lie."""
    title = "Signals and thresholds"
    if not run.is_finished("signals"):
        return unfinished("signals", title, "signals/")
    rules = run.rules
    if not rules:
        return Section("signals", title, ["No filter is enabled."])
    by_signal: dict[str, list[RuleInForce]] = {}
    for in_force in rules:
        by_signal.setdefault(in_force.rule.signal, []).append(in_force)
    sample = sample_signals(run, list(by_signal))
    plots = []
    for name, of_signal in by_signal.items():
        found = histogram(sample.table.column(name), of_signal)
        if found is not None:
            plots.append(figures.histogram(f"plot-signal-{name}", name, found))
    rows = [_rule_row(run, in_force, sample.table.column(in_force.rule.signal)) for in_force in rules]
    columns = (
        text("filter"), text("reason"), Column("drops when", is_code=True), num("fires on"), num("share"), num("ended"),
    )  # fmt: skip
    about = f"about {count(sample.table.num_rows)} of " if sample.is_sample else ""
    sentences = [
        f"Distributions over {about}{plural(sample.num_documents, 'document')} with text; the height is logarithmic, "
        f"end bars hold everything beyond them. Bars on the far side of a threshold are drawn in the colour of drops.",
        "“Fires on” counts every document that a rule would drop by itself, whatever other rules say; "
        "“ended” those that it dropped as the first rule to fire.",
    ]
    return Section("signals", title, sentences, plots, [PageTable(columns, rows)])


def _rule_row(run: RunFolder, in_force: RuleInForce, column: object) -> tuple[str, ...]:
    rule = in_force.rule
    values = as_floats(column)
    fires = sum(in_force.fires(value) for value in values.tolist())
    ended = None
    if run.ledger is not None:
        ended = sum(
            entry.num_documents
            for entry in run.ledger.reasons
            if entry.stage == in_force.filter_name and entry.reason == str(rule.reason)
        )
    condition = f"{rule.signal} {rule.drop_if} {in_force.threshold:g}"
    return (in_force.filter_name, str(rule.reason), condition, count(fires), share(fires, len(values)), count(ended))


def duplicates(run: RunFolder) -> Section:
    """Clusters of copies: how large, and the largest."""
    title = "Copies and near copies"
    if not run.is_finished("clusters"):
        return unfinished("duplicates", title, "clusters/")
    found = [cluster_sizes(run, kind) for kind in ("exact", "near")]
    sentences, plots, tables = [], [], []
    for clusters in found:
        if not clusters.num_clusters:
            sentences.append(f"No {clusters.kind} copies.")
            continue
        removed = clusters.num_documents - clusters.num_clusters
        sentences.append(
            f"{clusters.kind.capitalize()} copies: {plural(clusters.num_clusters, 'cluster')} of "
            f"{count(clusters.num_documents)} documents; one of each is kept, {count(removed)} go."
        )
        classes = _size_classes(clusters.by_size)
        plots.append(
            figures.columns(
                f"plot-clusters-{clusters.kind}",
                f"Clusters of {clusters.kind} copies by number of members",
                list(classes),
                list(classes.values()),
            )
        )
        tables.append(_largest_table(clusters))
    return Section("duplicates", title, sentences, plots, tables)


def _size_classes(by_size: dict[int, int]) -> dict[str, int]:
    """Clusters by size: 2, 3, 4, then classes that double."""
    classes: dict[str, int] = {}
    for members, clusters in by_size.items():
        power = members.bit_length() - 1
        low, high = (members, members) if members <= 4 else (max(5, 1 << power), (2 << power) - 1)
        label = f"{low:,}" if low == high else f"{low:,}–{high:,}"
        classes[label] = classes.get(label, 0) + clusters
    return classes


def _largest_table(clusters: ClusterSizes) -> PageTable:
    rows = [
        (count(row["num_documents"]), row["kept_url"], "\n".join(row["other_urls"]), row["kept_doc_id"])
        for row in clusters.largest
    ]
    columns = (num("members"), code("kept"), code("some of the others"), code("doc_id of the kept one"))
    return PageTable(columns, rows, title=f"Largest clusters of {clusters.kind} copies")


def quarantine(run: RunFolder) -> Section:
    """Records that could not be read: where their bytes lie and what is wrong."""
    title = "Quarantine"
    if not run.is_finished("quarantine"):
        return unfinished("quarantine", title, "quarantine/")
    total = run.manifest("quarantine").num_rows or 0
    if not total:
        return Section("quarantine", title, ["Every record could be read."])
    names = ["source", "warc_file", "warc_offset", "record_type", "error_class", "error_message", "url"]
    table = run.rows("quarantine", names)
    table = table.sort_by([("source", "ascending"), ("warc_file", "ascending"), ("warc_offset", "ascending")])
    rows = [
        (row["source"], row["warc_file"], count(row["warc_offset"]), row["error_class"] or "",
         row["error_message"] or "", row["url"] or "")
        for row in table.slice(0, MAX_QUARANTINE_ROWS).to_pylist()
    ]  # fmt: skip
    by_class = pc.value_counts(table.column("error_class").combine_chunks()).to_pylist()
    classes = sorted(by_class, key=lambda entry: (-entry["counts"], entry["values"]))
    kinds = ", ".join(f"{entry['counts']:,} {entry['values']}" for entry in classes)
    sentences = [f"{plural(total, 'record')} could not be read or processed: {kinds}."]
    if total > len(rows):
        sentences.append(f"The first {len(rows)} are listed; all are in quarantine/.")
    columns = (text("source"), code("archive"), num("offset"), text("class"), text("message"), code("URL"))
    return Section("quarantine", title, sentences, tables=[PageTable(columns, rows)])


def archives(run: RunFolder) -> Section:
    """What the readers saw: records by type, archive by archive."""
    title = "Archives"
    ledger = run.ledger
    if ledger is None:
        return unfinished("archives", title, "ledger.json")
    kinds = sorted({kind for archive in ledger.archives for kind in archive.records})
    rows = [
        (
            f"{archive.source}/{archive.warc_file}",
            size(archive.size_bytes),
            count(archive.num_records),
            *(count(archive.records.get(kind, 0)) for kind in kinds),
            archive.sha256,
        )
        for archive in ledger.archives
    ]
    columns = (code("archive"), num("size"), num("records"), *(num(kind) for kind in kinds), code("SHA-256"))
    others = ", ".join(f"{count(number)} {kind}" for kind, number in sorted(ledger.non_pages.items()))
    sentence = (
        f"{plural(ledger.num_records, 'record')} in {plural(len(ledger.archives), 'archive')}: "
        f"{plural(ledger.num_pages, 'page')}, {count(ledger.num_quarantined)} in quarantine"
        + (f", and beside the pages {others}." if others else ".")
    )
    return Section("archives", title, [sentence], tables=[PageTable(columns, rows)])
