"""What a search starts from, the text of each group, and what it ends with, a weight for each.

A search draws sequences, so its weights are shares of tokens. Sampling divides bytes: there a group's share is its
share of tokens times its bytes per token, which the shards tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from pipeline.errors import ConfigError
from pipeline.mixture_file import SAMPLING, TRAINING, mixture_toml
from pipeline.token_shard import ShardManifest, read_docs
from trainer.data import open_shard

LEVEL = 0.95
"""Of the intervals."""

_T_DRAWS = 200_000


@dataclass(frozen=True)
class Groups:
    """The training text of a shard folder by group, in the order of their names.

    Args:
        by: ``lang`` or ``domain``.
        names: of the groups.
        tokens: of each, repeats counted, float64 of shape (num_groups,).
        num_bytes: UTF-8 bytes of each, same shape.
    """

    by: str
    names: tuple[str, ...]
    tokens: np.ndarray
    num_bytes: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Of the tokens that there are."""
        return self.tokens / self.tokens.sum()

    def byte_shares(self, shares: np.ndarray) -> np.ndarray:
        """Shares of tokens as shares of bytes, shape (num_groups,)."""
        weighted = shares * self.num_bytes / self.tokens
        return weighted / weighted.sum()


class GroupWeight(BaseModel):
    """One group of a mixture."""

    model_config = ConfigDict(frozen=True)

    group: str
    share_now: float  # of the shards' tokens
    weight: float  # share of tokens
    interval: tuple[float, float] | None  # of the weight, 95 %; None where there is nothing to tell it from
    byte_weight: float  # the same mixture as a share of bytes


class FoundMixture(BaseModel):
    """The result of a search."""

    model_config = ConfigDict(frozen=True)

    method: Literal["doremi", "regmix"]
    by: str
    groups: tuple[GroupWeight, ...]
    num_runs: int  # trainings that it took
    facts: dict[str, float]  # what else the method tells, by name

    def toml(self) -> str:
        """The file that ``[train.data]`` and ``[mixture]`` read."""
        shares = {
            SAMPLING: {found.group: found.byte_weight for found in self.groups},
            TRAINING: {found.group: found.weight for found in self.groups},
        }
        return mixture_toml(self.by, shares)


def measure_groups(shards: str, manifest: ShardManifest, by: str) -> Groups:
    """Tokens and bytes of each language or domain of the training shards, from the tables beside them.

    Raises:
        ConfigError: if there is one group only.
    """
    tokens: dict[str, int] = {}
    num_bytes: dict[str, int] = {}
    for entry in manifest.of_split("train"):
        rows = read_docs(open_shard(shards, entry.name, manifest).prefix)
        columns = (rows[name].to_pylist() for name in (by, "num_tokens", "num_bytes"))
        for group, count, size in zip(*columns, strict=True):
            tokens[group] = tokens.get(group, 0) + count
            num_bytes[group] = num_bytes.get(group, 0) + size
    names = tuple(sorted(tokens))
    if len(names) < 2:
        raise ConfigError(
            f"the training text of {shards} has one {by}, {names[0]!r}; expected two or more to mix; choose other "
            f"shards, or set [mixture_search] by"
        )
    return Groups(
        by, names, *(np.array([sizes[name] for name in names], dtype=np.float64) for sizes in (tokens, num_bytes))
    )


def found_mixture(
    method: Literal["doremi", "regmix"],
    groups: Groups,
    weights: np.ndarray,
    half_widths: np.ndarray | None,
    *,
    num_runs: int,
    facts: dict[str, float],
) -> FoundMixture:
    """Put a search's result together.

    Args:
        weights: shares of tokens, shape (num_groups,).
        half_widths: of the intervals, same shape; they are cut at 0 and 1.
    """
    rows = []
    for number, name in enumerate(groups.names):
        weight = float(weights[number])
        width = None if half_widths is None else float(half_widths[number])
        rows.append(
            GroupWeight(
                group=name,
                share_now=float(groups.shares[number]),
                weight=weight,
                interval=None if width is None else (max(0.0, weight - width), min(1.0, weight + width)),
                byte_weight=float(groups.byte_shares(weights)[number]),
            )
        )
    return FoundMixture(method=method, by=groups.by, groups=tuple(rows), num_runs=num_runs, facts=facts)


def t_quantile(degrees_of_freedom: int) -> float:
    """Half width of a ``LEVEL`` interval in standard errors: Student's t, from draws, to 1 % or better."""
    draws = np.random.default_rng(0).standard_t(degrees_of_freedom, _T_DRAWS)
    return float(np.quantile(np.abs(draws), LEVEL))
