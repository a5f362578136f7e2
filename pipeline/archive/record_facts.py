"""What the header fields of a record say of the page it holds, in the forms that tables have."""

from __future__ import annotations

from datetime import UTC, datetime


def target_url(field: str | None) -> str:
    """``WARC-Target-URI`` as it stands, without the angle brackets that wget writes; empty if there is none."""
    return "" if field is None else field.removeprefix("<").removesuffix(">")


def fetch_time(field: str | None) -> datetime | None:
    """``WARC-Date`` to the second (UTC if it names no zone), ``None`` if it is malformed or absent."""
    try:
        parsed = datetime.fromisoformat(field or "")
        if parsed.microsecond:
            parsed = parsed.replace(microsecond=0)
        if parsed.tzinfo is UTC:  # as in nearly all archives
            return parsed
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
