"""Bytes of a web page to text: which charset they are in.

The charset is, in this order:

1. what a byte order mark says;
2. UTF-8, if the bytes are valid UTF-8 and not all ASCII: text in another charset is almost never valid UTF-8, and
   declarations are often wrong;
3. what the HTTP header declares, then what ``<meta>`` declares, if the bytes are valid in it;
4. what the detector of resiliparse (a port of the one in browsers) finds, if the bytes are valid in it;
5. the first of those, or Windows-1252, with replacement characters.

A declaration of UTF-16 or UTF-32 counts only where the head holds NUL bytes: as ASCII, the bytes say the contrary.

Labels mean what the WHATWG's Encoding standard says they mean (``latin1`` is Windows-1252, ``gb2312`` is GBK).

Of the decoded text nothing is changed but that NUL is removed, which C libraries take for the end. Lone surrogates,
which Arrow could not hold, are not made by any decoder. There is no Unicode normalisation: it would lose distinctions
that some languages need.

Source: WHATWG Encoding, section 4.2; HTML, section 13.2.3.2. Deviation: step 2 stands before the declarations.
"""

from __future__ import annotations

import codecs
import functools
import itertools
import re
from collections.abc import Iterator

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins with the mark of UTF-16, so it is looked for first
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META = re.compile(rb"<meta[^>]{0,512}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_META_WITHIN_BYTES = 4096
_DETECT_WITHIN_BYTES = 1 << 17
_FALLBACK = "cp1252"


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
    return text.replace("\0", ""), charset


def _decode(payload: bytes, declared: str | None, is_html: bool) -> tuple[str, str]:
    for mark, charset in _BOMS:
        if payload.startswith(mark):
            return payload[len(mark) :].decode(charset, "replace"), charset
    declarations = [declared] if declared else []
    if not payload.isascii():
        utf8 = _strictly(payload, "utf-8")
        if utf8 is not None:
            return utf8, "utf-8"
    if is_html and (meta := _META.search(payload, 0, _META_WITHIN_BYTES)):
        declarations.append(meta.group(1).decode("ascii"))
    may_be_wide = b"\0" in payload[:_META_WITHIN_BYTES]
    charsets = [name for label in declarations if (name := python_charset(label))]
    charsets = [name for name in charsets if may_be_wide or not name.startswith(("utf-16", "utf-32"))]
    best: str | None = None
    for charset in itertools.chain(charsets, _detected(payload)):
        text = _strictly(payload, charset)
        if text is not None:
            return text, charset
        best = best or charset
    return payload.decode(best or _FALLBACK, "replace"), best or _FALLBACK


def _detected(payload: bytes) -> Iterator[str]:
    """The charset found by looking at the bytes, if one is found; a generator, so that it looks only when needed."""
    label = "utf-8" if payload.isascii() else detect_encoding(payload, max_len=_DETECT_WITHIN_BYTES)
    charset = python_charset(label or "")
    if charset is not None:
        yield charset


@functools.lru_cache(maxsize=1024)
def python_charset(label: str) -> str | None:
    """Python's name of the charset that a label means on the web; ``None`` for an unknown one."""
    name = map_encoding_to_html5(label.strip(), fallback_utf8=False)
    try:
        return codecs.lookup(name).name if name else None
    except LookupError:  # a charset of the standard that Python does not have
        return None


def _strictly(payload: bytes, charset: str) -> str | None:
    try:
        return payload.decode(charset)
    except UnicodeError:
        return None
