"""The fastText kernel against fastText itself: every loss, n-grams of characters and words, quantised and pruned."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, NamedTuple

import fasttext
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import fasttext_model
from pipeline.errors import ConfigError
from pipeline.fasttext_model import FastTextModel
from pipeline.kernels.fasttext_cache import make_cache
from pipeline.kernels.fasttext_predict import predict, predict_spans, probability_of
from pipeline.models import locate

_VOCABULARY = """
heron reed pond fish water the of and to we see wing beak nest ice mud boat oar tide bank
цапля пруд рыба вода лёд лодка берег мы видим 苍鹭 池塘 鱼 水 देख बगुला पानी مالك الحزين ماء
"""
WORDS = _VOCABULARY.split()
LABELS = ("eng", "rus_Cyrl", "zho", "hin", "ara_Arab")
SUBWORDS = {"minn": 2, "maxn": 4, "bucket": 3000}
KINDS: dict[str, dict[str, Any]] = {
    "softmax": {"loss": "softmax", **SUBWORDS},
    "tree": {"loss": "hs", **SUBWORDS},
    "tree of words and their n-grams": {"loss": "hs", "wordNgrams": 3, "bucket": 1000},
    "one versus all": {"loss": "ova", "wordNgrams": 2, **SUBWORDS},
    "negative sampling": {"loss": "ns", "minn": 1, "maxn": 3, "bucket": 500},
    "single words": {"loss": "softmax"},
}
QUANTISED: dict[str, dict[str, Any]] = {
    "quantised": {},
    "quantised with norms": {"qnorm": True, "dsub": 3},
    "pruned": {"qnorm": True, "cutoff": 400},
}
SPECIAL_TEXTS = [
    "", " ", "\n", "heron", "heron heron", "heron\nreed\r\npond\x0bmud\x0cice\x00fish\ttide", "heron </s> цапля пруд",
    "</s>", "<s> </s", "__label__eng heron", "__label__nothing heron", "__label__", "__label__eng", "x", "<>", "he ron",
    "heronpondfish" * 40, "цапля" * 60, "苍鹭静静地站在池塘边。" * 50, "🦆🦆 heron 🦆", "e\u0301\u200d heron\u200b",
    *("pond" * 8 + "x" * rest + " " + "w" * size for rest, size in ((0, 23), (1, 24), (7, 25), (8, 255), (9, 256))),
    "цапля" * 2 + "ы " + "цапля" * 2 + "ыё", "пруд🦆苍é" * 9 + " heron", "  heron \t\n  pond ", "heron </s>x", "</s",
    "مالك الحزين", "heron \u2028 reed\u3000pond", " ".join(WORDS) * 20,
]  # fmt: skip


class Pair(NamedTuple):
    ours: FastTextModel
    theirs: Any

    def expected(self, text: str, k: int = 1, threshold: float = 0.0) -> list[tuple[float, str]]:
        return self.theirs.predict(text.replace("\n", " ") + "\n", k, threshold, "strict")


def train(folder: Path, name: str, quantise: dict[str, Any] | None = None, **arguments: Any) -> Pair:
    draw = random.Random(7)
    lines = []
    for _ in range(400):
        label = draw.choices(range(len(LABELS)), weights=(5, 4, 3, 2, 1))[0]
        own = WORDS[label * 7 : label * 7 + 12]
        lines.append(f"__label__{LABELS[label]} {' '.join(draw.choices(own, k=draw.randint(1, 9)))}")
    path = folder / "train.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    # fasttext 0.9.3 fills its input matrix in ten parts, one a thread: dim must be divisible by ten
    model = fasttext.train_supervised(str(path), dim=10, thread=10, epoch=5, lr=0.3, minCount=1, verbose=0, **arguments)
    if quantise is not None:
        model.quantize(input=str(path), verbose=0, **quantise)
    file = folder / f"{name.replace(' ', '-')}.{'bin' if quantise is None else 'ftz'}"
    model.save_model(str(file))
    return Pair(fasttext_model.load(file), fasttext.FastText._FastText(model_path=str(file)).f)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    folder = tmp_path_factory.mktemp("models")
    found = {name: train(folder, name, **arguments) for name, arguments in KINDS.items()}
    found |= {name: train(folder, name, quantise, **KINDS["tree"]) for name, quantise in QUANTISED.items()}
    return found


TIED = 1e-6  # scores so close may change places: sums differ in their last bits


def assert_agrees(pair: Pair, texts: list[str], k: int = 1, threshold: float = 0.0) -> None:
    """Same labels in the same order, but for those that tie; scores within 1e-4."""
    found = predict(pair.ours, pa.array(texts, pa.string()), k, threshold=threshold)
    for row, text in enumerate(texts):
        expected = [(label.removeprefix("__label__"), score) for score, label in pair.expected(text, k, threshold)]
        labels = [pair.ours.labels[number] for number in found.labels[row] if number >= 0]
        assert len(labels) == len(expected), text
        scores = [score for _, score in expected]
        assert found.probabilities[row, : len(labels)].tolist() == pytest.approx(scores, abs=1e-4), text
        for start, end in _tied_stretches(scores):
            theirs = {label for label, _ in expected[start:end]}
            if end == k:  # a tie may go on behind the last label that was asked for
                theirs |= _tied_with_the_last(pair, text, k, scores[-1])
                assert {*labels[start:end]} <= theirs, text
            else:
                assert {*labels[start:end]} == theirs, text


def _tied_stretches(scores: list[float]) -> list[tuple[int, int]]:
    """Stretches of scores that tie, most of them of one score."""
    bounds = [i for i in range(1, len(scores)) if scores[i - 1] - scores[i] >= TIED]
    return list(zip([0, *bounds], [*bounds, len(scores)], strict=True)) if scores else []


def _tied_with_the_last(pair: Pair, text: str, k: int, last: float) -> set[str]:
    """Labels behind the first ``k`` whose score ties with the last of those."""
    behind = pair.expected(text, len(pair.ours.labels))[k:]
    return {label.removeprefix("__label__") for score, label in behind if last - score < TIED}


@pytest.mark.parametrize("kind", [*KINDS, *QUANTISED])
@pytest.mark.parametrize(("k", "threshold"), [(1, 0.0), (3, 0.0), (5, 0.2), (1, 0.9)])
def test_special_texts(pairs: dict[str, Pair], kind: str, k: int, threshold: float) -> None:
    assert_agrees(pairs[kind], SPECIAL_TEXTS, k, threshold)


@pytest.mark.parametrize("kind", [*KINDS, *QUANTISED])
@settings(max_examples=40)
@given(data=st.data())
def test_any_text(pairs: dict[str, Pair], kind: str, data: st.DataObject) -> None:
    word = st.one_of(st.sampled_from(WORDS), st.text(max_size=6), st.sampled_from(["</s>", "__label__eng", "a" * 300]))
    text = st.lists(st.tuples(word, st.sampled_from(" \n\t\r\v\f\0")), max_size=12).map(
        lambda parts: "".join(word + space for word, space in parts)
    )
    assert_agrees(pairs[kind], data.draw(st.lists(text, min_size=1, max_size=5)))


@pytest.mark.parametrize("kind", ["softmax", "tree of words and their n-grams", "pruned"])
def test_neither_the_cache_nor_other_texts_change_a_bit(pairs: dict[str, Pair], kind: str) -> None:
    model = pairs[kind].ours
    draw = random.Random(3)
    texts = SPECIAL_TEXTS + [" ".join(draw.choices(WORDS, k=draw.randint(1, 400))) for _ in range(100)]
    alone = [predict(model, pa.array([text])).probabilities[0, 0] for text in texts]
    for max_words in (1, 3, 20, 1000):
        model.scratch["word_cache"] = make_cache(max_words)
        assert predict(model, pa.array(texts)).probabilities[:, 0].tolist() == alone
        assert predict(model, pa.array(texts[::-1])).probabilities[::-1, 0].tolist() == alone
    del model.scratch["word_cache"]


def test_more_words_than_a_block_of_the_kernel_holds(pairs: dict[str, Pair]) -> None:
    assert_agrees(pairs["tree"], [" ".join(WORDS) * 40, " ".join(f"{word}{i}" for i in range(40) for word in WORDS)])


def test_null_texts_slices_and_large_strings(pairs: dict[str, Pair]) -> None:
    model = pairs["softmax"].ours
    texts = pa.array(["heron pond", None, "цапля пруд", "", "苍鹭 池塘"])
    whole = predict(model, texts)
    assert (whole.labels[1, 0], whole.probabilities[1, 0]) == (-1, 0)
    for part in (texts.slice(1, 3), texts.cast(pa.large_string()).slice(1, 3)):
        assert predict(model, part).labels.tolist() == whole.labels[1:4].tolist()
    assert predict(model, pa.array([], pa.string())).labels.shape == (0, 1)


def test_max_chars_counts_characters(pairs: dict[str, Pair]) -> None:
    model = pairs["tree"].ours
    text = "цапля 苍鹭 heron"
    for length in range(1, len(text) + 2):
        cut = predict(model, pa.array([text]), max_chars=length)
        assert cut.probabilities.tolist() == predict(model, pa.array([text[:length]])).probabilities.tolist()


def test_stretches_of_a_buffer(pairs: dict[str, Pair]) -> None:
    model = pairs["tree"].ours
    data = np.frombuffer("heron pond\nцапля пруд".encode(), dtype=np.uint8)
    ends = np.array([10, len(data)])
    found = predict_spans(model, data, np.array([0, 11]), ends, 2)
    assert found.labels.tolist() == predict(model, pa.array(["heron pond", "цапля пруд"]), 2).labels.tolist()


@pytest.mark.parametrize("kind", ["softmax", "one versus all", "pruned"])
def test_the_probability_of_one_label(pairs: dict[str, Pair], kind: str) -> None:
    pair = pairs[kind]
    texts = ["heron pond", "цапля пруд рыба", "bank ice 苍鹭", None]
    found = probability_of(pair.ours, pa.array(texts), "__label__rus_Cyrl")
    for text, probability in zip(texts[:3], found, strict=False):
        expected = {label: score for score, label in pair.expected(text or "", len(LABELS))}
        assert probability == pytest.approx(expected.get("__label__rus_Cyrl", 0), abs=1e-4)
    assert np.isnan(found[3])
    with pytest.raises(ConfigError, match=r"has no label 'fr'; expected one of .*eng"):
        probability_of(pair.ours, pa.array(texts), "fr")


SENTENCES = Path(__file__).parents[4] / "shared/data/lid/lingua/cmd/language-testdata/sentences"


def test_the_registered_model_on_sentences_of_75_languages() -> None:
    if not SENTENCES.is_dir():
        pytest.skip("needs ../shared/data/lid")
    try:
        path = locate("lid.176.ftz")
    except ConfigError as error:
        pytest.skip(f"needs the registered model: {error}")
    pair = Pair(fasttext_model.load(path), fasttext.FastText._FastText(model_path=str(path)).f)
    lines = [line for file in sorted(SENTENCES.glob("*.txt")) for line in file.read_text("utf-8").splitlines()[::50]]
    assert len(lines) > 1000
    assert_agrees(pair, lines)
    assert_agrees(pair, lines[::10], 5)
