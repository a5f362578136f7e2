"""What this machine has and lacks for a run, each fault with its mend.

A check that is not ``needed`` is advice: a run works without it, slower or until a disk is full.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.config import Config
from pipeline.errors import ChaffinchError

MIN_JAVA = 17
MIN_DISK_BYTES = 5 << 30
MIN_MEMORY_BYTES = 6 << 30
MIN_CORES = 2
LANGUAGE_MODEL = "lid.176.ftz"
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


def diagnose() -> list[Check]:
    """Look at everything that a run needs; takes a few seconds, as it imports the big packages."""
    checks: list[Callable[[], Check]] = [
        check_java,
        lambda: check_package("pyspark", at_least=(4,), below=(5,)),
        lambda: check_package("pandas", at_least=(2, 2), below=(3,)),
        lambda: check_package("pyarrow", at_least=(18,)),
        lambda: check_package("tokenizers", at_least=(0, 21), below=(1,)),
        lambda: check_package("torch", at_least=(2, 5)),
        check_fasttext,
        check_language_model,
        check_compiler,
        check_numba_cache,
        check_disk,
        check_memory,
        check_cores,
    ]
    return [check() for check in checks]


def something_is_missing(checks: list[Check]) -> bool:
    """Whether a run would fail on this machine: the command line then exits with 1."""
    return any(check.needed and not check.ok for check in checks)


def render(checks: list[Check], *, width_columns: int | None = None) -> str:
    """The checks as a table for a terminal, with the mend under each fault."""
    console = Console(width=width_columns, highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("", "check", "found", "expected"):
        table.add_column(column, overflow="fold")
    for check in checks:
        mark = Text("ok", style="green") if check.ok else _fault_mark(check)
        table.add_row(mark, check.name, Text(check.found), Text(check.expected, style="dim"))
    with console.capture() as capture:
        console.print(table)
        for check in checks:
            if not check.ok:
                console.print(Text(f"\n{check.name}: {check.mend}", style="red" if check.needed else "yellow"))
    return capture.get().rstrip("\n")


def _fault_mark(check: Check) -> Text:
    return Text("MISSING", style="bold red") if check.needed else Text("advice", style="yellow")


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


def check_language_model() -> Check:
    """Whether the language-identification model is where ``pipeline/models.py`` looks for it."""
    from pipeline.models import locate

    expected = f"{LANGUAGE_MODEL} with its registered SHA-256"
    mend = f"chaffinch models fetch {LANGUAGE_MODEL}"
    try:
        found = str(locate(LANGUAGE_MODEL))
    except ChaffinchError as error:
        return Check(name="language model", ok=False, found=str(error), expected=expected, mend=mend)
    return Check(name="language model", ok=True, found=found, expected=expected, mend=mend)


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
    return Check(
        name="numba cache",
        ok=_is_writable(folder),
        needed=False,
        found=f"{folder} is {'' if _is_writable(folder) else 'not '}writable",
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
