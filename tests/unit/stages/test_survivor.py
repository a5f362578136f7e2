"""The survivor order: what the config accepts, and how values, nulls and NaN rank."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from pipeline.config import Config, parse
from pipeline.errors import ConfigError
from stages.survivor import SurvivorOrder, check_scores, order_columns, rank

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class OrderConfig(Config):
    survivor_order: SurvivorOrder


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (["num_bytes", "-num_bytes"], "survivor_order names 'num_bytes' twice"),
        (["-doc_id"], "survivor_order names '-doc_id'; doc_id only breaks ties"),
    ],
)
def test_unusable_orders_are_refused(order: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse({"survivor_order": order}, OrderConfig, where="run.toml")
    assert message in str(refusal.value)


def test_an_order_over_what_nothing_measures_is_refused() -> None:
    check_scores(("-quality", "num_words", "doc_id"), ["quality"], where="[dedup.near]")
    with pytest.raises(ValueError, match=r"\[dedup.lines\] names '-quality'; expected .*, doc_id; correct it$"):
        check_scores(("-quality",), None, where="[dedup.lines]")
    with pytest.raises(ValueError, match=r"\[dedup.near\] names '-size'; expected .*, quality; correct it, or add"):
        check_scores(("-quality", "-size"), ["quality"], where="[dedup.near]")


def test_columns_that_are_read() -> None:
    assert order_columns(("-quality", "num_bad_words")).types == [pa.float32(), pa.int64(), pa.string()]
    assert order_columns(("-num_bytes",)).names == ["num_bytes", "doc_id"]
    assert order_columns(("doc_id", "fetch_time")).names == ["doc_id", "fetch_time"]


@pytest.mark.parametrize(
    ("order", "ranked"),
    [
        ((), "abcdef"),
        (("-num_bytes",), "cbadef"),
        (("num_bytes",), "dabcef"),
        (("fetch_time", "-num_bytes"), "bdaecf"),
        (("-fetch_time", "-num_bytes"), "aebdcf"),
        (("-lang_score", "num_bytes"), "abdcef"),
        (("-quality", "num_bytes"), "debacf"),
        (("doc_id", "-num_bytes"), "abcdef"),
    ],
)
def test_ranking(spark: SparkSession, order: tuple[str, ...], ranked: str) -> None:
    early, late = (datetime.datetime(2020, 1, day, tzinfo=datetime.UTC) for day in (1, 2))
    rows = [
        ("a", 5, 0.9, late, 0.25),
        ("b", 7, 0.9, early, 0.5),
        ("c", 9, float("nan"), None, float("nan")),
        ("d", 4, 0.5, early, 0.75),
        ("e", None, None, late, 0.75),
        ("f", None, None, None, None),
    ]
    schema = "doc_id string, num_bytes long, lang_score double, fetch_time timestamp, quality float"
    documents = spark.createDataFrame(rows, schema)
    found = documents.repartition(3).select("doc_id", rank(order).alias("rank")).orderBy("rank").collect()
    assert "".join(row["doc_id"] for row in found) == ranked
