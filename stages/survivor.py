"""Which member of a cluster of copies is kept: an order over documents, declared in the config.

The order is a list of columns, the first deciding first, ``-`` in front meaning that the larger value is better:
``["-num_bytes", "fetch_time"]`` keeps the longest copy and, among equally long ones, the earliest. A document without
the value comes after all that have one. ``doc_id`` is always the last tie-break, so the order is total and the choice
independent of partitioning.
"""

from __future__ import annotations

from typing import Annotated

import pyarrow as pa
from pydantic import AfterValidator
from pyspark.sql import Column
from pyspark.sql import functions as F

_COLUMNS = {
    "num_bytes": pa.int64(),
    "num_words": pa.int64(),
    "lang_score": pa.float64(),
    "fetch_time": pa.timestamp("ms", tz="UTC"),
    "doc_id": pa.string(),
}


def _check_order(order: tuple[str, ...]) -> tuple[str, ...]:
    names = [entry.removeprefix("-") for entry in order]
    for entry, name in zip(order, names, strict=True):
        if name not in _COLUMNS:
            raise ValueError(f"survivor_order names {entry!r}; expected columns among {', '.join(_COLUMNS)}; mend it")
        if names.count(name) > 1:
            raise ValueError(f"survivor_order names {name!r} twice; the second never decides; remove it")
    if "-doc_id" in order:
        raise ValueError("survivor_order names '-doc_id'; doc_id only breaks ties, in ascending order; remove the '-'")
    return order


SurvivorOrder = Annotated[tuple[str, ...], AfterValidator(_check_order)]
DEFAULT_ORDER = ("-num_bytes", "fetch_time", "doc_id")


def order_columns(order: SurvivorOrder) -> pa.Schema:
    """The columns that ``rank`` reads, ``doc_id`` among them."""
    names = dict.fromkeys([*(entry.removeprefix("-") for entry in order), "doc_id"])
    return pa.schema([(name, _COLUMNS[name]) for name in names])


def rank(order: SurvivorOrder) -> Column:
    """A struct that is smallest for the best document; its field ``doc_id`` names the document."""
    parts = []
    for entry in order:
        name = entry.removeprefix("-")
        if name == "doc_id":
            break  # unique: nothing after it can decide
        value = F.col(name).cast("double" if name == "lang_score" else "long")
        value = F.nanvl(value, F.lit(None).cast("double")) if name == "lang_score" else value
        parts += [value.isNull().alias(f"no_{name}"), (-value if entry.startswith("-") else value).alias(name)]
    return F.struct(*parts, F.col("doc_id").alias("doc_id"))
