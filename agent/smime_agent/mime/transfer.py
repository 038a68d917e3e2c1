"""Content-transfer-encodings, written and repaired: an iterator of octets in, an iterator of octets out.

All of it takes the same amount of memory whatever the size, and gives the same octets however they were cut.
"""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Callable, Iterable, Iterator

from pybase64 import b64encode

Coder = Callable[[Iterable[bytes]], Iterator[bytes]]

_COLUMNS = 76  # RFC 2045, 6.7 (5) and 6.8
# A line longer than this is not held in memory: it is cut here by a soft line break.
_SEGMENT = 4096
_SOFT = b"=\r\n"
_ESCAPES = {bytes((octet,)): b"=%02X" % octet for octet in range(256)}
_NOT_LITERAL = re.compile(rb"[^\t -<>-~]")  # RFC 2045, 6.7 (2)
_NOT_QUOTED_PRINTABLE = re.compile(rb"[^\t -~]")
_AS_IT_IS = re.compile(rb"(?!From |\.\Z)(?:[\t -<>-~]{0,75}[!-<>-~])?")
_LITERAL = _NOT_LITERAL.sub(b"", bytes(range(256))) + b"\r\n"
_NOT_BASE64 = re.sub(rb"[A-Za-z0-9+/=]", b"", bytes(range(256)))


def crlf(block: bytes) -> bytes:
    """The block with every LF that no CR precedes made CRLF."""
    if b"\r" in block:
        lines = block.replace(b"\r", b"").replace(b"\n", b"\r\n")
        if lines == block:
            return block
        block = block.replace(b"\r\n", b"\n")
    return block.replace(b"\n", b"\r\n")


def canonical_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """CRLF line ends, and nothing else changed (RFC 8551, 3.1.1)."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        rest = b""
        if data.endswith(b"\r"):  # its LF may come next
            data, rest = data[:-1], b"\r"
        yield crlf(data)
    if rest:
        yield rest


def base64_encode(chunks: Iterable[bytes], columns: int = _COLUMNS) -> Iterator[bytes]:
    """Base64 in lines of ``columns`` (a multiple of 4), with CRLF between them and none after the last."""
    octets = columns // 4 * 3
    rest = b""
    before: tuple[bytes, ...] = ()  # an empty line, so that CRLF stands before the next
    for chunk in chunks:
        begun = min(octets - len(rest), len(chunk)) if rest else 0  # completes the line that was begun
        rest += chunk[:begun]
        lines = [b64encode(rest)] if begun and len(rest) == octets else []
        if len(rest) == octets:
            rest = b""
        cut = begun + (len(chunk) - begun) // octets * octets
        if cut > begun:
            lines += _cut(b64encode(memoryview(chunk)[begun:cut]), columns)
        rest += chunk[cut:]
        if lines:
            yield b"\r\n".join((*before, *lines))
            before = (b"",)
    if rest:
        yield b"\r\n".join((*before, b64encode(rest)))


def base64_encode_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Base64 of the octets with CRLF line ends."""
    return base64_encode(canonical_lines(chunks))


def base64_repair(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same base64 in lines of 76, without what is not of its alphabet (RFC 2045, 6.8: to be ignored)."""
    rest = separator = ending = b""
    for chunk in chunks:
        data = rest + chunk.translate(None, _NOT_BASE64)
        if chunk:
            ending = b"\r\n" if chunk.endswith(b"\n") else b""
        cut = len(data) - len(data) % _COLUMNS
        rest = data[cut:]
        if cut:
            yield separator + _wrap(data[:cut], _COLUMNS)
            separator = b"\r\n"
    if rest:
        yield separator + rest
    yield ending


def is_mostly_literal(chunks: Iterable[bytes]) -> bool:
    """Whether quoted-printable escapes at most a sixth of the octets, so that the text stays legible."""
    size = escaped = 0
    for chunk in chunks:
        size += len(chunk) - chunk.count(b"\r")
        escaped += len(chunk.translate(None, _LITERAL))
    return escaped * 6 <= size


def quoted_printable_encode(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Quoted-printable of text, whose line ends become CRLF (RFC 2045, 6.7)."""
    return _by_line(chunks, _encode_line)


def quoted_printable_repair(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same quoted-printable in a form that survives: what it decodes to does not change."""
    return _by_line(chunks, _repair_line)


def _wrap(encoded: bytes, columns: int) -> bytes:
    # struct cuts a string into equal lines six times as fast as slices do.
    rest = len(encoded) % columns
    lines = _cut(encoded, columns)
    return b"\r\n".join((*lines, encoded[-rest:]) if rest else lines)


def _cut(encoded: bytes, columns: int) -> tuple[bytes, ...]:
    """The whole lines that are in it."""
    return _lines(len(encoded) // columns, columns).unpack_from(encoded)


@functools.lru_cache(maxsize=64)
def _lines(count: int, columns: int) -> struct.Struct:
    return struct.Struct(f"{columns}s" * count)


def _by_line(chunks: Iterable[bytes], encode: Callable[[bytes, bytes], bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in canonical_lines(chunks):
        *lines, rest = (rest + chunk).split(b"\r\n")
        out = [encode(line, b"\r\n") if len(line) <= _SEGMENT else _long_line(line, b"\r\n", encode) for line in lines]
        while len(rest) >= _SEGMENT + 2:  # two for a CRLF that is not there
            segment, rest = _segment(rest)
            out.append(encode(segment, _SOFT))
        yield b"".join(out)
    yield _long_line(rest, b"", encode)


def _long_line(line: bytes, end: bytes, encode: Callable[[bytes, bytes], bytes]) -> bytes:
    out = []
    while len(line) > _SEGMENT:
        segment, line = _segment(line)
        out.append(encode(segment, _SOFT))
    out.append(encode(line, end))
    return b"".join(out)


def _segment(line: bytes) -> tuple[bytes, bytes]:
    cut = _before_escape(line, _SEGMENT)
    return line[:cut], line[cut:]


def _before_escape(line: bytes, cut: int) -> int:
    """Where to cut so that no =XX is torn apart."""
    escape = line.find(b"=", cut - 2, cut)
    return cut if escape < 0 else escape


def _encode_line(line: bytes, end: bytes) -> bytes:
    if _AS_IT_IS.fullmatch(line) and end != _SOFT:
        return line + end
    encoded = _NOT_LITERAL.sub(_escape, line)
    if end != _SOFT and encoded.endswith((b" ", b"\t")):  # RFC 2045, 6.7 (3)
        encoded = encoded[:-1] + _ESCAPES[encoded[-1:]]
    return _soft_break(encoded, end)


def _repair_line(line: bytes, end: bytes) -> bytes:
    if end != _SOFT:
        line = line.rstrip(b" \t")  # RFC 2045, 6.7 (3): added on the way, to be deleted
    return _soft_break(_NOT_QUOTED_PRINTABLE.sub(_escape, line), end)


def _escape(match: re.Match[bytes]) -> bytes:
    return _ESCAPES[match.group()]


def _soft_break(line: bytes, end: bytes) -> bytes:
    """Lines of at most 76 octets (RFC 2045, 6.7 (5)), none of which is a mailbox's "From " or SMTP's dot."""
    room = _COLUMNS - (end == _SOFT)
    out = []
    while True:
        if line.startswith(b"From "):
            line = b"=46" + line[1:]
        if len(line) <= room:
            break
        cut = _before_escape(line, _COLUMNS - 1)
        out.append(line[:cut])
        line = line[cut:]
    out.append(b"=2E" if line == b"." and end != _SOFT else line)
    return _SOFT.join(out) + end
