"""Stop words for every language of a run over reference corpora: its most frequent words (``filters/stop_words.py``).

The texts are read again, those of ``MAX_DOCUMENTS`` documents a language, the ones with the smallest ids: which they
are depends neither on the files nor on their order. Memory: the vocabulary of so many documents.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.signals import segmentation_mode
from filters.stop_words import frequent_words
from jobs.run_folder import RunFolder
from pipeline import storage
from pipeline.kernels.word_counts import count_words

MAX_DOCUMENTS = 4000
"""Of a language; as many articles as the programs read that are the source of ``frequent_words``."""


def derive_stop_words(run: RunFolder, *, min_documents: int) -> dict[str, tuple[str, ...]]:
    """Stop words by language, in the order of the codes, the most frequent first; languages without any are left out.

    Args:
        run: over reference corpora; has come to ``signals/``. Words are what its ``[measure] segmentation`` says.
        min_documents: languages with fewer documents are left out.
    """
    has_text = pc.field("row_index").is_valid() & pc.field("ended_reason").is_null() & pc.field("lang").is_valid()
    documents = run.rows("signals", ["doc_id", "unit", "row_index", "lang"], has_text)
    mode = segmentation_mode(run.record["config"]["measure"]["segmentation"])
    chosen = _chosen(documents, min_documents)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    num_words: Counter[str] = Counter()
    for unit in sorted(pc.unique(chosen["unit"]).to_pylist()):
        of_unit = chosen.filter(pc.equal(chosen["unit"], unit))
        filesystem, path = storage.resolve(run.path(f"documents/part-{unit}.parquet"))
        texts = pq.read_table(path, columns=["text"], filesystem=filesystem)["text"].cast(pa.large_string())
        for lang in sorted(pc.unique(of_unit["lang"]).to_pylist()):
            rows = of_unit.filter(pc.equal(of_unit["lang"], lang))["row_index"]
            found, total = count_words(texts.take(rows).combine_chunks(), mode)
            counts[lang].update(found)
            num_words[lang] += total
    words = {lang: frequent_words(counts[lang], num_words[lang]) for lang in sorted(counts)}
    return {lang: found for lang, found in words.items() if found}


def _chosen(documents: pa.Table, min_documents: int) -> pa.Table:
    """The first ``MAX_DOCUMENTS`` of each language that has enough, by id."""
    ordered = documents.sort_by([("lang", "ascending"), ("doc_id", "ascending")])
    encoded = ordered["lang"].combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    sizes = np.bincount(codes, minlength=len(encoded.dictionary))
    place = np.arange(len(codes)) - (np.cumsum(sizes) - sizes)[codes]
    return ordered.filter(pa.array((place < MAX_DOCUMENTS) & (sizes[codes] >= min_documents)))


def as_toml(words: Mapping[str, tuple[str, ...]]) -> str:
    """``[measure.stop_words]`` as it stands in a run's config."""
    lines = ["", "# The most frequent words of each language's reference texts; this table has a place of its own."]
    lines.append("[measure.stop_words]")
    lines += [f"{lang} = [{', '.join(_quoted(word) for word in found)}]" for lang, found in words.items()]
    return "\n".join(lines) + "\n"


def _quoted(word: str) -> str:
    """A basic string of TOML; words hold neither control characters nor white space."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
