"""An entity of a mail for those who verify: where it stands, its header fields, its octets without their encoding.

``message.split`` is for those who sign, and refuses what it would not send. Here nothing is refused but what is no
mail, and, for a part that carries a signature, what mail programs would not all read in the same way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smime_agent.mime.decode import Decoder, decoder_of
from smime_agent.mime.fields import (
    FIELDS,
    HEADER_LIMIT,
    Parameterized,
    field_name,
    field_value,
    first_value,
    mailbox_line_end,
    parse_parameterized,
    split_fields,
    transfer_encoding,
    without_comments,
)
from smime_agent.mime.transfer import canonical_lines
from smime_agent.source import Source
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXT_PLAIN: Final = b"text/plain"
_HEADER_GUESS: Final = 4096
_BLANK_LINE: Final = re.compile(rb"\n[ \t]+\r?\n")
_EMPTY_LINE: Final = re.compile(rb"\n[ \t]*\r?\n")
_CONTENT_FIELD: Final = re.compile(rb"^content-[a-z-]+[ \t]*:", re.IGNORECASE | re.MULTILINE)
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_LONE_CR: Final = re.compile(rb"\r(?!\n)")
# They decide what is shown, and how; where they stand twice, mail programs believe different ones.
_ONCE: Final = frozenset({b"content-type", b"content-transfer-encoding", b"content-disposition"})
_MIME_VERSION: Final = b"mime-version"
# Whether these are read as what they are must not depend on who reads them.
_STRICT_TYPE: Final = re.compile(rb"\s*[!#-'*+.0-9A-Z^-z|~-]+/[!#-'*+.0-9A-Z^-z|~-]+\s*(?:;.*)?", re.DOTALL)
# mutt looks at the beginning only; others know uuencode and yEnc.
_STRICT_ENCODING: Final = re.compile(
    rb"\s*(?:7bit|8bit|binary|base64|quoted-printable)?\s*;?\s*(?:\([^()\\]*\)\s*)?", re.IGNORECASE
)
_PROTECTED: Final = re.compile(
    rb"multipart/(?:signed|encrypted)|application/(?:(?:x-)?pkcs7-(?:mime|signature)|cms|octet-stream)"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A MIME entity: the octets of ``source`` from ``start`` to before ``end``; its body begins at ``body``.

    ``fields`` are complete, with CRLF; ``kind`` is its Content-Type, or the default; ``encoding`` is in lower case;
    ``separated`` tells whether an empty line stands between header and body.
    """

    source: Source
    start: int
    body: int
    end: int
    fields: tuple[bytes, ...]
    kind: Parameterized
    encoding: bytes
    separated: bool

    def value(self, name: bytes) -> bytes | None:
        """The unfolded value of the first field of that name (in lower case), or None."""
        return first_value(self.fields, name)

    def raw(self, *, header: bool = True) -> Iterator[bytes]:
        """The octets as they stand, of the whole entity or of its body."""
        return self.source.chunks(self.start if header else self.body, self.end)

    def canonical(self, *, header: bool = True) -> Iterator[bytes]:
        """The octets with CRLF line ends (RFC 8551, 3.1.1), of the whole entity or of its body."""
        return canonical_lines(self.raw(header=header))

    def decoded(self) -> Iterator[bytes]:
        """The body without its content-transfer-encoding; one that is not known is left as it is."""
        return self._decoder().decode(self.raw(header=False))

    def decode_to_source(self, through: Callable[[Iterator[bytes]], Iterator[bytes]] = iter) -> tuple[Source, bool]:
        """The body without its encoding, in memory up to 1 MiB and else in an unlinked file, for the caller to close.

        And whether something follows the padding that ends the base64, which is not decoded (RFC 2045, 6.8).
        ``through`` sees the octets before they are decoded.
        """
        decoder = self._decoder()
        source = source_of(decoder.decode(through(self.raw(header=False))))
        return source, decoder.trailing

    def decode_in_place(self) -> tuple[Source, bool] | None:
        """The same of a large body in regular lines of base64, without a copy: the source of the part must stay open.

        Else nothing. What later reads raise: see :func:`.decoded_in_place`.
        """
        if self.encoding != b"base64" or self.end - self.body <= Source.IN_MEMORY:
            return None
        from smime_agent.mime.base64_lines import decoded_in_place  # most mail is small

        return decoded_in_place(self.source, self.body, self.end)

    def _decoder(self) -> Decoder:
        return decoder_of(self.encoding)


class _Blocks:
    """Blocks of octets as a stream."""

    __slots__ = ("_blocks",)

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def read(self, _size: int, /) -> bytes:
        """The next block that is not empty; nothing at the end. A block may be larger than was asked for."""
        return next(filter(None, self._blocks), b"")


def source_of(blocks: Iterator[bytes]) -> Source:
    """A source of these blocks, in memory up to 1 MiB and else in an unlinked file, for the caller to close."""
    return Source.from_stream(_Blocks(blocks))


def read_part(source: Source, start: int = 0, end: int | None = None, *, default: bytes = TEXT_PLAIN) -> Part:
    """The entity that begins at ``start`` and ends before ``end``; it may have no header field at all.

    A header ends at an empty line, or at a line that is no field. Raises ``UntrustworthyError`` if it is longer than
    1 MiB, and ``FileError``.
    """
    stop = source.size if end is None else min(end, source.size)
    block, body, separated = _header(source, start, stop)
    fields = tuple(split_fields(block))
    value = first_value(fields, b"content-type")
    kind = parse_parameterized(value if value is not None else default)
    if kind.value.count(b"/") != 1:  # RFC 2045, 5.2: what cannot be read is text
        kind = Parameterized(TEXT_PLAIN, kind.parameters)
    return Part(source, start, body, stop, fields, kind, transfer_encoding(fields), separated)


def read_mail(source: Source) -> Part:
    """A whole mail; the "From " line of a mailbox before it is skipped.

    Raises ``UntrustworthyError`` if it is no mail, if NUL or a CR that stands alone is in its header, if a field that
    decides what is shown stands there twice, and, where it may carry a signature, if mail programs would not agree on
    where the header ends or what its type is. Raises ``FileError``.
    """
    part = read_part(source, mailbox_line_end(source.read(0, _HEADER_GUESS)))
    if not part.fields:
        raise malformed("this is not a mail: it does not begin with a header field")
    refuse_unreadable(part)
    refuse_doubles(part)
    if _PROTECTED.fullmatch(part.kind.value):
        refuse_ambiguous(part)
    return part


def read_protected(source: Source, start: int = 0, end: int | None = None) -> Part:
    """What a cryptographic layer protects: as ``read_part``, but the fields that decide how it is shown stand once."""
    part = read_part(source, start, end)
    refuse_doubles(part)
    if not part.separated and part.body < part.end:
        head = source.read(part.body, min(part.end, part.body + HEADER_LIMIT))
        blank = _EMPTY_LINE.search(head)
        if _CONTENT_FIELD.search(head, 0, blank.start() if blank else len(head)):
            raise malformed("what is signed is no mail, and has lines that some readers take for its header")
    return part


def malformed(text: str) -> UntrustworthyError:
    """The error for a mail that is none, or that readers read differently."""
    return UntrustworthyError(Code.MALFORMED_MAIL, text)


def refuse_unreadable(part: Part) -> None:
    """Raise ``UntrustworthyError`` for NUL, or a CR that stands alone, in the header: some readers end a line there."""
    block = b"".join(part.fields)
    if b"\0" in block:
        raise malformed("a NUL byte is in the header")
    if _LONE_CR.search(block):
        raise malformed("a carriage return stands alone in the header")


def refuse_doubles(part: Part) -> None:
    """Raise ``UntrustworthyError`` if a field that decides what is shown stands more than once (RFC 2045, 3)."""
    seen: dict[bytes, bytes] = {}
    for field in part.fields:
        if field[0] not in b"CcMm":
            continue
        name = field_name(field)
        if name == _MIME_VERSION:
            # Gateways add a second one that says the same.
            value = b"".join(without_comments(field_value(field)).split())
            if seen.setdefault(name, value) == value:
                continue
        elif name not in _ONCE or name not in seen:
            seen[name] = b""
            continue
        text = f"the {name.decode('ascii')} field stands more than once, and readers believe different ones"
        raise UntrustworthyError(Code.SEVERAL_CONTENT_TYPES, text)


def refuse_ambiguous(part: Part) -> None:
    """Raise ``UntrustworthyError`` if mail programs differ about what this header says, or where it ends.

    For a part that carries a signature: one that reads it otherwise would show something else than what was signed.
    """
    refuse_unreadable(part)
    refuse_doubles(part)
    if not part.separated and part.body < part.end:
        raise malformed("the header ends at a line that is no header field, and some readers go on after it")
    # RFC 5322, 4.2 forbids to write lines of blanks; gateways that strip blanks end the header there.
    if _BLANK_LINE.search(b"".join(part.fields).rstrip()):
        raise malformed("a line of blanks is in the header, where some readers end it")
    # RFC 5322, 4.5 lets nobody write one any more, and some readers take that line for the first of the body.
    if any(field.partition(b":")[0].endswith((b" ", b"\t")) for field in part.fields):
        raise malformed("a blank stands before the colon of a header field, where some readers end the header")
    encoding = part.value(b"content-transfer-encoding")
    if encoding is not None and not _STRICT_ENCODING.fullmatch(encoding):
        raise malformed("the content-transfer-encoding is malformed or unknown, and readers take it for different ones")
    value = part.value(b"content-type")
    if value is not None and b"(" in _STRING.sub(b"", without_comments(value)):
        raise malformed("a comment in the content-type never ends, and some readers go on in it")
    if value is not None and not _STRICT_TYPE.fullmatch(value):
        raise malformed("the content-type is malformed, and readers take it for different ones")


def _header(source: Source, start: int, end: int) -> tuple[bytes, int, bool]:
    """The header fields at ``start``, where the body begins, and whether an empty line is between them."""
    data = source.read(start, min(end, start + _HEADER_GUESS))
    size = _fields_size(data)
    # Only a whole line after the fields shows that they have ended.
    if data.find(b"\n", size) < 0 and start + len(data) < end:
        data = source.read(start, min(end, start + HEADER_LIMIT + 2))
        size = _fields_size(data)
    if size > HEADER_LIMIT:
        raise UntrustworthyError(Code.LIMIT_EXCEEDED, "a header is longer than 1 MiB")
    separator = 1 if data.startswith(b"\n", size) else 2 if data.startswith(b"\r\n", size) else 0
    return data[:size], start + size + separator, separator > 0


def _fields_size(data: bytes) -> int:
    match = FIELDS.match(data)
    return match.end() if match else 0
