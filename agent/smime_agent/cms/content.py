"""The content of a CMS object: octets that stay where they are until they are asked for."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from smime_agent.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.cms.ber import Element, Reader


class Content:
    """What an OCTET STRING holds, in however many pieces; it can be read again and again, while its source is open."""

    __slots__ = ("_source", "_spans", "size")

    def __init__(self, source: Source, reader: Reader, string: Element) -> None:
        """The octets of ``string``.

        Raises:
            UntrustworthyError: it is not made of OCTET STRINGs, or of too many.
        """
        self._source = source
        # Where the pieces are is found once, while their form is checked: 16 octets for each.
        self._spans = reader.string_pieces(string)
        #: The number of octets.
        self.size = sum(self._spans[1::2]) - sum(self._spans[::2])

    def chunks(self) -> Iterator[bytes]:
        """All octets, in blocks of at most ``Source.CHUNK``; every call begins anew.

        Raises:
            FileError: the source cannot be read or was changed.
        """
        return self.source().chunks()

    def source(self) -> Source:
        """A source of just these octets, without a copy; the one they are in must stay open for it."""
        if len(self._spans) <= 2:  # noqa: PLR2004 - one piece, or none
            return self._source.view(*(self._spans or (0, 0)))
        return _Pieces(self._source, self._spans)


class _Pieces(Source):
    """Pieces of a source as one: what stands between them is read too, and left out."""

    __slots__ = ("_places", "_spans", "_whole")

    def __init__(self, whole: Source, spans: array[int]) -> None:
        self._whole, self._spans = whole, spans
        #: Where each piece begins among the octets of all, and where the last ends.
        self._places = array("Q", accumulate(map(int.__sub__, spans[1::2], spans[::2]), initial=0))
        super().__init__(None, size=self._places[-1])

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """The octets from ``start`` to before ``end``, fewer only where the pieces end.

        Raises ``FileError`` if the file cannot be read or was changed.
        """
        spans = self._between(start, self.size if end is None else min(end, self.size))
        if not spans:
            return b""
        begin = spans[0]
        octets = self._whole.read(begin, spans[-1])
        if len(spans) == 2:  # noqa: PLR2004 - one piece
            return octets
        cuts = iter([place - begin for place in spans])
        return b"".join([octets[one:other] for one, other in zip(cuts, cuts, strict=True)])

    def view(self, start: int, end: int) -> Source:
        """A source of the octets from ``start`` to before ``end``, without a copy; the first must stay open for it."""
        return _Pieces(self._whole, self._between(start, min(end, self.size)))

    def _between(self, start: int, stop: int) -> array[int]:
        """The spans of the octets from ``start`` to before ``stop``."""
        if start >= stop:
            return array("Q")
        first, after = bisect_right(self._places, start) - 1, bisect_left(self._places, stop)
        spans = self._spans[2 * first : 2 * after]
        spans[0] += start - self._places[first]
        spans[-1] -= self._places[after] - stop
        return spans
