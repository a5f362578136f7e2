"""The demo's site through pass 1 and the rules: language, lengths, signals and verdict of every page, as recorded.

A change here is a change in behaviour: look at it, then write the file again with
``CHAFFINCH_UPDATE_GOLDEN=1 python -m pytest tests/golden`` and say so in CHANGELOG.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from jobs.config import load_run_config
from jobs.steps_extract import row_stages
from pipeline.input_unit import InputConfig, list_units
from pipeline.stage import fuse
from stages import decide, read_warc

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("site_verdicts.json")
FACTS = ("lang", "num_bytes", "num_chars", "charset", "num_words", "num_sentences", "duplicated_5gram_char_fraction")
ENDED = ("ended_stage", "ended_reason", "ended_value", "ended_threshold")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, str(ROOT / "examples/make_demo_input.py"), str(folder)], check=True, cwd=ROOT)
    config = load_run_config(ROOT / "examples/demo.toml")
    apply = fuse([*row_stages(config), decide.make_stage(config.filters)])
    (unit,) = list_units([InputConfig(name="site", paths=(str(folder / "site.warc.gz"),))], str(folder))
    pages = [
        row
        for batch in read_warc.read(unit, config.read, Counter())
        for row in apply(batch).drop_columns(["bands", "signature", "text_hash"]).to_pylist()
    ]
    facts = {}
    for page in pages:  # not by offset: that depends on how a zlib compresses
        values = {name: page[name] for name in (*FACTS, *ENDED)}
        rounded = {name: round(value, 9) if isinstance(value, float) else value for name, value in values.items()}
        facts[f"{page['url']} {page['record_type']} {page['warc_record_id']}"] = rounded
    return facts


def test_every_page_is_judged_as_recorded(found):
    if os.environ.get("CHAFFINCH_UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert found.keys() == expected.keys()
    assert {url: facts for url, facts in found.items() if facts != expected[url]} == {}
