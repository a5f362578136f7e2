"""Every page's fate under another config, from the columns of ``signals/``, in memory and without Spark.

The line's own parts decide: ``stages.decide`` on batches of signals, ``filters.mixture`` on totals, the draws of
``stages.sample_mixture``; copies are found by ``jobs/what_if_copies.py``. Nothing is taken over from what the run
decided: a filter that lets one more document in may change which copy of another is kept, how full a language is, and
with it the fate of documents that no rule looked at twice.

Cost for a million pages: see ``benchmarks/what_if.py``. Memory is about 2 kB a page at the peak, and
0.5 kB more for each document that shares a band with another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.cutoffs import find_all_cutoffs
from filters.mixture import plan_epochs
from filters.registry import required_signals
from jobs.config import RunConfig
from jobs.run_folder import RunFolder
from jobs.what_if_copies import columns_of, find_copies
from jobs.what_if_drops import dropped_by_text_stages
from pipeline.errors import ConfigError
from pipeline.language_codes import UNDETERMINED
from pipeline.schema import ENDED
from pipeline.stage import fuse
from stages import decide
from stages.sample_mixture import SampleMixtureConfig, draws, held_out

_ROWS_PER_BATCH = 1 << 16
_SETTLED = ("doc_id", "lang", "num_bytes")


@dataclass(frozen=True)
class Settled:
    """All pages of a run, in the order of ``signals/``, each with its fate.

    Args:
        pages: ``doc_id``, ``lang``, ``num_bytes``; ``stage`` and ``reason``, null where kept; ``value`` and
            ``threshold``, null where kept or a copy; ``copies``, 0 where dropped.
        kept_place: shape (num_pages,): for a copy the place of the document that stands for it, else its own place.
    """

    pages: pa.Table
    kept_place: np.ndarray


def settle(run: RunFolder, config: RunConfig) -> Settled:
    """Judge, deduplicate and sample all pages of ``run`` again.

    Raises:
        ConfigError: if a filter looks at a signal that the run did not measure.
    """
    pages = _judged(run, config)
    is_alive = pc.and_(pc.is_null(pages.column("ended_reason")), pc.is_valid(pages.column("row_index"))).to_numpy()
    found = find_copies(run, config, pages, np.flatnonzero(is_alive))
    by_text = dropped_by_text_stages(run, pages.column("doc_id"))
    is_left = is_alive & ~found.is_any
    survivors = np.flatnonzero(is_left & ~by_text.is_dropped)
    documents = pages.select(list(dict.fromkeys([*_SETTLED, config.mixture.by]))).take(survivors)
    copies, draw, limit = _sampled(documents, config.mixture)
    fates = _Fates(pages)
    for (stage, reason), is_copy in found.is_copy.items():
        fates.end(is_copy, stage, reason)
    for stage, reason, ends in by_text.by_reason():
        fates.end(is_left & ends, stage, reason, by_text.value, by_text.threshold)
    kept_place = np.where(is_left & by_text.is_dropped, by_text.kept_place, found.kept_place)
    is_over, value, threshold = (np.zeros(pages.num_rows, kind) for kind in (bool, float, float))
    is_over[survivors], value[survivors], threshold[survivors] = copies == 0, draw, limit
    fates.end(is_over, "sample_mixture", str(config.mixture.reason), value, threshold)
    all_copies = np.zeros(pages.num_rows, np.int32)
    all_copies[survivors] = copies
    return Settled(fates.table().append_column("copies", pa.array(all_copies)), kept_place)


class _Fates:
    """Stage, reason, value and threshold of each page, filled in stage by stage."""

    def __init__(self, pages: pa.Table) -> None:
        self._table = pages.select(_SETTLED)
        self._columns = {name: pages.column(f"ended_{name}") for name in ("stage", "reason", "value", "threshold")}

    def end(
        self,
        ends: np.ndarray,
        stage: str,
        reason: str,
        value: np.ndarray | pa.Array | None = None,
        threshold: np.ndarray | pa.Array | None = None,
    ) -> None:
        """End the pages where ``ends``; value and threshold are null if not given."""
        here = pa.array(ends)
        for name, found in (("stage", stage), ("reason", reason), ("value", value), ("threshold", threshold)):
            if found is not None:
                entered = pa.scalar(found, pa.string()) if isinstance(found, str) else pa.array(found, pa.float64())
                self._columns[name] = pc.if_else(here, entered, self._columns[name])

    def table(self) -> pa.Table:
        for name, column in self._columns.items():
            self._table = self._table.append_column(name, column)
        return self._table


def _judged(run: RunFolder, config: RunConfig) -> pa.Table:
    """All pages with what the rules say of them, and what deduplication looks at."""
    carried = list(dict.fromkeys([*_SETTLED, config.mixture.by, "row_index", *columns_of(config)]))
    columns = list(dict.fromkeys([*carried, *ENDED.names, *required_signals(config.filters)]))
    dataset = run.dataset("signals")
    missing = [name for name in columns if name not in dataset.schema.names]
    if missing:
        raise ConfigError(
            f"signals/ of {run.location} has no column {missing[0]!r}, which the filters look at; expected one that "
            f"the run measured; add to the config what measures it and run `chaffinch run`"
        )

    def scan(function: Callable[[pa.RecordBatch], Any]) -> Iterable[Any]:
        """Arrow's and NumPy's loops leave the interpreter's lock, so two threads judge on two cores."""
        with ThreadPoolExecutor() as threads:
            yield from threads.map(function, dataset.to_batches(columns=columns, batch_size=_ROWS_PER_BATCH))

    judge = fuse((decide.make_stage(config.filters, find_all_cutoffs(scan, config.filters)),))
    wanted = [*carried, *ENDED.names]
    batches = list(scan(lambda batch: judge(batch).select(wanted)))
    schema = pa.schema([dataset.schema.field(name) for name in wanted])
    return pa.Table.from_batches(batches, schema=schema)


def _sampled(documents: pa.Table, config: SampleMixtureConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Copies of each document, its draw, and the number below which the draw must be for the last copy."""
    groups = pc.fill_null(documents.column(config.by), UNDETERMINED).combine_chunks().dictionary_encode()
    codes = groups.indices.to_numpy(zero_copy_only=False)
    is_validation = held_out(documents.column("doc_id").to_pylist(), config)
    num_bytes = pc.fill_null(documents.column("num_bytes"), 0).to_numpy()
    totals = np.zeros(len(groups.dictionary), np.int64)
    np.add.at(totals, codes[~is_validation], num_bytes[~is_validation])
    in_train = np.bincount(codes[~is_validation], minlength=len(totals))
    names = groups.dictionary.to_pylist()
    plan = plan_epochs({name: int(total) for name, total, n in zip(names, totals, in_train, strict=True) if n}, config)
    epochs = np.array([plan.epochs.get(name, 0.0) for name in names])[codes]
    whole = np.floor(epochs)
    fraction = epochs - whole
    is_open = ~is_validation & ((fraction > 0) | (whole == 0))  # for the others a draw decides nothing
    draw = np.zeros(len(codes))
    draw[is_open] = draws(documents.column("doc_id").filter(pa.array(is_open)).to_pylist(), config)
    copies = np.where(is_validation, 1, whole + (is_open & (draw < fraction)))
    return copies.astype(np.int32), draw, fraction
