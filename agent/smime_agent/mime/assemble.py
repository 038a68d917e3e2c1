"""The outgoing mail, written around the entity and its CMS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smime_agent.mime.transfer import base64_encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from smime_agent.mime.message import Message

_EXTENSIONS = {"certs-only": "p7c", "compressed-data": "p7z"}  # RFC 8551, 3.2.1


def multipart_signed(message: Message, signature: bytes, micalg: str, boundary: str) -> Iterator[bytes]:
    """The clear-signed mail (RFC 8551, 3.5.3), with CRLF line ends; for the rest see :func:`clear_signed_frame`."""
    before, after = clear_signed_frame(signature, micalg, boundary)
    yield _outside(message) + before
    yield from message.entity.chunks()
    yield after


def clear_signed_frame(signature: bytes, micalg: str, boundary: str) -> tuple[bytes, bytes]:
    """What stands before and after a canonical entity that is clear-signed, from the Content-Type field on.

    ``signature`` is a DER SignedData over exactly the octets of that entity; ``micalg`` is a name of
    RFC 8551, 3.5.3.2, such as ``sha-256``; ``boundary`` must not occur in the entity: make it from 128 random bits.
    """
    mark = boundary.encode("ascii")
    before = (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n'
        b'\tmicalg=%b; boundary="%b"\r\n'
        b"\r\n"
        b"This is an S/MIME signed message.\r\n"
        b"\r\n"
        b"--%b\r\n" % (micalg.encode("ascii"), mark, mark)
    )
    # RFC 2046, 5.1.1: this first CRLF belongs to the boundary, and is not signed.
    after = (
        b"\r\n--%b\r\n"
        b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
        b"Content-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="smime.p7s"\r\n'
        b"Content-Description: S/MIME cryptographic signature\r\n"
        b"\r\n"
        b"%b\r\n"
        b"--%b--\r\n" % (mark, b"".join(base64_encode((signature,))), mark)
    )
    return before, after


def pkcs7_mime(message: Message, der_chunks: Iterable[bytes], smime_type: str = "signed-data") -> Iterator[bytes]:
    """The mail as one application/pkcs7-mime entity; for the arguments see :func:`pkcs7_mime_entity`."""
    entity = iter(pkcs7_mime_entity(der_chunks, smime_type))
    yield _outside(message) + next(entity)
    yield from entity


def pkcs7_mime_entity(der_chunks: Iterable[bytes], smime_type: str) -> Iterator[bytes]:
    """An application/pkcs7-mime entity (RFC 8551, 3.2), with CRLF line ends.

    ``der_chunks`` is the DER of the CMS in blocks of any size; ``smime_type`` is a name of RFC 8551, 3.2.2.
    """
    name = b"smime.%b" % _EXTENSIONS.get(smime_type, "p7m").encode("ascii")
    yield (
        b'Content-Type: application/pkcs7-mime; smime-type=%b; name="%b"\r\n'
        b"Content-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="%b"\r\n'
        b"\r\n" % (smime_type.encode("ascii"), name, name)
    )
    yield from base64_encode(der_chunks)
    yield b"\r\n"


def _outside(message: Message) -> bytes:
    """What stands before the fields of the entity."""
    return b"".join((message.mbox_line, *message.outer, b"MIME-Version: 1.0\r\n"))
