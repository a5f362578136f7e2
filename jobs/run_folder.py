"""Read a finished or half-finished run without Spark: its record, its ledger, its tables by column and row filter.

Tables are read through ``pyarrow.dataset``: only the files that a folder's manifest names, only the columns asked for,
only the row groups that a filter cannot rule out. So a question about one document costs a scan of the id column and
one row group of text, whatever the size of the run.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pydantic import ValidationError

from filters.registry import FiltersConfig, enabled_names, filters_by_rules
from filters.rule import Filter, Rule
from filters.thresholds import ByLanguage, TextFilterConfig
from jobs.text_stages import text_stages
from pipeline import storage
from pipeline.config import parse
from pipeline.errors import ConfigError, ShardError
from pipeline.ledger import Ledger
from pipeline.manifest import MANIFEST_NAME, Manifest, read_manifest

STAGES_BEFORE_RULES = ("read_warc", "read_table", "filter_url", "extract_text")
STAGES_AFTER_RULES = ("dedup_exact", "dedup_near", "sample_mixture")


def stages_after_rules(text_stages: Sequence[str]) -> list[str]:
    """Names of all that can end a record after the rules, in order, given the corpus-wide text stages of the run."""
    *before, sample_mixture = STAGES_AFTER_RULES
    return [*before, *text_stages, sample_mixture]


_COMPARE: dict[str, Callable[[Any, float], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class RuleInForce:
    """A rule of an enabled filter with one of its thresholds, and the languages for which it is that one.

    Args:
        languages: those judged by this threshold; None for all but ``other_languages``.
        other_languages: those that have another threshold, or none.
    """

    filter_name: str
    rule: Rule
    threshold: float
    languages: tuple[str, ...] | None = None
    other_languages: tuple[str, ...] = ()

    def judges(self, lang: str | None) -> bool:
        """Whether documents of this language are held against this threshold."""
        return lang in self.languages if self.languages is not None else lang not in self.other_languages

    def judged(self, lang: pa.ChunkedArray) -> pa.ChunkedArray:
        """``judges`` of each row: bool, no nulls."""
        if self.languages is not None:
            return pc.is_in(lang, value_set=pa.array(self.languages, pa.string()))
        return pc.invert(pc.is_in(lang, value_set=pa.array(self.other_languages, pa.string())))

    def fires(self, value: float) -> bool:
        """Whether the rule drops a document that it judges and whose signal has this value."""
        return bool(_COMPARE[self.rule.drop_if](value, self.threshold))

    def count_fires(self, values: np.ndarray) -> int:
        """Among documents that it judges, those that the rule drops; shape (num_documents,)."""
        return int(np.count_nonzero(_COMPARE[self.rule.drop_if](values, self.threshold)))


def _thresholds_in_force(filter_name: str, rule: Rule, config: ByLanguage) -> Iterator[RuleInForce]:
    """The rule with the filter's own threshold, then with each other one, with the languages that have it."""
    own = getattr(config, rule.threshold)
    of_languages = {lang: getattr(table, rule.threshold) for lang, table in config.overrides().items()}
    others = {lang: found for lang, found in of_languages.items() if found != own}
    languages = config.languages if isinstance(config, TextFilterConfig) else None
    if own is not None:
        if languages is None:
            yield RuleInForce(filter_name, rule, float(own), None, tuple(sorted(others)))
        elif left := tuple(lang for lang in languages if lang not in others):
            yield RuleInForce(filter_name, rule, float(own), left)
    for threshold in sorted({found for found in others.values() if found is not None}):
        with_it = tuple(sorted(lang for lang, found in others.items() if found == threshold))
        yield RuleInForce(filter_name, rule, float(threshold), with_it)


@dataclass(frozen=True)
class RunFolder:
    """A run on disk.

    Args:
        location: path or URL of the folder that holds ``run.json``.
    """

    location: str

    def path(self, *parts: str) -> str:
        return storage.join(self.location, *parts)

    @cached_property
    def record(self) -> dict[str, Any]:
        """``run.json``.

        Raises:
            ConfigError: if there is none.
            ShardError: if it does not parse.
        """
        if not storage.exists(self.path("run.json")):
            raise ConfigError(
                f"no run.json in {self.location}; expected the output folder of `chaffinch run`; name that folder"
            )
        try:
            record: dict[str, Any] = storage.read_json(self.path("run.json"))
        except ValueError as error:
            raise ShardError(f"{self.path('run.json')} does not parse ({error}); run again") from None
        return record

    @cached_property
    def ledger(self) -> Ledger | None:
        """``ledger.json``; None if the run has not come so far.

        Raises:
            ShardError: if it does not parse.
        """
        location = self.path("ledger.json")
        if not storage.exists(location):
            return None
        try:
            return Ledger.model_validate(storage.read_json(location))
        except (ValidationError, ValueError) as error:
            raise ShardError(f"{location} does not parse ({error}); delete it and run again") from None

    @cached_property
    def filters(self) -> list[tuple[Filter, ByLanguage]]:
        """The enabled filters that go by thresholds, with them, in the order in which they judge."""
        return filters_by_rules(self.filters_config)

    @cached_property
    def filters_config(self) -> FiltersConfig:
        """``[filters]`` as the run was made with it."""
        return parse(self.record["config"]["filters"], FiltersConfig, where=self.path("run.json"))

    @property
    def rules(self) -> list[RuleInForce]:
        """Every rule that is on, in the order in which they judge; once for each threshold that it has."""
        return [
            in_force
            for filter_, config in self.filters
            for rule in filter_.rules
            for in_force in _thresholds_in_force(filter_.name, rule, config)
        ]

    @property
    def text_stages(self) -> tuple[str, ...]:
        """The corpus-wide text stages that the run has."""
        return text_stages(self.record["config"])

    @property
    def stage_order(self) -> list[str]:
        """Names of all that can end a record, in the order in which a record meets them."""
        return [*STAGES_BEFORE_RULES, *enabled_names(self.filters_config), *stages_after_rules(self.text_stages)]

    def is_finished(self, folder: str) -> bool:
        """Whether ``folder`` is committed."""
        return storage.exists(self.path(folder, MANIFEST_NAME))

    def manifest(self, folder: str) -> Manifest:
        return read_manifest(self.path(folder))

    def dataset(self, folder: str) -> ds.Dataset:
        """The committed Parquet files of ``folder``; ``lang=…`` in a path becomes the column ``lang``."""
        base = self.path(folder)
        names = [entry.path for entry in self.manifest(folder).files if entry.path.endswith(".parquet")]
        if not names:
            return ds.dataset(pa.table({}))
        filesystem, inner = storage.resolve(base)
        partitioning = ds.partitioning(pa.schema([("lang", pa.string())]), flavor="hive") if "=" in names[0] else None
        return ds.dataset(
            [f"{inner}/{name}" for name in names],
            filesystem=filesystem,
            format="parquet",
            partitioning=partitioning,
            partition_base_dir=inner if partitioning is not None else None,
        )

    def rows(self, folder: str, columns: Sequence[str], where: ds.Expression | None = None) -> pa.Table:
        """Some columns of the rows that satisfy ``where``; no rows if the folder is empty or not finished."""
        if not self.is_finished(folder):
            return pa.table({name: pa.nulls(0, pa.string()) for name in columns})
        dataset = self.dataset(folder)
        if not dataset.schema.names:
            return pa.table({name: pa.nulls(0, pa.string()) for name in columns})
        return dataset.to_table(columns=list(columns), filter=where)

    def row_at(self, path: str, index: int, columns: Sequence[str] | None = None) -> dict[str, Any]:
        """Row ``index`` of the Parquet file ``path`` (relative to the run); reads the one row group it lies in.

        Raises:
            ShardError: if the file has no such row.
        """
        filesystem, inner = storage.resolve(self.path(path))
        with pq.ParquetFile(inner, filesystem=filesystem) as file:
            start = 0
            for group in range(file.num_row_groups):
                num_rows = file.metadata.row_group(group).num_rows
                if index < start + num_rows:
                    row: dict[str, Any] = (
                        file.read_row_group(group, columns=columns).slice(index - start, 1).to_pylist()[0]
                    )
                    return row
                start += num_rows
        raise ShardError(f"{self.path(path)} has {start} rows; another table points at row {index}; run again")

    def column_of(self, path: str, column: str) -> pa.ChunkedArray:
        """One column of the Parquet file ``path`` (relative to the run)."""
        filesystem, inner = storage.resolve(self.path(path))
        return pq.read_table(inner, columns=[column], filesystem=filesystem).column(column)

    def urls_of(self, doc_ids: Sequence[str]) -> dict[str, str]:
        """URL by doc_id, of those that ``signals/`` knows."""
        wanted = pc.field("doc_id").isin(pa.array(doc_ids, pa.string()))
        table = self.rows("signals", ["doc_id", "url"], wanted)
        return dict(zip(table.column("doc_id").to_pylist(), table.column("url").to_pylist(), strict=True))
