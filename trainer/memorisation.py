"""How much of its training text a model can recite, against how often it has seen it.

From training documents that are long enough a passage is drawn; the model gets its first half and continues greedily;
it has memorised the passage if it gives the second half token for token. How often the model has seen a document is its
copies in the shards times the epochs over them.

Source: Chowdhery et al. 2022 (PaLM), section 10: passages of 100 tokens, prompted with 50, and the growth with the
number of times a passage occurs; after Carlini et al. 2022.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from pydantic import BaseModel, ConfigDict

from pipeline.errors import ConfigError
from pipeline.hashing import hash_keys
from pipeline.token_shard import ShardReader, read_docs
from trainer.continuations import continue_greedily
from trainer.data import open_shard, open_shards
from trainer.trained_model import TrainedModel

_BATCH_ROWS = 64


class Recited(BaseModel):
    """Passages of documents that occur equally often in the shards."""

    model_config = ConfigDict(frozen=True)

    copies: int
    num_passages: int
    num_recited: int

    @property
    def share(self) -> float:
        """Of the passages, those that are recited."""
        return self.num_recited / self.num_passages


class Memorisation(BaseModel):
    """What a model recites."""

    model_config = ConfigDict(frozen=True)

    passage_tokens: int
    prompt_tokens: int
    by_copies: tuple[Recited, ...]

    @property
    def share(self) -> float:
        """Of all passages, those that are recited."""
        return sum(row.num_recited for row in self.by_copies) / sum(row.num_passages for row in self.by_copies)


def measure_memorisation(
    model: TrainedModel,
    shards: str,
    *,
    passage_tokens: int = 100,
    prompt_tokens: int = 50,
    passages_per_count: int = 256,
    seed: int = 0,
) -> Memorisation:
    """Recitation by number of copies.

    Args:
        model: trained on ``shards``.
        shards: folder of its training shards.
        passage_tokens: length of a passage.
        prompt_tokens: how much of it the model is given.
        passages_per_count: documents drawn for each number of copies; all where there are fewer.
        seed: of documents and of where in them the passage begins.

    Raises:
        ConfigError: if passages do not fit into the context, the shards are of another tokenizer, or no document is
            long enough.
        ShardError: if the shards are damaged.
    """
    manifest = open_shards(shards)
    if manifest.tokenizer_sha256 != model.tokenizer_sha256:
        raise ConfigError(
            f"{shards} was made with the tokenizer {manifest.tokenizer_sha256[:12]}, the model's shards with "
            f"{model.tokenizer_sha256[:12]}; expected the shards that it was trained on; correct the path"
        )
    if not 0 < prompt_tokens < passage_tokens <= model.network.config.context_tokens:
        raise ConfigError(
            f"passage_tokens={passage_tokens} with prompt_tokens={prompt_tokens} in a context of "
            f"{model.network.config.context_tokens}; expected 0 < prompt < passage <= context; shorten the passage"
        )
    documents, copies = _training_documents(shards, passage_tokens)
    if not documents:
        raise ConfigError(f"no training document in {shards} has {passage_tokens} tokens; shorten passage_tokens")
    rows = []
    for count in sorted(set(copies.values())):
        names = sorted(name for name in documents if copies[name] == count)
        order = np.argsort(hash_keys(seed, "memorisation", names), kind="stable")
        chosen = [names[index] for index in order[:passages_per_count]]
        passages = np.stack([_passage(*documents[name], name, passage_tokens, seed) for name in chosen])
        recited = 0
        for start in range(0, len(passages), _BATCH_ROWS):
            batch = passages[start : start + _BATCH_ROWS]
            told = continue_greedily(
                model.network, batch[:, :prompt_tokens], passage_tokens - prompt_tokens, form=model.form
            )
            recited += int((told == batch[:, prompt_tokens:]).all(axis=1).sum())
        rows.append(Recited(copies=count, num_passages=len(passages), num_recited=recited))
    return Memorisation(passage_tokens=passage_tokens, prompt_tokens=prompt_tokens, by_copies=tuple(rows))


def _training_documents(shards: str, least_tokens: int) -> tuple[dict[str, tuple[ShardReader, int]], Counter[str]]:
    """Where a copy of each document that is long enough stands, and how many copies there are."""
    manifest = open_shards(shards)
    places: dict[str, tuple[ShardReader, int]] = {}
    copies: Counter[str] = Counter()
    for entry in manifest.of_split("train"):
        reader = open_shard(shards, entry.name, manifest)
        table = read_docs(reader.prefix)
        for index, (doc_id, num_tokens) in enumerate(
            zip(table["doc_id"].to_pylist(), table["num_tokens"].to_pylist(), strict=True)
        ):
            if num_tokens > least_tokens:  # its end-of-text token is no part of a passage
                places.setdefault(doc_id, (reader, index))
                copies[doc_id] += 1
    return places, copies


def _passage(reader: ShardReader, index: int, name: str, length: int, seed: int) -> np.ndarray:
    tokens = np.asarray(reader[index], dtype=np.int64)
    start = int(hash_keys(seed, "passage", [name])[0]) % (len(tokens) - length)
    return tokens[start : start + length]
