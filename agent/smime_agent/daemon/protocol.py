"""The protocol of the agent: one JSON object a line, and nothing of sockets. ``docs/protocol.md`` describes it.

Each side feeds what it received into :class:`Frames` and gets whole messages out; :func:`frame` makes the octets of
one. :class:`Fields` takes a message apart and refuses whatever does not belong there.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, Final, TypeVar

from smime_agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from enum import Enum

    _Member = TypeVar("_Member", bound=Enum)
    _Value = TypeVar("_Value")

VERSION: Final = 1
#: Octets of a line that a client may send. A request holds two kilobytes, and a certificate at most.
MAX_REQUEST: Final = 128 * 1024
#: Octets of a line that an agent, or a worker of one, may send: a list of all that lies on many tokens.
MAX_ANSWER: Final = 8 * 1024 * 1024
_LONGEST_NUMBER: Final = 1 << 53  # what every reader of JSON can hold


class ProtocolError(AgentError):
    """What came is not of the protocol."""

    code = "protocol"


def frame(message: Mapping[str, Any]) -> bytes:
    """The octets of a message. Octet strings in it become base64."""
    return json.dumps(message, default=_encoded, separators=(",", ":")).encode() + b"\n"


def _encoded(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError
    return b64encode(value).decode()


class Frames:
    """The messages in a stream of octets, however it is cut."""

    def __init__(self, limit: int) -> None:
        """A line may have ``limit`` octets."""
        self._limit = limit
        self._buffer = bytearray()
        self._looked_at = 0  # octets of the buffer that hold no end of a line

    @property
    def is_partial(self) -> bool:
        """A message has begun and not ended."""
        return bool(self._buffer)

    def feed(self, octets: bytes) -> Iterator[dict[str, Any]]:
        """The messages that are whole now.

        Raises:
            ProtocolError: a line is too long, or no JSON object. Nothing after it can be understood.
        """
        self._buffer += octets
        while (end := self._buffer.find(b"\n", self._looked_at)) >= 0:
            self._check(end)
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._looked_at = 0
            if line.strip():
                yield _message(line)
        self._looked_at = len(self._buffer)
        self._check(self._looked_at)

    def _check(self, length: int) -> None:
        if length > self._limit:
            raise ProtocolError(f"a line of more than {self._limit} octets")


def _message(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError too
        raise ProtocolError("a line that is not JSON") from None
    if not isinstance(found, dict):
        raise ProtocolError("a line that is no JSON object")
    return found


class Fields:
    """The members of one JSON object, taken one by one; each has to be of its type, and none may be left over."""

    def __init__(self, values: object, what: str) -> None:
        """Take apart ``values``, which people call ``what``.

        Raises:
            ProtocolError: it is no object.
        """
        if not isinstance(values, dict):
            raise ProtocolError(f"{what} is no object")
        self._left: dict[str, Any] = dict(values)
        self._what = what

    def text(self, name: str, *, longest: int = 4096) -> str:
        """A string that has to be there."""
        return self._expect(self.optional_text(name, longest=longest), name)

    def optional_text(self, name: str, *, longest: int = 4096) -> str | None:
        """A string, or nothing."""
        value = self._take(name, str)
        if value is not None and len(value) > longest:
            raise ProtocolError(f"'{name}' of {self._what} is longer than {longest} characters")
        return value

    def texts(self, name: str, *, most: int = 256) -> tuple[str, ...]:
        """Strings; none where they are not there."""
        values = self.items(name, most=most)
        if not all(isinstance(value, str) for value in values):
            raise ProtocolError(f"'{name}' of {self._what} is no list of strings")
        return tuple(values)

    def octets(self, name: str) -> bytes:
        """An octet string that has to be there."""
        return self._expect(self.optional_octets(name), name)

    def optional_octets(self, name: str) -> bytes | None:
        """An octet string in base64, or nothing."""
        value = self._take(name, str)
        return None if value is None else self._decoded(value, name)

    def octet_strings(self, name: str, *, most: int = 1000) -> tuple[bytes, ...]:
        """Octet strings in base64; none where they are not there."""
        return tuple(self._decoded(value, name) for value in self.texts(name, most=most))

    def _decoded(self, value: str, name: str) -> bytes:
        try:
            return b64decode(value, validate=True)
        except ValueError:
            raise ProtocolError(f"'{name}' of {self._what} is not base64") from None

    def number(self, name: str) -> int:
        """A whole number that has to be there, not negative."""
        return self._expect(self.optional_number(name), name)

    def optional_number(self, name: str) -> int | None:
        """A whole number, not negative, or nothing."""
        value = self._take(name, int)
        if value is None:
            return None
        if isinstance(value, bool) or not 0 <= value < _LONGEST_NUMBER:
            raise ProtocolError(f"'{name}' of {self._what} is no such number")
        return value

    def flag(self, name: str) -> bool:
        """A boolean; false where it is not there."""
        return bool(self._take(name, bool))

    def choice(self, name: str, kind: type[_Member]) -> _Member:
        """A member of an enum by its value, which has to be there."""
        return self._expect(self.optional_choice(name, kind), name)

    def optional_choice(self, name: str, kind: type[_Member]) -> _Member | None:
        """A member of an enum by its value, or nothing."""
        value = self.optional_text(name)
        if value is None:
            return None
        try:
            return kind(value)
        except ValueError:
            raise ProtocolError(f"'{name}' of {self._what} is none that there is") from None

    def items(self, name: str, *, most: int = 10_000) -> list[Any]:
        """A list; empty where it is not there."""
        values = self._take(name, list) or []
        if len(values) > most:
            raise ProtocolError(f"'{name}' of {self._what} has more than {most} members")
        return values

    def object(self, name: str) -> Fields:
        """An object that has to be there."""
        return Fields(self._expect(self._take(name, dict), name), f"'{name}' of {self._what}")

    def mapping(self, name: str) -> dict[str, str]:
        """Strings by their names; none where they are not there."""
        values = self._take(name, dict) or {}
        if not all(isinstance(value, str) for value in values.values()):
            raise ProtocolError(f"'{name}' of {self._what} has a member that is no string")
        return dict(values)

    def raw(self, name: str) -> Any:  # noqa: ANN401 - any JSON
        """Whatever stands there, or nothing."""
        return self._left.pop(name, None)

    def members(self) -> dict[str, Any]:
        """All that is left, as it came."""
        left, self._left = self._left, {}
        return left

    def finish(self) -> None:
        """Refuse what is left.

        Raises:
            ProtocolError: there is something that nobody asked for.
        """
        if self._left:
            raise ProtocolError(f"{self._what} has a member '{min(self._left)}' that it must not have")

    def _take(self, name: str, kind: type[_Value]) -> _Value | None:
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, kind):
            raise ProtocolError(f"'{name}' of {self._what} is of another type")
        return value

    def _expect(self, value: _Value | None, name: str) -> _Value:
        if value is None:
            raise ProtocolError(f"{self._what} has no '{name}'")
        return value
