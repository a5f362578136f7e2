"""One record's history, against the run that the conftest wrote."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.explain_document import explain
from jobs.explanation import Explanation, RecordHistory
from jobs.explanation_text import render
from pipeline.errors import ConfigError

FIRST_UNIT = "0001-en"


def doc_id_of(run: SimpleNamespace, page_index: int, unit: str = FIRST_UNIT) -> str:
    return next(page["doc_id"] for page in run.pages if page["unit"] == unit and page["page_index"] == page_index)


def only(explanation: Explanation) -> RecordHistory:
    assert len(explanation.records) == 1
    return explanation.records[0]


def outcomes(history: RecordHistory) -> dict[str, str]:
    return {stage.stage: stage.outcome for stage in history.stages}


def test_kept_document_leads_to_its_shards(small_run: SimpleNamespace) -> None:
    history = only(explain(small_run.folder, doc_id_of(small_run, 22)))
    assert (history.verdict, history.copies, history.split, history.ended_by) == ("kept", 2, "train", None)
    assert set(outcomes(history).values()) == {"passed"}
    assert [place.epoch for place in history.places] == [0, 1]
    docs = pq.read_table(f"{small_run.folder}/shards/train-00000.docs.parquet").to_pylist()
    for place in history.places:
        assert docs[place.sequence_index]["doc_id"] == history.doc_id
        assert docs[place.sequence_index]["epoch"] == place.epoch
        assert place.token_offset == sum(row["num_tokens"] for row in docs[: place.sequence_index])
        assert place.num_tokens == docs[place.sequence_index]["num_tokens"]
    assert history.text_is_redacted
    assert history.text_head is not None and history.text_head.startswith("<EMAIL_ADDRESS> page 22 of 0001-en")
    assert len(history.text_head) == 300


def test_page_of_a_later_row_group_gets_its_own_signals(small_run: SimpleNamespace) -> None:
    """Pages 22 and 35 lie in other row groups than page 1: the row index is carried across them."""
    for page_index in (1, 22, 35):
        history = only(explain(small_run.folder, doc_id_of(small_run, page_index, "0002-ru")))
        assert history.signals["num_words"] == 200 + 17 * page_index
        assert history.warc_offset == 1000 * page_index
        assert f"page {page_index} of 0002-ru" in (history.text_head or "")


def test_held_out_document_is_found_in_the_validation_shard(small_run: SimpleNamespace) -> None:
    history = only(explain(small_run.folder, doc_id_of(small_run, 21)))
    assert [place.shard for place in history.places] == ["validation-docs"]


def test_dropped_document_names_the_rule_that_fired(small_run: SimpleNamespace) -> None:
    history = only(explain(small_run.folder, "http://en.example/docs/page-03.html"))
    assert history.verdict == "dropped"
    assert history.ended_by is not None
    assert (history.ended_by.stage, history.ended_by.value, history.ended_by.threshold) == ("gopher_quality", 20, 50)
    fired = [check for check in history.rules if check.fired]
    assert [(check.signal, check.drop_if, check.threshold) for check in fired] == [("num_words", "<", 50)]
    assert fired[0].reason == history.ended_by.reason
    found = outcomes(history)
    assert (found["extract_text"], found["gopher_quality"], found["dedup_near"]) == ("passed", "dropped", "not reached")
    assert "read_table" not in found
    assert not history.text_is_redacted and history.text_head is not None and history.text_head.startswith("page 3")


def test_rule_that_judges_other_languages_does_not_fire(build_small_run) -> None:  # type: ignore[no-untyped-def]
    run = build_small_run(filters={"gopher_quality": {"languages": ["eng_Latn"]}})
    short = only(explain(run.folder, doc_id_of(run, 3, "0002-ru")))
    assert short.signals["num_words"] == 20 and short.verdict == "kept"
    assert {(check.judged, check.fired) for check in short.rules} == {(False, False)}
    assert any(check.fired for check in only(explain(run.folder, doc_id_of(run, 3))).rules)


def test_page_that_the_reader_ended_has_no_signals(small_run: SimpleNamespace) -> None:
    history = only(explain(small_run.folder, doc_id_of(small_run, 9)))
    assert history.ended_by is not None
    assert (history.ended_by.stage, history.ended_by.reason, history.ended_by.value) == (
        "read_warc",
        "http_status",
        404,
    )
    assert (history.rules, history.signals, history.text_head, history.http_status) == ((), {}, None, 404)


@pytest.mark.parametrize(
    ("page_index", "kept_index", "kind", "num_members", "similarity"),
    [(0, 37, "exact", 2, 1.0), (1, 30, "near", 3, 0.875)],
)
def test_copy_names_its_cluster(
    small_run: SimpleNamespace, page_index: int, kept_index: int, kind: str, num_members: int, similarity: float
) -> None:
    history = only(explain(small_run.folder, doc_id_of(small_run, page_index)))
    assert history.verdict == "dropped"
    assert history.kept_doc_id == doc_id_of(small_run, kept_index)
    (cluster,) = history.clusters
    assert (cluster.kind, cluster.num_members, cluster.kept_doc_id) == (kind, num_members, history.kept_doc_id)
    assert cluster.members[0].kept and cluster.members[0].doc_id == history.kept_doc_id
    assert cluster.members[0].url == f"http://en.example/docs/page-{kept_index:02d}.html"
    own = next(member for member in cluster.members if member.doc_id == history.doc_id)
    assert own.similarity == similarity and not own.kept
    assert history.places == ()


def test_exact_copy_of_a_near_copy_shows_the_cluster_of_what_was_kept_for_it(build_small_run) -> None:  # type: ignore[no-untyped-def]
    run = build_small_run()
    copy, stand_in, survivor = (doc_id_of(run, page_index) for page_index in (0, 37, 30))
    (part,) = Path(run.folder, "clusters").glob("*.parquet")
    table = pq.read_table(part)
    near = next(row for row in table.to_pylist() if row["doc_id"] == survivor)
    added = {**near, "doc_id": stand_in, "similarity": 0.9}
    pq.write_table(pa.concat_tables([table, pa.Table.from_pylist([added], table.schema)]), part)
    exact, chained = only(explain(run.folder, copy)).clusters
    assert (exact.kind, exact.kept_doc_id, exact.num_members) == ("exact", stand_in, 2)
    assert (chained.kind, chained.kept_doc_id, chained.num_members) == ("near", survivor, 4)
    assert next(member.similarity for member in chained.members if member.doc_id == stand_in) == 0.9


@pytest.mark.parametrize("which", ["http://broken.example/<b>", "0001-en.warc.gz:123456", "toy/0001-en.warc.gz:123456"])
def test_quarantined_record_is_found_by_url_and_by_place(small_run: SimpleNamespace, which: str) -> None:
    history = only(explain(small_run.folder, which))
    assert history.verdict == "quarantined"
    assert (history.warc_file, history.warc_offset) == ("0001-en.warc.gz", 123_456)
    assert history.error_message == "chunk header '<zz>' is not hexadecimal"


def test_page_is_found_by_archive_and_offset(small_run: SimpleNamespace) -> None:
    assert only(explain(small_run.folder, "0002-ru.warc.gz:12000")).doc_id == doc_id_of(small_run, 12, "0002-ru")


def test_unknown_url_names_the_nearest_of_its_host(small_run: SimpleNamespace) -> None:
    with pytest.raises(ConfigError) as error:
        explain(small_run.folder, "http://en.example/docs/page-07.htm")
    message = str(error.value)
    assert "nearest on en.example: " in message
    assert message.split("nearest on en.example: ")[1].split(", ")[0] == "http://en.example/docs/page-07.html"
    with pytest.raises(ConfigError, match=r"no page of host elsewhere\.example was read"):
        explain(small_run.folder, "http://elsewhere.example:8080/")
    for which in ("http://[", "0001-en.warc.gz:7"):
        with pytest.raises(ConfigError, match="no record"):
            explain(small_run.folder, which)
    with pytest.raises(ConfigError, match="expected a doc_id, a URL or <archive>:<offset>"):
        explain(small_run.folder, "0" * 32)


def test_a_folder_that_is_no_run_is_a_user_error(tmp_path: object) -> None:
    with pytest.raises(ConfigError, match=r"no run\.json in"):
        explain(str(tmp_path), "http://en.example/")


def test_run_without_decisions_tells_what_pass_1_found(build_small_run) -> None:  # type: ignore[no-untyped-def]
    run = build_small_run(until="signals")
    history = only(explain(run.folder, doc_id_of(run, 22)))
    assert history.verdict is None
    found = outcomes(history)
    assert (found["extract_text"], found["gopher_quality"], found["redact_pii"]) == ("passed", "not run", "not run")
    assert history.text_head is not None
    ended = only(explain(run.folder, doc_id_of(run, 9)))
    assert ended.ended_by is not None and ended.ended_by.reason == "http_status"


def test_rendering_and_json_carry_the_same_facts(small_run: SimpleNamespace) -> None:
    explanation = explain(small_run.folder, doc_id_of(small_run, 1))
    history = only(explanation)
    shown = render(explanation, width_columns=160)
    assert "dropped by dedup_near: near_duplicate (value 0.875); kept in its place: " in shown
    for wanted in (
        history.doc_id,
        str(history.kept_doc_id),
        "0001-en.warc.gz:1000",
        "http://en.example/docs/page-01.html",
    ):
        assert wanted in shown
    assert Explanation.model_validate(json.loads(explanation.model_dump_json())) == explanation


def test_rendering_does_not_pass_on_control_characters(small_run: SimpleNamespace) -> None:
    explanation = explain(small_run.folder, doc_id_of(small_run, 1))
    hostile = only(explanation).model_copy(update={"text_head": "a\x1b[31mb [bold]c[/bold]", "url": "http://x/\x07"})
    shown = render(explanation.model_copy(update={"records": (hostile,)}), width_columns=160)
    assert "\x1b[31m" not in shown and "\x07" not in shown
    assert "[bold]c[/bold]" in shown
