"""Mails around a signature (RFC 8551, 3), which may be put together in any way."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

ALICE: Final = "alice@example.org"
MALLORY: Final = "mallory@evil.example"
ENTITY: Final = b"Content-Type: text/plain; charset=utf-8\r\n\r\nPlease pay the invoice of today.\r\n"
OTHER_ENTITY: Final = ENTITY.replace(b"invoice of today", b"account 0815 now")
DATE: Final = "Sun, 01 Mar 2026 10:00:00 +0000"
BOUNDARY: Final = b"=_signed"
SIGNED: Final = b'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="%b"'
OPAQUE: Final = b"application/pkcs7-mime; smime-type=signed-data; name=smime.p7m"
SIGNATURE: Final = b"application/pkcs7-signature; name=smime.p7s"
TEXT: Final = b"Content-Type: text/plain; charset=utf-8\r\n\r\nI have a new account, see below.\r\n"


def field(name: str, value: str | bytes) -> bytes:
    """A header field; a folded value has its line ends in it."""
    return name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"


def head(*senders: bytes, date: str = DATE) -> bytes:
    """The fields of a mail but for those of its content."""
    others = field("To", "Bob <bob@example.org>") + field("Subject", "Invoice") + field("Date", date)
    identifier = field("Message-ID", "<invoice@example.org>")
    return b"".join(senders) + others + identifier + field("MIME-Version", "1.0")


def sent_by(value: str | bytes) -> bytes:
    """The fields of a mail with this From."""
    return head(field("From", value))


def part(kind: bytes, value: bytes) -> bytes:
    """An entity in base64."""
    encoded = base64.encodebytes(value).replace(b"\n", b"\r\n")
    return b"Content-Type: %b\r\nContent-Transfer-Encoding: base64\r\n\r\n%b" % (kind, encoded)


def multipart(kind: bytes, *parts: bytes, boundary: bytes = b"=_outer") -> bytes:
    """A multipart entity of whole entities."""
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, each) for each in parts)
    return b'Content-Type: %b; boundary="%b"\r\n\r\n%b--%b--\r\n' % (kind, boundary, body, boundary)


@dataclass(frozen=True)
class Clear:
    """A multipart/signed; ``cms`` is its signature, in DER."""

    entity: bytes
    cms: bytes
    kind: bytes = SIGNED
    signature_kind: bytes = SIGNATURE
    preamble: bytes = b""
    epilogue: bytes = b""
    boundary: bytes = BOUNDARY

    @property
    def signature(self) -> bytes:
        """The second part."""
        return part(self.signature_kind, self.cms)

    @property
    def body(self) -> bytes:
        """From the preamble to the epilogue."""
        parts = b"".join(b"--%b\r\n%b\r\n" % (self.boundary, each) for each in (self.entity, self.signature))
        return self.preamble + parts + b"--%b--\r\n" % self.boundary + self.epilogue

    @property
    def whole(self) -> bytes:
        """The entity, to be put under a mail's header."""
        kind = self.kind % self.boundary if b"%b" in self.kind else self.kind
        return b"Content-Type: %b\r\n\r\n%b" % (kind, self.body)


def opaque(cms: bytes, kind: bytes = OPAQUE) -> bytes:
    """The entity of an opaque signature."""
    return part(kind, cms)


def clear_mail(cms: bytes, entity: bytes = ENTITY) -> bytes:
    """A mail of the victim with this detached signature, whatever it is over."""
    return sent_by(ALICE) + Clear(entity, cms).whole
