"""Copies found in memory against the definition, spelt out slowly: groups, stars, components, best of each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.copies_in_memory import exact_copies, near_copies, ranks
from stages.dedup_near import NearDedupConfig
from stages.survivor import order_columns

NUM_PERM = 8
SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),
        ("num_bytes", pa.int64()),
        ("lang_score", pa.float64()),
        ("quality", pa.float32()),
        ("fetch_time", pa.timestamp("ms", tz="UTC")),
        ("text_hash", pa.binary()),
        ("bands", pa.list_(pa.int64())),
        ("signature", pa.binary()),
    ]
)
ORDERS = st.sampled_from(
    [
        ("-num_bytes", "fetch_time", "doc_id"),
        ("lang_score",),
        ("-lang_score", "num_bytes"),
        ("-quality", "fetch_time"),
    ]
)
SIGNATURES = st.lists(st.integers(0, 2), min_size=NUM_PERM, max_size=NUM_PERM)


def _as_set(signature: bytes) -> bytes:
    """A set of hashes out of the same random numbers."""
    return np.unique(np.frombuffer(signature, "<u4")).tobytes()


def _share_of_equal_places(left: dict[str, Any], right: dict[str, Any]) -> float:
    return float((np.frombuffer(left["signature"], "<u4") == np.frombuffer(right["signature"], "<u4")).mean())


def _jaccard(left: dict[str, Any], right: dict[str, Any]) -> float:
    sets = [set(np.frombuffer(row["signature"], "<u4").tolist()) for row in (left, right)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


SIMILARITY = {"signature": _share_of_equal_places, "exact": _jaccard}


@st.composite
def documents(draw: st.DrawFn) -> list[dict[str, Any]]:
    number = draw(st.integers(0, 14))
    rows = []
    for place in draw(st.permutations(range(number))):
        signature = draw(st.none() | SIGNATURES)
        bands = None if signature is None else [draw(st.integers(-2, 3)) for _ in range(2)]
        rows.append(
            {
                "doc_id": f"{place:02x}",
                "num_bytes": draw(st.none() | st.integers(0, 2)),
                "lang_score": draw(st.none() | st.sampled_from([float("nan"), 0.5, 0.75])),
                "quality": draw(st.none() | st.sampled_from([float("nan"), 0.5, 0.75])),
                "fetch_time": draw(st.none() | st.sampled_from([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)])),
                "text_hash": draw(st.none() | st.sampled_from([b"a", b"b", b"c"])),
                "bands": bands,
                "signature": None if signature is None else np.array(signature, "<u4").tobytes(),
            }
        )
    return rows


def key(row: dict[str, Any], order: tuple[str, ...]) -> tuple[Any, ...]:
    """What the best document is smallest by; a missing value comes last."""
    found: list[Any] = []
    for entry in order:
        value = row[entry.removeprefix("-")]
        if isinstance(value, datetime):
            value = value.timestamp()
        is_missing = value is None or value != value
        found.append((is_missing, 0 if is_missing or isinstance(value, str) else -value if entry[0] == "-" else value))
    return (*found, row["doc_id"])


def best(rows: list[dict[str, Any]], members: list[int], order: tuple[str, ...]) -> int:
    return min(members, key=lambda member: key(rows[member], order))


@given(documents(), ORDERS)
@settings(deadline=None)
def test_ranks_follow_the_order(rows: list[dict[str, Any]], order: tuple[str, ...]) -> None:
    expected = sorted(range(len(rows)), key=lambda member: key(rows[member], order))
    assert np.argsort(ranks(pa.Table.from_pylist(rows, SCHEMA), order)).tolist() == expected


@given(documents(), ORDERS)
@settings(deadline=None)
def test_exact_copies(rows: list[dict[str, Any]], order: tuple[str, ...]) -> None:
    expected = []
    for place, row in enumerate(rows):
        same = [other for other in range(len(rows)) if rows[other]["text_hash"] == row["text_hash"]]
        expected.append(place if row["text_hash"] is None else best(rows, same, order))
    assert exact_copies(pa.Table.from_pylist(rows, SCHEMA), order).tolist() == expected


@given(
    documents(),
    ORDERS,
    st.sampled_from([None, 0.3, 0.7, 1.0]),
    st.sampled_from([1, 2, 3, 20]),
    st.sampled_from(list(SIMILARITY)),
)
@settings(deadline=None)
def test_near_copies(
    rows: list[dict[str, Any]], order: tuple[str, ...], min_similarity: float | None, num_hubs: int, verify: Any
) -> None:
    similarity = SIMILARITY[verify]
    component = list(range(len(rows)))
    for band in {band for row in rows for band in row["bands"] or ()}:
        members = [place for place, row in enumerate(rows) if band in (row["bands"] or ())]
        hub, *others = sorted(members, key=lambda member: key(rows[member], order))[:num_hubs]
        for member in members:
            is_like_hub = min_similarity is None or similarity(rows[member], rows[hub]) >= min_similarity
            for other in [hub] if is_like_hub else others:
                if is_like_hub or similarity(rows[member], rows[other]) >= min_similarity:
                    old, new = component[member], component[other]
                    component = [new if label == old else label for label in component]
    expected = [
        best(rows, [other for other in range(len(rows)) if component[other] == component[place]], order)
        for place in range(len(rows))
    ]
    table = pa.Table.from_pylist(rows, SCHEMA)
    config = NearDedupConfig(
        min_similarity=min_similarity, verify=verify, survivor_order=order, hubs_per_bucket=num_hubs
    )
    sketches = table.column("signature").combine_chunks()
    if verify == "exact":
        sketches = pa.array([None if row is None else _as_set(row) for row in sketches.to_pylist()], pa.binary())
    asked: set[int] = set()

    def of_documents(numbers: np.ndarray) -> pa.Array:
        asked.update(numbers.tolist())
        return sketches.take(pa.array(numbers))

    kept = near_copies(table.select([*order_columns(order).names, "bands"]), of_documents, config)
    assert kept.tolist() == expected
    assert all(rows[number]["bands"] is not None for number in asked), "sketches only of what shares a band"
