"""Checks of the machine, one function each: what was found, what is expected, and the mend."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.models import REGISTRY, locate

MIN_JAVA = 17
MIN_DISK_BYTES = 5 << 30
MIN_MEMORY_BYTES = 6 << 30
MIN_CORES = 2
_JAVA_TIMEOUT_SECONDS = 30


class Check(Config):
    """One thing looked at.

    Args:
        name: what was looked at.
        ok: whether it is as expected.
        needed: whether a run fails without it; else it is advice.
        found: what there is.
        expected: what there should be.
        mend: what to do about it; None where nothing is to be done.
    """

    name: str
    ok: bool
    needed: bool = True
    found: str
    expected: str
    mend: str | None = None


def check_java() -> Check:
    """Java as Spark finds it: ``$JAVA_HOME/bin/java`` if that is set, else ``java`` on the path."""
    home = os.environ.get("JAVA_HOME")
    command = str(Path(home, "bin", "java")) if home else shutil.which("java")
    found = "none on PATH, JAVA_HOME not set" if command is None else _java_version_text(command)
    match = re.search(r'version "(?:1\.)?(\d+)', found)
    major = int(match.group(1)) if match else None
    return Check(
        name="Java",
        ok=major is not None and major >= MIN_JAVA,
        found=f"{major} ({command})" if major is not None else found,
        expected=f"{MIN_JAVA} or newer, for Spark 4",
        mend=f"install a Java runtime (Debian: apt-get install openjdk-{MIN_JAVA}-jre-headless; else conda install "
        f"openjdk={MIN_JAVA}), or set JAVA_HOME to one",
    )


def _java_version_text(command: str) -> str:
    try:
        done = subprocess.run(
            [command, "-version"], capture_output=True, text=True, timeout=_JAVA_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command} does not start: {error}"
    lines = [line for line in (done.stderr + done.stdout).splitlines() if "version" in line]
    return lines[0] if lines else f"{command} -version printed no version (exit status {done.returncode})"


def check_package(name: str, *, at_least: tuple[int, ...], below: tuple[int, ...] | None = None) -> Check:
    """Whether a package imports and its version lies in ``[at_least, below)``."""
    bounds = f">={_dotted(at_least)}" + (f",<{_dotted(below)}" if below else "")
    try:
        importlib.import_module(name)
        found = version(name)
    except (ImportError, OSError, PackageNotFoundError) as error:
        found, ok = f"does not import: {error}", False
    else:
        numbers = tuple(int(part) for part in re.findall(r"\d+", found)[:3])
        ok = numbers >= at_least and (below is None or numbers < below)
    return Check(name=name, ok=ok, found=found, expected=bounds, mend=f"pip install '{name}{bounds}'")


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def check_fasttext() -> Check:
    """Whether ``import fasttext`` gives fastText itself.

    ``fasttext-predict``, which other packages pull in, installs a module of the same name that cannot train, over it.
    """
    expected = "fasttext>=0.9.3, and no fasttext-predict"
    mend = "pip uninstall -y fasttext-predict fasttext && pip install --no-cache-dir 'fasttext>=0.9.3'"
    try:
        module = importlib.import_module("fasttext")
        found = f"{version('fasttext')}"
    except (ImportError, OSError, PackageNotFoundError) as error:
        return Check(name="fasttext", ok=False, found=f"does not import: {error}", expected=expected, mend=mend)
    if is_installed("fasttext-predict"):
        found = f"{found}, overwritten by fasttext-predict {version('fasttext-predict')}"
        return Check(name="fasttext", ok=False, found=found, expected=expected, mend=mend)
    ok = hasattr(module, "train_supervised")
    found = found if ok else f"{found}, but its module cannot train: another package overwrote it"
    return Check(name="fasttext", ok=ok, found=found, expected=expected, mend=mend)


def is_installed(name: str) -> bool:
    """Whether a distribution of this name is installed."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def check_model(name: str) -> Check:
    """Whether a registered model is where ``pipeline/models.py`` looks for it, undamaged."""
    try:
        found, ok = str(locate(name)), True
    except ConfigError as error:
        found, ok = str(error), False
    expected = f"SHA-256 {REGISTRY[name].sha256[:12]}…"
    return Check(name=f"model {name}", ok=ok, found=found, expected=expected, mend=f"chaffinch models fetch {name}")


def check_compiler() -> Check:
    """A C++ compiler: only to build fastText, so advice where fastText is there already."""
    found = next(filter(None, map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))), None)
    return Check(
        name="C++ compiler",
        ok=found is not None,
        needed=not is_installed("fasttext"),
        found=found or "none on PATH",
        expected="c++, to install fasttext from source",
        mend="install one (Debian: apt-get install g++)",
    )


def check_numba_cache() -> Check:
    """Whether numba can keep compiled kernels: without, each worker compiles them again, about 20 s a start."""
    cache = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(cache) if cache else Path(__file__).parent.parent / "pipeline" / "kernels"
    ok = _is_writable(folder)
    return Check(
        name="numba cache",
        ok=ok,
        needed=False,
        found=f"{folder} is {'' if ok else 'not '}writable",
        expected="a writable folder for compiled kernels",
        mend="set NUMBA_CACHE_DIR to a writable folder",
    )


def _is_writable(folder: Path) -> bool:
    """Try it: permission bits say nothing about read-only mounts."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def check_disk() -> Check:
    free = shutil.disk_usage(".").free
    return Check(
        name="disk",
        ok=free >= MIN_DISK_BYTES,
        needed=False,
        found=f"{_gibibytes(free)} free in {os.getcwd()}",
        expected=f"{_gibibytes(MIN_DISK_BYTES)} free; a run takes about as much as its compressed input",
        mend="free space, or run with --output on another disk",
    )


def check_memory() -> Check:
    total = memory_bytes()
    return Check(
        name="memory",
        ok=total >= MIN_MEMORY_BYTES,
        needed=False,
        found=_gibibytes(total),
        expected=f"{_gibibytes(MIN_MEMORY_BYTES)}: 2 GiB for Spark's JVM and about 1 GiB per core",
        mend='use fewer cores: [spark] master = "local[1]" in the config',
    )


def memory_bytes() -> int:
    """Memory that this process may use: the machine's, or less where a control group limits it."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit_file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        path = Path(limit_file)
        if path.is_file() and (limit := path.read_text().strip()).isdigit():
            return min(total, int(limit))
    return total


def check_cores() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Check(
        name="cores",
        ok=cores >= MIN_CORES,
        needed=False,
        found=str(cores),
        expected=f"{MIN_CORES} or more",
        mend="a run works on one core, in twice the time",
    )


def _gibibytes(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 30):.1f} GiB"
