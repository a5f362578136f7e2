"""Gates: cheap patterns that every text containing an entity matches, and often others too.

Each is a relaxation of the pattern of Presidio's recogniser (of ``phonenumbers`` for telephone numbers): the same
characters in the same order, without lookarounds, checksums and country rules. None can match a line feed.
"""

from __future__ import annotations

import re

_PHONE_PUNCTUATION = (
    "-x\u2010-\u2015\u2212\u30fc\uff0d-\uff0f \u00a0\u00ad\u200b\u2060\u3000()\uff08\uff09\uff3b\uff3d.\\[\\]/~"
    "\u2053\u223c\uff5e+\uff0b"
)
_PHONE_GAP = rf"[{_PHONE_PUNCTUATION}]{{0,4}}"  # phonenumbers allows as much between two blocks of digits
MAX_PHONE_ROW_DIGITS = 36  # two numbers of 15 digits (E.164) with their prefixes
_TABLE_ROW = re.compile(rf"\d(?:{_PHONE_GAP}\d){{{MAX_PHONE_ROW_DIGITS},}}", re.IGNORECASE)
_PHONE_BODY = re.compile(rf"[{_PHONE_PUNCTUATION}]*\d+(?:{_PHONE_GAP}\d+)*", re.IGNORECASE)

_GATES = {
    "EMAIL_ADDRESS": re.compile("@"),
    "IP_ADDRESS": re.compile(
        r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[0-9a-f]::|::[0-9a-f]|(?:[0-9a-f]{1,4}:){6}", re.IGNORECASE
    ),
    "CREDIT_CARD": re.compile(r"\d{4}[- ]?\d{3,4}[- ]?\d{3,4}[- ]?\d{3}"),
    "IBAN_CODE": re.compile(r"[A-Z]{2}[0-9]{2}[ -]?[A-Z0-9]{4}"),
    "US_SSN": re.compile(r"[0-9]{3}[- .]?[0-9]{2}[- .]?[0-9]{4}"),
}


def gate_of(entity: str, min_phone_digits: int) -> re.Pattern[str]:
    """The gate of a Presidio entity; telephone numbers have ``min_phone_digits`` digits before an extension."""
    if entity == "PHONE_NUMBER":
        return re.compile(rf"\d(?:{_PHONE_GAP}\d){{{min_phone_digits - 1}}}", re.IGNORECASE)
    return _GATES[entity]


def num_phone_digits(number: str) -> int:
    """Digits of a telephone number as written, extension not counted."""
    body = _PHONE_BODY.match(number)
    return 0 if body is None else sum(map(str.isdecimal, body.group()))


def without_table_rows(line: str) -> str:
    """``line`` with rows of figures, too long for telephone numbers, replaced by as many line feeds: positions stay,
    and to a recogniser what stands beside them looks like the end of the text."""
    return _TABLE_ROW.sub(lambda row: "\n" * len(row.group()), line)
