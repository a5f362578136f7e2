"""The passes over files: what one Python worker does with one unit.

Pass 1 (``extract_unit``) reads an input file, runs the fused row stages, and writes ``documents/``, ``signals/``
and ``quarantine/``. ``decide_unit`` looks at the signals' numbers alone. Pass 2 (``redact_unit``) reads the documents
of the keep-list and writes ``corpus/``; ``tokenize_unit`` reads that and writes token sequences. Between the passes
only ids, numbers and hashes move (``jobs/between.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.corpus import read_corpus_file
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
)
from pipeline.stage import Stage, fuse, with_columns
from pipeline.unit_of_work import ProcessFunction, UnitReport
from stages import tokenize_documents
from stages.tokenize_documents import TokenizeConfig

PAGE_FACTS = pa.schema(
    [
        *RECORD_IDENTITY,
        *HOST,
        PAGE.field("record_type"),
        PAGE.field("fetch_time"),
        PAGE.field("http_status"),
        ("num_bytes", pa.int64()),
        ("num_chars", pa.int64()),
        *LANGUAGE,
    ]
)
"""The part of ``signals/`` that is known of every page."""

ReadFunction = Callable[[InputUnit, Counter[str]], Iterator[pa.RecordBatch]]


def signals_schema(measured: pa.Schema, sketched: pa.Schema) -> pa.Schema:
    """``signals/``: one row per page read, with what ended it early; null signals where there is no text."""
    return pa.schema([*PAGE_FACTS, *measured, *sketched, *ENDED, *LOCATION])


def extract_unit(read: ReadFunction, stages: tuple[Stage, ...]) -> ProcessFunction:
    """Pass 1 over one input file."""

    def process(unit: InputUnit, report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        apply = fuse(stages)
        num_pages = num_documents = 0
        for raw in read(unit, report.counts):
            batch = apply(raw)
            failed = pc.is_valid(batch.column("error_class"))
            pages = batch.filter(pc.invert(failed))
            has_text = pc.is_valid(pages.column("text"))
            pages = with_columns(pages, _locations(unit.unit, num_pages, num_documents, has_text))
            documents = pages.filter(has_text)
            num_pages += pages.num_rows
            num_documents += documents.num_rows
            yield {"signals": pages, "documents": documents, "quarantine": batch.filter(failed)}
        report.details.update(
            records=dict(sorted(report.counts.items())),
            sha256=_sha256_if_readable(unit.location),
            format=unit.format,
            size_bytes=unit.size_bytes,
            source=unit.source,
            warc_file=unit.warc_file,
        )
        report.counts.clear()  # record types are kept per archive, in the details
        report.counts["documents"] = num_documents
        report.counts["pages"] = num_pages

    return process


def _sha256_if_readable(location: str) -> str | None:
    """SHA-256 of an input file; None for one that its reader has put into quarantine as unreadable."""
    try:
        return storage.sha256_of(location)
    except OSError:
        return None


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


def redact_unit(documents_folder: str, decisions_folder: str, edits: tuple[Stage, ...]) -> ProcessFunction:
    """Pass 2 over one part file of ``documents/`` by its keep-list, the part of ``decisions/`` of the same name.

    Args:
        edits: row stages that rewrite the text; none leaves it as it was extracted.
    """

    def process(unit: str, report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        apply = fuse(edits)
        for documents, decided in _kept_rows(documents_folder, decisions_folder, unit):
            columns = {name: decided.column(name) for name in ("lang", "split", "copies")}
            columns["num_redactions"] = pa.array(np.zeros(documents.num_rows, np.int32))
            batch = apply(with_columns(documents, columns))
            batch = batch.select(CORPUS.names)
            report.counts["documents"] += batch.num_rows
            report.counts["redactions"] += pc.sum(batch.column("num_redactions")).as_py() or 0
            yield {"corpus": batch}

    return process


def _kept_rows(
    documents_folder: str, decisions_folder: str, unit: str
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Kept documents of a unit, batch by batch, each with its rows of ``decisions/`` in the same order."""
    columns = ["doc_id", "row_index", "lang", "split", "copies", "verdict"]
    decided = pa.Table.from_batches(read_part(storage.join(decisions_folder, f"part-{unit}.parquet"), columns))
    keep_list = decided.filter(pc.equal(decided.column("verdict"), "kept")).combine_chunks()
    if keep_list.num_rows == 0:
        return
    keep_list = keep_list.sort_by("row_index").to_batches()[0]
    wanted = keep_list.column("row_index").to_numpy()
    start = taken = 0
    for documents in read_part(storage.join(documents_folder, f"part-{unit}.parquet")):
        end = start + documents.num_rows
        here = int(np.searchsorted(wanted, end)) - taken
        if here:
            rows = keep_list.slice(taken, here)
            yield documents.take(pa.array(wanted[taken : taken + here] - start)), rows
        start, taken = end, taken + here


def tokenize_unit(config: TokenizeConfig, total_prefix: str) -> ProcessFunction:
    """Tokenise the corpus files of one unit; the sequences leave in the order in which shards read them.

    Args:
        config: tokenizer and shuffle seed.
        total_prefix: tokens by split and domain are counted under ``<total_prefix><split>/<domain>``.
    """

    def process(locations: list[str], report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        batches = (batch for location in locations for batch in read_corpus_file(location, rows_per_batch=256))
        table = tokenize_documents.tokenize_unit(batches, config)
        report.counts["documents"] = table.num_rows
        totals = table.group_by(["split", "domain"]).aggregate([("num_tokens", "sum")])
        for row in totals.to_pylist():
            report.counts[f"{total_prefix}{row['split']}/{row['domain']}"] = row["num_tokens_sum"]
        for batch in table.to_batches(max_chunksize=1024):
            yield {"tokens": batch}

    return process
