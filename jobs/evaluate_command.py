"""``chaffinch evaluate``: what a trained model knows beside bits per byte; ``chaffinch export``: as a Llama."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    from trainer.multiple_choice import Layout

LAYOUTS = ("hellaswag", "arc", "boolq", "truthfulqa")


@click.group()
def evaluate() -> None:
    """Questions to a trained model."""


@evaluate.command("choices")
@click.argument("training")
@click.argument("questions", metavar="FILE.jsonl")
@click.option("--layout", type=click.Choice(LAYOUTS), required=True, help="Of the file's lines.")
@click.option("--tokenizer", required=True, metavar="TOKENIZER.json", help="The one of the training's shards.")
def evaluate_choices(training: str, questions: str, layout: str, tokenizer: str) -> None:
    """Score the multiple-choice questions of FILE.jsonl by likelihood with the model in TRAINING; JSON."""
    from trainer.multiple_choice import score_choices
    from trainer.trained_model import load_trained

    scores = score_choices(load_trained(training), tokenizer, questions, cast("Layout", layout))
    click.echo(scores.model_dump_json(indent=2))


@evaluate.command("memorisation")
@click.argument("training")
@click.argument("shards")
@click.option(
    "--passage-tokens", type=click.IntRange(min=2), default=100, show_default=True, help="Length of a passage."
)
@click.option(
    "--prompt-tokens", type=click.IntRange(min=1), default=50, show_default=True, help="Of it, what the model is given."
)
@click.option(
    "--passages", type=click.IntRange(min=1), default=256, show_default=True, help="For each number of copies."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the passages drawn.")
def evaluate_memorisation(
    training: str, shards: str, passage_tokens: int, prompt_tokens: int, passages: int, seed: int
) -> None:
    """How many passages of SHARDS the model in TRAINING recites, by how often they occur; JSON."""
    from trainer.memorisation import measure_memorisation
    from trainer.trained_model import load_trained

    found = measure_memorisation(
        load_trained(training),
        shards,
        passage_tokens=passage_tokens,
        prompt_tokens=prompt_tokens,
        passages_per_count=passages,
        seed=seed,
    )
    click.echo(found.model_dump_json(indent=2))


@click.command("export")
@click.argument("training")
@click.argument("folder")
@click.option("--tokenizer", metavar="TOKENIZER.json", help="Copied beside the weights.")
def export(training: str, folder: str, tokenizer: str | None) -> None:
    """Write the model in TRAINING to FOLDER for transformers: as its Llama, or as its T5 if it has an encoder."""
    from trainer.export import export_model
    from trainer.trained_model import load_trained

    export_model(load_trained(training), folder, tokenizer=tokenizer)
    click.echo(folder)
