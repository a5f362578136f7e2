"""How well a vocabulary fits each language.

*Bytes per token* is the compression: how much text a model sees per token that it pays for. *Tokens per word*
(fertility) says how far words are torn apart; words are maximal runs of word characters (``\\w+``), so for languages
written without spaces it compares tokenizers with each other and not languages. Decoding must give every text back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from tokenizer_training.encoder import Encoder
from tokenizer_training.sample_text import SampledText

_WORD = re.compile(r"\w+")
_BATCH_TEXTS = 256


class Compression(BaseModel):
    """Sums over texts, and the ratios that follow. Tokens are counted without the end-of-text token."""

    model_config = ConfigDict(frozen=True)

    num_documents: int
    num_bytes: int
    num_words: int
    num_tokens: int
    num_round_trip_failures: int
    bytes_per_token: float | None
    tokens_per_word: float | None


class Evaluation(BaseModel):
    """Compression over all texts and by language."""

    model_config = ConfigDict(frozen=True)

    overall: Compression
    per_language: dict[str, Compression]


def evaluate(encoder: Encoder, texts: Sequence[SampledText]) -> Evaluation:
    """Encode and decode ``texts``, and count."""
    counts: dict[str, list[int]] = {}
    for start in range(0, len(texts), _BATCH_TEXTS):
        batch = texts[start : start + _BATCH_TEXTS]
        encoded = encoder.encode_batch([sampled.text for sampled in batch])
        for sampled, token_ids in zip(batch, encoded, strict=True):
            measured = (
                1,
                len(sampled.text.encode("utf-8")),
                sum(1 for _ in _WORD.finditer(sampled.text)),
                len(token_ids) - 1,
                int(encoder.decode(token_ids[:-1]) != sampled.text),
            )
            sums = counts.setdefault(sampled.lang, [0] * len(measured))
            counts[sampled.lang] = [total + value for total, value in zip(sums, measured, strict=True)]
    overall = [sum(column) for column in zip([0] * 5, *counts.values(), strict=True)]
    return Evaluation(
        overall=_compression(overall),
        per_language={lang: _compression(sums) for lang, sums in sorted(counts.items())},
    )


def _compression(sums: Sequence[int]) -> Compression:
    num_documents, num_bytes, num_words, num_tokens, num_failures = sums
    return Compression(
        num_documents=num_documents,
        num_bytes=num_bytes,
        num_words=num_words,
        num_tokens=num_tokens,
        num_round_trip_failures=num_failures,
        bytes_per_token=num_bytes / num_tokens if num_tokens else None,
        tokens_per_word=num_tokens / num_words if num_words else None,
    )
