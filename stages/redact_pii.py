"""Row stage that replaces personal data in the text of documents.

The batch function is ``redact_batch``; what counts as personal data is decided in ``filters/pii.py``. A detector is
built once per process and config, since Presidio's recognisers compile their patterns when they are first used.
"""

from __future__ import annotations

import functools

import pyarrow as pa

from filters.pii import PiiConfig, PiiDetector
from pipeline.stage import Stage, with_columns

INPUT = pa.schema([("text", pa.string())])
OUTPUT = pa.schema([("text", pa.string()), ("num_redactions", pa.int32())])

_detector = functools.lru_cache(maxsize=4)(PiiDetector)


def redact_batch(batch: pa.RecordBatch, config: PiiConfig) -> pa.RecordBatch:
    """Replace ``text``, and add ``num_redactions``.

    Args:
        batch: at least ``INPUT``; a null text stays null.
        config: what to replace, and by what.

    Returns:
        ``batch`` with the columns of ``OUTPUT``; ``num_redactions`` is the number of finds replaced, 0 where the
        text was left as it was. Columns measured on the text before, such as ``num_bytes``, are not updated.
    """
    detector = _detector(config)
    texts: list[str | None] = []
    num_redactions = []
    for text in batch.column("text").to_pylist():
        redacted, count = (None, 0) if text is None else detector.redact(text)
        texts.append(redacted)
        num_redactions.append(count)
    return with_columns(
        batch, {"text": pa.array(texts, pa.string()), "num_redactions": pa.array(num_redactions, pa.int32())}
    )


def make_stage(config: PiiConfig) -> Stage:
    """The stage ``redact_pii``."""
    return Stage(
        name="redact_pii",
        version="1",
        config=config,
        input_schema=INPUT,
        output_schema=OUTPUT,
        apply=functools.partial(redact_batch, config=config),
    )
