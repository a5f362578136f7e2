"""``python -m trainer CONFIG.toml``: train and evaluate where Spark and Java are absent.

Several processes: ``torchrun --nproc-per-node 2 -m trainer CONFIG.toml``.
"""

from __future__ import annotations

import argparse
import json
import sys

from pipeline.errors import ChaffinchError, ConfigError
from trainer.command import summary, train_and_evaluate
from trainer.parallel import started_processes


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0; after one line on stderr 2 for an error of the user's, 1 for any other."""
    parser = argparse.ArgumentParser(prog="python -m trainer", description="Train on shards, score held-out text.")
    parser.add_argument("config", help="TOML file with shards, output and table [train]")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    options = parser.parse_args(arguments)
    try:
        with started_processes() as processes:
            result, evaluation = train_and_evaluate(options.config, processes)
    except ChaffinchError as error:
        print(f"chaffinch: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    if evaluation is None:
        return 0  # the first of the processes speaks for all
    if options.json:
        print(json.dumps({"training": result.model_dump(), "evaluation": evaluation.model_dump()}, indent=2))
    else:
        print(summary(result, evaluation))
    return 0


if __name__ == "__main__":
    sys.exit(main())
