"""The audit log as lines for people: a use of a key and its outcome are one."""

from __future__ import annotations

from collections import deque
from dataclasses import astuple, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from smime_agent.cli import ui

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from smime_agent.daemon.audit import Entry

HEADS: Final = ("TIME (UTC)", "OPERATION", "KEY", "TOKEN", "WHAT", "PROGRAM", "PIN", "OUTCOME")
NO_OUTCOME: Final = "not known"
#: Uses whose outcome is waited for; uses of several tokens overlap.
_PENDING: Final = 1_000
#: Lines that are shown together, in columns of one width.
_TOGETHER: Final = 500
_LONGEST_CELL: Final = 40
_DIGITS: Final = 16  # of a digest


@dataclass(slots=True)
class Row:
    """One line."""

    time: str
    operation: str
    key: str = ""
    token: str = ""
    what: str = ""
    program: str = ""
    pin: str = ""
    outcome: str = ""


def rows(entries: Iterable[Entry]) -> Iterator[Row]:
    """A line for each use and for each other event, in the order in which they began."""
    waiting: deque[tuple[int, Row]] = deque()
    open_uses: dict[int, Row] = {}
    for entry in entries:
        facts = entry.facts
        use = open_uses.pop(_number(facts.get("of")), None) if entry.event == "outcome" else None
        if use is not None:
            use.pin, use.outcome = _text(facts.get("pin")), _text(facts.get("outcome"))
        else:
            row = _row(entry)
            waiting.append((entry.sequence_number, row))
            if entry.event == "use":
                open_uses[entry.sequence_number] = row
        while waiting and (waiting[0][0] not in open_uses or len(waiting) > _PENDING):
            number, done = waiting.popleft()
            open_uses.pop(number, None)
            yield done
    yield from (row for _, row in waiting)


def show(shown: Iterable[Row]) -> None:
    """A table. It may be long: its columns grow as wide as what came so far."""
    widths = [len(head) for head in HEADS]
    remaining = iter(shown)
    head = [HEADS]
    while together := list(islice(remaining, _TOGETHER)):
        lines = [*head, *([_cell(text) for text in astuple(row)] for row in together)]
        head = []
        widths = [max(width, *(len(line[column]) for line in lines)) for column, width in enumerate(widths)]
        ui.out(
            *("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
        )


def time_to_the_second(entry: Entry) -> str:
    """When it was, for people."""
    return entry.time.isoformat(" ", "seconds")[:19]


def _row(entry: Entry) -> Row:
    facts = entry.facts
    key, token = facts.get("key"), facts.get("token")
    return Row(
        time_to_the_second(entry),
        _text(facts.get("operation")) if entry.event == "use" else entry.event,
        " ".join(_texts(key, "id", "label")),
        next(iter(_texts(token, "label", "serial")), ""),
        _what(entry),
        next(iter(_texts(facts.get("program"), "name", "executable")), ""),
        _text(facts.get("pin")),
        NO_OUTCOME if entry.event == "use" else _text(facts.get("outcome")),
    )


def _what(entry: Entry) -> str:
    """What was signed, or for whom it is, or why."""
    facts = entry.facts
    match entry.event, facts:
        case "recovered", {"octets": int(octets)}:
            return f"{octets} octets of a line that a crash left"
        case "outcome", {"of": int(number)}:
            return f"of entry {number}"
        case _, {"digest": str(digest)}:
            name, colon, digits = digest.rpartition(":")  # sha256:ab...
            return f"{name}{colon}{digits[:_DIGITS]}{'...' if len(digits) > _DIGITS else ''}"
    return next((_text(facts[name]) for name in ("recipient", "reason", "version") if name in facts), "")


def _texts(value: Any, *names: str) -> list[str]:  # noqa: ANN401 - any JSON
    """Some members of an object, those that say something; what is no object says itself."""
    if not isinstance(value, dict):
        return [_text(value)]
    return [text for name in names if (text := _text(value.get(name)))]


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON
    match value:
        case None:
            return ""
        case str():
            return value
        case dict():
            return " ".join(map(_text, value.values()))
        case list():
            return " ".join(map(_text, value))
    return str(value)


def _number(value: Any) -> int:  # noqa: ANN401 - any JSON
    return value if isinstance(value, int) else 0


def _cell(text: str) -> str:
    cut = text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 3]}..."
    return ui.printable(cut)
