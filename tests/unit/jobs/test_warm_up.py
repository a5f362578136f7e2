"""After the warm-up a unit loads nothing more, so its children have all kernels from the worker that forks them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa

from jobs.warm_up import warm_up
from pipeline.config import Config
from pipeline.stage import Stage

_ROOT = Path(__file__).resolve().parents[3]

# In a process of its own: in this one other tests have loaded kernels.
_KERNELS_LOADED = """
import sys
from collections import Counter

from numba.core.dispatcher import Dispatcher

from jobs.warm_up import warm_up
from pipeline.input_unit import InputUnit
from pipeline.read_config import ReadConfig
from stages import read_warc


def loaded():
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("pipeline.kernels.")]
    kernels = {f"{m.__name__}.{n}": v for m in modules for n, v in vars(m).items() if isinstance(v, Dispatcher)}
    return {name for name, kernel in kernels.items() if kernel.signatures}


before = loaded()
warm_up(())
by_warm_up = loaded()
unit = InputUnit(
    unit="u", source="s", domain="d", location=sys.argv[1], warc_file="f", format="warc", size_bytes=1
)
rows = sum(batch.num_rows for batch in read_warc.read(unit, ReadConfig(), Counter()))
print(len(before), len(by_warm_up) > 0, sorted(loaded() - by_warm_up), rows)
"""


class NoConfig(Config):
    """Of a stage that is told nothing."""


def test_reader_loads_no_kernel_after_the_warm_up(tmp_path):
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Ein Satz.</p>"
    head = "WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: http://birds.example/\r\n"
    head += f"WARC-Date: 2024-01-01T00:00:00Z\r\nContent-Type: application/http\r\nContent-Length: {len(block)}\r\n\r\n"
    archive = tmp_path / "a.warc"
    archive.write_bytes(head.encode() + block + b"\r\n\r\n")
    command = [sys.executable, "-c", _KERNELS_LOADED, str(archive)]
    found = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "0 True [] 1\n"


def test_stages_see_one_html_page_once_per_configuration():
    seen = []

    def apply(batch: pa.RecordBatch) -> pa.RecordBatch:
        seen.append(batch)
        return batch

    nothing = pa.schema([])
    stage = Stage(
        name="seen", version="warm-up test", config=NoConfig(), input_schema=nothing, output_schema=nothing, apply=apply
    )
    warm_up((stage,))
    warm_up((stage,))
    (batch,) = seen
    (row,) = batch.to_pylist()
    assert b"caf\xe9" in row["payload"]
    found = Counter(row[name] for name in ("url", "http_status", "content_type", "ended_reason", "error_class"))
    assert found == Counter(["http://swifts.example/", 200, "text/html", None, None])
