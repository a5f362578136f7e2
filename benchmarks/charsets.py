"""Charsets found from the Universal Declaration in every language and every legacy charset that can write it.

    python benchmarks/charsets.py [--tables FILE.json] [--chars 1000] [--every-declaration]

Of each of 388 translations that a charset can write, but for a line in twenty, ``--chars`` characters are taken; texts
with fewer than 12 characters above ASCII tell nothing and are left out. Each is decoded declared rightly, not at all,
and as each of three charsets that servers claim by default (``--every-declaration``: as each charset there is), and
counts when it comes back equal. *Known* are the languages of the tables. *Never so written* are languages of Latin
letters in East Asian charsets and all but Vietnamese in Windows-1258: nothing is expected of them.

Held out: ``benchmarks/train_letter_tables.py --without-udhr --output FILE.json`` makes tables that have not seen the
Declaration in 41 of their 56 languages. The peer is
resiliparse's detector (uchardet) without a declaration.
"""

from __future__ import annotations

import argparse
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from measure import report
from resiliparse.parse.encoding import detect_encoding
from train_letter_tables import CHARACTERS_OF, DATA, LETTERS_OF, tones_apart

from pipeline import letter_tables
from pipeline.charset import decode, python_charset
from pipeline.charset_scores import MULTI_BYTE, PRIOR_NATS

DEFAULTS = ("utf-8", "iso-8859-1", "windows-1251")
KNOWN = {files[1] for files in [*LETTERS_OF.values(), *CHARACTERS_OF.values()]}
_MIN_FOREIGN = 12
_LEAST_WRITABLE = 0.95


def texts(chars: int) -> Iterator[tuple[str, str, str]]:
    """Language, charset, text."""
    for path in sorted((DATA / "udhr-nltk" / "udhr2").glob("*.txt")):
        lines = unicodedata.normalize("NFC", path.read_text("utf-8")).splitlines()
        for charset in PRIOR_NATS:
            written = [tones_apart(line) for line in lines] if charset == "cp1258" else lines
            writable = [line for line in written if _is_writable(line, charset)]
            text = "\n".join(writable)[:chars]
            if len(writable) < _LEAST_WRITABLE * len(lines):
                continue
            if sum(not character.isascii() for character in text) >= _MIN_FOREIGN and len(text) >= chars / 2:
                yield path.stem, charset, text


def _is_writable(text: str, charset: str) -> bool:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def kind_of(language: str, charset: str, text: str) -> str:
    """Whether the tables know the language, and whether anybody wrote it so."""
    is_latin = all(
        unicodedata.name(character, "LATIN").startswith("LATIN") for character in text if character.isalpha()
    )
    if is_latin and (charset in MULTI_BYTE or (charset == "cp1258" and language != "vie")):
        return "never so written"
    return "known" if language in KNOWN else "other"


def by_peer(payload: bytes) -> str:
    """The text that resiliparse's detector leads to."""
    label = detect_encoding(payload, html5_compatible=False) or ""
    return payload.decode(python_charset(label) or "cp1252", "replace")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, help="in place of the shipped ones")
    parser.add_argument("--chars", type=int, default=1000, help="of each text")
    parser.add_argument("--every-declaration", action="store_true", help="some minutes")
    arguments = parser.parse_args()
    if arguments.tables:
        letter_tables.SHIPPED_TABLES = arguments.tables
    wrong = tuple(PRIOR_NATS) if arguments.every_declaration else DEFAULTS
    seen: Counter[tuple[str, str]] = Counter()
    same: Counter[tuple[str, str]] = Counter()
    for language, charset, text in texts(arguments.chars):
        payload = text.encode(charset)
        found = {"right": decode(payload, charset, is_html=False)[0], "peer": by_peer(payload)}
        found |= {declared or "none": decode(payload, declared, is_html=False)[0] for declared in (None, *wrong)}
        kind = kind_of(language, charset, text)
        for declared, decoded in found.items():
            case = kind, declared if declared in ("right", "none", "peer", *DEFAULTS) else "any other"
            seen[case] += 1
            same[case] += decoded == text
        if kind != "never so written" and found["right"] != text:
            print(f"{language} in {charset} is overruled")
    figures = {f"{kind}, {declared}": round(same[kind, declared] / seen[kind, declared], 4) for kind, declared in seen}
    for (kind, declared), number in sorted(seen.items()):
        print(f"{kind:17} {declared:13} {same[kind, declared]:6} of {number:6}, {same[kind, declared] / number:.4f}")
    ratio = figures["known, none"] / figures["known, peer"]
    report("charsets", figures, "resiliparse's detector, nothing declared", round(ratio, 3))


if __name__ == "__main__":
    main()
