"""The parts that a report is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.report_figures import Figure


@dataclass(frozen=True)
class Column:
    """A table's column.

    Args:
        is_number: set flush right, with figures of equal width.
        is_code: file names and URLs, which may be broken anywhere.
        is_id: identifiers and hashes, never broken.
    """

    title: str
    is_number: bool = False
    is_code: bool = False
    is_id: bool = False


@dataclass(frozen=True)
class PageTable:
    """Rows of text; whatever they hold is escaped by the template."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[str]]
    title: str = ""


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
    tables: Sequence[PageTable] = ()


def text(title: str) -> Column:
    return Column(title)


def code(title: str) -> Column:
    return Column(title, is_code=True)


def ident(title: str) -> Column:
    return Column(title, is_id=True)


def num(title: str) -> Column:
    return Column(title, is_number=True)


def unfinished(name: str, title: str, folder: str) -> Section:
    """A section whose folder is not there."""
    return Section(name, title, [f"Left out: the run stopped before {folder} was finished."])
