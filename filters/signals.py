"""The measuring half of all heuristic filters: text in, one row of numbers a text out.

Rules (``filters/gopher_quality.py`` and its neighbours) look at these columns only, so a threshold can change without
reading text again. What cannot be expressed as a threshold, because it changes *what* is counted, stands here.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, Field, model_validator

from filters.stop_words import STOP_WORDS
from pipeline.config import Config
from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.text_signals import SIGNAL_NAMES, measure_texts
from pipeline.kernels.word_segmentation import DATATROVE_MODE, UNICODE_MODE
from pipeline.language_codes import LanguageCode

SIGNALS_SCHEMA = pa.schema(
    [(name, pa.int64() if name.startswith(("num_", "c4_num_")) else pa.float64()) for name in SIGNAL_NAMES]
)
"""One column a signal: int64 for counts, float64 for means, ratios and fractions of 1."""

ENGLISH = "eng_Latn"
_MODES = {"unicode": UNICODE_MODE, "datatrove": DATATROVE_MODE}


def _over_defaults(lists: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """``lists`` in front of ours, in the order of the codes; an empty list takes a language out."""
    return dict(sorted({**STOP_WORDS, **lists}.items()))


class MeasureConfig(Config):
    """What is counted. Defaults are the papers'; FineWeb runs C4 with ``c4_terminal_punctuation = false``.

    Args:
        segmentation: where words begin and end. ``unicode``: at the boundaries of UAX #29, by character in scripts
            written without spaces. ``datatrove``: as spaCy does for English, whatever the script; with it datatrove
            counts words where it is not told a language.
        stop_words: by language, the words of ``num_distinct_stop_words`` and ``stop_word_fraction``, compared with
            case. Languages that are not named keep ours (``filters/stop_words.py``); an empty list takes one out. The
            two signals are null in languages without words.
        short_line_chars: a line of up to so many characters is short (FineWeb).
        fineweb_lines: ``as_extracted``, or ``as_c4_left_them``: the text that C4's line rules leave, on which FineWeb's
            recipe measures its four signals (line ends, short lines, duplicate characters, line breaks to words).
        c4_terminal_punctuation: drop lines that do not end in one of ``. ? ! " '``, or end in an ellipsis.
        c4_min_line_words: drop lines of fewer words (runs between white space).
        c4_max_word_chars: drop lines with a longer word.
        c4_drop_javascript_lines: drop lines that say "javascript".
        c4_drop_policy_lines: drop lines about cookies, privacy policies and terms of use.
    """

    segmentation: Literal["unicode", "datatrove"] = "unicode"
    stop_words: Annotated[dict[LanguageCode, tuple[str, ...]], AfterValidator(_over_defaults)] = Field(
        default_factory=dict, validate_default=True
    )
    short_line_chars: int = Field(default=30, ge=0)
    fineweb_lines: Literal["as_extracted", "as_c4_left_them"] = "as_extracted"
    c4_terminal_punctuation: bool = True
    c4_min_line_words: int = Field(default=3, ge=0)
    c4_max_word_chars: int = Field(default=1000, ge=1)
    c4_drop_javascript_lines: bool = True
    c4_drop_policy_lines: bool = True

    @model_validator(mode="after")
    def _c4_leaves_no_blank_lines(self) -> MeasureConfig:
        keeps_blank = not self.c4_terminal_punctuation and self.c4_min_line_words == 0
        if self.fineweb_lines == "as_c4_left_them" and keeps_blank:
            raise ValueError(
                "c4_min_line_words=0 and c4_terminal_punctuation=false keep blank lines, which the text that C4 leaves "
                "is measured without; expected c4_min_line_words of 1 or more with fineweb_lines = "
                "'as_c4_left_them'; FineWeb has 3"
            )
        return self


def measure(text: pa.Array, config: MeasureConfig, lang: pa.Array | None = None) -> pa.RecordBatch:
    """Measure a column of texts.

    Args:
        text: string or large_string.
        config: what to count.
        lang: string, the language of each text, which chooses its stop words; without it all texts are English.

    Returns:
        ``SIGNALS_SCHEMA``, one row a text: all null for a null text, all 0 for an empty one. A fraction of nothing
        (of the words of a blank text, say) is 0. What stop words there are is null where there is no list of them.

    Raises:
        SchemaError: for a column of another type.
        RecordError: for a text of 2 GiB or more.
    """
    buffers = text_buffers(text)
    lists = {code: words for code, words in config.stop_words.items() if words}
    values = measure_texts(
        buffers,
        mode=segmentation_mode(config.segmentation),
        stop_words=list(lists.values()),
        stop_list=_list_of_each(len(text), lang, list(lists)),
        short_line_chars=config.short_line_chars,
        c4_rules=(
            int(config.c4_terminal_punctuation),
            config.c4_min_line_words,
            config.c4_max_word_chars,
            int(config.c4_drop_javascript_lines),
            int(config.c4_drop_policy_lines),
        ),
        fineweb_after_c4=config.fineweb_lines == "as_c4_left_them",
    )
    columns = []
    for i, field in enumerate(SIGNALS_SCHEMA):
        column = values[:, i]
        is_null = np.isnan(column)
        counts = pa.types.is_integer(field.type)
        column = np.where(is_null, 0, column).astype(np.int64) if counts else np.ascontiguousarray(column)
        columns.append(pa.array(column, field.type, mask=is_null))
    return pa.RecordBatch.from_arrays(columns, schema=SIGNALS_SCHEMA)


def segmentation_mode(name: str) -> int:
    """What kernels call a ``segmentation``."""
    return _MODES[name]


def _list_of_each(num_rows: int, lang: pa.Array | None, codes: list[str]) -> np.ndarray:
    """Place in ``codes`` of each text's language, -1 if it is not there; int64, shape (num_rows,)."""
    if lang is None:
        return np.full(num_rows, codes.index(ENGLISH) if ENGLISH in codes else -1, dtype=np.int64)
    places = pc.index_in(lang, value_set=pa.array(codes, pa.string()), skip_nulls=True)
    return pc.fill_null(places, -1).to_numpy(zero_copy_only=False).astype(np.int64)
