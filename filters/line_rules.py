"""Rules on lines: what goes out of a text, and what a text's lines say about it as a whole.

Lines are looked at twice. Pass 1 measures what the rules would take (``LINE_SIGNALS``), so that documents end by
thresholds on signals, as everywhere: RefinedWeb's filter on the share of words that its line rules flag, and
``[filters.clean_lines]`` on what is left. Pass 2 carries the rules out on what was kept. Both run the same kernel with
the same settings, and the ledger compares their bytes.

C4's line rules are set in ``[measure]`` (``c4_*``), where C4's sentences are counted on the lines that they leave.
"""

from __future__ import annotations

import functools
import gzip
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.line_rules_config import CleanLinesConfig, LineRulesConfig, RefinedWebLinesConfig, resolve
from filters.list_files import ListFile
from filters.rule import Filter, Rule
from filters.thresholds import Count, TextFilterConfig
from pipeline.config import Config
from pipeline.kernels.arrow_text import text_buffers
from pipeline.kernels.line_edits import EditedTexts, LineSettings, edit_texts
from pipeline.kernels.line_hashes import NO_HASH, hash_lines, lower_case_table
from pipeline.kernels.line_phrases import ANYWHERE, AT_END, AT_START, COUNTED, Phrases, make_phrases
from pipeline.kernels.line_verdicts import LINE_RULES
from pipeline.language_codes import LanguageCode
from pipeline.storage import read_bytes

NAME = "clean_lines"

LINE_SIGNALS = pa.schema(
    [
        ("refinedweb_removed_word_fraction", pa.float64()),  # of its words; 0 for a text without words
        ("cleaned_num_bytes", pa.int64()),  # UTF-8 bytes that [clean_lines] leaves; null where it is off
        ("cleaned_num_words", pa.int64()),  # runs between white space that it leaves; null where it is off
    ]
)
"""What pass 1 measures on lines; null where there is no text."""

_OFF = 2.0  # more than all characters can be upper case


class Reason(StrEnum):
    """Faults that end a document."""

    TOO_FEW_WORDS_LEFT = "too_few_words_left"


class CleanLinesThresholds(Config):
    """Thresholds on what cleaning leaves."""

    min_words: Count = 1


class CleanLinesFilterConfig(CleanLinesThresholds, TextFilterConfig):
    """The filter's table; a run that cleans lines has this filter, named or not."""

    lang: dict[LanguageCode, CleanLinesThresholds] = {}


CLEAN_LINES = Filter(
    name=NAME,
    config_type=CleanLinesFilterConfig,
    rules=(Rule(reason=Reason.TOO_FEW_WORDS_LEFT, signal="cleaned_num_words", drop_if="<", threshold="min_words"),),
)
"""The document rule behind line cleaning: a document of which nothing is left ends here, before its text is edited."""


@dataclass(frozen=True)
class CleanedTexts:
    """Texts as the line rules leave them.

    Args:
        text: string or large_string, as it came; null stays null.
        bytes_by_rule, lines_by_rule: int64, shape (num_rows, len(LINE_RULES)): what each rule took, and from how many
            lines (``white_space`` is counted in bytes only).
    """

    text: pa.Array
    bytes_by_rule: np.ndarray
    lines_by_rule: np.ndarray


def measure_lines(text: pa.Array, lang: pa.Array, config: LineRulesConfig) -> pa.RecordBatch:
    """What the line rules would take.

    Args:
        text: string or large_string.
        lang: string, one a text.

    Returns:
        ``LINE_SIGNALS``.
    """
    edited = _run(text, lang, config, writes=False)
    num_words, num_flagged, num_bytes, num_words_left = edited.facts.T
    is_null = pc.is_null(text).to_numpy(zero_copy_only=False)
    is_off = is_null if config.clean_lines.edits else np.ones(len(text), dtype=bool)
    columns = [
        pa.array(num_flagged / np.maximum(num_words, 1), pa.float64(), mask=is_null),
        pa.array(num_bytes, pa.int64(), mask=is_off),
        pa.array(num_words_left, pa.int64(), mask=is_off),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=LINE_SIGNALS)


def clean(text: pa.Array, lang: pa.Array, config: LineRulesConfig) -> CleanedTexts:
    """Texts without what the line rules take; see ``measure_lines`` for the arguments."""
    edited = _run(text, lang, config, writes=True)
    wide = pa.types.is_large_string(text.type)
    offsets = pa.py_buffer(edited.offsets if wide else edited.offsets.astype(np.int32))
    validity = pc.is_valid(text)
    cleaned = pa.Array.from_buffers(text.type, len(text), [None, offsets, pa.py_buffer(edited.data)])
    cleaned = pc.if_else(validity, cleaned, pa.scalar(None, text.type))
    return CleanedTexts(cleaned, edited.bytes_by_rule, edited.lines_by_rule)


def _run(text: pa.Array, lang: pa.Array, config: LineRulesConfig, *, writes: bool) -> EditedTexts:
    is_edited = np.full(len(text), config.clean_lines.edits)
    if config.clean_lines.languages is not None:
        wanted = pa.array(config.clean_lines.languages, pa.string())
        is_edited &= pc.is_in(lang, value_set=wanted).to_numpy(zero_copy_only=False)
    return edit_texts(text_buffers(text), _settings(config), is_edited=is_edited, writes=writes)


@functools.lru_cache(maxsize=8)
def _settings(config: LineRulesConfig) -> LineSettings:
    """The rules as kernels take them; made once a process, since lists are read from files."""
    cleaning, rules = config.clean_lines, config.clean_lines.refinedweb
    limit = rules.max_upper_case_fraction
    return LineSettings(
        applies=(bool(cleaning.boilerplate_files), "refinedweb" in cleaning.apply, "c4" in cleaning.apply),
        refinedweb=(rules.min_words, rules.max_edited_words, rules.drop_digit_lines),
        c4=(
            int(config.c4_terminal_punctuation),
            config.c4_min_line_words,
            config.c4_max_word_chars,
            int(config.c4_drop_javascript_lines),
            int(config.c4_drop_policy_lines),
        ),
        max_upper_case_fraction=_OFF if limit is None else limit,
        phrases=_phrases(rules),
        boilerplate=_boilerplate(cleaning.boilerplate_files),
        lower_case=lower_case_table(),
    )


def _phrases(rules: RefinedWebLinesConfig) -> Phrases:
    return make_phrases(
        {
            AT_START: rules.cut_at_start,
            AT_END: rules.cut_at_end,
            ANYWHERE: rules.cut_anywhere,
            COUNTED: rules.counted,
        }
    )


def _boilerplate(files: tuple[ListFile, ...]) -> np.ndarray:
    """Hashes of all listed lines, sorted, each once; uint64."""
    found = [np.empty(0, dtype=np.uint64)]
    for file in files:
        data = read_bytes(file.path)
        text = (gzip.decompress(data) if file.path.endswith(".gz") else data).decode("utf-8", "replace")
        found.append(hash_lines(text_buffers(pa.array(text.splitlines(), pa.large_string()))))
    hashes: np.ndarray = np.unique(np.concatenate(found))
    return hashes[hashes != NO_HASH]


__all__ = [
    "CLEAN_LINES",
    "LINE_RULES",
    "LINE_SIGNALS",
    "NAME",
    "CleanLinesConfig",
    "CleanLinesFilterConfig",
    "CleanedTexts",
    "LineRulesConfig",
    "RefinedWebLinesConfig",
    "clean",
    "measure_lines",
    "resolve",
]
