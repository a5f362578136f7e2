"""``[[input]]``: what a run reads, as its config says it (``pipeline/input_unit.py`` finds the files)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from pipeline.config import Config
from pipeline.path_list import RELEASE_PATTERN, Kind

Format = Literal["warc", "wat", "arc", "jsonl", "parquet", "text"]

ARCHIVE_FORMATS: frozenset[str] = frozenset({"warc", "wat", "arc"})
"""Formats that ``stages/read_warc.py`` reads; ``warc`` includes WET, and files of which nothing is known."""


class TableColumns(Config):
    """Which columns (or JSON keys) of a table hold what.

    Args:
        text: the document's text.
        id: an id that is kept as ``warc_record_id``; null if there is none.
        url: the document's URL; null if there is none.
    """

    text: str = Field(default="text", min_length=1)
    id: str | None = Field(default=None, min_length=1)
    url: str | None = Field(default=None, min_length=1)


class InputConfig(Config):
    """One ``[[input]]`` table: files by name, by a list of paths, or by a release of Common Crawl.

    Args:
        name: the source; part of every record's id. A release's own name if left out.
        domain: the unit of mixing and held-out evaluation; the name if null.
        dump: the dump that its documents are of, for deduplication (``pipeline/dump_plan.py``); the name if null.
        source: ``files``, or ``commoncrawl`` for a release of it.
        paths: paths, globs (``*``, ``?``, ``[…]``, ``**``) or URLs; relative ones count from the folder in which the
            run starts. With a list of paths or a release: how many of its files, or ``all``.
        path_list: path or URL of a text file (plain, ``.gz``, ``.zst``) with one path or URL a line.
        base: where relative lines of the list count from: a folder or URL. The list's folder if null; for a release,
            Common Crawl's own server.
        release: as in ``CC-MAIN-2024-10``.
        kind: which archives of the release: ``warc`` (if null), ``wet`` or ``wat``.
        seed: draws the sample where ``paths`` is a number; ``[run] seed`` if null.
        exclude: globs of files to leave out, matched against the end of the relative path (``*.cdx``, ``old/*``).
        format: ``auto`` goes by the suffix, and by the first bytes where the suffix says nothing.
        columns: for jsonl and Parquet.
        one_document_per: for text: ``file``, or ``line``.
    """

    name: str = Field(min_length=1)
    domain: str | None = Field(default=None, min_length=1)
    dump: str | None = Field(default=None, min_length=1)
    source: Literal["files", "commoncrawl"] = "files"
    paths: tuple[str, ...] | int | Literal["all"]
    path_list: str | None = Field(default=None, min_length=1)
    base: str | None = Field(default=None, min_length=1)
    release: str | None = Field(default=None, pattern=RELEASE_PATTERN)
    kind: Kind | None = None
    seed: int | None = Field(default=None, ge=0)
    exclude: tuple[str, ...] = ()
    format: Literal["auto"] | Format = "auto"
    columns: TableColumns = TableColumns()
    one_document_per: Literal["file", "line"] = "file"

    @property
    def dump_name(self) -> str:
        """The dump that its documents are of."""
        return self.dump or self.name

    @property
    def is_listed(self) -> bool:
        """Whether the files come from a list of paths."""
        return self.source == "commoncrawl" or self.path_list is not None

    @model_validator(mode="before")
    @classmethod
    def _named_by_its_release(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("source") == "commoncrawl" and "release" in values:
            return {"name": values["release"], **values}
        return values

    @model_validator(mode="after")
    def _keys_fit_together(self) -> InputConfig:
        self._check_source()
        if isinstance(self.paths, tuple):
            self._check_named_files(self.paths)
        elif not self.is_listed:
            raise ValueError(
                f"paths = {self.paths!r} without a list to take files from; expected file names, path_list or "
                f'source = "commoncrawl"; add one of them'
            )
        elif isinstance(self.paths, int) and self.paths < 1:
            raise ValueError(f'paths = {self.paths}; expected 1 or more files, or "all"; change the number')
        if self.seed is not None and not isinstance(self.paths, int):
            raise ValueError("seed without a sample to draw; expected both; set paths to a number or remove seed")
        return self

    def _check_source(self) -> None:
        if self.source == "commoncrawl" and self.release is None:
            raise ValueError('source = "commoncrawl" without a release; expected one, as in "CC-MAIN-2024-10"; add it')
        if self.source == "commoncrawl" and self.path_list is not None:
            raise ValueError("path_list beside a release, which has a list; expected one of them; remove the other")
        for key in ("release", "kind"):
            if self.source != "commoncrawl" and getattr(self, key) is not None:
                raise ValueError(f'{key} without source = "commoncrawl"; expected both; add source or remove {key}')

    def _check_named_files(self, paths: tuple[str, ...]) -> None:
        if self.is_listed:
            raise ValueError(
                f"paths = {list(paths)} beside a list of paths; expected how many files of the list to take, or "
                f'"all"; set paths to a number'
            )
        if not paths:
            raise ValueError("paths is empty; expected at least 1 entry; name a file or a glob")
        if self.base is not None:
            raise ValueError("base without a list of paths; expected path_list or a release; add one or remove base")
