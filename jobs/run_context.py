"""What the steps of a run share: its config, its folders, the Spark session (started when first needed)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jobs.config import RunConfig
from jobs.spark import start_spark
from pipeline import storage
from pipeline.input_unit import InputUnit
from pipeline.manifest import (
    MANIFEST_NAME,
    FileEntry,
    Identity,
    Manifest,
    commit,
    fingerprint_of,
    finished,
    read_manifest,
)
from pipeline.progress import StageProgress, say, stage_progress

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the main job: it fills folders of the run and commits them.

    Args:
        name: as in ``--until`` and in the ledger.
        folders: what it makes, relative to the run; the step is finished when all are committed.
        identities: ``Stage.identity()`` of the stages inside: what its fingerprint is made of.
        upstream: names of the steps whose output it reads.
        run: does the work and commits each folder through ``RunContext.commit``.
        needs_spark: whether a session is started before it; training does without.
        products: files outside the folders that it writes for people; they go when the step is no longer finished.
        is_intact: given, whether what it wrote outside the run is still there; asked once the folders are committed.
    """

    name: str
    folders: tuple[str, ...]
    identities: tuple[Identity, ...]
    upstream: tuple[str, ...]
    run: Callable[[RunContext, StageProgress], None]
    needs_spark: bool = True
    products: tuple[str, ...] = ()
    is_intact: Callable[[RunContext], bool] | None = None


@dataclass
class RunContext:
    """State of one ``chaffinch run``: ``files`` are its input files, ``units`` what workers read, files or splits."""

    config: RunConfig
    output: str
    files: Sequence[InputUnit]
    units: Sequence[InputUnit]
    inputs_fingerprint: str
    preload_models: tuple[str, ...] = ()
    fingerprints: dict[str, str] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    _spark: SparkSession | None = None

    def folder(self, name: str) -> str:
        return storage.join(self.output, name)

    @property
    def spark(self) -> SparkSession:
        """The session; ``perform`` has started it."""
        if self._spark is None:
            raise RuntimeError("this step uses Spark but was declared with needs_spark=False")
        return self._spark

    def start_spark(self) -> None:
        """Start the session if there is none."""
        if self._spark is None:
            with stage_progress("start Spark"):
                self._spark = start_spark(self.config.spark, preload_models=self.preload_models)

    def stop_spark(self) -> None:
        """Give the memory back, before training; a later step starts a fresh session."""
        if self._spark is not None:
            self._spark.stop()
            self._spark = None

    def upstream_of(self, step: Step) -> dict[str, str]:
        return {"inputs": self.inputs_fingerprint, **{name: self.fingerprints[name] for name in step.upstream}}

    def is_finished(self, step: Step) -> bool:
        """Whether all folders of a step are committed under the fingerprint expected now; steps go in order."""
        self.steps[step.name] = step
        expected = fingerprint_of(step.identities, self.upstream_of(step))
        self.fingerprints[step.name] = expected
        are_committed = all(finished(self.folder(name), expected) is not None for name in step.folders)
        return are_committed and (step.is_intact is None or step.is_intact(self))

    def perform(self, step: Step) -> bool:
        """Run a step, or skip it because its folders are finished.

        Returns:
            Whether it ran.
        """
        if self.is_finished(step):
            say(f"{step.name:<18}  skipped: finished before, nothing it depends on has changed")
            return False
        self.withdraw(step)
        if step.needs_spark:
            self.start_spark()
        with stage_progress(step.name) as progress:
            step.run(self, progress)
        return True

    def withdraw(self, step: Step) -> None:
        """Take away a step's manifests and products: from here on it is not finished, and nothing stale is read."""
        for name in (*(f"{folder}/{MANIFEST_NAME}" for folder in step.folders), *step.products):
            storage.remove_file(self.folder(name))

    def commit(
        self,
        step: str,
        name: str,
        files: Sequence[FileEntry],
        *,
        schema: pa.Schema | None = None,
        details: dict[str, Any] | None = None,
    ) -> Manifest:
        """Commit one of a step's folders."""
        current = self.steps[step]
        storage.make_folder(self.folder(name))
        return commit(
            self.folder(name),
            name=name,
            identities=current.identities,
            upstream=self.upstream_of(current),
            files=files,
            schema=schema,
            details=details,
        )

    def manifest(self, name: str) -> Manifest:
        return read_manifest(self.folder(name))

    def frame(self, name: str, schema: pa.Schema) -> DataFrame:
        """A finished folder as a Spark DataFrame."""
        from pipeline.runner import read_frame

        return read_frame(self.spark, self.folder(name), self.manifest(name).files, schema)


def absolute(location: str, base_dir: str) -> str:
    """A local path made absolute against ``base_dir``; a URL as it is."""
    return location if "://" in location else os.path.abspath(os.path.join(base_dir, location))
