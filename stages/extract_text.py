"""Row stage that turns payloads into text.

HTML goes through resiliparse, which takes the main content of the page or all of it. Plain text, WET records and
tables come as they are. The charset is found by ``pipeline/charset.py``. Nothing is dropped but pages that are too
large to be parsed within bounds and pages without text; an error of the parser on one page puts that page into
quarantine.

Work per page is bounded by ``max_html_bytes`` and ``max_html_depth``, not by a clock: what is kept does not depend on
how busy the machine was. resiliparse takes time linear in a page's size, but quadratic in the depth to which ``div`` or
``article`` elements are nested: 0.15 s at 2,000, 6 s at 10,000, hours for the 700,000 that fit into 4 MiB.

Cost: about 1.2 ms a page of 18 kB, nearly all of it parsing and extraction in C++ and Rust; the loop around costs some
microseconds a page.
"""

from __future__ import annotations

import functools
import itertools
import re
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from pipeline.charset import decode
from pipeline.config import Config
from pipeline.content_type import HTML_TYPES
from pipeline.ended import is_alive, mark_ended
from pipeline.schema import ENDED, ERROR, TEXT
from pipeline.stage import Stage, with_columns

NAME = "extract_text"
VERSION = "1"

INPUT = pa.schema(
    [("content_type", pa.string()), ("charset", pa.string()), ("payload", pa.binary()), *ENDED, *ERROR],
)
OUTPUT = pa.schema([*TEXT, *ENDED, *ERROR])

_NESTING_TAG = re.compile(r"<(/?)(?:div|article)(?![\w-])", re.IGNORECASE)


class Reason(StrEnum):
    """Why extraction ends a page."""

    HTML_TOO_LARGE = "html_too_large"
    HTML_TOO_DEEP = "html_too_deep"
    NO_TEXT = "no_text"


class ExtractConfig(Config):
    """``[extract]``.

    Args:
        extractor: the only one so far.
        main_content: leave out navigation, headers, footers and the like.
        list_bullets: mark list items.
        alt_texts: take the texts that stand for images.
        links: keep link targets.
        form_fields: keep what stands in form fields.
        noscript: keep what stands in ``<noscript>``.
        comments: keep what looks like readers' comments, when ``main_content`` is on.
        preserve_formatting: keep line breaks and paragraphs; otherwise a page is one line.
        min_chars: shorter texts end as ``no_text``.
        max_html_bytes: larger pages end as ``html_too_large``.
        max_html_depth: pages that nest ``div`` and ``article`` deeper end as ``html_too_deep``.
    """

    extractor: Literal["resiliparse"] = "resiliparse"
    main_content: bool = True
    list_bullets: bool = True
    alt_texts: bool = False
    links: bool = False
    form_fields: bool = False
    noscript: bool = False
    comments: bool = True
    preserve_formatting: bool = True
    min_chars: int = Field(default=1, ge=1)
    max_html_bytes: int = Field(default=4 << 20, ge=1, le=1 << 30)
    max_html_depth: int = Field(default=2000, ge=1)


def extract_batch(batch: pa.RecordBatch, config: ExtractConfig) -> pa.RecordBatch:
    """Replace ``payload`` by ``text``.

    Args:
        batch: at least ``INPUT``.
        config: the extractor's options, and bounds.

    Returns:
        ``batch`` without ``payload``, with the columns of ``TEXT`` and, for pages that end or fail here, ``ENDED`` and
        ``ERROR`` filled in. Where a row has ended or failed, ``text`` and its lengths are null.
    """
    results = [
        _extract(payload, content_type, charset, config) if alive else _Result(charset=charset)
        for payload, content_type, charset, alive in zip(
            batch.column("payload").to_pylist(),
            batch.column("content_type").to_pylist(),
            batch.column("charset").to_pylist(),
            is_alive(batch).to_pylist(),
            strict=True,
        )
    ]
    failed = pa.array([result.error is not None for result in results], pa.bool_())
    columns = {
        "charset": pa.array([result.charset for result in results], pa.string()),
        **_text_columns([result.text for result in results]),
    }
    for position, name in enumerate(ERROR.names):
        found = pa.array([result.error[position] if result.error else None for result in results], pa.string())
        columns[name] = pc.if_else(failed, found, batch.column(name))
    return mark_ended(
        with_columns(batch, columns, drop=["payload"]),
        stage=NAME,
        reason=pa.array([result.reason for result in results], pa.string()),
        value=pa.array([result.value for result in results], pa.float64()),
        threshold=pa.array([result.threshold for result in results], pa.float64()),
    )


class _Result(NamedTuple):
    """What became of one page."""

    charset: str | None
    text: str | None = None
    reason: str | None = None
    value: float | None = None
    threshold: float | None = None
    error: tuple[str, str] | None = None  # class and message


def _extract(payload: bytes | None, content_type: str | None, charset: str | None, config: ExtractConfig) -> _Result:
    payload = payload or b""
    is_html = content_type in HTML_TYPES
    if is_html and len(payload) > config.max_html_bytes:
        return _Result(charset, None, Reason.HTML_TOO_LARGE, len(payload), config.max_html_bytes)
    text, used = decode(payload, charset, is_html=is_html)
    if is_html:
        depth = _depth(text, config.max_html_depth)
        if depth > config.max_html_depth:
            return _Result(used, None, Reason.HTML_TOO_DEEP, depth, config.max_html_depth)
        try:
            text = extract_plain_text(HTMLTree.parse(text), **_options(config)).replace("\0", "")
        except Exception as error:  # whatever a parser raises on one page costs that page alone
            message = f"{config.extractor} failed on {len(payload)} bytes of HTML: {error}; expected text"
            return _Result(used, error=(f"Extraction{type(error).__name__}", message))
    num_chars = len(text.strip())
    if num_chars < config.min_chars:
        return _Result(used, None, Reason.NO_TEXT, num_chars, config.min_chars)
    return _Result(used, text)


def _depth(html: str, limit: int) -> int:
    """Greatest number of open ``div`` and ``article`` elements by their tags; 0 if it cannot be above ``limit``."""
    if html.count("<") <= limit:
        return 0
    steps = (-1 if slash else 1 for slash in _NESTING_TAG.findall(html))
    return max(itertools.accumulate(steps), default=0)


@functools.lru_cache(maxsize=16)
def _options(config: ExtractConfig) -> dict[str, Any]:
    """Arguments of resiliparse: every option of the config that is not our own."""
    return config.model_dump(exclude={"extractor", "min_chars", "max_html_bytes", "max_html_depth"})


def _text_columns(texts: list[str | None]) -> dict[str, pa.Array]:
    text = pa.array(texts, pa.string())
    return {
        "text": text,
        "num_bytes": pc.binary_length(text).cast(pa.int64()),
        "num_chars": pc.utf8_length(text).cast(pa.int64()),
    }


def make_stage(config: ExtractConfig) -> Stage:
    """The stage ``extract_text``."""
    return Stage(
        name=NAME,
        version=VERSION,
        config=config,
        input_schema=INPUT,
        output_schema=OUTPUT,
        apply=functools.partial(extract_batch, config=config),
    )
