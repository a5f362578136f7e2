"""Embeddings of texts by a local sentence-transformers model: the one place that loads such a model.

A text is encoded by itself: in a padded batch its neighbours would change the last bits of its embedding, and with them
what is kept. So this runs at some documents to some hundred documents per second and core, as the encoder is large.

Needs the extra ``embeddings`` (``pip install chaffinch[embeddings]``), which brings PyTorch into the workers.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline import storage
from pipeline.errors import ConfigError


@functools.lru_cache(maxsize=4)
def load_encoder(folder: str) -> Any:
    """The encoder, loaded once per process.

    Raises:
        ConfigError: if the package is missing, or the folder holds no model that it can load.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError:
        raise ConfigError(
            "an encoder of texts ([[quality.embeddings]], [dedup.semantic]) needs the package sentence-transformers, "
            "which is not installed; expected it; run: pip install 'chaffinch[embeddings]'"
        ) from None
    try:
        return SentenceTransformer(folder, device="cpu", local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"{folder} does not load ({reason}); expected the folder of a sentence-transformers model; correct encoder"
        ) from None


@functools.lru_cache(maxsize=4)
def folder_sha256(folder: str) -> str:
    """Hash over names and contents of all files of a folder.

    Raises:
        ConfigError: if it has none.
    """
    names = storage.list_files(folder)
    if not names:
        raise ConfigError(f"no files in {folder}; expected a sentence-transformers model; correct encoder")
    lines = (f"{storage.sha256_of(storage.join(folder, name))}  {name}\n" for name in names)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def embed(texts: Sequence[str], folder: str) -> np.ndarray:
    """Embeddings, each text encoded by itself; float32, shape (num_texts, dim)."""
    encoder = load_encoder(folder)
    return np.stack([np.asarray(encoder.encode([text], show_progress_bar=False)[0], np.float32) for text in texts])
