"""Where a cryptographic layer is, and which octets a clear signature is over (RFC 1847, 2.1; RFC 8551, 3; RFC 9787).

What is verified must be what is shown. So there is one reading of a multipart/signed, and where mail programs would
see other parts than these it is refused.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, Final

from smime_agent.mime.encoded_words import decoded
from smime_agent.mime.fields import field_name, field_value, parse_parameterized
from smime_agent.mime.layout import Span
from smime_agent.mime.part import Part, malformed, read_part, read_protected, refuse_ambiguous
from smime_agent.mime.transfer import canonical_lines
from smime_agent.mime.window import Window
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.source import Source

PKCS7_SIGNATURE: Final = frozenset({b"application/pkcs7-signature", b"application/x-pkcs7-signature"})
_CMS: Final = frozenset(
    {b"application/pkcs7-mime", b"application/x-pkcs7-mime", b"application/cms", *PKCS7_SIGNATURE}  # RFC 7193
)
_NAMED: Final = frozenset({b"content-type", b"content-disposition"})
_NAME_PARAMETER: Final = re.compile(rb";\s*(?:file)?name\s*(?:\*[0-9]{0,9}\*?\s*)?=", re.IGNORECASE)
_UNKNOWN: Final = b"application/octet-stream"
_CMS_NAMES: Final = (b".p7m", b".p7s", b".p7z", b".p7c")  # RFC 8551, 3.2.1
_BASE64_LINE: Final = re.compile(rb"\n(?=(M\n?[A-P](?:\n?[A-Za-z0-9+/]){26}))")
_LOOK_BACK: Final = 200
_CONTENT_INFO: Final = re.compile(rb"\x30.{1,9}\x06[\x09-\x0b]\x2a\x86\x48\x86\xf7\x0d\x01", re.DOTALL)
_IDENTITY: Final = frozenset({b"7bit", b"8bit", b"binary"})
# RFC 2046, 5.1.1 has 70 of fewer characters; more stand between quotes in real mail. One parameter, in one piece:
# RFC 2231 sections, backslashes and comments are read differently.
_BOUNDARY_PARAMETER: Final = re.compile(
    rb';\s*boundary\s*=\s*(?:"(?P<quoted>[ !#-\[\]-~]+)"|(?P<token>[!#-\'*+./0-9:=?A-Z^-z{|}~-]+))\s*(?:;|\Z)',
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BOUNDARY_NAME: Final = re.compile(rb"[;\s]boundary\s*(?:\*[0-9]{0,9}\*?\s*)?=", re.IGNORECASE)
_BOUNDARY_LIMIT: Final = 200
_REST_OF_DELIMITER: Final = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_PIECE: Final = 250  # octets of the shortest pieces in which anybody reads a line
_REST_LIMIT: Final = 1000  # of padding
_BASE64_OR_SPACE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n"
_LINE_LIMIT: Final = 1000  # RFC 5321, 4.5.3.1.6
_SPACE: Final = b" \t\r\n"
_EMPTY_LINES: Final = re.compile(rb"\n+")
_BLOCK: Final = 1024 * 1024
# Some programs end a line at one of these.
_OTHER_LINE_ENDS: Final = b"\r\v\f\x1c\x1d\x1e\x85\0"


class LayerKind(Enum):
    """What protects an entity."""

    CLEAR_SIGNED = "multipart/signed"
    CMS = "cms"  # what is in it decides: signed, encrypted, compressed, certificates only
    OTHER_PROTECTION = "other protection"  # OpenPGP and its like


@dataclass(frozen=True, slots=True)
class ClearSigned:
    """A multipart/signed: the span that is signed, and the part that holds the signature.

    ``preamble`` and ``epilogue``: something other than white space stands before the first part, or after the last.
    ``closed``: the closing delimiter is there; it is missing where a mail was cut off.
    """

    part: Part
    content: Span
    signature: Part
    preamble: bool
    epilogue: bool
    closed: bool

    def content_chunks(self) -> Iterator[bytes]:
        """The octets that are signed, with CRLF line ends (RFC 8551, 3.1.1)."""
        return canonical_lines(self.raw_chunks())

    def raw_chunks(self) -> Iterator[bytes]:
        """The same octets as they stand."""
        return self.part.source.chunks(self.content.start, self.content.end)

    def content_part(self) -> Part:
        """The entity that is signed. Raises ``UntrustworthyError`` if what decides how it is shown stands twice."""
        return read_protected(self.part.source, self.content.start, self.content.end)


@dataclass(frozen=True, slots=True)
class _Delimiter:
    """``start`` is where the line break before it begins, which belongs to it; ``stop`` where the next line begins."""

    start: int
    stop: int
    closing: bool


def layer_of(part: Part) -> LayerKind | None:
    """The cryptographic layer that this part is, or None. Raises ``FileError`` only."""
    kind = part.kind.value
    if kind == b"multipart/signed":
        return _signed_layer(part)
    if kind == b"multipart/encrypted":
        return LayerKind.OTHER_PROTECTION
    if kind in _CMS:
        return LayerKind.CMS
    # Gateways that do not know the type write this one, and leave the name (RFC 8551, 3.2.1).
    if kind == _UNKNOWN and any(name.lower().endswith(_CMS_NAMES) for name in _file_names(part)):
        return LayerKind.CMS
    return None


def is_detached_signature(part: Part) -> bool:
    """Whether it says that it is the signature of something else."""
    kind = part.kind.value
    named = kind == _UNKNOWN and any(name.lower().endswith(b".p7s") for name in _file_names(part))
    return kind in PKCS7_SIGNATURE or named


def cms_of(part: Part) -> tuple[Source, bool]:
    """The CMS that a part of ``LayerKind.CMS`` holds, for the caller to close, and whether text follows its base64.

    Raises ``UntrustworthyError`` if mail programs would not all see it, and ``FileError``.
    """
    refuse_ambiguous(part)
    _refuse_other_name(part)
    found = part.decode_in_place()
    if found is not None:  # the first line is base64 and no longer than a line may be: see below
        return found
    return part.decode_to_source(_one_in_base64 if part.encoding == b"base64" else _no_base64)


def _one_in_base64(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, if all readers of base64 find the same CMS object in them.

    OpenSSL, and what stands on it, passes over first lines that hold anything else, or more than a kilobyte: it may
    begin at another object further below.
    """
    first = next(chunks, b"")
    line = first.lstrip(_SPACE).partition(b"\n")[0]
    whole = chain((first,), chunks)
    if len(line) <= _LINE_LIMIT and not line.translate(None, _BASE64_OR_SPACE):
        return whole
    return _no_base64(whole, before=b"")


def _no_base64(chunks: Iterator[bytes], before: bytes = b"\n") -> Iterator[bytes]:
    """The chunks, if no line of them begins a CMS object in base64: OpenSSL takes every body for that."""
    rest = before
    for chunk in chunks:
        data = _EMPTY_LINES.sub(b"\n", rest + chunk.translate(None, b" \t\r"))
        for match in _BASE64_LINE.finditer(data):
            if _CONTENT_INFO.match(binascii.a2b_base64(match[1].translate(None, b"\n"))):
                raise malformed("a second CMS object stands in the mail, and some readers find that one")
        rest = data[-_LOOK_BACK:]
        yield chunk


def clear_signed(part: Part) -> ClearSigned:
    """What a multipart/signed holds: exactly one entity, and its signature (RFC 1847, 2.1).

    Raises ``UntrustworthyError`` for anything else, and where mail programs would see other parts; ``FileError``.
    """
    refuse_ambiguous(part)
    if part.encoding not in _IDENTITY:  # RFC 2045, 6.4
        raise malformed("a multipart has a transfer encoding, which some readers decode")
    delimiters = list(_delimiters(part, _boundary(part)))
    closed = len(delimiters) == 3 and delimiters[2].closing  # noqa: PLR2004 - before, between, after
    if not (closed or len(delimiters) == 2) or any(delimiter.closing for delimiter in delimiters[:2]):  # noqa: PLR2004
        raise malformed("a multipart/signed does not have exactly two parts")
    first, second = delimiters[:2]
    if second.start < first.stop:
        raise malformed("a boundary follows directly on another, and readers count different parts")
    end, stop = (delimiters[2].start, delimiters[2].stop) if closed else (part.end, part.end)
    signature = read_part(part.source, second.stop, max(second.stop, end))
    _refuse_other_signature(signature)
    return ClearSigned(
        part=part,
        content=Span(first.stop, max(first.stop, second.start), canonical_lines),
        signature=signature,
        preamble=_is_text(part.source.chunks(part.body, first.start)),
        epilogue=_is_text(part.source.chunks(stop, part.end)),
        closed=closed,
    )


def _signed_layer(part: Part) -> LayerKind:
    protocol = part.kind.parameters.get(b"protocol", b"").strip().lower()
    if protocol in PKCS7_SIGNATURE:
        return LayerKind.CLEAR_SIGNED
    if protocol and protocol not in _CMS:
        return LayerKind.OTHER_PROTECTION
    second = _second_part(part)
    cms = second is not None and is_detached_signature(second)
    return LayerKind.CLEAR_SIGNED if cms else LayerKind.OTHER_PROTECTION


def _second_part(part: Part) -> Part | None:
    boundary = part.kind.parameters.get(b"boundary", b"").rstrip(b" \t")
    if not 0 < len(boundary) <= _BOUNDARY_LIMIT:
        return None
    window = Window(part.source, part.end)
    first = window.delimiter(part.body, (boundary,))
    second = window.delimiter(first.stop, (boundary,)) if first.level is not None else first
    if second.level is None or second.closing:
        return None
    try:
        return read_part(part.source, second.stop, part.end)
    except UntrustworthyError:
        return None


def _file_names(part: Part) -> tuple[bytes, ...]:
    """The names a part gives to itself."""
    disposition = parse_parameterized(part.value(b"content-disposition") or b"")
    names = (disposition.parameters.get(b"filename", b""), part.kind.parameters.get(b"name", b""))
    return tuple(name.strip() for name in names)


def _boundary(part: Part) -> bytes:
    """The boundary, where every reader finds the same one."""
    value = b" " + (part.value(b"content-type") or b"")
    match = _BOUNDARY_PARAMETER.search(value)
    if match is None or len(_BOUNDARY_NAME.findall(value)) != 1:
        raise malformed("a multipart has no boundary, or one that readers read differently")
    if b'"' in _QUOTED.sub(b"", value):
        raise malformed("a quote stands alone in the content-type of a multipart")
    boundary = bytes(match["quoted"] or match["token"])
    # A line that is folded in it, or blanks that somebody makes one.
    unfolded = any(boundary in field for field in part.fields if field_name(field) == b"content-type")
    if not unfolded or b"  " in boundary or part.kind.parameters.get(b"boundary") != boundary:
        raise malformed("the boundary of a multipart can be read in two ways")
    if len(boundary) > _BOUNDARY_LIMIT or boundary.endswith(b" "):
        raise malformed("the boundary of a multipart is longer than any, or ends with a blank")
    return boundary


def _delimiters(part: Part, boundary: bytes) -> Iterator[_Delimiter]:
    """Each boundary delimiter of the body, at most four.

    RFC 2046, 5.1.2 lets readers take every line that begins with the boundary for one, so none may that is not.
    """
    source, mark = part.source, b"--" + boundary
    count = 0
    for line in _occurrences(source, mark, part.body, part.end):
        before = source.read(max(part.body, line - 2), line)
        if before and not before.endswith(b"\n"):
            if before[-1] in _OTHER_LINE_ENDS:
                raise malformed("a boundary stands after a control character that some readers take for a line end")
            # mutt reads lines in pieces of 1,023 octets, and each piece is a line to it; others have other limits.
            if line - part.body >= _PIECE and b"\n" not in source.read(line - _PIECE, line):
                raise malformed("the boundary stands inside a long line, which some readers break there")
            continue
        after = line + len(mark)
        rest = source.read(after, min(after + _REST_LIMIT, part.end))
        match = _REST_OF_DELIMITER.match(rest)
        if match is None or not (match.group().endswith(b"\n") or after + match.end() == part.end):
            raise malformed("a line begins with the boundary and goes on, and some readers take it for a delimiter")
        start = line - (2 if before == b"\r\n" else len(before[-1:]))
        yield _Delimiter(start, after + match.end(), match.group(1) is not None)
        count += 1
        if count > 3:  # noqa: PLR2004 - one more than there may be
            return


def _occurrences(source: Source, mark: bytes, start: int, end: int) -> Iterator[int]:
    """Where ``mark`` occurs from ``start`` to before ``end``, at the speed of memory."""
    while start < end:
        data = source.read(start, min(start + _BLOCK, end))
        found = data.find(mark)
        while found >= 0:
            yield start + found
            found = data.find(mark, found + 1)
        if start + len(data) >= end:
            return
        start += len(data) - len(mark) + 1


def _refuse_other_signature(signature: Part) -> None:
    refuse_ambiguous(signature)
    if not is_detached_signature(signature):
        raise malformed("the second part of a multipart/signed is not an S/MIME signature")
    _refuse_other_name(signature)


def _refuse_other_name(part: Part) -> None:
    """Raise ``UntrustworthyError`` if the CMS is called a file of another kind (RFC 8551, 3.2.1).

    What is in it beside what is signed is anybody's: read as a PDF file or as an archive it would be an attachment.
    """
    values = [field_value(field) for field in part.fields if field_name(field) in _NAMED]
    several = any(len(_NAME_PARAMETER.findall(value)) > 1 for value in values)
    names = [decoded(name.decode("utf-8", "replace")).lower().encode() for name in _file_names(part) if name]
    if several or not all(name.endswith(_CMS_NAMES) for name in names):
        raise malformed("the signature says that it is a file of another kind, and mail programs show it as one")


def _is_text(chunks: Iterator[bytes]) -> bool:
    return any(chunk.strip() for chunk in chunks)
