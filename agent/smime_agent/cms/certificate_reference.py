"""signingCertificate and signingCertificateV2: which certificate the signer meant (RFC 2634, 5.4; RFC 5035, 3 and 4).

::

    SigningCertificateV2 ::= SEQUENCE { certs SEQUENCE OF ESSCertIDv2, policies SEQUENCE OF ... OPTIONAL }
    ESSCertIDv2 ::= SEQUENCE {
      hashAlgorithm AlgorithmIdentifier DEFAULT {algorithm id-sha256}, certHash OCTET STRING,
      issuerSerial SEQUENCE { issuer GeneralNames, serialNumber INTEGER } OPTIONAL }

The older ones are the same without hashAlgorithm, which is SHA-1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from smime_agent import der
from smime_agent.accepted import HashFunction
from smime_agent.cms.ber import exceeded, integer, malformed
from smime_agent.cms.normal import value, values
from smime_agent.cms.signature_algorithm import hash_function
from smime_agent.cms.signer_info import algorithm_of
from smime_agent.verdict import Code, UntrustworthyError
from smime_agent.x509 import same_name

if TYPE_CHECKING:
    from smime_agent.x509 import Certificate

#: Octets of one such attribute, which may name all certificates of a path.
MAX_REFERENCE: Final = 65_536
_DIRECTORY_NAME: Final = 0xA4


class _Reference(NamedTuple):
    """The first certificate that is named: the signer's."""

    hash_function: HashFunction
    digest: bytes
    issuer: bytes | None
    serial_number: int | None


def check_certificate_reference(encoded: bytes, certificate: Certificate, *, has_hash: bool) -> None:
    """See that the attribute names this certificate; ``has_hash`` is for version 2.

    Raises:
        UntrustworthyError: it names another one, or none.
    """
    if len(encoded) > MAX_REFERENCE:
        exceeded(f"a signingCertificate of more than {MAX_REFERENCE} octets")
    reference = _reference(encoded, has_hash=has_hash)
    names = True
    if reference.issuer is not None:
        names = reference.serial_number == certificate.serial_number
        names = names and same_name(reference.issuer, certificate.issuer_encoded)
    if not names or reference.hash_function.of(certificate.encoded) != reference.digest:
        text = "the signer signed with another certificate than the one that fits the signature"
        raise UntrustworthyError(Code.CERTIFICATE_MISMATCH, text)


@lru_cache(maxsize=64)  # the mails of a signer name the same
def _reference(encoded: bytes, *, has_hash: bool) -> _Reference:
    certificates = values(value(encoded, der.SEQUENCE))
    named = values(certificates[0].contents) if certificates and certificates[0].tag == der.SEQUENCE else []
    if not named or named[0].tag != der.SEQUENCE:
        malformed("a signingCertificate that names none")
    fields = values(named[0].contents)
    function = HashFunction.SHA256 if has_hash else HashFunction.SHA1
    if has_hash and fields and fields[0].tag == der.SEQUENCE:
        function = hash_function(algorithm_of(fields.pop(0).encoded))
    tags = [field.tag for field in fields]
    if tags not in ([der.OCTET_STRING], [der.OCTET_STRING, der.SEQUENCE]):
        malformed("an ESSCertID that is none")
    issuer, serial_number = _issuer_serial(fields[1].contents) if len(fields) > 1 else (None, None)
    return _Reference(function, fields[0].contents, issuer, serial_number)


def _issuer_serial(contents: bytes) -> tuple[bytes, int]:
    """IssuerSerial; the issuer is the directoryName alone (RFC 5035, 4)."""
    parts = values(contents)
    if [part.tag for part in parts] != [der.SEQUENCE, der.INTEGER]:
        malformed("an IssuerSerial that is none")
    names = values(parts[0].contents)
    if [name.tag for name in names] != [_DIRECTORY_NAME]:
        malformed("an IssuerSerial whose issuer is not one name")
    return names[0].contents, integer(parts[1].contents)
