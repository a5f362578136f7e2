"""What the readers of archives and of tables share: their options, and the reasons with which they end a page."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from pipeline.config import Config


class Reason(StrEnum):
    """Why a reader ends a page."""

    REVISIT = "revisit"
    HTTP_STATUS = "http_status"
    ROBOTS_TXT = "robots_txt"
    CRAWLER_LOG = "crawler_log"
    EMPTY_PAYLOAD = "empty_payload"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    TRUNCATED = "truncated"
    CONTENT_TYPE = "content_type"


class ReadConfig(Config):
    """What the readers let through.

    Args:
        max_payload_bytes: larger payloads end as ``payload_too_large``.
        keep_truncated: whether pages that the crawler cut off (``WARC-Truncated``) stay.
        verify_digests: whether block and payload digests of WARC records are checked; a wrong one is a quarantine
            row.
    """

    max_payload_bytes: int = Field(default=1 << 24, ge=1, le=1 << 30)
    keep_truncated: bool = True
    verify_digests: bool = False
