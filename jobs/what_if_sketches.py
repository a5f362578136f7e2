"""What a what-if compares near copies by: signatures from ``signals/``, or sets of shingles made anew from the texts.

Signatures are stored, so they cost a scan of a column. With ``verify = "exact"`` nothing stored would do: which pairs
are compared depends on which documents are left. So the texts of candidates, and of those alone, are read again, and
the answer is what a run would find, in the time that a run takes for the same reading on one core.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from jobs.candidate_shingles import read_sets
from jobs.config import DedupConfig
from jobs.run_folder import RunFolder
from pipeline.kernels.shingles import Shingling

_ROWS_PER_BATCH = 1 << 16


def sketches_at(run: RunFolder, places: np.ndarray, dedup: DedupConfig) -> pa.Array:
    """What ``[dedup.near]`` compares, of pages by their places in ``signals/``; large_binary, in the order asked."""
    if dedup.near is not None and dedup.near.verify == "exact":
        return _shingle_sets(run, places, dedup.minhash.shingling())
    return signatures_at(run, places)


def signatures_at(run: RunFolder, places: np.ndarray) -> pa.Array:
    """Signatures of pages by their places in ``signals/``; large_binary, in the order asked."""
    return _column_at(run, places, "signature", pa.large_binary())


def _column_at(run: RunFolder, places: np.ndarray, column: str, kind: pa.DataType) -> pa.Array:
    """A column of ``signals/`` at some places; it is read through once, and only these are held."""
    order = np.argsort(places)
    wanted = places[order]
    parts = [pa.array([], kind)]
    start = 0
    for batch in run.dataset("signals").to_batches(columns=[column], batch_size=_ROWS_PER_BATCH):
        first, last = np.searchsorted(wanted, (start, start + batch.num_rows))
        parts.append(batch.column(0).take(pa.array(wanted[first:last] - start)).cast(kind))
        start += batch.num_rows
    return pa.concat_arrays(parts).take(pa.array(_inverse(order)))


def _shingle_sets(run: RunFolder, places: np.ndarray, shingling: Shingling) -> pa.Array:
    units = _column_at(run, places, "unit", pa.string()).dictionary_encode()
    unit_of_place = units.indices.to_numpy()
    row_of_place = _column_at(run, places, "row_index", pa.int64()).to_numpy()
    order = np.lexsort((row_of_place, unit_of_place))
    parts = [pa.array([], pa.large_binary())]
    for number, unit in enumerate(units.dictionary.to_pylist()):
        rows = row_of_place[order][unit_of_place[order] == number]
        part = run.path("documents", f"part-{unit}.parquet")
        parts.extend(batch.column("shingles") for batch in read_sets(part, rows, shingling))
    return pa.concat_arrays(parts).take(pa.array(_inverse(order)))


def _inverse(order: np.ndarray) -> np.ndarray:
    """Where each entry of a permutation has gone."""
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return back
