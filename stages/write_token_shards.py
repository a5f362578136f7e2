"""From files of token sequences to shards in a global order. Runs in Python workers; no Spark inside.

Every copy of a document has a 64-bit key, a hash of (seed, doc_id, epoch). Training shard s of S takes the keys from
s/S to (s+1)/S of the key space, in ascending order: together the shards are one global shuffle, and no shard depends on
another, or on how the sequences were cut into files. Validation text is not mixed: one shard per domain, so that
each can be measured alone.

Each token file is sorted by (split, domain, key), so Parquet's statistics let a shard read only its own row groups.
Memory is one shard's tokens; choose ``tokens_per_shard`` accordingly.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from pipeline import storage
from pipeline.config import Config
from pipeline.errors import ShardError
from pipeline.schema import TOKENS
from pipeline.token_shard import DOCS_SCHEMA, ShardEntry, ShardManifest, Share, write_docs, write_shard

VERSION = "1"

_KEY_SPACE = 1 << 64
_ORDER = ("order_key", "doc_id", "epoch")


class ShardsConfig(Config):
    """Size of the shards.

    Args:
        tokens_per_shard: aim for training shards; their number is the training tokens over this, rounded up.
    """

    tokens_per_shard: int = Field(default=100_000_000, ge=1)


@dataclass(frozen=True, kw_only=True)
class ShardSpec:
    """What goes into one shard.

    Args:
        name: file name without suffix.
        split: of its rows.
        domain: the only domain of a validation shard; None takes all.
        first_key: smallest order key that belongs to it.
        last_key: largest order key that belongs to it.
        dtype: token type of rows and shard, ``uint16`` or ``int32``.
    """

    name: str
    split: Literal["train", "validation"]
    domain: str | None
    first_key: int
    last_key: int
    dtype: Literal["uint16", "int32"]


def plan_shards(
    totals: dict[tuple[str, str], int], config: ShardsConfig, dtype: Literal["uint16", "int32"]
) -> list[ShardSpec]:
    """Divide all sequences into shards.

    Args:
        totals: tokens by (split, domain).
        config: size of the shards.
        dtype: as ``pipeline.token_shard.dtype_for_vocab`` names it.

    Returns:
        Training shards by number, then validation shards by domain. A split without tokens has none.
    """
    num_train_tokens = sum(count for (split, _), count in totals.items() if split == "train")
    num_shards = -(-num_train_tokens // config.tokens_per_shard)
    bounds = [shard * _KEY_SPACE // num_shards for shard in range(num_shards)] + [_KEY_SPACE]
    specs = [
        ShardSpec(
            name=f"train-{shard:05d}",
            split="train",
            domain=None,
            first_key=bounds[shard],
            last_key=bounds[shard + 1] - 1,
            dtype=dtype,
        )
        for shard in range(num_shards)
    ]
    held_out = sorted(domain for (split, domain), count in totals.items() if split == "validation" and count)
    specs += [
        ShardSpec(
            name=f"validation-{safe_name(domain)}",
            split="validation",
            domain=domain,
            first_key=0,
            last_key=_KEY_SPACE - 1,
            dtype=dtype,
        )
        for domain in held_out
    ]
    return specs


def safe_name(domain: str) -> str:
    """``domain`` as part of a file name: itself if it is of ``a-z 0-9 . _ -``, else such a name with a hash, so that
    no two domains share one, not even on a file system that ignores case."""
    safe = re.sub(r"[^a-z0-9._-]", "_", domain.lower())[:64]
    if safe == domain and safe:
        return safe
    return f"{safe}-{hashlib.blake2b(domain.encode('utf-8'), digest_size=4).hexdigest()}"


def build_shard(token_files: Sequence[str], shard: ShardSpec, output_folder: str) -> ShardEntry:
    """Write one shard with its index and document table.

    Args:
        token_files: Parquet files of ``pipeline.schema.TOKENS``; neither their order nor their number matters.
        shard: what to take from them.
        output_folder: path or URL.

    Returns:
        The shard's entry in the manifest, counted from what was written.

    Raises:
        ShardError: if a row's tokens are not as many as it says.
    """
    rows = pa.concat_tables([_read_rows(location, shard) for location in token_files] or [TOKENS.empty_table()])
    order = pc.sort_indices(rows.select(_ORDER), [(key, "ascending") for key in _ORDER])
    docs = rows.select(DOCS_SCHEMA.names).take(order).cast(DOCS_SCHEMA).combine_chunks()
    prefix = storage.join(output_folder, shard.name)
    written = write_shard(prefix, _sequences(rows, order, shard), np.dtype(shard.dtype))
    return ShardEntry(
        name=shard.name,
        split=shard.split,
        domain=shard.domain,
        num_tokens=written.num_tokens,
        num_documents=written.num_sequences,
        num_bytes=pc.sum(docs["num_bytes"]).as_py() or 0,
        bin_sha256=written.bin_sha256,
        idx_sha256=written.idx_sha256,
        docs_sha256=write_docs(prefix, docs),
        per_language=_shares(docs, "lang"),
        per_domain=_shares(docs, "domain"),
    )


def _read_rows(location: str, shard: ShardSpec) -> pa.Table:
    """The rows of one token file that belong to ``shard``; only row groups whose statistics allow any are read."""
    wanted = (
        (pc.field("split") == shard.split)
        & (pc.field("order_key") >= pa.scalar(shard.first_key, pa.uint64()))
        & (pc.field("order_key") <= pa.scalar(shard.last_key, pa.uint64()))
    )
    if shard.domain is not None:
        wanted &= pc.field("domain") == shard.domain
    filesystem, path = storage.resolve(location)
    return pq.read_table(path, filesystem=filesystem, filters=wanted, partitioning=None).cast(TOKENS)


def _sequences(rows: pa.Table, order: pa.Array, shard: ShardSpec) -> Iterator[np.ndarray]:
    """Token ids of ``rows`` in ``order``; views into Arrow's buffers, so that tokens are not copied before writing."""
    chunks = rows["tokens"].chunks
    first_rows = np.cumsum([0, *(len(chunk) for chunk in chunks)])
    dtype = np.dtype(shard.dtype).newbyteorder("<")
    num_tokens = rows["num_tokens"].to_numpy()
    positions = order.to_numpy()
    chunk_numbers = np.searchsorted(first_rows, positions, side="right") - 1
    for position, chunk_number in zip(positions, chunk_numbers, strict=True):
        content = chunks[chunk_number][int(position - first_rows[chunk_number])].as_buffer()
        if len(content) != num_tokens[position] * dtype.itemsize:
            raise ShardError(
                f"document {rows['doc_id'][int(position)].as_py()} of shard {shard.name} has {len(content)} bytes "
                f"of tokens; expected {num_tokens[position]} of {dtype.itemsize} bytes each; tokenise it again"
            )
        yield np.frombuffer(content, dtype)


def _shares(docs: pa.Table, column: str) -> dict[str, Share]:
    """Tokens, documents and bytes by the values of ``column``, sorted."""
    totals = docs.group_by(column).aggregate([("num_tokens", "sum"), ("doc_id", "count"), ("num_bytes", "sum")])
    return {
        row[column]: Share(tokens=row["num_tokens_sum"], documents=row["doc_id_count"], bytes=row["num_bytes_sum"])
        for row in totals.sort_by(column).to_pylist()
    }


def assemble_manifest(
    entries: Iterable[ShardEntry],
    *,
    tokenizer_sha256: str,
    vocab_size: int,
    dtype: Literal["uint16", "int32"],
    eos_token_id: int,
    seed: int,
    run_fingerprint: str,
) -> ShardManifest:
    """``shards/manifest.json``: the entries by name, and what holds for all of them.

    Raises:
        ShardError: if two entries have one name.
    """
    ordered = sorted(entries, key=lambda entry: entry.name)
    repeated = [name for name, count in Counter(entry.name for entry in ordered).items() if count > 1]
    if repeated:
        raise ShardError(f"shards {repeated} were written twice; expected each once; plan them with plan_shards")
    return ShardManifest(
        tokenizer_sha256=tokenizer_sha256,
        vocab_size=vocab_size,
        dtype=dtype,
        eos_token_id=eos_token_id,
        seed=seed,
        run_fingerprint=run_fingerprint,
        shards=tuple(ordered),
    )
