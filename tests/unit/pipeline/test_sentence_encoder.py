"""Loading a sentence-transformers model from a folder: what is refused, and a tiny real one with the extra."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.sentence_encoder import embed, folder_sha256, load_encoder


@pytest.fixture(autouse=True)
def _nothing_loaded():
    load_encoder.cache_clear()
    folder_sha256.cache_clear()
    yield
    load_encoder.cache_clear()
    folder_sha256.cache_clear()


@pytest.mark.parametrize(
    "error", [OSError("no file named config.json\nsee the docs"), ValueError("Unrecognized model"), KeyError("modules")]
)
def test_a_folder_that_does_not_load_is_refused(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: str, **options: Any) -> None:
        assert options == {"device": "cpu", "local_files_only": True}
        raise error

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=refuse))
    with pytest.raises(
        ConfigError, match=r"model-x does not load \((no file|Unrecog|'modules).*correct encoder"
    ) as told:
        load_encoder("model-x")
    assert "\n" not in str(told.value)


def test_the_hash_of_a_folder_is_of_names_and_contents(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    (tmp_path / "one/config.json").write_text("{}")
    (tmp_path / "two/config.json").write_text("{}")
    (tmp_path / "three/settings.json").write_text("{}")
    one, two, three = (folder_sha256(str(tmp_path / name)) for name in ("one", "two", "three"))
    assert one == two != three


def test_a_tiny_real_model(tmp_path: Path) -> None:
    """Made here with random weights: equal texts have equal embeddings, whatever else is embedded beside them."""
    package = pytest.importorskip("sentence_transformers", reason="the extra 'embeddings' is not installed")
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "heron", "pond", "stands", "the", "in"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = transformers.BertModel(transformers.BertConfig(vocab_size=len(words), **shape))
    model.save_pretrained(tmp_path / "bert")
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "bert")
    package.SentenceTransformer(str(tmp_path / "bert"), device="cpu").save(str(tmp_path / "encoder"))
    texts = ["the heron stands", "pond", "the heron stands"]
    found = embed(texts, str(tmp_path / "encoder"))
    assert (found.shape, found.dtype) == ((3, 16), np.float32)
    assert np.array_equal(found[0], found[2])
    assert np.array_equal(embed(texts[:1], str(tmp_path / "encoder"))[0], found[0])
    assert not np.array_equal(found[0], found[1])
