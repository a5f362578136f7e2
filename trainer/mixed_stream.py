"""Training batches: from one stream of all shards, or from one stream a group, mixed by weights that may change.

A phase of S sequences gives group g its share of them by largest remainders, exactly n_g with sum S. Which of the S
places fall to which group is a keyed permutation: place p is sequence number p' of the phase's list, in which the n_1
sequences of the first group stand before the n_2 of the second. So the batch of any step is found in O(batch x groups),
every phase's shares hold to the sequence, and nothing but the step is needed to go on. A group's stream is cut into
sequences within the group: at the price of mixing documents of one language only, a sequence is of one group.

For DoReMi groups take turns instead, so that every step has as many sequences of each (``EvenStream``).

Each group counts its own epochs through all phases. After the last phase, which only a run that has skipped batches
reaches, the phase is repeated with the next sequences of its groups.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from pipeline.errors import ConfigError, ShardError
from pipeline.hashing import hash_key
from pipeline.token_shard import ShardManifest, ShardReader, read_docs
from trainer.batch import Batch
from trainer.config import TrainConfig
from trainer.data import Pieces, TokenStream, open_shard
from trainer.data_config import DataConfig
from trainer.objectives import Objective
from trainer.permutation import permute
from trainer.seq2seq import Seq2SeqObjective


class Sequences(Protocol):
    """An endless series of sequences, by position."""

    num_tokens: int

    def windows(self, positions: np.ndarray) -> np.ndarray:
        """As ``TokenStream.windows``."""

    def epochs(self, num_sequences: int) -> dict[str, float]:
        """Times each group has been gone through after ``num_sequences`` sequences."""


class Batches:
    """The batch of any step of a training run.

    Args:
        config: the run.
        shards: folder of the shards.
        manifest: theirs, as ``open_shards`` gives it.

    Attributes:
        sequences: where they come from.

    Raises:
        ConfigError: if a weight names no group.
        ShardError: if a shard is not as its manifest says.
    """

    def __init__(self, config: TrainConfig, shards: str, manifest: ShardManifest) -> None:
        self._shards, self._vocab_size = shards, manifest.vocab_size
        what = (config.objective, manifest.vocab_size, manifest.eos_token_id, config.seed)
        self._objective = Objective(*what)
        if config.model.kind == "encoder_decoder":
            self._objective = Seq2SeqObjective(*what, document_masking=config.document_masking)
        self._config = config
        readers = [open_shard(shards, entry.name, manifest) for entry in manifest.of_split("train")]
        common: dict[str, Any] = {
            "context_tokens": config.model.context_tokens,
            "seed": config.seed,
            "eos_token_id": manifest.eos_token_id,
        }
        self.sequences: Sequences
        self._even: EvenStream | None = None
        if config.data is None:
            self.sequences = TokenStream(readers, **common)
            return
        pieces = _pieces_by_group(config.data, readers, manifest)
        streams = {
            name: TokenStream(readers, pieces=group, name=name, **common) for name, group in sorted(pieces.items())
        }
        if config.data.doremi is not None:
            self.sequences = self._even = EvenStream([streams[name] for name in config.data.doremi.groups])
            return
        self.sequences = MixedStream(streams, config.data, config.sequences_before(config.steps), config.seed)

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """What step ``step``, counted from 0, learns from.

        Args:
            rows: those wanted of the step's sequences; a process of several takes its part.

        Raises:
            ShardError: if a token id is outside the manifest's vocabulary.
        """
        ends = (self._config.sequences_before(step), self._config.sequences_before(step + 1))
        positions = np.arange(*ends, dtype=np.int64)[rows]
        windows = self.sequences.windows(positions)
        if windows.max() >= self._vocab_size:
            raise ShardError(
                f"token id {windows.max()} in {self._shards}; its manifest says vocab_size={self._vocab_size}; "
                f"write the shards again with the manifest's tokenizer"
            )
        batch = self._objective.batch(windows, positions)
        return batch if self._even is None else replace(batch, groups=self._even.groups(positions))


@dataclass(frozen=True)
class _Phase:
    first: int  # position of its first sequence
    counts: np.ndarray  # sequences of each group, (num_groups,)
    before: np.ndarray  # sequences of each group in earlier phases, (num_groups,)
    key: int


class MixedStream:
    """Sequences of several streams.

    Args:
        streams: by group; their order is that of the shares.
        config: weights and phases.
        num_sequences: of the whole run.
        seed: of the order in which groups follow each other.
    """

    def __init__(self, streams: dict[str, TokenStream], config: DataConfig, num_sequences: int, seed: int) -> None:
        self._streams = streams
        self.num_tokens = sum(stream.num_tokens for stream in streams.values())
        ends = np.round(np.cumsum([phase.fraction for phase in config.phases]) * num_sequences).astype(np.int64)
        before = np.zeros(len(streams), dtype=np.int64)
        self._phases: list[_Phase] = []
        first = 0
        for number, (phase, end) in enumerate(zip(config.phases, ends, strict=True)):
            if end == first:
                continue  # a fraction of too few steps
            weights = np.array([phase.weights.get(name, 0.0) for name in streams])
            counts = apportion(weights, int(end) - first)
            self._phases.append(_Phase(first, counts, before, hash_key(seed, "mixture order", "", number)))
            before, first = before + counts, int(end)

    def windows(self, positions: np.ndarray) -> np.ndarray:
        """As ``TokenStream.windows``."""
        groups, within = self.places(positions)
        found: dict[int, np.ndarray] = {}
        for number, stream in enumerate(self._streams.values()):
            rows = np.flatnonzero(groups == number)
            if len(rows):
                found.update(zip(rows.tolist(), stream.windows(within[rows]), strict=True))
        return np.stack([found[row] for row in range(len(positions))])

    def places(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of the group at each position, and the position in that group's own series; int64."""
        firsts = np.array([phase.first for phase in self._phases])
        in_phase = np.searchsorted(firsts, positions, side="right") - 1
        groups, within = np.empty_like(positions), np.empty_like(positions)
        for number in np.unique(in_phase):
            phase, chosen = self._phases[number], in_phase == number
            size = int(phase.counts.sum())
            rounds, place = np.divmod(positions[chosen] - phase.first, size)
            place = permute(place, size, phase.key)
            ends = np.cumsum(phase.counts)
            group = np.searchsorted(ends, place, side="right")
            groups[chosen] = group
            earlier = phase.before[group] + rounds * phase.counts[group]
            within[chosen] = earlier + place - (ends - phase.counts)[group]
        return groups, within

    def epochs(self, num_sequences: int) -> dict[str, float]:
        """As ``TokenStream.epochs``; counted, not expected."""
        taken = np.zeros(len(self._streams), dtype=np.int64)
        for start in range(0, num_sequences, 1 << 20):
            groups, _ = self.places(np.arange(start, min(num_sequences, start + (1 << 20)), dtype=np.int64))
            taken += np.bincount(groups, minlength=len(taken))
        return {
            name: int(count) / stream.num_sequences
            for (name, stream), count in zip(self._streams.items(), taken, strict=True)
        }


class EvenStream:
    """Sequences of several streams in turn, so that any step has as many of each, or one more.

    Args:
        streams: in the order in which they take turns.
    """

    def __init__(self, streams: list[TokenStream]) -> None:
        self._streams = streams
        self.num_tokens = sum(stream.num_tokens for stream in streams)

    def groups(self, positions: np.ndarray) -> np.ndarray:
        """Number of the stream at each position; int64."""
        return positions % len(self._streams)

    def windows(self, positions: np.ndarray) -> np.ndarray:
        """As ``TokenStream.windows``."""
        turns, groups = np.divmod(positions, len(self._streams))
        found = [self._streams[group].windows(turns[[row]]) for row, group in enumerate(groups.tolist())]
        return np.concatenate(found)

    def epochs(self, num_sequences: int) -> dict[str, float]:
        """As ``TokenStream.epochs``."""
        rounds, extra = divmod(num_sequences, len(self._streams))
        taken = [rounds + (number < extra) for number in range(len(self._streams))]
        epochs = [stream.epochs(count) for stream, count in zip(self._streams, taken, strict=True)]
        return {name: value for found in epochs for name, value in found.items()}


def apportion(weights: np.ndarray, seats: int) -> np.ndarray:
    """``seats`` divided by ``weights`` in whole numbers: largest remainders, the earlier group first among equals.

    Returns:
        int64, shape of ``weights``, with sum ``seats``.
    """
    quotas = weights / weights.sum() * seats
    counts = np.floor(quotas).astype(np.int64)
    order = np.argsort(-(quotas - counts), kind="stable")
    counts[order[: seats - int(counts.sum())]] += 1
    return counts


def _pieces_by_group(config: DataConfig, readers: list[ShardReader], manifest: ShardManifest) -> dict[str, Pieces]:
    """The documents of each group that a phase wants, in the order of the shards."""
    names: list[np.ndarray] = []
    for entry, reader in zip(manifest.of_split("train"), readers, strict=True):
        if config.by == "shard":
            names.append(np.full(len(reader), entry.name, dtype=object))
        else:
            names.append(np.array(read_docs(reader.prefix)[config.by].to_pylist(), dtype=object))
    known = np.concatenate(names)
    shard = np.repeat(np.arange(len(readers)), [len(reader) for reader in readers])
    length = np.concatenate([np.asarray(reader.lengths, dtype=np.int64) for reader in readers])
    start = np.concatenate([np.cumsum(reader.lengths, dtype=np.int64) - reader.lengths for reader in readers])
    wanted = {name for phase in config.phases for name, weight in phase.weights.items() if weight > 0}
    wanted |= set(() if config.doremi is None else config.doremi.groups)
    unknown = sorted(wanted - set(known))
    if unknown:
        raise ConfigError(
            f"[train.data] weighs {config.by} {unknown[0]!r}, of which the shards have no training document; they have "
            f"{', '.join(sorted(set(known)))}; correct the name"
        )
    return {name: Pieces(shard[known == name], start[known == name], length[known == name]) for name in wanted}
