"""The TOML file in which a mixture search hands its weights on, to sampling and to training alike.

Two tables, each as it stands in the config that reads it. ``[mixture]`` is what ``chaffinch run`` samples by: shares of
UTF-8 bytes. ``[train.data]`` is what a training draws by: shares of tokens. One mixture has both, since a token of one
language has more bytes than one of another; a search counts tokens, so its shares of bytes follow from the shards.

    [mixture]
    by = "lang"
    weights = { eng_Latn = 0.62, khm_Khmr = 0.38 }

A config names the file instead of a table of weights: ``weights = "weights.toml"``.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from typing import Any

from pipeline import storage

SAMPLING = "mixture"
TRAINING = "train.data"


def mixture_toml(by: str, shares: Mapping[str, Mapping[str, float]]) -> str:
    """The text of a file of weights.

    Args:
        by: what a group is, ``lang`` or ``domain``.
        shares: weight of each group, by table (``SAMPLING``, ``TRAINING``).
    """
    tables = []
    for table, weights in shares.items():
        lines = [f"{_quoted(group)} = {weight:.9f}" for group, weight in weights.items()]
        tables.append("\n".join([f"[{table}]", f"by = {_quoted(by)}", "", f"[{table}.weights]", *lines]) + "\n")
    return "\n".join(tables)


def weights_named(value: Any, table: str, by: str | None) -> Any:
    """The ``weights`` of a config: those of the file that it names, or what it is.

    Args:
        value: of the key ``weights``; a string is the path or URL of a file.
        table: whose weights are read, ``SAMPLING`` or ``TRAINING``.
        by: what the config's groups are; None if that is at fault already.

    Raises:
        ValueError: if the file cannot be read, has no such table, or its groups are others.
    """
    if not isinstance(value, str):
        return value
    try:
        document = tomllib.loads(storage.read_bytes(value).decode())
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read ({error}); expected a TOML file of weights; correct the path") from None
    found: Any = document
    for name in table.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    weights = found.get("weights") if isinstance(found, dict) else None
    if not isinstance(weights, dict) or not all(_is_weight(weight) for weight in weights.values()):
        raise ValueError(
            f"has no [{table}.weights] of numbers from 0; expected a file that `chaffinch scaling mixture` wrote; "
            f"make it anew"
        )
    if by is not None and found.get("by") != by:
        raise ValueError(
            f"has weights by {found.get('by')!r}, this table is by {by!r}; expected the same; name the other in by"
        )
    return {group: float(weight) for group, weight in weights.items()}


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _quoted(text: str) -> str:
    """``text`` as a basic string of TOML."""
    return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or c in '"\\\x7f' else c for c in text) + '"'
