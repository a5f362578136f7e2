"""Row stage that turns payloads into text.

HTML goes through one of three extractors: resiliparse, which takes the main content of a page by rules, or all of it;
``blocks``, which takes the blocks of the page that a learned scorer holds for main content; trafilatura, an extra.
``docs/extraction.md`` says how good and how fast each is. Plain text, WET records and tables come as they are. The
charset is found by ``pipeline/charset.py``. Nothing is dropped but pages that are too large to be parsed within bounds
and pages without text (to ``blocks`` and trafilatura also: without main content); an error of an extractor on one page
puts that page into quarantine.

Work per page is bounded by bytes, nodes and depth, not by a clock: what is kept does not depend on how busy the machine
was. ``max_html_nodes`` bounds what parsers take more than linear time for (``pipeline/kernels/html_scan.py``): a page
of 9 kB can make 500,000 nodes. resiliparse takes time quadratic in the depth to which ``div`` or ``article`` elements
are nested: 0.15 s at 2,000, 6 s at 10,000, hours for the 700,000 that fit into 4 MiB.

Cost: about 1.2 ms a page of 18 kB, nearly all of it parsing and extraction in C++ and Rust; the loop around costs some
microseconds a page. As parsing a page drives all else out of the caches, what comes before is done for many pages at
once: a call of Arrow or of a kernel between two pages has to fetch its code anew, which is 2 and 5 % of a page's time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from filters.main_content import MainContentConfig, choose_blocks, load_scorer, score_blocks
from pipeline.charset import decode
from pipeline.config import Config
from pipeline.content_type import HTML_TYPES
from pipeline.ended import is_alive, mark_ended
from pipeline.html.blocks import cut_blocks, join_blocks
from pipeline.html.bounds import ParsingCost, WorkBounds, excess, parsing_cost
from pipeline.html.features import block_features
from pipeline.html.trafilatura_text import TrafilaturaConfig, require_trafilatura, trafilatura_text
from pipeline.schema import ENDED, ERROR, TEXT
from pipeline.stage import Stage, with_columns

NAME = "extract_text"
VERSION = "3"

INPUT = pa.schema(
    [("content_type", pa.string()), ("charset", pa.string()), ("payload", pa.binary()), *ENDED, *ERROR],
)
OUTPUT = pa.schema([*TEXT, *ENDED, *ERROR])

_ROWS_AT_ONCE = 128  # some 3 MB of payloads


class Reason(StrEnum):
    """Why extraction ends a page."""

    HTML_TOO_LARGE = "html_too_large"
    HTML_TOO_DEEP = "html_too_deep"
    HTML_TOO_MANY_NODES = "html_too_many_nodes"
    NO_TEXT = "no_text"


_RESILIPARSE_OPTIONS = (
    "main_content",
    "list_bullets",
    "alt_texts",
    "links",
    "form_fields",
    "noscript",
    "comments",
    "preserve_formatting",
)
_OPTIONS_OF = {"resiliparse": _RESILIPARSE_OPTIONS, "blocks": ("blocks",), "trafilatura": ("trafilatura",)}


class ExtractConfig(Config):
    """``[extract]``.

    Args:
        extractor: ``resiliparse`` (the eight options that follow are its own), ``blocks`` or ``trafilatura``.
        main_content: leave out navigation, headers, footers and the like.
        list_bullets: mark list items.
        alt_texts: take the texts that stand for images.
        links: keep link targets.
        form_fields: keep what stands in form fields.
        noscript: keep what stands in ``<noscript>``.
        comments: keep what looks like readers' comments, when ``main_content`` is on.
        preserve_formatting: keep line breaks and paragraphs; otherwise a page is one line.
        blocks: options of ``blocks``.
        trafilatura: options of ``trafilatura``.
        min_chars: shorter texts end as ``no_text``.
        max_html_bytes: larger pages end as ``html_too_large``.
        max_html_nodes: pages that may make more nodes end as ``html_too_many_nodes``; see ``ParsingCost``.
        max_html_depth: pages that nest ``div`` and ``article`` deeper end as ``html_too_deep``.
    """

    extractor: Literal["resiliparse", "blocks", "trafilatura"] = "resiliparse"
    main_content: bool = True
    list_bullets: bool = True
    alt_texts: bool = False
    links: bool = False
    form_fields: bool = False
    noscript: bool = False
    comments: bool = True
    preserve_formatting: bool = True
    blocks: MainContentConfig = MainContentConfig()
    trafilatura: TrafilaturaConfig = TrafilaturaConfig()
    min_chars: int = Field(default=1, ge=1)
    max_html_bytes: int = Field(default=4 << 20, ge=1, le=1 << 30)
    max_html_nodes: int = Field(default=2_000_000, ge=1)
    max_html_depth: int = Field(default=2000, ge=1)

    @model_validator(mode="after")
    def _options_are_the_extractors_own(self) -> ExtractConfig:
        for extractor, names in _OPTIONS_OF.items():
            for name in names:
                if extractor != self.extractor and getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(
                        f"{name} is set, which only extractor = {extractor!r} reads; extractor is "
                        f"{self.extractor!r}; leave {name} out, or change the extractor"
                    )
        return self

    @functools.cached_property
    def work_bounds(self) -> WorkBounds:
        max_tags = self.trafilatura.max_html_tags if self.extractor == "trafilatura" else None
        return WorkBounds(max_tags, self.max_html_nodes, self.max_html_depth)

    @functools.cached_property
    def resiliparse_options(self) -> dict[str, Any]:
        return self.model_dump(include=set(_RESILIPARSE_OPTIONS))


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
        result
        for start in range(0, batch.num_rows, _ROWS_AT_ONCE)
        for result in _extract_rows(batch.slice(start, _ROWS_AT_ONCE), config)
    ]
    failed = pa.array([result.error is not None for result in results], pa.bool_())
    text = pa.array([result.text for result in results], pa.string())
    columns = {
        "charset": pa.array([result.charset for result in results], pa.string()),
        "text": text,
        "num_bytes": pc.binary_length(text).cast(pa.int64()),
        "num_chars": pc.utf8_length(text).cast(pa.int64()),
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


def _extract_rows(batch: pa.RecordBatch, config: ExtractConfig) -> list[_Result]:
    payloads = [payload or b"" for payload in batch.column("payload").to_pylist()]
    is_html = [content_type in HTML_TYPES for content_type in batch.column("content_type").to_pylist()]
    charsets = batch.column("charset").to_pylist()
    alive = is_alive(batch).to_pylist()
    costs = [
        parsing_cost(payload) if row_is_html and row_is_alive and len(payload) <= config.max_html_bytes else None
        for payload, row_is_html, row_is_alive in zip(payloads, is_html, alive, strict=True)
    ]
    return [
        _extract(payload, charset, row_is_html, cost, config) if row_is_alive else _Result(charset=charset)
        for payload, charset, row_is_html, cost, row_is_alive in zip(
            payloads, charsets, is_html, costs, alive, strict=True
        )
    ]


def _extract(
    payload: bytes, charset: str | None, is_html: bool, cost: ParsingCost | None, config: ExtractConfig
) -> _Result:
    """Text of one page; ``cost`` is that of an HTML page of permitted size, were its payload in UTF-8."""
    if is_html and cost is None:
        return _Result(charset, None, Reason.HTML_TOO_LARGE, len(payload), config.max_html_bytes)
    text, used = decode(payload, charset, is_html=is_html)
    if cost is not None:
        try:
            if used != "utf-8" or b"\0" in payload:
                encoded = text.encode("utf-8", "replace")
                cost = cost if encoded == payload else parsing_cost(encoded)
            if found := excess(text, cost, config.work_bounds):
                reason, value, threshold = found
                return _Result(used, None, Reason(reason), value, threshold)
            text = _EXTRACTORS[config.extractor](text, config).replace("\0", "")
        except Exception as error:  # whatever a parser raises on one page costs that page alone
            message = f"{config.extractor} failed on {len(payload)} bytes of HTML: {error}; expected text"
            return _Result(used, error=(f"Extraction{type(error).__name__}", message))
    num_chars = len(text.strip())
    if num_chars < config.min_chars:
        return _Result(used, None, Reason.NO_TEXT, num_chars, config.min_chars)
    return _Result(used, text)


def _by_resiliparse(html: str, config: ExtractConfig) -> str:
    return extract_plain_text(HTMLTree.parse(html), **config.resiliparse_options)


def _by_blocks(html: str, config: ExtractConfig) -> str:
    page = cut_blocks(HTMLTree.parse(html))
    chosen = choose_blocks(score_blocks(block_features(page), load_scorer()), config.blocks)
    return join_blocks(page, chosen, list_bullets=config.blocks.list_bullets)


def _by_trafilatura(html: str, config: ExtractConfig) -> str:
    return trafilatura_text(html, config.trafilatura)


_EXTRACTORS: dict[str, Callable[[str, ExtractConfig], str]] = {
    "resiliparse": _by_resiliparse,
    "blocks": _by_blocks,
    "trafilatura": _by_trafilatura,
}


def make_stage(config: ExtractConfig) -> Stage:
    """The stage ``extract_text``.

    Raises:
        ConfigError: for an extractor that is not installed, or a scorer of another version.
    """
    if config.extractor == "trafilatura":
        require_trafilatura()
    if config.extractor == "blocks":
        load_scorer()
    return Stage(
        name=NAME,
        version=VERSION,
        config=config,
        input_schema=INPUT,
        output_schema=OUTPUT,
        apply=functools.partial(extract_batch, config=config),
    )
