"""What the input is, told by its content: a mail, or bare CMS in DER or BER, PEM or base64."""

from __future__ import annotations

import binascii
import re
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Final

from smime_agent.mime.decode import Base64Decoder
from smime_agent.mime.fields import FIELDS, field_name, mailbox_line_end, split_fields
from smime_agent.mime.part import source_of
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.source import Source

_LOOK: Final = 64 * 1024
_LOOKED_AFTER: Final = 8  # chunks behind a PEM block
# RFC 5652, 3: SEQUENCE, its length in any form, and an OBJECT IDENTIFIER below pkcs-7 or pkcs-9.
_CONTENT_INFO: Final = re.compile(
    rb"\x30(?:[\x00-\x80]|\x81.|\x82..|\x83...|\x84....|\x85.{5}|\x86.{6}|\x87.{7}|\x88.{8})"
    rb"\x06[\x09-\x0b]\x2a\x86\x48\x86\xf7\x0d\x01[\x07\x09]",
    re.DOTALL,
)
_LONG_SEQUENCE: Final = re.compile(rb"\x30[\x80-\x88]")
# RFC 7468, 8 and 9; then what RFC 1421 systems wrote, and what gpgsm writes.
_BEGIN: Final = re.compile(
    rb"^-----BEGIN (CMS|PKCS7|PKCS #7 SIGNED DATA|SIGNED MESSAGE|ENCRYPTED MESSAGE)-----[ \t]*\r?$", re.MULTILINE
)
_BASE64_TEXT: Final = re.compile(rb"\s{0,100}MI[A-Za-z0-9+/=\s]+")
# A text before PEM may have lines that look like a header field; these only a mail has.
_MAIL_FIELDS: Final = frozenset(
    {
        *(b"from", b"to", b"cc", b"date", b"subject", b"message-id", b"received", b"return-path", b"sender"),
        *(b"mime-version", b"content-type", b"content-transfer-encoding", b"delivered-to", b"reply-to"),
    }
)


# Mail programs read over a byte order mark, blank lines and garbage before the header.
_MAIL_LINE: Final = re.compile(
    rb"^[\s>\xef\xbb\xbf]*(?:%b)[ \t]*:" % b"|".join(sorted(_MAIL_FIELDS)), re.IGNORECASE | re.MULTILINE
)


class Form(Enum):
    """What a source holds."""

    MAIL = "mail"  # or what is none: ``read_mail`` says so
    DER = "der"  # or BER
    PEM = "pem"
    BASE64 = "base64"  # of DER or BER, without a header, as gateways store it


def recognise(source: Source) -> Form:
    """What the source holds. Nothing is promised but that it begins like this. Raises ``FileError``."""
    data = source.read(0, _LOOK)
    # No mail begins with an octet pair like this: 0x30 is a digit, but the second is not ASCII.
    if _CONTENT_INFO.match(data) or _LONG_SEQUENCE.match(data):
        return Form.DER
    if _is_mail(data):
        return Form.MAIL
    begin = _BEGIN.search(data)
    if begin is not None:
        return Form.MAIL if _MAIL_LINE.search(data, 0, begin.start()) else Form.PEM
    return Form.BASE64 if _is_base64(data) else Form.MAIL


def cms_of_pem(source: Source) -> Source:
    """The CMS in the first PEM block, or in base64 without any label: a source for the caller to close.

    Raises ``UntrustworthyError`` if it is cut off or damaged, and ``FileError``.
    """
    match = _BEGIN.search(source.read(0, _LOOK))
    decoder = Base64Decoder()
    text = source.chunks() if match is None else _pem_text(source, match.end(), match.group(1))
    cms = source_of(decoder.decode(_only_base64(text)))
    if decoder.trailing:
        cms.close()
        raise UntrustworthyError(Code.MALFORMED_CMS, "something follows the end of the base64")
    return cms


def _pem_text(source: Source, start: int, label: bytes) -> Iterator[bytes]:
    """The text of a PEM block up to its end line."""
    end = b"-----END %b-----" % label
    rest = b""
    chunks = source.chunks(start)
    for chunk in chunks:
        data = rest + chunk
        found = data.find(b"-")
        if found >= 0:
            rest = data[found:]
            if found:
                yield data[:found]
            if len(rest) < len(end):
                continue
            if rest.startswith(end):
                _refuse_more(rest[len(end) :], chunks)
                return
            break
        rest = b""
        yield data
    raise UntrustworthyError(Code.MALFORMED_CMS, "the PEM text has no end line, or not the one of its label")


def _refuse_more(rest: bytes, chunks: Iterator[bytes]) -> None:
    after = b"".join((rest, *islice(chunks, _LOOKED_AFTER)))
    if _BEGIN.search(after) or _MAIL_LINE.search(after):
        raise UntrustworthyError(Code.TRAILING_DATA, "a mail or more PEM follows after the first block")


def _only_base64(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, which hold base64 and white space and nothing else (RFC 7468, 3)."""
    for chunk in chunks:
        if chunk.translate(None, _BASE64_OR_SPACE):
            raise UntrustworthyError(Code.MALFORMED_CMS, "the text is not base64")
        yield chunk


_BASE64_OR_SPACE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n\v\f"


def _is_mail(data: bytes) -> bool:
    start = mailbox_line_end(data)
    match = FIELDS.match(data, start)
    names = map(field_name, split_fields(match.group())) if match else ()
    return not _MAIL_FIELDS.isdisjoint(names)


def _is_base64(data: bytes) -> bool:
    match = _BASE64_TEXT.match(data)
    if match is None:
        return False
    text = b"".join(match.group()[:200].split())[:40]
    return len(text) % 4 == 0 and b"=" not in text and _CONTENT_INFO.match(binascii.a2b_base64(text)) is not None
