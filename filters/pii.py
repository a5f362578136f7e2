"""Personal data in text, found by Presidio's pattern recognisers.

Presidio's recognisers are expensive (``PhoneNumberMatcher`` reads the text once per region) and most lines of a
crawl hold nothing for them. So each entity has a *gate* (``filters/pii_gates.py``): a cheap pattern that every text
containing the entity matches, such as ``@`` for an e-mail address. Only the lines in which an entity's gate fires are
shown to that entity's recogniser. That changes no result:

* the gates are relaxations of the recognisers' own patterns (lookarounds, checksums and country rules left out);
* no recogniser's pattern can match a line feed, and to all of their lookarounds a line feed looks like the end of
  the text, so a line on its own gives what it gives inside its document.

Long lines are cut where no entity can lie (``filters/line_windows.py``), so that a line of megabytes costs time in
proportion to its length although e-mail and phone patterns are quadratic in the worst case.

Presidio's context words (a score raised by "phone" near a number) are not used: they need lemmas, hence a model, and
on the gold documents they changed no verdict at the default ``min_score``. ``AnalyzerEngine`` on a blank pipeline is
the oracle of the tests.

Source: https://github.com/microsoft/presidio; public addresses only, as FineWeb does (Penedo et al. 2024, section 3).
Deviations: the public suffix list is the one bundled with tldextract (Presidio's recogniser would fetch the current
one over the network); IPv6 addresses must be global unicast, or ``B::c`` in source code would be one; telephone
numbers need ``min_phone_digits`` digits, or the years 1640 to 1649 would be German pagers, and more than 36
digits with nothing but punctuation between them are a row of a table: ``phonenumbers`` reads such rows at 5 kB/s.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import phonenumbers
import tldextract
from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    PhoneRecognizer,
    UsSsnRecognizer,
)
from presidio_anonymizer import AnonymizerEngine
from presidio_anonymizer import RecognizerResult as AnonymizerInput
from presidio_anonymizer.entities import ConflictResolutionStrategy, OperatorConfig
from pydantic import Field, model_validator

from filters.line_windows import gated_windows
from filters.pii_gates import gate_of, num_phone_digits, without_table_rows
from pipeline.config import Config

Entity = Literal["EMAIL_ADDRESS", "IP_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "PHONE_NUMBER", "US_SSN"]

_NO_NLP: Any = None  # pattern recognisers look at text alone

_EXAMPLES = {  # addresses and numbers reserved for documentation, which belong to nobody
    "EMAIL_ADDRESS": "email@example.com",
    "IP_ADDRESS": "192.0.2.1",  # RFC 5737
    "CREDIT_CARD": "0000 0000 0000 0000",
    "IBAN_CODE": "XX00 0000 0000 0000",
    "PHONE_NUMBER": "+1 202 555 0100",  # 555-0100 to 555-0199 are set aside for fiction
    "US_SSN": "000-00-0000",
}


class PiiConfig(Config):
    """What counts as personal data, and what takes its place.

    Args:
        entities: entities to look for, each once.
        min_score: Presidio's confidence, 0 to 1, from which on a find is replaced. A validated checksum scores 1;
            an IP address .6, a delimited social security number .5, a telephone number .4, nine bare digits .05.
        replacement: ``placeholder`` writes ``<EMAIL_ADDRESS>``; ``example`` writes a fixed value of the same kind
            that belongs to nobody.
        public_ips_only: leave private, reserved and documentation addresses alone.
        phone_regions: ISO 3166 codes of the countries whose national number formats are recognised; numbers with
            ``+`` and a country code are recognised for every country.
        min_phone_digits: digits that a telephone number has at least, extension not counted.
    """

    entities: tuple[Entity, ...] = (
        "EMAIL_ADDRESS",
        "IP_ADDRESS",
        "CREDIT_CARD",
        "IBAN_CODE",
        "PHONE_NUMBER",
        "US_SSN",
    )
    min_score: float = Field(default=0.4, gt=0, le=1)
    replacement: Literal["placeholder", "example"] = "placeholder"
    public_ips_only: bool = True
    phone_regions: tuple[str, ...] = Field(default=PhoneRecognizer.DEFAULT_SUPPORTED_REGIONS, min_length=1)
    min_phone_digits: int = Field(default=7, ge=4, le=15)

    @model_validator(mode="after")
    def _check(self) -> PiiConfig:
        if len(set(self.entities)) != len(self.entities):
            raise ValueError(f"entities={list(self.entities)} names one twice; expected each once; remove the copy")
        unknown = sorted(set(self.phone_regions) - set(phonenumbers.SUPPORTED_REGIONS))
        if unknown:
            raise ValueError(
                f"phone_regions has {unknown}; expected ISO 3166 codes that phonenumbers knows, such as 'US' or 'DE'"
            )
        return self


@dataclass(frozen=True, order=True)
class PiiSpan:
    """One find: ``text[start:end]`` (code points) looks like ``entity``, with Presidio's confidence ``score``."""

    start: int
    end: int
    entity: str
    score: float


class BundledSuffixEmailRecognizer(EmailRecognizer):
    """Presidio's e-mail recogniser with tldextract's bundled suffix list: no network, the same verdict every day."""

    _extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    def validate_result(self, pattern_text: str) -> bool:
        return self._extract(pattern_text).fqdn != ""


_RECOGNIZERS: dict[str, Callable[[], EntityRecognizer]] = {
    "EMAIL_ADDRESS": BundledSuffixEmailRecognizer,
    "IP_ADDRESS": IpRecognizer,
    "CREDIT_CARD": CreditCardRecognizer,
    "IBAN_CODE": IbanRecognizer,
    "US_SSN": UsSsnRecognizer,
}


class PiiDetector:
    """Finds and replaces personal data; build it once per process (about 50 ms).

    Args:
        config: what to look for.
        use_gates: show each line to every recogniser when False. The result is the same; the tests compare.
    """

    def __init__(self, config: PiiConfig, *, use_gates: bool = True) -> None:
        self._config = config
        self._gates = {
            entity: gate_of(entity, config.min_phone_digits) if use_gates else re.compile("")
            for entity in config.entities
        }
        self._recognizers: dict[str, EntityRecognizer] = {
            entity: _recognizer(entity, config) for entity in config.entities
        }
        self._anonymizer = AnonymizerEngine()
        self._operators: dict[str, OperatorConfig] = {
            entity: _operator(entity, config.replacement) for entity in config.entities
        }

    def find(self, text: str) -> list[PiiSpan]:
        """All finds in ``text`` that reach ``min_score``, by position; finds of different entities may overlap."""
        return sorted(
            PiiSpan(start + span.start, start + span.end, span.entity, span.score)
            for (start, _), spans in self._find_by_window(text).items()
            for span in spans
        )

    def redact(self, text: str) -> tuple[str, int]:
        """``text`` with every find replaced, and the number of replacements.

        Where finds overlap, one that lies inside another goes, and of two that cross the one with the higher score
        keeps the common part (presidio-anonymizer's ``REMOVE_INTERSECTIONS``), so no character found survives.
        """
        pieces = []
        num_redactions, copied_to = 0, 0
        for (start, end), spans in sorted(self._find_by_window(text).items()):
            found = [AnonymizerInput(span.entity, span.start, span.end, span.score) for span in sorted(spans)]
            redacted = self._anonymizer.anonymize(
                text[start:end],
                found,
                operators=dict(self._operators),
                conflict_resolution=ConflictResolutionStrategy.REMOVE_INTERSECTIONS,
                merge_entities_with_spaces=False,
            )
            pieces += [text[copied_to:start], redacted.text]
            num_redactions += len(redacted.items)
            copied_to = end
        return "".join(pieces) + text[copied_to:], num_redactions

    def _find_by_window(self, text: str) -> dict[tuple[int, int], list[PiiSpan]]:
        """Finds by the window (start, end) in which they lie, with positions relative to its start."""
        found: defaultdict[tuple[int, int], list[PiiSpan]] = defaultdict(list)
        for entity, gate in self._gates.items():
            for start, end in gated_windows(text, gate):
                window = text[start:end]
                if entity == "PHONE_NUMBER":
                    window = without_table_rows(window)
                    if not gate.search(window):
                        continue
                if spans := self._recognize(entity, window):
                    found[start, end] += spans
        return found

    def _recognize(self, entity: str, window: str) -> list[PiiSpan]:
        results: list[RecognizerResult] = self._recognizers[entity].analyze(window, [entity], _NO_NLP)
        reaching = [result for result in results if result.score >= self._config.min_score]
        return [
            PiiSpan(result.start, result.end, entity, result.score)
            for result in EntityRecognizer.remove_duplicates(reaching)
            if self._is_personal(entity, window[result.start : result.end])
        ]

    def _is_personal(self, entity: str, found: str) -> bool:
        if entity == "IP_ADDRESS":
            return not self._config.public_ips_only or _is_public(found)
        if entity == "PHONE_NUMBER":
            return num_phone_digits(found) >= self._config.min_phone_digits
        return True


def _recognizer(entity: str, config: PiiConfig) -> EntityRecognizer:
    if entity == "PHONE_NUMBER":
        return PhoneRecognizer(supported_regions=config.phone_regions)
    return _RECOGNIZERS[entity]()


def _operator(entity: str, replacement: str) -> OperatorConfig:
    return OperatorConfig("replace", {"new_value": _EXAMPLES[entity] if replacement == "example" else f"<{entity}>"})


def _is_public(found: str) -> bool:
    """Whether an address (with or without prefix length) is routed on the public internet."""
    address = ipaddress.ip_interface(found).ip
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_global and not address.is_reserved and not address.is_multicast
