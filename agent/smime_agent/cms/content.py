"""The content of a CMS object: octets that stay where they are until they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smime_agent.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.cms.ber import Element, Reader

_SMALL: Final = 64 * 1024  # pieces that are put together before they are handed on


class Content:
    """What an OCTET STRING holds, in however many pieces; it can be read again and again, while its source is open."""

    __slots__ = ("_reader", "_source", "_string", "size")

    def __init__(self, source: Source, reader: Reader, string: Element) -> None:
        """The octets of ``string``.

        Raises:
            UntrustworthyError: it is not made of OCTET STRINGs, or of too many.
        """
        self._source = source
        self._reader = reader
        self._string = string
        #: The number of octets.
        self.size = sum(end - start for start, end in reader.string_pieces(string))

    def chunks(self) -> Iterator[bytes]:
        """All octets, in blocks of at most ``Source.CHUNK`` or little more; every call begins anew.

        Raises:
            FileError: the source cannot be read or was changed.
        """
        gathered: list[bytes] = []
        size = 0
        octets = self._reader.octets
        for start, end in self._reader.string_pieces(self._string):
            if end - start > _SMALL:
                if gathered:
                    yield b"".join(gathered)
                    gathered, size = [], 0
                yield from self._source.chunks(start, end)
                continue
            gathered.append(octets(start, end))
            size += end - start
            if size >= Source.CHUNK:
                yield b"".join(gathered)
                gathered, size = [], 0
        if gathered:
            yield b"".join(gathered)

    def source(self) -> Source:
        """A source of just these octets, to be closed by the caller; without a copy where they are in one piece.

        Raises:
            FileError: the source cannot be read, or a temporary file cannot be written.
        """
        first = next(pieces := self._reader.string_pieces(self._string), (0, 0))
        if next(pieces, None) is None:
            return self._source.view(*first)
        return Source.from_stream(_Stream(self.chunks()))


class _Stream:
    """Chunks, as what can be read from; how much is asked for does not matter to a Source."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, _: int, /) -> bytes:
        return next(filter(None, self._chunks), b"")
