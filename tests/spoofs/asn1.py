"""DER by hand: what a library would refuse to write is what a forger writes."""

from __future__ import annotations

from typing import Final

NULL: Final = b"\x05\x00"
TRUE: Final = b"\x01\x01\xff"


def tlv(tag: int, *parts: bytes) -> bytes:
    """One value: tag, length, and the parts one after the other."""
    value = b"".join(parts)
    if len(value) < 0x80:
        return bytes([tag, len(value)]) + value
    length = len(value).to_bytes((len(value).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + value


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE and SEQUENCE OF."""
    return tlv(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    """SET OF, in the order of DER."""
    return tlv(0x31, *sorted(parts))


def octets(value: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(0x04, value)


def bits(value: bytes, unused: int = 0) -> bytes:
    """BIT STRING."""
    return tlv(0x03, bytes([unused]), value)


def integer(value: int) -> bytes:
    """INTEGER, which is not negative."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1))


def utf8(text: str) -> bytes:
    """UTF8String."""
    return tlv(0x0C, text.encode())


def time(text: str) -> bytes:
    """UTCTime or GeneralizedTime, by the number of digits in the year."""
    return tlv(0x17 if len(text) == len("YYMMDDhhmmssZ") else 0x18, text.encode())


def context(number: int, *parts: bytes) -> bytes:
    """A constructed value with a tag of its context."""
    return tlv(0xA0 | number, *parts)


def implicit(number: int, value: bytes) -> bytes:
    """A primitive value with a tag of its context."""
    return tlv(0x80 | number, value)


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER."""
    first, second, *rest = map(int, dotted.split("."))
    return tlv(0x06, *(_base128(arc) for arc in (first * 40 + second, *rest)))


def _base128(arc: int) -> bytes:
    digits = [arc & 0x7F]
    while arc := arc >> 7:
        digits.append(0x80 | arc & 0x7F)
    return bytes(reversed(digits))


def indefinite(tag: int, *parts: bytes) -> bytes:
    """A constructed value of indefinite length, which is BER."""
    return bytes([tag, 0x80]) + b"".join(parts) + b"\0\0"
