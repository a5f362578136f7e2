"""What is told about one record; ``explanation_text`` writes it for a terminal."""

from __future__ import annotations

from typing import Literal

from pipeline.config import Config

TEXT_HEAD_CHARS = 300
MAX_MEMBERS = 20
MAX_PIECES = 5
PIECE_CHARS = 80

Outcome = Literal["passed", "dropped", "quarantined", "not reached", "not run"]


class StageOutcome(Config):
    """What one stage did with the record; value and threshold are those of the rule that ended it."""

    stage: str
    outcome: Outcome
    reason: str | None = None
    value: float | None = None
    threshold: float | None = None


class RuleCheck(Config):
    """One rule on one signal. A record is dropped by the first rule that fires; the others are shown all the same.

    ``judged`` is False where the filter looks at other languages only.
    """

    filter: str
    reason: str
    signal: str
    value: float | None
    drop_if: str
    threshold: float
    judged: bool
    fired: bool


class LineEdit(Config):
    """What one line rule took of the document: UTF-8 bytes, and the lines from which it took them."""

    rule: str
    num_lines: int
    num_bytes: int


class CutPiece(Config):
    """Something that was cut: UTF-8 bytes into the text as the stage saw it, and its first characters."""

    start: int
    end: int
    text: str


class TextCut(Config):
    """What one corpus-wide stage cut of the document, the first ``MAX_PIECES`` ranges word for word."""

    stage: str
    num_ranges: int
    num_bytes: int
    dropped_reason: str | None
    detail: str | None
    pieces: tuple[CutPiece, ...]


class EvaluationItem(Config):
    """A passage of an evaluation set that the document held, and how many of its n-grams."""

    set: str
    item_index: int
    field: str
    part_index: int
    num_ngrams_found: int
    num_ngrams: int


class ClusterMember(Config):
    doc_id: str
    url: str | None
    similarity: float
    kept: bool


class Cluster(Config):
    """A cluster of copies; at most ``MAX_MEMBERS`` of its members are listed, the kept one first."""

    kind: str
    cluster_id: str
    kept_doc_id: str
    num_members: int
    members: tuple[ClusterMember, ...]


class ShardPlace(Config):
    """Where one copy of the document stands: sequence number and first token in its shard."""

    shard: str
    split: str
    epoch: int
    sequence_index: int
    token_offset: int
    num_tokens: int


class RecordHistory(Config):
    """One record from the archive to the shards.

    ``verdict`` is kept, dropped or quarantined; None in a run that has not decided yet. ``kept_in`` names dump and
    entry of the store if ``kept_doc_id`` is a document of a finished run. ``text_head`` is the first
    ``TEXT_HEAD_CHARS`` code points, of the redacted text where there is one.
    """

    doc_id: str
    source: str
    domain: str | None
    url: str | None
    warc_file: str
    warc_record_id: str | None
    warc_offset: int | None
    record_type: str | None
    fetch_time: str | None = None
    http_status: int | None = None
    lang: str | None = None
    lang_score: float | None = None
    num_bytes: int | None = None
    num_chars: int | None = None
    verdict: Literal["kept", "dropped", "quarantined"] | None = None
    ended_by: StageOutcome | None = None
    kept_doc_id: str | None = None
    kept_in: str | None = None
    stages: tuple[StageOutcome, ...]
    rules: tuple[RuleCheck, ...] = ()
    signals: dict[str, float | None] = {}
    line_edits: tuple[LineEdit, ...] = ()
    text_cuts: tuple[TextCut, ...] = ()
    evaluation_items: tuple[EvaluationItem, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    copies: int | None = None
    split: str | None = None
    num_redactions: int | None = None
    places: tuple[ShardPlace, ...] = ()
    text_head: str | None = None
    text_is_redacted: bool = False
    error_class: str | None = None
    error_message: str | None = None


class Explanation(Config):
    """All records that a question names: a URL may have been fetched more than once."""

    run_folder: str
    question: str
    records: tuple[RecordHistory, ...]
