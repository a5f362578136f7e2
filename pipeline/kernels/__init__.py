"""Compiled kernels: pure functions over Arrow buffers that release the GIL.

Numba keeps machine code on disk by source file, and does not notice when a function changed that the file imports
from another one: after an update a caller would go on running the old code of its callees. So the cache folder bears
a digest of all kernel sources. ``NUMBA_CACHE_DIR``, where set, is respected.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numba


def sources_digest(folder: Path) -> str:
    """16 hex digits over names and contents of the Python files in ``folder``."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(folder.glob("*.py")):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


if not os.environ.get("NUMBA_CACHE_DIR"):
    _folder = Path(__file__).parent
    numba.config.CACHE_DIR = str(_folder / "__pycache__" / f"numba-{sources_digest(_folder)}")  # type: ignore[attr-defined]
