"""Train one vocabulary on a sample of the corpus, or take a ready one, and measure it. Runs in a Python worker; no
Spark inside.

Training text is of split ``train``, so that held-out bits per byte are of text that the vocabulary never saw. The
report measures compression on split ``validation``, or on training text where nothing is held out, and says which.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from filters.mixture import MixtureConfig, plan_epochs
from pipeline import storage
from pipeline.errors import ConfigError
from tokenizer_training.encoder import Encoder
from tokenizer_training.evaluate import evaluate
from tokenizer_training.sample_text import DocumentIndex, SampledText, index_documents, sample_texts
from tokenizer_training.tokenizer_config import Kind, TokenizerConfig
from tokenizer_training.train_bpe import train_bpe
from tokenizer_training.train_unigram import train_unigram

VERSION = "1"

_TRAINERS = {"bpe": train_bpe, "unigram": train_unigram}


def train(corpus_files: Sequence[str], kind: Kind, config: TokenizerConfig, output_path: str) -> dict[str, Any]:
    """Train a vocabulary and write it in Hugging Face's format.

    Args:
        corpus_files: Parquet files of ``pipeline.schema.CORPUS``; their order does not matter.
        kind: algorithm, one of ``config.candidates``.
        config: sample, vocabulary and pre-tokenizer.
        output_path: path or URL of the ``tokenizer.json`` to write.

    Returns:
        The report: ``kind``, ``vocab_size`` (as trained), ``eos_token_id``, ``tokenizer_sha256``,
        ``sample_bytes`` by language, ``evaluated_split``, and ``evaluation`` (``tokenizer_training.evaluate``).

    Raises:
        ConfigError: if the corpus has no training text.
    """
    index = index_documents(corpus_files, "train", config.seed)
    sample = _balanced_sample(index, config.sample_bytes, config)
    if not sample:
        raise ConfigError(
            f"no text of split 'train' in {len(corpus_files)} corpus files; expected some to train a tokenizer on; "
            f"loosen the filters, or raise the mixture's budget"
        )
    tokenizer = _TRAINERS[kind]((sampled.text for sampled in sample), config)
    storage.write_bytes(output_path, tokenizer.to_str(pretty=True).encode("utf-8"))
    return _report(corpus_files, kind, config, output_path, index, _bytes_by_language(sample))


def take_ready(corpus_files: Sequence[str], path: str, config: TokenizerConfig, output_path: str) -> dict[str, Any]:
    """Copy the ``tokenizer.json`` at ``path`` to ``output_path``; the report as of ``train``, without a sample.

    Raises:
        ConfigError: if it is missing, no tokenizer, or has no ``config.eos_token``.
    """
    Encoder(path, eos_token=config.eos_token)
    content = storage.read_bytes(path)
    storage.write_bytes(output_path, content)
    kind = json.loads(content)["model"]["type"].lower()
    return _report(corpus_files, kind, config, output_path, index_documents(corpus_files, "train", config.seed), {})


def _report(
    corpus_files: Sequence[str],
    kind: str,
    config: TokenizerConfig,
    output_path: str,
    index: DocumentIndex,
    sample_bytes: dict[str, int],
) -> dict[str, Any]:
    """What ``train`` returns; ``index`` is of the training text."""
    encoder = Encoder(output_path, eos_token=config.eos_token, parallel=True)
    held_out = index_documents(corpus_files, "validation", config.seed)
    evaluated = "validation" if len(held_out.key) else "train"
    texts = _balanced_sample(held_out if len(held_out.key) else index, config.evaluation_bytes, config)
    return {
        "kind": kind,
        "vocab_size": encoder.vocab_size,
        "eos_token_id": encoder.eos_token_id,
        "tokenizer_sha256": encoder.sha256,
        "sample_bytes": sample_bytes,
        "evaluated_split": evaluated,
        "evaluation": evaluate(encoder, texts).model_dump(mode="json"),
    }


def _balanced_sample(index: DocumentIndex, num_bytes: int, config: TokenizerConfig) -> list[SampledText]:
    """``num_bytes`` of text, divided among languages by the config's temperature; no document twice."""
    totals = index.bytes_by_language()
    plan = plan_epochs(totals, MixtureConfig(alpha=config.language_alpha, budget_bytes=num_bytes, max_epochs=1))
    return sample_texts(index, {lang: round(plan.epochs[lang] * totals[lang]) for lang in totals})


def _bytes_by_language(sample: Sequence[SampledText]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for sampled in sample:
        totals[sampled.lang] = totals.get(sampled.lang, 0) + len(sampled.text.encode("utf-8"))
    return dict(sorted(totals.items()))
