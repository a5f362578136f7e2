"""What a step learns from, as arrays: rows of equal length, and what an encoder reads beside them if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.data import IGNORED_TARGET

NO_DOCUMENT = -1
"""Document of the positions that fill up an encoder's row: no other position is of it."""


@dataclass(frozen=True)
class Source:
    """What an encoder reads, and which positions of encoder and decoder belong together.

    Args:
        tokens: ids, int64 of shape (rows, E).
        documents: number of the document of each of them, ``NO_DOCUMENT`` behind the last; same shape.
        target_documents: of the decoder's positions, int64 of the shape of the batch's inputs.
    """

    tokens: np.ndarray
    documents: np.ndarray
    target_documents: np.ndarray


@dataclass(frozen=True)
class Batch:
    """What one step, or a process's part of it, learns from.

    Args:
        inputs: ids, int64 of shape (rows, C).
        targets: ids, ``IGNORED_TARGET`` where nothing is asked; same shape.
        prefix_lengths: positions at the start that see each other both ways, int64 of shape (rows,); None: none.
        groups: number of the group of ``[train.data.doremi]`` of each sequence, int64 of shape (rows,); None: none.
        source: what the encoder reads; None: there is no encoder.
    """

    inputs: np.ndarray
    targets: np.ndarray
    prefix_lengths: np.ndarray | None = None
    groups: np.ndarray | None = None
    source: Source | None = None

    def rows(self, chosen: slice) -> Batch:
        """Some of the rows."""
        source = self.source
        if source is not None:
            source = Source(source.tokens[chosen], source.documents[chosen], source.target_documents[chosen])
        lengths, groups = (None if array is None else array[chosen] for array in (self.prefix_lengths, self.groups))
        return Batch(self.inputs[chosen], self.targets[chosen], lengths, groups, source)


@dataclass(frozen=True)
class Example:
    """One text, of any length.

    Args:
        inputs: ids that the decoder reads, shape (num_tokens,).
        targets: what it is asked, same shape.
        source: ids that the encoder reads, shape (num_source_tokens,); None: there is no encoder.
    """

    inputs: np.ndarray
    targets: np.ndarray
    source: np.ndarray | None = None


def stack_examples(rows: Sequence[Sequence[Example]], filler: int, lengths: tuple[int, int] | None = None) -> Batch:
    """A batch whose rows are examples one after the other, filled up at the right.

    What fills up the decoder's side is given the first document, which costs nothing: nobody looks to the right, and a
    position must have something to see.

    Args:
        rows: examples of each row, all with a source or all without; each is a document.
        filler: id behind the last.
        lengths: of the encoder's and the decoder's rows; None: those of the longest.
    """
    inputs = [np.concatenate([example.inputs for example in row]) for row in rows]
    targets = [np.concatenate([example.targets for example in row]) for row in rows]
    sources = [[example.source for example in row if example.source is not None] for row in rows]
    longest = max(map(len, inputs)) if lengths is None else lengths[1]
    batch = Batch(_filled(inputs, longest, filler), _filled(targets, longest, IGNORED_TARGET))
    if not sources[0]:
        return batch
    tokens = [np.concatenate(row) for row in sources]
    longest_source = max(map(len, tokens)) if lengths is None else lengths[0]
    numbers = [np.repeat(np.arange(len(row)), [len(part) for part in row]) for row in sources]
    target_numbers = [np.repeat(np.arange(len(row)), [len(example.inputs) for example in row]) for row in rows]
    source = Source(
        _filled(tokens, longest_source, filler),
        _filled(numbers, longest_source, NO_DOCUMENT),
        _filled(target_numbers, longest, 0),
    )
    return Batch(batch.inputs, batch.targets, source=source)


def _filled(rows: Sequence[np.ndarray], length: int, filler: int) -> np.ndarray:
    """int64 of shape (rows, length)."""
    filled = np.full((len(rows), length), filler, dtype=np.int64)
    for number, row in enumerate(rows):
        filled[number, : len(row)] = row
    return filled
