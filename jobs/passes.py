"""The passes over files: what one Python worker does with one unit.

Pass 1 (``extract_unit``) reads an input file, runs the fused row stages, and writes ``documents/``, ``signals/``
and ``quarantine/``. ``decide_unit`` looks at the signals' numbers alone. Pass 2 (``redact_unit``) reads the documents
of the keep-list and writes ``corpus/``; ``tokenize_unit`` reads that and writes token sequences. Between the passes
only ids, numbers and hashes move (``jobs/between.py``).
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.control_token import ControlTokenConfig, control_tokens
from filters.line_rules import LINE_RULES
from jobs.kept_text import UnitCuts, documents_of, part_path
from pipeline import storage
from pipeline.archive.split import SplitBounds
from pipeline.corpus import read_corpus_file, unit_of
from pipeline.input_split import is_first, outcome
from pipeline.input_unit import InputUnit
from pipeline.part_writer import read_part
from pipeline.schema import (
    CORPUS,
    ENDED,
    HOST,
    LANGUAGE,
    LOCATION,
    PAGE,
    RECORD_IDENTITY,
    SCORE,
)
from pipeline.stage import Stage, fuse, with_columns
from pipeline.unit_of_work import ProcessFunction, UnitReport
from pipeline.watch import Watch
from stages import tokenize_documents
from stages.tokenize_documents import TokenizeConfig

PAGE_FACTS = pa.schema(
    [
        *RECORD_IDENTITY,
        *HOST,
        PAGE.field("record_type"),
        PAGE.field("warc_refers_to"),
        PAGE.field("fetch_time"),
        PAGE.field("http_status"),
        ("num_bytes", pa.int64()),
        ("num_chars", pa.int64()),
        *LANGUAGE,
    ]
)
"""The part of ``signals/`` that is known of every page."""

TEXT_BYTES, LINE_BYTES, LINES = "text_bytes/", "line_bytes/", "lines/"
"""Prefixes of the counts of pass 2: bytes by stage, bytes and lines that line cleaning took by rule."""

EXTRACTED = "extract_text"

ReadFunction = Callable[[InputUnit, Counter[str], Watch, SplitBounds], Iterator[pa.RecordBatch]]


def signals_schema(*measured: pa.Schema) -> pa.Schema:
    """``signals/``: one row per page read, with what ended it early; null signals where there is no text."""
    return pa.schema([*PAGE_FACTS, *(field for schema in measured for field in schema), *ENDED, *LOCATION])


def extract_unit(read: ReadFunction, stages: tuple[Stage, ...]) -> ProcessFunction:
    """Pass 1 over one input file, or one split of it."""

    def process(unit: InputUnit, report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        apply = fuse(stages)
        num_pages = num_documents = 0
        bounds = SplitBounds()
        pages_read = read(unit, report.counts, report.watch, bounds)
        for batch in map(functools.partial(report.watch.apply, apply), pages_read):  # keeps no page read for longer
            failed = pc.is_valid(batch.column("error_class"))
            pages = _rows(batch, pc.invert(failed))
            has_text = pc.is_valid(pages.column("text"))
            pages = with_columns(pages, _locations(unit.unit, num_pages, num_documents, has_text))
            documents = _rows(pages, has_text)
            num_pages += pages.num_rows
            num_documents += documents.num_rows
            yield {"signals": pages, "documents": documents, "quarantine": batch.filter(failed)}
        report.details.update(
            records=dict(sorted(report.counts.items())),
            sha256=_sha256_if_readable(unit) if is_first(unit) else None,
            content_tag=unit.content_tag,
            format=unit.format,
            size_bytes=unit.size_bytes,
            source=unit.source,
            warc_file=unit.warc_file,
            split=None if unit.split is None else outcome(unit, bounds),
        )
        report.counts.clear()  # record types are kept per archive, in the details
        report.counts["documents"] = num_documents
        report.counts["pages"] = num_pages

    return process


def _sha256_if_readable(unit: InputUnit) -> str | None:
    """SHA-256 of an input file; None for one that its reader has put into quarantine as unreadable.

    A file on a web server is not fetched a second time: its content tag stands for it.
    """
    if unit.content_tag is not None:
        return None
    try:
        return storage.sha256_of(unit.location)
    except OSError:
        return None


def _rows(batch: pa.RecordBatch, wanted: pa.Array) -> pa.RecordBatch:
    """Those rows of a batch; where they are all, as they mostly are, no text is copied."""
    return batch if pc.all(wanted).as_py() else batch.filter(wanted)


def _locations(unit: str, first_page: int, first_document: int, has_text: pa.Array) -> dict[str, pa.Array]:
    """The LOCATION columns of the next pages of a unit."""
    mask = has_text.to_numpy(zero_copy_only=False)
    row_index = first_document + np.cumsum(mask) - 1
    return {
        "unit": pa.repeat(pa.scalar(unit), len(mask)),
        "page_index": pa.array(np.arange(first_page, first_page + len(mask)), pa.int64()),
        "row_index": pa.array(row_index, pa.int64(), mask=~mask),
    }


def decide_unit(signals_folder: str, decide: Stage, columns: tuple[str, ...]) -> ProcessFunction:
    """Judge one part file of ``signals/`` by the thresholds; reads no more columns than the rules name."""
    wanted = list(dict.fromkeys([*columns, *decide.input_schema.names]))

    def process(unit: str, report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        apply = fuse((decide,))
        for batch in read_part(storage.join(signals_folder, f"part-{unit}.parquet"), wanted):
            report.counts["documents"] += batch.num_rows
            yield {"verdicts": apply(batch)}

    return process


def redact_unit(
    documents_folder: str, decisions_folder: str, edits: tuple[Stage, ...], cut_folders: dict[str, str]
) -> ProcessFunction:
    """Pass 2 over one part file of ``documents/`` by its keep-list, the part of ``decisions/`` of the same name.

    Args:
        edits: row stages that rewrite the text, in order; none leaves it as it was extracted. UTF-8 bytes are counted
            as extracted and after each edit (``TEXT_BYTES``), and what line cleaning took by rule.
        cut_folders: where the cuts of the corpus-wide stages lie, by stage; for each there is a ``cut_text`` in edits.
    """

    def process(unit: str, report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        cuts = UnitCuts(cut_folders, unit)
        for documents, decided in documents_of(documents_folder, unit, _keep_list(decisions_folder, unit)):
            columns = {name: decided.column(name) for name in ("lang", "split", "copies")}
            columns["num_redactions"] = pa.array(np.zeros(documents.num_rows, np.int32))
            batch = cuts.attach(with_columns(documents, columns), decided.column("row_index"))
            report.counts[f"{TEXT_BYTES}{EXTRACTED}"] += _num_text_bytes(batch)
            for edit in edits:
                batch = fuse((edit,))(batch)
                report.counts[f"{TEXT_BYTES}{edit.name}"] += _num_text_bytes(batch)
            _count_line_rules(batch, report.counts)
            batch = batch.select(CORPUS.names)
            report.counts["documents"] += batch.num_rows
            report.counts["redactions"] += pc.sum(batch.column("num_redactions")).as_py() or 0
            yield {"corpus": batch}

    return process


def _num_text_bytes(batch: pa.RecordBatch) -> int:
    """UTF-8 bytes of a batch's text."""
    return pc.sum(pc.binary_length(batch.column("text"))).as_py() or 0


def _count_line_rules(batch: pa.RecordBatch, counts: Counter[str]) -> None:
    """Enter what line cleaning took, where it is one of the edits."""
    for column, prefix in (("bytes_by_line_rule", LINE_BYTES), ("lines_by_line_rule", LINES)):
        if column in batch.schema.names:
            taken = batch.column(column).flatten().to_numpy().reshape(-1, len(LINE_RULES)).sum(axis=0)
            counts.update({f"{prefix}{rule}": int(number) for rule, number in zip(LINE_RULES, taken, strict=True)})


def _keep_list(decisions_folder: str, unit: str) -> pa.Table:
    """The kept documents of a unit: where they lie, and what the corpus says of them."""
    columns = ["row_index", "lang", "split", "copies", "verdict"]
    decided = pa.Table.from_batches(read_part(part_path(decisions_folder, unit), columns))
    return decided.filter(pc.equal(decided.column("verdict"), "kept"))


def tokenize_unit(
    config: TokenizeConfig, total_prefix: str, control: ControlTokenConfig | None = None, signals_folder: str = ""
) -> ProcessFunction:
    """Tokenise the corpus files of one unit; the sequences leave in the order in which shards read them.

    Args:
        config: tokenizer and shuffle seed.
        total_prefix: tokens by split and domain are counted under ``<total_prefix><split>/<domain>``.
        control: which documents begin with a token that names their toxicity.
        signals_folder: where their scores are.
    """

    def process(locations: list[str], report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        batches: Iterable[pa.RecordBatch] = (
            batch for location in locations for batch in read_corpus_file(location, rows_per_batch=256)
        )
        if control is not None:
            part = storage.join(signals_folder, f"part-{unit_of(locations[0])}.parquet")
            batches = _with_control_tokens(batches, part, control)
        table = tokenize_documents.tokenize_unit(batches, config)
        report.counts["documents"] = table.num_rows
        totals = table.group_by(["split", "domain"]).aggregate([("num_tokens", "sum")])
        for row in totals.to_pylist():
            report.counts[f"{total_prefix}{row['split']}/{row['domain']}"] = row["num_tokens_sum"]
        for batch in table.to_batches(max_chunksize=1024):
            yield {"tokens": batch}

    return process


def _with_control_tokens(
    batches: Iterable[pa.RecordBatch], signals_part: str, control: ControlTokenConfig
) -> Iterator[pa.RecordBatch]:
    """``batches`` of one unit with the column ``tokenize_documents.CONTROL_TOKEN``, by the unit's stored scores."""
    scores: dict[str, float | None] = {}
    for rows in read_part(signals_part, ["doc_id", control.column]):
        scores.update(zip(rows.column(0).to_pylist(), rows.column(1).to_pylist(), strict=True))
    for batch in batches:
        doc_id = batch.column("doc_id")
        score = pa.array([scores[name] for name in doc_id.to_pylist()], SCORE)
        tokens = control_tokens(doc_id, batch.column("split"), score, control)
        yield with_columns(batch, {tokenize_documents.CONTROL_TOKEN: tokens})
