"""Which documents of an LSH bucket are compared: a linear number of pairs, chosen by the survivor order.

Comparing all pairs of a bucket is quadratic. Comparing each member with one *hub*, the best member, is linear, but a
member that is unlike the hub would never meet a third one that it is like. So a bucket has up to ``num_hubs`` hubs, its
best members. Each member is compared with the first; one that turns out to be unlike it is compared with the others.
A member that matches the first hub, as nearly all do, so costs one comparison, and in a bucket of at most ``num_hubs``
members every pair that could join two components is compared: the components are those of all pairs.

Nodes are numbers here, smaller ones being better in the survivor order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Buckets:
    """Buckets of two members or more, one after the other.

    Args:
        nodes: the members, best first within a bucket; shape (num_members,), int64. A node of several buckets is
            there several times.
        starts: for each member the place in ``nodes`` where its bucket begins.
        sizes: for each member the number of members of its bucket.
    """

    nodes: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray

    @property
    def first_hubs(self) -> np.ndarray:
        """For each member the best one of its bucket, itself perhaps; shape (num_members,)."""
        return self.nodes[self.starts]

    def other_hubs(self, places: np.ndarray, num_hubs: int) -> tuple[np.ndarray, np.ndarray]:
        """The hubs of some members' buckets without the first and without the members themselves.

        Args:
            places: which members, as places in ``nodes``.
            num_hubs: hubs of a bucket, the first included.

        Returns:
            Hubs, bucket by bucket and best first, and how many of them belong to each of ``places``.
        """
        offsets = np.arange(1, num_hubs)
        wanted = self.starts[places, None] + offsets
        is_hub = (offsets < self.sizes[places, None]) & (wanted != places[:, None])
        return self.nodes[wanted[is_hub]], is_hub.sum(axis=1)


def without_repeats(bands: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted rows, those that are there twice once."""
    is_new = np.ones(len(bands), bool)
    is_new[1:] = (bands[1:] != bands[:-1]) | (nodes[1:] != nodes[:-1])
    return bands[is_new], nodes[is_new]


def shared_buckets(bands: np.ndarray, nodes: np.ndarray) -> Buckets:
    """The buckets that two documents or more are in.

    Args:
        bands: a number for each bucket; shape (num_rows,), sorted.
        nodes: the documents, sorted within a band and distinct there.
    """
    firsts = np.flatnonzero(np.concatenate([[True], bands[1:] != bands[:-1]])[: len(bands)])
    sizes = np.diff(firsts, append=len(bands))
    shared = sizes[sizes > 1]
    starts = np.cumsum(shared) - shared
    return Buckets(nodes[np.repeat(sizes > 1, sizes)], np.repeat(starts, shared), np.repeat(shared, shared))
