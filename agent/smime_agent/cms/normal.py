"""DER out of BER, for values that are small enough to be held: iterative, and bounded.

What the schema would have to tell stays as it is: BOOLEANs, INTEGERs, defaults, strings and sets under implicit tags.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from smime_agent import der
from smime_agent.cms.ber import (
    CONSTRUCTED,
    INDEFINITE,
    MAX_DEPTH,
    MAX_HELD,
    exceeded,
    header,
    malformed,
)

#: Values in one that is made DER.
MAX_VALUES: Final = 200_000
_BIT_STRING: Final = 0x03
#: The identifiers of constructed strings and times (X.690, 8.6, 8.7, 8.23, 8.25): OCTET STRING, ObjectDescriptor, ...
_STRINGS: Final = frozenset(CONSTRUCTED | number for number in (3, 4, 7, 12, *range(18, 31)))


class Value(NamedTuple):
    """One DER value: its identifier octet, its contents, and all of it."""

    tag: int
    contents: bytes
    encoded: bytes


def to_der(octets: bytes) -> bytes:
    """The same value in DER: definite and minimal lengths, strings in one piece, each SET OF sorted.

    Raises:
        UntrustworthyError: it is not exactly one BER value, or larger or deeper than anything real.
    """
    definite, unsorted = _rebuilt(octets, sort=False)
    return _rebuilt(definite, sort=True)[0] if unsorted else definite


def encodings(octets: bytes, most: int = MAX_VALUES) -> tuple[bytes, ...]:
    """The same value in DER but for the order of its sets, and then, if that is another, sorted too.

    There may be ``most`` values in it.

    Raises:
        UntrustworthyError: as :func:`to_der`.
    """
    definite, unsorted = _rebuilt(octets, sort=False, most=most)
    return (definite, _rebuilt(definite, sort=True)[0]) if unsorted else (definite,)


def values(contents: bytes, most: int = 10_000) -> list[Value]:
    """The values that follow one another in the contents of one that is DER already, ``most`` at most.

    Raises:
        UntrustworthyError: it is not DER, or there are more.
    """
    found: list[Value] = []
    at, end = 0, len(contents)
    while at < end:
        if len(found) == most:
            exceeded(f"more than {most} values in one")
        start = at
        tag, at, length = header(contents, at)
        if length == INDEFINITE:
            malformed("a value without a length")
        body, at = at, at + length
        if at > end:
            malformed("a value is longer than what it stands in")
        found.append(Value(tag, contents[body:at], contents[start:at]))
    return found


def value(encoded: bytes, tag: int) -> bytes:
    """The contents of the one DER value of that tag.

    Raises:
        UntrustworthyError: it is another.
    """
    found = values(encoded)
    if len(found) != 1 or found[0].tag != tag:
        malformed("a value of another type than belongs there")
    return found[0].contents


def _rebuilt(octets: bytes, *, sort: bool, most: int = MAX_VALUES) -> tuple[bytes, bool]:  # noqa: C901, PLR0912 - a loop, where others recurse
    """A value with definite lengths, and whether a set in it is not sorted."""
    if len(octets) > MAX_HELD:
        exceeded(f"more than {MAX_HELD // 1024 // 1024} MiB in one value")
    # The value that is being read: where it ends (-1: it does not say), what it must not exceed, what is in it so far.
    tag, end, limit, parts = 0, len(octets), len(octets), list[bytes]()
    above: list[tuple[int, int, int, list[bytes]]] = []
    unsorted = False
    at = count = 0
    while True:
        if at == end:
            if not above:
                break
            encoded, in_order = _closed(tag, parts, sort=sort)
            unsorted |= not in_order
            tag, end, limit, parts = above.pop()
            parts.append(encoded)
            continue
        start = at
        inner, at, length = header(octets, at)
        if at + length > limit:
            malformed("a value is longer than what it stands in")
        if not inner:
            if length or end != INDEFINITE:
                malformed("an end-of-contents that ends nothing")
            end = at  # so that it is closed next
        elif inner & CONSTRUCTED:
            above.append((tag, end, limit, parts))
            if len(above) > MAX_DEPTH:
                exceeded(f"values inside values, more than {MAX_DEPTH} deep")
            tag, parts = inner, []
            end = INDEFINITE if length == INDEFINITE else at + length
            limit = limit if length == INDEFINITE else end
        elif length == INDEFINITE:
            malformed("a primitive value without a length")
        else:
            body, at = at, at + length
            parts.append(_primitive(octets, start, body, at))
        count += 1
        if count > most:
            exceeded(f"more than {most} values in one")
    if len(parts) != 1:
        malformed("not exactly one value")
    return parts[0], unsorted


def _primitive(octets: bytes, start: int, body: int, end: int) -> bytes:
    """A primitive value, its length in as few octets as can be."""
    if body - start == 2:  # noqa: PLR2004 - identifier and length
        return octets[start:end]
    first, several = octets[start + 2], body - start > 3  # noqa: PLR2004 - octets of the length
    if first >= 0x80 or (first and several):  # noqa: PLR2004 - X.690, 10.1
        return octets[start:end]
    return der.tlv(octets[start], octets[body:end])


def _closed(tag: int, parts: list[bytes], *, sort: bool) -> tuple[bytes, bool]:
    """A constructed value of these parts, and whether it is no set, or one in order (X.690, 11.6)."""
    if tag in _STRINGS:
        return _joined(tag & ~CONSTRUCTED, parts), True
    in_order = True
    if tag == der.SET and len(parts) > 1:
        in_sequence = sorted(parts)
        in_order = parts == in_sequence
        parts = in_sequence if sort else parts
    return der.tlv(tag, *parts), in_order


def _joined(tag: int, parts: list[bytes]) -> bytes:
    """A string in one piece. Its pieces are OCTET STRINGs (X.690, 8.23.6), or of its own type, as many write it."""
    pieces = []
    for part in parts:
        if part[0] != tag and (part[0] != der.OCTET_STRING or tag == _BIT_STRING):
            malformed("a string is made of what is no string")
        pieces.append(value(part, part[0]))
    if tag != _BIT_STRING:
        return der.tlv(tag, *pieces)
    # X.690, 8.6.4: each piece begins with the number of its unused bits, and only the last may have some.
    if not all(pieces) or any(piece[0] for piece in pieces[:-1]):
        malformed("a BIT STRING whose pieces do not fit together")
    return der.tlv(tag, pieces[-1][:1] if pieces else b"\0", *(piece[1:] for piece in pieces))
