"""datatrove as the other side of a benchmark: an interpreter that has it, and programs that run there on our texts."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import venv
from pathlib import Path
from typing import Any

DATATROVE = "datatrove==0.10.1"
PEER_MEGABYTES = 2.0  # datatrove needs a second for each 200 kB


def run_peer(program: str, texts: list[str]) -> Any:
    """What a program says of ``texts``: they are the JSON file that is its argument, its last line is the answer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.json"
        path.write_text(json.dumps(texts), encoding="utf-8")
        done = subprocess.run([peer_python(), "-c", program, str(path)], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def peer_python() -> str:
    """An interpreter that has datatrove."""
    extras = ("spacy", "nltk", "orjson", "tokenizers", "xxhash<3.6")  # 3.6 hashes bytes alone, datatrove gives str
    return interpreter_with("datatrove", DATATROVE, *extras)


def interpreter_with(peer: str, *packages: str) -> str:
    """An interpreter that has ``packages``: named by the environment (``CHAFFINCH_<PEER>_PYTHON``), or of a virtual
    environment in the cache folder, made at the first call."""
    named = os.environ.get(f"CHAFFINCH_{peer.upper()}_PYTHON")
    if named:
        return named
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "chaffinch" / f"{peer}-venv"
    python = cache / "bin" / "python"
    if not (cache / "installed").exists():
        venv.create(cache, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (cache / "installed").touch()
    return str(python)
