"""The walk through a mail's parts that decides, for each, which octets stay and which are written anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smime_agent.errors import InvalidMessageError
from smime_agent.mime import transfer
from smime_agent.mime.fields import (
    Parameterized,
    field_name,
    first_value,
    parse_parameterized,
    split_fields,
    transfer_encoding,
)
from smime_agent.mime.layout import Layout, Span
from smime_agent.mime.leaf import EIGHT_BIT, IDENTITY, Carriage, as_it_is, carriage
from smime_agent.mime.repair import repaired, set_field, set_media_type
from smime_agent.mime.robust import weakness, weakness_of
from smime_agent.mime.window import Delimiter, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smime_agent.source import Source

DEPTH_LIMIT: Final = 100
PART_LIMIT: Final = 10_000
_HEADERS_LIMIT: Final = 16 * 1024 * 1024  # of all parts together: they are kept in memory
_HEADER_GUESS: Final = 4096
_BOUNDARY_LIMIT: Final = 900  # RFC 2046, 5.1.1 says 70; what matters is that the line stays under 998

# Their parts are covered by a signature, or are its parameters: never altered inside.
PROTECTED: Final = frozenset({b"multipart/signed", b"multipart/encrypted"})
# The internationalised twin of a type, which may have any encoding (RFC 6532, 3.7; RFC 6533, 4 and 5).
_TWINS: Final = {
    b"message/rfc822": b"message/global",
    b"message/delivery-status": b"message/global-delivery-status",
    b"message/disposition-notification": b"message/global-disposition-notification",
}
# Each covers the body of the mail it stands in, octet by octet (RFC 6376, 3.4.3; RFC 8617, 4.1.2).
_BODY_SIGNATURES: Final = frozenset({b"dkim-signature", b"arc-message-signature", b"domainkey-signature"})
_TEXT_PLAIN: Final = b"text/plain"
_PLAIN: Final = Carriage(transfer.canonical_lines)


@dataclass(frozen=True, slots=True)
class _Header:
    fields: tuple[bytes, ...]
    body: int
    separated: bool
    kind: Parameterized
    encoding: bytes


def lay_out(source: Source, fields: Sequence[bytes], body: int) -> Layout:
    """The layout of the entity with these header fields, whose body is the source from ``body`` on.

    Raises ``InvalidMessageError`` beyond 100 levels, 10,000 parts or 1 MiB of one part's header.
    """
    walk = _Walk(source)
    walk.content(_header(fields, body, separated=True, default=_TEXT_PLAIN), depth=0)
    return Layout(tuple(walk.pieces), tuple(dict.fromkeys(walk.notes)), robust=walk.weak == 0)


def _header(fields: Sequence[bytes], body: int, *, separated: bool, default: bytes) -> _Header:
    value = first_value(fields, b"content-type")
    kind = parse_parameterized(value if value is not None else default)
    if kind.value.count(b"/") != 1:  # RFC 2045, 5.2: what cannot be read is text
        kind = Parameterized(_TEXT_PLAIN, kind.parameters)
    return _Header(tuple(fields), body, separated, kind, transfer_encoding(fields))


class _Walk:
    """One pass over the source. Every method that reads a part returns the delimiter that ends it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._window = Window(source)
        self._boundaries: list[bytes] = []
        self._parts = 0
        self._header_octets = 0
        self.pieces: list[bytes | Span] = []
        self.notes: list[str] = []
        self.weak = 0  # places that stay weak
        self.altered = False
        self._eight_bit = 0  # parts that go on saying 8bit or binary, or may hold such octets
        self._keep_labels = False

    # RFC 2046, 5: leaf, multipart, message

    def content(self, header: _Header, depth: int) -> Delimiter:
        """A part from the end of its header on."""
        kind = header.kind.value
        if kind.startswith(b"multipart/") and kind not in PROTECTED:
            return self._multipart(header, depth)
        if kind == b"message/rfc822" and header.encoding in IDENTITY:
            return self._message(header, depth)
        end = self._window.delimiter(header.body, self._boundaries)
        if kind in PROTECTED:
            how = self._untouched(header, end, "a signed or encrypted part")
        elif kind in _TWINS or kind == b"message/global":
            how = self._twin(header, end)
        elif kind.startswith(b"message/"):
            how = self._untouched(header, end, f"a part of type {_printable(kind)}")
        else:
            how = carriage(header.kind, header.encoding, self._source, header.body, end.start)
            if how == _PLAIN and header.encoding in EIGHT_BIT and not self._keep_labels:
                # A relay without 8BITMIME re-encodes what says 8bit, even where each octet is ASCII.
                how = Carriage(transfer.canonical_lines, b"7bit")
            if how.weakness:
                encoding = _printable(header.encoding)
                self._warn(f"a part has the unknown encoding {encoding} and {_holds(how)}: it may not arrive intact")
        self._leaf(header, end, how)
        return end

    def _leaf(self, header: _Header, end: Delimiter, how: Carriage) -> None:
        self._emit_header(header, encoding=how.encoding, kind=how.kind)
        self.altered |= how.altered
        self._eight_bit += how.weakness is not None or (how.encoding is None and header.encoding in EIGHT_BIT)
        if header.body < end.start:
            self.pieces.append(Span(header.body, end.start, how.coder))

    def _untouched(self, header: _Header, end: Delimiter, what: str) -> Carriage:
        how = as_it_is(self._source, header.body, end.start)
        if how.weakness:
            advice = "; opaque signing is safer" if header.kind.value in PROTECTED else ""
            self._warn(f"{what} is kept as it is, but {_holds(how)}, and may not arrive intact{advice}")
        return how

    def _multipart(self, header: _Header, depth: int) -> Delimiter:
        boundary = header.kind.parameters.get(b"boundary", b"").rstrip(b" \t")
        usable = 0 < len(boundary) <= _BOUNDARY_LIMIT and weakness(boundary) is None and b"\n" not in boundary
        if not usable or header.encoding not in IDENTITY:  # RFC 2045, 6.4: it may have no other
            return self._broken_multipart(header)
        level = len(self._boundaries)
        slot, eight_bit = len(self.pieces), self._eight_bit
        self._boundaries.append(boundary)
        end = self._window.delimiter(header.body, self._boundaries)
        if end.level != level:
            self._boundaries.pop()
            return self._broken_multipart(header, end)
        self._margin(header.body, end.start, "before the first part")
        default = b"message/rfc822" if header.kind.value == b"multipart/digest" else _TEXT_PLAIN
        while end.level == level and not end.closing:
            self._emit_delimiter(end, boundary)
            end = self.content(self._read_header(end.stop, default, depth + 1), depth + 1)
        self._boundaries.pop()
        if end.level == level:
            self._emit_delimiter(end, boundary)
            end = self._epilogue(end)
        self._emit_composite(header, slot, eight_bit)
        return end

    def _epilogue(self, closing: Delimiter) -> Delimiter:
        end = self._window.delimiter(closing.stop, self._boundaries)
        self._margin(closing.stop, end.start, "after the last part")
        return end

    def _broken_multipart(self, header: _Header, end: Delimiter | None = None) -> Delimiter:
        end = end or self._window.delimiter(header.body, self._boundaries)
        self._leaf(header, end, self._untouched(header, end, "a multipart that cannot be taken apart"))
        return end

    def _message(self, header: _Header, depth: int) -> Delimiter:
        slot, notes, weak, eight_bit = len(self.pieces), len(self.notes), self.weak, self._eight_bit
        altered, self.altered = self.altered, False
        keep_labels = self._keep_labels
        inner = self._read_header(header.body, _TEXT_PLAIN, depth + 1)
        # RFC 2047 would say the same, but From and its like are the mail's own, and may be signed in it.
        self.weak += not b"".join(inner.fields).isascii()
        signed = not _BODY_SIGNATURES.isdisjoint(map(field_name, inner.fields))
        # A label alone is not worth the signature.
        self._keep_labels |= signed
        end = self.content(inner, depth + 1)
        self._keep_labels = keep_labels
        # A mail that begins with no field ("From ..." of a mailbox) is read in more than one way.
        ragged = not inner.separated and inner.body < end.start
        if self.weak == weak and not (self.altered and (signed or ragged)):
            self.altered |= altered
            self._emit_composite(header, slot, eight_bit)
            return end
        # It would arrive broken, or its DKIM signature would: as base64 its octets stay what they are.
        del self.pieces[slot:], self.notes[notes:]
        self.weak, self._eight_bit = weak, eight_bit
        # The last line end in it was a delimiter's or a header's; now it is the one before the next delimiter.
        end = self._window.ending(header.body, end)
        self._leaf(header, end, self._enclosed(header))
        return end

    def _twin(self, header: _Header, end: Delimiter) -> Carriage:
        """A type that has an internationalised twin, or is one."""
        how = as_it_is(self._source, header.body, end.start)
        if not how.weakness:
            return how
        if header.encoding not in IDENTITY:
            return self._untouched(header, end, f"a part of type {_printable(header.kind.value)}")
        return self._enclosed(header)

    def _enclosed(self, header: _Header) -> Carriage:
        kind = _TWINS.get(header.kind.value)
        if kind is not None:
            was, now = _printable(header.kind.value), _printable(kind)
            self.notes.append(f"a part of type {was} travels as {now} in base64, so that not an octet of it changes")
        # A mail is lines of CRLF, however it is stored here; only where it is binary a bare LF may be meant.
        binary = header.encoding == b"binary"
        coder = transfer.base64_encode if binary else transfer.base64_encode_lines
        return Carriage(coder, b"base64", kind, altered=True)

    # What surrounds the parts

    def _read_header(self, start: int, default: bytes, depth: int) -> _Header:
        self._parts += 1
        if depth > DEPTH_LIMIT or self._parts > PART_LIMIT:
            raise InvalidMessageError(
                f"the mail has more than {DEPTH_LIMIT} levels or {PART_LIMIT} parts", hint="attach an archive instead"
            )
        # A boundary may hold a colon and look like a field; where one is near, no more is read than up to it.
        near = self._window.delimiter(start, self._boundaries, stop=start + _HEADER_GUESS)
        block, body, separated = self._window.header(start, None if near.level is None else near.line)
        if near.level is None and self._boundaries and b"--" in block:
            end = self._window.delimiter(start, self._boundaries, stop=start + len(block))
            if end.level is not None:
                block, body, separated = block[: end.line - start], end.line, False
        self._header_octets += len(block)
        if self._header_octets > _HEADERS_LIMIT:
            raise InvalidMessageError("the headers of the parts are longer than 16 MiB", hint="attach an archive")
        return _header(split_fields(block), body, separated=separated, default=default)

    def _emit_header(self, header: _Header, *, encoding: bytes | None = None, kind: bytes | None = None) -> None:
        fields = list(header.fields)
        if kind is not None:
            set_media_type(fields, kind)
        if encoding is not None:
            set_field(fields, b"Content-Transfer-Encoding", encoding)
        block = repaired(fields)
        self.altered |= block != b"".join(header.fields)
        if (weak := weakness(block)) is not None:
            self._warn(f"a header field holds {weak.value}, and cannot be folded")
        # Lines that are no fields may follow without an empty line; once the body is encoded they are part of it.
        separated = header.separated or encoding is not None
        self.pieces.append(block + b"\r\n" if separated else block)

    def _emit_composite(self, header: _Header, slot: int, eight_bit: int) -> None:
        """The header of a composite, before its parts, which begin at ``slot``."""
        parts = self.pieces[slot:]
        del self.pieces[slot:]
        # RFC 2045, 6.4: it says 8bit or binary only while a part of it does.
        seven_bit = header.encoding in EIGHT_BIT and self._eight_bit == eight_bit
        self._emit_header(header, encoding=b"7bit" if seven_bit else None)
        self.pieces += parts

    def _emit_delimiter(self, delimiter: Delimiter, boundary: bytes) -> None:
        self.altered |= delimiter.padded
        self.pieces.append(
            b"%b--%b%b%b"
            % (
                b"\r\n" if delimiter.start < delimiter.line else b"",
                boundary,
                b"--" if delimiter.closing else b"",
                b"\r\n" if delimiter.terminated else b"",
            )
        )

    def _margin(self, start: int, end: int, where: str) -> None:
        """Preamble and epilogue, which readers ignore (RFC 2046, 5.1.1): kept if robust, else left out."""
        if start >= end:
            return
        if (weak := weakness_of(self._source.chunks(start, end))) is None:
            self.pieces.append(Span(start, end, transfer.canonical_lines))
            return
        self.altered = True
        self.notes.append(f"the text {where}, which mail programs do not show, is left out: it holds {weak.value}")

    def _warn(self, note: str) -> None:
        self.weak += 1
        self.notes.append(note)


def _holds(how: Carriage) -> str:
    return f"it holds {how.weakness.value}" if how.weakness else ""


def _printable(value: bytes) -> str:
    return ascii(value.decode("ascii", "replace"))[1:-1]
