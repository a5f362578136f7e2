"""A run folder as it is when documents are deduplicated and nothing is cut yet: for the steps that work on texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jobs.config import RunConfig
from jobs.run_context import RunContext
from jobs.steps_text_dedup import SURVIVOR, SURVIVORS
from pipeline.input_unit import InputUnit
from pipeline.manifest import commit
from pipeline.part_writer import PartWriter, commit_files
from pipeline.schema import DOCUMENT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def make_survivors(
    folder: Path,
    documents: Sequence[dict[str, Any]],
    num_units: int,
    settings: dict[str, Any],
    spark: SparkSession,
) -> RunContext:
    """Write ``documents/`` and ``survivors/``, and plan a run that goes on from there.

    Args:
        folder: of the run.
        documents: columns of ``DOCUMENT`` and ``SURVIVOR``, other than ids and places; number i has i as its id and
            is in unit i % ``num_units``.
        num_units: units of the input.
        settings: tables of the run's config, beside ``run`` and ``input``.
        spark: the session in which steps run.
    """
    config = RunConfig.model_validate(
        {
            "run": {"output": str(folder), "units_per_group": 2},
            "input": [{"name": "a", "paths": ["a.jsonl"]}],
            **settings,
        }
    )
    facts = {"source": "a", "domain": "a", "format": "jsonl", "size_bytes": 1}
    units = [InputUnit(unit=f"u{i}", location=f"u{i}", warc_file=f"u{i}", **facts) for i in range(num_units)]
    context = RunContext(config=config, output=str(folder), files=units, units=units, inputs_fingerprint="0" * 32)
    for name, schema in (("documents", DOCUMENT), (SURVIVORS, SURVIVOR)):
        written = []
        for number, unit in enumerate(units):
            rows = [
                {"doc_id": f"{i:032x}", "unit": unit.unit, "row_index": i // num_units, **documents[i]}
                for i in range(number, len(documents), num_units)
            ]
            writer = PartWriter(context.folder(name), f"part-{unit.unit}.parquet", schema)
            writer.write(pa.RecordBatch.from_pylist(rows, schema=schema))
            written.append(writer.close())
        commit_files(written)
        commit(context.folder(name), name=name, identities=(), upstream={}, files=[file.entry() for file in written])
    context._spark = spark
    return context
