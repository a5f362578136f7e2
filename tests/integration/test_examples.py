"""The shipped configs as a user runs them: the demo with its fates, and the archives of ../shared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARCHIVES = ROOT.parent / "shared" / "data" / "warc"


@pytest.mark.slow
def test_the_demo_gives_every_page_of_the_site_its_right_fate(demo, run_chaffinch, tmp_path):
    text = (ROOT / "examples/demo.toml").read_text(encoding="utf-8").replace("runs/demo-input", str(demo.input_folder))
    config = tmp_path / "demo.toml"
    config.write_text(text, encoding="utf-8")
    run_chaffinch("run", str(config), "--output", str(tmp_path / "run"), "--until", "ledger")
    check = [sys.executable, str(ROOT / "examples/check_fates.py"), str(tmp_path / "run")]
    result = subprocess.run(check, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "108 of 108 pages" in result.stdout


@pytest.mark.slow
@pytest.mark.skipif(not ARCHIVES.is_dir(), reason="../shared/data/warc is absent")
def test_no_real_archive_stops_a_run_and_nothing_of_it_is_lost(run_chaffinch, tmp_path):
    run_chaffinch("run", "examples/archives.toml", "--output", str(tmp_path / "run"), "--until", "ledger")
    ledger = json.loads((tmp_path / "run/ledger.json").read_text(encoding="utf-8"))
    assert ledger["num_records"] == ledger["num_pages"] + ledger["num_quarantined"] + sum(ledger["non_pages"].values())
    broken = {archive["warc_file"] for archive in ledger["archives"] if archive["num_quarantined"]}
    assert {"resiliparse/clipped.warc.gz", "warcio/bad.arc", "warcio/example-trunc.warc"} <= broken
