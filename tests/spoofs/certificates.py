"""Certificates and CRLs that say whatever they are told to (RFC 5280, 4.1 and 5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.spoofs.asn1 import TRUE, bits, context, implicit, integer, octets, oid, sequence, set_of, time, tlv, utf8
from tests.spoofs.keys import digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.spoofs.keys import Key

VALIDITY: Final = ("250101000000Z", "481231235959Z")
PAST: Final = ("250101000000Z", "260601000000Z")
FUTURE: Final = ("480101000000Z", "481231235959Z")
EMAIL_PROTECTION: Final = "1.3.6.1.5.5.7.3.4"
SERVER_AUTH: Final = "1.3.6.1.5.5.7.3.1"
EMAIL_ADDRESS: Final = "1.2.840.113549.1.9.1"
PSEUDONYM: Final = "2.5.4.65"
ANY_PURPOSE: Final = "2.5.29.37.0"
CODE_SIGNING: Final = "1.3.6.1.5.5.7.3.3"


@dataclass(frozen=True)
class Identity:
    """A key with its certificate; ``above`` are the certificates between it and the root."""

    key: Key
    certificate: bytes
    subject: bytes
    issuer: bytes
    serial: int
    above: tuple[bytes, ...] = ()

    @property
    def chain(self) -> tuple[bytes, ...]:
        """What goes into a mail."""
        return (self.certificate, *self.above)

    @property
    def key_identifier(self) -> bytes:
        """What its subjectKeyIdentifier says."""
        return key_identifier(self.key)


@dataclass(frozen=True)
class Wanted:
    """What a certificate is to say. ``issuer`` none: it is signed by itself."""

    key: Key
    subject: bytes
    issuer: Identity | None
    extensions: tuple[bytes, ...] = ()
    validity: tuple[str, str] = VALIDITY
    digest: str = "sha256"
    version: int = 3
    spoilt: bool = False  # its signature does not fit
    issuer_name: bytes | None = None  # another than the issuer's
    identified: bool = True  # with the identifiers of both keys
    public_info: bytes | None = None  # another than the key's
    serial: int | None = None  # another than its own

    def made(self) -> Identity:
        """The certificate, with its key."""
        issuer_key = self.issuer.key if self.issuer else self.key
        issuer_name = self.issuer_name or (self.issuer.subject if self.issuer else self.subject)
        serial = int.from_bytes(digest("sha256", self._said)[:8]) >> 1 if self.serial is None else self.serial
        algorithm = issuer_key.algorithm(self.digest)
        tbs = sequence(
            context(0, integer(self.version - 1)) if self.version > 1 else b"",
            integer(serial),
            algorithm,
            issuer_name,
            sequence(*map(time, self.validity)),
            self.subject,
            self.public_info or self.key.public_info,
            self._extensions(issuer_key),
        )
        signature = issuer_key.sign(tbs + b"!" if self.spoilt else tbs, self.digest)
        certificate = sequence(tbs, algorithm, bits(signature))
        above = self.issuer.chain if self.issuer and self.issuer.issuer != self.issuer.subject else ()
        return Identity(self.key, certificate, self.subject, issuer_name, serial, above)

    @property
    def _said(self) -> bytes:
        said = (self.subject, self.extensions, self.validity, self.digest, self.version, self.spoilt, self.issuer_name)
        return repr(said).encode() + self.key.public_info

    def _extensions(self, issuer_key: Key) -> bytes:
        if self.version < 3:
            return b""
        own = extension("2.5.29.14", octets(key_identifier(self.key)))
        issuers = extension("2.5.29.35", sequence(implicit(0, key_identifier(issuer_key))))
        return context(3, sequence(*self.extensions, *((own, issuers) if self.identified else ())))


def key_identifier(key: Key) -> bytes:
    """Twenty octets that name a key."""
    return digest("sha256", key.public_info)[:20]


def name(*attributes: tuple[str, str] | str) -> bytes:
    """A distinguished name; a plain string is a common name."""
    return sequence(
        *(
            set_of(sequence(oid(kind), _ia5(text) if kind == EMAIL_ADDRESS and text.isascii() else utf8(text)))
            for kind, text in (("2.5.4.3", each) if isinstance(each, str) else each for each in attributes)
        )
    )


def _ia5(text: str) -> bytes:
    return tlv(0x16, text.encode())


def extension(kind: str, value: bytes, *, critical: bool = False) -> bytes:
    """One extension."""
    return sequence(oid(kind), TRUE if critical else b"", octets(value))


def basic_constraints(*, ca: bool, path_length: int | None = None) -> bytes:
    """RFC 5280, 4.2.1.9."""
    length = b"" if path_length is None else integer(path_length)
    return extension("2.5.29.19", sequence(TRUE if ca else b"", length), critical=True)


def key_usage(*numbers: int) -> bytes:
    """RFC 5280, 4.2.1.3, by the numbers of its bits."""
    value = sum(0x80 >> number for number in numbers)
    return extension("2.5.29.15", bits(bytes([value]), 7 - max(numbers)), critical=True)


SIGNS, COMMITS, ENCIPHERS, ISSUES, SIGNS_CRLS = 0, 1, 2, 5, 6


def extended_key_usage(*kinds: str) -> bytes:
    """RFC 5280, 4.2.1.12."""
    return extension("2.5.29.37", sequence(*map(oid, kinds)))


def alternative_name(*names: bytes) -> bytes:
    """RFC 5280, 4.2.1.6."""
    return extension("2.5.29.17", sequence(*names))


def rfc822(address: str | bytes) -> bytes:
    """The name of a mailbox."""
    return implicit(1, address if isinstance(address, bytes) else address.encode())


def smtp_utf8(address: str) -> bytes:
    """The name of a mailbox in UTF-8 (RFC 9598, 3)."""
    return context(0, oid("1.3.6.1.5.5.7.8.9"), context(0, utf8(address)))


def dns(host: str) -> bytes:
    """The name of a host."""
    return implicit(2, host.encode())


def uri(text: str) -> bytes:
    """A URI."""
    return implicit(6, text.encode())


def name_constraints(*, permitted: Iterable[bytes] = (), excluded: Iterable[bytes] = ()) -> bytes:
    """RFC 5280, 4.2.1.10."""
    trees = [
        context(number, *map(sequence, names)) if names else b""
        for number, names in ((0, tuple(permitted)), (1, tuple(excluded)))
    ]
    return extension("2.5.29.30", sequence(*trees), critical=True)


@dataclass(frozen=True)
class RevocationList:
    """A CRL of an issuer, about some of its certificates."""

    issuer: Identity
    revoked: tuple[Identity, ...] = ()
    this_update: str = "260101000000Z"
    next_update: str = "481231000000Z"
    key: Key | None = None  # another than the issuer's

    def made(self) -> bytes:
        """The CRL in DER."""
        key = self.key or self.issuer.key
        entries = [sequence(integer(each.serial), time("260201000000Z")) for each in self.revoked]
        authority = extension("2.5.29.35", sequence(implicit(0, self.issuer.key_identifier)))
        tbs = sequence(
            integer(1),
            key.algorithm("sha256"),
            self.issuer.subject,
            time(self.this_update),
            time(self.next_update),
            sequence(*entries) if entries else b"",
            context(0, sequence(authority, extension("2.5.29.20", integer(7)))),
        )
        return sequence(tbs, key.algorithm("sha256"), bits(key.sign(tbs, "sha256")))
