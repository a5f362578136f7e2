"""Progress on stderr: a rich bar on a terminal, one line per finished stage otherwise.

Progress shows rates and the time left; nothing here ever reaches an output file.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_PIPED_WIDTH_COLUMNS = 140

console = Console(
    stderr=True, highlight=False, soft_wrap=True, width=None if sys.stderr.isatty() else _PIPED_WIDTH_COLUMNS
)


@dataclass
class StageProgress:
    """Handle that a stage uses to say how far it is."""

    name: str
    total: int | None = None
    done: int = 0
    num_documents: int = 0
    note: str = ""
    started_seconds: float = field(default_factory=time.monotonic)
    _bar: Progress | None = None
    _task: int | None = None

    def update(self, *, done: int | None = None, documents: int | None = None, note: str | None = None) -> None:
        """Set what is known now: units done of ``total``, documents so far, a remark for the closing line."""
        self.done = self.done if done is None else done
        self.num_documents = self.num_documents if documents is None else documents
        self.note = self.note if note is None else note
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=self.total, completed=self.done, rate=self._rate())  # type: ignore[arg-type]

    def _rate(self) -> str:
        seconds = max(time.monotonic() - self.started_seconds, 1e-9)
        return f"{self.num_documents / seconds:,.0f} docs/s" if self.num_documents else ""

    def closing_line(self) -> str:
        seconds = time.monotonic() - self.started_seconds
        parts = [f"{self.name:<18}", f"{seconds:7.1f} s"]
        if self.num_documents:
            parts.append(f"{self.num_documents:,} docs, {self._rate()}")
        if self.note:
            parts.append(self.note)
        return "  ".join(parts)


@contextmanager
def stage_progress(name: str, total: int | None = None) -> Iterator[StageProgress]:
    """Show one stage's progress while the block runs, and its closing line after it."""
    if not console.is_terminal:
        handle = StageProgress(name, total)
        yield handle
        console.print(handle.closing_line(), markup=False)
        return
    columns = (
        TextColumn("[bold]{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=total, rate="")
        handle = StageProgress(name, total, _bar=bar, _task=task)
        yield handle
    console.print(handle.closing_line(), markup=False)


def say(message: str) -> None:
    """One line of log on stderr."""
    console.print(message, markup=False)
