"""Train and evaluate as one TOML file says: the command behind ``python -m trainer`` and ``chaffinch train``.

Progress goes to stderr: a rich bar on a terminal where rich is installed, else a line at every tenth of the steps.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.config import load_toml
from trainer.config import TrainingFile
from trainer.evaluate import Evaluation, evaluate
from trainer.parallel import ALONE, Processes
from trainer.train import TrainResult, train
from trainer.training_run import TrainProgress


def train_and_evaluate(path: str, processes: Processes = ALONE) -> tuple[TrainResult, Evaluation | None]:
    """Run the training that the TOML file ``path`` describes, then score it; goes on from a checkpoint.

    Args:
        path: of the file.
        processes: those that share the training; the first of them scores.

    Raises:
        ConfigError, ShardError, RetryableError: as ``train`` and ``evaluate``.
    """
    file = load_toml(path, TrainingFile)
    with progress_display(file.train.steps) as show:
        shown = show if processes.is_first else None
        result = train(file.train, file.shards, file.output, on_progress=shown)
    if not processes.is_first:
        return result, None
    return result, evaluate(file.train, file.shards, file.output, tokenizer=file.tokenizer)


def summary(result: TrainResult, evaluation: Evaluation) -> str:
    """The outcome in a few lines: loss, and bits per byte beside the unigram model's."""
    rows = [("overall", evaluation.overall), *evaluation.per_language.items(), *evaluation.per_domain.items()]
    lines = [
        f"{result.num_params:,} parameters, {result.num_tokens:,} tokens ({result.num_epochs:.2f} epochs), "
        f"loss {result.first_loss:.3f} to {result.final_loss:.3f} nats per token",
        f"{'held out':<24} {'bits/byte':>10} {'unigram':>10} {'documents':>10}",
    ]
    lines += [
        f"{name:<24} {score.bits_per_byte:>10.4f} {score.unigram_bits_per_byte:>10.4f} {score.documents:>10,}"
        for name, score in rows
    ]
    return "\n".join(lines)


@contextmanager
def progress_display(num_steps: int) -> Iterator[Callable[[TrainProgress], None]]:
    """A function for ``train``'s ``on_progress`` that shows on stderr how far it is."""
    if not (sys.stderr.isatty() and importlib.util.find_spec("rich")):
        yield _print_line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("train"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[now]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("train", total=num_steps, now="")

        def show(progress: TrainProgress) -> None:
            bar.update(task, completed=progress.step, now=_describe(progress))

        yield show


def _print_line(progress: TrainProgress) -> None:
    if progress.step % max(1, progress.num_steps // 10) == 0 or progress.step == progress.num_steps:
        line = f"step {progress.step}/{progress.num_steps}  {_describe(progress)}  {progress.seconds_left:.0f} s left"
        print(line, file=sys.stderr, flush=True)


def _describe(progress: TrainProgress) -> str:
    return f"loss {progress.loss:.3f}  {progress.tokens_per_second:,.0f} tokens/s"
