"""Steps after the corpus stands: vocabulary, token sequences, shards, and the model that is trained on them."""

from __future__ import annotations

from typing import Any, Literal

from jobs.config import RunConfig, Seed
from jobs.passes import tokenize_unit
from jobs.run_context import RunContext, Step
from pipeline import storage
from pipeline.config import Config
from pipeline.corpus import unit_of
from pipeline.errors import ConfigError
from pipeline.manifest import FileEntry, file_entry
from pipeline.progress import StageProgress
from pipeline.runner import run_tasks, run_units
from pipeline.schema import TOKENS
from pipeline.shard_manifest import MANIFEST_NAME
from pipeline.stage import identity
from pipeline.token_shard import dtype_for_vocab
from pipeline.unit_of_work import Output, Unit
from stages import tokenize_documents, train_tokenizer, write_token_shards
from stages.tokenize_documents import TokenizeConfig
from stages.write_token_shards import assemble_manifest, build_shard, plan_shards
from tokenizer_training.tokenizer_config import Kind
from trainer.evaluate import evaluate
from trainer.tensorboard import FOLDER as TENSORBOARD
from trainer.train import train

TOKENS_FOLDER = "_work/tokens"
TRAIN_VERSION = "1"
TIMINGS = "timings.jsonl"  # wall-clock figures: not part of what a run must reproduce
_TOTAL = "tokens of "


def train_tokenizer_step(config: RunConfig) -> Step:
    """Train every candidate on a sample of the corpus, in Spark tasks: the text does not come to the driver."""
    settings = config.tokenizer
    identities = [identity("train_tokenizer", train_tokenizer.VERSION, settings)]
    if settings.path is not None:
        identities.append(identity("ready_tokenizer", "1", ReadyTokenizer(sha256=_sha256_of_ready(settings.path))))

    def run(context: RunContext, progress: StageProgress) -> None:
        folder = context.folder("tokenizer")
        storage.remove_folder(folder)
        corpus = [storage.join(context.folder("corpus"), entry.path) for entry in context.manifest("corpus").files]

        def train_one(kind: Kind) -> dict[str, Any]:
            return train_tokenizer.train(corpus, kind, settings, storage.join(folder, f"{kind}.json"))

        def take(path: str) -> dict[str, Any]:
            return train_tokenizer.take_ready(corpus, path, settings, storage.join(folder, "tokenizer.json"))

        names = ["tokenizer.json", "report.json"]
        if settings.path is None:
            reports = run_tasks(context.spark, list(settings.candidates), train_one, progress)
            chosen = storage.read_bytes(storage.join(folder, f"{settings.use}.json"))
            storage.write_bytes(storage.join(folder, "tokenizer.json"), chosen)
            names += [f"{kind}.json" for kind in settings.candidates]
        else:
            reports = run_tasks(context.spark, [settings.path], take, progress)
        used = settings.use if settings.path is None else reports[0]["kind"]
        storage.write_json(storage.join(folder, "report.json"), {"use": used, "candidates": reports})
        context.commit("train_tokenizer", "tokenizer", [file_entry(folder, name) for name in names])
        progress.update(note=", ".join(f"{r['kind']} of {r['vocab_size']:,} pieces" for r in reports))

    return Step(
        name="train_tokenizer",
        folders=("tokenizer",),
        identities=tuple(identities),
        upstream=("redact_pii",),
        run=run,
    )


class ReadyTokenizer(Config):
    """A tokenizer that was not trained here, as a fingerprint sees it."""

    sha256: str


def _sha256_of_ready(path: str) -> str:
    try:
        return storage.sha256_of(path)
    except OSError as error:
        raise ConfigError(
            f"[tokenizer] path = {path!r}: {error}; expected a tokenizer.json of Hugging Face tokenizers; correct the "
            f"path, or remove it to train one"
        ) from None


def _tokenize_config(context: RunContext, config: RunConfig) -> TokenizeConfig:
    path = context.folder("tokenizer/tokenizer.json")
    return TokenizeConfig(
        tokenizer_path=path,
        tokenizer_sha256=storage.sha256_of(path),
        eos_token=config.tokenizer.eos_token,
        seed=config.run.seed,
    )


def _chosen_report(context: RunContext) -> dict[str, Any]:
    report = storage.read_json(context.folder("tokenizer/report.json"))
    found: dict[str, Any] = next(entry for entry in report["candidates"] if entry["kind"] == report["use"])
    return found


def tokenize_step(config: RunConfig) -> Step:
    """Encode the corpus once; a document that is repeated gives one row per copy."""

    def run(context: RunContext, progress: StageProgress) -> None:
        by_unit: dict[str, list[FileEntry]] = {}
        for entry in context.manifest("corpus").files:
            by_unit.setdefault(unit_of(entry.path), []).append(entry)
        units = [
            Unit(
                name=name,
                weight=sum(entry.size_bytes for entry in entries),
                spec=[storage.join(context.folder("corpus"), entry.path) for entry in entries],
            )
            for name, entries in sorted(by_unit.items())
        ]
        progress.total = len(units)
        results = run_units(
            context.spark,
            units=units,
            process=tokenize_unit(
                _tokenize_config(context, config), _TOTAL, config.control_token, context.folder("signals")
            ),
            outputs={"tokens": Output(folder=context.folder(TOKENS_FOLDER), schema=TOKENS)},
            fingerprint=context.fingerprints["tokenize"],
            progress=progress,
            units_per_group=config.run.units_per_group,
            num_partitions=config.spark.partitions,
        )
        totals: dict[str, int] = {}
        for result in results:
            for name, count in result.counts.items():
                if name.startswith(_TOTAL):
                    totals[name.removeprefix(_TOTAL)] = totals.get(name.removeprefix(_TOTAL), 0) + count
        files = [file.entry() for result in results for file in result.files]
        context.commit("tokenize", TOKENS_FOLDER, files, schema=TOKENS, details={"tokens": totals})
        progress.update(note=f"{sum(totals.values()):,} tokens")

    return Step(
        name="tokenize",
        folders=(TOKENS_FOLDER,),
        identities=(
            identity("tokenize_documents", tokenize_documents.VERSION, config.tokenizer),
            identity("shuffle", "1", Seed(seed=config.run.seed)),
            *(() if config.control_token is None else (identity("control_token", "1", config.control_token),)),
        ),
        upstream=("redact_pii", "train_tokenizer"),
        run=run,
    )


def shards_step(config: RunConfig) -> Step:
    """Merge the token sequences into shards in the global order, one task per shard."""

    def run(context: RunContext, progress: StageProgress) -> None:
        folder = context.folder("shards")
        storage.remove_folder(folder)
        tokens = context.manifest(TOKENS_FOLDER)
        token_files = [storage.join(context.folder(TOKENS_FOLDER), entry.path) for entry in tokens.files]
        report = _chosen_report(context)
        dtype: Literal["uint16", "int32"] = "uint16" if dtype_for_vocab(report["vocab_size"]).itemsize == 2 else "int32"
        totals = {_split_and_domain(name): count for name, count in tokens.details["tokens"].items()}
        specs = plan_shards(totals, config.shards, dtype)
        entries = run_tasks(context.spark, specs, lambda spec: build_shard(token_files, spec, folder), progress)
        manifest = assemble_manifest(
            entries,
            tokenizer_sha256=report["tokenizer_sha256"],
            vocab_size=report["vocab_size"],
            dtype=dtype,
            eos_token_id=report["eos_token_id"],
            seed=config.run.seed,
            run_fingerprint=context.fingerprints["shards"],
        )
        storage.write_json(storage.join(folder, MANIFEST_NAME), manifest.model_dump(mode="json"))
        names = [f"{entry.name}{suffix}" for entry in entries for suffix in (".bin", ".idx", ".docs.parquet")]
        context.commit("shards", "shards", [file_entry(folder, name) for name in [*names, MANIFEST_NAME]])
        progress.update(note=f"{len(entries)} shards, {sum(entry.num_tokens for entry in entries):,} tokens")

    return Step(
        name="shards",
        folders=("shards",),
        identities=(identity("write_token_shards", write_token_shards.VERSION, config.shards),),
        upstream=("train_tokenizer", "tokenize"),
        run=run,
    )


def _split_and_domain(name: str) -> tuple[str, str]:
    split, _, domain = name.partition("/")
    return split, domain


def train_step(config: RunConfig) -> Step:
    """Train the small decoder on the shards and measure held-out bits per byte; Spark's memory is given back first."""
    settings = config.train
    if settings is None:
        raise ValueError("train_step needs a [train] table; line_of leaves it out when there is none")

    def run(context: RunContext, progress: StageProgress) -> None:
        context.stop_spark()
        folder, shards = context.folder("training"), context.folder("shards")
        progress.total = settings.steps
        train(settings, shards, folder, overwrite=True, on_progress=lambda now: progress.update(done=now.step))
        vocabulary = context.folder("tokenizer/tokenizer.json")
        score = evaluate(settings, shards, folder, tokenizer=vocabulary).overall
        names = [
            name for name in storage.list_files(folder) if not name.startswith(("_", TENSORBOARD)) and name != TIMINGS
        ]
        context.commit("train", "training", [file_entry(folder, name) for name in names])
        progress.update(
            note=f"{score.bits_per_byte:.4f} bits per byte held out, unigram model {score.unigram_bits_per_byte:.4f}"
        )

    return Step(
        name="train",
        folders=("training",),
        identities=(identity("train", TRAIN_VERSION, settings),),
        upstream=("shards",),
        run=run,
        needs_spark=False,
    )
