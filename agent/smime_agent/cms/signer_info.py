"""SignerInfo: who signed, how, and what exactly (RFC 5652, 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms.attributes import attributes_of, read_attributes
from smime_agent.cms.ber import CONSTRUCTED, exceeded, integer, malformed, object_identifier
from smime_agent.cms.content_info import CONTEXT_0, CONTEXT_1, OBJECT_IDENTIFIER
from smime_agent.cms.normal import encodings, to_der, value, values
from smime_agent.x509 import same_name

if TYPE_CHECKING:
    from smime_agent.cms.attributes import Attribute
    from smime_agent.cms.ber import Element, Reader
    from smime_agent.x509 import Certificate

#: An AlgorithmIdentifier, a subjectKeyIdentifier and a signature, in octets; SLH-DSA signs in 49,856.
MAX_ALGORITHM: Final = 4_096
MAX_KEY_IDENTIFIER: Final = 1_024
MAX_SIGNATURE: Final = 65_536
#: The signed attributes of one signer: their octets, and all values in them.
MAX_SIGNED: Final = 1024 * 1024
MAX_SIGNED_VALUES: Final = 10_000
_KEY_IDENTIFIER: Final = (0x80, CONTEXT_0)  # an OCTET STRING in one piece, or in several


@dataclass(frozen=True, slots=True)
class AlgorithmIdentifier:
    """An algorithm by its dotted OID, and the DER of its parameters if there are any."""

    oid: str
    parameters: bytes | None

    @property
    def effective_parameters(self) -> bytes | None:
        """The parameters, NULL being the same as none (RFC 6211, 3)."""
        return None if self.parameters == der.NULL else self.parameters


@dataclass(frozen=True, slots=True)
class SignerIdentifier:
    """How a signer is named: by issuer (DER) and serial number of the certificate, or by its subjectKeyIdentifier."""

    issuer: bytes | None
    serial_number: int | None
    subject_key_identifier: bytes | None

    def __str__(self) -> str:
        """``serial number 1f2e`` or ``key identifier 0a1b``, in hexadecimal; nothing of it needs to be escaped."""
        if self.subject_key_identifier is not None:
            return f"key identifier {self.subject_key_identifier.hex()}"
        return f"serial number {self.serial_number:x}"

    def names(self, certificate: Certificate) -> bool:
        """Whether it is that certificate's."""
        if self.subject_key_identifier is not None:
            return certificate.subject_key_identifier == self.subject_key_identifier
        if self.issuer is None or self.serial_number != certificate.serial_number:
            return False
        return self.issuer == certificate.issuer_encoded or same_name(self.issuer, certificate.issuer_encoded)


@dataclass(frozen=True, slots=True)
class SignerInfo:
    """One signer.

    ``signed_octets`` are the octets that the signature may be over, the tag of SET OF first: the attributes in the
    order in which they came, then, if that is another, sorted as DER wants it (RFC 5652, 5.4). There are signers that
    sign what they send without sorting it, and OpenSSL accepts them. Without signed attributes there are none.
    """

    version: int
    sid: SignerIdentifier
    digest_algorithm: AlgorithmIdentifier
    signed_attributes: tuple[Attribute, ...] | None
    signed_octets: tuple[bytes, ...]
    signature_algorithm: AlgorithmIdentifier
    signature: bytes
    unsigned_attributes: tuple[Attribute, ...]


def read_signer_info(reader: Reader, element: Element) -> SignerInfo:
    """A SignerInfo of a SignedData.

    Raises:
        UntrustworthyError: it is none.
        FileError: it cannot be read.
    """
    fields = reader.fields(element, der.SEQUENCE)
    version = integer(reader.contents(fields.required(der.INTEGER)))
    sid = _signer_identifier(reader, fields.required(der.SEQUENCE, *_KEY_IDENTIFIER))
    digest_algorithm = read_algorithm(reader, fields.required(der.SEQUENCE))
    signed = fields.optional(CONTEXT_0)
    octets = _signed_octets(reader.encoded(signed)) if signed is not None else ()
    signature_algorithm = read_algorithm(reader, fields.required(der.SEQUENCE))
    signature = reader.string(fields.required(der.OCTET_STRING, der.OCTET_STRING | CONSTRUCTED), MAX_SIGNATURE)
    unsigned = fields.optional(CONTEXT_1)
    fields.finish()
    return SignerInfo(
        version=version,
        sid=sid,
        digest_algorithm=digest_algorithm,
        signed_attributes=attributes_of(octets[0]) if octets else None,
        signed_octets=octets,
        signature_algorithm=signature_algorithm,
        signature=signature,
        unsigned_attributes=read_attributes(reader, unsigned) if unsigned is not None else (),
    )


def _signed_octets(travelling: bytes) -> tuple[bytes, ...]:
    """What the signature may be over: not [0] but SET OF (RFC 5652, 5.4)."""
    if len(travelling) > MAX_SIGNED:
        exceeded(f"signed attributes of more than {MAX_SIGNED // 1024} KiB")
    return encodings(bytes((der.SET,)) + travelling[1:], MAX_SIGNED_VALUES)


def read_algorithm(reader: Reader, element: Element) -> AlgorithmIdentifier:
    """An AlgorithmIdentifier; the ones that occur again and again are read once.

    Raises:
        UntrustworthyError: it is none, or of more than 4 KiB.
        FileError: it cannot be read.
    """
    return algorithm_of(reader.encoded(element))


def algorithm_of(encoded: bytes) -> AlgorithmIdentifier:
    """An AlgorithmIdentifier from its octets: ``SEQUENCE { algorithm, parameters ANY OPTIONAL }``.

    Raises:
        UntrustworthyError: it is none, or of more than 4 KiB.
    """
    if len(encoded) > MAX_ALGORITHM:
        exceeded(f"an AlgorithmIdentifier of more than {MAX_ALGORITHM} octets")
    return _algorithm_of(encoded)


@lru_cache(maxsize=256)
def _algorithm_of(encoded: bytes) -> AlgorithmIdentifier:
    parts = values(value(to_der(encoded), der.SEQUENCE))
    if not 1 <= len(parts) <= 2 or parts[0].tag != OBJECT_IDENTIFIER:  # noqa: PLR2004 - OID and parameters
        malformed("an AlgorithmIdentifier that is none")
    return AlgorithmIdentifier(object_identifier(parts[0].contents), parts[1].encoded if len(parts) > 1 else None)


def _signer_identifier(reader: Reader, element: Element) -> SignerIdentifier:
    """``CHOICE { issuerAndSerialNumber, subjectKeyIdentifier [0] IMPLICIT OCTET STRING }``."""
    if element.tag in _KEY_IDENTIFIER:
        return SignerIdentifier(None, None, reader.string(element, MAX_KEY_IDENTIFIER))
    fields = reader.fields(element, der.SEQUENCE)
    issuer = _name(reader.encoded(fields.required(der.SEQUENCE)))
    serial_number = integer(reader.contents(fields.required(der.INTEGER)))
    fields.finish()
    return SignerIdentifier(issuer, serial_number, None)


def _name(encoded: bytes) -> bytes:
    """A name in DER; those that occur again and again are made so once."""
    return _short_name(encoded) if len(encoded) <= MAX_ALGORITHM else to_der(encoded)


@lru_cache(maxsize=64)
def _short_name(encoded: bytes) -> bytes:
    return to_der(encoded)
