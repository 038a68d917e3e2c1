"""The date of a mail (RFC 5322, 3.3 and 4.3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from smime_agent.mime.fields import without_comments

_LIMIT: Final = 200
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# RFC 5322, 4.3: every other zone of letters means nothing that is known, and stands for UTC.
_ZONES: Final = {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}
_DATE: Final = re.compile(
    r"(?:[a-z]{1,9}\s*,?\s*)?(?P<day>\d{1,2})[\s-]+(?P<month>[a-z]{3})[a-z]{0,6}[\s-]+(?P<year>\d{2,4})\s+"
    r"(?P<hour>\d{1,2})\s*:\s*(?P<minute>\d{2})(?:\s*:\s*(?P<second>\d{2}))?\s*"
    r"(?:(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})|(?P<zone>[a-z]{1,5}))?\s*",
    re.ASCII | re.IGNORECASE,
)


_PLAIN: Final = re.compile(rb"(?:[^()\\]|\([^()\\0-9]*\))*(?:\([^()\\]*\)\s*)*")
#: A second month, year or time of day, or a date with slashes: others may take that one.
_SECOND: Final = re.compile(
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec).*(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    r"|(?<![+-])(?:19|20)\d\d\b.*[^+:.\d-](?:19|20)\d\d\b|\d:\d\d\b.*\s\d{1,2}:\d\d|/|\d-\d+-\d",
    re.IGNORECASE | re.DOTALL,
)


def parse_date(value: bytes) -> datetime | None:
    """The time that an unfolded Date field means, with its zone; None if it cannot be read."""
    if len(value) > _LIMIT:
        return None
    if _PLAIN.fullmatch(value) is None:  # others end a comment elsewhere, and read another time
        return None
    text = without_comments(value).decode("ascii", "replace").strip()
    match = _DATE.fullmatch(text)
    if match is None or match["month"].lower() not in _MONTHS:
        return _guessed(text)
    second = min(int(match["second"] or 0), 59)  # 60 is a leap second
    try:
        return datetime(
            _year(match["year"]),
            _MONTHS.index(match["month"].lower()) + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            second,
            tzinfo=_zone(match),
        )
    except ValueError:
        return None


def _guessed(text: str) -> datetime | None:
    """What lenient mail programs make of what is no date by the standard."""
    from email.utils import parsedate_to_datetime

    if _SECOND.search(text):
        return None
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _year(digits: str) -> int:
    """RFC 5322, 4.3: years of two and three digits."""
    year = int(digits)
    if len(digits) == 2:  # noqa: PLR2004 - as the RFC says
        return year + (2000 if year < 50 else 1900)  # noqa: PLR2004
    return year + 1900 if len(digits) == 3 else year  # noqa: PLR2004


def _zone(match: re.Match[str]) -> timezone:
    if match["sign"]:
        offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
        return timezone(-offset if match["sign"] == "-" else offset)
    hours = _ZONES.get((match["zone"] or "").lower())
    return UTC if hours is None else timezone(timedelta(hours=hours))
