"""The header fields of a part, in a form that survives: ASCII, no white space at line ends, no overlong lines.

What a field says does not change: RFC 2231 for parameters, RFC 2047 for text, folding for length.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING

from smime_agent.mime.fields import PARAMETER, field_name, field_value, parameter_value, without_comments
from smime_agent.mime.robust import LINE_LIMIT, weakness

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PARAMETERIZED = frozenset({b"content-type", b"content-disposition"})
_TYPE_IN_FIELD = re.compile(rb"(?is)^(content-type[ \t]*:\s*)[^\s;(]+")
_LINE_END = re.compile(rb"\r?\n")
_ASCII = bytes(range(128))
_WORD_END = re.compile(rb"[ \t]|\Z")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]+")
# RFC 2231, 7: attribute-char
_ATTRIBUTE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~")
_PERCENT = [bytes((octet,)) if octet in _ATTRIBUTE else b"%%%02X" % octet for octet in range(256)]
_WORD_OCTETS = 39  # 52 characters of base64: an encoded-word has at most 75 (RFC 2047, 2)
_SECTION_OCTETS = 16  # 48 characters when each is escaped


def repaired(fields: Sequence[bytes]) -> bytes:
    """The fields as one block with CRLF line ends, byte for byte as they are where they survive as they are."""
    block = b"".join(fields)
    if weakness(block) is None:
        return block
    return b"".join([field if weakness(field) is None else _repair(field) for field in fields])


def set_field(fields: list[bytes], name: bytes, value: bytes) -> None:
    """Replace the first field of that name where it stands, drop its doubles, or append one."""
    places = [index for index, field in enumerate(fields) if field_name(field) == name.lower()]
    line = b"%b: %b\r\n" % (name, value)
    if not places:
        fields.append(line)
        return
    fields[places[0]] = line
    for index in reversed(places[1:]):
        del fields[index]


def set_media_type(fields: list[bytes], kind: bytes) -> None:
    """Put another media type into the Content-Type, and leave its parameters."""
    for index, field in enumerate(fields):
        if field_name(field) == b"content-type":
            fields[index] = _TYPE_IN_FIELD.sub(lambda match: match.group(1) + kind, field)
            return
    fields.append(b"Content-Type: %b\r\n" % kind)


def _repair(field: bytes) -> bytes:
    name, _, value = field.partition(b":")
    first, *folded = _LINE_END.split(value.rstrip(b"\r\n").replace(b"\0", b" "))
    # A CR alone is a line end to some readers: a blank leaves nobody in doubt.
    lines = [line.replace(b"\r", b" ").rstrip(b" \t") for line in (first, *folded)]
    value = b"\r\n".join(line for index, line in enumerate(lines) if line or index == 0)
    name = name.rstrip(b" \t")
    field = b"%b:%b" % (name, value)
    if not value.isascii():
        text = field_value(field)
        encoded = _parameters(text) if field_name(field) in _PARAMETERIZED else _encoded_words(text)
        field = b"%b: %b" % (name, encoded)
    return b"\r\n".join(part for line in field.split(b"\r\n") for part in _fold(line)) + b"\r\n"


def _fold(line: bytes) -> Iterator[bytes]:
    while len(line) > LINE_LIMIT:
        blank = max(line.rfind(b" ", 1, LINE_LIMIT), line.rfind(b"\t", 1, LINE_LIMIT))
        cut = len(line[: max(blank, 0)].rstrip(b" \t"))
        if cut == 0:  # one word: there is no place to fold
            break
        yield line[:cut]
        line = line[cut:]
    yield line


def _parameters(value: bytes) -> bytes:
    value = without_comments(value)
    matches = list(PARAMETER.finditer(value))
    names = {match["name"].lower() for match in matches}
    main = value[: matches[0].start()] if matches else value
    out = [_question_marks(main.strip())]
    for match in matches:
        name, text = match["name"], parameter_value(match)
        if text.isascii():
            out.append(_question_marks(match.group()[1:].strip()))
        elif not names & {name.lower() + suffix for suffix in (b"*", b"*0", b"*0*")}:
            out += _extended(_question_marks(name), text)
    return b";\r\n\t".join(out)


def _extended(name: bytes, text: bytes) -> list[bytes]:
    """RFC 2231, 4, and for a long value in sections, 4.1."""
    charset = _charset(text) + b"''"
    pieces = [
        b"".join([_PERCENT[octet] for octet in text[start : start + _SECTION_OCTETS]])
        for start in range(0, len(text), _SECTION_OCTETS)
    ]
    short = b"".join(pieces)
    if len(short) <= 3 * _SECTION_OCTETS:
        return [b"%b*=%b%b" % (name, charset, short)]
    pieces[0] = charset + pieces[0]
    return [b"%b*%d*=%b" % (name, number, piece) for number, piece in enumerate(pieces)]


def _encoded_words(text: bytes) -> bytes:
    """RFC 2047: everything from the first to the last word that is beyond ASCII."""
    first, last = len(text) - len(text.lstrip(_ASCII)), len(text.rstrip(_ASCII))
    start = max(text.rfind(b" ", 0, first), text.rfind(b"\t", 0, first)) + 1
    end = next(_WORD_END.finditer(text, last)).start()
    inner = text[start:end]
    charset = _charset(inner)
    encoded = [
        b"=?%b?b?%b?=" % (charset, binascii.b2a_base64(piece, newline=False))
        for piece in _characters(inner, whole=charset == b"utf-8")
    ]
    return text[:start] + b"\r\n ".join(encoded) + text[end:]


def _characters(text: bytes, *, whole: bool) -> Iterator[bytes]:
    """Pieces for one encoded-word each, which must not cut a character in two (RFC 2047, 5)."""
    start = 0
    while start < len(text):
        cut = start + _WORD_OCTETS
        while whole and cut < len(text) and text[cut] & 0xC0 == 0x80:  # noqa: PLR2004 - a UTF-8 continuation octet
            cut -= 1
        yield text[start:cut]
        start = cut


def _charset(text: bytes) -> bytes:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return b"unknown-8bit"  # RFC 1428, 3
    return b"utf-8"


def _question_marks(text: bytes) -> bytes:
    # Nothing may stand beyond ASCII in a type or a parameter's name: it was malformed, and stays so.
    return _BEYOND_ASCII.sub(b"?", text)
