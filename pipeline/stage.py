"""Stages: the unit of work that the runner fuses, checks, fingerprints and skips.

A stage is a value. Its ``apply`` is a pure function, either on a batch (a *row stage*: it looks at one row at a
time, so consecutive row stages are fused into one pass over the data) or on a Spark DataFrame (a *frame stage*:
only where rows must meet, as in deduplication). A row stage passes on columns it does not know, so that stages
compose in any order that satisfies their ``input_schema``.

Nothing a stage may produce depends on how its input is cut into batches or partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import BaseModel

from pipeline.errors import SchemaError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BatchFunction = Callable[[pa.RecordBatch], pa.RecordBatch]
FrameFunction = Callable[["DataFrame"], "DataFrame"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the pipeline.

    Args:
        name: the stage's name in the ledger, in ``decisions/`` and on the command line.
        version: raised by hand whenever the stage's output changes for the same input and config; it is part of
            the fingerprint, so results of the older version are not reused.
        config: everything that decides the output. Its whole content is part of the fingerprint.
        input_schema: the columns that ``apply`` reads.
        output_schema: the columns that ``apply`` adds or replaces.
        apply: ``RecordBatch -> RecordBatch`` for a row stage, ``DataFrame -> DataFrame`` for a frame stage.
        is_row_stage: which of the two it is.
    """

    name: str
    version: str
    config: BaseModel
    input_schema: pa.Schema
    output_schema: pa.Schema
    apply: BatchFunction | FrameFunction
    is_row_stage: bool = True

    def identity(self) -> dict[str, Any]:
        """Name, version and config as JSON-ready values: what a fingerprint is made of."""
        return identity(self.name, self.version, self.config)


def identity(name: str, version: str, config: BaseModel) -> dict[str, Any]:
    """Identity of a step that is not a ``Stage`` over a table (training, the report), in the same form."""
    return {"stage": name, "version": version, "config": config.model_dump(mode="json")}


def check_schema(found: pa.Schema, expected: pa.Schema, *, where: str) -> None:
    """Check that ``found`` has every column of ``expected``, with its type; more columns are welcome.

    Raises:
        SchemaError: naming the first column that is absent or of another type.
    """
    for field in expected:
        index = found.get_field_index(field.name)
        if index < 0:
            raise SchemaError(
                f"column {field.name!r} is missing {where}; expected type {field.type}, found columns "
                f"{found.names}; add the stage that produces it before this one"
            )
        if found.field(index).type != field.type:
            raise SchemaError(
                f"column {field.name!r} has type {found.field(index).type} {where}; expected {field.type}; "
                f"cast it where it is produced"
            )


def fuse(stages: Sequence[Stage]) -> BatchFunction:
    """Compose row stages into one function on batches, with each stage's schema checked at both ends.

    Raises:
        SchemaError: when composing, if one of the stages is a frame stage; when called, if a batch lacks what a
            stage reads or a stage does not return what it declares.
    """
    for stage in stages:
        if not stage.is_row_stage:
            raise SchemaError(f"stage {stage.name!r} works on whole DataFrames and cannot be fused; run it on its own")

    def apply_all(batch: pa.RecordBatch) -> pa.RecordBatch:
        for stage in stages:
            check_schema(batch.schema, stage.input_schema, where=f"at the input of stage {stage.name!r}")
            batch = stage.apply(batch)
            check_schema(batch.schema, stage.output_schema, where=f"at the output of stage {stage.name!r}")
        return batch

    return apply_all


def with_columns(batch: pa.RecordBatch, columns: dict[str, pa.Array], *, drop: Sequence[str] = ()) -> pa.RecordBatch:
    """``batch`` with ``columns`` replaced in place or appended in the given order, and ``drop`` left out."""
    arrays = {name: batch.column(i) for i, name in enumerate(batch.schema.names) if name not in drop}
    arrays.update(columns)
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays.keys()))
