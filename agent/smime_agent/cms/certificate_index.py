"""The certificates of a SignedData, found by what a signer is named by, without parsing ten thousand of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from smime_agent import der
from smime_agent.cms.ber import integer
from smime_agent.cms.normal import value, values
from smime_agent.verdict import UntrustworthyError
from smime_agent.x509 import same_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from smime_agent.cms.signer_info import SignerIdentifier

#: Certificates that fit one signer; more are not looked for.
MAX_CANDIDATES: Final = 16
_MAX_READ: Final = 1_000  # certificates that hold the octets that are looked for, perhaps elsewhere
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_SUBJECT_KEY_IDENTIFIER: Final = der.object_identifier("2.5.29.14")


class CertificateNames(NamedTuple):
    """What names a certificate: its issuer (DER), its serial number, its subjectKeyIdentifier if it has one."""

    issuer: bytes
    serial_number: int
    subject_key_identifier: bytes | None


class CertificateIndex:
    """Encoded certificates, and what has been read of them so far."""

    __slots__ = ("_certificates", "_read")

    def __init__(self, certificates: tuple[bytes, ...]) -> None:
        self._certificates = certificates
        self._read: dict[int, CertificateNames | None] = {}

    def find(self, sid: SignerIdentifier) -> tuple[bytes, ...]:
        """All certificates that ``sid`` names, in their order; several may share a subjectKeyIdentifier."""
        if sid.subject_key_identifier is not None:
            key = sid.subject_key_identifier
            return self._those((der.octet_string(key),), lambda names: names.subject_key_identifier == key)
        issuer, number = sid.issuer, sid.serial_number
        if issuer is None or number is None:
            return ()
        serial = der.integer(number)
        found = self._those((issuer, serial), lambda names: (names.issuer, names.serial_number) == (issuer, number))
        # The same name may be written in other string types, and in other letter case (RFC 5280, 7.1).
        return found or self._those(
            (serial,), lambda names: names.serial_number == number and same_name(names.issuer, issuer)
        )

    def _those(self, holding: tuple[bytes, ...], fits: Callable[[CertificateNames], bool]) -> tuple[bytes, ...]:
        found: list[bytes] = []
        for place, certificate in enumerate(self._certificates):
            if len(found) == MAX_CANDIDATES:
                break
            if all(octets in certificate for octets in holding):
                names = self._names(place, certificate)
                if names is not None and fits(names):
                    found.append(certificate)
        return tuple(dict.fromkeys(found))

    def _names(self, place: int, certificate: bytes) -> CertificateNames | None:
        if place not in self._read:
            if len(self._read) == _MAX_READ:
                return None
            self._read[place] = names_of(certificate)
        return self._read[place]


def names_of(certificate: bytes) -> CertificateNames | None:
    """What names a certificate, read from its octets (RFC 5280, 4.1); nothing if they are none."""
    try:
        tbs_certificate = values(value(certificate, der.SEQUENCE))[0]
        fields = values(value(tbs_certificate.encoded, der.SEQUENCE))
        serial, _, issuer = fields[1:4] if fields[0].tag == _VERSION else fields[:3]
        if (serial.tag, issuer.tag) != (der.INTEGER, der.SEQUENCE):
            return None
        extensions = fields[-1].contents if fields[-1].tag == _EXTENSIONS else b""
        key_identifier = next(_subject_key_identifiers(extensions), None)
        return CertificateNames(issuer.encoded, integer(serial.contents), key_identifier)
    except (UntrustworthyError, IndexError, ValueError):
        return None


def _subject_key_identifiers(extensions: bytes) -> Iterator[bytes]:
    if _SUBJECT_KEY_IDENTIFIER in extensions:
        for extension in values(value(extensions, der.SEQUENCE)):
            if extension.contents.startswith(_SUBJECT_KEY_IDENTIFIER):
                yield value(values(extension.contents)[-1].contents, der.OCTET_STRING)
