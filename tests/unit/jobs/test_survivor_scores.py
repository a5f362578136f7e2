"""Scores of quality models in a survivor order: refused unless measured, and carried by the verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.between import VERDICT, verdict_schema
from jobs.config import RunConfig
from jobs.passes import decide_unit
from jobs.steps_extract import decide_step
from pipeline.config import parse
from pipeline.errors import ConfigError
from pipeline.schema import ENDED
from pipeline.unit_of_work import Output, Unit, process_unit
from stages import decide

MODEL = {"name": "edu", "path": "edu.bin", "sha256": "0" * 64}


def config_of(dedup: dict[str, Any], *models: dict[str, str]) -> RunConfig:
    tables = {"run": {"output": "out"}, "input": [{"name": "web", "paths": ["web.warc"]}], "dedup": dedup}
    return parse({**tables, "quality": {"models": list(models)}}, RunConfig, where="run.toml")


@pytest.mark.parametrize("kind", ["exact", "near"])
def test_a_score_must_be_measured(kind: str) -> None:
    dedup = {kind: {"survivor_order": ["-quality_edu", "fetch_time"]}}
    assert config_of(dedup, MODEL).dedup.survivor_orders == {kind: ("-quality_edu", "fetch_time")}
    with pytest.raises(ConfigError, match=rf"survivor_order \[dedup.{kind}\] names '-quality_edu'; expected columns"):
        config_of(dedup)


@pytest.mark.parametrize("kind", ["lines", "substrings"])
def test_lines_and_passages_know_no_scores(kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[dedup.{kind}\] names '-quality_edu'; .* doc_id; correct it"):
        config_of({kind: {"survivor_order": ["-quality_edu"]}}, MODEL)


def test_verdicts_are_made_again_when_they_must_carry_another_score() -> None:
    plain, scored = (config_of({"near": {"survivor_order": [name]}}, MODEL) for name in ("num_bytes", "-quality_edu"))
    assert decide_step(plain).identities == decide_step(config_of({})).identities
    assert decide_step(plain).identities != decide_step(scored).identities


def test_verdicts_carry_the_scores_of_the_orders(tmp_path: Path) -> None:
    schema = verdict_schema(("-quality_edu", "num_bytes"), ("fetch_time", "-quality_edu"))
    assert schema.names == [*VERDICT.names, "quality_edu"]
    assert verdict_schema(("num_bytes",)) == VERDICT
    row = {"doc_id": "a", "quality_edu": 0.5, "num_words": 3, "row_index": 0}
    signals = pa.Table.from_pylist([row], schema)
    for name in ("signals", "verdicts"):
        (tmp_path / name).mkdir()
    pq.write_table(signals, tmp_path / "signals" / "part-web.parquet")
    columns = tuple(dict.fromkeys([*schema.names, *ENDED.names]))
    stage = decide.make_stage(config_of({}).filters)
    result = process_unit(
        Unit(name="web", weight=1, spec="web"),
        process=decide_unit(str(tmp_path / "signals"), stage, columns),
        outputs={"verdicts": Output(folder=str(tmp_path / "verdicts"), schema=schema)},
    )
    written = pq.read_table(tmp_path / "verdicts" / result.files[0].temporary_path)
    assert written.column("quality_edu").to_pylist() == [0.5]
