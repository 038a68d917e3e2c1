"""A forward look at a source: where headers end, and where the next boundary delimiter is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from smime_agent.errors import InvalidMessageError
from smime_agent.mime.fields import FIELDS, HEADER_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from smime_agent.source import Source

# What may follow the boundary on its line: "--" and transport padding (RFC 2046, 5.1.1).
_REST_LIMIT: Final = 1000  # of padding
_HEADER_GUESS: Final = 4096


@dataclass(frozen=True, slots=True)
class Delimiter:
    """A boundary delimiter line, or the end of the source, which has no level.

    ``start`` is where its preceding line break begins, which belongs to it (RFC 2046, 5.1.1); ``line`` is its first
    hyphen; ``stop`` is where the next line begins.
    """

    start: int
    line: int
    stop: int
    level: int | None = None
    closing: bool = False
    padded: bool = False
    terminated: bool = False


class Window:
    """Looks at a source up to ``end``, from a position that only moves forward: each octet is read about once."""

    __slots__ = ("_base", "_data", "_source", "size")

    def __init__(self, source: Source, end: int | None = None) -> None:
        self._source = source
        self._base = 0
        self._data = b""
        self.size = source.size if end is None else min(end, source.size)

    def _look(self, position: int, size: int) -> tuple[bytes, int]:
        """A block that holds ``size`` octets from ``position`` or all that is left, and the position in the block."""
        stop = min(position + size, self.size)
        if position < self._base or stop > self._base + len(self._data):
            self._data = self._source.read(position, min(max(stop, position + self._source.CHUNK), self.size))
            self._base = position
        return self._data, position - self._base

    def header(self, start: int, stop: int | None = None) -> tuple[bytes, int, bool]:
        """The header fields at ``start``, where the body begins, and whether an empty line is between them.

        A header ends at an empty line, at a line that is no field, or at ``stop``, where a line begins. Raises
        ``InvalidMessageError`` beyond 1 MiB.
        """
        if stop is not None:
            data, offset = self._look(start, stop - start)
            match = FIELDS.match(data, offset, stop - self._base)
            return self._split_off(data, offset, match.end() if match else offset)
        data, offset, end = self._fields(start, _HEADER_GUESS)
        # Only a whole line after the fields shows that they have ended.
        if data.find(b"\n", end) < 0 and self._base + len(data) < self.size:
            data, offset, end = self._fields(start, HEADER_LIMIT + 2)
        if end - offset > HEADER_LIMIT:
            raise InvalidMessageError("a header is longer than 1 MiB", hint="this is not a mail that anybody wrote")
        return self._split_off(data, offset, end)

    def _split_off(self, data: bytes, offset: int, end: int) -> tuple[bytes, int, bool]:
        separator = 1 if data.startswith(b"\n", end) else 2 if data.startswith(b"\r\n", end) else 0
        return data[offset:end], self._base + end + separator, separator > 0

    def _fields(self, start: int, size: int) -> tuple[bytes, int, int]:
        data, offset = self._look(start, size)
        match = FIELDS.match(data, offset, offset + HEADER_LIMIT + 2)
        return data, offset, match.end() if match else offset

    def delimiter(self, start: int, boundaries: Sequence[bytes], stop: int | None = None) -> Delimiter:
        """The first line from ``start`` (a line's start) that delimits one of the boundaries, outermost first.

        Only lines that begin before ``stop`` are looked at; without a match it is the end of the source.
        """
        limit = self.size if stop is None else stop
        if boundaries:
            levels: dict[bytes, int] = {}
            for level, boundary in enumerate(boundaries):
                # The outer delimiter also ends an inner multipart that was never closed.
                levels.setdefault(boundary, level)
            mark = b"--" + _common_start(min(levels), max(levels))
            longest = max(map(len, levels))
            line = self._next_line(start, limit, mark)
            while line < limit:
                found = self._delimiter(start, line, levels, longest)
                if found is not None:
                    return found
                line = self._next_line(line + 1, limit, mark)
        return Delimiter(self.size, self.size, self.size)

    def ending(self, start: int, delimiter: Delimiter) -> Delimiter:
        """The same delimiter, as it ends what begins at ``start``: the line break before it is its own."""
        if delimiter.level is None:
            return delimiter
        return replace(delimiter, start=self._line_break(start, delimiter.line))

    def _line_break(self, start: int, line: int) -> int:
        before = self._source.read(max(start, line - 2), line)
        return line - (2 if before == b"\r\n" else 1 if before.endswith(b"\n") else 0)

    def _next_line(self, position: int, limit: int, mark: bytes) -> int:
        """The next line that begins with ``mark``, at ``position`` if a line begins there."""
        size = len(mark)
        while position < limit:
            # The octet before tells whether a line begins here.
            data, _ = self._look(max(position - 1, 0), size + 1)
            offset = position - self._base
            if data.startswith(mark, offset) and (position == 0 or data.startswith(b"\n", offset - 1)):
                return position
            found = data.find(b"\n" + mark, offset)
            if found >= 0:
                return self._base + found + 1
            end = self._base + len(data)
            if end >= self.size:
                break
            position = max(position + 1, end - size)  # where a mark may be cut off
        return limit

    def _delimiter(self, start: int, line: int, levels: Mapping[bytes, int], longest: int) -> Delimiter | None:
        """The delimiter that this line is: one look-up, however many boundaries there are."""
        reach = 2 + longest + _REST_LIMIT
        data, offset = self._look(line, reach)
        end = data.find(b"\n", offset, offset + reach)
        terminated = end >= 0
        if terminated:
            text = data[offset + 2 : end].removesuffix(b"\r")
        elif self._base + len(data) == self.size and len(data) - offset <= reach:
            end = len(data)
            text = data[offset + 2 :]
        else:
            return None
        boundary = text.rstrip(b" \t")
        level = levels.get(boundary)
        opened = level
        if boundary.endswith(b"--"):
            closed = levels.get(boundary[:-2])
            level = closed if level is None or (closed is not None and closed < level) else level
        if level is None:
            return None
        return Delimiter(
            start=self._line_break(start, line),
            line=line,
            stop=self._base + end + terminated,
            level=level,
            closing=level != opened,
            padded=len(boundary) < len(text),
            terminated=terminated,
        )


def _common_start(first: bytes, last: bytes) -> bytes:
    """What the first and the last in order, and so all between them, begin with."""
    size = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return first[:size]
