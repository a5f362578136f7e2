"""Shards of three languages: one is chance, one is known after a few steps, one takes the whole training."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline.token_shard import DOCS_SCHEMA, ShardEntry, ShardManifest, Share, write_docs, write_shard

VOCAB = 64
EOS = 0
LENGTH = 63
BYTES_PER_TOKEN = {"easy": 2, "hard": 3, "noise": 1}


def _document(lang, rng):
    """Noise is uniform; easy counts; in hard each id has three successors, one of them likely."""
    if lang == "noise":
        body = rng.integers(1, VOCAB, LENGTH)
    elif lang == "easy":
        body = 1 + (int(rng.integers(VOCAB)) + np.arange(LENGTH)) % (VOCAB - 1)
    else:
        steps = rng.choice([1, 11, 23], LENGTH, p=[0.8, 0.1, 0.1])
        body = [int(rng.integers(VOCAB - 1))]
        for step in steps[1:]:
            body.append((5 * body[-1] + int(step)) % (VOCAB - 1))
        body = 1 + np.array(body)
    return np.append(body, EOS)


def _entry(folder, name, split, langs, documents_each, rng):
    documents = [(lang, _document(lang, rng)) for _ in range(documents_each) for lang in langs]
    prefix = str(folder / name)
    info = write_shard(prefix, [tokens for _, tokens in documents], np.dtype(np.uint16))
    rows = [
        {
            "doc_id": f"{name}-{number}",
            "lang": lang,
            "domain": "web",
            "num_tokens": len(tokens),
            "num_bytes": BYTES_PER_TOKEN[lang] * len(tokens),
            "epoch": 0,
        }
        for number, (lang, tokens) in enumerate(documents)
    ]
    num_bytes = sum(row["num_bytes"] for row in rows)
    share = Share(tokens=info.num_tokens, documents=len(documents), bytes=num_bytes)
    return ShardEntry(
        name=name,
        split=split,
        domain=None if split == "train" else "web",
        num_tokens=info.num_tokens,
        num_documents=len(documents),
        num_bytes=num_bytes,
        bin_sha256=info.bin_sha256,
        idx_sha256=info.idx_sha256,
        docs_sha256=write_docs(prefix, pa.Table.from_pylist(rows, DOCS_SCHEMA)),
        per_language={"all": share},
        per_domain={"all": share},
    )


@pytest.fixture(scope="session")
def languages(tmp_path_factory) -> str:
    """A shard folder; every language has the same number of tokens."""
    folder = tmp_path_factory.mktemp("languages")
    rng = np.random.default_rng(0)
    names = sorted(BYTES_PER_TOKEN)
    manifest = ShardManifest(
        tokenizer_sha256="0" * 64,
        vocab_size=VOCAB,
        dtype="uint16",
        eos_token_id=EOS,
        seed=0,
        run_fingerprint="f" * 32,
        shards=(
            _entry(folder, "train-00000", "train", names, 120, rng),
            _entry(folder, "validation-web", "validation", names, 8, rng),
        ),
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return str(folder)
