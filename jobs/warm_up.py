"""Loads in a Spark worker what its children share: compiled kernels and models, each read at the first use.

A unit of pass 1 runs in a child of its worker (``pipeline/isolated_unit.py``). Without this each child would load the
kernels for itself, 1.4 s of CPU time a file. Readers have kernels too, so the page comes from an archive.
"""

from __future__ import annotations

import gzip
import tempfile
from collections import Counter

from pipeline.hashing import fingerprint
from pipeline.input_unit import InputUnit
from pipeline.read_config import ReadConfig
from pipeline.stage import Stage, fuse
from stages import read_warc

_PAGE = (
    "<!doctype html><html><head><title>Swifts</title></head><body><p>The swifts came back to the old café in the "
    "first week of May, and they left it again before the end of July.</p></body></html>"
).encode("latin-1")  # so that the tables by which charsets are told apart are loaded, too
_MESSAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + _PAGE
_RECORD = (
    b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-000000000000>\r\n"
    b"WARC-Target-URI: http://swifts.example/\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
    b"Content-Type: application/http; msgtype=response\r\nContent-Length: %d\r\n\r\n%b\r\n\r\n"
    % (len(_MESSAGE), _MESSAGE)
)
_loaded: set[str] = set()


def warm_up(stages: tuple[Stage, ...]) -> None:
    """Read an archive of one page of our own and apply ``stages`` to it, once per process and configuration."""
    key = fingerprint([stage.identity() for stage in stages])
    if key in _loaded:
        return
    archive = gzip.compress(_RECORD)
    with tempfile.NamedTemporaryFile(suffix=".warc.gz") as file:
        file.write(archive)
        file.flush()
        unit = InputUnit(
            unit="warm-up",
            source="warm-up",
            domain="warm-up",
            location=file.name,
            warc_file="",
            format="warc",
            size_bytes=len(archive),
        )
        for page in read_warc.read(unit, ReadConfig(), Counter()):
            fuse(stages)(page)
    _loaded.add(key)
