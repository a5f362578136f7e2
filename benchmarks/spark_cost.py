"""What a local Spark job costs: CPU time and memory of all its processes, and what its event log says of shuffles.

CPU time is that of the JVM and its Python workers, read from /proc, so that other work on the machine disturbs it less
than the clock. Memory is the sum of proportional set sizes, sampled: pages that forked workers share count once.
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SAMPLE_SECONDS = 0.5
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class Cost:
    """Of a piece of work, filled in when it is over.

    Args:
        wall_seconds, cpu_seconds: of this process and all below it.
        peak_memory_bytes: the largest sample.
    """

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


class CostMeter:
    """Context manager that measures its body: ``with CostMeter() as cost``.

    Args:
        samples_memory: without it ``peak_memory_bytes`` stays 0; a sample of a JVM takes some milliseconds.
    """

    def __init__(self, *, samples_memory: bool = True) -> None:
        self._cost = Cost()
        self._samples_memory = samples_memory
        self._is_over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Cost:
        self._start = time.perf_counter(), _cpu_seconds()
        if self._samples_memory:
            self._sampler.start()
        return self._cost

    def __exit__(self, *error: object) -> None:
        wall, cpu = self._start
        self._cost.wall_seconds, self._cost.cpu_seconds = time.perf_counter() - wall, _cpu_seconds() - cpu
        self._is_over.set()
        if self._samples_memory:
            self._sampler.join()

    def _sample(self) -> None:
        while not self._is_over.wait(_SAMPLE_SECONDS):
            self._cost.peak_memory_bytes = max(self._cost.peak_memory_bytes, sum(map(_memory_bytes, _processes())))


def _processes() -> list[int]:
    """This process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [os.getpid()]
    for pid in found:
        found += children.get(pid, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the name; none if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_seconds() -> float:
    """Of all processes and of the finished children that they have waited for."""
    return sum(sum(map(int, _stat(pid)[11:15])) for pid in _processes()) / _TICKS_PER_SECOND


def _memory_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def event_log_properties(folder: str) -> dict[str, Any]:
    """Spark properties that make it write one plain event log to ``folder``."""
    return {
        "spark.eventLog.enabled": True,
        "spark.eventLog.dir": Path(folder).as_uri(),
        "spark.eventLog.compress": False,
        "spark.eventLog.rolling.enabled": False,
    }


def shuffle_figures(folder: str) -> dict[str, int]:
    """Sums over all tasks of the event log in ``folder``; read it when Spark has stopped."""
    figures = {"shuffle_bytes": 0, "spilled_bytes": 0, "num_tasks": 0}
    for path in Path(folder).iterdir():
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                if '"SparkListenerTaskEnd"' in line:
                    metrics = json.loads(line).get("Task Metrics") or {}
                    written = metrics.get("Shuffle Write Metrics", {})
                    figures["shuffle_bytes"] += written.get("Shuffle Bytes Written", 0)
                    figures["spilled_bytes"] += metrics.get("Disk Bytes Spilled", 0)
                    figures["num_tasks"] += 1
    return figures
