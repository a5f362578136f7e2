"""Speed and compression of both kinds of tokenizer, against tiktoken with the same vocabulary.

tiktoken gets our BPE's pieces and word pattern, so both must give the same ids (checked); what differs is speed alone.
Text: ../shared/data/text-quality.tar.zst (12 languages) where it lies beside the repository, else the documentation
that Python renders of its standard library. Half of it trains, the other half is encoded, one document at a time in
batches of 256, on one thread.

The peer is looked for in the folder that CHAFFINCH_PEERS names; otherwise pip installs it under the user's cache.

Named for what it measures, and not ``tokenize.py``: that would hide the standard library's module of that name.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pkgutil
import pydoc
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard
from measure import cpu_seconds, report
from tokenizers import pre_tokenizers

from tokenizer_training.encoder import Encoder
from tokenizer_training.tokenizer_config import TokenizerConfig, word_pattern
from tokenizer_training.train_bpe import train_bpe
from tokenizer_training.train_unigram import train_unigram

ARCHIVE = Path(__file__).resolve().parents[2] / "shared/data/text-quality.tar.zst"
CONFIG = TokenizerConfig(vocab_size=16_000)
TEXT_BYTES = 8_000_000
DOCUMENT_CHARS = 4_000
BATCH_TEXTS = 256


def read_texts() -> list[str]:
    """Documents of about ``DOCUMENT_CHARS`` characters, in an order that mixes the sources; the same on every run."""
    if ARCHIVE.exists():
        raw = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(ARCHIVE.read_bytes())).read()
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            members = [member for member in archive if member.isfile() and not member.name.endswith(".xml")]
            contents = [archive.extractfile(member).read() for member in members]  # type: ignore[union-attr]
        sources = [content.decode("utf-8") for content in contents if _is_utf8(content)]
    else:
        names = [module.name for module in pkgutil.iter_modules() if module.name in sys.stdlib_module_names]
        sources = [pydoc.render_doc(name, renderer=pydoc.plaintext) for name in names if not name.startswith("_")]
    pieces = [s[i : i + DOCUMENT_CHARS] for s in sources for i in range(0, len(s), DOCUMENT_CHARS)]
    pieces.sort(key=lambda piece: hashlib.blake2b(piece.encode(), digest_size=8).digest())
    texts, num_bytes = [], 0
    for piece in pieces:
        texts.append(piece)
        num_bytes += len(piece.encode())
        if num_bytes >= TEXT_BYTES:
            break
    return texts


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def load_tiktoken() -> Any:
    """The module, installed outside the repository if need be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "chaffinch/peers"
    folder = Path(os.environ.get("CHAFFINCH_PEERS", cache))
    if not (folder / "tiktoken").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "tiktoken"]
        subprocess.run(command, check=True, stdout=sys.stderr)
    sys.path.append(str(folder))
    import tiktoken

    return tiktoken


def as_tiktoken(tokenizer_json: str) -> Any:
    """Our BPE vocabulary as a tiktoken encoding: a piece's rank is its id."""
    byte_of = _bytes_of_alphabet()
    vocabulary = json.loads(tokenizer_json)["model"]["vocab"]
    special = set(CONFIG.all_special_tokens)
    ranks = {bytes(byte_of[c] for c in piece): i for piece, i in vocabulary.items() if piece not in special}
    return load_tiktoken().Encoding(
        name="chaffinch", pat_str=word_pattern(CONFIG), mergeable_ranks=ranks, special_tokens={}
    )


def _bytes_of_alphabet() -> dict[str, int]:
    """Which byte each character of the byte alphabet stands for: GPT-2 maps printable Latin-1 to itself."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
    assert set(table) == set(pre_tokenizers.ByteLevel.alphabet())
    return table


def in_batches(encode: Callable[[list[str]], list[Any]], texts: list[str]) -> list[Any]:
    return [ids for i in range(0, len(texts), BATCH_TEXTS) for ids in encode(texts[i : i + BATCH_TEXTS])]


def main() -> None:
    texts = read_texts()
    training, held_out = texts[::2], texts[1::2]
    num_bytes = sum(len(text.encode()) for text in held_out)
    figures: dict[str, Any] = {"text_bytes": num_bytes, "vocab_size": CONFIG.vocab_size}
    encodings: dict[str, list[Any]] = {}
    trained: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, train in (("bpe", train_bpe), ("unigram", train_unigram)):
            started = time.perf_counter()
            trained[kind] = train(training, CONFIG).to_str()
            figures[f"{kind}_training_seconds"] = round(time.perf_counter() - started, 2)
            path = Path(folder) / f"{kind}.json"
            path.write_text(trained[kind], encoding="utf-8")
            encoder = Encoder(str(path), eos_token=CONFIG.eos_token)
            encodings[kind] = in_batches(encoder.encode_batch, held_out)
            num_tokens = sum(len(ids) - 1 for ids in encodings[kind])
            seconds = cpu_seconds(lambda encoder=encoder: in_batches(encoder.encode_batch, held_out), 3)
            figures[f"{kind}_bytes_per_token"] = round(num_bytes / num_tokens, 4)
            figures[f"{kind}_encode_mb_per_cpu_second"] = round(num_bytes / seconds / 1e6, 3)
    peer = as_tiktoken(trained["bpe"])
    theirs = [peer.encode_ordinary(text) for text in held_out]
    figures["texts_with_the_same_ids"] = sum(
        list(ours[:-1]) == other for ours, other in zip(encodings["bpe"], theirs, strict=True)
    )
    figures["texts"] = len(held_out)
    seconds = cpu_seconds(lambda: [peer.encode_ordinary(text) for text in held_out], 3)
    figures["tiktoken_encode_mb_per_cpu_second"] = round(num_bytes / seconds / 1e6, 3)
    ratio = figures["bpe_encode_mb_per_cpu_second"] / figures["tiktoken_encode_mb_per_cpu_second"]
    report("tokenize_documents", figures, "tiktoken, same vocabulary", round(ratio, 3))


if __name__ == "__main__":
    main()
