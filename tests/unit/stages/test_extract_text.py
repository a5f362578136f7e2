"""Extraction: text, bounds, and pages that fail alone."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from pipeline.errors import ConfigError
from pipeline.schema import PAGE
from pipeline.stage import fuse
from stages import extract_text
from stages.extract_text import ExtractConfig, Reason

ARTICLE = (
    "<!doctype html><html><head><title>Heron</title></head><body><nav><ul><li><a href=/>Home</a></li></ul></nav>"
    "<article><h1>The heron</h1><p>The heron stands still at the edge of the pond, and waits.</p>"
    "<p>In winter it moves to the river, where the water does not freeze.</p>"
    "<noscript>Switch JavaScript on.</noscript>"
    "<img src=a.png alt='a grey bird'><a href='http://birds.example/more'>More</a></article>"
    "<footer>All rights reserved</footer></body></html>"
)


def batch_of(*rows: dict[str, Any]) -> pa.RecordBatch:
    defaults = {"content_type": "text/html", "charset": "utf-8", "doc_id": "d"}
    columns = {field.name: [{**defaults, **row}.get(field.name) for row in rows] for field in PAGE}
    return pa.RecordBatch.from_pydict(columns, schema=PAGE)


def extract(*rows: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    batch = fuse([extract_text.make_stage(ExtractConfig(**options))])(batch_of(*rows))
    batch.validate(full=True)
    assert "payload" not in batch.schema.names
    return batch.to_pylist()


def test_main_content() -> None:
    (row,) = extract({"payload": ARTICLE.encode()})
    assert "The heron stands still" in row["text"]
    assert "All rights reserved" not in row["text"]
    assert row["text"] == extract_plain_text(
        HTMLTree.parse(ARTICLE), main_content=True, alt_texts=False, preserve_formatting=True
    )
    assert row["num_chars"] == len(row["text"])
    assert row["num_bytes"] == len(row["text"].encode())


@pytest.mark.parametrize(
    ("option", "value", "mark"),
    [
        ("main_content", False, "All rights reserved"),
        ("alt_texts", True, "a grey bird"),
        ("links", True, "http://birds.example/more"),
        ("noscript", True, "Switch JavaScript on."),
    ],
)
def test_options_reach_the_extractor(option: str, value: bool, mark: str) -> None:
    assert mark not in extract({"payload": ARTICLE.encode()})[0]["text"]
    assert mark in extract({"payload": ARTICLE.encode()}, **{option: value})[0]["text"]


@pytest.mark.parametrize(
    ("option", "page"),
    [
        ("preserve_formatting", ARTICLE),
        ("list_bullets", "<main><p>Birds of the pond:</p><ul><li>heron</li><li>teal</li></ul></main>"),
        ("form_fields", "<main><p>Birds</p><form><textarea>teal</textarea><button>Send</button></form></main>"),
        ("comments", "<main><article><p>Birds of the pond.</p></article><div class=comments>I saw one!</div></main>"),
    ],
)
def test_every_other_option_changes_some_page(option: str, page: str) -> None:
    default = getattr(ExtractConfig(), option)
    is_main = option == "comments"
    texts = [
        extract({"payload": page.encode()}, **{"main_content": is_main, option: value})[0]["text"]
        for value in (default, not default)
    ]
    assert texts[0] != texts[1]


def test_plain_text_comes_as_it_is() -> None:
    text = "Ein  Reiher\n\n\tsteht <still>.\n"
    (row,) = extract({"payload": text.encode("cp1252"), "content_type": "text/plain", "charset": "windows-1252"})
    assert row["text"] == text


def test_charset_is_the_one_used() -> None:
    russian = "<p>" + "Цапля стоит на краю пруда. " * 20
    (declared, meta) = extract(
        {"payload": russian.encode("koi8-r"), "charset": "koi8-r"},
        {"payload": f"<meta charset=windows-1251>{russian}".encode("cp1251"), "charset": None},
    )
    assert (declared["charset"], meta["charset"]) == ("koi8-r", "cp1251")
    assert declared["text"] == meta["text"]
    assert "Цапля стоит" in meta["text"]


@pytest.mark.parametrize("payload", [b"<html></html>", b"<p> \n </p>", b"\x00\x00", b"<!-- only a comment -->"])
def test_no_text(payload: bytes) -> None:
    (row,) = extract({"payload": payload})
    assert row["text"] is None and row["num_bytes"] is None and row["num_chars"] is None
    assert [row[f"ended_{name}"] for name in ("stage", "reason", "value", "threshold")] == [
        "extract_text",
        "no_text",
        0,
        1,
    ]


def test_min_chars() -> None:
    rows = extract(
        {"payload": b"12345", "content_type": "text/plain"},
        {"payload": b" 1234\n", "content_type": "text/plain"},
        min_chars=5,
    )
    assert [row["text"] for row in rows] == ["12345", None]
    assert (rows[1]["ended_reason"], rows[1]["ended_value"], rows[1]["ended_threshold"]) == (Reason.NO_TEXT, 4, 5)


def test_work_per_page_is_bounded() -> None:
    rows = extract(
        {"payload": b"<p>" + b"a " * 600},
        {"payload": b"<div>" * 101 + b"deep"},
        {"payload": b"<div>" * 100 + b"not too deep"},
        {"payload": b"<DIV><article>" * 60 + b"</article></DIV>" * 60},
        {"payload": b"<div>a</div>" * 90},
        {"payload": b"a " * 600, "content_type": "text/plain"},
        max_html_bytes=1100,
        max_html_depth=100,
    )
    assert [(row["ended_reason"], row["ended_value"]) for row in rows] == [
        ("html_too_large", 1203),
        ("html_too_deep", 101),
        (None, None),
        ("html_too_large", 1800),
        (None, None),
        (None, None),
    ]
    (deep,) = extract({"payload": b"<DIV><article>" * 60 + b"</article></DIV>" * 60}, max_html_depth=100)
    assert (deep["ended_reason"], deep["ended_value"]) == ("html_too_deep", 120)


def test_an_error_of_the_parser_costs_its_page_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(tree: HTMLTree, **options: Any) -> str:
        text = extract_plain_text(tree, **options)
        if "poison" in text:
            raise RuntimeError("node is gone")
        return text

    monkeypatch.setattr(extract_text, "extract_plain_text", fail)
    before, broken, after = extract({"payload": b"<p>one"}, {"payload": b"<p>poison"}, {"payload": b"<p>two"})
    assert (before["text"], after["text"]) == ("one", "two")
    assert broken["text"] is None and broken["ended_reason"] is None
    assert broken["error_class"] == "ExtractionRuntimeError"
    assert "node is gone" in broken["error_message"]


def test_rows_that_ended_or_failed_before_are_left_alone() -> None:
    ended = {"ended_stage": "read_warc", "ended_reason": "http_status", "ended_value": 404.0, "ended_threshold": 200.0}
    failed = {"error_class": "TruncatedRecord", "error_message": "cut"}
    rows = extract(ended, failed, {"payload": b"<p>alive"})
    assert {name: rows[0][name] for name in ended} == ended
    assert {name: rows[1][name] for name in failed} == failed
    assert [row["text"] for row in rows] == [None, None, "alive"]
    assert rows[1]["ended_reason"] is None and rows[2]["error_class"] is None


def test_an_empty_batch() -> None:
    assert extract() == []


def test_nul_and_surrogates_do_not_break_the_table() -> None:
    (row,) = extract({"payload": b"<p>a\x00b &#xD800; &#0; c"})
    assert "\0" not in row["text"]
    assert row["text"].encode().decode() == row["text"]


# --- the other extractors

PAGE_WITH_MENU = (
    "<title>The heron - Pond news</title><body><div class='nav menu'><ul>"
    + "".join(f"<li><a href='/{i}'>Section {i}</a></li>" for i in range(12))
    + "</ul></div><div class='article-body'><h1>The heron</h1>"
    + "".join(
        f"<p>The heron stands still at the edge of the pond number {i}, and waits for the fish to come near enough, "
        "as it has done for years. Nobody who walks past it in the morning would think that it moves at all.</p>"
        for i in range(5)
    )
    + "</div><div class='sidebar related'><ul><li><a href=a>More news of birds</a></li><li><a href=b>Share</a></li>"
    "</ul></div><div id=footer>Copyright by the pond. <a href=c>Privacy policy</a></div></body>"
)


@pytest.mark.parametrize("extractor", ["blocks", "trafilatura"])
def test_main_content_by_the_other_extractors(extractor: str) -> None:
    (row,) = extract({"payload": PAGE_WITH_MENU.encode()}, extractor=extractor)
    assert all(f"pond number {i}" in row["text"] for i in range(5))
    assert not any(mark in row["text"] for mark in ("Section 3", "Share", "Privacy policy"))
    assert row["num_chars"] == len(row["text"])


@pytest.mark.parametrize("extractor", ["resiliparse", "blocks", "trafilatura"])
def test_a_batch_is_the_sum_of_its_rows(extractor: str) -> None:
    payloads = [PAGE_WITH_MENU.encode(), b"", ARTICLE.encode(), b"<p>x", PAGE_WITH_MENU.encode()]
    together = extract(*({"payload": payload} for payload in payloads), extractor=extractor)
    alone = [extract({"payload": payload}, extractor=extractor)[0] for payload in payloads]
    assert together == alone


def test_a_large_batch_is_the_sum_of_its_rows() -> None:
    kinds: list[dict[str, Any]] = [
        {"payload": ARTICLE.encode()},
        {"payload": None, "ended_stage": "filter_url", "ended_reason": "blocked_domain"},
        {"payload": b"plain <b>text", "content_type": "text/plain"},
        {"payload": b"<div>" * 30 + b"deep"},
        {"payload": "<p>caf\xe9".encode("cp1252"), "charset": "iso-8859-1"},
        {"payload": b"<p>" + b"x" * 2_000},
        {"payload": None},
    ]
    bounds = {"max_html_depth": 20, "max_html_bytes": 1_000}
    alone = [extract(kind, **bounds)[0] for kind in kinds]
    assert [row["ended_reason"] for row in alone].count(None) == 3
    num_times = 2 * extract_text._ROWS_AT_ONCE // len(kinds) + 1
    assert extract(*kinds * num_times, **bounds) == alone * num_times


@pytest.mark.parametrize(
    ("charset", "word"), [("utf-16-le", "a"), ("utf-16-be", "\xe9"), ("cp1252", "\xe9"), ("iso2022_jp", "\u3042")]
)
def test_nodes_are_those_of_the_text_whatever_its_charset(charset: str, word: str) -> None:
    (row,) = extract({"payload": (f"<p>{word}" * 31).encode(charset), "charset": charset}, max_html_nodes=30)
    assert (row["charset"], row["ended_reason"]) == (charset, "html_too_many_nodes")
    assert (row["ended_value"], row["ended_threshold"]) == (31, 30)


def test_a_page_without_main_content_has_no_text() -> None:
    links = "".join(f"<li><a href='/{i}'>Section {i}</a></li>" for i in range(40))
    (row,) = extract({"payload": f"<body><ul>{links}</ul></body>".encode()}, extractor="blocks")
    assert (row["text"], row["ended_reason"], row["ended_value"]) == (None, Reason.NO_TEXT, 0)


@pytest.mark.parametrize("extractor", ["resiliparse", "blocks", "trafilatura"])
@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("<div>" * 100_000 + "deep", "html_too_deep"),
        ("<span>" * 100_000 + "deep", None),
        ("<table><tr><td>" * 5_000 + "deep", None),
        ("<ul><li>" * 5_000 + "deep", None),
        ("<p " + " ".join(f"a{i}=b" for i in range(20_000)) + ">text", "html_too_many_nodes"),
        ("".join(f"<font a={i}>" for i in range(5_000)) + "text", "html_too_many_nodes"),
        ("<p>" + "".join(f"<b a={i}>" for i in range(2_000)) + "</p>" + "<p>text" * 2_000, "html_too_many_nodes"),
        ("<p title='" + "x" * 1_000_000 + "'>text", None),
        ("&" * 100_000, None),
        ("<" * 100_000, None),
        ("<!--" * 50_000, None),
        ("<script>" * 50_000, None),
    ],
    ids=["div", "span", "table", "list", "attributes", "font", "paragraphs", "value", "amp", "lt", "comment", "script"],
)
def test_work_is_bounded_whatever_the_page(extractor: str, page: str, reason: str | None) -> None:
    if extractor == "trafilatura" and page.startswith("<span>"):
        page = page[:600]  # libxml2's depth is bounded
    (row,) = extract({"payload": page.encode()}, extractor=extractor)
    if reason:
        assert row["ended_reason"] == reason
    else:
        assert row["ended_reason"] in (None, "no_text") and row["error_class"] is None


def test_tags_are_bounded_for_trafilatura() -> None:
    (row,) = extract({"payload": b"<p>a" * 30}, extractor="trafilatura", trafilatura={"max_html_tags": 29})
    assert (row["ended_reason"], row["ended_value"], row["ended_threshold"]) == ("html_too_many_nodes", 30, 29)


def test_depth_is_that_of_the_tree_and_cannot_be_hidden() -> None:
    (row,) = extract({"payload": b"<div><!-- </div> -->" * 30}, max_html_depth=20)
    assert (row["ended_reason"], row["ended_value"]) == ("html_too_deep", 30)
    (row,) = extract({"payload": b"<div>a</div>" * 30}, max_html_depth=20)
    assert row["ended_reason"] is None


@pytest.mark.parametrize(
    "options",
    [
        {"extractor": "blocks", "links": True},
        {"extractor": "resiliparse", "blocks": {"min_score": 0.4}},
        {"extractor": "blocks", "trafilatura": {"tables": False}},
        {"extractor": "trafilatura", "main_content": False},
    ],
)
def test_options_of_another_extractor_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is set, which only extractor = '\w+' reads; .* leave \w+ out"):
        ExtractConfig.model_validate(options)


def test_a_config_survives_the_way_through_its_own_dump() -> None:
    config = ExtractConfig(extractor="blocks")
    assert ExtractConfig.model_validate(config.model_dump()) == config


def test_trafilatura_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'which is not installed; .* pip install "chaffinch\[trafilatura\]"'):
        extract_text.make_stage(ExtractConfig(extractor="trafilatura"))
    extract_text.make_stage(ExtractConfig(extractor="blocks"))
