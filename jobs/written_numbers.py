"""How numbers are written for people, in the report and on the terminal."""

from __future__ import annotations


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


def number(value: float | None) -> str:
    """A signal's value or a threshold: whole numbers whole, others to five digits, nothing for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.5g}"


def plural(quantity: int, noun: str) -> str:
    """1 page, 2,000 pages."""
    return f"{quantity:,} {noun}" if quantity == 1 else f"{quantity:,} {noun}s"


def short_number(value: float) -> str:
    """1500 as 1.5k: for axes."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:g}{suffix}"
    return f"{value:g}"


def short_hash(digest: str) -> str:
    """The first 16 digits; the whole stands in the run's manifests."""
    return f"{digest[:16]}…"
