"""Documents for benchmarks: those of a file, or Python's own documentation."""

from __future__ import annotations

import argparse
import ast
import json
import sysconfig
from pathlib import Path

import pyarrow.parquet as pq

MIN_DOCUMENT_CHARS = 200
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def parse_arguments(description: str | None) -> argparse.Namespace:
    """What benchmarks on documents are asked: ``file``, ``megabytes``, ``repeats``, ``no_peer``."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--megabytes", type=float, default=20.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true")
    return parser.parse_args()


def num_megabytes(texts: list[str]) -> float:
    """UTF-8 bytes, in millions."""
    return sum(len(text.encode()) for text in texts) / 1e6


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
