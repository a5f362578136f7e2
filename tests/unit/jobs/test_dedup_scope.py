"""``[dedup]`` scope, order of dumps, priority of sources, store: what is refused, and what they resolve to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.config import RunConfig
from jobs.dedup_scope import plan_of, resolve_scope, signature_facts
from pipeline.config import parse
from pipeline.errors import ConfigError
from stages.minhash_signatures import MinHashConfig

INPUTS = [
    {"name": "web-1", "paths": ["web-1"], "dump": "spring"},
    {"name": "wikipedia", "paths": ["wikipedia"], "dump": "spring"},
    {"name": "winter", "paths": ["winter"]},
]


def config_of(**dedup: Any) -> RunConfig:
    return parse({"run": {"output": "out"}, "input": INPUTS, "dedup": dedup}, RunConfig, where="run.toml")


@pytest.mark.parametrize(
    ("dedup", "message"),
    [
        ({"scope": "window"}, 'scope = "window" with no window_dumps; expected window_dumps with scope = "window"'),
        ({"scope": "dump", "window_dumps": 3}, 'scope = "dump" with window_dumps = 3; expected'),
        ({"scope": "window", "window_dumps": 1}, "window_dumps = 1 (run.toml [dedup]); expected greater than or equal"),
        ({"scope": "window", "window_dumps": 2}, "nothing says which is older; expected dump_order"),
        ({"scope": "crawl"}, "scope = 'crawl' (run.toml [dedup]); expected 'global', 'dump' or 'window'"),
        ({"dump_order": ["winter"]}, "the [[input]] tables are of the dumps ['spring', 'winter']; expected each"),
        ({"dump_order": ["winter", "web-1", "wikipedia"]}, "expected each of these once, the oldest first"),
        ({"source_priority": ["wikipedia", "web"]}, "source_priority [dedup] names 'web', which is no [[input]]"),
        ({"source_priority": ["winter", "winter"]}, "names a source twice; expected each once; remove the second"),
        ({"store": {"path": "store", "name": "a/b"}}, "name = 'a/b' (run.toml [dedup.store]); expected a string that"),
        ({"store": {"path": "s", "name": "a", "read": False, "write": False}}, "read and write are both false"),
    ],
)
def test_what_is_refused(dedup: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        config_of(**dedup)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("dedup", "pools"),
    [
        ({}, ()),
        ({"scope": "dump"}, ("spring", "winter")),
        ({"dump_order": ["winter", "spring"]}, ("winter", "spring")),
        ({"dump_order": ["winter", "spring"], "scope": "window", "window_dumps": 2}, ("winter", "spring")),
    ],
)
def test_pools(dedup: dict[str, Any], pools: tuple[str, ...]) -> None:
    plan = plan_of(config_of(**dedup))
    assert plan.pools == pools
    assert plan.of_source == {"web-1": "spring", "wikipedia": "spring", "winter": "winter"}


@pytest.mark.parametrize(
    ("dedup", "kept"),
    [
        ({}, ["u", "v", "w"]),
        ({"scope": "dump"}, ["v"]),
        ({"scope": "window", "window_dumps": 2, "dump_order": ["winter", "spring"]}, ["u", "v", "w"]),
        ({"scope": "window", "window_dumps": 3, "dump_order": ["winter", "spring"]}, ["u", "v", "w"]),
    ],
)
def test_only_entries_in_scope_are_in_the_plan(dedup: dict[str, Any], kept: list[str]) -> None:
    older = [("u", "autumn"), ("v", "spring"), ("w", "summer")]
    assert [entry for entry, _ in plan_of(config_of(**dedup), older).older] == kept


def test_a_plain_run_has_the_fingerprint_of_its_stages_alone() -> None:
    assert resolve_scope(config_of(exact={})).identities == ()
    assert resolve_scope(config_of(exact={}, scope="dump")).identities != ()
    assert resolve_scope(config_of(exact={}, source_priority=["wikipedia", "web-1"])).identities != ()


def test_source_priority_stands_before_the_survivor_order() -> None:
    scoped = resolve_scope(
        config_of(exact={}, near={"survivor_order": ["fetch_time"]}, source_priority=["winter", "web-1"])
    )
    assert scoped.dedup.exact is not None and scoped.dedup.near is not None
    assert scoped.dedup.exact.survivor_order[0] == "source_priority"
    assert scoped.dedup.near.survivor_order == ("source_priority", "fetch_time")
    assert scoped.survivor_columns == ("num_bytes", "fetch_time"), "what an entry of a store must have"


def test_a_store_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    scoped = resolve_scope(config_of(exact={}, store={"path": str(tmp_path / "new"), "name": "first"}))
    assert scoped.older == () and not scoped.plan.looks_back


def test_signatures_are_compared_by_what_they_are_not_by_how_they_are_asked_for() -> None:
    assert signature_facts(MinHashConfig()) == signature_facts(MinHashConfig(preset="fineweb"))
    assert signature_facts(MinHashConfig()) == signature_facts(
        MinHashConfig(num_perm=112, num_bands=14, shingle_words=5)
    )
    assert signature_facts(MinHashConfig()) != signature_facts(MinHashConfig(seed=2))
