"""A BER reader that never holds more than it is asked for, and never recurses (X.690, 8.1).

It descends only where the schema asks. What has a definite length is stepped over; what has none is looked through
once, and the ends of all that was met on the way are remembered, so that the work is linear in what is read.
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from smime_agent import der
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.source import Source

#: Values inside values.
MAX_DEPTH: Final = 64
#: What is held in memory of one object, in octets: everything but its content.
MAX_HELD: Final = 16 * 1024 * 1024
#: Elements without a definite length, and members of one SET OF.
MAX_INDEFINITE: Final = 65_536
MAX_MEMBERS: Final = 65_536
#: Elements that are looked at, beside one for every 256 octets: real content comes in pieces of a kilobyte or more.
MAX_ELEMENTS: Final = 200_000
_OCTETS_AN_ELEMENT: Final = 256
#: An OBJECT IDENTIFIER, and an INTEGER that is not a version. RFC 5280, 4.1.2.2, wants serial numbers of 20 octets.
MAX_OBJECT_IDENTIFIER: Final = 64
MAX_INTEGER: Final = 64

CONSTRUCTED: Final = 0x20
HIGH_TAG: Final = 0x1F
#: The length of a value that does not say it.
INDEFINITE: Final = -1
_INDEFINITE: Final = 0x80
_MAX_LENGTH_OCTETS: Final = 8
#: The first of these octets, of a length of 2**63 and more.
_TOO_LONG: Final = 0x80
_HEADER: Final = 2 + _MAX_LENGTH_OCTETS


class Element(NamedTuple):
    """Where one value stands: its identifier octet, the offsets of its first octet, of its contents, of their end."""

    tag: int
    start: int
    body: int
    body_end: int
    end: int

    @property
    def size(self) -> int:
        """The length of the contents, in octets."""
        return self.body_end - self.body


def malformed(what: str) -> NoReturn:
    """Refuse a structure that is not what the standard says.

    Raises:
        UntrustworthyError: always.
    """
    raise UntrustworthyError(Code.MALFORMED_CMS, f"the CMS object is damaged: {what}")


def exceeded(what: str) -> NoReturn:
    """Refuse what is larger than anything real.

    Raises:
        UntrustworthyError: always.
    """
    raise UntrustworthyError(Code.LIMIT_EXCEEDED, f"the CMS object is more than is read: {what}")


class Reader:
    """Elements of a source by their offsets; all methods raise ``UntrustworthyError`` on what is no BER.

    The identifier octet is the whole identifier: CMS has no tag numbers above 30.
    """

    __slots__ = ("_base", "_ends", "_held", "_looked_at", "_looked_at_limit", "_pieces", "_source", "_window", "size")

    def __init__(self, source: Source) -> None:
        """Read from ``source``, which must stay open."""
        self._source = source
        self.size = source.size
        self._window = source.read() if source.in_memory else b""
        self._base = 0
        self._ends: dict[int, int] = {}
        #: Of those without a length that hold strings and nothing else, what :meth:`string_pieces` gives.
        self._pieces: dict[int, array[int]] = {}
        self._held = 0
        self._looked_at = 0
        self._looked_at_limit = MAX_ELEMENTS + self.size // _OCTETS_AN_ELEMENT

    def element(self, start: int, limit: int) -> Element:
        """The element that begins at ``start`` and has to end at ``limit`` or before."""
        index = start - self._base
        if index < 0 or index + _HEADER > len(self._window):
            index = self._load(start)
        tag, body, length = header(self._window, index)
        body += self._base
        if length == INDEFINITE:
            if not tag & CONSTRUCTED:
                malformed("a primitive value without a length")
            end = self._ends.get(start) or self._find_end(start, limit)
            return Element(tag, start, body, end - 2, end)
        end = body + length
        if end > limit:
            malformed("a value is longer than what it stands in")
        return Element(tag, start, body, end, end)

    def children(self, parent: Element) -> Iterator[Element]:
        """The elements inside a constructed one, in order, each when it is asked for."""
        if not parent.tag & CONSTRUCTED:
            malformed("a primitive value where a constructed one belongs")
        at, limit = parent.body, parent.body_end
        while at < limit:
            child = self.element(at, limit)
            if not child.tag:
                malformed("an end-of-contents that ends nothing")
            yield child
            at = child.end

    def fields(self, parent: Element, tag: int) -> Fields:
        """The fields of a SEQUENCE, which has to have that tag."""
        if parent.tag != tag:
            malformed("a value of another type than belongs there")
        return Fields(self.children(parent))

    def members(self, parent: Element, most: int = MAX_MEMBERS) -> list[Element]:
        """All elements inside a constructed one, of which there may be ``most``."""
        found = list(islice(self.children(parent), most + 1))
        if len(found) > most:
            exceeded(f"a set of more than {most} values")
        return found

    def encoded(self, element: Element) -> bytes:
        """An element exactly as it came; all that is ever held is no more than ``MAX_HELD`` octets."""
        return self._hold(element.start, element.end)

    def contents(self, element: Element) -> bytes:
        """The contents of an element as they came, within the same bound."""
        return self._hold(element.body, element.body_end)

    def octets(self, start: int, end: int) -> bytes:
        """Octets by their offsets; small ones come out of the window, and cost no system call each."""
        if start < self._base or end > self._base + len(self._window):
            if end - start > self._source.CHUNK:
                return self._source.read(start, end)
            self._load(start)
        return self._window[start - self._base : end - self._base]

    def string_pieces(self, string: Element) -> array[int]:
        """Where the octets of an OCTET STRING stand: the beginning and the end of each piece, one after another.

        It has one piece, unless it is constructed (X.690, 8.7).
        """
        if not string.tag & CONSTRUCTED:
            return array("Q", (string.body, string.body_end))
        found = self._pieces.get(string.start)
        return self._look_for_pieces(string) if found is None else found

    def _look_for_pieces(self, string: Element) -> array[int]:
        found = array("Q")
        at, limit = string.body, string.body_end
        above: list[tuple[int, int]] = []
        looked_at = 0
        while True:
            while at < limit:
                looked_at += 1
                piece = self.element(at, limit)
                if piece.tag == der.OCTET_STRING:
                    found.extend((piece.body, piece.body_end))
                    at = piece.end
                elif piece.tag == der.OCTET_STRING | CONSTRUCTED:
                    if len(above) == MAX_DEPTH:
                        exceeded(f"a string in more than {MAX_DEPTH} layers")
                    above.append((piece.end, limit))
                    at, limit = piece.body, piece.body_end
                else:
                    malformed("a string is made of what is no string")
            if looked_at > self._looked_at_limit:
                exceeded("a string in too many pieces")
            if not above:
                return found
            at, limit = above.pop()

    def string(self, element: Element, most: int) -> bytes:
        """The octets of an OCTET STRING, of which there may be ``most``."""
        if element.size > 2 * most + 64:
            exceeded(f"a string of more than {most} octets")
        places = iter(self.string_pieces(element))
        octets = b"".join(self.octets(start, end) for start, end in zip(places, places, strict=True))
        if len(octets) > most:
            exceeded(f"a string of more than {most} octets")
        return octets

    def _hold(self, start: int, end: int) -> bytes:
        self._held += end - start
        if self._held > MAX_HELD:
            exceeded(f"more than {MAX_HELD // 1024 // 1024} MiB beside the content")
        return self.octets(start, end)

    def _load(self, start: int) -> int:
        """Move the window so that it begins at ``start``, if it can be moved; where that is in it."""
        if not self._source.in_memory:
            self._window, self._base = self._source.read(start, start + self._source.CHUNK), start
        return start - self._base

    def _find_end(self, start: int, limit: int) -> int:  # noqa: C901, PLR0912 - one loop, since each turn has to be cheap
        """Where an element without a length ends; the same is remembered of all those inside that are met."""
        opened = [start]
        pieces: array[int] | None = array("Q")  # of the one that was opened last, while it holds strings alone
        at = start + 2
        window, base = self._window, self._base
        last = len(window) - _HEADER
        looked_at, fresh = self._looked_at, True  # a window in which no pieces were stepped over together
        while opened:
            index = at - base
            if index > last or index < 0:
                index = self._load(at)
                window, base, fresh = self._window, self._base, True
                last = len(window) - _HEADER
            if at + 2 > limit:
                malformed("an end-of-contents is missing")
            tag, length = window[index], window[index + 1]  # the same as header(), without a call for each piece
            if tag & HIGH_TAG == HIGH_TAG:
                malformed("a tag that CMS does not have")
            looked_at += 1
            at += 2
            if not tag:
                if length:
                    malformed("a value with the tag of end-of-contents")
                self._ends[ended := opened.pop()] = at
                if pieces:
                    self._pieces[ended] = pieces
                pieces = None
            elif length == _INDEFINITE:
                self._open(opened, tag, at - 2)
                pieces = array("Q")
            else:
                if length > _INDEFINITE:
                    at += length & 0x7F
                    length = _long_length(window, index + 2, length & 0x7F)
                if tag != der.OCTET_STRING:
                    pieces = None
                elif pieces is not None:
                    pieces.extend((at, at + length))
                    if fresh:
                        fresh, alike = False, _alike(window, index, at - base, length, limit - base)
                        pieces.extend(at + skipped + end for skipped in alike for end in (0, length))
                        at, looked_at = at + (alike[-1] if alike else 0), looked_at + len(alike)
                at += length
            if looked_at > self._looked_at_limit:
                exceeded("too many values")
            if at > limit:
                malformed("a value is longer than what it stands in")
        self._looked_at = looked_at
        return at

    def _open(self, opened: list[int], tag: int, start: int) -> None:
        if not tag & CONSTRUCTED:
            malformed("a primitive value without a length")
        if len(opened) == MAX_DEPTH:
            exceeded(f"values inside values, more than {MAX_DEPTH} deep")
        if len(self._ends) == MAX_INDEFINITE:
            exceeded(f"more than {MAX_INDEFINITE} values without a length")
        opened.append(start)


class Fields:
    """The fields of a SEQUENCE, taken one after another by their tags."""

    __slots__ = ("_children", "_next")

    def __init__(self, children: Iterator[Element]) -> None:
        self._children = children
        self._next = next(children, None)

    def optional(self, *tags: int) -> Element | None:
        """The next field if it has one of these tags."""
        found = self._next
        if found is None or found.tag not in tags:
            return None
        self._next = next(self._children, None)
        return found

    def required(self, *tags: int) -> Element:
        """The next field, which has to have one of these tags."""
        found = self.optional(*tags)
        if found is None:
            malformed("a value is missing, or of another type than belongs there")
        return found

    def finish(self) -> None:
        """See that there are no more fields."""
        if self._next is not None:
            malformed("more values than belong there")


def header(octets: bytes, at: int) -> tuple[int, int, int]:
    """The identifier octet of the value that begins at ``at``, where its contents begin, and their length.

    The length is ``INDEFINITE`` where it is not said.

    Raises:
        UntrustworthyError: it is cut off, or has a tag that CMS does not use.
    """
    try:
        tag, length = octets[at], octets[at + 1]
    except IndexError:
        malformed("it is cut off")
    if tag & HIGH_TAG == HIGH_TAG:
        malformed("a tag that CMS does not have")
    if length < _INDEFINITE:
        return tag, at + 2, length
    if length == _INDEFINITE:
        return tag, at + 2, INDEFINITE
    count = length & 0x7F
    return tag, at + 2 + count, _long_length(octets, at + 2, count)


def _alike(window: bytes, start: int, body: int, length: int, limit: int) -> range:
    """How far behind a value those stand that follow with the same header, in this window and before this limit.

    Programs that stream write all pieces but the last of one length. Where one of them differs, none is told.
    """
    step = body - start + length
    count = min((len(window) - body) // step, (limit - body - length) // step)
    if count > 0 and all(
        window[at + step : at + step * count + 1 : step] == window[at : at + 1] * count for at in range(start, body)
    ):
        return range(step, step * (count + 1), step)
    return range(0)


def _long_length(octets: bytes, at: int, count: int) -> int:
    """The length in the long form (X.690, 8.1.3.5), from ``count`` octets; BER lets them begin with zeros."""
    if count > _MAX_LENGTH_OCTETS:  # 0xFF is reserved, and nobody has so much
        malformed("a length in more than 8 octets")
    length = octets[at : at + count]
    if len(length) < count:
        malformed("it is cut off")
    if length[0] >= _TOO_LONG and count == _MAX_LENGTH_OCTETS:  # where it ends is then beyond what counts octets here
        malformed("a value is longer than what it stands in")
    return int.from_bytes(length)


def integer(contents: bytes) -> int:
    """An INTEGER from its contents."""
    if not contents:
        malformed("an INTEGER without octets")
    if len(contents) > MAX_INTEGER:
        exceeded(f"an INTEGER of more than {MAX_INTEGER} octets")
    return int.from_bytes(contents, signed=True)


def object_identifier(contents: bytes) -> str:
    """An OBJECT IDENTIFIER from its contents, dotted (X.690, 8.19)."""
    if len(contents) > MAX_OBJECT_IDENTIFIER:
        exceeded(f"an OBJECT IDENTIFIER of more than {MAX_OBJECT_IDENTIFIER} octets")
    return _object_identifier(contents)


@lru_cache(maxsize=512)
def _object_identifier(contents: bytes) -> str:
    if not contents or contents[-1] & 0x80:
        malformed("an OBJECT IDENTIFIER that does not end")
    arcs = []
    arc = 0
    begins = True
    for octet in contents:
        if begins and octet == 0x80:  # noqa: PLR2004 - X.690, 8.19.2: as few octets as can be
            malformed("an OBJECT IDENTIFIER in more octets than it needs")
        arc = arc << 7 | octet & 0x7F
        begins = not octet & 0x80
        if begins:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))
