"""Training: equal bytes in every process, complete byte alphabets, options that matter."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from tokenizers import Tokenizer

from tokenizer_training.tokenizer_config import TokenizerConfig, byte_alphabet, make_pre_tokenizer
from tokenizer_training.train_bpe import train_bpe
from tokenizer_training.train_unigram import count_words, train_unigram

REPOSITORY = Path(__file__).resolve().parents[3]
TRAINERS = {"bpe": train_bpe, "unigram": train_unigram}

_SENTENCE = "the quick brown fox jumps over lazy dogs while быстрая лиса прыгает через собак នេះជាអត្ថបទ 这是一个句子"
_WORDS = _SENTENCE.split()
TEXTS = [
    " ".join(_WORDS[(i * k + k // 3) % len(_WORDS)] + _WORDS[k % 9][: i % 4] for k in range(1, 60)) + f" {i}\n"
    for i in range(1, 80)
]

_TRAIN_SCRIPT = """
import hashlib, json, sys
from tokenizer_training.tokenizer_config import TokenizerConfig
from tokenizer_training.train_bpe import train_bpe
from tokenizer_training.train_unigram import train_unigram
train = {"bpe": train_bpe, "unigram": train_unigram}[sys.argv[1]]
texts = json.load(sys.stdin)
print(hashlib.sha256(train(texts, TokenizerConfig(vocab_size=700)).to_str().encode()).hexdigest())
"""


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_every_process_learns_the_same_bytes(kind: str) -> None:
    hashes = []
    for seed, threads, texts in (("1", "1", TEXTS), ("2", "4", TEXTS), ("3", "3", TEXTS[::-1])):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads}
        run = subprocess.run(
            [sys.executable, "-c", _TRAIN_SCRIPT, kind],
            input=json.dumps(texts),
            capture_output=True,
            text=True,
            env=environment,
            cwd=REPOSITORY,
            check=True,
        )
        hashes.append(run.stdout.strip())
    here = TRAINERS[kind](TEXTS, TokenizerConfig(vocab_size=700)).to_str()
    assert set(hashes) == {hashlib.sha256(here.encode()).hexdigest()}


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.parametrize("texts", [[], [""], ["a"], TEXTS])
def test_every_byte_has_an_id(kind: str, texts: list[str]) -> None:
    tokenizer = TRAINERS[kind](texts, TokenizerConfig(vocab_size=300))
    vocabulary = tokenizer.get_vocab()
    assert set(byte_alphabet()) <= set(vocabulary)
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    assert 257 <= len(vocabulary) <= 300
    assert (len(vocabulary) == 300) == (texts is TEXTS)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_smallest_vocabulary_is_bytes_and_special_tokens(kind: str) -> None:
    special_tokens = tuple(f"<|{i}|>" for i in range(43))
    tokenizer = TRAINERS[kind](TEXTS, TokenizerConfig(vocab_size=300, special_tokens=special_tokens))
    assert set(tokenizer.get_vocab()) == {*byte_alphabet(), *special_tokens, "<|endoftext|>"}


def _pieces(text: str, **options: object) -> list[str]:
    words = make_pre_tokenizer(TokenizerConfig(**options)).pre_tokenize_str(text)
    return [text[start:end] for _, (start, end) in words]


@pytest.mark.parametrize(
    ("pattern", "digits", "text", "words"),
    [
        ("gpt2", None, "I'll see 12345 cats", ["I", "'ll", " see", " 12345", " cats"]),
        ("gpt2", 2, "n 12345", ["n", " 12", "34", "5"]),
        ("gpt4", 3, "I'LL see 12345 cats!\n\nyes", ["I", "'LL", " see", " ", "123", "45", " cats", "!\n\n", "yes"]),
        ("gpt4", 1, "x 12", ["x", " ", "1", "2"]),
        ("gpt4", 3, "हिन्दी", ["ह", "िन", "्द", "ी"]),
        ("multilingual", 3, "हिन्दी में", ["हिन्दी", " में"]),
        ("multilingual", None, "a  b\t12345\r\n", ["a", " ", " b", "\t", "12345", "\r\n"]),
    ],
)
def test_words(pattern: str, digits: int | None, text: str, words: list[str]) -> None:
    assert _pieces(text, pattern=pattern, digits_per_token=digits) == words


def test_min_frequency_and_piece_length_matter() -> None:
    rare = [*TEXTS, "unrepeatable"]
    assert "unrepeatable" in train_bpe(rare, TokenizerConfig(vocab_size=5000, min_frequency=1)).get_vocab()
    assert "unrepeatable" not in train_bpe(rare, TokenizerConfig(vocab_size=5000, min_frequency=2)).get_vocab()
    for max_piece_bytes in (3, 12):
        vocabulary = train_unigram(TEXTS, TokenizerConfig(vocab_size=600, max_piece_bytes=max_piece_bytes)).get_vocab()
        assert max(len(piece) for piece in vocabulary if piece != "<|endoftext|>") == max_piece_bytes


def test_unigram_segments_by_the_highest_probability() -> None:
    """Viterbi of ``tokenizers`` over SentencePiece's scores, against trying all segmentations."""
    tokenizer = train_unigram(TEXTS, TokenizerConfig(vocab_size=500))
    scores = dict(json.loads(tokenizer.to_str())["model"]["vocab"])

    def best(word: str) -> float:
        scored = [float("-inf")] * len(word) + [0.0]
        for start in range(len(word) - 1, -1, -1):
            for end in range(start + 1, len(word) + 1):
                if word[start:end] in scores:
                    scored[start] = max(scored[start], scores[word[start:end]] + scored[end])
        return scored[0]

    for word in sorted(count_words(TEXTS, TokenizerConfig())):
        tokens = [token.value for token in tokenizer.model.tokenize(word)]
        assert "".join(tokens) == word
        assert sum(scores[token] for token in tokens) == pytest.approx(best(word), abs=1e-6)


def test_more_frequent_pieces_are_more_probable() -> None:
    vocabulary = json.loads(train_unigram(TEXTS, TokenizerConfig(vocab_size=500)).to_str())["model"]["vocab"]
    scores = [score for _, score in vocabulary]
    assert scores == sorted(scores, reverse=True)


def test_both_load_as_hugging_face_files(tmp_path: Path) -> None:
    for kind, train in TRAINERS.items():
        train(TEXTS, TokenizerConfig(vocab_size=400)).save(str(tmp_path / f"{kind}.json"))
        loaded = Tokenizer.from_file(str(tmp_path / f"{kind}.json"))
        assert loaded.decode(loaded.encode(TEXTS[0]).ids) == TEXTS[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use": "unigram", "candidates": ("bpe",)}, "not among candidates"),
        ({"candidates": ("bpe", "bpe")}, "names one twice"),
        ({"candidates": ()}, "at least 1"),
        ({"vocab_size": 299}, "greater than or equal to 300"),
        ({"special_tokens": ("<|endoftext|>",)}, "repeats eos_token"),
        ({"special_tokens": tuple(map(str, range(60))), "vocab_size": 300}, "no room"),
        ({"digits_per_token": 0}, "greater than or equal to 1"),
        ({"pattern": "gpt5"}, "gpt2"),
        ({"vocab": 1}, "Extra inputs"),
    ],
)
def test_impossible_values_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TokenizerConfig(**changes)
