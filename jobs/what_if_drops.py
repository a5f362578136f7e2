"""What the corpus-wide text stages of a run dropped, for a what-if: they need the text, so their word stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.run_folder import RunFolder

_COLUMNS = ("doc_id", "stage", "reason", "value", "threshold", "kept_doc_id")


@dataclass(frozen=True)
class TextDrops:
    """Of each page, in the order of ``signals/``, whether and why such a stage dropped it in the run.

    Args:
        stage, reason: string, null where none did; value, threshold: float64.
        kept_place: shape (num_pages,): the place of the document that was named as kept instead, else its own.
    """

    stage: pa.Array
    reason: pa.Array
    value: pa.Array
    threshold: pa.Array
    kept_place: np.ndarray

    @property
    def is_dropped(self) -> np.ndarray:
        """Bool, shape (num_pages,)."""
        return np.asarray(pc.is_valid(self.stage))

    def by_reason(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """Each stage and reason, and the pages that it ended."""
        found = pa.table({"stage": self.stage, "reason": self.reason}).filter(pc.is_valid(self.stage))
        for row in found.group_by(["stage", "reason"]).aggregate([]).sort_by("reason").to_pylist():
            same = pc.and_(pc.equal(self.stage, row["stage"]), pc.equal(self.reason, row["reason"]))
            yield row["stage"], row["reason"], np.asarray(pc.fill_null(same, False))


def dropped_by_text_stages(run: RunFolder, doc_ids: pa.ChunkedArray) -> TextDrops:
    """What ``decisions/`` says of the pages ``doc_ids``; nothing in a run without such stages."""
    stages = run.text_stages
    if not stages:
        null, number = pa.nulls(len(doc_ids), pa.string()), pa.nulls(len(doc_ids), pa.float64())
        return TextDrops(null, null, number, number, np.arange(len(doc_ids)))
    rows = run.rows("decisions", _COLUMNS, pc.field("stage").isin(pa.array(stages, pa.string()))).combine_chunks()
    ids = doc_ids.combine_chunks()
    place = pc.index_in(ids, value_set=rows.column("doc_id"))
    stage, reason, value, threshold, kept = (
        rows.column(name).combine_chunks().take(place)
        for name in ("stage", "reason", "value", "threshold", "kept_doc_id")
    )
    own = pa.array(np.arange(len(ids)), pa.int32())
    kept_place = pc.coalesce(pc.index_in(kept, value_set=ids, skip_nulls=True), own)
    return TextDrops(stage, reason, value, threshold, kept_place.to_numpy().astype(np.int64))
