"""Verdicts beside datatrove's on the same documents: how often they are equal, by segmentation and filter.

    python benchmarks/parity_datatrove.py [FILE.parquet|FILE.jsonl|FILE.warc.gz ...] [--documents 700] [--show 5]

Without FILE: English pages of ``../shared/data/crawl`` and the texts of ``../shared/data/parity``. Texts come from the
column or key ``text``, or from the pages of an archive (main content). Each filter judges each text as it is; the last
row is the chain of the recipe, in which FineWeb's filter sees the text that C4's (without the rule on line ends) has
rewritten. datatrove's interpreter is found as ``benchmarks/signals.py`` finds it. With ``--show``, the first texts on
which the compatible mode differs are printed with both sides' reasons.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pyarrow as pa
from datatrove_peer import DATATROVE, run_peer
from fastwarc.warc import ArchiveIterator, WarcRecordType
from measure import report
from resiliparse.extract.html2text import extract_plain_text
from signals import FILTERS
from texts import read_texts

from filters.registry import FiltersConfig, judge
from filters.signals import MeasureConfig, measure

CRAWL, PARITY = Path("../shared/data/crawl"), Path("../shared/data/parity")
MIN_DOCUMENT_CHARS = 200
SEGMENTATIONS = ("datatrove", "unicode")
CHAIN = "c4, then fineweb"
CHAIN_FILTERS = FiltersConfig.model_validate({"c4": {}, "fineweb": {}})

PEER_PROGRAM = """
import json, sys
from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
filters = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(), FineWebQualityFilter()]
chain = [C4QualityFilter(filter_no_terminal_punct=False), FineWebQualityFilter()]

def judge(filter_, document):
    try:
        verdict = filter_.filter(document)
    except ZeroDivisionError:
        return "empty"
    return "" if verdict is True else verdict[1] if isinstance(verdict, tuple) else "dropped"

def judge_chain(document):
    return next(filter(None, (judge(filter_, document) for filter_ in chain)), "")

rows = []
for text in json.load(open(sys.argv[1], encoding="utf-8")):
    documents = [Document(text=text, id="", metadata={}) for _ in range(5)]
    rows.append([judge(filter_, document) for filter_, document in zip(filters, documents)])
    rows[-1].append(judge_chain(documents[-1]))
print(json.dumps(rows))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--documents", type=int, default=700)
    parser.add_argument("--show", type=int, default=0)
    arguments = parser.parse_args()
    files = arguments.files or [*sorted(CRAWL.glob("en*.warc.gz")), *sorted(PARITY.glob("*/input/*.parquet"))]
    texts = [text for path in files for text in texts_of(path, arguments.documents)]
    theirs = peer_reasons(texts)
    figures: dict[str, Any] = {"documents": len(texts)}
    print(f"{'segmentation':<14}{'filter':<20}{'equal':>8}{'differ':>8}{'we drop':>9}{'they drop':>11}")
    for segmentation in SEGMENTATIONS:
        ours = our_reasons(texts, segmentation)
        for i, name in enumerate((*FILTERS, CHAIN)):
            pairs = [(our[i], their[i]) for our, their in zip(ours, theirs, strict=True)]
            differing = [row for row, (our, their) in enumerate(pairs) if bool(our) != bool(their)]
            num_ours, num_theirs = (sum(bool(pair[side]) for pair in pairs) for side in (0, 1))
            num_equal = len(texts) - len(differing)
            print(f"{segmentation:<14}{name:<20}{num_equal:>8}{len(differing):>8}{num_ours:>9}{num_theirs:>11}")
            figures[f"{segmentation}: {name}"] = round(num_equal / len(texts), 5)
            if segmentation == "datatrove":
                for row in differing[: arguments.show]:
                    print(f"  text {row}: ours {pairs[row][0]!r}, theirs {pairs[row][1]!r}: {texts[row][:200]!r}")
    report("parity_datatrove", figures, DATATROVE, None)


def texts_of(path: Path, num_documents: int) -> list[str]:
    """The first texts of a file."""
    if ".warc" not in path.name:
        return read_texts(str(path))[:num_documents]
    texts: list[str] = []
    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
            if record.http_headers is None or record.http_headers.status_code != 200:
                continue
            text = extract_plain_text(record.reader.read().decode("utf-8", "replace"), main_content=True)
            if len(text) >= MIN_DOCUMENT_CHARS:
                texts.append(text)
            if len(texts) == num_documents:
                break
    return texts


def peer_reasons(texts: list[str]) -> list[list[str]]:
    """datatrove's reason for each text by filter, and by the chain; empty where it keeps the text."""
    rows: list[list[str]] = run_peer(PEER_PROGRAM, texts)
    return rows


def our_reasons(texts: list[str], segmentation: str) -> list[list[str]]:
    """Ours, in the same order."""
    column = pa.array(texts, pa.string())
    signals = measure(column, MeasureConfig.model_validate({"segmentation": segmentation}))
    verdicts = [judge(signals, FiltersConfig.model_validate({name: {}})) for name in FILTERS]
    rewritten = {"fineweb_lines": "as_c4_left_them", "c4_terminal_punctuation": False}
    chained = measure(column, MeasureConfig.model_validate({"segmentation": segmentation, **rewritten}))
    verdicts.append(judge(chained, CHAIN_FILTERS))
    reasons = [verdict.reason.fill_null("").to_pylist() for verdict in verdicts]
    return [list(row) for row in zip(*reasons, strict=True)]


if __name__ == "__main__":
    main()
