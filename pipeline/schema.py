"""Column contracts of the tables that stages hand to each other, and of the folders of a run.

A *page* is what a crawler fetched; it becomes a *document* when text was extracted from it. From the reader to
the writer of pass 1, a batch holds one row per page read **and** one row per record that could not be read:

* ``ended_*`` is null while the page is alive; the first stage that drops it fills them (stage, reason, value,
  threshold) and later stages leave such a row alone (their own columns stay null there).
* ``error_class`` and ``error_message`` are null for a readable record; a row with them goes to ``quarantine/``.
"""

from __future__ import annotations

import pyarrow as pa

ENDED = pa.schema(
    [
        ("ended_stage", pa.string()),
        ("ended_reason", pa.string()),
        ("ended_value", pa.float64()),
        ("ended_threshold", pa.float64()),
    ]
)
"""Why a row goes no further; all null while it is alive."""

ERROR = pa.schema([("error_class", pa.string()), ("error_message", pa.string())])

RECORD_IDENTITY = pa.schema(
    [
        ("doc_id", pa.string()),  # 32 hex digits: blake2b-128 over source and record identity
        ("source", pa.string()),  # [[input]] name
        ("domain", pa.string()),  # [[input]] domain: the unit of held-out evaluation
        ("url", pa.string()),
        ("warc_file", pa.string()),  # the input file, relative to its [[input]]'s root
        ("warc_record_id", pa.string()),
        ("warc_offset", pa.int64()),  # bytes into the file; for jsonl and Parquet the row number
    ]
)

PAGE = pa.schema(
    [
        *RECORD_IDENTITY,
        ("record_type", pa.string()),  # response, resource, conversion, revisit; "text" for jsonl, Parquet and text
        ("warc_refers_to", pa.string()),  # id of the record that this one was made from: WET, revisits; else null
        ("fetch_time", pa.timestamp("ms", tz="UTC")),
        ("http_status", pa.int32()),
        ("content_type", pa.string()),
        ("charset", pa.string()),  # as declared in the HTTP header; after extraction: as used
        ("payload", pa.binary()),  # HTML or plain text, transfer and content encodings undone
        *ENDED,
        *ERROR,
    ]
)
"""What a reader yields, one row per page or unreadable record."""

PAGE_RECORD_TYPES = ("response", "resource", "conversion", "revisit", "text")
"""Values of ``record_type`` that are pages; every other record is counted by its type and nothing else."""

HOST = pa.schema([("host", pa.string()), ("registered_domain", pa.string())])

TEXT = pa.schema(
    [
        ("charset", pa.string()),
        ("text", pa.string()),  # null where the row has ended
        ("num_bytes", pa.int64()),  # UTF-8 bytes of text
        ("num_chars", pa.int64()),  # Unicode code points of text
    ]
)

LANGUAGE = pa.schema(
    [
        ("lang", pa.string()),  # ISO 639-3 and script: eng_Latn (pipeline/language_codes.py)
        ("lang_score", pa.float64()),  # the model's probability of its label
        ("script", pa.string()),  # ISO 15924: the script of most letters
        ("script_share", pa.float64()),  # its share of all letters
        ("lang_line_share", pa.float64()),  # share of the text's bytes in lines of language lang; null unless asked for
        ("second_lang", pa.string()),  # the language of most of the other lines
        ("second_lang_share", pa.float64()),  # its share of the text's bytes
    ]
)
"""What is known of a text's language; all null where there is no text."""

SCORE = pa.float32()
"""What models of ``[quality]`` give."""


def score_type(name: str) -> pa.DataType:
    """Type of a column of ``signals/`` that is there if ``[quality]`` names a model: a count, or a score."""
    return pa.int64() if name.startswith("num_") else SCORE


DOCUMENT = pa.schema(
    [
        *RECORD_IDENTITY,
        *HOST,
        ("fetch_time", pa.timestamp("ms", tz="UTC")),
        ("http_status", pa.int32()),
        ("content_type", pa.string()),
        *TEXT,
    ]
)
"""``documents/``: one row per extracted document."""

QUARANTINE = pa.schema(
    [
        *RECORD_IDENTITY,
        ("record_type", pa.string()),
        *ERROR,
    ]
)
"""``quarantine/``: where the raw bytes of an unreadable record lie, and what is wrong with them."""

LOCATION = pa.schema(
    [
        ("unit", pa.string()),  # names the part files of one input unit: documents/part-<unit>.parquet …
        ("page_index", pa.int64()),  # row in signals/part-<unit>.parquet
        ("row_index", pa.int64()),  # row in documents/part-<unit>.parquet; null where there is no text
    ]
)

DECISION = pa.schema(
    [
        ("doc_id", pa.string()),
        ("source", pa.string()),
        ("domain", pa.string()),
        ("url", pa.string()),
        ("warc_file", pa.string()),
        ("lang", pa.string()),
        ("num_bytes", pa.int64()),
        ("verdict", pa.string()),  # "kept" or "dropped"
        ("stage", pa.string()),  # the stage that dropped it; null when kept
        ("reason", pa.string()),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
        ("kept_doc_id", pa.string()),  # for a duplicate: the document kept in its place
        ("copies", pa.int32()),  # how often the document stands in the shards; 0 when dropped
        ("split", pa.string()),  # "train" or "validation"; null when dropped
        *LOCATION,
    ]
)
"""``decisions/``: one row per page read."""

CLUSTER = pa.schema(
    [
        ("doc_id", pa.string()),
        ("cluster_id", pa.string()),  # smallest doc_id of the cluster; between dumps the older document
        ("kept_doc_id", pa.string()),
        ("similarity", pa.float64()),  # estimated Jaccard similarity to the kept document; 1 for exact copies
        ("kind", pa.string()),  # "exact" or "near"; "exact_older" or "near_older" between dumps
    ]
)
"""``clusters/``: one row per member of a cluster of two or more."""

CORPUS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("source", pa.string()),
        ("domain", pa.string()),
        ("url", pa.string()),
        ("lang", pa.string()),
        ("split", pa.string()),
        ("copies", pa.int32()),
        ("num_redactions", pa.int32()),
        ("text", pa.string()),
    ]
)
"""What passes from redaction to tokenisation. In ``corpus/lang=<lang>/`` the files hold every column but ``lang``:
pandas and pyarrow refuse a dataset that has a partition column in its files too."""

TOKENS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("lang", pa.string()),
        ("domain", pa.string()),
        ("split", pa.string()),  # "train" or "validation"
        ("epoch", pa.int32()),  # 0 for the first copy of a document, 1 for the second …
        ("order_key", pa.uint64()),  # hash of (seed, "shuffle", doc_id, epoch): place in the global shuffle
        ("num_bytes", pa.int64()),  # UTF-8 bytes of the text
        ("num_tokens", pa.int32()),  # the end-of-text token included
        ("tokens", pa.binary()),  # token ids, little-endian, of the type that the vocabulary needs
    ]
)
"""``tokens/`` (intermediate): one row per copy of a document, sorted by (split, domain, order_key) within a file."""
