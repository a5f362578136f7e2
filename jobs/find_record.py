"""What a question names: a doc_id, a URL, or a place in an archive; and what to say when nothing is called so."""

from __future__ import annotations

import difflib
import re
from urllib.parse import urlsplit

import pyarrow.compute as pc

from jobs.run_folder import RunFolder

_DOC_ID = re.compile(r"[0-9a-f]{32}")
_ARCHIVE_OFFSET = re.compile(r"(?P<archive>.+):(?P<offset>\d+)")
_MAX_URLS_COMPARED = 500


def rows_named(which: str) -> pc.Expression:
    """Which rows of ``signals/`` and ``quarantine/`` the question means."""
    if _DOC_ID.fullmatch(which):
        return pc.field("doc_id") == which
    condition = pc.field("url") == which
    match = _ARCHIVE_OFFSET.fullmatch(which)
    if match is not None and int(match["offset"]) < 1 << 63:
        at_offset = pc.field("warc_offset") == int(match["offset"])
        archive = match["archive"]
        named = (pc.field("warc_file") == archive) | pc.ends_with(pc.field("warc_file"), f"/{archive}")
        qualified = pc.binary_join_element_wise(pc.field("source"), pc.field("warc_file"), "/") == archive
        condition = condition | (at_offset & (named | qualified))
    return condition


def not_found(run: RunFolder, which: str) -> str:
    """The message for a question that nothing answers to; for a URL with the nearest ones of its host."""
    host = _host(which)
    message = f"no record {which!r} in {run.location}; expected a doc_id, a URL or <archive>:<offset>"
    if host is None:
        return message
    urls = sorted(set(run.rows("signals", ["url"], pc.field("host") == host).column("url").to_pylist()))
    if not urls:
        return f"{message}; no page of host {host} was read"
    urls.sort(key=lambda url: -_shared_prefix_chars(url, which))
    nearest = difflib.get_close_matches(which, urls[:_MAX_URLS_COMPARED], n=3, cutoff=0) or urls[:3]
    return f"{message}; nearest on {host}: {', '.join(nearest)}"


def _host(which: str) -> str | None:
    try:
        return urlsplit(which).hostname
    except ValueError:  # "http://[" is a question too: it has no host
        return None


def _shared_prefix_chars(first: str, second: str) -> int:
    pairs = zip(first, second, strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
