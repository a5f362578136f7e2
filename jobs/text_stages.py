"""The stages that compare the texts of the corpus with each other, or with evaluation sets, and cut or drop by that.

They stand between near deduplication and sampling, in this order, each only if its table is in the config; all hand on
what they found as ``pipeline.text_cuts.TEXT_CUT``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

TABLES: dict[str, tuple[str, ...]] = {
    "dedup_semantic": ("dedup", "semantic"),
    "dedup_lines": ("dedup", "lines"),
    "dedup_substrings": ("dedup", "substrings"),
    "decontaminate": ("decontaminate",),
}
"""The table of each stage, in their order."""


def text_stages(config: Any) -> tuple[str, ...]:
    """Those that are on.

    Args:
        config: a ``RunConfig``, or the ``config`` of ``run.json``.
    """
    return tuple(stage for stage, table in TABLES.items() if reduce(_entry, table, config) is not None)


def work_folder(stage: str) -> str:
    """Where the cuts of ``stage`` lie, relative to the run."""
    return f"_work/{stage}"


def _entry(tables: Any, name: str) -> Any:
    """A table's entry; None in a run that was made before there was such a table."""
    return tables.get(name) if isinstance(tables, Mapping) else getattr(tables, name, None)
