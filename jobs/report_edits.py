"""The report's section on what was edited out of the documents that were kept."""

from __future__ import annotations

from jobs.report_page import PageTable, Section, num, text, unfinished
from jobs.run_folder import RunFolder
from jobs.written_numbers import count, plural, share, size
from pipeline.ledger import LINE_CLEANING


def line_cleaning(run: RunFolder) -> Section:
    """Bytes that each line rule took, and bytes of text before and after each edit."""
    title = "What was cut from documents"
    ledger = run.ledger
    if ledger is None:
        return unfinished("edits", title, "ledger.json")
    if not ledger.edits:
        return Section("edits", title, ["Nothing: the config has no [clean_lines] and no [pii]."])
    edited = [
        (
            edit.stage,
            count(edit.bytes_before),
            count(edit.bytes_after),
            f"{edit.bytes_after - edit.bytes_before:+,}",
            share(abs(edit.bytes_after - edit.bytes_before), edit.bytes_before),
        )
        for edit in ledger.edits
    ]
    columns = (text("stage"), num("bytes before"), num("bytes after"), num("change"), num("share"))
    tables = [PageTable(columns, edited)]
    sentences = ["Bytes are UTF-8, counted from the texts before and after each edit."]
    cleaning = next((edit for edit in ledger.edits if edit.stage == LINE_CLEANING), None)
    if cleaning is not None:
        taken = [entry for entry in ledger.line_rules if entry.num_bytes]
        num_lines = sum(entry.num_lines for entry in taken)
        sentences.append(
            f"Line rules took {size(cleaning.bytes_before - cleaning.bytes_after)} in {plural(num_lines, 'line')}. "
            f"Each byte is counted under one rule."
        )
        rows = [
            (entry.rule, count(entry.num_lines), count(entry.num_bytes), share(entry.num_bytes, cleaning.bytes_before))
            for entry in sorted(taken, key=lambda entry: (-entry.num_bytes, entry.rule))
        ]
        tables.append(PageTable((text("line rule"), num("lines"), num("bytes"), num("of all text")), rows))
    if ledger.text_cuts:
        dropped = {stage.stage: stage for stage in ledger.stages}
        cut = [
            (
                entry.stage,
                count(entry.num_documents),
                share(entry.num_documents, ledger.num_kept),
                count(entry.num_bytes),
                count(dropped[entry.stage].num_dropped),
            )
            for entry in ledger.text_cuts
        ]
        heads = (
            text("stage that compares texts"), num("kept documents cut"), num("of all kept"), num("bytes"),
            num("documents dropped"),
        )  # fmt: skip
        tables.append(PageTable(heads, cut))
    return Section("edits", title, sentences, tables=tables)
