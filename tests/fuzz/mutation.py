"""Mutations that know what they change: values of BER, and lines and encodings of mails."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]

_MOST_VALUES: Final = 2_000
_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{16,76}={0,2}\r?\n){2,}(?:[A-Za-z0-9+/]{4,76}={0,2}\r?\n)?")
_LENGTHS: Final = (0, 1, 127, 128, 255, 65_535, 2**31 - 1, 2**32 - 1, 2**63 - 1)
_TAGS: Final = b"\x00\x01\x02\x03\x04\x05\x06\x0a\x0c\x13\x16\x17\x18\x1f\x24\x30\x31\x80\x81\x82\xa0\xa1\xa2\xbf\xff"
_LINES: Final = (
    b"From: mallory@evil.example",
    b"From : mallory@evil.example",
    b"From: alice@example.org, mallory@evil.example",
    b'From: "alice@example.org" <mallory@evil.example>',
    b"From: =?utf-8?q?alice=40example=2Eorg?= <mallory@evil.example>",
    b"Sender: mallory@evil.example",
    b"Date: Sun, 01 Mar 2036 10:00:00 +0000",
    b"Content-Type: text/html",
    b'Content-Type: multipart/mixed; boundary="=_signed"',
    b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary="=_signed"',
    b"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m",
    b"Content-Type: message/rfc822",
    b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: quoted-printable",
    b"Content-Disposition: attachment; filename*0*=utf-8''%0A; filename*1=smime.p7m",
    b"--=_signed",
    b"--=_signed--",
    b"--=_signed \t",
    b"--=_outer",
    b"Pay to account 0815 now.",
    b"",
    b" ",
    b"\t folded",
)
_PIECES: Final = (
    *(b"\r", b"\n", b"\r\n", b"\0", b"\x0b", b"\x0c", b"\x85", b"\xe2\x80\xa8", b"\xff", b"\xc3\x28", b"=\r\n", b"=00"),
    *(b"<", b">", b'"', b"\\", b"(", b")", b",", b";", b":", b"@", b"=?utf-8?b?", b"=?utf-8?q?", b"?=", b"--"),
    *(b"\x30\x80", b"\x24\x80", b"\x00\x00", b"\xa0\x80", b"\x31\x00", b"\x04\x82\xff\xff", b"\x84\xff\xff\xff\xff"),
)  # fmt: skip


def mutate_octets(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change, insert, leave out, repeat or borrow a few octets."""
    octets = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 8))):
        at = random.randrange(len(octets) + 1)
        end = min(at + random.choice((1, 1, 2, 4, 16, 64, 1024)), len(octets))
        match random.randrange(6):
            case 0 if at < len(octets):
                octets[at] = random.randrange(256)
            case 1 if at < len(octets):
                octets[at] ^= 1 << random.randrange(8)
            case 2:
                del octets[at:end]
            case 3:
                octets[at:at] = octets[at:end] * random.choice((1, 1, 2, 50))
            case 4:
                octets[at:at] = random.choice(_PIECES)
            case _:
                octets[at:at] = _piece(random, others)
    return bytes(octets)


def mutate_lines(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change lines: left out, repeated, moved, invented, borrowed, folded; or their ends."""
    lines = data.splitlines(keepends=True) or [b""]
    for _ in range(random.choice((1, 1, 2, 3))):
        at, to = random.randrange(len(lines)), random.randrange(len(lines) + 1)
        many = lines[at : at + random.choice((1, 1, 2, 8))]
        match random.randrange(8):
            case 0 if len(lines) > len(many):
                del lines[at : at + len(many)]
            case 1:
                lines[to:to] = many
            case 2:
                lines[at] = lines[at].rstrip(b"\r\n") + random.choice((b"\n", b"\r\n", b"\r", b"", b" \r\n"))
            case 3:
                lines[at] = random.choice((b" ", b"\t", b"-", b">", b"From ")) + lines[at]
            case 4:
                lines[at] = lines[at].swapcase()
            case 5 if others:
                borrowed = random.choice(others).splitlines(keepends=True) or [b""]
                begin = random.randrange(len(borrowed))
                lines[to:to] = borrowed[begin : begin + random.choice((1, 4, 40))]
            case 6:
                lines = [line.replace(b"\r\n", b"\n") for line in lines]
            case _:
                lines[to:to] = [random.choice(_LINES) + b"\r\n"]
    return b"".join(lines)


def mutate_ber(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change one value of BER: its tag, length, contents, place or number; the lengths around it are put right."""
    spans = _values(data)
    if not spans:
        return mutate_octets(random, data, others)
    span = random.choice(spans)
    return _put(data, spans, span, _changed(random, data, spans, span, others))


def _changed(  # noqa: PLR0911 - each case is one way to go wrong
    random: Random,
    data: bytes,
    spans: list[tuple[int, int, int]],
    span: tuple[int, int, int],
    others: Sequence[bytes],
) -> bytes:
    start, body, end = span
    whole, contents, tag = data[start:end], data[body:end], data[start]
    match random.randrange(10):
        case 0:
            return b""
        case 1:
            return whole * random.choice((2, 2, 3, 100))
        case 2:
            return _tlv(random.choice(_TAGS), contents)
        case 3:  # indefinite
            return bytes((tag | 0x20, 0x80)) + contents + b"\0\0"
        case 4:  # a string in pieces
            cut = random.randrange(len(contents) + 1)
            return _tlv(tag | 0x20, _tlv(4, contents[:cut]) + _tlv(4, contents[cut:]))
        case 5:  # a length that is not true
            return bytes((tag, 0x88)) + random.choice(_LENGTHS).to_bytes(8, "big") + contents
        case 6:  # another value of this object in its place, or beside it
            other = random.choice(spans)
            return data[other[0] : other[2]] + random.choice((b"", whole))
        case 7 if others:  # a value of another object
            other_data = random.choice(others)
            found = _values(other_data)
            return other_data[slice(*random.choice(found)[::2])] if found else b""
        case 8:
            return _tlv(random.choice(b"\x30\x31\x24\xa0\xa1"), whole)
        case _:
            return _tlv(tag, mutate_octets(random, contents, others))


def mutate_mail(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change a mail: its octets, its lines, or a value of the CMS in it."""
    blocks = list(_BASE64.finditer(data))
    choice = random.randrange(4)
    if choice == 0 or not blocks:
        return mutate_lines(random, data, others)
    if choice == 1:
        return mutate_octets(random, data, others)
    block = random.choice(blocks)
    few = random.choices(others, k=2) if others else []
    inner = [decoded for other in few for decoded in map(_decoded, _BASE64.findall(other)[:1]) if decoded]
    decoded = _decoded(block.group())
    if not decoded:
        return mutate_octets(random, data, others)
    changed = mutate_ber(random, decoded, inner)
    return data[: block.start()] + base64.encodebytes(changed).replace(b"\n", b"\r\n") + data[block.end() :]


def _decoded(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text)
    except binascii.Error:
        return b""


def _piece(random: Random, others: Sequence[bytes]) -> bytes:
    other = random.choice(others) if others else b"\0"
    at = random.randrange(len(other) + 1)
    return other[at : at + random.choice((1, 4, 16, 256))]


def _tlv(tag: int, contents: bytes) -> bytes:
    size = len(contents)
    if size < 0x80:
        return bytes((tag, size)) + contents
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + contents


def _values(data: bytes) -> list[tuple[int, int, int]]:
    """Where values begin, where their contents do, and where they end; only those of a definite length."""
    found: list[tuple[int, int, int]] = []
    waiting = [(0, len(data))]
    while waiting and len(found) < _MOST_VALUES:
        at, limit = waiting.pop()
        while at + 2 <= limit and len(found) < _MOST_VALUES:
            body, length = at + 2, data[at + 1]
            if length > 0x80:
                body += length & 0x7F
                length = int.from_bytes(data[at + 2 : body], "big")
            elif length == 0x80:
                waiting.append((body, limit))
                break
            if body + length > limit:
                break
            found.append((at, body, body + length))
            if data[at] & 0x20 or data[at] in b"\x03\x04":
                waiting.append((body + (data[at] == 3), body + length))
            at = body + length
    return found


def _put(data: bytes, spans: list[tuple[int, int, int]], place: tuple[int, int, int], new: bytes) -> bytes:
    """``new`` in the place of a value, and the lengths of all around it put right."""
    start, _, end = place
    around = sorted((span for span in spans if span[1] <= start and end <= span[2]), key=lambda span: -span[1])
    for outer_start, body, outer_end in around:
        new = _tlv(data[outer_start], data[body:start] + new + data[end:outer_end])
        start, end = outer_start, outer_end
    return data[:start] + new + data[end:]
