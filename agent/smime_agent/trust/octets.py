"""DER read just far enough: where an element ends, who a certificate names, when two names are the same.

What a stranger sends may be ten thousand certificates and lists of a hundred thousand entries. Nothing here makes an
object of an element that nobody asks for. All of it raises :class:`ValueError` on garbage, which callers turn into
"not there". Source: X.690, 8.1 and 10.1.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTEGER, _OBJECT_IDENTIFIER, _SEQUENCE, _SET, _VERSION = 0x02, 0x06, 0x30, 0x31, 0xA0
#: The string types of a DirectoryString and of its neighbours (RFC 5280, 4.1.2.4), and how their octets are read.
_CHARSETS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1A: "ascii", 0x1C: "utf-32-be"}
_CHARSETS[0x1E] = "utf-16-be"


class Element(NamedTuple):
    """One element: its tag, and where in the octets it starts, its contents start, and it ends."""

    tag: int
    start: int
    contents: int
    end: int


def element(data: bytes, start: int, limit: int) -> Element:
    """The element at ``start``, which may reach up to ``limit``.

    Raises:
        ValueError: there is none, it is longer, or its length is indefinite.
    """
    if start + 2 > limit:
        raise ValueError("truncated")
    tag, length, contents = data[start], data[start + 1], start + 2
    if length & 0x80:
        size = length & 0x7F
        contents += size
        if not 0 < size <= 8 or contents > limit:  # noqa: PLR2004 - no length has more than 8 octets
            raise ValueError("length")
        length = int.from_bytes(data[start + 2 : contents], "big")
    if tag & 0x1F == 0x1F or contents + length > limit:  # noqa: PLR2004 - tag numbers over 30
        raise ValueError("element")
    return Element(tag, start, contents, contents + length)


def elements(data: bytes, start: int, limit: int) -> Iterator[Element]:
    """The elements that fill the octets from ``start`` to ``limit``, one after the other."""
    while start < limit:
        found = element(data, start, limit)
        yield found
        start = found.end


def whole(data: bytes, tag: int = _SEQUENCE) -> Element:
    """The one element that fills all of ``data``."""
    found = element(data, 0, len(data))
    if found.tag != tag or found.end != len(data):
        raise ValueError("trailing octets, or something else")
    return found


class Names(NamedTuple):
    """The encoded names of a certificate."""

    issuer: bytes
    subject: bytes


def names(certificate: bytes) -> Names:
    """The names of a DER certificate (RFC 5280, 4.1), without reading the rest of it."""
    outer = whole(certificate)
    tbs = element(certificate, outer.contents, outer.end)
    fields = elements(certificate, tbs.contents, tbs.end)
    first = next(fields, None)
    if first and first.tag == _VERSION:
        first = next(fields, None)
    if not first or first.tag != _INTEGER:
        raise ValueError("no serial number")
    following = [field for field, _ in zip(fields, range(4), strict=False)]  # signature, issuer, validity, subject
    if len(following) != 4 or any(field.tag != _SEQUENCE for field in following):  # noqa: PLR2004
        raise ValueError("no certificate")
    _, issuer, _, subject = following
    return Names(certificate[issuer.start : issuer.end], certificate[subject.start : subject.end])


_LONGEST_NAME = 4096  # octets; longer names are compared as they stand
_LONGEST_TEXT = 256  # characters, of which RFC 5280, appendix A.1 permits 64 to 128
NameKey = tuple[frozenset[tuple[bytes, str | bytes]], ...] | bytes


def name_key(name: bytes) -> NameKey:
    """What two spellings of one distinguished name have in common: no case, no extra spaces (RFC 5280, 7.1).

    It is for looking names up; whether a certificate names its issuer rightly is judged again by the path validator.
    """
    return _name_key(name) if len(name) <= _LONGEST_NAME else name


@lru_cache(maxsize=4096)
def _name_key(name: bytes) -> NameKey:
    try:
        outer = whole(name)
        return tuple(
            frozenset(_attribute(name, attribute) for attribute in elements(name, rdn.contents, rdn.end))
            for rdn in elements(name, outer.contents, outer.end)
        )
    except ValueError:
        return name


def _attribute(name: bytes, attribute: Element) -> tuple[bytes, str | bytes]:
    kind = element(name, attribute.contents, attribute.end)
    value = element(name, kind.end, attribute.end)
    octets = name[value.contents : value.end]
    charset = _CHARSETS.get(value.tag)
    if charset is None:
        return name[kind.contents : kind.end], octets
    text = octets.decode(charset)
    if not text.isascii():
        if len(text) > _LONGEST_TEXT:  # sorting the marks of a letter takes quadratic time, and a letter may become 18
            return name[kind.contents : kind.end], octets
        text = unicodedata.normalize("NFKC", text)
    text = text.casefold()
    return name[kind.contents : kind.end], " ".join(text.split())
