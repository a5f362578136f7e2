"""Stage ``decide``: end the documents that a filter finds a fault with. Reads numbers only, never text."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from filters.line_rules import LINE_SIGNALS
from filters.ranking import Cutoffs
from filters.registry import FiltersConfig, exchange, judge, required_signals
from filters.signals import SIGNALS_SCHEMA
from pipeline.ended import mark_ended
from pipeline.schema import ENDED, LANGUAGE, RECORD_IDENTITY, score_type
from pipeline.stage import Stage

_COLUMNS = pa.schema([RECORD_IDENTITY.field("doc_id"), *LANGUAGE, *SIGNALS_SCHEMA, *LINE_SIGNALS])


def make_stage(config: FiltersConfig, cutoffs: Mapping[str, Cutoffs] = {}) -> Stage:
    """The stage; it asks for the columns that the filters in ``config`` read, and for no others.

    A row ends with the name of the filter as its stage, since that is what a reader of ``decisions/`` looks for.

    Args:
        cutoffs: of each filter that ranks; they follow from config and signals, so no fingerprint needs them.
    """

    def apply(batch: pa.RecordBatch) -> pa.RecordBatch:
        outcome = judge(batch, config, cutoffs)
        if config.keep_rejected:
            outcome = exchange(outcome)
        return mark_ended(
            batch, stage=outcome.stage, reason=outcome.reason, value=outcome.value, threshold=outcome.threshold
        )

    columns = [
        _COLUMNS.field(name) if name in _COLUMNS.names else pa.field(name, score_type(name))
        for name in required_signals(config)
    ]
    return Stage(
        name="decide",
        version="1",
        config=config,
        input_schema=pa.schema([*columns, *ENDED]),
        output_schema=ENDED,
        apply=apply,
    )
