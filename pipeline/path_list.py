"""Lists of archives: files with one path a line, as Common Crawl publishes them for each release.

A release of Common Crawl lies below one base, ``https://data.commoncrawl.org`` or ``s3://commoncrawl``, and is listed
by ``crawl-data/<release>/<kind>.paths.gz``, whose lines count from that base. A mirror, on another server or in a
folder, has the same layout.

A sample of a list is drawn by a hash of (seed, line): it depends neither on the order of the list nor on the machine,
and a larger sample of the same seed holds the smaller one. The WARC, WET and WAT file of one capture are drawn alike:
samples of the same size and seed belong together.

Source: commoncrawl.org, "Get started" (layout of ``crawl-data``).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import Literal

from pipeline import storage
from pipeline.archive.damage import Damage
from pipeline.archive.members import iter_spans
from pipeline.errors import ConfigError, RetryableError
from pipeline.hashing import hash_key

COMMON_CRAWL_URL = "https://data.commoncrawl.org"
RELEASE_PATTERN = r"^CC-[A-Z]+(-[0-9]{4}(-[0-9]{2,4})?|/[0-9]{4}/[0-9]{2})$"
"""``CC-MAIN-2024-10``, ``CC-MAIN-2012``, ``CC-NEWS/2024/01``."""

Kind = Literal["warc", "wet", "wat"]

_DERIVED_FOLDER = re.compile(r"/w(?:et|at)/")
_DERIVED = re.compile(r"\.warc\.w(?:et|at)\b")


def release_list(base: str, release: str, kind: Kind) -> str:
    """Where the list of a release lies."""
    return storage.join(base, "crawl-data", release, f"{kind}.paths.gz")


def read_path_list(location: str) -> list[str]:
    """The lines of a list, without blank ones, each once, in order.

    Args:
        location: path or URL of a text file, plain, gzip or zstd.

    Raises:
        ConfigError: if there is no such file, it is no such list, or it is empty.
        RetryableError: if a network failed.
    """
    try:
        text = _decompressed(storage.read_bytes(location)).decode()
    except ValueError as error:
        raise ConfigError(
            f"{location} is no list of paths: {error}; expected one path a line, plain, .gz or .zst; name another file"
        ) from None
    except OSError as error:
        if storage.may_pass(location, error):
            raise RetryableError(f"{error}; expected the list of paths {location}; run again") from error
        raise ConfigError(
            f"cannot read the list of paths {location}: {error}; expected a text file with one path a line; "
            f"correct its name"
        ) from None
    lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not lines:
        raise ConfigError(f"{location} is empty; expected one path a line; name another file")
    return lines


def _decompressed(data: bytes) -> bytes:
    content = bytearray()
    for event in iter_spans(io.BytesIO(data), bool):
        if isinstance(event, Damage):
            raise ValueError(event.message)
        content += event.data
    return bytes(content)


def draw(lines: Iterable[str], count: int, seed: int) -> list[str]:
    """``count`` of the lines, by hash of (seed, capture), sorted; all of them if there are no more."""
    return sorted(sorted(lines, key=lambda line: (hash_key(seed, "input_paths", _capture(line)), line))[:count])


def _capture(line: str) -> str:
    """What the WARC, WET and WAT file of one capture have in common: the name of the WARC file."""
    return _DERIVED.sub(".warc", _DERIVED_FOLDER.sub("/warc/", line))
