"""``[dedup] scope``, ``dump_order``, ``source_priority`` and ``[dedup.store]``: which documents are compared."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from pipeline import storage
from pipeline.config import Config
from pipeline.dedup_store import ENTRY_NAME, Entry, check_entries, older_entries
from pipeline.dump_plan import DumpPlan, Scope, check_order
from pipeline.input_config import InputConfig
from pipeline.manifest import Identity
from pipeline.stage import identity
from stages import minhash_signatures
from stages.dedup_older import VERSION
from stages.minhash_signatures import MinHashConfig
from stages.survivor import order_columns, with_source_priority

if TYPE_CHECKING:
    from jobs.config import DedupConfig, RunConfig


class DedupStoreConfig(Config):
    """``[dedup.store]``: what finished runs left for later ones (``pipeline/dedup_store.py``).

    Args:
        path: folder of the store, a path or URL; made when the first run writes to it.
        name: this run's entry; a repeated run replaces it.
        read: whether this run is deduplicated against the entries before its own.
        write: whether it adds its own.
    """

    path: str = Field(min_length=1)
    name: str = Field(pattern=ENTRY_NAME, max_length=200)
    read: bool = True
    write: bool = True

    @property
    def location(self) -> str:
        """The folder as workers and the JVM find it too."""
        return self.path if storage.is_remote(self.path) else os.path.abspath(self.path)

    @model_validator(mode="after")
    def _is_used(self) -> DedupStoreConfig:
        if not self.read and not self.write:
            raise ValueError(
                "read and write are both false, so the store has no use; expected one of them; remove the table"
            )
        return self


class DedupScopeConfig(Config):
    """What all kinds of deduplication of documents have in common: the keys of ``[dedup]`` itself.

    Args:
        scope: ``dump`` compares documents within a dump alone, ``window`` with the ``window_dumps - 1`` dumps before it
            too, ``global`` with all. FineWeb found ``dump`` best.
        window_dumps: dumps of a window, the document's own included.
        dump_order: the dumps of this run, oldest first: a document is then a copy of those of older dumps, and the
            survivor order decides within a dump. Without it, and with scope ``global``, all are one pool.
        source_priority: names of ``[[input]]`` tables, the best first: stands before the survivor order.
        store: the dumps of finished runs, older than all of this one.
    """

    scope: Scope = "global"
    window_dumps: int | None = Field(default=None, ge=2)
    dump_order: tuple[str, ...] | None = Field(default=None, min_length=1)
    source_priority: tuple[str, ...] | None = Field(default=None, min_length=2)
    store: DedupStoreConfig | None = None

    @model_validator(mode="after")
    def _window_has_a_length(self) -> DedupScopeConfig:
        if (self.scope == "window") != (self.window_dumps is not None):
            found = f"window_dumps = {self.window_dumps}" if self.window_dumps is not None else "no window_dumps"
            raise ValueError(
                f'scope = "{self.scope}" with {found}; expected window_dumps with scope = "window" and with no other; '
                f"{'remove' if self.window_dumps is not None else 'add'} window_dumps"
            )
        return self


def check_dumps(dedup: DedupScopeConfig, inputs: Sequence[InputConfig]) -> None:
    """Whether ``[dedup]`` names the dumps and sources that ``[[input]]`` has.

    Raises:
        ValueError: if it names others, or lacks the order that its scope needs.
    """
    dumps = sorted({entry.dump_name for entry in inputs})
    if dedup.dump_order is not None:
        check_order(dedup.dump_order, dumps)
    elif dedup.scope == "window" and len(dumps) > 1:
        raise ValueError(
            f'scope = "window" [dedup] with the dumps {dumps}, and nothing says which is older; expected dump_order '
            f"with all of them, the oldest first; add it"
        )
    sources = [entry.name for entry in inputs]
    for name in dedup.source_priority or ():
        if name not in sources:
            raise ValueError(
                f"source_priority [dedup] names {name!r}, which is no [[input]]; expected some of {sources}; correct it"
            )
    if dedup.source_priority is not None and len(set(dedup.source_priority)) < len(dedup.source_priority):
        raise ValueError(
            f"source_priority = {list(dedup.source_priority)} [dedup] names a source twice; expected each once; "
            f"remove the second"
        )


@dataclass(frozen=True)
class ScopedDedup:
    """``[dedup]`` of a run, resolved against its inputs and the store.

    Args:
        dedup: with ``source_priority`` put in front of the survivor orders.
        plan: which documents are compared.
        older: entries of the store that are read, oldest first.
    """

    dedup: DedupConfig
    plan: DumpPlan
    older: tuple[Entry, ...]

    @property
    def identities(self) -> tuple[Identity, ...]:
        """What of it is in the fingerprint of the steps that compare: the content of the store as read included.

        Empty where all documents are one pool, since nothing but the stages decides then.
        """
        if not self.plan.pools and not self.plan.older and self.dedup.source_priority is None:
            return ()
        relevant = _Relevant(
            plan=self.plan,
            source_priority=self.dedup.source_priority,
            entries={entry.name: entry.manifest.fingerprint for entry in self.older},
        )
        return (identity("dedup_scope", VERSION, relevant),)

    @property
    def survivor_columns(self) -> tuple[str, ...]:
        """What the survivor orders look at and entries of the store have, without what is made on reading."""
        orders = [kind.survivor_order for kind in (self.dedup.exact, self.dedup.near) if kind is not None]
        names = dict.fromkeys(name for order in orders for name in order_columns(order).names)
        return tuple(name for name in names if name not in ("doc_id", "source_priority"))


class _Relevant(Config):
    plan: DumpPlan
    source_priority: tuple[str, ...] | None
    entries: dict[str, str]


def plan_of(config: RunConfig, older: Sequence[tuple[str, str]] = ()) -> DumpPlan:
    """Which documents of a run are compared with which.

    Args:
        older: (entry, dump) of the store, oldest first; those out of scope are left out of the plan.
    """
    dedup = config.dedup
    of_source = {entry.name: entry.dump_name for entry in sorted(config.input, key=lambda entry: entry.name)}
    dumps = sorted(set(of_source.values()))
    pools = dedup.dump_order or (() if dedup.scope == "global" else tuple(dumps))
    plan = DumpPlan(
        scope=dedup.scope, window_dumps=dedup.window_dumps, pools=pools, of_source=of_source, older=tuple(older)
    )
    reached = [pair for pair in plan.older if any(plan.reaches(dump, pair[1]) for dump in dumps)]
    return plan.model_copy(update={"older": tuple(reached)})


def resolve_scope(config: RunConfig) -> ScopedDedup:
    """``[dedup]`` of a run, with what is in the store now.

    Raises:
        ConfigError: if an entry that is to be read was made with other signatures, or lacks a column.
    """
    dedup = with_priority(config.dedup)
    store = dedup.store
    found = older_entries(store.location, store.name) if store is not None and store.read else ()
    plan = plan_of(config, [(entry.name, dump) for entry in found for dump in entry.dumps])
    read = tuple(entry for entry in found if entry.name in {name for name, _ in plan.older})
    scoped = ScopedDedup(dedup=dedup, plan=plan, older=read)
    check_entries(read, minhash=signature_facts(dedup.minhash), columns=scoped.survivor_columns)
    return scoped


def with_priority(dedup: DedupConfig) -> DedupConfig:
    """``dedup`` with ``source_priority`` put in front of the survivor orders."""
    if dedup.source_priority is None:
        return dedup
    orders = {
        kind: settings.model_copy(update={"survivor_order": with_source_priority(settings.survivor_order)})
        for kind in ("exact", "near")
        if (settings := getattr(dedup, kind)) is not None
    }
    return dedup.model_copy(update=orders)


def signature_facts(config: MinHashConfig) -> dict[str, Any]:
    """What signatures and bands are made with, however the config says it: equal facts, comparable documents."""
    return {
        "version of minhash_signatures": minhash_signatures.VERSION,
        "num_perm": config.permutations,
        **asdict(config.banding()),
        **{f"shingle_{name}": value for name, value in asdict(config.shingling()).items()},
        "scheme": config.scheme,
        "seed": config.seed,
    }
