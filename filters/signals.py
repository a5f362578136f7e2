"""The measuring half of all heuristic filters: text in, one row of numbers a text out.

Rules (``filters/gopher_quality.py`` and its neighbours) look at these columns only, so a threshold can change without
reading text again. What cannot be expressed as a threshold, because it changes *what* is counted, stands here.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.config import Config
from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.text_signals import SIGNAL_NAMES, measure_texts

SIGNALS_SCHEMA = pa.schema(
    [(name, pa.int64() if name.startswith(("num_", "c4_num_")) else pa.float64()) for name in SIGNAL_NAMES]
)
"""One column a signal: int64 for counts, float64 for means, ratios and fractions of 1."""

GOPHER_STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


class MeasureConfig(Config):
    """What is counted. Defaults are the papers'; FineWeb runs C4 with ``c4_terminal_punctuation = false``.

    Args:
        stop_words: words of ``num_distinct_stop_words``, compared with case (Rae et al. 2021, A.1).
        short_line_chars: a line of up to so many characters is short (FineWeb).
        c4_terminal_punctuation: drop lines that do not end in one of ``. ? ! " '``, or end in an ellipsis.
        c4_min_line_words: drop lines of fewer words (runs between white space).
        c4_max_word_chars: drop lines with a longer word.
        c4_drop_javascript_lines: drop lines that say "javascript".
        c4_drop_policy_lines: drop lines about cookies, privacy policies and terms of use.
    """

    stop_words: tuple[str, ...] = Field(default=GOPHER_STOP_WORDS, min_length=1)
    short_line_chars: int = Field(default=30, ge=0)
    c4_terminal_punctuation: bool = True
    c4_min_line_words: int = Field(default=3, ge=0)
    c4_max_word_chars: int = Field(default=1000, ge=1)
    c4_drop_javascript_lines: bool = True
    c4_drop_policy_lines: bool = True


def measure(text: pa.Array, config: MeasureConfig) -> pa.RecordBatch:
    """Measure a column of texts.

    Args:
        text: string or large_string.
        config: what to count.

    Returns:
        ``SIGNALS_SCHEMA``, one row a text: all null for a null text, all 0 for an empty one. A fraction of nothing
        (of the words of a blank text, say) is 0.

    Raises:
        SchemaError: for a column of another type.
        RecordError: for a text of 2 GiB or more.
    """
    buffers = text_buffers(text)
    values = measure_texts(
        buffers,
        stop_words=sorted(set(config.stop_words)),
        short_line_chars=config.short_line_chars,
        c4_rules=(
            int(config.c4_terminal_punctuation),
            config.c4_min_line_words,
            config.c4_max_word_chars,
            int(config.c4_drop_javascript_lines),
            int(config.c4_drop_policy_lines),
        ),
    )
    is_null = ~buffers.is_valid
    columns = []
    for i, field in enumerate(SIGNALS_SCHEMA):
        column = values[:, i]
        counts = pa.types.is_integer(field.type)
        column = np.where(is_null, 0, column).astype(np.int64) if counts else np.ascontiguousarray(column)
        columns.append(pa.array(column, field.type, mask=is_null))
    return pa.RecordBatch.from_arrays(columns, schema=SIGNALS_SCHEMA)
