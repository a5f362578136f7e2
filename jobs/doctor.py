"""``chaffinch doctor``: what this machine has and lacks for a run, each fault with its mend.

A check that is not ``needed`` is advice: a run works without it, slower or until a disk is full.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs import machine_checks as machine
from jobs.machine_checks import Check
from pipeline.models import REGISTRY

__all__ = ["Check", "diagnose", "render", "something_is_missing"]


def diagnose() -> list[Check]:
    """Look at everything that a run needs; takes a few seconds, as it imports the big packages."""
    checks: list[Callable[[], Check]] = [
        machine.check_java,
        lambda: machine.check_package("pyspark", at_least=(4,), below=(5,)),
        lambda: machine.check_package("pandas", at_least=(2, 2), below=(3,)),
        lambda: machine.check_package("pyarrow", at_least=(18,)),
        lambda: machine.check_package("tokenizers", at_least=(0, 21), below=(1,)),
        lambda: machine.check_package("torch", at_least=(2, 5)),
        machine.check_fasttext,
        *(lambda name=name: machine.check_model(name) for name in REGISTRY),
        machine.check_compiler,
        machine.check_numba_cache,
        machine.check_disk,
        machine.check_memory,
        machine.check_cores,
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
