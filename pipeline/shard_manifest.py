"""What lies beside token shards: the document tables, and the manifest of the folder.

``shards/manifest.json`` carries what the Megatron format has no place for: the sha256 of every file, which tokenizer
made the ids, how many tokens, documents and UTF-8 bytes each language and domain has (so that bits per *byte* can be
computed and tokenizers compared), the seed of the shuffle, and the fingerprint of the run.

``<name>.docs.parquet`` has a row for each sequence of shard ``<name>``, in its order.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline import storage
from pipeline.errors import ShardError

MANIFEST_NAME = "manifest.json"

DOCS_SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),
        ("lang", pa.string()),
        ("domain", pa.string()),
        ("num_tokens", pa.int32()),  # length of the sequence, its end-of-text token included
        ("num_bytes", pa.int64()),  # UTF-8 bytes of the text
        ("epoch", pa.int32()),  # 0 for the first copy of a document, 1 for the second …
    ]
)
"""``<prefix>.docs.parquet``: row i describes sequence i."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Share(_Record):
    """What one language or domain contributes to a shard."""

    tokens: int
    documents: int
    bytes: int  # UTF-8 bytes of text


class ShardEntry(_Record):
    """One shard in the manifest; counts and hashes are of what was written."""

    name: str  # e.g. train-00000, validation-docs.example.org
    split: Literal["train", "validation"]
    domain: str | None  # the domain of a validation shard; None where domains are mixed
    num_tokens: int
    num_documents: int
    num_bytes: int  # UTF-8 bytes of the documents' text, not of the files
    bin_sha256: str
    idx_sha256: str
    docs_sha256: str
    per_language: dict[str, Share]
    per_domain: dict[str, Share]


class ShardManifest(_Record):
    """``shards/manifest.json``: everything that a reader of the shards must know and the format cannot say."""

    format_version: Literal[1] = 1
    tokenizer_sha256: str
    vocab_size: int
    dtype: Literal["uint16", "int32"]
    eos_token_id: int
    seed: int
    run_fingerprint: str
    shards: tuple[ShardEntry, ...]

    def of_split(self, split: Literal["train", "validation"]) -> tuple[ShardEntry, ...]:
        """The shards of one split, in the order in which a trainer reads them."""
        return tuple(sorted((entry for entry in self.shards if entry.split == split), key=lambda entry: entry.name))


def write_docs(prefix: str, docs: pa.Table) -> str:
    """Write ``<prefix>.docs.parquet`` and return its sha256.

    Raises:
        ShardError: if ``docs`` does not have exactly the columns of ``DOCS_SCHEMA``.
    """
    if not docs.schema.equals(DOCS_SCHEMA):
        raise ShardError(f"document table of {prefix} has columns {docs.schema}; expected {DOCS_SCHEMA}; cast it")
    sink = pa.BufferOutputStream()
    pq.write_table(docs, sink, compression="zstd", store_schema=False)
    content = sink.getvalue().to_pybytes()
    storage.write_bytes(f"{prefix}.docs.parquet", content)
    return hashlib.sha256(content).hexdigest()


def read_docs(prefix: str) -> pa.Table:
    """The rows of ``<prefix>.docs.parquet``, in the order of the shard's sequences."""
    with storage.open_input(f"{prefix}.docs.parquet") as stream:
        return pq.read_table(stream).cast(DOCS_SCHEMA)


def load_manifest(folder: str) -> ShardManifest:
    """Read ``<folder>/manifest.json``.

    Raises:
        ShardError: if it is missing or is not a manifest of this format.
    """
    location = storage.join(folder, MANIFEST_NAME)
    try:
        return ShardManifest.model_validate(json.loads(storage.read_bytes(location)))
    except FileNotFoundError:
        raise ShardError(
            f"no file {location}; expected a folder of shards with its manifest; write the shards"
        ) from None
    except ValueError as error:  # not JSON, not UTF-8, or (ValidationError) another shape
        fault = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        place = ".".join(str(part) for part in fault["loc"]) or "top level"
        raise ShardError(f"{location} is no shard manifest: {place}: {fault['msg']}; write the shards again") from None


def verify(folder: str, manifest: ShardManifest) -> None:
    """Check the sha256 of every file that ``manifest`` names; reads each file once.

    Raises:
        ShardError: naming the first file that is missing or differs, the hash found and the one expected.
    """
    for entry in manifest.shards:
        files = {"bin": entry.bin_sha256, "idx": entry.idx_sha256, "docs.parquet": entry.docs_sha256}
        for suffix, expected in files.items():
            location = storage.join(folder, f"{entry.name}.{suffix}")
            try:
                found = storage.sha256_of(location)
            except FileNotFoundError:
                raise ShardError(f"no file {location}; the manifest names it; write the shards again") from None
            if found != expected:
                raise ShardError(
                    f"{location} has sha256 {found}; manifest.json expects {expected}; the file was changed or "
                    f"damaged: restore it or write the shards again"
                )
