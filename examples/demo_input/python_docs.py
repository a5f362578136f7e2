"""Pages of documentation that a Python installation can render of itself: the bulk of the demo.

Four kinds, all in HTML inside the frame of a documentation site, so that extraction has something to remove:

* *modules*: ``pydoc``'s page of a module with few public names, in the standard library and a few packages: mostly
  signatures and short sentences, of which the quality filters keep few;
* *topics*: the language reference that ``help("LOOPING")`` reads, real prose;
* *objects*: one page per class and function with a docstring of some length;
* *projects*: the README in the metadata of each installed distribution.

The same installation gives the same pages: values of module data (paths, environment variables) are left out,
addresses are cut from representations, and nothing is imported that acts when imported. Pages of different modules
share objects that are re-exported under several names, which gives deduplication honest work.
"""

from __future__ import annotations

import html
import importlib
import importlib.metadata
import inspect
import pkgutil
import pydoc
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pydoc_data.topics import topics

# Importing these opens a browser, prints a poem, needs a display, or warns that it is about to be removed.
_ACTS_WHEN_IMPORTED = {"antigravity", "this", "idlelib", "turtle", "turtledemo", "tkinter", "lib2to3", "distutils"}
_STANDARD_PACKAGES = (
    "asyncio concurrent.futures email html http importlib json logging multiprocessing unittest urllib wsgiref xml.sax"
).split()
_INSTALLED_PACKAGES = "click jinja2 numpy numpy.fft numpy.linalg pyarrow".split()
_MIN_DOCSTRING_CHARS = 600
_MAX_NAMES_PER_MODULE_PAGE = 30  # pydoc takes seconds for the largest modules, and little of their pages is prose
_ADDRESS = re.compile(r" at (?:remote )?0x[0-9A-Fa-f]+")

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


def render_documentation() -> Iterator[DocumentationPage]:
    """All pages, in a fixed order."""
    previous = "/"
    for url, title, body in _bodies():
        page = _FRAME.format(title=html.escape(title), body=_ADDRESS.sub("", body), previous=previous)
        yield DocumentationPage(f"https://{url}", page)
        previous = url.partition("/")[2]


def _bodies() -> Iterator[tuple[str, str, str]]:
    """URL without scheme, title and body of each page."""
    for name in sorted(topics):
        yield f"docs.example.org/topics/{name}", name.title(), _paragraphs(topics[name])
    renderer = _ReproducibleHtml()
    seen: set[str] = set()
    for module in _modules():
        if 0 < len(getattr(module, "__all__", ())) <= _MAX_NAMES_PER_MODULE_PAGE:
            yield f"docs.example.org/modules/{module.__name__}", module.__name__, renderer.docmodule(module)
        for name, obj in _documented_objects(module):
            if name not in seen:
                seen.add(name)
                yield f"docs.example.org/objects/{name}", name, _object_body(name, obj)
    for distribution in sorted(importlib.metadata.distributions(), key=lambda found: found.name.lower()):
        readme = distribution.metadata.get_payload()
        name = distribution.name.lower()
        if isinstance(readme, str) and readme.strip() and name not in seen:
            seen.add(name)
            yield f"packages.example.net/projects/{name}", distribution.name, _paragraphs(readme)


def _modules() -> Iterator[ModuleType]:
    """Importable modules by name: the standard library's, those in its packages, and a few installed ones."""
    names = {name for name in sys.stdlib_module_names if not name.startswith("_")} - _ACTS_WHEN_IMPORTED
    for package in _STANDARD_PACKAGES:
        module = _import(package)
        names.update(f"{package}.{info.name}" for info in pkgutil.iter_modules(module.__path__) if module)
    for name in sorted(names | set(_INSTALLED_PACKAGES)):
        if name.rpartition(".")[2] != "__main__":
            module = _import(name)
            if module is not None:
                yield module


def _import(name: str) -> ModuleType | None:
    """The module, or ``None`` where this installation does not have it (``winreg`` on Linux, say)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


def _documented_objects(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Public classes and functions of ``module``, and their methods, whose docstring is worth a page."""
    for name, obj in sorted(vars(module).items()):
        if name.startswith("_") or not (inspect.isclass(obj) or callable(obj)):
            continue
        candidates = [(f"{module.__name__}.{name}", obj)]
        if inspect.isclass(obj) and obj.__module__.partition(".")[0] == module.__name__.partition(".")[0]:
            methods = sorted(vars(obj).items())
            candidates += [(f"{module.__name__}.{name}.{key}", value) for key, value in methods if key[0] != "_"]
        for qualified_name, candidate in candidates:
            if len(_docstring(candidate)) >= _MIN_DOCSTRING_CHARS:
                yield qualified_name, candidate


def _docstring(obj: Any) -> str:
    docstring = getattr(obj, "__doc__", None)
    return inspect.cleandoc(docstring) if isinstance(docstring, str) else ""


def _object_body(name: str, obj: Any) -> str:
    try:
        signature = str(inspect.signature(obj))
    except (ValueError, TypeError):
        signature = "(...)"
    return f"<pre>{html.escape(name + signature)}</pre>\n{_paragraphs(_docstring(obj))}"


def _paragraphs(text: str) -> str:
    """Plain text as HTML: a paragraph per block, blocks with an indented line or ``>>>`` as they stand."""
    blocks = re.split(r"\n\s*\n", text.strip("\n"))
    rendered = []
    for block in blocks:
        element = "pre" if re.search(r"^(?: {2,}|\t|>>>|```)", block, re.MULTILINE) else "p"
        rendered.append(f"<{element}>{html.escape(block)}</{element}>")
    return "\n".join(rendered)
