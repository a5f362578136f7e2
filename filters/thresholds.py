"""Types of thresholds in filter configs, and what all filters on text share.

TOML has no null, so ``false`` turns a rule off there: ``min_stop_words = false``. In Python the value is ``None``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipeline.config import Config, Off

Count = Annotated[int | None, Field(ge=0), Off]
"""Threshold on a number of things, 0 or more."""

Ratio = Annotated[float | None, Field(ge=0, allow_inf_nan=False), Off]
"""Threshold on a mean or a quotient, 0 or more."""

Fraction = Annotated[float | None, Field(ge=0, le=1), Off]
"""Threshold on a share of a whole, 0 to 1."""


class TextFilterConfig(Config):
    """Base of the configs of filters on text.

    Args:
        languages: judge only documents in these languages (codes as the language stage writes them); all others
            pass. Unset: judge all. For rules that are made for one language or for scripts with spaces.
    """

    languages: tuple[str, ...] | None = Field(default=None, min_length=1)


def check_order(config: Config, minimum: str, maximum: str) -> None:
    """Check that a pair of thresholds leaves something to keep.

    Raises:
        ValueError: if both are set and the minimum is above the maximum.
    """
    lowest, highest = getattr(config, minimum), getattr(config, maximum)
    if lowest is not None and highest is not None and lowest > highest:
        raise ValueError(
            f"{minimum} = {lowest} is above {maximum} = {highest}, which drops every document; "
            f"expected {minimum} <= {maximum}; lower one or raise the other"
        )
