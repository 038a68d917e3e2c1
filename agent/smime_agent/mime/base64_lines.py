"""Base64 in lines of one length, as nearly all of it stands in mails, decoded where it is read.

A body of a gigabyte then needs no temporary file: where the line is that an octet comes from can be computed.
"""

from __future__ import annotations

import binascii
import re
from itertools import chain
from typing import TYPE_CHECKING, Final

from pybase64 import b64decode

from smime_agent.errors import FileError
from smime_agent.mime.decode import Base64Decoder
from smime_agent.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LINE: Final = re.compile(rb"([A-Za-z0-9+/]{4,996})\r?\n")
_LONGEST: Final = 1000
#: Lines are looked at and decoded in blocks of about so many octets; the last one or two of a body are held.
_BLOCK: Final = 64 * 1024


def decoded_in_place(
    source: Source, start: int, end: int, through: Callable[[Iterator[bytes]], Iterator[bytes]]
) -> tuple[Source, bool] | None:
    """What the base64 from ``start`` to before ``end`` stands for; ``source`` must stay open for it.

    And whether something follows its padding. None where the lines are not all of one length: ``through`` has seen the
    octets up to there, block by block, and cannot change them.

    Raises:
        FileError: it cannot be read, or was changed; later reads raise it too.
    """
    match = _LINE.match(source.read(start, min(start + _LONGEST, end)))
    if match is None or len(match[1]) % 4:
        return None
    lines = _Lines(source, start, end, (len(match[0]), len(match[1]) // 4 * 3))
    for number, block in enumerate(through(lines.raw())):
        if number < lines.blocks and not lines.is_regular(block):
            return None
    return Source.from_reader(lines.read, lines.size), lines.trailing


class _Lines:
    """Blocks of a fixed number of lines, and what is left after them, which is decoded and held."""

    def __init__(self, source: Source, start: int, end: int, line: tuple[int, int]) -> None:
        self._source, self._start, self._end = source, start, end
        #: The octets of a block as it stands, and decoded.
        self._step, self._decoded = (octets * (_BLOCK // line[0]) for octets in line)
        self.blocks = max((end - start) // self._step - 1, 0)
        rest = Base64Decoder()
        self._held = b"".join(rest.decode(source.chunks(start + self.blocks * self._step, end)))
        self.trailing = rest.trailing
        self.size = self.blocks * self._decoded + len(self._held)
        #: The block that was read last, which is likely to be wanted once more.
        self._number, self._block = -1, b""

    def raw(self) -> Iterator[bytes]:
        """The blocks as they stand, and then the rest."""
        rest = self._start + self.blocks * self._step
        regular = (self._source.read(at, at + self._step) for at in range(self._start, rest, self._step))
        return chain(regular, self._source.chunks(rest, self._end))

    def is_regular(self, raw: bytes) -> bool:
        """Whether so many groups of four are in this block that the next begins with a group of its own."""
        return self._octets(raw) is not None

    def read(self, start: int, end: int) -> bytes:
        """The decoded octets from ``start`` to before ``end``."""
        numbers = range(start // self._decoded, (end - 1) // self._decoded + 1)
        first = numbers.start * self._decoded
        return b"".join(map(self._numbered, numbers))[start - first : end - first]

    def _numbered(self, number: int) -> bytes:
        if number >= self.blocks:  # all that is held counts as one block after another
            at = (number - self.blocks) * self._decoded
            return self._held[at : at + self._decoded]
        if number != self._number:
            at = self._start + number * self._step
            block = self._octets(self._source.read(at, at + self._step))
            if block is None:
                raise FileError("the input was changed while it was read", hint="make a copy that nobody writes to")
            self._number, self._block = number, block
        return self._block

    def _octets(self, raw: bytes) -> bytes | None:
        # What is not of the alphabet is passed over (RFC 2045, 6.8): it is the number of groups that counts.
        if b"=" in raw:
            return None
        try:
            block = b64decode(raw)
        except binascii.Error:
            return None
        return block if len(block) == self._decoded else None
