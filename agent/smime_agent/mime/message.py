"""A mail, taken apart into the fields that stay outside and the entity that is protected."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from smime_agent.errors import InvalidMessageError
from smime_agent.mailbox import is_mailbox, same_mailbox_key
from smime_agent.mime.addresses import addr_specs
from smime_agent.mime.canonical import Entity
from smime_agent.mime.fields import (
    FIELDS,
    HEADER_LIMIT,
    field_name,
    field_value,
    first_value,
    mailbox_line_end,
    parse_parameterized,
    split_fields,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smime_agent.source import Source

_HINT: Final = "to sign any file as it is, use --format der or --format pem"
_HEADER_GUESS: Final = 64 * 1024
# RFC 5322, 4 lets nobody generate blanks before a colon, or fold lines of nothing but blanks. Some readers, and
# gateways that strip blanks, end the header there, and would not see that the mail is signed.
_UNTIDY: Final = re.compile(rb"^([!-9;-~]+)[ \t]+(?=:)|^[ \t]+(?:\n|\Z)", re.MULTILINE)
_ONCE: Final = (b"from", b"sender", b"content-type", b"content-transfer-encoding")
_TO: Final = frozenset({b"to", b"cc", b"bcc"})
_BLIND: Final = frozenset({b"bcc", b"resent-bcc"})
_SIGNS_OF_UNTIDINESS: Final = (b" :", b"\t:", b" \n", b"\t\n")


class Protection(Enum):
    """What already protects a mail as a whole (RFC 8551, 3.2 and 3.5)."""

    SIGNED = "signed"
    ENCRYPTED = "encrypted"
    SIGNED_OR_ENCRYPTED = "signed or encrypted"  # only the CMS inside tells
    OTHER = "protected otherwise"  # compressed, certificates only, OpenPGP


# RFC 8551, 3.2.2 and RFC 2634, 2.4
_SMIME_TYPES: Final = {
    b"signed-data": Protection.SIGNED,
    b"signed-receipt": Protection.SIGNED,
    b"enveloped-data": Protection.ENCRYPTED,
    b"authenveloped-data": Protection.ENCRYPTED,
    b"compressed-data": Protection.OTHER,
    b"certs-only": Protection.OTHER,
}
# RFC 8551, 3.2.1, for mail that has no smime-type
_EXTENSIONS: Final = {
    b".p7m": Protection.SIGNED_OR_ENCRYPTED,
    b".p7s": Protection.OTHER,
    b".p7c": Protection.OTHER,
    b".p7z": Protection.OTHER,
}
_PKCS7_MIME: Final = frozenset({b"application/pkcs7-mime", b"application/x-pkcs7-mime"})
_PKCS7_SIGNATURE: Final = frozenset({b"application/pkcs7-signature", b"application/x-pkcs7-signature"})


@dataclass(frozen=True, slots=True)
class Addressees:
    """Whom a mail goes to: the addresses of To and Cc, and those of Bcc alone, each once.

    ``unreadable`` is what stands in these fields and is no address, as it stands.
    """

    visible: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """A mail: the fields that stay outside, in order and complete with CRLF, and the entity that is protected.

    ``mbox_line`` is the "From " line of a mailbox that stood before the mail, with CRLF, or empty.
    """

    outer: tuple[bytes, ...]
    entity: Entity
    protection: Protection | None
    mbox_line: bytes = b""

    def from_addresses(self) -> list[str]:
        """The addr-spec of every mailbox in every From field (RFC 5322, 3.4; RFC 6532), in order."""
        return [
            address
            for field in self.outer
            if field[:4].lower() == b"from" and field_name(field) == b"from"
            for address in addr_specs(field_value(field))
        ]

    def addressees(self) -> Addressees:
        """Everybody in To, Cc and Bcc (RFC 5322, 3.6.3)."""
        visible: dict[str, str] = {}
        blind: dict[str, str] = {}
        unreadable: list[str] = []
        for field in self.outer:
            name = field_name(field)
            if name in _TO:
                for text, address in _mailboxes(field_value(field)):
                    if address is None:
                        unreadable.append(text)
                    else:
                        (blind if name == b"bcc" else visible).setdefault(same_mailbox_key(address), address)
        only_blind = (address for key, address in blind.items() if key not in visible)
        return Addressees(tuple(visible.values()), tuple(only_blind), tuple(unreadable))

    def without_bcc(self) -> Message:
        """The same mail without the fields that only its sender should see."""
        return replace(self, outer=tuple(field for field in self.outer if field_name(field) not in _BLIND))


def _mailboxes(value: bytes) -> Iterator[tuple[str, str | None]]:
    """Each element of an address list as it stands, with its address if it is one."""
    from smime_agent.mime.address_list import read_address_list

    for mailbox in read_address_list(value).mailboxes:
        address = mailbox.address if mailbox.address and is_mailbox(mailbox.address) else None
        yield mailbox.raw.encode("utf-8", "replace").decode(), address


def split(source: Source) -> Message:
    """Take a mail apart; every Content-* field goes into the entity, MIME-Version is left out, the others stay.

    Line ends may be CRLF, LF or a mix. The source must stay open as long as the entity is used.
    Raises ``InvalidMessageError`` if it is no mail or its header is longer than 1 MiB, and ``FileError``.
    """
    mbox_line, block, body, separated = _header(source)
    outer: list[bytes] = []
    content: list[bytes] = []
    for field in split_fields(block):
        if field[0] in b"Cc" and field[:8].lower() == b"content-":
            content.append(field)
        elif field[0] not in b"Mm" or field_name(field) != b"mime-version":
            outer.append(field)
    notes: tuple[str, ...] = ()
    if not separated and body < source.size:
        notes = ("the header ends at a line that is no header field, and what follows is taken as the body",)
    return Message(tuple(outer), Entity(tuple(content), source, body, notes), _protection(content), mbox_line)


def _header(source: Source) -> tuple[bytes, bytes, int, bool]:
    """The mailbox line, the header block, where the body begins, and whether an empty line is between them."""
    data = source.read(0, source.size if source.size <= source.IN_MEMORY else _HEADER_GUESS)
    start, end = _fields(data)
    if len(data) < source.size and data.find(b"\n", end) < 0:
        data = source.read(0, HEADER_LIMIT + 2)
        start, end = _fields(data)
    # From here on without CR: what is left of them stands alone.
    block = data[start:end].replace(b"\r\n", b"\n")
    if not block:
        raise InvalidMessageError("this is not a mail: it does not begin with a header field", hint=_HINT)
    if len(block) > HEADER_LIMIT:
        raise InvalidMessageError("this is not a mail: its header is longer than 1 MiB", hint=_HINT)
    if b"\0" in block:
        raise InvalidMessageError("this is not a mail: a NUL byte is in its header", hint=_HINT)
    if b"\r" in block:
        # Some readers end a line here, some do not: they would see different fields.
        raise InvalidMessageError(
            "a carriage return stands alone in the header", hint="give the mail with CRLF or LF line ends"
        )
    if any(sign in block for sign in _SIGNS_OF_UNTIDINESS):
        block = _UNTIDY.sub(rb"\1", block)
    _refuse_doubles(block)
    separator = 1 if data.startswith(b"\n", end) else 2 if data.startswith(b"\r\n", end) else 0
    return data[:start].rstrip(b"\r\n") + b"\r\n" if start else b"", block, end + separator, separator > 0


def _refuse_doubles(block: bytes) -> None:
    """RFC 5322, 3.6 and RFC 2045, 3: these stand once, and where they stand twice readers believe different ones."""
    lines = b"\n" + block.lower()
    for name in _ONCE:
        if lines.count(b"\n" + name + b":") > 1:
            raise InvalidMessageError(
                f"the mail has more than one {name.decode().title()} field",
                hint="readers would believe different ones: remove what is wrong",
            )


def _fields(data: bytes) -> tuple[int, int]:
    start = mailbox_line_end(data)
    match = FIELDS.match(data, start, start + HEADER_LIMIT + 2)
    return start, match.end() if match else start


def _protection(content: Sequence[bytes]) -> Protection | None:
    hints = b"".join(content).lower()
    # Every type and name below has one of these: nearly every mail is done here.
    if b"7" not in hints.replace(b"7bit", b"") and b"signed" not in hints and b"encrypted" not in hints:
        return None
    kind = parse_parameterized(first_value(content, b"content-type") or b"")
    if kind.value == b"multipart/signed":
        protocol = kind.parameters.get(b"protocol", b"").lower()
        return Protection.SIGNED if protocol in _PKCS7_SIGNATURE else Protection.OTHER
    if kind.value == b"multipart/encrypted" or kind.value in _PKCS7_SIGNATURE:
        return Protection.OTHER
    if kind.value not in _PKCS7_MIME and kind.value != b"application/octet-stream":
        return None
    disposition = parse_parameterized(first_value(content, b"content-disposition") or b"")
    names = (disposition.parameters.get(b"filename", b""), kind.parameters.get(b"name", b""))
    by_name = next((_EXTENSIONS[name[-4:].lower()] for name in names if name[-4:].lower() in _EXTENSIONS), None)
    if kind.value not in _PKCS7_MIME:  # gateways that do not know the type go by the name
        return by_name
    smime_type = kind.parameters.get(b"smime-type", b"").lower()
    return _SMIME_TYPES.get(smime_type) or by_name or Protection.SIGNED_OR_ENCRYPTED
