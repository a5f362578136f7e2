"""The changes of a what-if: ``--set KEY=VALUE`` and TOML files, put over the config that a run was made with.

Only keys that decide on stored numbers can be asked about. A key that decides what is read, extracted or measured
would need the text again, so it is refused rather than answered wrongly.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.config import RunConfig
from jobs.run_folder import RunFolder
from jobs.text_stages import TABLES
from pipeline.config import parse
from pipeline.errors import ConfigError

_MEASURED = ("read", "url", "extract", "language", "measure", "quality", "clean_lines", "dedup.minhash")
_NEED_TEXT = (*_MEASURED, *(".".join(table) for table in TABLES.values()))
_ASKED = "[filters], [dedup], [dedup.exact], [dedup.near] or [mixture]"
_OF_DEDUP = tuple(f"dedup.{name}" for name in ("scope", "window_dumps", "dump_order", "source_priority"))
_OPTIONAL_TABLES = ("dedup.exact", "dedup.near")


def stored_config(run: RunFolder) -> RunConfig:
    """What the run was made by.

    Raises:
        ConfigError: if ``run`` is no run, or one of a version whose config differed.
    """
    return _parsed(_stored(run), run)


def changed_config(run: RunFolder, changes: dict[str, Any]) -> RunConfig:
    """What it would be made by.

    Args:
        changes: nested tables as TOML gives them; ``false`` for a whole table removes it.

    Raises:
        ConfigError: for a key that is unknown, cannot be asked about, or has an impossible value.
    """
    return _parsed(_merged(_stored(run), changes, ""), run)


def read_changes(assignments: Sequence[str], path: str | None) -> dict[str, Any]:
    """Changes from the command line.

    Args:
        assignments: ``KEY=VALUE``, each a line of TOML; they go over what the file says.
        path: a TOML file of changes, laid out as a run's config.

    Raises:
        ConfigError: if one is not TOML, there is none, or a key cannot be asked about.
    """
    changes: dict[str, Any] = {}
    if path is not None:
        try:
            changes = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}; expected a TOML file of changes; correct the path") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not TOML: {error}; expected tables as in a run's config; mend it") from None
    for assignment in assignments:
        try:
            changes = _merged(changes, tomllib.loads(assignment), "")
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(
                f"--set {assignment!r} is not TOML: {error}; expected KEY=VALUE with strings in quotes, "
                f"such as mixture.alpha=0.5; mend it"
            ) from None
    if not changes:
        raise ConfigError("nothing is changed; expected --set KEY=VALUE or --changes FILE.toml; give one")
    _refuse_others(changes)
    return changes


def _refuse_others(changes: dict[str, Any]) -> None:
    """
    Raises:
        ConfigError: if a change is outside the tables that decide on stored numbers.
    """
    for table, value in changes.items():
        inner = [f"{table}.{name}" for name in value] if table == "dedup" and isinstance(value, dict) else [table]
        for name in inner:
            if name in _NEED_TEXT:
                does = "decides what is read or measured" if name in _MEASURED else "compares texts"
                raise ConfigError(
                    f"[{name}] {does}, so an answer needs the text again; expected keys of {_ASKED}; "
                    f"change the config and run `chaffinch run`"
                )
            if name not in ("filters", "mixture", *_OPTIONAL_TABLES, *_OF_DEDUP):
                raise ConfigError(
                    f"[{name}] has no say in which documents are kept; expected keys of {_ASKED}; leave it out"
                )


def _stored(run: RunFolder) -> dict[str, Any]:
    """``run.json`` leaves out where the run lies and how Spark runs."""
    config = run.record["config"]
    return {**config, "run": {**config["run"], "output": run.location}}


def _parsed(document: dict[str, Any], run: RunFolder) -> RunConfig:
    return parse(document, RunConfig, where=run.path("run.json"))


def _merged(stored: dict[str, Any], changes: dict[str, Any], prefix: str) -> dict[str, Any]:
    """``changes`` over ``stored``, table by table; a table that was absent begins with its defaults."""
    merged = dict(stored)
    for key, value in changes.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            below = merged.get(key)
            merged[key] = _merged(below if isinstance(below, dict) else {}, value, f"{name}.")
        else:
            merged[key] = None if value is False and _is_table(name) else value
    return merged


def _is_table(name: str) -> bool:
    """Whether ``name`` is a table that may be absent, as each filter's."""
    return name in _OPTIONAL_TABLES or (name.startswith("filters.") and name.count(".") == 1)
