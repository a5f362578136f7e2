"""The hand-written site of ``examples/site/``, read from its sources and encoded as a crawler would have met it.

A page is a UTF-8 file: TOML between two lines of ``+++``, then HTML. With ``template`` the HTML is the article, and
the template of that name puts navigation, cookie banner, sidebar and footer around it, in the words that
``labels.toml`` has for the page's language; without one, the HTML is the whole page. ``pages.toml`` describes what has
no file: copies of articles, answers that are no articles, other records, and which pages go into the archive that is
damaged on purpose.

The front matter says how the page is encoded (``charset``) and what the server and the page claim (``header_charset``,
``meta_charset``; by default the truth, empty for no claim). The sign ``␀`` in a source becomes a NUL byte.
"""

from __future__ import annotations

import dataclasses
import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from demo_input.warc import WarcRecord, archive_members, http_response

SITE_ARCHIVE = "site.warc.gz"
BROKEN_ARCHIVE = "site-broken.warc.gz"
_RIGHT_TO_LEFT = {"ar"}


@dataclass(frozen=True, kw_only=True)
class SitePage:
    """One page of the site; the fields are the keys of its front matter, and ``body``.

    Args:
        url: where it was fetched.
        body: HTML of the article, or the whole page where ``template`` is empty.
        lang: language of the template's words.
        title: heading and ``<title>``.
        template: file in ``templates/`` without its suffix.
        charset: Python codec that the bytes are in; characters that it lacks become numeric references.
        header_charset: what the Content-Type field claims; ``None`` is ``charset``, ``""`` nothing.
        meta_charset: what the ``<meta>`` element claims, likewise.
        status: HTTP status code.
        content_type: media type.
        headers: further HTTP header fields.
    """

    url: str
    body: str
    lang: str = "en"
    title: str = ""
    template: str = ""
    charset: str = "utf-8"
    header_charset: str | None = None
    meta_charset: str | None = None
    status: int = 200
    content_type: str = "text/html"
    headers: dict[str, str] = field(default_factory=dict)


class Site:
    """The sources below ``root``, parsed."""

    def __init__(self, root: Path) -> None:
        self._labels = tomllib.loads((root / "labels.toml").read_text(encoding="utf-8"))
        self._templates = {path.stem: Template(path.read_text("utf-8")) for path in root.glob("templates/*.html")}
        self._special = tomllib.loads((root / "pages.toml").read_text(encoding="utf-8"))
        sources = sorted((*root.glob("*/*.html"), *root.glob("*/*.txt")))
        self._files = {
            path.relative_to(root).as_posix(): _read_page(path) for path in sources if path.parent.name != "templates"
        }

    def pages(self) -> list[SitePage]:
        """Pages of ``SITE_ARCHIVE``: the files in order of their paths, then the copies and answers of pages.toml."""
        elsewhere = {entry["of"] for entry in self._special["broken"]}
        return [
            *(page for path, page in self._files.items() if path not in elsewhere),
            *(self._copy(**entry) for entry in self._special["copy"]),
            *(SitePage(**entry) for entry in self._special["page"]),
        ]

    def other_records(self) -> list[WarcRecord]:
        """What a crawler writes beside responses, from pages.toml."""
        return [
            WarcRecord(
                type=entry["type"],
                url=entry["url"],
                content_type=entry["content_type"],
                block=entry["body"].encode(),
                headers=entry.get("headers", {}),
            )
            for entry in self._special["record"]
        ]

    def broken_pages(self) -> list[tuple[SitePage, str]]:
        """Pages of ``BROKEN_ARCHIVE`` in order, each with the damage done to it, empty for none."""
        return [(self._files[entry["of"]], entry["damage"]) for entry in self._special["broken"]]

    def archive(self) -> bytes:
        """``SITE_ARCHIVE``."""
        records = [*(self._response(page) for page in self.pages()), *self.other_records()]
        return b"".join(archive_members(SITE_ARCHIVE, records))

    def broken_archive(self) -> bytes:
        """``BROKEN_ARCHIVE``: its pages as gzip members, some of them damaged."""
        pages = self.broken_pages()
        about, *members = archive_members(BROKEN_ARCHIVE, [self._response(page) for page, _ in pages])
        return about + b"".join(_damaged(member, damage) for member, (_, damage) in zip(members, pages, strict=True))

    def _copy(self, of: str, url: str, template: str = "", replace: Iterable[tuple[str, str]] = ()) -> SitePage:
        original = self._files[of]
        body = original.body
        for old, new in replace:
            if old not in body:
                raise ValueError(f"{old!r} is not in {of} (pages.toml, copy {url}); mend the replacement")
            body = body.replace(old, new)
        return dataclasses.replace(original, url=url, body=body, template=template or original.template)

    def _response(self, page: SitePage) -> WarcRecord:
        charset = page.charset if page.header_charset is None else page.header_charset
        is_text = page.content_type.startswith("text/")
        content_type = f"{page.content_type}; charset={charset}" if charset and is_text else page.content_type
        block = http_response(self._encode(page), content_type=content_type, status=page.status, headers=page.headers)
        return WarcRecord(type="response", url=page.url, content_type="application/http; msgtype=response", block=block)

    def _encode(self, page: SitePage) -> bytes:
        text = page.body
        if page.template:
            charset = page.charset if page.meta_charset is None else page.meta_charset
            words = {
                "title": page.title,
                "body": page.body,
                "url": page.url,
                "lang": page.lang,
                "dir": "rtl" if page.lang in _RIGHT_TO_LEFT else "ltr",
                "meta_charset": f'<meta charset="{charset}">' if charset else "",
            }
            text = self._templates[page.template].substitute(self._labels[page.lang], **words)
        return text.replace("␀", "\0").encode(page.charset, "xmlcharrefreplace")


def _read_page(path: Path) -> SitePage:
    opening, front_matter, body = path.read_text(encoding="utf-8").split("+++\n", maxsplit=2)
    if opening:
        raise ValueError(f"{path} starts with {opening[:20]!r}; expected a line of '+++' and TOML after it")
    fields: dict[str, Any] = {"lang": path.parent.name, **tomllib.loads(front_matter)}
    return SitePage(body=body, **fields)


def _damaged(member: bytes, damage: str) -> bytes:
    match damage:
        case "":
            return member
        case "cut":  # the second half is missing, as after a full disk
            return member[: len(member) // 2]
        case "corrupt":  # one block of the member is overwritten, as by a bad sector
            middle = len(member) // 2
            return member[:middle] + _garbage(64) + member[middle + 64 :]
        case "garbage_before":  # the page is whole, but something that is no member stands before it
            return _garbage(400) + member
        case _:
            raise ValueError(f"damage = {damage!r} (pages.toml); expected cut, corrupt, garbage_before or empty")


def _garbage(num_bytes: int) -> bytes:
    return hashlib.shake_128(b"garbage").digest(num_bytes)
