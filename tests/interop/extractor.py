"""What a judge of bare CMS needs of a mail, cut out by rules so simple that none of our own code is needed.

Only mails that we made come here: CRLF line ends, one boundary, two parts.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass

_SIGNED = re.compile(rb'(?im)^content-type: multipart/signed;(?:[^\r\n]|\r\n[ \t])*?[ \t]boundary="([^"]+)"')
_OPAQUE = re.compile(rb"(?im)^content-type: application/pkcs7-mime; smime-type=signed-data;")


class NotSignedError(Exception):
    """There is no signature where one should be."""


@dataclass(frozen=True)
class Detached:
    """A clear-signed mail in two: the exact octets of the first part, and the DER of the signature."""

    content: bytes
    signature: bytes


def take_apart(mail: bytes) -> Detached:
    """The first part and the signature of a clear-signed mail.

    Raises:
        NotSignedError: it is none.
    """
    _, content, signature, _ = _pieces(mail)[1]
    return Detached(content.removeprefix(b"\r\n"), _decode(signature))


def replace_signature(mail: bytes, signature: bytes) -> bytes:
    """The same clear-signed mail with another signature."""
    mark, (before, content, old, after) = _pieces(mail)
    return mark.join((before, content, _encode(old, signature), after))


def open_up(mail: bytes) -> bytes:
    """The DER inside an opaque mail.

    Raises:
        NotSignedError: it is none.
    """
    if not _OPAQUE.search(_header(mail)):
        raise NotSignedError("not an opaque mail")
    return _decode(mail)


def replace_cms(mail: bytes, cms: bytes) -> bytes:
    """The same opaque mail with another CMS object."""
    return _encode(mail, cms)


def _pieces(mail: bytes) -> tuple[bytes, list[bytes]]:
    """The boundary delimiter, and the four pieces around the three of them."""
    found = _SIGNED.search(_header(mail))
    mark = b"\r\n--" + found[1] if found else b""
    pieces = mail.split(mark) if found else []
    if [len(pieces), *pieces[3:]] != [4, b"--\r\n"]:
        raise NotSignedError("not a mail of two parts, the second a signature")
    return mark, pieces


def _header(entity: bytes) -> bytes:
    return entity.partition(b"\r\n\r\n")[0]


def _decode(entity: bytes) -> bytes:
    return b64decode(entity.partition(b"\r\n\r\n")[2].replace(b"\r\n", b""), validate=True)


def _encode(entity: bytes, octets: bytes) -> bytes:
    encoded = b64encode(octets)
    lines = [encoded[at : at + 76] for at in range(0, len(encoded), 76)]
    return b"".join((_header(entity), b"\r\n\r\n", b"\r\n".join(lines), b"\r\n"))
