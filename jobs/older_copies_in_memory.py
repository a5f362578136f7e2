"""Copies between the dumps of one run, found in memory: what ``stages/dedup_older.py`` finds in Spark.

As in ``jobs/copies_in_memory.py``, documents are places in arrays and the definitions are the stage's. A document's age
is the place of its dump in ``dump_order``. The store is not read here: what its entries hold belongs to other runs.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.copies_in_memory import Sketches, ranks
from pipeline.dump_plan import DumpPlan
from pipeline.hashing import hash_key
from pipeline.kernels.minhash import similarity
from stages.survivor import SurvivorOrder

_PAIRS_AT_ONCE = 1 << 16  # bounds the memory of a comparison: 450 bytes a signature


def with_dumps(pages: pa.Table, plan: DumpPlan, source_priority: tuple[str, ...]) -> pa.Table:
    """``pages`` (with ``source``) with ``age`` and ``source_priority``, int64, as ``stages.dedup_older.with_dumps``."""
    sources = pages.column("source").combine_chunks().dictionary_encode()
    names = sources.dictionary.to_pylist()
    ages = [plan.ages[plan.of_source[name]] if plan.pools else plan.age_of_pool for name in names]
    places = {name: place for place, name in enumerate(source_priority)}
    codes = sources.indices.to_numpy(zero_copy_only=False)
    columns = {"age": ages, "source_priority": [places.get(name, len(places)) for name in names]}
    for name, of_source in columns.items():
        pages = pages.append_column(name, pa.array(np.array(of_source, np.int64)[codes]))
    return pages


def within_dumps(pages: pa.Table, plan: DumpPlan) -> pa.Table:
    """``pages`` (with ``age``) with text and band hashes that no two dumps share, unless all are one pool."""
    if len(plan.pools) < 2:
        return pages
    ages = pages.column("age").to_numpy()
    salts = np.array([hash_key(0, "dump", dump) for dump in plan.pools], np.uint64).view(np.int64)
    bands = pages.column("bands").combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(bands), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    values = bands.flatten().to_numpy(zero_copy_only=False) ^ np.repeat(salts[ages], lengths)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    salted = pa.ListArray.from_arrays(offsets, pa.array(values), mask=pc.is_null(bands))
    dumps = pa.array([dump.encode() for dump in plan.pools], pa.binary()).take(pa.array(ages))
    text_hashes = pages.column("text_hash").combine_chunks()
    hashes = pc.binary_join_element_wise(text_hashes, dumps, pa.scalar(b"", pa.binary()))
    for name, column in (("text_hash", hashes), ("bands", salted)):
        pages = pages.set_column(pages.column_names.index(name), name, column)
    return pages


def exact_copies_of_older(documents: pa.Table, plan: DumpPlan) -> np.ndarray:
    """For each document the oldest in scope with its text: its own number, if no older dump has it.

    Args:
        documents: ``doc_id``, ``text_hash`` and ``age``, as dumps are by themselves.

    Returns:
        Shape (num_documents,), int64.
    """
    encoded = documents.column("text_hash").combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    ages = documents.column("age").to_numpy()
    kept = np.arange(len(codes))
    hashed = np.flatnonzero(codes >= 0)
    ids = pc.rank(documents.column("doc_id"), tiebreaker="first").to_numpy()
    order = hashed[np.lexsort((ids[hashed], ages[hashed], codes[hashed]))]
    num_ages = len(plan.pools)
    keys = codes[order] * num_ages + ages[order]
    first = np.searchsorted(keys, codes[hashed] * num_ages + _oldest_in_scope(ages[hashed], plan))
    found = order[first]  # the document itself, where there is no older one
    kept[hashed] = np.where(ages[found] < ages[hashed], found, hashed)
    return kept


def near_copies_of_older(
    documents: pa.Table,
    is_left: np.ndarray,
    survivors: np.ndarray,
    signatures: Sketches,
    plan: DumpPlan,
    *,
    survivor_order: SurvivorOrder,
    min_similarity: float | None,
) -> np.ndarray:
    """For each document that its dump would keep, the older one that it or one of its cluster is a near copy of.

    Args:
        documents: all but exact copies within dumps: ``bands``, ``age`` and the columns of the order.
        is_left: those that are no copy of an older one either; shape (num_documents,).
        survivors: for each document the number of the one that its dump would keep; same shape.

    Returns:
        Shape (num_documents,), int64: the older document's number, or the document's own.
    """
    kept = np.arange(documents.num_rows)
    ages, rank = documents.column("age").to_numpy(), ranks(documents, survivor_order)
    links = _links(documents.column("bands").combine_chunks(), is_left, ages, rank, plan)
    if min_similarity is not None:
        links = links[_similarities(links, signatures) >= min_similarity]
    own, older = survivors[links[:, 0]], links[:, 1]
    best_last = np.lexsort((rank[older], ages[older]))[::-1]
    kept[own[best_last]] = older[best_last]  # of several for one document the last is taken
    return kept


def _links(bands: pa.ListArray, is_left: np.ndarray, ages: np.ndarray, rank: np.ndarray, plan: DumpPlan) -> np.ndarray:
    """Distinct pairs of a document that is left and the best of a bucket of an older dump; shape (num_links, 2)."""
    lengths = pc.fill_null(pc.list_value_length(bands), 0).to_numpy(zero_copy_only=False)
    owners = np.repeat(np.arange(len(bands)), lengths)
    hashes = bands.flatten().to_numpy(zero_copy_only=False)
    pairs = [np.empty((0, 2), np.int64)]
    oldest = _oldest_in_scope(ages, plan)
    for age in range(len(plan.pools) - 1):
        here = np.flatnonzero(ages[owners] == age)
        here = here[np.lexsort((rank[owners[here]], hashes[here]))]
        buckets, first = np.unique(hashes[here], return_index=True)
        newer = np.flatnonzero((ages[owners] > age) & (oldest[owners] <= age) & is_left[owners])
        if not len(buckets) or not len(newer):
            continue
        places = np.minimum(np.searchsorted(buckets, hashes[newer]), len(buckets) - 1)
        is_met = buckets[places] == hashes[newer]
        hubs = owners[here[first[places[is_met]]]]
        pairs.append(np.stack([owners[newer[is_met]], hubs], axis=1))
    return np.unique(np.concatenate(pairs), axis=0)


def _similarities(links: np.ndarray, signatures: Sketches) -> np.ndarray:
    """The estimate for each link."""
    numbers, places = np.unique(links, return_inverse=True)
    found = signatures(numbers)
    ends = places.reshape(links.shape)
    parts = [
        similarity(found.take(pa.array(some[:, 0])), found.take(pa.array(some[:, 1])))
        for start in range(0, len(ends), _PAIRS_AT_ONCE)
        if len(some := ends[start : start + _PAIRS_AT_ONCE])
    ]
    return np.concatenate([np.empty(0), *parts])


def _oldest_in_scope(ages: np.ndarray, plan: DumpPlan) -> np.ndarray:
    """Age of the oldest dump that documents of these ages are compared with."""
    return np.zeros_like(ages) if plan.scope == "global" else np.maximum(0, ages - plan.reach_dumps + 1)
