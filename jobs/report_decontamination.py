"""The report's section on evaluation sets: which of their items stood in documents."""

from __future__ import annotations

from jobs.explain_evaluation import FINDINGS
from jobs.report_page import PageTable, Section, code, ident, num, text, unfinished
from jobs.run_folder import RunFolder
from jobs.written_numbers import count, plural, share

_SHOWN_FINDINGS = 50
_COLUMNS = ("set", "item_index", "field", "part_index", "doc_id", "num_ngrams_found", "num_ngrams", "share")


def decontamination(run: RunFolder) -> Section:
    """What was looked for and found of each set, and the passages of which documents held most."""
    name, title = "decontamination", "Evaluation text in documents"
    settings = run.record["config"].get("decontaminate")
    if settings is None:
        return Section(name, title, ["Not looked for: the config has no [decontaminate]."])
    if not run.is_finished(FINDINGS):
        return unfinished(name, title, f"{FINDINGS}/")
    manifest = run.manifest(FINDINGS)
    sets = manifest.details["sets"]
    sentences = [
        f"Looked for: {plural(manifest.details['num_ngrams'], 'n-gram')} of {settings['ngram_words']} words, or of a "
        f"whole passage with fewer, in any case, punctuation and width. {plural(manifest.num_rows or 0, 'passage')} "
        f"stood in documents."
    ]
    if settings["max_documents_per_ngram"] is not None:
        sentences.append(
            f"{plural(manifest.details['num_ngrams_too_common'], 'n-gram')} in more than "
            f"{plural(settings['max_documents_per_ngram'], 'document')} did not count."
        )
    rows = [
        (
            entry["set"],
            count(entry["num_items"]),
            count(entry["num_items_found"]),
            share(entry["num_items_found"], entry["num_items"]),
            count(entry["num_documents"]),
            count(entry["num_passages"]),
            count(entry["num_passages_too_short"]),
        )
        for entry in sets
    ]
    headings = ("items", "items found", "share", "documents", "passages", "too short to look for")
    tables = [PageTable((text("set"), *map(num, headings)), rows)]
    order = [("share", "descending"), ("num_ngrams", "descending"), *((key, "ascending") for key in _COLUMNS[:5])]
    worst = run.rows(FINDINGS, _COLUMNS).sort_by(order).slice(0, _SHOWN_FINDINGS).to_pylist()
    shown = [
        (
            row["set"],
            count(row["item_index"]),
            row["field"],
            f"{count(row['num_ngrams_found'])} of {count(row['num_ngrams'])}",
            share(row["num_ngrams_found"], row["num_ngrams"]),
            row["doc_id"],
        )
        for row in worst
    ]
    if shown:
        columns = (code("set"), num("item"), code("field"), num("n-grams"), num("share"), ident("doc_id"))
        tables.append(PageTable(columns, shown, title=f"Passages of which documents held most, {len(shown)} at most"))
    return Section(name, title, sentences, tables=tables)
