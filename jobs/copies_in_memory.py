"""Copies among a run's documents, found in memory: the clusters of ``stages/dedup_exact.py`` and ``dedup_near.py``.

The definitions are those stages'; what differs is the engine. Spark pays for its shuffles of 14 band hashes a document
whatever the size of the run, a minute for a million documents on two cores; NumPy sorts the same hashes in two seconds
as long as they fit into memory (about 250 bytes a document). ``chaffinch what-if`` needs the second, a crawl the first.
``tests/property/test_copies_in_memory.py`` holds both to the same clusters on any input.

Documents are numbers here: places in arrays that the caller holds. A *rank* is a document's place in the survivor
order; since the order is total, comparing ranks is comparing documents, and the best of a set is its smallest rank.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.kernels.minhash import similarity
from pipeline.kernels.shingle_sets import jaccard
from pipeline.lsh_buckets import Buckets, shared_buckets, without_repeats
from stages.dedup_near import NearDedupConfig
from stages.survivor import SurvivorOrder, order_columns

Sketches = Callable[[np.ndarray], pa.Array]
"""Signatures, or (``verify = "exact"``) sets of shingles, of the documents with the given numbers, in their order."""

_CODE_BITS = 31  # documents among the candidates, at most
_PAIRS_AT_ONCE = 1 << 16  # bounds the memory of a comparison: 450 bytes a signature


def ranks(documents: pa.Table, order: SurvivorOrder) -> np.ndarray:
    """Each document's place in the survivor order, 0 the best; shape (num_documents,), int64.

    Args:
        documents: the columns of ``stages.survivor.order_columns``.
    """
    table = documents.select(order_columns(order).names)
    for place, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):  # the order takes NaN for a missing value
            column = table.column(place)
            number = pc.if_else(pc.is_nan(column), pa.scalar(None, field.type), column)
            table = table.set_column(place, field.name, number)
    deciding = order[: order.index("doc_id")] if "doc_id" in order else order
    keys = [(entry.removeprefix("-"), "descending" if entry.startswith("-") else "ascending") for entry in deciding]
    sort_keys = [(*key, "at_end") for key in (*keys, ("doc_id", "ascending"))]
    sorted_rows = pc.sort_indices(table, sort_keys).to_numpy()
    found = np.empty(len(sorted_rows), np.int64)
    found[sorted_rows] = np.arange(len(sorted_rows))
    return found


def exact_copies(documents: pa.Table, order: SurvivorOrder) -> np.ndarray:
    """For each document the number of the one that is kept of its cluster: its own, if it is no copy.

    Args:
        documents: ``text_hash`` (null: a copy of none) and the columns of the survivor order.

    Returns:
        Shape (num_documents,), int64.
    """
    kept = np.arange(documents.num_rows)
    encoded = documents.column("text_hash").combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    if not len(encoded.dictionary):
        return kept
    sizes = np.bincount(codes[codes >= 0], minlength=len(encoded.dictionary))
    members = np.flatnonzero((codes >= 0) & (sizes[codes] > 1))
    rank = ranks(documents.take(members), order)
    groups = np.lexsort((rank, codes[members]))
    firsts = _starts(codes[members][groups])
    kept[members[groups]] = np.repeat(members[groups][firsts], np.diff([*firsts, len(groups)]))
    return kept


def near_copies(documents: pa.Table, sketches: Sketches, config: NearDedupConfig) -> np.ndarray:
    """For each document the number of the one that is kept of its cluster: its own, if it is no near copy.

    Args:
        documents: what exact deduplication left; ``bands`` (null: a copy of none) and the columns of the order.
        sketches: gives what is compared of documents by number; asked only for those that share a band.

    Returns:
        Shape (num_documents,), int64.
    """
    kept = np.arange(documents.num_rows)
    members, band_numbers = _shared_buckets(documents.column("bands").combine_chunks())
    if not len(members):
        return kept
    numbers, places = np.unique(members, return_inverse=True)
    rank = ranks(documents.take(numbers), config.survivor_order)
    by_rank = np.argsort(rank)  # from here on a document is its rank among the candidates
    buckets = _by_rank(band_numbers, rank[places])
    links = _links(buckets, config, None if config.min_similarity is None else sketches(numbers[by_rank]))
    graph = coo_array((np.ones(len(links), np.int8), (links[:, 0], links[:, 1])), shape=(len(numbers), len(numbers)))
    _, component = connected_components(graph, directed=False)
    _, best = np.unique(component, return_index=True)  # ranks ascend, so the first of a component is its best
    kept[numbers[by_rank]] = numbers[by_rank[best[component]]]
    return kept


def _shared_buckets(bands: pa.ListArray) -> tuple[np.ndarray, np.ndarray]:
    """Documents that share a band hash with another, bucket by bucket.

    Returns:
        Documents, and for each the number of the bucket; a document stands once in each of its buckets.
    """
    valid = np.flatnonzero(pc.is_valid(bands).to_numpy(zero_copy_only=False))
    present = bands.take(pa.array(valid))
    hashes = present.flatten().to_numpy(zero_copy_only=False)
    owners = np.repeat(valid, pc.list_value_length(present).to_numpy(zero_copy_only=False))
    order = np.argsort(hashes)
    hashes = hashes[order]
    starts = _starts(hashes)
    sizes = np.diff([*starts, len(hashes)])
    is_shared = sizes > 1
    members = owners[order[np.repeat(is_shared, sizes)]]
    return members, np.repeat(np.arange(is_shared.sum()), sizes[is_shared])


def _by_rank(band_numbers: np.ndarray, ranks_in_buckets: np.ndarray) -> Buckets:
    """The buckets with their members in the survivor order."""
    order = np.lexsort((ranks_in_buckets, band_numbers))
    return shared_buckets(*without_repeats(band_numbers[order], ranks_in_buckets[order]))


def _links(buckets: Buckets, config: NearDedupConfig, sketches: pa.Array | None) -> np.ndarray:
    """Pairs of near copies, by rank; shape (num_links, 2).

    Args:
        sketches: by rank; None if nothing is to be verified.
    """
    first_hubs = buckets.first_hubs
    places = np.flatnonzero(buckets.nodes != first_hubs)
    links = _distinct(buckets.nodes[places], first_hubs[places])
    if sketches is None or config.min_similarity is None:
        return links
    measure = jaccard if config.verify == "exact" else similarity
    is_near = _similarities(links, sketches, measure) >= config.min_similarity
    is_unlike = np.isin(_codes(buckets.nodes, first_hubs), _codes(*links[~is_near].T))
    places = np.flatnonzero(is_unlike)
    others, counts = buckets.other_hubs(places, config.hubs_per_bucket)
    more = _distinct(np.repeat(buckets.nodes[places], counts), others)
    more = more[~np.isin(_codes(*more.T), _codes(*links.T))]
    more = more[_similarities(more, sketches, measure) >= config.min_similarity]
    return np.concatenate([links[is_near], more])


def _distinct(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Distinct pairs, the worse document first; shape (num_pairs, 2)."""
    codes = np.unique(_codes(np.maximum(left, right), np.minimum(left, right)))
    return np.stack([codes >> _CODE_BITS, codes & (1 << _CODE_BITS) - 1], axis=1)


def _codes(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """One number for each pair of ranks."""
    return left << _CODE_BITS | right


def _similarities(
    links: np.ndarray, sketches: pa.Array, measure: Callable[[pa.Array, pa.Array], np.ndarray]
) -> np.ndarray:
    """What ``measure`` says of each link; ``sketches`` are by rank, as the links are."""
    parts = [
        measure(sketches.take(pa.array(pairs[:, 0])), sketches.take(pa.array(pairs[:, 1])))
        for start in range(0, len(links), _PAIRS_AT_ONCE)
        if len(pairs := links[start : start + _PAIRS_AT_ONCE])
    ]
    return np.concatenate([np.empty(0), *parts])


def _starts(values: np.ndarray) -> np.ndarray:
    """Where runs of equal values begin."""
    return np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])) if len(values) else np.empty(0, np.int64)
