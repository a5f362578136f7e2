"""The training tokens of a shard folder as one stream, cut into sequences, with the batch of any step in O(1).

The train shards, in the order of their names, are one stream of T tokens, whose documents were put in a global
shuffle when the shards were written. Sequence i asks a model for the tokens i x C … (i + 1) x C - 1 of it (C the
context), given the token before each; before the first stands an end-of-text.
So each token is a target exactly once an epoch, the last sequence being filled up with ignored targets. Documents
are cut at sequence borders and share a sequence with their neighbours: nothing is padded or dropped, at the price
that attention sees a few strangers before an end-of-text token.

Step k takes sequences k x B … (k + 1) x B - 1 of the endless series of epochs. Each epoch, the first one too, is a
permutation of the sequences keyed by a hash of (seed, epoch): in the shards' own order a long document would fill a
small batch alone, and the loss jump from one document to the next. The permutation (``permutation.py``) is computed
at the positions asked for. Nothing needs to be saved for an exact resume but the number of the step, and how many
processes share a step has no say. The price is one page of the mapped file read per sequence, instead of one stream.

With weights (``[train.data]``, ``mixed_stream.py``) each language, domain or shard is such a stream of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline import storage
from pipeline.errors import ShardError
from pipeline.hashing import hash_key
from pipeline.token_shard import ShardManifest, ShardReader, dtype_for_vocab, load_manifest, verify
from trainer.permutation import permute

IGNORED_TARGET = -100
"""Target id of a position that no loss counts (PyTorch's default for cross entropy)."""


def open_shards(folder: str) -> ShardManifest:
    """The manifest of ``folder``, after checking the hash of every file that it names.

    Raises:
        ShardError: if the manifest or a file is missing or damaged, its token type does not hold its vocabulary, or
            there is nothing to train on.
    """
    manifest = load_manifest(folder)
    verify(folder, manifest)
    expected = dtype_for_vocab(manifest.vocab_size).name
    if manifest.dtype != expected:
        raise ShardError(
            f"{folder}/manifest.json says dtype {manifest.dtype} for vocab_size={manifest.vocab_size}; expected "
            f"{expected}, which holds its ids; write the shards again with this tokenizer"
        )
    if not sum(entry.num_tokens for entry in manifest.of_split("train")):
        raise ShardError(f"{folder}/manifest.json names no training tokens; expected a shard of split 'train'")
    return manifest


def open_shard(folder: str, name: str, manifest: ShardManifest) -> ShardReader:
    """Reader of one shard, checked against its manifest.

    Raises:
        ShardError: if token type or number of tokens differ from the manifest's.
    """
    reader = ShardReader(storage.join(folder, name))
    expected = next(entry.num_tokens for entry in manifest.shards if entry.name == name)
    if (reader.dtype.name, reader.num_tokens) != (manifest.dtype, expected):
        raise ShardError(
            f"shard {reader.prefix} holds {reader.num_tokens} tokens of {reader.dtype.name}; its manifest says "
            f"{expected} of {manifest.dtype}; write the shards again"
        )
    return reader


@dataclass(frozen=True)
class Pieces:
    """Stretches of training shards that make up a stream, one after the other.

    Args:
        shard: number of the shard among the train shards, shape (num_pieces,).
        start: first token in it, same shape.
        length: number of tokens, same shape.
    """

    shard: np.ndarray
    start: np.ndarray
    length: np.ndarray


class TokenStream:
    """Sequences of the training shards.

    Args:
        readers: of the train shards, in the order of their names.
        context_tokens: length of a sequence.
        seed: of the order of the sequences.
        eos_token_id: stands before the first token.
        pieces: what of the shards makes up the stream; None: all.
        name: of the stream, where there are several; its order depends on it.
    """

    def __init__(
        self,
        readers: list[ShardReader],
        *,
        context_tokens: int,
        seed: int,
        eos_token_id: int,
        pieces: Pieces | None = None,
        name: str = "",
    ) -> None:
        lengths = np.array([reader.num_tokens for reader in readers])
        self._readers = readers
        self._pieces = pieces or Pieces(np.arange(len(readers)), np.zeros_like(lengths), lengths)
        self._ends = np.cumsum(self._pieces.length)
        self._context_tokens = context_tokens
        self._seed = seed
        self._eos_token_id = eos_token_id
        self._name = name
        self.num_tokens = int(self._ends[-1])
        self.num_sequences = -(-self.num_tokens // context_tokens)

    def windows(self, positions: np.ndarray) -> np.ndarray:
        """The sequences at ``positions`` of the endless series of epochs, each with the token before it.

        Returns:
            int64, shape (num_positions, context_tokens + 1), filled up with ``IGNORED_TARGET``.
        """
        return np.stack([self._window(int(index)) for index in self.sequence_indices(positions)])

    def sequence_indices(self, positions: np.ndarray) -> np.ndarray:
        """Which sequences stand at ``positions``, int64 of the same shape."""
        epochs, within = np.divmod(positions, self.num_sequences)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            key = hash_key(self._seed, "epoch order", self._name, int(epoch))
            within[chosen] = permute(within[chosen], self.num_sequences, key)
        return within

    def epochs(self, num_sequences: int) -> dict[str, float]:
        """How often the stream has been gone through after ``num_sequences`` sequences; by name where it has one."""
        return {self._name: num_sequences / self.num_sequences} if self._name else {}

    def _window(self, index: int) -> np.ndarray:
        """Tokens index x C - 1 … (index + 1) x C - 1 of the stream, shape (C + 1,), int64."""
        start = index * self._context_tokens
        window = np.full(self._context_tokens + 1, IGNORED_TARGET, dtype=np.int64)
        window[0] = self._eos_token_id
        first = max(start - 1, 0)
        tokens = self._tokens(first, min(start + self._context_tokens, self.num_tokens))
        offset = first - (start - 1)
        window[offset : offset + len(tokens)] = tokens
        return window

    def _tokens(self, start: int, end: int) -> np.ndarray:
        """Tokens start … end - 1 of the stream, which may run over several pieces."""
        found = []
        piece = int(np.searchsorted(self._ends, start, side="right"))
        while start < end:
            piece_end = int(self._ends[piece])
            stop = min(end, piece_end)
            shift = int(self._pieces.start[piece] + self._pieces.length[piece]) - piece_end
            found.append(self._readers[int(self._pieces.shard[piece])].tokens[start + shift : stop + shift])
            start, piece = stop, piece + 1
        return np.concatenate(found)
