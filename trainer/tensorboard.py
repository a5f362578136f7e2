"""The curves as TensorBoard reads them, beside ``metrics.jsonl``."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline import storage
from pipeline.errors import ConfigError

FOLDER = "tensorboard"


def check_tensorboard() -> None:
    """
    Raises:
        ConfigError: if the package is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError(
            "tensorboard = true, but the package tensorboard is not installed; expected it; install "
            "chaffinch[tensorboard], or set it to false"
        )


def write_events(output: str, rows: Sequence[Mapping[str, Any]], *, purge_step: int) -> None:
    """Append the numbers of ``rows`` to the event files of ``output``, a local folder.

    Args:
        output: of the training.
        rows: of the metrics, each with ``step``.
        purge_step: events from this step on that an interrupted run has left are hidden.
    """
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(storage.join(output, FOLDER), purge_step=purge_step) as writer:
        for row in rows:
            for name, value in row.items():
                if name != "step":
                    writer.add_scalar(f"train/{name}", float(value), row["step"])
