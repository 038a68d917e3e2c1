"""One line of the audit log: what it says, and how it hangs on the line before.

A line is a JSON object in ASCII, without spaces between its members, ended by a newline::

    {"seq":7,"time":"2026-05-17T09:30:00.123456Z","event":"use",...,"prev":"<64 digits>","hash":"<64 digits>"}

``hash`` is the last member: the SHA-256 digest of the octets of the line before ``,"hash":``, in lower-case
hexadecimal. ``prev`` is the ``hash`` of the line before, and 64 zeros in the very first one. So a digest stands for
its line and for all lines before it.

A string of JSON has no quotation mark that is not escaped: no part of a line ends like a line.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from smime_agent.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Octets of a line, its newline among them.
MAX_LINE: Final = 64 * 1024
#: What the first line continues.
GENESIS: Final = "0" * 64
#: The octets from ``,"hash":`` to the end, without the newline.
TAIL: Final = len(',"hash":""}') + 64
#: Members that are the log's own; ``schema`` is that of what is printed.
RESERVED: Final = frozenset({"seq", "time", "event", "prev", "hash", "schema"})
#: Characters that are left of a string in a line that would be too long.
_SHORT: Final = 1_000

_END: Final = re.compile(rb',"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}')
_BEGIN: Final = re.compile(rb'\{"seq":([1-9]\d{0,11}),"time":"([^"]+)","event":"([a-z]+(?:-[a-z]+)*)",')
#: The time of RFC 3339, 5.6, in UTC and to the microsecond.
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Entry:
    """What one line says; ``facts`` are the members that are neither of the others."""

    sequence_number: int
    time: datetime
    event: str
    facts: Mapping[str, Any]
    previous: str
    hash: str


class ChangedLineError(ValueError):
    """A line is whole, and its hash is not that of what it says: it is caught where it is read, and named."""


def time_text(time: datetime) -> str:
    """A time as the log has it."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def encode(
    sequence_number: int, time: datetime, event: str, facts: Mapping[str, Any], previous: str
) -> tuple[Entry, bytes]:
    """An entry, and its line with the newline.

    Facts are what JSON has; a string may hold anything, lone surrogates too (the octets of a name that is no UTF-8).
    In a line that would be longer than :data:`MAX_LINE` long strings are cut, and end by saying so.

    Raises:
        AuditError: there are too many facts.
        TypeError, ValueError: they are none that JSON has, such as a PIN: a bug of the caller.
    """
    if not RESERVED.isdisjoint(facts):
        msg = "a fact has the name of a member that is the log's own"
        raise ValueError(msg)
    octets = _covered(sequence_number, time, event, facts, previous)
    if len(octets) >= MAX_LINE - TAIL:
        facts = {name: _shortened(value) for name, value in facts.items()}
        octets = _covered(sequence_number, time, event, facts, previous)
        if len(octets) >= MAX_LINE - TAIL:
            msg = "there is more to say about it than a line of the audit log can hold"
            raise AuditError(msg)
    digest = sha256(octets).hexdigest()
    entry = Entry(sequence_number, time, event, facts, previous, digest)
    return entry, b'%b,"hash":"%b"}\n' % (octets, digest.encode())


def _covered(sequence_number: int, time: datetime, event: str, facts: Mapping[str, Any], previous: str) -> bytes:
    """The octets that the hash covers."""
    values = {"seq": sequence_number, "time": time_text(time), "event": event, **facts, "prev": previous}
    return _encode(values)[:-1].encode("ascii")


def _shortened(value: Any) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case str() if len(value) > _SHORT:
            return f"{value[:_SHORT]}... ({len(value)} characters)"
        case dict():
            return {name: _shortened(one) for name, one in value.items()}
        case list() | tuple():
            return [_shortened(one) for one in value]
        case _:
            return value


def decode(line: bytes) -> Entry | None:
    """What a line without its newline says; nothing where it is no whole line, as after a crash.

    Raises:
        ChangedLineError: it ends like a whole line, and its hash is not that of what stands there.
    """
    end = _END.fullmatch(line, len(line) - TAIL - len(',"prev":""') - 64) if len(line) < MAX_LINE else None
    if end is None:
        return None
    previous, digest = (one.decode() for one in end.groups())
    begin = _BEGIN.match(line)
    if begin is None or sha256(memoryview(line)[:-TAIL]).hexdigest() != digest:
        raise ChangedLineError
    try:
        values = json.loads(line)
        moment = values.pop("time")
        time = datetime.fromisoformat(moment) if _TIME.fullmatch(moment) else None
    except (ValueError, RecursionError, TypeError):
        raise ChangedLineError from None
    number, event = int(begin[1]), begin[3].decode()
    own = {"seq": number, "event": event, "prev": previous, "hash": digest}
    if time is None or any(values.pop(name, None) != value for name, value in own.items()):  # one may stand twice
        raise ChangedLineError
    if "schema" in values:
        raise ChangedLineError
    return Entry(number, time, event, values, previous, digest)
