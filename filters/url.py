"""Judgement on URLs: blocked domains, top-level domains and words, and length.

Runs before any text is extracted, on strings alone. Hosts are split with the public-suffix list that ships with
tldextract, so nothing is fetched and nothing is cached in a home directory. A URL that cannot be parsed has no host;
it is judged by its words and length, and never raises.

Source: the URL filter of RefinedWeb and FineWeb (Penedo et al. 2023, G.1; 2024, section 3.2). Deviations: words match
the lower-cased, percent-decoded URL at word boundaries (FineWeb does not lower-case); no list is built in.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from enum import StrEnum
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import tldextract
from pydantic import Field, field_validator

from filters.rule import Outcome
from pipeline.config import Config, Off
from pipeline.errors import ConfigError
from pipeline.storage import exists, read_bytes, sha256_of

FILTER_NAME = "filter_url"

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_HOSTS_CACHED = 1 << 16
_split_host = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


class Reason(StrEnum):
    """Faults that end a page."""

    BLOCKED_DOMAIN = "blocked_domain"
    BLOCKED_TOP_LEVEL_DOMAIN = "blocked_top_level_domain"
    BLOCKED_WORD = "blocked_word"
    URL_TOO_LONG = "url_too_long"


class DomainFile(Config):
    """A list of domains: one a line, ``#`` begins a comment.

    Args:
        path: path or URL of the file.
        sha256: hex digest that the file must have; found out and entered when the stage is made if unset, so that
            a changed list is a changed stage.
    """

    path: str
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class UrlConfig(Config):
    """What to drop.

    Args:
        blocked_domains: a host is dropped if it, or a domain above it, is listed.
        blocked_domain_files: more of the same, in files.
        blocked_tlds: last labels of hosts.
        blocked_words: words or phrases, compared in lower case at word boundaries.
        max_url_chars: longest URL kept; ``false`` turns the rule off.
    """

    blocked_domains: tuple[str, ...] = ()
    blocked_domain_files: tuple[DomainFile, ...] = ()
    blocked_tlds: tuple[str, ...] = ("xxx", "adult", "porn", "sex")
    blocked_words: tuple[str, ...] = ()
    max_url_chars: int | None = Field(default=2048, ge=1)

    _read_off = field_validator("max_url_chars", mode="before")(Off.func)

    @field_validator("blocked_words", "blocked_tlds", "blocked_domains")
    @classmethod
    def _refuse_empty(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if any(not value.strip(" .") for value in values):
            raise ValueError("an entry of the list is blank; expected a word or name; remove it")
        return tuple(value.strip().strip(".").lower() for value in values)


def with_digests(config: UrlConfig) -> UrlConfig:
    """``config`` with the sha256 of every domain file entered.

    Raises:
        ConfigError: if a file is missing, or is not the one that ``sha256`` names.
    """
    files = []
    for file in config.blocked_domain_files:
        if not exists(file.path):
            raise ConfigError(f"no file at {file.path} [url.blocked_domain_files]; expected a list of domains; mend it")
        found = sha256_of(file.path)
        if file.sha256 not in (None, found):
            raise ConfigError(
                f"{file.path} has sha256 {found}, expected {file.sha256} [url.blocked_domain_files]; "
                f"get the right file, or enter its digest"
            )
        files.append(DomainFile(path=file.path, sha256=found))
    return config.model_copy(update={"blocked_domain_files": tuple(files)})


def blocked_domains(config: UrlConfig) -> frozenset[str]:
    """Every listed domain, from the config and its files, in lower case."""
    domains = set(config.blocked_domains)
    for file in config.blocked_domain_files:
        for line in read_bytes(file.path).decode("utf-8", "replace").splitlines():
            domains.add(line.partition("#")[0].strip().strip(".").lower())
    return frozenset(domains - {""})


def parse_urls(urls: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Hosts and registered domains.

    Args:
        urls: string; a URL without a scheme is read as if it began with its host.

    Returns:
        Two string arrays: the host in lower case (a name or an IP address), and the domain that its owner registered
        ("bbc.co.uk" of "news.bbc.co.uk"). Null where there is none.
    """
    hosts = [_host_of(url) for url in urls.to_pylist()]
    domains = [None if host is None else _registered_domain(host) for host in hosts]
    return pa.array(hosts, pa.string()), pa.array(domains, pa.string())


def judge_urls(urls: pa.Array, hosts: pa.Array, config: UrlConfig, domains: Collection[str]) -> Outcome:
    """Judge URLs.

    Args:
        urls: string; null passes.
        hosts: string, as ``parse_urls`` returns them.
        domains: the blocked domains, as ``blocked_domains`` returns them.

    Returns:
        Reasons in the order domain, top-level domain, word, length; value and threshold for the length only.
    """
    blocked_word = _word_pattern(config.blocked_words)
    top_level = frozenset(config.blocked_tlds)
    reasons: list[Reason | None] = []
    lengths: list[int | None] = []
    for url, host in zip(urls.to_pylist(), hosts.to_pylist(), strict=True):
        reason = _fault_of_host(host, domains, top_level)
        if reason is None and url is not None:
            if blocked_word is not None and blocked_word.search(unquote(url).lower()):
                reason = Reason.BLOCKED_WORD
            elif config.max_url_chars is not None and len(url) > config.max_url_chars:
                reason = Reason.URL_TOO_LONG
        reasons.append(reason)
        lengths.append(len(url) if reason is Reason.URL_TOO_LONG else None)
    limits = [None if length is None else config.max_url_chars for length in lengths]
    return Outcome(
        stage=pa.array([None if reason is None else FILTER_NAME for reason in reasons], pa.string()),
        reason=pa.array([None if reason is None else str(reason) for reason in reasons], pa.string()),
        value=pa.array(lengths, pa.float64()),
        threshold=pa.array(limits, pa.float64()),
    )


def _host_of(url: str | None) -> str | None:
    if url is None:
        return None
    url = url.strip()
    try:
        host = urlsplit(url if _SCHEME.match(url) else f"//{url.lstrip('/')}").hostname
    except ValueError:  # e.g. "http://[::1": not a URL, so it has no host
        return None
    return host.strip(". ") or None if host else None


@functools.lru_cache(maxsize=_HOSTS_CACHED)
def _registered_domain(host: str) -> str | None:
    parts = _split_host.extract_str(host)
    return f"{parts.domain}.{parts.suffix}" if parts.domain and parts.suffix else None


def _fault_of_host(host: str | None, domains: Collection[str], top_level: Collection[str]) -> Reason | None:
    if host is None:
        return None
    labels = host.split(".")
    if any(".".join(labels[i:]) in domains for i in range(len(labels))):
        return Reason.BLOCKED_DOMAIN
    return Reason.BLOCKED_TOP_LEVEL_DOMAIN if labels[-1] in top_level else None


@functools.lru_cache(maxsize=8)
def _word_pattern(words: tuple[str, ...]) -> re.Pattern[str] | None:
    """Finds any of ``words`` between characters that are neither letters nor digits."""
    if not words:
        return None
    choices = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![^\W_])(?:{choices})(?![^\W_])")
