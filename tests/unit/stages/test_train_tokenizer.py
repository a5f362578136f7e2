"""The stage train_tokenizer: report, held-out text, and that the cut of the corpus does not show."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError
from stages.train_tokenizer import take_ready, train
from tokenizer_training.encoder import Encoder
from tokenizer_training.tokenizer_config import TokenizerConfig

SCHEMA = pa.schema([(name, pa.string()) for name in ("doc_id", "split", "text")])
CONFIG = TokenizerConfig(vocab_size=320, sample_bytes=4000, evaluation_bytes=1000)


def _corpus(folder: Path, num_parts: int, *, validation: bool = True) -> list[str]:
    files = []
    for lang, word in (("eng_Latn", "hello world "), ("rus_Cyrl", "привет мир ")):
        rows = [
            {
                "doc_id": f"{lang}{i}",
                "split": "validation" if validation and i % 4 == 0 else "train",
                "text": word * (i % 5 + 1) + str(i),
            }
            for i in range(80)
        ]
        for part in range(num_parts):
            path = folder / f"lang={lang}" / f"part-{part}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows[part::num_parts], SCHEMA), path)
            files.append(str(path))
    return files


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_report_is_of_what_was_written(kind: str, tmp_path: Path) -> None:
    output = tmp_path / "out" / "tokenizer.json"
    report = train(_corpus(tmp_path, 2), kind, CONFIG, str(output))
    assert report["kind"] == kind
    assert report["tokenizer_sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    encoder = Encoder(str(output), eos_token="<|endoftext|>")
    assert (report["vocab_size"], report["eos_token_id"]) == (encoder.vocab_size, encoder.eos_token_id)
    assert sum(report["sample_bytes"].values()) == pytest.approx(4000, abs=10)
    assert report["evaluated_split"] == "validation"
    evaluation = report["evaluation"]
    assert set(evaluation["per_language"]) == {"eng_Latn", "rus_Cyrl"}
    assert evaluation["overall"]["num_bytes"] == pytest.approx(1000, abs=10)
    assert evaluation["overall"]["num_round_trip_failures"] == 0
    assert evaluation["overall"]["bytes_per_token"] > 1.5


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_cut_of_the_corpus_does_not_show(kind: str, tmp_path: Path) -> None:
    outputs = [str(tmp_path / name) for name in ("a.json", "b.json")]
    first = train(_corpus(tmp_path / "a", 1), kind, CONFIG, outputs[0])
    second = train(_corpus(tmp_path / "b", 5)[::-1], kind, CONFIG, outputs[1])
    assert first == second
    assert Path(outputs[0]).read_bytes() == Path(outputs[1]).read_bytes()


def test_without_held_out_text_training_text_is_measured(tmp_path: Path) -> None:
    report = train(_corpus(tmp_path, 1, validation=False), "bpe", CONFIG, str(tmp_path / "t.json"))
    assert report["evaluated_split"] == "train"
    assert report["evaluation"]["overall"]["num_documents"] > 0


def test_temperature_gives_small_languages_more(tmp_path: Path) -> None:
    files = _corpus(tmp_path, 1)
    shares = []
    for alpha in (0.0, 1.0):
        config = CONFIG.model_copy(update={"language_alpha": alpha, "sample_bytes": 1000})
        shares.append(train(files, "bpe", config, str(tmp_path / "t.json"))["sample_bytes"])
    assert shares[0]["eng_Latn"] == pytest.approx(shares[0]["rus_Cyrl"], abs=10)
    assert shares[1]["rus_Cyrl"] > 1.4 * shares[1]["eng_Latn"]


def test_no_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no text of split 'train'"):
        train([], "bpe", CONFIG, str(tmp_path / "t.json"))


def test_a_ready_tokenizer_is_taken_and_measured(tmp_path: Path) -> None:
    ready, output = tmp_path / "ready.json", tmp_path / "out" / "tokenizer.json"
    trained = train(_corpus(tmp_path / "a", 1), "bpe", CONFIG, str(ready))
    report = take_ready(_corpus(tmp_path / "b", 1), str(ready), CONFIG, str(output))
    assert output.read_bytes() == ready.read_bytes()
    assert report == {**trained, "sample_bytes": {}}, "the same text, the same vocabulary, the same figures"
    other = CONFIG.model_copy(update={"eos_token": "<end>"})
    with pytest.raises(ConfigError, match="eos_token='<end>' is not a token of"):
        take_ready(_corpus(tmp_path / "b", 1), str(ready), other, str(output))
    with pytest.raises(ConfigError, match=r"no tokenizer at .*; expected a tokenizer.json"):
        take_ready(_corpus(tmp_path / "b", 1), str(tmp_path / "none.json"), CONFIG, str(output))
