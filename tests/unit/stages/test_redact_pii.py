"""The stage redact_pii: columns, nulls, and independence of batch cuts."""

from __future__ import annotations

import pyarrow as pa

from filters.pii import PiiConfig
from pipeline.stage import fuse
from stages.redact_pii import make_stage

TEXTS = ["mail a@example.com or b@example.com", None, "", "plain", "93.184.216.34\n(425) 555-0123"]


def _batch(texts: list[str | None]) -> pa.RecordBatch:
    ids = pa.array([str(i) for i in range(len(texts))])
    return pa.RecordBatch.from_arrays([ids, pa.array(texts, pa.string())], names=["doc_id", "text"])


def test_text_is_replaced_and_counted() -> None:
    batch = fuse([make_stage(PiiConfig())])(_batch(TEXTS))
    assert batch.schema.names == ["doc_id", "text", "num_redactions"]
    assert batch.column("text").to_pylist() == [
        "mail <EMAIL_ADDRESS> or <EMAIL_ADDRESS>",
        None,
        "",
        "plain",
        "<IP_ADDRESS>\n<PHONE_NUMBER>",
    ]
    assert batch.column("num_redactions").to_pylist() == [2, 0, 0, 0, 2]


def test_batch_cuts_do_not_show() -> None:
    apply = fuse([make_stage(PiiConfig())])
    whole = pa.Table.from_batches([apply(_batch(TEXTS))])
    rows = [apply(_batch(TEXTS).slice(i, 1)) for i in range(len(TEXTS))]
    assert pa.Table.from_batches(rows).equals(whole)


def test_config_is_the_fingerprint() -> None:
    identities = [make_stage(PiiConfig(min_score=score)).identity() for score in (0.4, 0.5)]
    assert identities[0]["stage"] == "redact_pii"
    assert identities[0] != identities[1]
