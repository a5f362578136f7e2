"""``chaffinch what-if``: a run's funnel before and after a change of its config, answered from ``signals/`` alone.

The fates before are the run's ``decisions/``; those after are settled by ``jobs/what_if_settle.py``. Text and URLs are
read of the sample pages only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.run_folder import RunFolder
from jobs.what_if_changes import changed_config, stored_config
from jobs.what_if_funnel import Funnel, funnel
from jobs.what_if_settle import Settled, settle
from pipeline.config import Config
from pipeline.errors import ConfigError, LedgerError

NUM_SAMPLES = 10
TEXT_HEAD_CHARS = 300


class Fate(Config):
    """A page's fate: kept, or the stage and reason that dropped it."""

    verdict: str
    stage: str | None = None
    reason: str | None = None
    value: float | None = None
    threshold: float | None = None
    kept_doc_id: str | None = None


class SamplePage(Config):
    """A page that changed sides."""

    doc_id: str
    url: str | None
    lang: str | None
    num_bytes: int | None
    before: Fate
    after: Fate
    text_head: str


class Answer(Config):
    """What a change would do.

    Args:
        changes: as asked.
        num_pages: of the run.
        num_gained: documents that are kept after the change and were not before.
        num_lost: the other way round.
        as_the_run_did: corpus-wide text stages: documents that are still there lose what they lost in the run, or are
            dropped as they were; those that come in have never been compared.
        samples: some of both, drawn by the hash that is their id.
    """

    run_folder: str
    changes: dict[str, Any]
    num_pages: int
    before: Funnel
    after: Funnel
    num_gained: int
    num_lost: int
    as_the_run_did: tuple[str, ...] = ()
    samples: tuple[SamplePage, ...]


def what_if(run_folder: str, changes: dict[str, Any], *, num_samples: int = NUM_SAMPLES) -> Answer:
    """Answer what ``changes`` would do to a finished run.

    Args:
        run_folder: output folder of a run that has come to ``decisions/``.
        changes: nested tables, as ``jobs.what_if_changes.read_changes`` gives them.
        num_samples: pages to show at most; as many that came in as that went, where there are.

    Raises:
        ConfigError: if the run has not come so far, or a change is impossible or cannot be answered.
        LedgerError: if ``decisions/`` names a stage that a what-if does not know, so that its answer would be wrong.
    """
    run = RunFolder(run_folder)
    old, new = stored_config(run), changed_config(run, changes)
    if not run.is_finished("decisions"):
        raise ConfigError(
            f"{run_folder} has no finished decisions/; expected a run that came so far; run `chaffinch run` to its end"
        )
    before, after = _decided(run), settle(run, new)
    before = _aligned(before, after.pages.column("doc_id"))
    old_kept, new_kept = (pc.is_null(pages.column("stage")).to_numpy() for pages in (before, after.pages))
    gained, lost = np.flatnonzero(new_kept & ~old_kept), np.flatnonzero(old_kept & ~new_kept)
    return Answer(
        run_folder=run_folder,
        changes=changes,
        num_pages=before.num_rows,
        before=funnel(before, old),
        after=funnel(after.pages, new),
        num_gained=len(gained),
        num_lost=len(lost),
        as_the_run_did=run.text_stages,
        samples=tuple(_samples(run, before, after, gained, lost, num_samples)),
    )


def _decided(run: RunFolder) -> pa.Table:
    """Fates as the run wrote them down."""
    columns = ["doc_id", "lang", "num_bytes", "stage", "reason", "value", "threshold", "kept_doc_id", "copies"]
    return run.rows("decisions", columns)


def _aligned(decided: pa.Table, doc_ids: pa.ChunkedArray) -> pa.Table:
    """``decided`` in the order of ``doc_ids``; both folders are cut alike, so as a rule it is in that order already.

    Raises:
        LedgerError: if a page is missing.
    """
    if decided.num_rows == len(doc_ids) and pc.all(pc.equal(decided.column("doc_id"), doc_ids)).as_py() is not False:
        return decided
    places = pc.index_in(doc_ids, value_set=decided.column("doc_id"))
    if places.null_count or decided.num_rows != len(doc_ids):
        raise LedgerError(
            f"decisions/ has {decided.num_rows} rows for {len(doc_ids)} pages in signals/, or other pages; "
            f"the folders are of different runs; run `chaffinch run` again"
        )
    return decided.take(places)


def _samples(
    run: RunFolder, before: pa.Table, after: Settled, gained: np.ndarray, lost: np.ndarray, limit: int
) -> list[SamplePage]:
    """Pages that changed sides, those with the smallest ids: ids are hashes, so this is a draw, and always the same."""
    doc_ids = after.pages.column("doc_id")
    chosen: list[int] = []
    for places, room in ((gained, limit - min(limit // 2, len(lost))), (lost, limit)):
        ids = doc_ids.take(pa.array(places))
        chosen += places[pc.select_k_unstable(ids, k=room, sort_keys=[("", "ascending")]).to_numpy()].tolist()
        del chosen[limit:]
    if not chosen:
        return []
    pages, old = after.pages.take(chosen).to_pylist(), before.take(chosen).to_pylist()
    where = _locations(run, [page["doc_id"] for page in pages])
    found = []
    for place, page, was in zip(chosen, pages, old, strict=True):
        location = where[page["doc_id"]]
        kept_id = doc_ids[after.kept_place[place]].as_py()
        found.append(
            SamplePage(
                doc_id=page["doc_id"],
                url=location["url"],
                lang=page["lang"],
                num_bytes=page["num_bytes"],
                before=_fate(was, was["kept_doc_id"]),
                after=_fate(page, None if kept_id == page["doc_id"] else kept_id),
                text_head=_text_head(run, location),
            )
        )
    return found


def _fate(row: dict[str, Any], kept_doc_id: str | None) -> Fate:
    if row["stage"] is None:
        return Fate(verdict="kept")
    values = {name: row[name] for name in ("stage", "reason", "value", "threshold")}
    return Fate(verdict="dropped", kept_doc_id=kept_doc_id, **values)


def _locations(run: RunFolder, doc_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Where pages and their texts lie, by id."""
    wanted = pc.field("doc_id").isin(pa.array(doc_ids, pa.string()))
    rows = run.rows("signals", ["doc_id", "url", "unit", "row_index"], wanted).to_pylist()
    return {row["doc_id"]: row for row in rows}


def _text_head(run: RunFolder, location: dict[str, Any]) -> str:
    path = f"documents/part-{location['unit']}.parquet"
    text: str = run.row_at(path, location["row_index"], ["text"])["text"]
    return text[:TEXT_HEAD_CHARS]
