"""What all benchmarks share: CPU time, peak memory, the machine, and the last line of output.

CPU time of this process and its finished children (not wall time) is what is measured, so that other work on the
machine disturbs the figures less; it still shares caches and clock, so a ratio of two sides measured in the same run
is worth more than either figure.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any


def cpu_seconds(function: Callable[[], object], repeats: int) -> float:
    """Median CPU time of ``function`` over ``repeats`` calls, after one call that is not counted (it may compile)."""
    function()
    times = []
    for _ in range(repeats):
        start = _cpu_clock()
        function()
        times.append(_cpu_clock() - start)
    return statistics.median(times)


def _cpu_clock() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def peak_memory_bytes() -> int:
    """Largest resident size that this process has had."""
    kilobyte = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobyte


def machine() -> dict[str, Any]:
    """Processor, cores, memory and Python of this machine."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def report(name: str, figures: dict[str, Any], peer: str | None, ratio: float | None) -> None:
    """Print the benchmark's last line: one JSON object.

    Args:
        name: of the benchmark.
        figures: numbers, with units in their names.
        peer: what ours was compared with in the same run; ``None`` if with nothing.
        ratio: ours over the peer's, larger being better for ours; ``None`` likewise.
    """
    line = {"name": name, "figures": figures, "peer": peer, "ratio": ratio, "machine": machine()}
    print(json.dumps(line, ensure_ascii=False))
