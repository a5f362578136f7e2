"""Language identification with a small model that the test trains, and with the registered one where it is present."""

from __future__ import annotations

import hashlib
import math

import fasttext
import pyarrow as pa
import pytest

from pipeline.errors import ConfigError
from pipeline.models import locate
from pipeline.stage import fuse
from stages import identify_language
from stages.identify_language import LanguageConfig

SENTENCES = {
    "en": "the heron stands still at the edge of the pond and waits for fish",
    "de": "der reiher steht still am ufer des teiches und wartet auf fische",
    "es": "la garza se queda quieta a la orilla del estanque y espera los peces",
}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Path and hash of a classifier of three languages."""
    folder = tmp_path_factory.mktemp("model")
    lines = []
    for lang, sentence in SENTENCES.items():
        words = sentence.split()
        lines += [f"__label__{lang} {' '.join(words[at:] + words[:at])}" for at in range(len(words))] * 20
    (folder / "train.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # fasttext 0.9.3 fills its input matrix in ten parts, one a thread: the size must be divisible by ten
    trained = fasttext.train_supervised(str(folder / "train.txt"), dim=10, epoch=10, lr=0.5, thread=10, verbose=0)
    trained.save_model(str(folder / "tiny.bin"))
    digest = hashlib.sha256((folder / "tiny.bin").read_bytes()).hexdigest()
    return {"model": str(folder / "tiny.bin"), "sha256": digest}


def identify(texts: list[str | None], config: LanguageConfig) -> list[tuple[str | None, float | None]]:
    batch = pa.RecordBatch.from_pydict({"text": pa.array(texts, pa.string()), "other": list(range(len(texts)))})
    found = fuse([identify_language.make_stage(config)])(batch)
    assert found.schema.names == ["text", "other", "lang", "lang_score"]
    return list(zip(found.column("lang").to_pylist(), found.column("lang_score").to_pylist(), strict=True))


def test_languages_and_scores(model: dict[str, str]) -> None:
    found = identify(list(SENTENCES.values()), LanguageConfig(**model))
    assert [lang for lang, _ in found] == list(SENTENCES)
    assert all(score is not None and 0.5 < score <= 1.0001 for _, score in found)


def test_the_score_is_the_softmax_probability(model: dict[str, str]) -> None:
    loaded = identify_language.load_model(model["model"])
    probabilities = {label: score for score, label in loaded.f.predict(SENTENCES["de"] + "\n", 3, 0.0, "strict")}
    assert math.isclose(sum(probabilities.values()), 1, abs_tol=1e-3)
    ((lang, score),) = identify([SENTENCES["de"]], LanguageConfig(**model))
    assert score == pytest.approx(probabilities[f"__label__{lang}"])
    assert score == pytest.approx(max(probabilities.values()))


@pytest.mark.parametrize("blank", [None, "", " \n\t", "\0\n"])
def test_no_text_has_no_language(model: dict[str, str], blank: str | None) -> None:
    assert identify([blank, SENTENCES["en"]], LanguageConfig(**model))[0] == (None, None)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\n\n\n", "\u2028", "\0"])
def test_line_ends_do_not_hide_text(model: dict[str, str], line_end: str) -> None:
    text = SENTENCES["de"].replace(" ", line_end)
    assert identify([text], LanguageConfig(**model)) == identify([SENTENCES["de"]], LanguageConfig(**model))


def test_max_chars_is_what_is_looked_at(model: dict[str, str]) -> None:
    text = SENTENCES["de"] + " " + SENTENCES["en"] * 20
    length = len(SENTENCES["de"])
    assert identify([text], LanguageConfig(**model, max_chars=length)) == identify(
        [text[:length]], LanguageConfig(**model)
    )
    assert identify([text], LanguageConfig(**model, max_chars=None))[0][0] == "en"


def test_a_text_does_not_depend_on_its_neighbours(model: dict[str, str]) -> None:
    texts = [*SENTENCES.values(), None, "xyz", "🦆" * 50] * 3
    together = identify(texts, LanguageConfig(**model))
    assert together == [identify([text], LanguageConfig(**model))[0] for text in texts]


def test_another_file_than_the_hash_says_is_refused(model: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="expected 0000"):
        identify(["a"], LanguageConfig(model=model["model"], sha256="0" * 64))


def test_the_registered_model_knows_languages_of_many_scripts() -> None:
    try:
        locate("lid.176.ftz")
    except ConfigError as error:
        pytest.skip(f"needs the registered model: {error}")
    texts = {
        "en": "The heron stands still at the edge of the pond.",
        "ru": "Цапля неподвижно стоит на краю пруда.",
        "zh": "苍鹭静静地站在池塘边。",
        "ar": "يقف مالك الحزين ساكنا على حافة البركة.",
        "ja": "サギは池のほとりにじっと立っている。",
        "ko": "왜가리가 연못가에 가만히 서 있다.",
        "hi": "बगुला तालाब के किनारे चुपचाप खड़ा है।",
    }
    assert [lang for lang, _ in identify(list(texts.values()), LanguageConfig())] == list(texts)
