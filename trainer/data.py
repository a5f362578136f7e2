"""The training tokens of a shard folder as one stream, cut into sequences, with the batch of any step in O(1).

The train shards, in the order of their names, are one stream of T tokens, whose documents were put in a global
shuffle when the shards were written. Sequence i asks a model for the tokens i x C … (i + 1) x C - 1 of it (C the
context), given the token before each; before the first stands an end-of-text.
So each token is a target exactly once an epoch, the last sequence being filled up with ignored targets. Documents
are cut at sequence borders and share a sequence with their neighbours: nothing is padded or dropped, at the price
that attention sees a few strangers before an end-of-text token.

Step k takes sequences k x B … (k + 1) x B - 1 of the endless series of epochs. Each epoch, the first one too, is a
permutation of the sequences keyed by a hash of (seed, epoch): in the shards' own order a long document would fill a
small batch alone, and the loss jump from one document to the next. The permutation is a Feistel network with cycle
walking: it is computed at the positions asked for, needs no memory, and does not depend on a library's random stream.
Nothing needs to be saved for an exact resume but the number of the step. The price is one page of the mapped file
read per sequence, instead of one stream.

Source of the permutation: Black and Rogaway 2002, "Ciphers with arbitrary finite domains", section 5; mixing by the
finaliser of SplitMix64 (Steele et al. 2014).
"""

from __future__ import annotations

import numpy as np

from pipeline import storage
from pipeline.errors import ShardError
from pipeline.hashing import hash_key
from pipeline.token_shard import ShardManifest, ShardReader, load_manifest, verify

IGNORED_TARGET = -100
"""Target id of a position that no loss counts (PyTorch's default for cross entropy)."""

_ROUNDS = 6


def open_shards(folder: str) -> ShardManifest:
    """The manifest of ``folder``, after checking the hash of every file that it names.

    Raises:
        ShardError: if the manifest or a file is missing or damaged, or there is nothing to train on.
    """
    manifest = load_manifest(folder)
    verify(folder, manifest)
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


class TokenStream:
    """Sequences of the training shards.

    Args:
        folder: the run's ``shards/``.
        manifest: as ``open_shards`` gives it.
        context_tokens: length of a sequence.
        seed: of the order of the sequences.
    """

    def __init__(self, folder: str, manifest: ShardManifest, *, context_tokens: int, seed: int) -> None:
        self._folder = folder
        self._readers = [open_shard(folder, entry.name, manifest) for entry in manifest.of_split("train")]
        self._ends = np.cumsum([reader.num_tokens for reader in self._readers])
        self._vocab_size = manifest.vocab_size
        self._eos_token_id = manifest.eos_token_id
        self._context_tokens = context_tokens
        self._seed = seed
        self.num_tokens = int(self._ends[-1])
        self.num_sequences = -(-self.num_tokens // context_tokens)

    def batch(self, step: int, sequences_per_step: int) -> tuple[np.ndarray, np.ndarray]:
        """The sequences of step ``step``, counted from 0.

        Returns:
            Input ids and target ids, each int64 of shape (sequences_per_step, context_tokens); a target that is to
            be ignored is ``IGNORED_TARGET``.

        Raises:
            ShardError: if a token id is outside the manifest's vocabulary.
        """
        indices = self.sequence_indices(step, sequences_per_step)
        windows = np.stack([self._window(int(index)) for index in indices])
        if windows.max() >= self._vocab_size:
            raise ShardError(
                f"token id {windows.max()} in {self._folder}; its manifest says vocab_size={self._vocab_size}; "
                f"write the shards again with the manifest's tokenizer"
            )
        targets = windows[:, 1:]
        inputs = np.where(windows[:, :-1] == IGNORED_TARGET, self._eos_token_id, windows[:, :-1])
        return inputs, targets

    def sequence_indices(self, step: int, sequences_per_step: int) -> np.ndarray:
        """Which sequences step ``step`` takes, shape (sequences_per_step,), int64."""
        positions = np.arange(step * sequences_per_step, (step + 1) * sequences_per_step, dtype=np.int64)
        epochs, within = np.divmod(positions, self.num_sequences)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            key = hash_key(self._seed, "epoch order", "", int(epoch))
            within[chosen] = permute(within[chosen], self.num_sequences, key)
        return within

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
        """Tokens start … end - 1 of the stream, which may run over several shards."""
        pieces = []
        shard = int(np.searchsorted(self._ends, start, side="right"))
        while start < end:
            shard_end = int(self._ends[shard])
            shard_start = shard_end - self._readers[shard].num_tokens
            stop = min(end, shard_end)
            pieces.append(self._readers[shard].tokens[start - shard_start : stop - shard_start])
            start, shard = stop, shard + 1
        return np.concatenate(pieces)


def permute(positions: np.ndarray, size: int, key: int) -> np.ndarray:
    """Where a keyed permutation of 0 … ``size`` - 1 sends ``positions``.

    Args:
        positions: int64, each below ``size``.
        size: number of elements.
        key: 64 bits that choose the permutation.

    Returns:
        Same shape, int64. Different positions go to different places.
    """
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    places = _feistel(positions.astype(np.uint64), half_bits, key)
    while (outside := places >= size).any():  # the network permutes up to 4 x size places: walk on until inside
        places[outside] = _feistel(places[outside], half_bits, key)
    return places.astype(np.int64)


def _feistel(places: np.ndarray, half_bits: int, key: int) -> np.ndarray:
    mask, shift = np.uint64((1 << half_bits) - 1), np.uint64(half_bits)
    left, right = places >> shift, places & mask
    for round_number in range(_ROUNDS):
        round_key = np.uint64((key + round_number * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
        left, right = right, left ^ (_mix(right + round_key) & mask)
    return (left << shift) | right


def _mix(values: np.ndarray) -> np.ndarray:
    """Finaliser of SplitMix64; arithmetic modulo 2^64."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
