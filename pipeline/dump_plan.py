"""Which documents deduplication holds against which: dumps, their order, and the scope.

A *dump* is one or more ``[[input]]`` tables that were fetched together, such as a release of Common Crawl. Documents of
one dump meet as equals, and the survivor order says which copy is kept. Between dumps it is the older one: a document
is a copy of what came before it, never the other way round, so what a finished run kept stays kept. How far back a
document is compared is the scope.

Without an order of dumps, and with scope ``global``, all documents of a run are one pool.
"""

from __future__ import annotations

from typing import Literal

from pipeline.config import Config

Scope = Literal["global", "dump", "window"]


class DumpPlan(Config):
    """What decides which documents are compared; its whole content is in the fingerprint of the steps that compare.

    Args:
        scope: ``dump`` compares within a dump alone, ``window`` with the ``window_dumps - 1`` dumps before it too,
            ``global`` with all before it.
        window_dumps: dumps of a window, the document's own included; None but for ``window``.
        pools: the run's dumps, oldest first; empty where all of its documents are one pool.
        of_source: dump of each source (``[[input]]`` name).
        older: dumps of the store that are older, as (entry, dump), oldest first.
    """

    scope: Scope = "global"
    window_dumps: int | None = None
    pools: tuple[str, ...] = ()
    of_source: dict[str, str] = {}
    older: tuple[tuple[str, str], ...] = ()

    @property
    def ages(self) -> dict[str, int]:
        """Place of each dump of the run among all that are compared, the store's before it."""
        return {dump: len(self.older) + place for place, dump in enumerate(self.pools)}

    @property
    def age_of_pool(self) -> int:
        """The place of all documents of the run, where they are one pool."""
        return len(self.older)

    @property
    def dump_indices(self) -> dict[str, int]:
        """Number of each dump, by its first appearance: windows are counted in it. A dump may come in several runs."""
        names = [*(dump for _, dump in self.older), *(self.pools or sorted(set(self.of_source.values())))]
        return {dump: index for index, dump in enumerate(dict.fromkeys(names))}

    @property
    def looks_back(self) -> bool:
        """Whether any document of the run is compared with an older dump."""
        return bool(self.older) or (len(self.pools) > 1 and self.scope != "dump")

    @property
    def num_pools(self) -> int:
        """Pools of the run and of the store: no chain of copies is longer than a few steps for each."""
        return len(self.older) + max(1, len(self.pools))

    def reaches(self, newer_dump: str, older_dump: str) -> bool:
        """Whether documents of ``newer_dump`` are compared with those of ``older_dump``, which are older."""
        if self.scope == "global":
            return True
        indices = self.dump_indices
        return 0 <= indices[newer_dump] - indices[older_dump] < self.reach_dumps

    @property
    def reach_dumps(self) -> int:
        """Dumps that a document is compared with, its own included."""
        if self.scope == "dump":
            return 1
        return self.window_dumps or len(self.dump_indices)


def check_order(dump_order: tuple[str, ...], dumps: list[str]) -> None:
    """
    Raises:
        ValueError: if ``dump_order`` is not exactly ``dumps``, each once.
    """
    if sorted(dump_order) != sorted(dumps):
        raise ValueError(
            f"dump_order = {list(dump_order)} [dedup], and the [[input]] tables are of the dumps {sorted(dumps)}; "
            f"expected each of these once, the oldest first; correct the list"
        )
