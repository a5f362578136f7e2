"""The parts that a report is made of, and how its numbers are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.report_figures import Figure


@dataclass(frozen=True)
class Column:
    """A table's column.

    Args:
        is_number: set flush right, with figures of equal width.
        is_code: identifiers and URLs, which may be broken anywhere.
    """

    title: str
    is_number: bool = False
    is_code: bool = False


@dataclass(frozen=True)
class PageTable:
    """Rows of text; whatever they hold is escaped by the template."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[str]]
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Args:
        name: anchor, unique in the page.
        title: heading.
        text: sentences under the heading.
        figures: drawn before the tables.
        tables: below the figures.
    """

    name: str
    title: str
    text: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[PageTable] = field(default_factory=tuple)


def text(title: str) -> Column:
    return Column(title)


def code(title: str) -> Column:
    return Column(title, is_code=True)


def num(title: str) -> Column:
    return Column(title, is_number=True)


def count(value: int | None) -> str:
    """26509 as 26,509."""
    return "" if value is None else f"{value:,}"


def size(size_bytes: float | None) -> str:
    """Bytes in powers of 1000: 61,234,567 as 61.2 MB."""
    if size_bytes is None:
        return ""
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size_bytes >= limit:
            return (
                f"{size_bytes / limit:.3g} {unit}"
                if size_bytes < 999.5 * limit
                else f"{size_bytes / limit:,.0f} {unit}"
            )
    return f"{size_bytes:.0f} B"


def share(part: float, whole: float) -> str:
    """A percentage; nothing of nothing is a dash, and what is not nothing never reads 0 %."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    return "< 0.1 %" if 0 < percent < 0.05 else f"{percent:.1f} %"


def value_of(value: Any) -> str:
    """A signal's value or a threshold."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    return str(value)


def plural(number: int, noun: str) -> str:
    """1 page, 2,000 pages."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
