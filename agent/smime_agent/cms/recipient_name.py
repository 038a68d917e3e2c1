"""How a recipient is named in a message: by issuer and serial number, or by the identifier of the key.

::

    RecipientIdentifier ::= CHOICE {                                                 -- RFC 5652, 6.2.1
      issuerAndSerialNumber IssuerAndSerialNumber, subjectKeyIdentifier [0] SubjectKeyIdentifier }
    KeyAgreeRecipientIdentifier ::= CHOICE {                                         -- RFC 5652, 6.2.2
      issuerAndSerialNumber IssuerAndSerialNumber, rKeyId [0] IMPLICIT RecipientKeyIdentifier }
    RecipientKeyIdentifier ::= SEQUENCE { subjectKeyIdentifier OCTET STRING, ... }
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms.signed_attributes_builder import issuer_and_serial_number
from smime_agent.errors import UsageError

if TYPE_CHECKING:
    from smime_agent.x509 import Certificate

_EMPTY_NAME: Final = der.sequence()


class RecipientName(Enum):
    """What names a recipient. All programs know the first; some certificates only leave the second."""

    ISSUER_AND_SERIAL_NUMBER = "issuerAndSerialNumber"
    SUBJECT_KEY_IDENTIFIER = "subjectKeyIdentifier"

    @staticmethod
    def for_certificate(certificate: Certificate, wanted: RecipientName) -> RecipientName:
        """What names the holder of a certificate: what is ``wanted``, unless the issuer has an empty name.

        Raises:
            UsageError: the certificate has no subjectKeyIdentifier, and needs one.
        """
        by_key = wanted is RecipientName.SUBJECT_KEY_IDENTIFIER or certificate.issuer_encoded == _EMPTY_NAME
        if by_key and not certificate.subject_key_identifier:
            raise UsageError(f"the certificate of {certificate.holder} has no subjectKeyIdentifier to name it by")
        return RecipientName.SUBJECT_KEY_IDENTIFIER if by_key else RecipientName.ISSUER_AND_SERIAL_NUMBER


def recipient_identifier(certificate: Certificate, name: RecipientName) -> tuple[bytes, bytes]:
    """The version of a KeyTransRecipientInfo and its RecipientIdentifier, both in DER (RFC 5652, 6.2.1)."""
    if RecipientName.for_certificate(certificate, name) is RecipientName.ISSUER_AND_SERIAL_NUMBER:
        return der.integer(0), issuer_and_serial_number(certificate)
    return der.integer(2), der.context(0, certificate.subject_key_identifier or b"", constructed=False)


def key_agree_recipient_identifier(certificate: Certificate, name: RecipientName) -> bytes:
    """A KeyAgreeRecipientIdentifier in DER (RFC 5652, 6.2.2)."""
    if RecipientName.for_certificate(certificate, name) is RecipientName.ISSUER_AND_SERIAL_NUMBER:
        return issuer_and_serial_number(certificate)
    return der.context(0, der.octet_string(certificate.subject_key_identifier or b""))
