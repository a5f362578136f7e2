"""Data variants of a sweep: runs that differ from a finished one in a few keys, built from what it has measured.

A variant's folder starts as hard links to the files of the base run. Then the line runs over it as over any run: steps
whose fingerprint still holds are skipped, and the first step that a changed key concerns is redone with all after it.
So a threshold costs no extraction, and signals are on disk once. Steps write under new names and rename, hence never
into a linked file.

Variants share the base's vocabulary unless they change ``[tokenizer]``; then the base's held-out text is written in
their tokens too, since bits per byte compare on equal text only. Held-out documents are drawn by a hash of their id,
so no variant trains on one under its own id; a variant that changes deduplication may train on a near copy of one.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

from jobs.build_corpus import run_line
from jobs.config import RunConfig
from jobs.run_folder import RunFolder
from jobs.what_if_changes import changed_config
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.progress import say
from trainer.sweep.sweep_config import SweepConfig, SweepVariant

_LAST_STEP = "ledger"
_SIGNALS = "signals/_manifest.json"
_NOT_LINKED = ("training/", "report/", "run.json", "ledger.json")


def build_variants(config: SweepConfig) -> SweepConfig:
    """Make the shards of every variant that is a change of the base; what is made already is skipped.

    Returns:
        ``config``, each variant with the folder of its held-out text where that is not the sweep's.

    Raises:
        ConfigError: if the base is no finished local run, or a change is not possible.
    """
    if config.base is None:
        return config
    base = RunFolder(config.base)
    for folder in ("signals", "shards", "tokenizer"):
        if storage.is_remote(config.base) or not base.is_finished(folder):
            raise ConfigError(
                f"[sweep] base = {config.base!r} has no finished {folder}/; expected the local folder of a run; run "
                f"the pipeline first, or correct the path"
            )
    variants = [_build(config, base, variant) if variant.changes else variant for variant in config.variant]
    return config.model_copy(update={"variant": tuple(variants)})


def _build(config: SweepConfig, base: RunFolder, variant: SweepVariant) -> SweepVariant:
    folder = storage.join(config.output, "data", variant.name)
    own_vocabulary = bool(set(variant.changes.get("tokenizer", {})) - {"path"})
    ready = {} if own_vocabulary else {"tokenizer": {"path": base.path("tokenizer/tokenizer.json")}}
    say(f"variant {variant.name}")
    _derive(base, {**ready, **variant.changes}, folder)
    if not own_vocabulary or variant.validation is not None or config.validation is not None:
        return variant
    held_out = storage.join(config.output, "data", f"{variant.name}-held-out")
    say(f"held-out text in the tokens of variant {variant.name}")
    _derive(base, {"tokenizer": {"path": storage.join(folder, "tokenizer/tokenizer.json")}}, held_out)
    return variant.model_copy(update={"validation": storage.join(held_out, "shards")})


def _derive(base: RunFolder, changes: dict[str, Any], folder: str) -> None:
    """Run the line to the ledger in ``folder``, under the base's config with ``changes``, from the base's files."""
    changed = changed_config(base, changes)
    run = changed.run.model_copy(update={"output": folder})
    config: RunConfig = changed.model_copy(update={"run": run, "train": None})
    if not _is_derived_from(base, folder):
        storage.remove_folder(folder)
        _link_files(base, folder)
    run_line(config, base_dir=".", until=_LAST_STEP)


def _is_derived_from(base: RunFolder, folder: str) -> bool:
    """Whether ``folder`` holds the signals that the base has now."""
    theirs = storage.join(folder, _SIGNALS)
    return storage.exists(theirs) and storage.read_bytes(theirs) == storage.read_bytes(base.path(_SIGNALS))


def _link_files(base: RunFolder, folder: str) -> None:
    """Hard links to the base's files, copies where the file system has none; manifests last."""
    names = [name for name in storage.list_files(base.location) if not name.startswith(_NOT_LINKED)]
    for name in sorted(names, key=lambda name: (name.endswith("_manifest.json"), name)):
        target = os.path.join(folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            os.link(base.path(name), target)
        except OSError:
            shutil.copy2(base.path(name), target)
