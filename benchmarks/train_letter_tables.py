"""Make the tables of letter pairs by which charsets are told apart (``pipeline/letter_tables.json``).

    python benchmarks/train_letter_tables.py [--output FILE.json] [--without-udhr]

Text: sentences of the Leipzig corpora as lingua has them, and the Universal Declaration of Human Rights, of each
language that was written in the legacy charsets of the web. What is shipped are numbers: how often a letter follows
another. ``--without-udhr`` leaves the declaration out, so that ``benchmarks/charsets.py`` can be scored on it.

A word counts 1 + ln(occurrences): what is scored later are a page's different words. Letters are lower case; Vietnamese
has its tones as marks of their own, as Windows-1258 writes them. Pairs are smoothed by the second letter's own share
(Witten-Bell). Reproducible: the same text gives the same file. Some seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.letter_tables import (
    CLASSES,
    SHIPPED_TABLES,
    STEP_NATS,
    fold,
    ideographic_class,
    is_letter,
    write_level,
)

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "lid"
LETTERS_OF = {  # language: (file of lingua, file of the declaration, its letters beside or instead of a to z)
    "eng_Latn": ("en", "eng", "éèêïöç"),
    "deu_Latn": ("de", "deu", "äöüßé"),
    "fra_Latn": ("fr", "fra", "àâæçèéêëîïôœùûüÿ"),
    "spa_Latn": ("es", "spa", "áéíñóúü"),
    "por_Latn": ("pt", "por_PT", "àáâãçéêíóôõú"),
    "ita_Latn": ("it", "ita", "àèéìíòóù"),
    "nld_Latn": ("nl", "nld", "áèéêëíïóöü"),
    "afr_Latn": ("af", "afr", "áèéêëîïôöúû"),
    "swe_Latn": ("sv", "swe", "äåöéàü"),
    "dan_Latn": ("da", "dan", "æøåéöü"),
    "nob_Latn": ("nb", "nob", "æøåéòôöü"),
    "nno_Latn": ("nn", "nno", "æøåéèòôöü"),
    "isl_Latn": ("is", "isl", "áæéíðóöúýþ"),
    "fao_Latn": (None, "fao", "áæíðóøúý"),
    "fin_Latn": ("fi", "fin", "äåöšžé"),
    "kmr_Latn": (None, "ckb", "çêîşû"),
    "cat_Latn": ("ca", "cat", "àçèéíïòóúü"),
    "glg_Latn": (None, "glg", "áéíñóúüï"),
    "oci_Latn": (None, "lnc", "àáçèéíïòóúü"),
    "gle_Latn": ("ga", "gle", "áéíóú"),
    "gla_Latn": (None, "gla", "àèéìòóù"),
    "cym_Latn": ("cy", "cym", "àáâäèéêëìíîïòóôöùúûüẁẃẅỳýÿŵŷ"),
    "bre_Latn": (None, "bre", "âêîôûñùü"),
    "mlt_Latn": (None, "mlt", "àèìòùċġħż"),
    "epo_Latn": ("eo", "epo", "ĉĝĥĵŝŭ"),
    "est_Latn": ("et", "est", "äõöüšž"),
    "lav_Latn": ("lv", "lav", "āčēģīķļņōŗšūž"),
    "lit_Latn": ("lt", "lit", "ąčėęįšūųž"),
    "sme_Latn": (None, "sme", "áčđŋšŧž"),
    "pol_Latn": ("pl", "pol", "óąćęłńśźż"),
    "ces_Latn": ("cs", "ces", "áéíóúýčďěňřšťůž"),
    "slk_Latn": ("sk", "slk", "áäéíóôúýčďĺľňŕšťž"),
    "slv_Latn": ("sl", "slv", "čšžćđ"),
    "hrv_Latn": ("hr", "hrv", "ćčđšž"),
    "hsb_Latn": (None, "hsb", "óćčěłńřśšźž"),
    "hun_Latn": ("hu", "hun", "áéíóöúüőű"),
    "ron_Latn": ("ro", "ron", "âîășțşţ"),
    "sqi_Latn": ("sq", "als", "çë"),
    "tur_Latn": ("tr", "tur", "âçîöûüğışi"),
    "vie_Latn": ("vi", "vie", "âêôăđơưèéìíòóùúàáãõỳỵ́̀́̃̉"),
    "rus_Cyrl": ("ru", "rus", "абвгдежзийклмнопрстуфхцчшщъыьэюяё"),
    "ukr_Cyrl": ("uk", "ukr", "абвгдежзийклмнопрстуфхцчшщьюяєіїґ"),
    "bel_Cyrl": ("be", "bel", "абвгдежзійклмнопрстуўфхцчшыьэюяё"),
    "bul_Cyrl": ("bg", "bul", "абвгдежзийклмнопрстуфхцчшщъьюяѝ"),
    "srp_Cyrl": ("sr", "srp_cyrl", "абвгдђежзијклљмнњопрстћуфхцчџш"),
    "mkd_Cyrl": ("mk", "mkd", "абвгдѓежзѕијклљмнњопрстќуфхцчџшѐѝ"),
    "ell_Grek": ("el", "ell_monotonic", "ΐάέήίΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώ"),
    "heb_Hebr": ("he", "heb", "אבגדהוזחטיךכלםמןנסעףפץצקרשת"),
    "arb_Arab": ("ar", "arb", "ءآأؤإئابةتثجحخدذرزسشصضطظعغـفقكلمنهوىيًٌٍَُِّْ"),
    "pes_Arab": ("fa", "pes_1", "ءآأؤئابةتثجحخدذرزسشصضطظعغـفقكلمنهوىيًٌٍَُِّپچژکگی"),
    "urd_Arab": ("ur", "urd", "ءآأؤئابةتثجحخدذرزسشصضطظعغـفقلمنهوىًَُِّٹپچڈڑژکگںھہۂیے"),
    "tha_Thai": ("th", "tha", "กขฃคฅฆงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรฤลฦวศษสหฬอฮฯะัาำิีึืฺุูเแโใไๅๆ็่้๊๋์ํ"),
}
WEST = "mul_Latn"
"""Stands for languages that are not listed and do with the letters of Windows-1252."""
WEST_LETTERS = "ªºßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿœšž"
CHARACTERS_OF = {
    "cmn_Hans": ("zh", "cmn_hans"),
    "cmn_Hant": (None, "cmn_hant"),
    "jpn_Jpan": ("ja", "jpn"),
    "kor_Hang": ("ko", "kor"),
}
MAX_CHARACTERS = 1200
_OTHER_SHARE = 5e-5  # of any class, at least, and of foreign letters
_COMMA, _CEDILLA = str.maketrans("şţŞŢ", "șțȘȚ"), str.maketrans("șț", "şţ")
_TONES = "\u0300\u0301\u0303\u0309\u0323"


def read_text(lingua: str | None, declaration: str, with_udhr: bool) -> str:
    """The language's text of both sources; of the declaration alone where there is no other."""
    text = ""
    if lingua:
        text = (DATA / "lingua" / "cmd" / "language-testdata" / "sentences" / f"{lingua}.txt").read_text("utf-8")
        text = "\n".join(map(repaired, text.splitlines()))
    if with_udhr or not lingua:
        text += "\n" + (DATA / "udhr-nltk" / "udhr2" / f"{declaration}.txt").read_text("utf-8")
    return unicodedata.normalize("NFC", text)


def west_text(without_every_second: bool) -> str:
    """The Declaration in the languages that are not listed and can be written in Windows-1252."""
    listed = {declaration for _, declaration, _ in LETTERS_OF.values()}
    paths = sorted(path for path in (DATA / "udhr-nltk" / "udhr2").glob("*.txt") if path.stem not in listed)
    texts = [unicodedata.normalize("NFC", path.read_text("utf-8")) for path in paths]
    in_west = [
        text for text in texts if not {c for c in text.lower() if is_letter(c) and not c.isascii()} - set(WEST_LETTERS)
    ]
    return "\n".join(in_west[:: 2 if without_every_second else 1])


def repaired(line: str) -> str:
    """A line of UTF-8 that was once read as Latin 1, as most of lingua's Welsh was, read rightly."""
    try:
        return line.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return line


def tones_apart(text: str) -> str:
    """Vietnamese as Windows-1258 writes it: ``ế`` is ``ê`` and a mark."""
    parts = []
    for character in text:
        apart = unicodedata.normalize("NFD", character)
        base = unicodedata.normalize("NFC", "".join(mark for mark in apart if mark not in _TONES))
        parts.append(base + "".join(mark for mark in apart if mark in _TONES))
    return "".join(parts)


def weighted_words(text: str) -> Iterable[tuple[str, float]]:
    """Different words with their weights, in a fixed order."""
    for word, count in sorted(Counter(text.split()).items()):
        yield word, 1 + math.log(count)


def log_shares(pairs: Mapping[tuple[int, int], float], num_classes: int) -> list[list[float]]:
    """ln P(second | first), smoothed by Witten and Bell's method with the second's own share."""
    alone = [_OTHER_SHARE * sum(pairs.values())] * num_classes
    for (_, second), weight in pairs.items():
        alone[second] += weight
    alone[CLASSES.index("foreign")] = _OTHER_SHARE * sum(pairs.values())
    total_alone = sum(alone)
    rows = []
    for first in range(num_classes):
        found = [pairs.get((first, second), 0.0) for second in range(num_classes)]
        total, num_kinds = sum(found), sum(weight > 0 for weight in found) + 1
        shares = [
            (weight + num_kinds * own / total_alone) / (total + num_kinds)
            for weight, own in zip(found, alone, strict=True)
        ]
        rows.append([math.log(share) for share in shares])
    return rows


def letter_table(language: str, text: str, own_letters: str) -> dict[str, object]:
    """Letters of a language and the levels of their pairs.

    Words with other letters are left out: they are foreign, or were read in a wrong charset before they came here.
    """
    text = tones_apart(text) if language == "vie_Latn" else text
    text = text.translate(_COMMA) if language == "ron_Latn" else text
    folded = "".join(map(fold, text))
    letters = set(own_letters) | (set("abcdefghijklmnopqrstuvwxyz") if language.endswith("_Latn") else set())
    ordered = "".join(sorted(letters))
    class_of = {letter: len(CLASSES) + position for position, letter in enumerate(ordered)}
    pairs: dict[tuple[int, int], float] = defaultdict(float)
    for word, weight in weighted_words(folded):
        if not all(letter in letters or letter.isascii() or not is_letter(letter) for letter in word):
            continue
        _count_pairs(word, weight, class_of, pairs)
        if language == "ron_Latn" and ("ș" in word or "ț" in word):  # what the older charsets write instead
            _count_pairs(word.translate(_CEDILLA), weight / 4, class_of, pairs)
    rows = log_shares(pairs, len(CLASSES) + len(ordered))
    return {"letters": ordered, "levels": ["".join(map(write_level, row)) for row in rows]}


def _count_pairs(word: str, weight: float, class_of: dict[str, int], pairs: dict[tuple[int, int], float]) -> None:
    before = CLASSES.index("outside")
    for character in f"{word} ":
        now = class_of.get(character, CLASSES.index("latin" if is_letter(character) else "outside"))
        pairs[before, now] += weight
        before = now


def character_table(text: str) -> dict[str, object]:
    """The commonest characters of an ideographic language, with the levels of their shares and of pairs of classes."""
    counts = Counter(character for character in text if not character.isspace() and not character.isascii())
    kept = sorted(sorted(counts), key=lambda character: -counts[character])[:MAX_CHARACTERS]
    names = sorted({ideographic_class(character) for character in counts} | {"outside", "latin", "foreign"})
    pairs: Counter[tuple[int, int]] = Counter()
    before = names.index("outside")
    for character in text:
        now = names.index(ideographic_class(character))
        pairs[before, now] += 1
        before = now
    in_class: Counter[str] = Counter()
    for character, count in counts.items():
        in_class[ideographic_class(character)] += count
    ordered = sorted(kept)
    shares = [math.log(counts[character] / in_class[ideographic_class(character)]) for character in ordered]
    return {
        "classes": names,
        "levels": ["".join(map(write_level, row)) for row in log_shares(pairs, len(names))],
        "characters": "".join(ordered),
        "shares": "".join(map(write_level, shares)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=SHIPPED_TABLES)
    parser.add_argument("--without-udhr", action="store_true", help="where lingua has the language")
    arguments = parser.parse_args()
    with_udhr = not arguments.without_udhr
    tables = {
        "version": 1,
        "step_nats": STEP_NATS,
        "letters": {
            name: letter_table(name, read_text(lingua, declaration, with_udhr), letters)
            for name, (lingua, declaration, letters) in LETTERS_OF.items()
        }
        | {WEST: letter_table(WEST, west_text(not with_udhr), WEST_LETTERS)},
        "characters": {name: character_table(read_text(*files, with_udhr)) for name, files in CHARACTERS_OF.items()},
    }
    text = json.dumps(tables, ensure_ascii=False, indent=1)
    arguments.output.write_text(re.sub(r"\n\s+(?=[\"\]])", "\n", text) + "\n", encoding="utf-8")
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
