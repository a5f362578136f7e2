"""``chaffinch tokenizer evaluate``: compression of a vocabulary on text files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline import storage
from pipeline.errors import ConfigError
from tokenizer_training.encoder import Encoder
from tokenizer_training.evaluate import evaluate
from tokenizer_training.sample_text import SampledText

_NO_LANGUAGE = "und"


def evaluate_files(tokenizer_json: str, files: Sequence[str], *, eos_token: str) -> dict[str, Any]:
    """Compression on ``files``, each one document of UTF-8 text, of no stated language.

    Args:
        tokenizer_json: path or URL of a ``tokenizer.json``.
        files: paths or URLs.
        eos_token: the tokenizer's end-of-text token.

    Raises:
        ConfigError: if the tokenizer or a file cannot be read.
    """
    encoder = Encoder(tokenizer_json, eos_token=eos_token, parallel=True)
    texts = [SampledText(lang=_NO_LANGUAGE, text=_read_text(location)) for location in files]
    return evaluate(encoder, texts).overall.model_dump(mode="json")


def _read_text(location: str) -> str:
    try:
        return storage.read_bytes(location).decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"no file {location}; expected a text file; check the path") from None
    except OSError as error:
        raise ConfigError(f"cannot read {location} ({error}); expected a text file; check the path") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{location} is not UTF-8 at byte {error.start}; expected UTF-8 text; convert it") from None
