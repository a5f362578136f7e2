"""The next batch is made while this one is learned from."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from trainer.batch import Batch
from trainer.mixed_stream import Batches


class Prefetcher:
    """Batches in the order of a run, one ahead.

    A run that goes back or skips batches asks for another one than was expected; that one is then made at once.
    """

    def __init__(self, batches: Batches, rows: slice, num_batches: int, pool: ThreadPoolExecutor) -> None:
        self._batches = batches
        self._rows = rows
        self._num_batches = num_batches
        self._pool = pool
        self._number = -1
        self._next: Future[Batch] | None = None

    def take(self, number: int) -> Batch:
        """Batch ``number``; the one after it is begun."""
        if self._next is None or self._number != number:
            self._begin(number)
        assert self._next is not None
        batch = self._next.result()
        self._next = None
        if number + 1 < self._num_batches:
            self._begin(number + 1)
        return batch

    def _begin(self, number: int) -> None:
        self._number = number
        self._next = self._pool.submit(self._batches.batch, number, self._rows)


@contextmanager
def prefetching(batches: Batches, rows: slice, num_batches: int) -> Iterator[Prefetcher]:
    """A prefetcher with its thread.

    Args:
        batches: of the run.
        rows: of each batch, those of this process.
        num_batches: of the run; none is begun behind the last.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
        yield Prefetcher(batches, rows, num_batches, pool)
