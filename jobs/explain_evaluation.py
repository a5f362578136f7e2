"""Which passages of evaluation sets a document held, as decontamination wrote it down."""

from __future__ import annotations

import pyarrow.compute as pc

from jobs.explanation import EvaluationItem
from jobs.run_folder import RunFolder

FINDINGS = "decontamination"
_COLUMNS = ("set", "item_index", "field", "part_index", "num_ngrams_found", "num_ngrams")


def evaluation_items(run: RunFolder, doc_id: str) -> tuple[EvaluationItem, ...]:
    """The passages found in a document, those of which it held most first; empty without ``[decontaminate]``."""
    rows = run.rows(FINDINGS, _COLUMNS, pc.field("doc_id") == doc_id).to_pylist()
    found = [EvaluationItem(**row) for row in rows]
    return tuple(sorted(found, key=lambda item: (-item.num_ngrams_found / item.num_ngrams, item.set, item.item_index)))
