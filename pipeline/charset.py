"""Bytes of a web page to text: which charset they are in.

The charset is the first that there is of:

1. what a byte order mark says, or the NUL bytes around a ``<`` with which a page begins, or the escapes of ISO-2022-JP;
2. UTF-8, if the bytes are valid UTF-8 and not all ASCII: text in another charset is almost never valid UTF-8, and
   declarations are often wrong;
3. UTF-8, if four fifths of the characters above 127 are valid in it, or half where it is declared: pages are cut, and
   hold lines of other pages;
4. what the HTTP header declares, then what ``<meta>`` declares, unless another charset makes much better words of the
   bytes (``pipeline/charset_scores.py``);
5. the charset that makes the best words. Bytes that it does not have become replacement characters.

A declaration of UTF-16 or UTF-32 counts only where the head holds NUL bytes: as ASCII, the bytes say the contrary.

Labels mean what the WHATWG's Encoding standard says they mean (``latin1`` is Windows-1252, ``gb2312`` is GB 18030).

Of the decoded text nothing is changed but that NUL is removed, which C libraries take for the end. Lone surrogates,
which Arrow could not hold, are not made by any decoder. There is no Unicode normalisation: it would lose distinctions
that some languages need.

Source: WHATWG Encoding, section 4.2; HTML, section 13.2.3.2. Deviations: steps 2 and 3 stand before the declarations,
and a declaration that makes no sense is overruled.
"""

from __future__ import annotations

import codecs
import contextlib
import functools
import math
import re
from collections.abc import Iterable, Iterator

from resiliparse.parse.encoding import map_encoding_to_html5

from pipeline.charset_scores import MULTI_BYTE, PRIOR_NATS, PageWords, num_read_differently, page_words, score_charsets

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins with the mark of UTF-16, so it is looked for first
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE_TAGS = (
    (re.compile(rb"(?:\s\0)*<\0[!?a-zA-Z]\0"), "utf-16-le"),
    (re.compile(rb"(?:\0\s)*\0<\0[!?a-zA-Z]"), "utf-16-be"),
)
_WIDE = ("utf-16", "utf-32")
_JAPANESE_ESCAPES = (b"\x1b$B", b"\x1b$@")
_NOT_OF_PYTHON = {"uhc": "cp949", "cp949": "cp949", "x-mac-cyrillic": "mac_cyrillic", "mac-cyrillic": "mac_cyrillic"}
_META = re.compile(rb"<meta[^>]{0,512}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_META_WITHIN_BYTES = 4096
_REFUTED_NATS, _REFUTED_NATS_PER_BYTE = 12.0, 2.0
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_SUPERSETS = {"gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "iso8859-11": "cp874"}
"""What the standard means by the narrower name."""


def decode(payload: bytes, declared: str | None, *, is_html: bool) -> tuple[str, str]:
    """Text of ``payload``, and the charset it was in.

    Args:
        payload: encodings undone.
        declared: charset of the HTTP header.
        is_html: whether a ``<meta>`` may declare one.

    Returns:
        The text, without byte order mark and NUL, and the charset by its Python name. The same bytes and declaration
        give the same text.
    """
    text, charset = _decode(payload, declared, is_html)
    if b"\0" in payload:  # no charset of the web makes NUL of other bytes, and bytes are searched faster than text
        text = text.replace("\0", "")
    return text, charset


def _decode(payload: bytes, declared: str | None, is_html: bool) -> tuple[str, str]:
    for mark, charset in _BOMS:
        if payload.startswith(mark):
            return payload[len(mark) :].decode(charset, "replace"), charset
    without_mark = begins_wide(payload)
    if without_mark is not None:
        return payload.decode(without_mark, "replace"), without_mark
    is_ascii = payload.isascii()
    if not is_ascii:
        with contextlib.suppress(UnicodeDecodeError):
            return payload.decode("utf-8"), "utf-8"
    declarations = list(_declarations(payload, declared, is_html))
    if is_ascii:
        if any(escape in payload for escape in _JAPANESE_ESCAPES):
            declarations.insert(0, "iso2022_jp")
        return _first_valid(payload, declarations) or (payload.decode("ascii"), "utf-8")
    wide = _first_valid(payload, [charset for charset in declarations if charset.startswith(_WIDE)])
    if wide is not None:
        return wide
    damaged = payload.decode("utf-8", "replace")
    if _is_mostly_utf8(damaged, least_share=0.5 if "utf-8" in declarations else 0.8):
        return damaged, "utf-8"
    charset = _likeliest(payload, [charset for charset in declarations if not charset.startswith(("utf-8", *_WIDE))])
    return payload.decode(charset, "replace"), charset


def _first_valid(payload: bytes, charsets: Iterable[str]) -> tuple[str, str] | None:
    """Text in the first charset in which the bytes are valid, and that charset."""
    for charset in charsets:
        with contextlib.suppress(UnicodeError):
            return payload.decode(charset), charset
    return None


def _is_mostly_utf8(damaged: str, *, least_share: float) -> bool:
    """Whether that share of the characters above 127 was valid; a page that was cut, or holds a line of another."""
    num_broken = damaged.count("\ufffd")
    num_foreign = len(_NOT_ASCII.findall(damaged))
    return num_foreign - num_broken >= least_share * num_foreign


def _likeliest(payload: bytes, declared: list[str]) -> str:
    """The first declared charset that is not refuted by another's making better words of the bytes, or that other."""
    words = page_words(payload)
    scores = score_charsets(words, [*PRIOR_NATS, *declared])
    best = max(PRIOR_NATS, key=lambda charset: scores[charset])
    for charset in declared:
        if scores[best] - scores[charset] < _nats_to_refute(words, charset, best):
            return charset
    return best


def _nats_to_refute(words: PageWords, charset: str, other: str) -> float:
    """How much better words another charset must make of the bytes than the declared one.

    More for more bytes that the two read differently, as languages that are not in the tables give chance a chance;
    nothing is enough where that is a single byte, which may be a misprint.
    """
    if charset in MULTI_BYTE or other in MULTI_BYTE:
        return _REFUTED_NATS
    num_bytes = num_read_differently(words, charset, other)
    return max(_REFUTED_NATS, _REFUTED_NATS_PER_BYTE * num_bytes) if num_bytes > 1 else math.inf


def begins_wide(payload: bytes) -> str | None:
    """UTF-16 by the NUL bytes of a first tag, without a byte order mark; ``None`` if there is no such tag."""
    if b"\0" not in payload[:2]:  # nearly always, and sooner seen than that neither pattern matches
        return None
    return next((charset for tag, charset in _WIDE_TAGS if tag.match(payload)), None)


def _declarations(payload: bytes, declared: str | None, is_html: bool) -> Iterator[str]:
    """Declared charsets that are known, the header's first."""
    labels = [declared] if declared else []
    if is_html and (meta := _META.search(payload, 0, _META_WITHIN_BYTES)):
        labels.append(meta.group(1).decode("ascii"))
    may_be_wide = b"\0" in payload[:_META_WITHIN_BYTES]
    for label in labels:
        charset = python_charset(label)
        if charset is not None and (may_be_wide or not charset.startswith(_WIDE)):
            yield charset


@functools.lru_cache(maxsize=1024)
def python_charset(label: str) -> str | None:
    """Python's name of the charset that a label means on the web; ``None`` for an unknown one."""
    label = label.strip().lower()
    name = _NOT_OF_PYTHON.get(label) or map_encoding_to_html5(label, fallback_utf8=False)
    try:
        found = codecs.lookup(name).name if name else None
    except LookupError:  # a charset of the standard that Python does not have
        return None
    return _SUPERSETS.get(found, found) if found else None
