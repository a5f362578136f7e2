"""What a training tells of its steps: ``metrics.jsonl``, ``timings.jsonl`` and, where asked for, TensorBoard's events.

Metrics follow from config and shards; timings are wall-clock figures and are kept apart, so that the metrics of two
runs are the same bytes.
"""

from __future__ import annotations

import json
from typing import Any

from pipeline import storage
from trainer.tensorboard import check_tensorboard, write_events

METRICS, TIMINGS = "metrics.jsonl", "timings.jsonl"


class Curves:
    """Rows of the steps so far.

    Args:
        output: folder of the training.
        tensorboard: whether event files are written too.
        is_writer: whether this process writes; of several, the first.

    Attributes:
        metrics: one row a step, in order.

    Raises:
        ConfigError: if TensorBoard is asked for and not installed.
    """

    def __init__(self, output: str, *, tensorboard: bool, is_writer: bool) -> None:
        if tensorboard:
            check_tensorboard()
        self._output = output
        self._tensorboard = tensorboard
        self._is_writer = is_writer
        self.metrics: list[dict[str, Any]] = []
        self._timings: list[dict[str, Any]] = []
        self._num_shown = 0  # steps that TensorBoard has

    def column(self, name: str) -> list[float]:
        """One number of each step."""
        return [row[name] for row in self.metrics]

    def add_timing(self, row: dict[str, Any]) -> None:
        """Add a row of wall-clock figures; a step that is taken again has a second one."""
        self._timings.append(row)

    def read(self, num_steps: int) -> None:
        """Take up the files of ``output`` where a checkpoint after ``num_steps`` steps stands."""
        self.metrics = self._rows(METRICS)[:num_steps]
        self._timings = [row for row in self._rows(TIMINGS) if row["step"] <= num_steps]
        self._num_shown = num_steps

    def cut_back(self, num_steps: int) -> None:
        """Forget what came after ``num_steps`` steps; timings stay, since the time was spent."""
        self.metrics = self.metrics[:num_steps]
        self._num_shown = min(self._num_shown, num_steps)

    def write(self) -> None:
        """Write the files anew, and TensorBoard's new events."""
        if not self._is_writer:
            return
        for name, rows in ((METRICS, self.metrics), (TIMINGS, self._timings)):
            lines = "".join(f"{json.dumps(row)}\n" for row in rows)
            storage.write_bytes(storage.join(self._output, name), lines.encode())
        if self._tensorboard and self._num_shown < len(self.metrics):
            write_events(self._output, self._new_rows(), purge_step=self._num_shown + 1)
            self._num_shown = len(self.metrics)

    def _new_rows(self) -> list[dict[str, Any]]:
        """Metrics and timings of the steps that TensorBoard has not; without what this device does not tell."""
        timings = {row["step"]: row for row in self._timings}
        both = [{**row, **timings.get(row["step"], {})} for row in self.metrics[self._num_shown :]]
        return [{name: value for name, value in row.items() if value is not None} for row in both]

    def _rows(self, name: str) -> list[dict[str, Any]]:
        lines = storage.read_bytes(storage.join(self._output, name)).decode().splitlines()
        return [json.loads(line) for line in lines]
