"""A DER writer: the handful of types that CMS and X.509 are made of.

Every function returns a complete TLV as ``bytes``. Only writing lives here; what comes from outside is read elsewhere.
Source: X.690, sections 8 and 10.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

INTEGER, OCTET_STRING, UTF8_STRING, SEQUENCE, SET = 0x02, 0x04, 0x0C, 0x30, 0x31
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
NULL = b"\x05\x00"


def header(tag: int, length: int) -> bytes:
    """The identifier and definite length octets of a value of ``length`` octets, which may be gigabytes."""
    if length < 0x80:  # noqa: PLR2004 - the short form of X.690, 8.1.3.4
        return bytes((tag, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets


def tlv(tag: int, *contents: bytes) -> bytes:
    """One value whose contents are given in pieces."""
    value = b"".join(contents)
    length = len(value)
    if length < 0x80:  # noqa: PLR2004 - the short form of X.690, 8.1.3.4, which most values have
        return bytes((tag, length)) + value
    return header(tag, length) + value


def context(number: int, *contents: bytes, constructed: bool = True) -> bytes:
    """A value tagged ``[number]``, explicit or (given the bare contents) implicit."""
    return tlv((0xA0 if constructed else 0x80) | number, *contents)


def sequence(*items: bytes) -> bytes:
    """A SEQUENCE, or a SEQUENCE OF in the order given."""
    return tlv(SEQUENCE, *items)


def set_of(items: Iterable[bytes]) -> bytes:
    """A SET OF, sorted as DER wants it (X.690, 11.6)."""
    return tlv(SET, *sorted(items))


def integer(value: int) -> bytes:
    """An INTEGER, in as few octets as two's complement needs."""
    return tlv(INTEGER, value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True))


def unsigned(octets: bytes) -> bytes:
    """An INTEGER from the big-endian octets of a number that is not negative."""
    shortest = octets.lstrip(b"\0") or b"\0"
    return tlv(INTEGER, b"\0" + shortest if shortest[0] & 0x80 else shortest)


def octet_string(value: bytes) -> bytes:
    """An OCTET STRING."""
    return tlv(OCTET_STRING, value)


def utf8_string(value: str) -> bytes:
    """A UTF8String."""
    return tlv(UTF8_STRING, value.encode())


def object_identifier(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER from its dotted form, such as ``1.2.840.113549.1.7.2``."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    contents = bytearray()
    for arc in (first * 40 + second, *rest):
        octets = [arc & 0x7F]
        while arc := arc >> 7:
            octets.append(0x80 | arc & 0x7F)
        contents += bytes(reversed(octets))
    return tlv(0x06, bytes(contents))


def time(value: datetime) -> bytes:
    """A Time: UTCTime from 1950 to 2049, GeneralizedTime outside (RFC 5652, 11.3). ``value`` is aware."""
    value = value.astimezone(UTC)
    if 1950 <= value.year < 2050:  # noqa: PLR2004
        return tlv(UTC_TIME, value.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(GENERALIZED_TIME, f"{value.year:04}{value.strftime('%m%d%H%M%SZ')}".encode())


def algorithm(dotted: str, parameters: bytes = b"") -> bytes:
    """An AlgorithmIdentifier; without parameters they are absent, not NULL."""
    return sequence(object_identifier(dotted), parameters)
