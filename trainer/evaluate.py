"""Held-out bits per byte, overall, per language and per domain.

Convention: bits per byte = sum of -log2 p(token) over the tokens of the scored documents, the end-of-text token of
each included, divided by the UTF-8 bytes of their texts. The end-of-text token costs bits but has no bytes: a model
pays for saying where a text ends. Bytes do not depend on the tokenizer, so vocabularies compare.

Each document is scored from its own start, every token of it exactly once (``trainer/scoring.py``), by an
encoder-decoder too: piece by piece as the continuation of what comes before.

With ``max_tokens`` a part of the documents is scored, whole: from each language of each shard its share, in the
order of a hash of the document's id, so that the choice does not depend on how shards were written.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict
from tokenizers import Tokenizer

from pipeline import storage
from pipeline.errors import ShardError
from pipeline.hashing import hash_keys
from pipeline.token_shard import ShardManifest, ShardReader, read_docs
from trainer.checkpoint import load_own_checkpoint, load_weights, run_identity
from trainer.config import TrainConfig
from trainer.data import open_shard, open_shards
from trainer.device import choose_device, compute_threads
from trainer.model import make_model
from trainer.scoring import score_documents
from trainer.unigram import unigram_nats


class Score(BaseModel):
    """Bits per byte of one set of documents, of the model and of the unigram baseline."""

    model_config = ConfigDict(frozen=True)

    bits_per_byte: float
    unigram_bits_per_byte: float
    bits_per_token: float
    perplexity: float  # per token: 2 to the bits per token
    bits_per_character: float | None = None  # Unicode code points; None without the tokenizer
    bits_per_word: float | None = None  # runs between white space; the end-of-text tokens' bits are shared out
    tokens: int  # end-of-text tokens included
    bytes: int  # UTF-8 bytes of text
    documents: int


class Evaluation(BaseModel):
    """``evaluation.json``."""

    model_config = ConfigDict(frozen=True)

    step: int  # of the checkpoint
    overall: Score
    per_language: dict[str, Score]
    per_domain: dict[str, Score]


@dataclass(frozen=True)
class _Document:
    reader: ShardReader
    index: int
    lang: str
    domain: str
    num_bytes: int

    def tokens(self) -> np.ndarray:
        return self.reader[self.index]

    @property
    def num_tokens(self) -> int:
        return int(self.reader.lengths[self.index])


def evaluate(
    config: TrainConfig,
    shards: str,
    output: str,
    *,
    validation: str | None = None,
    tokenizer: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score the last checkpoint of ``output`` on the validation shards, and write ``evaluation.json`` there.

    Args:
        config: as it was trained with.
        shards: the shards it was trained on.
        output: as given to ``train``.
        validation: folder whose validation shards are scored, made with the same tokenizer; None: ``shards``. Models
            trained on different data compare on the same held-out text only.
        tokenizer: ``tokenizer.json`` of the shards, to count characters and words; None: they are not counted.
        on_progress: called with windows scored and windows in all.

    Raises:
        ShardError: if there is no checkpoint, no validation document, a file is damaged, or ``validation`` was made
            with another tokenizer.
        ConfigError: if the checkpoint is of another run.
    """
    manifest = open_shards(shards)
    checkpoint = load_own_checkpoint(output, run_identity(config, manifest))
    if checkpoint is None:
        raise ShardError(f"no checkpoint in {output}/checkpoint; expected step-*.npz; train first")
    device = choose_device(config.device)
    num_ids = manifest.vocab_size + config.objective.num_special_ids
    model = make_model(config.model, num_ids, seed=config.seed).to(device)
    load_weights(model, checkpoint)
    held_out = validation or shards
    documents = _choose(_documents(held_out, _held_out_manifest(manifest, held_out)), config.evaluation.max_tokens)
    if not documents:
        raise ShardError(f"{held_out} has no validation document; expected shards of split 'validation'; hold some out")
    with compute_threads(config.num_threads):
        tokens = [document.tokens() for document in documents]
        nats = score_documents(model, tokens, manifest.eos_token_id, config, on_progress)
    unigram = unigram_nats(shards, manifest)
    baseline = np.array([unigram[ids].sum() for ids in tokens])
    lengths = None if tokenizer is None else text_lengths(tokenizer, manifest, tokens)
    evaluation = _evaluation(checkpoint.step, documents, nats, baseline, lengths)
    storage.write_json(storage.join(output, "evaluation.json"), evaluation.model_dump(mode="json"))
    return evaluation


def _held_out_manifest(trained: ShardManifest, folder: str) -> ShardManifest:
    manifest = open_shards(folder)
    if manifest.tokenizer_sha256 != trained.tokenizer_sha256:
        raise ShardError(
            f"{folder} was made with the tokenizer {manifest.tokenizer_sha256[:12]}, the training shards with "
            f"{trained.tokenizer_sha256[:12]}; expected the same; write the held-out text with the training's tokenizer"
        )
    return manifest


def _documents(shards: str, manifest: ShardManifest) -> list[_Document]:
    """Every validation document, in an order that depends on ids alone."""
    keyed = []
    for entry in manifest.of_split("validation"):
        reader = open_shard(shards, entry.name, manifest)
        rows = read_docs(reader.prefix)
        if rows["num_tokens"].to_pylist() != reader.lengths.tolist():
            raise ShardError(f"{reader.prefix}.docs.parquet does not list the sequences of its shard; write them again")
        keys = hash_keys(manifest.seed, "evaluation", rows["doc_id"].to_pylist())
        columns = (rows[name].to_pylist() for name in ("doc_id", "lang", "domain", "num_bytes"))
        for index, (doc_id, lang, domain, num_bytes) in enumerate(zip(*columns, strict=True)):
            keyed.append((int(keys[index]), doc_id, _Document(reader, index, lang, domain, num_bytes)))
    return [document for _, _, document in sorted(keyed, key=lambda item: item[:2])]


def _choose(documents: list[_Document], max_tokens: int | None) -> list[_Document]:
    """The first documents of each language and domain, up to their share of ``max_tokens`` and at least one."""
    num_tokens = sum(document.num_tokens for document in documents)
    if max_tokens is None or num_tokens <= max_tokens:
        return documents
    in_stratum: dict[tuple[str, str], int] = {}
    for document in documents:
        stratum = (document.lang, document.domain)
        in_stratum[stratum] = in_stratum.get(stratum, 0) + document.num_tokens
    taken = dict.fromkeys(in_stratum, 0)
    chosen = []
    for document in documents:
        stratum = (document.lang, document.domain)
        length = document.num_tokens
        if taken[stratum] == 0 or (taken[stratum] + length) * num_tokens <= max_tokens * in_stratum[stratum]:
            taken[stratum] += length
            chosen.append(document)
    return chosen


def text_lengths(tokenizer: str, manifest: ShardManifest, documents: list[np.ndarray]) -> np.ndarray:
    """Characters and words of each document's text, int64 of shape (num_documents, 2).

    Raises:
        ShardError: if ``tokenizer`` is not the one that made the shards.
    """
    content = storage.read_bytes(tokenizer)
    found = hashlib.sha256(content).hexdigest()
    if found != manifest.tokenizer_sha256:
        raise ShardError(
            f"{tokenizer} has sha256 {found[:12]}; the shards were made with {manifest.tokenizer_sha256[:12]}; "
            f"expected the same; name the run's tokenizer/tokenizer.json"
        )
    decoder = Tokenizer.from_buffer(content)
    texts = decoder.decode_batch([ids.tolist() for ids in documents], skip_special_tokens=True)
    return np.array([(len(text), len(text.split())) for text in texts], dtype=np.int64)


def _evaluation(
    step: int, documents: list[_Document], nats: np.ndarray, baseline: np.ndarray, lengths: np.ndarray | None
) -> Evaluation:
    def score(members: list[int]) -> Score:
        num_bytes = sum(documents[i].num_bytes for i in members)
        num_tokens = sum(documents[i].num_tokens for i in members)
        bits, unigram_bits = (float(values[members].sum()) / math.log(2) for values in (nats, baseline))
        return Score(
            bits_per_byte=bits / num_bytes,
            unigram_bits_per_byte=unigram_bits / num_bytes,
            bits_per_token=bits / num_tokens,
            perplexity=2 ** (bits / num_tokens),
            **per_unit(bits, members),
            tokens=num_tokens,
            bytes=num_bytes,
            documents=len(members),
        )

    def per_unit(bits: float, members: list[int]) -> dict[str, float | None]:
        if lengths is None:
            return {}
        characters, words = (int(total) for total in lengths[members].sum(axis=0))
        return {
            "bits_per_character": bits / characters if characters else None,
            "bits_per_word": bits / words if words else None,
        }

    def by(key: Callable[[_Document], str]) -> dict[str, Score]:
        groups: dict[str, list[int]] = {}
        for number, document in enumerate(documents):
            groups.setdefault(key(document), []).append(number)
        return {name: score(groups[name]) for name in sorted(groups)}

    return Evaluation(
        step=step,
        overall=score(list(range(len(documents)))),
        per_language=by(lambda document: document.lang),
        per_domain=by(lambda document: document.domain),
    )
