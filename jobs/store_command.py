"""``chaffinch store``: what a store of deduplication holds, and whether it is whole."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.dedup_store import Entry


@click.group()
def store() -> None:
    """The store against which new dumps are deduplicated ([dedup.store] of a run's config)."""


@store.command("list")
@click.argument("path", metavar="STORE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_entries(path: str, as_json: bool) -> None:
    """The entries of STORE, oldest first."""
    from pipeline.dedup_store import describe

    found = [describe(entry) for entry in _entries(path)]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for entry in found:
        size = f"{entry['num_documents']:,} documents, {entry['size_bytes']:,} bytes"
        older = ", ".join(entry["older"]) or "none"
        click.echo(f"{entry['position']:>4}  {entry['name']}  {', '.join(entry['dumps'])}  {size}  older: {older}")


@store.command("check")
@click.argument("path", metavar="STORE")
@click.option("--hashes", is_flag=True, help="Read every file and compare its SHA-256.")
def check(path: str, hashes: bool) -> None:
    """Whether the entries of STORE are whole, and each was made against those before it as they are now."""
    from pipeline.dedup_store import faults, verify_files

    entries = _entries(path)
    found = faults(path)
    for fault in found:
        click.echo(fault)
    if found:
        sys.exit(1)
    for entry in entries if hashes else ():
        verify_files(entry)
    click.echo(f"{len(entries)} entries, none at fault")


def _entries(path: str) -> tuple[Entry, ...]:
    """
    Raises:
        ConfigError: if there are none.
    """
    from pipeline.dedup_store import entries
    from pipeline.errors import ConfigError

    found = entries(path)
    if not found:
        raise ConfigError(f"no entries in {path}; expected the path of a [dedup.store] that a run wrote; correct it")
    return found
