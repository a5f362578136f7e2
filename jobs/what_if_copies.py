"""Which documents of a what-if are copies, of which others, and by which reason."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs import between
from jobs.config import DedupConfig, RunConfig
from jobs.copies_in_memory import Sketches, exact_copies, near_copies
from jobs.dedup_scope import plan_of, with_priority
from jobs.older_copies_in_memory import exact_copies_of_older, near_copies_of_older, with_dumps, within_dumps
from jobs.run_folder import RunFolder
from jobs.what_if_sketches import signatures_at, sketches_at
from pipeline.dump_plan import DumpPlan
from pipeline.errors import ConfigError
from stages import dedup_exact, dedup_near
from stages.survivor import order_columns


@dataclass(frozen=True)
class Copies:
    """The copies among pages.

    Args:
        kept_place: shape (num_pages,): the place of the document that stands for a page, its own if it is no copy.
        is_copy: by stage and reason, shape (num_pages,) each.
    """

    kept_place: np.ndarray
    is_copy: dict[tuple[str, str], np.ndarray]

    @property
    def is_any(self) -> np.ndarray:
        """Whether a page is a copy; shape (num_pages,)."""
        return np.any([np.zeros(len(self.kept_place), bool), *self.is_copy.values()], axis=0)


def columns_of(config: RunConfig) -> list[str]:
    """Columns of ``signals/`` that ``find_copies`` looks at."""
    orders = [kind.survivor_order for kind in (config.dedup.exact, config.dedup.near) if kind is not None]
    names = [name for order in orders for name in order_columns(order).names]
    return list(dict.fromkeys(["doc_id", "source", "text_hash", "bands", *names]))


def find_copies(run: RunFolder, config: RunConfig, pages: pa.Table, alive: np.ndarray) -> Copies:
    """The copies among ``pages`` at the places ``alive``, as the steps of deduplication find them.

    Raises:
        ConfigError: if the run was deduplicated against a store.
    """
    if run.is_finished("older_documents"):
        raise ConfigError(
            f"{run.location} was deduplicated against the store {config.dedup.store and config.dedup.store.path!r}, "
            f"whose documents a what-if does not look at; expected a run without older ones; change the config and run "
            f"`chaffinch run`"
        )
    return copies_among(
        pages.select(columns_of(config)),
        alive,
        plan_of(config),
        with_priority(config.dedup),
        sketches=lambda places: sketches_at(run, places, config.dedup),
        signatures=lambda places: signatures_at(run, places),
    )


def copies_among(
    pages: pa.Table, alive: np.ndarray, plan: DumpPlan, dedup: DedupConfig, *, sketches: Sketches, signatures: Sketches
) -> Copies:
    """The copies among ``pages`` at the places ``alive``.

    Args:
        pages: the columns that ``columns_of`` names.
        dedup: with ``source_priority`` in the survivor orders.
        sketches, signatures: of pages by their places; the former are what ``[dedup.near]`` verifies by.
    """
    pages = with_dumps(pages, plan, dedup.source_priority or ())
    apart = within_dumps(pages, plan)
    search = _Search(plan, dedup, pages, apart, sketches, signatures, np.arange(pages.num_rows), {})
    search.near(alive, search.exact(alive))
    kept_place = search.kept_place
    while not np.array_equal(further := kept_place[kept_place], kept_place):  # a copy of a copy
        kept_place = further
    return Copies(kept_place, search.is_copy)


@dataclass
class _Search:
    """The search so far: ``apart`` is ``pages`` with hashes that dumps do not share."""

    plan: DumpPlan
    dedup: DedupConfig
    pages: pa.Table
    apart: pa.Table
    sketches: Sketches
    signatures: Sketches
    kept_place: np.ndarray
    is_copy: dict[tuple[str, str], np.ndarray]

    def exact(self, alive: np.ndarray) -> np.ndarray:
        """Find exact copies; gives the places of what is left."""
        if self.dedup.exact is None:
            return alive
        found = exact_copies(self.apart.take(alive), self.dedup.exact.survivor_order)
        left = self._end(alive, found, dedup_exact.NAME, between.EXACT)
        if not self.plan.looks_back:
            return left
        older = exact_copies_of_older(self.pages.take(left), self.plan)
        return self._end(left, older, dedup_exact.NAME, between.EXACT_OLDER)

    def near(self, alive: np.ndarray, left: np.ndarray) -> None:
        """Find near copies among the places ``left``."""
        settings = self.dedup.near
        if settings is None:
            return
        copies = near_copies(self.apart.take(left), lambda numbers: self.sketches(left[numbers]), settings)
        survivors = np.arange(self.pages.num_rows)
        survivors[left] = left[copies]
        self._end(left, copies, dedup_near.NAME, between.NEAR)
        if not self.plan.looks_back:
            return
        in_dump = self.is_copy.get((dedup_exact.NAME, between.EXACT), np.zeros(self.pages.num_rows, bool))
        seen = alive[~in_dump[alive]]
        numbers = np.searchsorted(seen, survivors[seen])
        older = near_copies_of_older(
            self.pages.take(seen),
            np.isin(seen, left),
            numbers,
            lambda numbers: self.signatures(seen[numbers]),
            self.plan,
            survivor_order=settings.survivor_order,
            min_similarity=settings.min_similarity,
        )
        self._end(seen, older, dedup_near.NAME, between.NEAR_OLDER)

    def _end(self, places: np.ndarray, kept: np.ndarray, stage: str, reason: str) -> np.ndarray:
        """Documents at ``places`` whose ``kept`` (a number among them) is another one end; gives the other places."""
        ends = kept != np.arange(len(places))
        self.kept_place[places[ends]] = places[kept[ends]]
        is_copy = np.zeros(self.pages.num_rows, bool)
        is_copy[places[ends]] = True
        self.is_copy[stage, reason] = is_copy
        return places[~ends]
