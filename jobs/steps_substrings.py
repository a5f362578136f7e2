"""Step ``dedup_substrings``: repeated passages across the texts that are left, written down as cuts.

Two rounds of a pass over units and a shuffle, then a pass that turns words into bytes; see
``stages/dedup_substrings.py``. What the rounds hand on lies in a scratch folder: a run that is killed in this step
begins it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from jobs.config import RunConfig
from jobs.kept_text import part_path
from jobs.run_context import RunContext, Step
from jobs.steps_text_dedup import (
    SURVIVORS,
    TextSource,
    identities_of_text,
    survivor_schema,
    text_source,
    text_units,
    upstream_of_text_stage,
    work_folder,
)
from pipeline import storage
from pipeline.manifest import FileEntry
from pipeline.part_writer import read_part
from pipeline.progress import StageProgress
from pipeline.repeated_passages import CANDIDATE, FOUND_CUT, OCCURRENCE, Runs, cut_rows, occurrences, redundant_runs
from pipeline.runner import read_frame, run_units, write_frame
from pipeline.stage import identity, with_columns
from pipeline.text_cuts import TEXT_CUT
from pipeline.unit_of_work import Output, ProcessFunction, Unit, UnitReport
from stages import dedup_substrings
from stages.dedup_substrings import ANCHOR, NAME, SubstringDedupConfig, tokens_of
from stages.survivor import with_source_priority

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_NUMBER = pa.schema([("doc_id", pa.string()), ("row_index", pa.int64()), ("number", pa.int64())])
_REPEATED_ANCHOR = pa.schema([ANCHOR.field("anchor")])
_PART_OCCURRENCE = pa.schema([ANCHOR.field("part"), *OCCURRENCE])


def dedup_substrings_step(config: RunConfig) -> Step:
    """Cut what occurs at an earlier place already; the run has ``[dedup.substrings]``."""
    settings = config.dedup.substrings
    if settings is None:
        raise ValueError("a run without [dedup.substrings] has no such step; expected the table; leave the step out")

    if config.dedup.source_priority is not None:
        settings = settings.model_copy(update={"survivor_order": with_source_priority(settings.survivor_order)})

    def run(context: RunContext, progress: StageProgress) -> None:
        rounds = _Rounds(context, settings, progress, context.folder("_work/dedup_substrings_scratch"))
        storage.remove_folder(rounds.scratch)
        files = rounds.run()
        manifest = context.commit(NAME, work_folder(NAME), files, schema=TEXT_CUT)
        storage.remove_folder(rounds.scratch)
        progress.update(note=f"{manifest.num_rows:,} documents have repeated passages")

    return Step(
        name=NAME,
        folders=(work_folder(NAME),),
        identities=(identity(NAME, dedup_substrings.VERSION, settings), *identities_of_text(config, NAME)),
        upstream=upstream_of_text_stage(config, NAME),
        run=run,
    )


@dataclass(frozen=True)
class _Rounds:
    """The passes and shuffles of one run; every folder below is one of ``scratch``."""

    context: RunContext
    settings: SubstringDedupConfig
    progress: StageProgress
    scratch: str

    def run(self) -> list[FileEntry]:
        """Entries of the part files of ``_work/dedup_substrings``."""
        spark, settings = self.context.spark, self.settings
        documents = dedup_substrings.numbered(
            self.context.frame(SURVIVORS, survivor_schema(self.context.config)), settings.survivor_order
        )
        numbers = self._write(documents, "numbers", _NUMBER, part="unit", sort_by="row_index")
        anchors = self._pass(_find_anchors, {"anchors": ANCHOR})["anchors"]
        repeated = dedup_substrings.repeated_anchors(read_frame(spark, self._at("anchors"), anchors, ANCHOR))
        self._write(repeated, "repeated_anchors", _REPEATED_ANCHOR, part="part", sort_by="anchor")
        found = self._pass(_find_candidates, {"candidates": CANDIDATE, "occurrences": _PART_OCCURRENCE})["occurrences"]
        places = read_frame(spark, self._at("occurrences"), found, _PART_OCCURRENCE)
        passages = dedup_substrings.repeated_passages(places, settings)
        self._write(passages, "repeated_passages", OCCURRENCE, part="part", sort_by="passage")
        cuts = self._pass(_find_cuts, {"cuts": FOUND_CUT})["cuts"]
        named = dedup_substrings.with_sources(
            read_frame(spark, self._at("cuts"), cuts, FOUND_CUT),
            read_frame(spark, self._at("numbers"), numbers, _NUMBER),
            settings,
        )
        folder = self.context.folder(work_folder(NAME))
        return write_frame(named, folder=folder, schema=TEXT_CUT, part_column="unit", sort_by=("row_index",))

    def _at(self, name: str) -> str:
        return storage.join(self.scratch, name)

    def _write(self, frame: DataFrame, name: str, schema: pa.Schema, *, part: str, sort_by: str) -> list[FileEntry]:
        return write_frame(frame, folder=self._at(name), schema=schema, part_column=part, sort_by=(sort_by,))

    def _pass(self, make: _MakeProcess, outputs: dict[str, pa.Schema]) -> dict[str, list[FileEntry]]:
        """Run a round over all units; the files written, by output."""
        config = self.context.config
        units = [
            Unit(name=unit.name, weight=unit.weight, spec=(unit.name, f"{number:05d}"))
            for number, unit in enumerate(text_units(self.context))
        ]
        self.progress.total = len(units)
        results = run_units(
            self.context.spark,
            units=units,
            process=make(_Reader(text_source(self.context, NAME), self.scratch), self.settings),
            outputs={name: Output(folder=self._at(name), schema=schema) for name, schema in outputs.items()},
            fingerprint=self.context.fingerprints[NAME],
            progress=self.progress,
            units_per_group=config.run.units_per_group,
            num_partitions=config.spark.partitions,
        )
        files = [file for result in results for file in result.files]
        return {name: [file.entry() for file in files if file.folder == self._at(name)] for name in outputs}


@dataclass(frozen=True)
class _Reader:
    """What workers read: texts, and what the rounds before left of them."""

    source: TextSource
    scratch: str

    def scratch_part(self, name: str, unit: str) -> pa.Table | None:
        """All rows of a part; None if there is no such part."""
        path = part_path(storage.join(self.scratch, name), unit)
        return pa.Table.from_batches(read_part(path, rows_per_batch=1 << 16)) if storage.exists(path) else None


_MakeProcess = Callable[[_Reader, SubstringDedupConfig], ProcessFunction]


def _find_anchors(reader: _Reader, settings: SubstringDedupConfig) -> ProcessFunction:
    """Round 1: the anchors of each batch."""

    def process(spec: tuple[str, str], report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        unit, part = spec
        for batch in reader.source.read(unit):
            report.counts["documents"] += batch.num_rows
            yield {"anchors": dedup_substrings.anchor_rows(tokens_of(batch, settings), settings, part)}

    return process


def _find_candidates(reader: _Reader, settings: SubstringDedupConfig) -> ProcessFunction:
    """Round 2: passages whose anchor is repeated, and the first and last place of each in a batch."""

    def process(spec: tuple[str, str], report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        unit, part = spec
        anchors, numbers = reader.scratch_part("repeated_anchors", part), reader.scratch_part("numbers", unit)
        if anchors is None or numbers is None:
            return
        repeated = np.sort(anchors.column("anchor").to_numpy().view(np.uint64)).view(np.int64)
        rows, number = (numbers.column(name).to_numpy() for name in ("row_index", "number"))
        for batch in reader.source.read(unit):
            report.counts["documents"] += batch.num_rows
            places = np.searchsorted(rows, batch.column("row_index").to_numpy())
            numbered = with_columns(batch, {"number": pa.array(number[places])})
            candidates = dedup_substrings.candidate_rows(tokens_of(batch, settings), numbered, repeated, settings)
            found = occurrences(candidates)
            yield {
                "candidates": candidates,
                "occurrences": with_columns(found, {"part": pa.repeat(pa.scalar(part), found.num_rows)}),
            }

    return process


def _find_cuts(reader: _Reader, settings: SubstringDedupConfig) -> ProcessFunction:
    """The last pass: words that are cut, as bytes of the texts that they are cut from."""

    def process(spec: tuple[str, str], report: UnitReport) -> Iterator[dict[str, pa.RecordBatch]]:
        unit, part = spec
        passages = reader.scratch_part("repeated_passages", part)
        if passages is None:
            return
        repeated = {name: passages.column(name).to_numpy() for name in OCCURRENCE.names}
        runs = _runs_of_unit(part_path(storage.join(reader.scratch, "candidates"), unit), repeated, settings)
        touched = pa.array(np.unique(runs.rows))
        for batch in reader.source.read(unit, only_rows=touched):
            report.counts["documents"] += batch.num_rows
            row_index = batch.column("row_index").to_numpy()
            low, high = np.searchsorted(runs.rows, (row_index[0], row_index[-1] + 1))
            here = Runs(*(column[low:high] for column in runs))
            here = here._replace(rows=np.searchsorted(row_index, here.rows))
            yield {"cuts": cut_rows(batch, here, stage=NAME, min_tokens=settings.min_tokens)}

    return process


def _runs_of_unit(path: str, repeated: dict[str, np.ndarray], settings: SubstringDedupConfig) -> Runs:
    """All runs of a unit; ``rows`` are ``row_index``, ascending."""
    found: Sequence[Runs] = [
        runs._replace(rows=batch.column("row_index").to_numpy()[runs.rows])
        for batch in read_part(path)
        for runs in [
            redundant_runs(batch, repeated, min_tokens=settings.min_tokens, keep_first=settings.keep == "first")
        ]
    ]
    return Runs(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
