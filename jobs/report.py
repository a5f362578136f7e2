"""The audit report of a run: one self-contained HTML file that shows what went in, what came out, and why.

It is made from what lies in the run's folder alone, without Spark, so it can be made again at any time and of a run
that was stopped half-way. No network is needed to read it: Plotly's script stands in the page once. Equal runs give
equal bytes: no timestamps, no paths, no ids drawn at random. Whatever came from a web page is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jinja2
from plotly.offline import get_plotlyjs

from jobs import report_curves, report_decontamination, report_documents, report_edits, report_records, report_training
from jobs.report_page import Section
from jobs.run_folder import RunFolder
from jobs.threshold_curves import write_curves
from jobs.written_numbers import count, plural, share, size
from pipeline import storage

REPORT = "report/index.html"
_SECTIONS: tuple[Callable[[RunFolder], Section], ...] = (
    report_records.funnel,
    report_records.reasons,
    report_documents.languages,
    report_documents.mixture_section,
    report_documents.signals,
    report_curves.threshold_curves,
    report_documents.duplicates,
    report_edits.line_cleaning,
    report_decontamination.decontamination,
    report_training.redaction,
    report_training.tokenizers,
    report_training.shards,
    report_training.model,
    report_records.samples,
    report_records.quarantine,
    report_records.archives,
    report_training.config,
)


def write_report(run_folder: str) -> str:
    """Write ``report/index.html`` of a run.

    Args:
        run_folder: output folder of a run, finished or stopped half-way.

    Returns:
        Path or URL of the page.

    Raises:
        ConfigError: if ``run_folder`` is no run.
        ShardError: if a file of the run is missing or damaged.
    """
    run = RunFolder(run_folder)
    if run.is_finished("signals"):
        write_curves(run_folder)
    sections = [make(run) for make in _SECTIONS]
    page = render_page(
        title=_title(run), headline=_headline(run), figures_of_merit=_figures_of_merit(run), sections=sections
    )
    storage.write_bytes(run.path(REPORT), page.encode("utf-8"))
    return run.path(REPORT)


def render_page(
    *, title: str, headline: str, figures_of_merit: Sequence[tuple[str, str, str]], sections: Sequence[Section]
) -> str:
    """One self-contained HTML page.

    Args:
        figures_of_merit: the numbers at the top: value, name, remark.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jobs"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        title=title,
        headline=headline,
        figures_of_merit=figures_of_merit,
        sections=sections,
        plotly_js=get_plotlyjs(),
    )


def _title(run: RunFolder) -> str:
    """Named after the sources: the folder's name is not part of what a run is."""
    return "Audit of " + ", ".join(entry["name"] for entry in run.record["config"]["input"])


def _headline(run: RunFolder) -> str:
    """What went in and came out, in a sentence or two."""
    ledger = run.ledger
    if ledger is None:
        return f"This run read {plural(len(run.record['inputs']), 'input file')} and was stopped before its ledger."
    kept_bytes = sum(entry.bytes_kept for entry in ledger.languages)
    sentence = (
        f"{plural(ledger.num_records, 'record')} in {plural(len(ledger.archives), 'archive')} held "
        f"{plural(ledger.num_pages, 'page')}; {count(ledger.num_kept)} of them "
        f"({share(ledger.num_kept, ledger.num_pages)}) were kept: {size(kept_bytes)} of text, "
        f"{count(ledger.outputs['tokens'])} tokens."
    )
    evaluation = report_training.evaluation_of(run)
    if evaluation is None:
        return sentence
    overall = evaluation["overall"]
    return (
        f"{sentence} A small model trained on them predicts held-out text at {overall['bits_per_byte']:.3f} bits per "
        f"byte, where a unigram model needs {overall['unigram_bits_per_byte']:.3f}."
    )


def _figures_of_merit(run: RunFolder) -> list[tuple[str, str, str]]:
    """The numbers at the top: value, name, remark."""
    ledger = run.ledger
    if ledger is None:
        return []
    found = [
        (count(ledger.num_records), "records", f"{count(ledger.num_quarantined)} in quarantine"),
        (count(ledger.num_pages), "pages", f"{count(ledger.num_dropped)} dropped"),
        (count(ledger.num_kept), "documents kept", f"{share(ledger.num_kept, ledger.num_pages)} of pages"),
        (size(sum(entry.bytes_kept for entry in ledger.languages)), "text kept", "UTF-8"),
    ]
    if "tokens" in ledger.outputs:
        found.append((count(ledger.outputs["tokens"]), "tokens", plural(ledger.outputs["shards"], "shard")))
    evaluation = report_training.evaluation_of(run)
    if evaluation is not None:
        overall = evaluation["overall"]
        found.append(
            (f"{overall['bits_per_byte']:.3f}", "bits per byte", f"unigram {overall['unigram_bits_per_byte']:.3f}")
        )
    return found
