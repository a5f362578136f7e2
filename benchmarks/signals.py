"""Signals of the four heuristic filters: text per second and core, against datatrove on the same documents.

    python benchmarks/signals.py [FILE.parquet|FILE.jsonl] [--megabytes 20] [--repeats 5] [--no-peer]

Documents come from the column or key ``text`` of FILE, or else are the docstrings of Python and its installed packages.
Ours is one call of ``filters.signals.measure`` on all documents, every signal measured. The peer runs datatrove's
Gopher repetition, Gopher quality, C4 and FineWeb filters one after the other on each document, each on the text as it
is, none skipped after a verdict. Its interpreter is named by ``CHAFFINCH_DATATROVE_PYTHON``; else a virtual environment
is made in the cache folder (``XDG_CACHE_HOME`` or ``~/.cache``), which takes pip and a network. Agreement is the share
of equal keep-or-drop verdicts.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from measure import cpu_seconds, peak_memory_bytes, report

from filters.registry import FiltersConfig, judge
from filters.signals import MeasureConfig, measure

DATATROVE = "datatrove==0.10.1"
PEER_MEGABYTES = 2.0  # datatrove needs a second for each 200 kB
FILTERS = ("gopher_repetition", "gopher_quality", "c4", "fineweb")
MIN_DOCUMENT_CHARS = 200
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

PEER_PROGRAM = """
import json, sys, time
from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
filters = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(), FineWebQualityFilter()]

def judge(filter_, text):
    try:
        return filter_.filter(Document(text=text, id="", metadata={})) is True
    except ZeroDivisionError:
        return False

texts = json.load(open(sys.argv[1], encoding="utf-8"))
[judge(filter_, "warm up the tokenizer") for filter_ in filters]
start = time.process_time()
verdicts = [[judge(filter_, text) for filter_ in filters] for text in texts]
print(json.dumps({"cpu_seconds": time.process_time() - start, "verdicts": verdicts}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--megabytes", type=float, default=20.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true")
    arguments = parser.parse_args()
    texts = take(read_texts(arguments.file), arguments.megabytes)
    column = pa.array(texts, pa.string())
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    seconds = cpu_seconds(lambda: measure(column, MeasureConfig()), arguments.repeats)
    figures: dict[str, Any] = {
        "documents": len(texts),
        "megabytes": round(megabytes, 3),
        "megabytes_per_cpu_second": round(megabytes / seconds, 2),
        "documents_per_cpu_second": round(len(texts) / seconds, 1),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    ratio = None
    if not arguments.no_peer:
        figures |= compare(take(texts, min(PEER_MEGABYTES, arguments.megabytes)))
        ratio = round(figures["megabytes_per_cpu_second"] / figures["datatrove_megabytes_per_cpu_second"], 1)
    for name, value in figures.items():
        print(f"{name}: {value}")
    report("signals", figures, None if arguments.no_peer else DATATROVE, ratio)


def read_texts(path: str | None) -> list[str]:
    """Texts of a Parquet or jsonl file, or Python's own documentation."""
    if path is None:
        return python_documentation()
    if path.endswith(".parquet"):
        return [text for text in pq.read_table(path, columns=["text"])["text"].to_pylist() if text]
    with open(path, encoding="utf-8") as lines:
        return [text for line in lines if (text := json.loads(line)["text"])]


def python_documentation() -> list[str]:
    """The docstrings of each module of the standard library and the installed packages, a text a module, by path.

    Sources are parsed, not imported: nothing runs.
    """
    texts = []
    for folder in (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")):
        for path in sorted(Path(folder).rglob("*.py")):
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"))
            except (SyntaxError, UnicodeDecodeError, ValueError):  # test data of other packages
                continue
            documented = (node for node in ast.walk(tree) if isinstance(node, DOCUMENTED))
            text = "\n\n".join(filter(None, map(ast.get_docstring, documented)))
            if len(text) >= MIN_DOCUMENT_CHARS:
                texts.append(text.encode("utf-8", "replace").decode())
    return texts


def take(texts: list[str], megabytes: float) -> list[str]:
    """The first texts that make up ``megabytes``, over again if there are too few."""
    taken: list[str] = []
    rest = megabytes * 1e6
    while rest > 0:
        for text in texts:
            taken.append(text)
            rest -= len(text.encode())
            if rest <= 0:
                break
    return taken


def compare(texts: list[str]) -> dict[str, Any]:
    """datatrove's speed on ``texts``, and how often its verdicts equal ours."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.json"
        path.write_text(json.dumps(texts), encoding="utf-8")
        done = subprocess.run(
            [peer_python(), "-c", PEER_PROGRAM, str(path)], check=True, stdout=subprocess.PIPE, text=True
        )
    peer = json.loads(done.stdout.splitlines()[-1])
    signals = measure(pa.array(texts, pa.string()), MeasureConfig())
    figures: dict[str, Any] = {
        "datatrove_megabytes_per_cpu_second": round(
            sum(len(text.encode()) for text in texts) / 1e6 / peer["cpu_seconds"], 3
        )
    }
    for i, name in enumerate(FILTERS):
        reasons = judge(signals, FiltersConfig.model_validate({name: {}})).reason.to_pylist()
        agreed = sum(
            (reason is None) == verdicts[i] for reason, verdicts in zip(reasons, peer["verdicts"], strict=True)
        )
        figures[f"{name}_agreement"] = round(agreed / len(texts), 4)
    return figures


def peer_python() -> str:
    """An interpreter that has datatrove."""
    named = os.environ.get("CHAFFINCH_DATATROVE_PYTHON")
    if named:
        return named
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "chaffinch" / "datatrove-venv"
    python = cache / "bin" / "python"
    if not (cache / "installed").exists():
        venv.create(cache, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", DATATROVE, "spacy", "nltk", "orjson"], check=True)
        (cache / "installed").touch()
    return str(python)


if __name__ == "__main__":
    main()
