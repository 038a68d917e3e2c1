"""How the body of one part is carried, so that what it decodes to arrives as it was (RFC 8551, 3.1.2 and 3.1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smime_agent.mime import transfer
from smime_agent.mime.robust import Weakness, weakness_of

if TYPE_CHECKING:
    from smime_agent.mime.fields import Parameterized
    from smime_agent.source import Source

IDENTITY: Final = frozenset({b"7bit", b"8bit", b"binary"})  # RFC 2045, 6.2
EIGHT_BIT: Final = frozenset({b"8bit", b"binary"})
_REPAIRS: Final = {
    b"quoted-printable": transfer.quoted_printable_repair,
    b"base64": transfer.base64_repair,
}
# Here an octet 0x0A need not be a line feed, whatever RFC 2046, 4.1.1 says about text.
_WIDE_CHARSETS: Final = (b"utf-16", b"utf16", b"utf-32", b"utf32", b"ucs", b"iso-10646-ucs", b"unicode")


@dataclass(frozen=True, slots=True)
class Carriage:
    """How a body travels: its coder, its new encoding and media type (None: they stay), and what stays weak."""

    coder: transfer.Coder
    encoding: bytes | None = None
    kind: bytes | None = None
    weakness: Weakness | None = None
    altered: bool = False


def as_it_is(source: Source, start: int, end: int) -> Carriage:
    """Line ends become CRLF, nothing else is touched."""
    return Carriage(transfer.canonical_lines, weakness=weakness_of(source.chunks(start, end)))


def carriage(kind: Parameterized, encoding: bytes, source: Source, start: int, end: int) -> Carriage:
    """How to carry a leaf part of a media type, whose body is a span of the source in the given encoding."""
    binary = encoding == b"binary"
    weakness = weakness_of(source.chunks(start, end), binary=binary)
    if weakness is None:
        return Carriage(transfer.canonical_lines)
    if encoding in _REPAIRS:
        return Carriage(_REPAIRS[encoding], altered=True)
    if encoding not in IDENTITY:
        return Carriage(transfer.canonical_lines, weakness=weakness)
    charset = kind.parameters.get(b"charset", b"").lower()
    if not kind.value.startswith(b"text/") or binary or charset.startswith(_WIDE_CHARSETS):
        # Not lines to us: RFC 2049, 4 (2) leaves the canonical form of such data to its type.
        return Carriage(transfer.base64_encode, b"base64", altered=True)
    if transfer.is_mostly_literal(source.chunks(start, end)):
        return Carriage(transfer.quoted_printable_encode, b"quoted-printable", altered=True)
    return Carriage(transfer.base64_encode_lines, b"base64", altered=True)
