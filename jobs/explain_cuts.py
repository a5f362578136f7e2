"""What the corpus-wide stages cut out of one document: their ranges as written down, with the words that went."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from filters.line_rules import clean
from jobs.explain_lines import line_rules
from jobs.explanation import MAX_PIECES, PIECE_CHARS, CutPiece, TextCut
from jobs.run_folder import RunFolder
from jobs.text_stages import work_folder
from pipeline.text_cuts import RANGES, cut_texts

_COLUMNS = ("starts", "ends", "num_bytes_cut", "dropped_reason", "detail")


def text_cuts(run: RunFolder, doc_id: str, unit: str, row_index: int, lang: str | None) -> tuple[TextCut, ...]:
    """What each corpus-wide stage cut, in their order; the words only where the text can be had as the stage saw it.

    Args:
        unit, row_index: where the document lies in ``documents/``.
        lang: its language.
    """
    found: list[TextCut] = []
    text: str | None = None
    for stage in run.text_stages:
        rows = run.rows(work_folder(stage), _COLUMNS, pc.field("doc_id") == doc_id).to_pylist()
        if not rows:
            continue
        if not found:
            text = _text_before_cuts(run, unit, row_index, lang)
        found.append(_text_cut(stage, rows[0], text))
        text = None if text is None else _without(text, rows[0])
    return tuple(found)


def _text_before_cuts(run: RunFolder, unit: str, row_index: int, lang: str | None) -> str | None:
    """The text as the first of the stages saw it; None if a list of boilerplate is not on this machine."""
    text: str = run.row_at(f"documents/part-{unit}.parquet", row_index, ["text"])["text"]
    rules, is_whole = line_rules(run)
    if rules is None:
        return text
    if not is_whole:
        return None
    cleaned: str = clean(pa.array([text], pa.string()), pa.array([lang], pa.string()), rules).text[0].as_py()
    return cleaned


def _text_cut(stage: str, row: dict[str, Any], text: str | None) -> TextCut:
    encoded = b"" if text is None else text.encode()
    ranges = list(zip(row["starts"], row["ends"], strict=True))
    pieces = [
        CutPiece(start=start, end=end, text=encoded[start:end].decode()[:PIECE_CHARS])
        for start, end in ([] if text is None else ranges[:MAX_PIECES])
    ]
    return TextCut(
        stage=stage,
        num_ranges=len(ranges),
        num_bytes=row["num_bytes_cut"],
        dropped_reason=row["dropped_reason"],
        detail=row["detail"],
        pieces=tuple(pieces),
    )


def _without(text: str, row: dict[str, Any]) -> str:
    left: str = cut_texts(
        pa.array([text], pa.string()), *(pa.array([row[side]], RANGES) for side in ("starts", "ends"))
    )[0].as_py()
    return left
