"""The certificates of a SignedData, found by what a signer is named by, without parsing ten thousand of them."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Final, NamedTuple

from smime_agent import der
from smime_agent.cms.ber import integer
from smime_agent.cms.normal import value, values
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.cms.normal import Value
    from smime_agent.cms.signer_info import SignerIdentifier

#: Certificates that fit one signer; more are not looked for.
MAX_CANDIDATES: Final = 16
_MAX_COMPARED: Final = 4  # names that are the same at second sight only
_MAX_READ: Final = 1_000  # certificates that hold the octets that are looked for, perhaps elsewhere
_MAX_FIELDS, _MAX_EXTENSIONS = 10, 200
_KEPT: Final = 16_384  # octets of a certificate that is remembered
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_SUBJECT_KEY_IDENTIFIER: Final = der.object_identifier("2.5.29.14")


class CertificateNames(NamedTuple):
    """What names a certificate: its issuer (DER), its serial number, its subjectKeyIdentifier if it has one."""

    issuer: bytes
    serial_number: int
    subject_key_identifier: bytes | None


class CertificateIndex:
    """Encoded certificates, searched as one string of octets, and what has been read of them so far."""

    __slots__ = ("_certificates", "_joined", "_read", "_starts")

    def __init__(self, certificates: tuple[bytes, ...]) -> None:
        self._certificates = certificates
        self._read: dict[int, CertificateNames | None] = {}
        self._joined = b""
        self._starts: list[int] = []

    def find(self, sid: SignerIdentifier) -> tuple[bytes, ...]:
        """All certificates that ``sid`` names, in their order; several may share a subjectKeyIdentifier."""
        if sid.subject_key_identifier is not None:
            key = sid.subject_key_identifier
            found = (one for one, names in self._holding(der.octet_string(key)) if names.subject_key_identifier == key)
            return tuple(dict.fromkeys(islice(found, MAX_CANDIDATES)))
        issuer, number = sid.issuer, sid.serial_number
        if issuer is None or number is None:
            return ()
        same_number = [pair for pair in self._holding(der.integer(number) + b"\x30") if pair[1].serial_number == number]
        found = (one for one, names in same_number if names.issuer == issuer)
        if exact := tuple(dict.fromkeys(islice(found, MAX_CANDIDATES))):
            return exact
        from smime_agent.x509 import same_name  # which takes longer to load than to sign

        # The same name may be written in other string types, and in other letter case (RFC 5280, 7.1).
        return tuple(one for one, names in same_number[:_MAX_COMPARED] if same_name(names.issuer, issuer))

    def _holding(self, octets: bytes) -> Iterator[tuple[bytes, CertificateNames]]:
        """The certificates that hold these octets somewhere, with their names, as long as there are not too many."""
        if not self._starts:
            self._starts = [0, *accumulate(map(len, self._certificates))]
            self._joined = b"".join(self._certificates)
        at = -1
        while (at := self._joined.find(octets, at + 1)) >= 0:
            place = bisect_right(self._starts, at) - 1
            names = self._names(place)
            if names is not None:
                yield self._certificates[place], names
            at = self._starts[place + 1] - 1

    def _names(self, place: int) -> CertificateNames | None:
        if place not in self._read:
            if len(self._read) == _MAX_READ:
                return None
            self._read[place] = names_of(self._certificates[place])
        return self._read[place]


def extension_of(certificate: bytes, identifier: bytes) -> bytes | None:
    """The value of the first extension with that encoded OID; nothing where there is none that can be read."""
    try:
        fields = _fields(certificate)
        extensions = fields[-1].contents if fields[-1].tag == _EXTENSIONS else b""
        return next(_extension_values(extensions, identifier), None)
    except (UntrustworthyError, IndexError):
        return None


def names_of(certificate: bytes) -> CertificateNames | None:
    """What names a certificate, read from its octets (RFC 5280, 4.1); nothing if they are none."""
    return _names_of(certificate) if len(certificate) <= _KEPT else _names_of.__wrapped__(certificate)


@lru_cache(maxsize=64)  # the mails of one run come from few signers
def _names_of(certificate: bytes) -> CertificateNames | None:
    try:
        fields = _fields(certificate)
        serial, _, issuer = fields[1:4] if fields[0].tag == _VERSION else fields[:3]
        if (serial.tag, issuer.tag) != (der.INTEGER, der.SEQUENCE):
            return None
        extensions = fields[-1].contents if fields[-1].tag == _EXTENSIONS else b""
        key_identifier = next(_extension_values(extensions, _SUBJECT_KEY_IDENTIFIER), None)
        if key_identifier is not None:
            key_identifier = value(key_identifier, der.OCTET_STRING)
        return CertificateNames(issuer.encoded, integer(serial.contents), key_identifier)
    except (UntrustworthyError, IndexError, ValueError):
        return None


def _fields(certificate: bytes) -> list[Value]:
    """The fields of the TBSCertificate."""
    tbs_certificate = values(value(certificate, der.SEQUENCE), _MAX_FIELDS)[0]
    return values(value(tbs_certificate.encoded, der.SEQUENCE), _MAX_FIELDS)


def _extension_values(extensions: bytes, identifier: bytes) -> Iterator[bytes]:
    """What stands in the OCTET STRINGs of the extensions with that encoded OID."""
    if identifier in extensions:
        for extension in values(value(extensions, der.SEQUENCE), _MAX_EXTENSIONS):
            if extension.contents.startswith(identifier):
                yield values(extension.contents, _MAX_FIELDS)[-1].contents
