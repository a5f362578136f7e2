"""Which dumps are compared: scope, order, and dumps that come in several runs."""

from __future__ import annotations

import pytest

from pipeline.dump_plan import DumpPlan, check_order

RUN = {"a-web": "a", "a-wiki": "a", "b": "b", "c": "c"}
STORE = (("run-1", "x"), ("run-2", "y"), ("run-2", "z"))


@pytest.mark.parametrize(
    ("scope", "window_dumps", "reached"),
    [
        ("global", None, {"x", "y", "z", "a", "b", "c"}),
        ("dump", None, {"c"}),
        ("window", 2, {"b", "c"}),
        ("window", 4, {"z", "a", "b", "c"}),
    ],
)
def test_how_far_the_newest_dump_looks_back(scope: str, window_dumps: int | None, reached: set[str]) -> None:
    plan = DumpPlan(
        scope=scope, window_dumps=window_dumps, pools=("a", "b", "c"), of_source=RUN, older=STORE
    )  # the order of time: x, y, z, a, b, c
    assert {dump for dump in plan.dump_indices if plan.reaches("c", dump)} == reached


def test_a_window_does_not_reach_later_dumps() -> None:
    plan = DumpPlan(scope="window", window_dumps=2, pools=("y",), of_source={"y-2": "y"}, older=STORE)
    assert [dump for _, dump in STORE if plan.reaches("y", dump)] == ["x", "y"]


def test_ages_go_on_after_those_of_the_store() -> None:
    plan = DumpPlan(pools=("a", "b", "c"), of_source=RUN, older=STORE)
    assert plan.ages == {"a": 3, "b": 4, "c": 5}
    assert plan.dump_indices == {"x": 0, "y": 1, "z": 2, "a": 3, "b": 4, "c": 5}
    pooled = DumpPlan(of_source=RUN, older=STORE)
    assert (pooled.age_of_pool, pooled.num_pools, pooled.dump_indices["c"]) == (3, 4, 5)


@pytest.mark.parametrize(
    ("settings", "looks_back"),
    [
        ({"of_source": RUN}, False),
        ({"of_source": RUN, "pools": ("a", "b", "c")}, True),
        ({"of_source": RUN, "pools": ("a", "b", "c"), "scope": "dump"}, False),
        ({"of_source": {"a": "a"}, "pools": ("a",), "scope": "window", "window_dumps": 3}, False),
        ({"of_source": RUN, "older": STORE}, True),
    ],
)
def test_whether_there_is_anything_older(settings: dict[str, object], looks_back: bool) -> None:
    assert DumpPlan(**settings).looks_back is looks_back


@pytest.mark.parametrize("order", [("a", "b"), ("a", "b", "c", "c"), ("a", "b", "d")])
def test_an_order_names_each_dump_once(order: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected each of these once, the oldest first"):
        check_order(order, ["a", "b", "c"])
    check_order(("c", "a", "b"), ["a", "b", "c"])
