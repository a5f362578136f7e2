"""Hosts, registered domains and verdicts of URLs, malformed ones included."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.url import DomainFile, UrlConfig, blocked_domains, judge_urls, parse_urls, with_digests
from pipeline.config import parse
from pipeline.errors import ConfigError


def reason_of(url: str | None, config: UrlConfig) -> str | None:
    urls = pa.array([url], pa.string())
    return judge_urls(urls, parse_urls(urls)[0], config, blocked_domains(config)).reason[0].as_py()


@pytest.mark.parametrize(
    ("url", "host", "registered_domain"),
    [
        ("https://News.BBC.co.uk:443/a?b#c", "news.bbc.co.uk", "bbc.co.uk"),
        ("http://user:secret@example.com./", "example.com", "example.com"),
        ("example.com/no/scheme", "example.com", "example.com"),
        ("//example.org/x", "example.org", "example.org"),
        ("http://192.168.0.1/x", "192.168.0.1", None),
        ("http://[2001:db8::1]:80/", "2001:db8::1", None),
        ("http://localhost/", "localhost", None),
        ("http://bücher.de/", "bücher.de", "bücher.de"),
        ("http://a b.com/", "a b.com", "a b.com"),
        ("http://[::1", None, None),
        ("http://", None, None),
        ("urn:uuid:1234", None, None),
        ("dns:example.com", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_hosts_and_registered_domains(url: str | None, host: str | None, registered_domain: str | None) -> None:
    hosts, domains = parse_urls(pa.array([url], pa.string()))
    assert (hosts[0].as_py(), domains[0].as_py()) == (host, registered_domain)


@given(st.text(max_size=40), st.sampled_from(["", "http://", "https://[", "//", "http://%"]))
def test_no_url_raises(text: str, prefix: str) -> None:
    url = (prefix + text).encode("utf-8", "replace").decode()
    config = UrlConfig(blocked_words=("casino",), blocked_domains=("bad.example",))
    assert reason_of(url, config) in (None, "blocked_word", "blocked_domain", "blocked_top_level_domain")


CONFIG = UrlConfig(
    blocked_domains=("Bad.example", "evil.org."), blocked_tlds=("xxx",), blocked_words=("casino", "hot girls"),
    max_url_chars=60,
)  # fmt: skip


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://bad.example/", "blocked_domain"),
        ("http://www.deep.BAD.example/", "blocked_domain"),
        ("http://notbad.example/", None),
        ("http://example/bad.example", None),
        ("http://evil.org/", "blocked_domain"),
        ("http://site.xxx/", "blocked_top_level_domain"),
        ("http://xxx.com/", None),
        ("http://a.com/CASINO-games", "blocked_word"),
        ("http://a.com/best_casino", "blocked_word"),
        ("http://a.com/%63asino/", "blocked_word"),
        ("http://casino.a.com/", "blocked_word"),
        ("http://a.com/casinos", None),
        ("http://a.com/hot%20girls", "blocked_word"),
        ("http://a.com/" + "x" * 47, None),
        ("http://a.com/" + "x" * 48, "url_too_long"),
        (None, None),
    ],
)
def test_verdicts(url: str | None, reason: str | None) -> None:
    assert reason_of(url, CONFIG) == reason


def test_only_length_has_value_and_threshold() -> None:
    urls = pa.array(["http://a.com/" + "x" * 60, "http://site.xxx/"])
    outcome = judge_urls(urls, parse_urls(urls)[0], CONFIG, frozenset())
    assert outcome.stage.to_pylist() == ["filter_url", "filter_url"]
    assert outcome.value.to_pylist() == [73.0, None]
    assert outcome.threshold.to_pylist() == [60.0, None]


def test_domain_files_are_read_and_enter_the_config_by_digest(tmp_path) -> None:
    path = tmp_path / "domains.txt"
    path.write_bytes(b"# a list\nBad.example\n\nworse.example # why\n")
    config = with_digests(UrlConfig(blocked_domain_files=(DomainFile(path=str(path)),)))
    assert config.blocked_domain_files[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert blocked_domains(config) == {"bad.example", "worse.example"}
    assert reason_of("http://worse.example/", config) == "blocked_domain"


def test_a_wrong_or_missing_domain_file_is_refused(tmp_path) -> None:
    path = tmp_path / "domains.txt"
    path.write_text("bad.example\n")
    with pytest.raises(ConfigError, match=r"has sha256 .*, expected 0000"):
        with_digests(UrlConfig(blocked_domain_files=(DomainFile(path=str(path), sha256="0" * 64),)))
    with pytest.raises(ConfigError, match=r"no file at .*nothing\.txt"):
        with_digests(UrlConfig(blocked_domain_files=(DomainFile(path=str(tmp_path / "nothing.txt")),)))


def test_config_reads_false_as_off_and_refuses_blank_entries() -> None:
    assert parse({"max_url_chars": False}, UrlConfig, where="t.toml").max_url_chars is None
    with pytest.raises(ConfigError, match="an entry of the list is blank"):
        parse({"blocked_words": ["ok", " "]}, UrlConfig, where="t.toml")
