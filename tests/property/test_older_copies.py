"""Copies between dumps: the search in memory against its definition spelt out, and whatever later dumps bring."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.config import DedupConfig
from jobs.what_if_copies import Copies, copies_among
from pipeline.dump_plan import DumpPlan
from stages.dedup_exact import ExactDedupConfig
from stages.dedup_near import NearDedupConfig

NUM_PERM = 8
ORDER = ("-num_bytes",)
MIN_SIMILARITY = 0.6
DUMPS = ("winter", "spring", "summer", "autumn")
SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),
        ("source", pa.string()),
        ("num_bytes", pa.int64()),
        ("text_hash", pa.binary()),
        ("bands", pa.list_(pa.int64())),
        ("signature", pa.binary()),
    ]
)
DEDUP = DedupConfig(
    exact=ExactDedupConfig(survivor_order=ORDER),
    near=NearDedupConfig(survivor_order=ORDER, min_similarity=MIN_SIMILARITY),
)
PLANS = st.sampled_from([("global", None), ("window", 2), ("window", 3), ("dump", None)])
Row = dict[str, Any]


@st.composite
def pages(draw: st.DrawFn) -> list[Row]:
    """Pages of few texts, so that they are copies of each other in every way."""
    rows = []
    for place in draw(st.permutations(range(draw(st.integers(0, 16))))):
        signature = draw(st.none() | st.lists(st.integers(0, 1), min_size=NUM_PERM, max_size=NUM_PERM))
        rows.append(
            {
                "doc_id": f"{place:02x}",
                "source": draw(st.sampled_from(DUMPS)),
                "num_bytes": draw(st.integers(0, 2)),
                "text_hash": draw(st.none() | st.sampled_from([bytes([n]) * 2 for n in range(6)])),
                "bands": None if signature is None else [draw(st.integers(0, 3)) for _ in range(2)],
                "signature": None if signature is None else np.array(signature, "<u4").tobytes(),
            }
        )
    return rows


def plan_of(scope: str, window_dumps: int | None, dumps: tuple[str, ...] = DUMPS) -> DumpPlan:
    return DumpPlan(scope=scope, window_dumps=window_dumps, pools=dumps, of_source={dump: dump for dump in DUMPS})


def found(rows: list[Row], plan: DumpPlan) -> Copies:
    table = pa.Table.from_pylist(rows, SCHEMA)
    signatures = table.column("signature").combine_chunks()

    def at(places: np.ndarray) -> pa.Array:
        return signatures.take(pa.array(places))

    columns = table.drop_columns(["signature"])
    return copies_among(columns, np.arange(len(rows)), plan, DEDUP, sketches=at, signatures=at)


def fates(rows: list[Row], copies: Copies) -> dict[str, tuple[str, str]]:
    """By doc_id, the reason and the document that stands for it."""
    told = {}
    for (_, reason), is_copy in copies.is_copy.items():
        for place in np.flatnonzero(is_copy):
            told[rows[place]["doc_id"]] = (reason, rows[copies.kept_place[place]]["doc_id"])
    return told


def similarity(left: Row, right: Row) -> float:
    return float((np.frombuffer(left["signature"], "<u4") == np.frombuffer(right["signature"], "<u4")).mean())


def rank(row: Row) -> tuple[Any, ...]:
    return (-row["num_bytes"], row["doc_id"])


def defined(rows: list[Row], plan: DumpPlan) -> dict[str, tuple[str, str]]:
    """``fates`` by the definition, dump by dump; within one, by the search of a run that has only that one."""
    reasons: dict[str, str] = {}
    parent: dict[str, str] = {}
    seen: dict[str, list[Row]] = {}
    for age, dump in enumerate(DUMPS):
        own = [row for row in rows if row["source"] == dump]
        in_scope = [older for older in DUMPS[:age] if plan.reaches(dump, older)]

        def end(row: Row, reason: str, kept: str) -> None:
            reasons[row["doc_id"]], parent[row["doc_id"]] = reason, kept

        def within(some: list[Row], reason: str) -> dict[str, str]:
            of_dump = fates(some, found(some, plan_of("dump", None)))
            return {doc_id: kept for doc_id, (why, kept) in of_dump.items() if why == reason}

        equal = within([{**row, "bands": None} for row in own], "exact_duplicate")
        for row in own:
            if row["doc_id"] in equal:
                end(row, "exact_duplicate", equal[row["doc_id"]])
        seen[dump] = [row for row in own if row["doc_id"] not in equal]
        for row in seen[dump]:
            same = [
                other
                for older in in_scope
                for other in seen[older]
                if row["text_hash"] is not None and other["text_hash"] == row["text_hash"]
            ]
            if same:
                end(row, "exact_duplicate_of_older_dump", same[0]["doc_id"])
        left = [row for row in seen[dump] if row["doc_id"] not in parent]
        near = within([{**row, "text_hash": None} for row in left], "near_duplicate")
        targets: dict[str, list[tuple[Any, ...]]] = {}
        for row in left:
            survivor = near.get(row["doc_id"], row["doc_id"])
            if row["doc_id"] in near:
                end(row, "near_duplicate", survivor)
            for band in row["bands"] or ():
                for older in in_scope:
                    bucket = [other for other in seen[older] if band in (other["bands"] or ())]
                    if bucket and similarity(row, hub := min(bucket, key=rank)) >= MIN_SIMILARITY:
                        targets.setdefault(survivor, []).append((DUMPS.index(older), *rank(hub)))
        for row in left:
            if row["doc_id"] in targets:
                end(row, "near_duplicate_of_older_dump", min(targets[row["doc_id"]])[-1])

    def stands_for(doc_id: str) -> str:
        return stands_for(parent[doc_id]) if doc_id in parent else doc_id

    return {doc_id: (reason, stands_for(doc_id)) for doc_id, reason in reasons.items()}


@given(pages(), PLANS)
@settings(deadline=None, max_examples=100)
def test_the_search_finds_what_is_defined(rows: list[Row], scope: tuple[str, int | None]) -> None:
    plan = plan_of(*scope)
    assert fates(rows, found(rows, plan)) == defined(rows, plan)


@given(pages(), PLANS, st.integers(1, 3))
@settings(deadline=None)
def test_no_later_dump_changes_what_became_of_a_page(
    rows: list[Row], scope: tuple[str, int | None], num_dumps: int
) -> None:
    """So dumps may come one by one: what is kept of each is the same as if all had been there."""
    earlier = [row for row in rows if row["source"] in DUMPS[:num_dumps]]
    alone = fates(earlier, found(earlier, plan_of(*scope, DUMPS[:num_dumps])))
    all_at_once = fates(rows, found(rows, plan_of(*scope)))
    ids = {row["doc_id"] for row in earlier}
    assert alone == {doc_id: fate for doc_id, fate in all_at_once.items() if doc_id in ids}


@given(pages())
@settings(deadline=None)
def test_no_two_kept_pages_of_neighbouring_dumps_are_equal(rows: list[Row]) -> None:
    copies = found(rows, plan_of("window", 2))
    kept = [row for row, is_copy in zip(rows, copies.is_any, strict=True) if not is_copy and row["text_hash"]]
    pairs = [(left, right) for left in kept for right in kept if left["text_hash"] == right["text_hash"]]
    distances = [DUMPS.index(left["source"]) - DUMPS.index(right["source"]) for left, right in pairs if left != right]
    assert all(abs(distance) > 1 for distance in distances)
