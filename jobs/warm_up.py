"""Loads in a Spark worker what its children share: compiled kernels and models, each read at the first use.

A unit of pass 1 runs in a child of its worker (``pipeline/isolated_unit.py``). Without this each child would load the
kernels for itself, 1.4 s of CPU time a file.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pipeline.hashing import fingerprint
from pipeline.input_unit import InputUnit
from pipeline.page_batches import PageBatches
from pipeline.stage import Stage, fuse

_PAGE = (
    "<!doctype html><html><head><title>Swifts</title></head><body><p>The swifts came back to the old café in the "
    "first week of May, and they left it again before the end of July.</p></body></html>"
).encode("latin-1")  # so that the tables by which charsets are told apart are loaded, too
_loaded: set[str] = set()


def warm_up(stages: tuple[Stage, ...]) -> None:
    """Apply ``stages`` to a page of our own, once per process and configuration."""
    key = fingerprint([stage.identity() for stage in stages])
    if key in _loaded:
        return
    unit = InputUnit(
        unit="warm-up",
        source="warm-up",
        domain="warm-up",
        location="",
        warc_file="",
        format="warc",
        size_bytes=len(_PAGE),
    )
    batches = PageBatches(unit, "warm-up")
    batches.add_page(
        offset=0,
        record_type="response",
        url="http://swifts.example/",
        fetch_time=datetime(2024, 1, 1, tzinfo=UTC),
        http_status=200,
        content_type="text/html",
        payload=_PAGE,
    )
    page = batches.take()
    if page is not None:
        fuse(stages)(page)
    _loaded.add(key)
