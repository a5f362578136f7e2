"""The main job: from archives to a trained model's held-out bits per byte.

The line is a list of steps (``line_of``). Each fills folders of the run and commits them by manifest; a step whose
folders are committed under the fingerprint expected now is skipped, so the same command resumes what a crash or a
``kill -9`` left, and a changed key redoes exactly what depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jobs import steps_corpus, steps_extract, steps_tokens
from jobs.config import RunConfig
from jobs.inputs import inputs_fingerprint
from jobs.quality_models import locate_models
from jobs.report import write_report
from jobs.run_context import RunContext, Step, absolute
from jobs.run_record import write_run_record
from jobs.run_summary import show_summary
from jobs.steps_decontaminate import decontaminate_step
from jobs.steps_dedup_lines import dedup_lines_step
from jobs.steps_dedup_store import dedup_store_step
from jobs.steps_ledger import ledger_step
from jobs.steps_metadata import page_metadata_step
from jobs.steps_semantic import dedup_semantic_step, embed_step
from jobs.steps_substrings import dedup_substrings_step
from jobs.steps_text_dedup import survivors_step
from jobs.text_stages import text_stages
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.input_split import split_units
from pipeline.input_unit import list_units
from pipeline.models import locate
from pipeline.progress import say, stage_progress
from pipeline.sentence_encoder import load_encoder

_SHOWN_UNITS = 20


def line_of(config: RunConfig) -> list[Step]:
    """The steps of a run, in order."""
    steps = [
        steps_extract.extract_step(config),
        *([] if config.page_metadata is None else [page_metadata_step(config.page_metadata)]),
        steps_extract.decide_step(config),
        steps_corpus.dedup_exact_step(config),
        steps_corpus.dedup_near_step(config),
        *_text_steps(config),
        steps_corpus.decisions_step(config),
        *_store_step(config),
        steps_corpus.redact_step(config),
        steps_tokens.train_tokenizer_step(config),
        steps_tokens.tokenize_step(config),
        steps_tokens.shards_step(config),
        ledger_step(config),
    ]
    if config.train is not None:
        steps.append(steps_tokens.train_step(config))
    return steps


_TEXT_STEPS: dict[str, Callable[[RunConfig], Step]] = {
    "dedup_semantic": dedup_semantic_step,
    "dedup_lines": dedup_lines_step,
    "dedup_substrings": dedup_substrings_step,
    "decontaminate": decontaminate_step,
}


def _text_steps(config: RunConfig) -> list[Step]:
    """The corpus-wide text stages that are on, and what they begin with."""
    steps = [_TEXT_STEPS[stage](config) for stage in text_stages(config)]
    embed = [] if config.dedup.semantic is None else [embed_step(config)]
    return [survivors_step(config), *embed, *steps] if steps else []


def _store_step(config: RunConfig) -> list[Step]:
    """The step that adds the run to the store of deduplication, if it is to."""
    store = config.dedup.store
    return [dedup_store_step(config, store)] if store is not None and store.write else []


def prepare(config: RunConfig, base_dir: str) -> RunContext:
    """Find inputs and models, and check what can be checked before anything runs.

    Raises:
        ConfigError: if an input matches nothing or a model is missing, or if there is no input for a table.
    """
    files = list_units(config.input, base_dir)
    if config.page_metadata is not None and not any(unit.format == "wat" for unit in files):
        raise ConfigError(
            '[page_metadata] without a WAT file among the inputs; expected one (named .wat, or format = "wat"); add an '
            "[[input]] or remove the table"
        )
    if config.dedup.semantic is not None:
        load_encoder(config.dedup.semantic.encoder)
    model = locate(config.language.model, config.language.sha256)
    return RunContext(
        config=config,
        output=absolute(config.run.output, base_dir),
        files=files,
        units=split_units(files, config.read.split_bytes),
        inputs_fingerprint=inputs_fingerprint(files),
        preload_models=(str(model), *locate_models(config.quality)),
    )


def run_line(config: RunConfig, *, base_dir: str, until: str | None = None, dry_run: bool = False) -> RunContext:
    """Run the whole line, or up to and including the step ``until``.

    Raises:
        ConfigError: for an unknown ``until``, or as ``prepare``.
        LedgerError: if the sums do not add up.
    """
    steps = line_of(config)
    names = [step.name for step in steps]
    if until is not None and until not in names:
        raise ConfigError(f"--until {until!r} is not a stage of this run; expected one of {', '.join(names)}; name one")
    context = prepare(config, base_dir)
    if dry_run:
        describe(context, steps)
        return context
    try:
        storage.make_folder(context.output)
    except OSError as error:
        raise ConfigError(
            f"output = {config.run.output!r} [run]: {error}; expected a folder that can be written; name another"
        ) from None
    write_run_record(context)
    wanted = steps if until is None else steps[: names.index(until) + 1]
    try:
        for step in wanted:
            context.perform(step)
    finally:
        context.stop_spark()
    for step in steps[len(wanted) :]:
        if not context.is_finished(step):
            context.withdraw(step)  # made from what has just been replaced
    write_run_record(context)  # again: the workers' hashes of the inputs are known now
    with stage_progress("report"):
        report_path = write_report(context.output)
    show_summary(context, report_path)
    return context


def describe(context: RunContext, steps: Sequence[Step]) -> None:
    """What a run would do: its inputs, and each step with the folders it fills."""
    total_bytes = sum(unit.size_bytes for unit in context.files)
    say(f"{len(context.files)} input files, {total_bytes:,} bytes, into {context.output}")
    for unit in context.files[:_SHOWN_UNITS]:
        say(f"  {unit.source}/{unit.warc_file}  {unit.format}  {unit.size_bytes:,} bytes")
    if len(context.files) > _SHOWN_UNITS:
        say(f"  … and {len(context.files) - _SHOWN_UNITS} more")
    for step in steps:
        state = "finished" if context.is_finished(step) else "to do"
        say(f"{step.name:<18}  {state:<8}  {', '.join(step.folders)}")
