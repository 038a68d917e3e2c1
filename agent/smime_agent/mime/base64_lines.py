"""Base64 in lines of one length, as nearly all of it stands in mails, decoded where it is read.

A body of a gigabyte then needs no temporary file: where the line is that an octet comes from can be computed.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from pybase64 import b64decode

from smime_agent.mime.decode import Base64Decoder
from smime_agent.source import Source
from smime_agent.verdict import Code, UntrustworthyError

_LINE: Final = re.compile(rb"([A-Za-z0-9+/]{4,996})\r?\n")
_LONGEST: Final = 1000
#: Lines are looked at and decoded in blocks of about so many octets; the last one or two of a body are held.
_BLOCK: Final = 256 * 1024


def decoded_in_place(source: Source, start: int, end: int) -> tuple[Source, bool] | None:
    """What the base64 from ``start`` to before ``end`` stands for; ``source`` must stay open for it.

    And whether something follows its padding. None where the lines are not all of one length, as far as can be seen
    from where every so many of them begin. Raises ``FileError``.

    Later reads raise ``UntrustworthyError`` where a line holds something else all the same: to pass over it, as
    RFC 2045, 6.8 has it, would move all that follows. ``FileError``: it cannot be read, or was changed.
    """
    match = _LINE.match(source.read(start, min(start + _LONGEST, end)))
    if match is None or len(match[1]) % 4:
        return None
    lines = _Lines(source, start, end, len(match[0]), len(match[1]))
    return (Source.from_reader(lines.read, lines.size), lines.trailing) if lines.are_regular() else None


class _Lines:
    """Blocks of a fixed number of lines, and what is left after them, which is decoded and held."""

    def __init__(self, source: Source, start: int, end: int, line: int, columns: int) -> None:
        self._source, self._start = source, start
        #: The octets of a line, its end included, and without that.
        self._line, self._columns = line, columns
        #: The octets of a block as it stands, and decoded.
        self._step, self._decoded = (octets * (_BLOCK // line) for octets in (line, columns // 4 * 3))
        self._blocks = max((end - start) // self._step - 1, 0)
        rest = Base64Decoder()
        self._held = b"".join(rest.decode(source.chunks(start + self._blocks * self._step, end)))
        self.trailing = rest.trailing
        self.size = self._blocks * self._decoded + len(self._held)
        #: The block that was read last, which is likely to be wanted once more.
        self._number, self._block = -1, b""

    def are_regular(self) -> bool:
        """Whether each block begins where a line does."""
        # All is read, in order: to skip from line to line takes many times as long where a disk has to be asked.
        starts = range(self._start, self._start + self._blocks * self._step, self._step)
        return all(self._source.read(at, at + self._step).endswith(b"\n") for at in starts)

    def read(self, start: int, end: int) -> bytes:
        """The decoded octets from ``start`` to before ``end``."""
        first, last = start // self._decoded, (end - 1) // self._decoded
        blocks = [self._numbered(number) for number in range(first, last + 1)]
        blocks[-1] = blocks[-1][: end - last * self._decoded]
        blocks[0] = blocks[0][start - first * self._decoded :]
        return b"".join(blocks)

    def _numbered(self, number: int) -> bytes:
        if number >= self._blocks:  # all that is held counts as one block after another
            at = (number - self._blocks) * self._decoded
            return self._held[at : at + self._decoded]
        if number != self._number:
            at = self._start + number * self._step
            self._number, self._block = number, self._octets(self._source.read(at, at + self._step))
        return self._block

    def _octets(self, raw: bytes) -> bytes:
        try:
            block = b"" if b"=" in raw else self._without_ends(raw) or b64decode(raw)
        except binascii.Error:
            block = b""
        if len(block) != self._decoded:
            raise UntrustworthyError(Code.MALFORMED_CMS, "in the lines of the base64 stands something else")
        return block

    def _without_ends(self, raw: bytes) -> bytes | None:
        """The lines decoded, if all are as the first and hold base64 alone: in less than half the time."""
        ends = [(at, raw[at :: self._line]) for at in range(self._line - 1, self._columns - 1, -1)]
        if any(octets != end * len(octets) for (_, octets), end in zip(ends, (b"\n", b"\r"), strict=False)):
            return None
        base64 = bytearray(raw)
        for gone, (at, _) in enumerate(ends):
            del base64[at :: self._line - gone]
        try:
            return b64decode(base64, validate=True)
        except binascii.Error:
            return None
