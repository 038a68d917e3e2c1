"""The MIME entity that is protected, in its canonical form (RFC 8551, 3.1)."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from smime_agent.mime.fields import first_value
from smime_agent.mime.layout import Layout, Span, render
from smime_agent.mime.robust import line_feeds, look_over, weakness_of_lines
from smime_agent.mime.transfer import canonical_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from smime_agent.source import Source

# A part that says so may hold octets that are no lines, or be re-encoded on its way: it must be looked at.
_LABEL = b"transfer-encoding"
_EIGHT_BIT = re.compile(_LABEL + rb"[ \t]*:(?:[^\n]|\n[ \t]){0,900}?(?:8bit|binary)")
_LABEL_OCTETS = 1000


class Entity:
    """The MIME entity of a mail in its canonical form: CRLF line ends, robust against relays, the same every time.

    ``fields`` are its own header fields, complete with CRLF; its body is the source from ``body`` on. Nothing is read
    before something is asked for. Raises ``InvalidMessageError`` if the structure is out of bounds, and ``FileError``.
    """

    __slots__ = ("_body", "_enclosed", "_fields", "_layout", "_notes", "_octets", "_source")

    def __init__(
        self,
        fields: tuple[bytes, ...],
        source: Source,
        body: int,
        notes: tuple[str, ...] = (),
        *,
        enclosed: bool = False,
    ) -> None:
        self._fields = fields
        self._source = source
        self._body = body
        self._notes = notes
        self._enclosed = enclosed
        self._layout: Layout | None = None
        self._octets: bytes | None = None

    def enclosed(self) -> Entity:
        """The same to be encrypted, where no relay sees it: if it is 7bit it stays as it is but for its line ends.

        RFC 8551, 3.1.3 has blanks, dots and "From " repaired for multipart/signed alone, and 3.1.2 wants 7bit.
        """
        return Entity(self._fields, self._source, self._body, self._notes, enclosed=True)

    def chunks(self) -> Iterator[bytes]:
        """The canonical octets, in blocks that stay small; every call begins anew."""
        layout = self._laid_out()
        size = self._source.CHUNK
        if self._octets is None:
            return render(layout, self._source)
        if len(self._octets) <= size:
            return iter((self._octets,))
        octets = self._octets
        return (octets[start : start + size] for start in range(0, len(octets), size))

    @property
    def size(self) -> int:
        """The number of canonical octets."""
        size = self._laid_out().size
        return sum(map(len, self.chunks())) if size is None else size

    def header_value(self, name: str) -> str | None:
        """The unfolded value of the first header field with that name, as it came, or None."""
        self._declare_type()
        value = first_value(self._fields, name.lower().encode("ascii"))
        return None if value is None else value.decode("utf-8", "surrogateescape")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the canonical form, a clause each; empty for nearly every mail."""
        return self._notes + self._laid_out().notes

    @property
    def robust(self) -> bool:
        """Whether it survives every relay; if not, ``notes`` say why, and opaque signing is safer."""
        return self._laid_out().robust

    @property
    def seven_bit(self) -> bool:
        """Whether every canonical octet is ASCII."""
        return self._laid_out().robust or all(chunk.isascii() for chunk in self.chunks())

    def _laid_out(self) -> Layout:
        if self._layout is None:
            self._declare_type()
            small = self._source.size - self._body <= self._source.IN_MEMORY
            layout = self._lay_out_small() if small else self._lay_out_large()
            if small and self._octets is None:
                self._octets = b"".join(render(layout, self._source))
            self._layout = layout
        return self._layout

    # A robust block needs no look at its structure: each part of it is robust, and only line ends change.

    def _lay_out_small(self) -> Layout:
        header = b"".join(self._fields)
        body = self._source.read(self._body)
        lines = b"%b\n%b" % (header, body)
        if b"\r" in lines:
            lines = lines.replace(b"\r", b"")
        if weakness_of_lines(lines, enclosed=self._enclosed) is None and not _is_labelled(header, (lines,)):
            octets = lines.replace(b"\n", b"\r\n")
            # A body that came back as it was had no CR but in CRLF: that is faster to see than to count.
            if octets.endswith(body) or line_feeds(body) is not None:
                self._octets = octets
                return _ROBUST
        return self._lay_out_parts()

    def _lay_out_large(self) -> Layout:
        header = b"".join(self._fields)
        body = self._source.chunks(self._body)
        if look_over((header, b"\r\n"), enclosed=self._enclosed).weakness is None:
            lines = look_over(body, enclosed=self._enclosed)
            if lines.weakness is None and not _is_labelled(header, self._source.chunks(self._body)):
                end = self._source.size
                span = Span(self._body, end, canonical_lines if lines.growth else iter)
                return Layout((header + b"\r\n", span), size=len(header) + 2 + end - self._body + lines.growth)
        return self._lay_out_parts()

    def _lay_out_parts(self) -> Layout:
        from smime_agent.mime.structure import lay_out  # most mail is robust as it is, and never needs it

        return lay_out(self._source, self._fields, self._body)

    def _declare_type(self) -> None:
        """Without a Content-Type it is text in ASCII (RFC 2045, 5.2), or in what its octets are."""
        if first_value(self._fields, b"content-type") is None:
            charset = _charset(self._source.chunks(self._body))
            self._fields = (b"Content-Type: text/plain; charset=%b\r\n" % charset, *self._fields)


_ROBUST = Layout(())


def _is_labelled(header: bytes, chunks: Iterable[bytes]) -> bool:
    """Whether the entity, or a part in it, says that it is 8bit or binary."""
    header = header.lower()
    if b"8bit" in header or b"binary" in header:
        return True
    if b"multipart/" not in header and b"message/" not in header:
        return False
    rest = b""
    for chunk in chunks:
        data = rest + chunk.lower()
        position = data.find(_LABEL)
        while position >= 0:
            if _EIGHT_BIT.match(data, position):
                return True
            position = data.find(_LABEL, position + 1)
        rest = data[-_LABEL_OCTETS:]
    return False


def _charset(chunks: Iterable[bytes]) -> bytes:
    decoder = codecs.getincrementaldecoder("utf-8")()
    ascii_only = True
    try:
        for chunk in chunks:
            ascii_only = ascii_only and chunk.isascii()
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return b"unknown-8bit"  # RFC 1428, 3
    return b"us-ascii" if ascii_only else b"utf-8"
