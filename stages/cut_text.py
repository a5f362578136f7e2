"""Row stage that carries out what a corpus-wide stage wrote down: texts without the ranges that it cuts.

One of them stands in pass 2 for each stage of ``jobs/text_stages.py`` that is on, under that stage's name, so that the
ledger counts its bytes. The ranges come as two columns, attached from ``_work/<stage>/``.
"""

from __future__ import annotations

import pyarrow as pa

from pipeline.config import Config
from pipeline.stage import Stage, with_columns
from pipeline.text_cuts import RANGES, cut_texts

VERSION = "1"


class CutTextConfig(Config):
    """Whose cuts."""

    stage: str


def range_columns(stage: str) -> tuple[str, str]:
    """Names of the columns with the starts and the ends of what ``stage`` cuts."""
    return f"{stage}_starts", f"{stage}_ends"


def make_stage(stage: str) -> Stage:
    """The stage that cuts what ``stage`` found, under its name.

    A document that ``stage`` did not touch has null in both columns of ``range_columns``. Columns measured on the text
    before, such as ``num_bytes``, are not updated.
    """
    starts, ends = range_columns(stage)

    def apply(batch: pa.RecordBatch) -> pa.RecordBatch:
        return with_columns(batch, {"text": cut_texts(*(batch.column(name) for name in ("text", starts, ends)))})

    return Stage(
        name=stage,
        version=VERSION,
        config=CutTextConfig(stage=stage),
        input_schema=pa.schema([("text", pa.string()), (starts, RANGES), (ends, RANGES)]),
        output_schema=pa.schema([("text", pa.string())]),
        apply=apply,
    )
