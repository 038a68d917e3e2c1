"""How GnuPG names certificates, keys, algorithms and times."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from smime_agent.cli.gpgsm.status import escaped

if TYPE_CHECKING:
    from datetime import datetime

    from smime_agent.x509 import Certificate

_IDENT: Final = re.compile(r"[^<>]*<([^<>\s]+@[^<>\s]+)>")
_BRACKETS: Final = "<>"
_MOST_MAILBOXES: Final = 8
#: RFC 4880, 9.1 and 9.4, and 22 for EdDSA, which is GnuPG's: by the names that keys and signature algorithms have here.
_PUBLIC_KEY: Final = {
    "RSA": 1,
    "RSASSA-PKCS1-v1_5": 1,
    "RSASSA-PSS": 1,
    "DSA": 17,
    "EC": 19,
    "ECDSA": 19,
    "Ed25519": 22,
}
_DIGESTS: Final = {"md5": 1, "sha1": 2, "sha256": 8, "sha384": 9, "sha512": 10, "sha224": 11}


def key_name(text: str) -> str:
    """What is meant by a key that git was told or found out: ``Name <mail>`` and ``<mail>`` mean the address.

    All else is left as it is: an address, a label, an id, a ``pkcs11:`` URI, a fingerprint.
    """
    ident = _IDENT.fullmatch(text.strip())
    return ident[1] if ident else text


def fingerprint(certificate: bytes) -> str:
    """The SHA-1 fingerprint of a certificate in DER, by which GnuPG names it."""
    return hashlib.sha1(certificate, usedforsecurity=False).hexdigest().upper()


def user_id(certificate: Certificate) -> str:
    """Whom a certificate is for, in one line in which nothing has to be escaped any more.

    ``Alice Example <alice@example.org>``: only mailboxes stand in angle brackets. One without a mailbox has its whole
    subject.
    """
    mailboxes = [f"<{escaped(mailbox, _BRACKETS)}>" for mailbox in certificate.mailboxes[:_MOST_MAILBOXES]]
    if not mailboxes:
        return escaped(certificate.subject, _BRACKETS)
    name = [] if certificate.name in certificate.mailboxes else [escaped(certificate.name, _BRACKETS)]
    return " ".join(name + mailboxes)


def public_key_number(name: str) -> int:
    """The number of a kind of key, or of the algorithm that one signs with; 0 where there is none."""
    return _PUBLIC_KEY.get(name, 0)


def digest_number(name: str) -> int:
    """The number of a digest by its name in :mod:`hashlib`, 0 where there is none."""
    return _DIGESTS.get(name, 0)


def timestamp(moment: datetime | None) -> str:
    """A time as gpgsm writes it, ``20261124T163719``, which is UTC; 0 where there is none."""
    return f"{moment:%Y%m%dT%H%M%S}" if moment is not None else "0"
