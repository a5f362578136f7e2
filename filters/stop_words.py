"""Stop words by language: the words that running text of a language cannot do without.

The English ones are Gopher's (Rae et al. 2021, A.1), of which a document must hold two. Those of other languages are
ours, chosen after the same pattern: eight or so articles, conjunctions, prepositions and forms of "to be" that are
among the commonest words of any prose and, as far as possible, of no sister language. Forms are compared with case. In
scripts that are cut by character they are single characters. A language that is not here is not judged by them.
"""

from __future__ import annotations

from collections import Counter

MIN_SHARES, LEAST_WORDS = (0.008, 0.003, 0.002), 8

STOP_WORDS: dict[str, tuple[str, ...]] = {
    lang: tuple(words.split())
    for lang, words in {
        "eng_Latn": "the be to of and that have with",
        "afr_Latn": "die en van nie is het wat vir",
        "ara_Arab": "في من على أن إلى التي عن هذا",
        "ben_Beng": "এবং এই করে থেকে জন্য একটি হয় না",
        "bul_Cyrl": "на да се за от че не които",
        "cat_Latn": "els les que per amb una dels són",
        "ces_Latn": "že se na je jako pro však jsou",
        "cmn_Hani": "的 是 在 了 和 有 不 这 這",
        "dan_Latn": "og det er til af på ikke som",
        "deu_Latn": "der die und das nicht mit ist von",
        "ell_Grek": "και το να του της την με για",
        "epo_Latn": "la kaj de estas en ne por kiu",
        "est_Latn": "ja on ei et ka oli mis kui",
        "eus_Latn": "eta da ez du bat dira zen izan",
        "fas_Arab": "و در به از که این را با",
        "fin_Latn": "ja on ei että se oli mutta myös",
        "fra_Latn": "le les et des que est pour dans",
        "glg_Latn": "que unha non para dos con máis pola",
        "heb_Hebr": "של את על לא הוא עם זה גם",
        "hin_Deva": "के में है और की से को का",
        "hrv_Latn": "je se na su da za koji što",
        "hun_Latn": "és az hogy nem egy is meg volt",
        "hye_Armn": "և է են մեջ որ այդ այս համար",
        "ind_Latn": "yang dan di dengan untuk dari ini tidak",
        "isl_Latn": "og að er ekki sem til það við",
        "ita_Latn": "che di il per non una con della",
        "jpn_Jpan": "の に は を た が で と",
        "kat_Geor": "და არის რომ ეს არ იყო მისი რომელიც",
        "kaz_Cyrl": "және мен бұл үшін бір да деп болып",
        "kor_Hang": "이 그 수 및 있는 있다 하는 것이",
        "lat_Latn": "et in est non ad ut cum quod",
        "lav_Latn": "un ir ka no ar par kas nav",
        "lit_Latn": "ir yra kad tai su iš bet kaip",
        "mkd_Cyrl": "на се да за од што не како",
        "mon_Cyrl": "нь байна юм энэ гэж болон бол уу",
        "msa_Latn": "yang dan di dengan untuk dari ini tidak",
        "nld_Latn": "de het een van en niet dat zijn",
        "nno_Latn": "og er det ikkje som til på eg",
        "nob_Latn": "og er det ikke som til på jeg",
        "nor_Latn": "og er det ikke som til på jeg",
        "pol_Latn": "nie się na jest że do jak przez",
        "por_Latn": "que não uma para com os em dos",
        "ron_Latn": "și în este nu că pentru din care",
        "rus_Cyrl": "и в не на что с как это",
        "slk_Latn": "sa na je že ako pre však sú",
        "slv_Latn": "je in se za so na da pri",
        "spa_Latn": "que de los una por con para las",
        "sqi_Latn": "të dhe në që për nga është një",
        "srp_Cyrl": "је се на да су за који што",
        "srp_Latn": "je se na su da za koji što",
        "swa_Latn": "na ya wa kwa ni za katika hii",
        "swe_Latn": "och att det är som inte för på",
        "tam_Taml": "ஒரு என்று இந்த மற்றும் இது அந்த என்ற போது",
        "tgl_Latn": "ang ng sa na mga ay hindi ito",
        "tur_Latn": "ve bir bu için ile olarak çok daha",
        "ukr_Cyrl": "і в не на що з як це",
        "urd_Arab": "کے میں ہے اور کی سے کو کا",
        "vie_Latn": "và của là có không trong một được",
        "zho_Hani": "的 是 在 了 和 有 不 这 這",
        "zho_Hans": "的 是 在 了 和 有 不 这",
        "zho_Hant": "的 是 在 了 和 有 不 這",
    }.items()
}
"""For each language (ISO 639-3 and script) its words."""


def frequent_words(counts: Counter[str], num_words: int) -> tuple[str, ...]:
    """The words of a reference corpus that serve as stop words, the most frequent first.

    Words that make up more than .8 % of all words; where these are fewer than eight, more than .3 %; and if they still
    are, more than .2 %.

    Args:
        counts: of the words with a letter, as they are written.
        num_words: of the corpus, numbers included.

    Source: the public programs of the multilingual fork of datatrove that count Wikipedia for language-specific filters
    (0.008, 0.003, 0.002 and 8), as FineWeb-2 (Penedo et al. 2025) describes its stop words; that its final lists came
    from these very numbers could not be confirmed. Deviations: there a list of signs, and numbers, are taken out where
    .8 % suffices, here always what has no letter; signs do not count as words.
    """
    found: tuple[str, ...] = ()
    for share in MIN_SHARES:
        found = _above(counts, share * num_words)
        if len(found) >= LEAST_WORDS:
            break
    return found


def _above(counts: Counter[str], least: float) -> tuple[str, ...]:
    return tuple(sorted((word for word, count in counts.items() if count > least), key=lambda w: (-counts[w], w)))
