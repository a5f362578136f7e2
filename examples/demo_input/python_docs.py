"""Pages of documentation that a Python installation can render of itself: the bulk of the demo.

Four kinds, all in HTML inside the frame of a documentation site, so that extraction has something to remove:

* *modules*: ``pydoc``'s page of a module of the standard library: mostly signatures and code, of which the quality
  filters keep next to nothing;
* *topics*: the language reference that ``help("LOOPING")`` reads;
* *guides*: the prose in the docstrings of one source file, of the standard library or of a large package: most of
  the text that is kept. Packages document the same thing in several places, so there are natural near-duplicates;
* *projects*: the prose in the README that each installed distribution carries in its metadata.

The same installation gives the same pages: values of module data are left out, environment variables are out of sight,
addresses are cut from representations, and nothing is imported that acts when imported.
"""

from __future__ import annotations

import contextlib
import html
import importlib
import importlib.metadata
import os
import pydoc
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from types import ModuleType
from typing import Any

from demo_input.prose import docstrings, paragraphs

# Importing these opens a browser, prints a poem, needs a display, or warns that it is about to be removed.
_ACTS_WHEN_IMPORTED = {"antigravity", "this", "idlelib", "turtle", "turtledemo", "tkinter", "lib2to3", "distutils"}
_MAX_NAMES_PER_MODULE_PAGE = 12  # pydoc takes seconds for the largest modules
_GUIDE_PACKAGES = (
    *("click", "jinja2", "networkx", "numba", "numpy", "pandas", "pyarrow", "pyspark", "scipy/optimize", "scipy/stats"),
    *("sympy/core", "sympy/solvers", "torch/nn", "torch/optim", "torch/utils"),
)
_NO_GUIDE = frozenset(
    ("site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "tkinter", "turtledemo", "encodings")
)
_MIN_GUIDE_CHARS = 1000
_ADDRESS = re.compile(r"(?: |&nbsp;)at(?: |&nbsp;)0x[0-9A-Fa-f]+")

_FRAME = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title} — Python documentation</title></head>
<body>
<div class="navbar"><ul><li><a href="/">Documentation</a></li><li><a href="/modules">Modules</a></li>
<li><a href="/topics">Topics</a></li><li><a href="/projects">Projects</a></li></ul></div>
<main role="main">
<h1>{title}</h1>
{body}
</main>
<div class="sidebar"><h3>Previous page</h3><p><a href="{previous}">{previous}</a></p><h3>This page</h3>
<ul><li><a href="/bugs">Report a bug</a></li><li><a href="/source">Show source</a></li></ul></div>
<footer>Rendered by pydoc. <a href="/copyright">Copyright</a></footer>
</body></html>
"""


@dataclass(frozen=True)
class DocumentationPage:
    """One page: where it would stand on a documentation site, and its HTML."""

    url: str
    html: str


class _ReproducibleHtml(pydoc.HTMLDoc):
    """``pydoc``'s renderer without what differs between machines: file names, and values of module data."""

    def filelink(self, url: str, path: str) -> str:
        return ""

    def getdocloc(self, object: Any, basedir: str = "") -> None:
        return None

    def docother(self, object: Any, name: str | None = None, *_: Any) -> str:
        return f"<dl><dt><strong>{html.escape(name or '')}</strong>: {type(object).__name__}</dt></dl>\n"


def render_documentation() -> list[DocumentationPage]:
    """All pages, in a fixed order."""
    pages = []
    previous = "/"
    with _empty_environment():
        for url, title, body in (*_topics(), *_modules(), *_guides(), *_projects()):
            body = _ADDRESS.sub("", body).replace(sys.executable, "python")
            page = _FRAME.format(title=html.escape(title), body=body, previous=previous)
            pages.append(DocumentationPage(f"https://{url}", page))
            previous = url.partition("/")[2]
    return pages


@contextlib.contextmanager
def _empty_environment() -> Iterator[None]:
    """``os.environ`` is the default of some arguments: its values, secrets among them, would stand on the page."""
    environment = dict(os.environ)
    os.environ.clear()
    try:
        yield
    finally:
        os.environ.update(environment)


Bodies = Iterator[tuple[str, str, str]]
"""URL without its scheme, title, and HTML of the body."""


def _topics() -> Bodies:
    for name in sorted(topics):
        yield f"docs.example.org/topics/{name}", name.title(), _html_paragraphs(paragraphs(topics[name]))


def _modules() -> Bodies:
    renderer = _ReproducibleHtml()
    for name in sorted({name for name in sys.stdlib_module_names if name[0] != "_"} - _ACTS_WHEN_IMPORTED):
        module = _import(name)
        if module is not None and 0 < len(getattr(module, "__all__", ())) <= _MAX_NAMES_PER_MODULE_PAGE:
            yield f"docs.example.org/modules/{name}", name, renderer.docmodule(module)


def _import(name: str) -> ModuleType | None:
    """The module, or ``None`` where this installation does not have it (``winreg`` on Linux, say)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


def _guides() -> Bodies:
    packages = Path(sysconfig.get_path("purelib"))
    folders = {"": Path(sysconfig.get_path("stdlib")), **{f"{name}/": packages / name for name in _GUIDE_PACKAGES}}
    for prefix, folder in folders.items():
        for path in sorted(folder.rglob("*.py")):
            relative = path.relative_to(folder)
            if _NO_GUIDE.isdisjoint(relative.parts):
                source = path.read_text(encoding="utf-8", errors="replace")
                found = [paragraph for docstring in docstrings(source) for paragraph in paragraphs(docstring)]
                name = f"{prefix}{relative.with_suffix('').as_posix()}"
                if sum(map(len, found)) >= _MIN_GUIDE_CHARS:
                    yield f"docs.example.org/guides/{name}", name.replace("/", "."), _html_paragraphs(found)


def _projects() -> Bodies:
    by_name = {found.name.lower(): found for found in importlib.metadata.distributions()}
    for name in sorted(by_name):
        found = list(paragraphs(str(by_name[name].metadata.json.get("description", ""))))
        if found:
            yield f"packages.example.net/projects/{name}", by_name[name].name, _html_paragraphs(found)


def _html_paragraphs(texts: Iterator[str] | list[str]) -> str:
    """Each text once, as a paragraph of its own."""
    return "\n".join(f"<p>{html.escape(text)}</p>" for text in dict.fromkeys(texts))
