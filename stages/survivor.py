"""Which member of a cluster of copies is kept: an order over documents, declared in the config.

The order is a list of columns, the first deciding first, ``-`` in front meaning that the larger value is better:
``["-num_bytes", "fetch_time"]`` keeps the longest copy and, among equally long ones, the earliest. A document without
the value comes after all that have one. Beside a document's own facts, scores of models of ``[quality]`` may stand in
it where whole documents are compared: ``["-quality_edu", "-num_bytes"]``. ``doc_id`` is always the last tie-break, so
the order is total and the choice independent of partitioning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import pyarrow as pa
from pydantic import AfterValidator
from pyspark.sql import Column
from pyspark.sql import functions as F

from pipeline.schema import score_type

_COLUMNS = {
    "num_bytes": pa.int64(),
    "num_words": pa.int64(),
    "lang_score": pa.float64(),
    "fetch_time": pa.timestamp("ms", tz="UTC"),
    "doc_id": pa.string(),
}
_BEFORE_THEM = {"source_priority": pa.int64()}  # no name for a config: ``[dedup] source_priority`` puts it in front


def _check_order(order: tuple[str, ...]) -> tuple[str, ...]:
    names = [entry.removeprefix("-") for entry in order]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"survivor_order names {name!r} twice; the second never decides; remove it")
    if "-doc_id" in order:
        raise ValueError("survivor_order names '-doc_id'; doc_id only breaks ties, in ascending order; remove the '-'")
    return order


SurvivorOrder = Annotated[tuple[str, ...], AfterValidator(_check_order)]
DEFAULT_ORDER = ("-num_bytes", "fetch_time", "doc_id")


def check_scores(order: SurvivorOrder, scores: Sequence[str] | None, *, where: str) -> None:
    """Whether all columns of an order are measured.

    Args:
        scores: the columns that the models of ``[quality]`` fill; None where an order may name none of them.
        where: the table that the order is of.

    Raises:
        ValueError: naming the first that is not.
    """
    for entry in order:
        if entry.removeprefix("-") not in (*_COLUMNS, *(scores or ())):
            known = ", ".join([*_COLUMNS, *(scores or ())])
            mend = "correct it" if scores is None else "correct it, or add a model of [quality] that gives it"
            raise ValueError(f"survivor_order {where} names {entry!r}; expected columns among {known}; {mend}")


def order_columns(order: SurvivorOrder) -> pa.Schema:
    """The columns that ``rank`` reads, ``doc_id`` among them."""
    names = dict.fromkeys([*(entry.removeprefix("-") for entry in order), "doc_id"])
    types = _COLUMNS | _BEFORE_THEM
    return pa.schema([(name, types.get(name) or score_type(name)) for name in names])


def with_source_priority(order: SurvivorOrder) -> SurvivorOrder:
    """``order`` after the place of a document's source in a list of them, smaller places first."""
    return ("source_priority", *order)


def rank(order: SurvivorOrder) -> Column:
    """A struct that is smallest for the best document; its field ``doc_id`` names the document."""
    parts = []
    for entry in order:
        name = entry.removeprefix("-")
        if name == "doc_id":
            break  # unique: nothing after it can decide
        is_real = pa.types.is_floating(order_columns((entry,)).field(name).type)
        value = F.col(name).cast("double" if is_real else "long")
        value = F.nanvl(value, F.lit(None).cast("double")) if is_real else value
        parts += [value.isNull().alias(f"no_{name}"), (-value if entry.startswith("-") else value).alias(name)]
    return F.struct(*parts, F.col("doc_id").alias("doc_id"))
