"""Assuan, the protocol of pinentry, as one who asks speaks it: lines from and into octets, and nothing read or written.

A secret is gathered from data lines in one buffer of a fixed size, and never becomes ``bytes`` or text::

    request  = command [ SP argument ] LF                          -- at most 1000 octets and the LF
    response = "OK" [ SP text ] | "ERR" SP code [ SP text ]        -- ends the answer
             | "D" SP data | "S" SP keyword SP text | "INQUIRE" SP keyword | "#" text

Source: the Assuan manual, "Client requests" and "Server responses".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from smime_agent.errors import PinUnavailableError

#: Octets of a line, without its end.
LONGEST_LINE: Final = 1000
#: Octets of data in one answer. Tokens take shorter PINs; more is none.
LONGEST_DATA: Final = 256
_MOST_LINES: Final = 100
_LONGEST_CODE: Final = 10
_LINE_FEED, _PERCENT = b"\n", 0x25
# A backslash would continue the line where it is the last of it.
_ESCAPED: Final = {character: f"%{ord(character):02X}" for character in "%\r\n\\"}
_CUT: Final = b"..."


class AssuanError(PinUnavailableError):
    """The other side does not keep to the protocol."""

    code = PinUnavailableError.code


class Kind(Enum):
    """What a response says. The value begins its line."""

    OK = "OK"
    ERROR = "ERR"
    INQUIRE = "INQUIRE"


@dataclass(frozen=True, slots=True)
class Response:
    """A response that wants to be looked at. ``code`` is that of an error; ``text`` is for people, and may be empty."""

    kind: Kind
    code: int = 0
    text: str = ""


def command(name: str, argument: str = "") -> bytes:
    """A request as a line, its argument escaped, and cut where it would be longer than a line may be."""
    space = LONGEST_LINE - len(name) - len(_CUT) - 1
    line = bytearray(f"{name} ".encode() if argument else name.encode())
    for character in argument:
        octets = _ESCAPED.get(character, character).encode("utf-8", "backslashreplace")
        if len(octets) > space:
            line += _CUT
            break
        line += octets
        space -= len(octets)
    return bytes(line + _LINE_FEED)


class Receiver:
    """What the other side sends, of any length of time but no line longer than it may be.

    Octets are read into :meth:`space`; :meth:`added` says how many. What was consumed is overwritten at once.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self._octets = bytearray(2 * (LONGEST_LINE + 1))
        self._view = memoryview(self._octets)
        self._begin = self._end = 0
        self._data = bytearray(LONGEST_DATA)
        self._length = 0
        self._lines = 0

    def __repr__(self) -> str:
        """Never what was received."""
        return "Receiver(...)"

    def space(self) -> memoryview:
        """Where the next octets go; never empty.

        Raises:
            AssuanError: a line does not end.
        """
        if self._end - self._begin > LONGEST_LINE:
            raise AssuanError("pinentry sends a line without an end")
        if self._begin:
            left = self._end - self._begin
            self._view[:left] = self._view[self._begin : self._end]
            self._view[left : self._end] = bytes(self._end - left)
            self._begin, self._end = 0, left
        return self._view[self._end :]

    def added(self, count: int) -> None:
        """So many octets are there now."""
        self._end += count

    def response(self) -> Response | None:
        """The next response, when it is there. Data on the way to it is gathered; comments and status are skipped.

        Raises:
            AssuanError: it is none, or there is too much of it.
        """
        while (stop := self._octets.find(_LINE_FEED, self._begin, self._end)) >= 0:
            self._lines += 1
            if stop - self._begin > LONGEST_LINE or self._lines > _MOST_LINES:
                raise AssuanError("pinentry sends more than an answer")
            try:
                response = self._line(self._begin, stop)
            finally:
                self._view[self._begin : stop + 1] = bytes(stop + 1 - self._begin)
                self._begin = stop + 1
            if response:
                return response
        return None

    def data(self) -> bytearray:
        """The data that came since the last call, for the caller to wipe; here it is no more."""
        self._lines = 0
        taken = self._data[: self._length]
        self._data[:] = bytes(LONGEST_DATA)
        self._length = 0
        return taken

    def wipe(self) -> None:
        """Overwrite all that was received."""
        self._octets[:] = bytes(len(self._octets))
        self._data[:] = bytes(LONGEST_DATA)
        self._begin = self._end = self._length = 0

    def _line(self, begin: int, stop: int) -> Response | None:
        word = self._octets.find(b" ", begin, stop)
        after = word if word >= 0 else stop
        if self._octets.startswith(b"D", begin, after) and after == begin + 1:
            self._gather(self._view[after + 1 : stop])
            return None
        if self._octets.startswith((b"#", b"S "), begin, stop):
            return None
        for kind in Kind:
            if self._octets.startswith(kind.value.encode(), begin, after) and after - begin == len(kind.value):
                return _response(kind, bytes(self._view[after:stop]))
        raise AssuanError("pinentry sends something that is no answer")

    def _gather(self, escaped: memoryview) -> None:
        """Undo the escapes of a data line (one octet after the other: no copy of it may stay behind)."""
        position = 0
        while position < len(escaped):
            octet = escaped[position]
            position += 1
            if octet == _PERCENT:
                if position + 2 > len(escaped):
                    raise AssuanError("pinentry sends data that is cut short")
                octet = _digit(escaped[position]) << 4 | _digit(escaped[position + 1])
                position += 2
            if self._length == LONGEST_DATA:
                raise AssuanError(f"what was typed is longer than {LONGEST_DATA} octets, and so no PIN")
            self._data[self._length] = octet
            self._length += 1


def _digit(octet: int) -> int:
    """A hexadecimal digit of an escape."""
    for first, value in ((b"0", 0), (b"A", 10), (b"a", 10)):
        if first[0] <= octet <= first[0] + (5 if value else 9):
            return octet - first[0] + value
    raise AssuanError("pinentry sends data with an escape that is none")


def _response(kind: Kind, rest: bytes) -> Response:
    text = rest.decode("utf-8", "replace").strip()
    if kind is not Kind.ERROR:
        return Response(kind, 0, text)
    code, _, text = text.partition(" ")
    if not (code.isascii() and code.isdigit() and len(code) <= _LONGEST_CODE):
        raise AssuanError("pinentry sends an error that has no number")
    return Response(kind, int(code), text)
