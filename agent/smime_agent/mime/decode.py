"""Content-transfer-encodings, removed: octets of a body in, what they stand for out, in constant memory."""

from __future__ import annotations

import binascii
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pybase64 import b64decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NOT_BASE64: Final = re.sub(rb"[A-Za-z0-9+/=]", b"", bytes(range(256)))
_LINE_LIMIT: Final = 64 * 1024


class Decoder:
    """Octets that are what they are: 7bit, 8bit, binary, and every encoding that is not known."""

    __slots__ = ("trailing",)

    def __init__(self) -> None:
        #: Whether something followed the end of the encoded data; known once all is decoded.
        self.trailing = False

    def decode(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The decoded octets, in blocks about as large as those that come in."""
        yield from chunks


class Base64Decoder(Decoder):
    """Base64 up to its padding; what is not of the alphabet is ignored (RFC 2045, 6.8)."""

    __slots__ = ()

    def decode(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The decoded octets, in blocks about as large as those that come in."""
        rest = b""
        ended = False
        for chunk in chunks:
            # Nearly all base64 stands in lines that can be decoded alone. Then only the decoder looks at each octet,
            # which passes over what is not of the alphabet, and refuses what is no whole number of groups.
            end = -1 if ended or b"=" in chunk else chunk.rfind(b"\n")
            if end >= 0:
                with suppress(binascii.Error):
                    yield b64decode(rest + chunk[:end])
                    rest = chunk[end:].translate(None, _NOT_BASE64)
                    continue
            data = chunk.translate(None, _NOT_BASE64)
            if ended:
                self.trailing = self.trailing or data.strip(b"=") != b""
                continue
            if b"=" in data:
                data, _, after = data.partition(b"=")
                self.trailing = after.strip(b"=") != b""
                ended = True
            data = rest + data
            cut = len(data) - len(data) % 4
            rest = data[cut:]
            if cut:
                yield b64decode(data[:cut])
        if len(rest) % 4 == 1:  # one sextet alone is no octet
            rest = rest[:-1]
        if rest:
            yield b64decode(rest + b"=" * (-len(rest) % 4))


class QuotedPrintableDecoder(Decoder):
    """Quoted-printable, read leniently: an escape that is none stays as it is (RFC 2045, 6.7)."""

    __slots__ = ()

    def decode(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The decoded octets, in blocks about as large as those that come in."""
        rest = b""
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            if lines:
                yield binascii.a2b_qp(b"".join(map(_line, lines)))
            if len(rest) > _LINE_LIMIT:  # a line is not held in memory, but an escape is not torn apart
                cut = rest.rfind(b"=", len(rest) - 3)
                cut = len(rest) if cut < 0 else cut
                yield binascii.a2b_qp(rest[:cut])
                rest = rest[cut:]
        yield binascii.a2b_qp(rest.rstrip(b" \t"))


def decoder_of(encoding: bytes) -> Decoder:
    """A fresh decoder for an encoding, whose name is in lower case."""
    return _DECODERS.get(encoding, Decoder)()


_DECODERS: Final[dict[bytes, type[Decoder]]] = {
    b"base64": Base64Decoder,
    b"quoted-printable": QuotedPrintableDecoder,
}


def _line(line: bytes) -> bytes:
    """A line without the blanks that were added to it on its way (RFC 2045, 6.7 (3))."""
    text, end = (line[:-1], b"\r\n") if line.endswith(b"\r") else (line, b"\n")
    return text.rstrip(b" \t") + end
