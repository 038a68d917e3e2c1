"""What mail goes through on its way. Each of these is something that a relay, gateway or mailbox really does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_LABEL: Final = re.compile(rb"(?im)^(content-transfer-encoding:[ \t]*)(?:8bit|binary)")
_BEYOND_ASCII: Final = re.compile(rb"[\x80-\xff]")


def stored_with_line_feeds(mail: bytes) -> bytes:
    """A Unix mail store keeps LF, and SMTP makes CRLF of it again."""
    return mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def stored_with_carriage_returns_stripped(mail: bytes) -> bytes:
    """Another takes every CR for a part of a line end."""
    return mail.replace(b"\r", b"").replace(b"\n", b"\r\n")


def sent_with_stuffed_dots(mail: bytes) -> bytes:
    """SMTP doubles a dot at the beginning of a line, and takes it away again (RFC 5321, 4.5.2)."""
    return re.sub(rb"(?m)^\.\.", b".", re.sub(rb"(?m)^\.", b"..", mail))


def cut_at_a_lone_dot(mail: bytes) -> bytes:
    """A careless one forgets to, and the mail ends there."""
    return mail.partition(b"\r\n.\r\n")[0]


def without_blanks_at_line_ends(mail: bytes) -> bytes:
    """Gateways with fixed records lose them."""
    return _in_body(mail, lambda body: re.sub(rb"[ \t]+(?=\r\n|\Z)", b"", body))


def kept_in_a_mailbox(mail: bytes) -> bytes:
    """In a file of many mails a line that begins with "From " would begin another."""
    return _in_body(mail, lambda body: re.sub(rb"(?m)^From ", b">From ", body))


def wrapped_at_998(mail: bytes) -> bytes:
    """SMTP has no longer lines (RFC 5321, 4.5.3.1.6): some relays cut them."""
    return _in_body(mail, lambda body: re.sub(rb"[^\r\n]{998}(?=[^\r\n])", rb"\g<0>\r\n", body))


def without_nul(mail: bytes) -> bytes:
    """Some refuse NUL, others drop it."""
    return mail.replace(b"\0", b"")


def for_a_server_without_8bitmime(mail: bytes) -> bytes:
    """RFC 6152, 3: a part that is, or says that it is, beyond 7 bits becomes quoted-printable."""
    return _in_body(mail, lambda body: _LABEL.sub(rb"\1quoted-printable", _BEYOND_ASCII.sub(_escape, body)))


def _escape(match: re.Match[bytes]) -> bytes:
    return b"=%02X" % ord(match[0])


def _in_body(mail: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The header of a mail does not get lost in this."""
    header, separator, body = mail.partition(b"\r\n\r\n")
    return header + separator + change(body)


RELAYS: Final[tuple[Callable[[bytes], bytes], ...]] = (
    stored_with_line_feeds,
    stored_with_carriage_returns_stripped,
    sent_with_stuffed_dots,
    cut_at_a_lone_dot,
    without_blanks_at_line_ends,
    kept_in_a_mailbox,
    wrapped_at_998,
    without_nul,
    for_a_server_without_8bitmime,
)


def through_all(mail: bytes) -> bytes:
    """One relay after another."""
    for relay in RELAYS:
        mail = relay(mail)
    return mail
