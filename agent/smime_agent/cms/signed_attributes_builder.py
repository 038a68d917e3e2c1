"""The signed attributes of a SignerInfo: what a signature on mail is really over."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.algorithms import ContentEncryption, Digest
from smime_agent.cms import oids
from smime_agent.keys import ToBeSigned

if TYPE_CHECKING:
    from datetime import datetime

    from smime_agent.algorithms import SignatureScheme
    from smime_agent.keys import Identity, SignerCertificate

_SHA256: Final = Digest.SHA256.algorithm_identifier_with_null
#: What an answer may be encrypted with, most wanted first, parameters absent (RFC 8551, 2.5.2; RFC 3565, 5.1;
#: RFC 8103, 4); then how its key may be encrypted to an RSA key. RFC 3560, 5, prints the last without the tags that
#: RFC 4055, 4.1, gives it: what is printed cannot be decoded.
_CAPABILITIES: Final = der.sequence(
    der.algorithm(ContentEncryption.AES256_GCM.oid),
    der.algorithm(ContentEncryption.AES128_GCM.oid),
    der.algorithm(ContentEncryption.CHACHA20_POLY1305.oid),
    der.algorithm(ContentEncryption.AES256_CBC.oid),
    der.algorithm(ContentEncryption.AES192_CBC.oid),
    der.algorithm(ContentEncryption.AES128_CBC.oid),
    der.algorithm(
        "1.2.840.113549.1.1.7",  # id-RSAES-OAEP
        der.sequence(der.context(0, _SHA256), der.context(1, der.algorithm("1.2.840.113549.1.1.8", _SHA256))),
    ),
)


def attribute(dotted: str, value: bytes) -> bytes:
    """One Attribute of one value: ``SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF AttributeValue }``."""
    return der.sequence(_encoded(dotted), der.tlv(der.SET, value))


_encoded = lru_cache(maxsize=None)(der.object_identifier)


class SignedAttributesBuilder:
    """The attributes of one signer: those that never change encoded once, the rest with each message."""

    def __init__(self, identity: Identity, scheme: SignatureScheme) -> None:
        """Prepare for messages signed by ``identity`` with ``scheme``."""
        self._constant = [
            attribute(oids.CONTENT_TYPE, der.object_identifier(oids.ID_DATA)),
            attribute(oids.SMIME_CAPABILITIES, _CAPABILITIES),
            attribute(oids.SIGNING_CERTIFICATE_V2, _signing_certificate_v2(identity.certificate)),
            attribute(oids.CMS_ALGORITHM_PROTECTION, cms_algorithm_protection(scheme)),
        ]
        if identity.encryption_certificate is not None:  # RFC 8551, 2.5.3: when it is another than the signer's
            preference = der.context(0, _issuer_and_serial_contents(identity.encryption_certificate))
            self._constant.append(attribute(oids.ENCRYPTION_KEY_PREFERENCE, preference))
        self._frame: tuple[datetime, bytes, bytes] | None = None

    def encode(self, digest: bytes, at: datetime) -> ToBeSigned:
        """What is signed for a content with this digest at this time: the DER SET OF (RFC 5652, 5.4)."""
        frame = self._frame
        if frame is None or frame[0] != at:  # many mails are signed in a second
            frame = self._frame = (at, *self._framed(len(digest), at))
        return ToBeSigned(frame[1] + digest + frame[2])

    def _framed(self, length: int, at: datetime) -> tuple[bytes, bytes]:
        """What stands before the digest and after it: DER sorts the set by octets that come before the digest."""
        place = attribute(oids.MESSAGE_DIGEST, der.octet_string(bytes(length)))
        before, _, after = der.set_of([*self._constant, _signing_time(at), place]).partition(place)
        return before + place[:-length], after


def issuer_and_serial_number(certificate: SignerCertificate) -> bytes:
    """An IssuerAndSerialNumber (RFC 5652, 10.2.4)."""
    return der.sequence(_issuer_and_serial_contents(certificate))


def _issuer_and_serial_contents(certificate: SignerCertificate) -> bytes:
    return certificate.issuer_encoded + der.integer(certificate.serial_number)


def _signing_time(at: datetime) -> bytes:
    return attribute(oids.SIGNING_TIME, der.time(at))


def _signing_certificate_v2(certificate: SignerCertificate) -> bytes:
    """SigningCertificateV2 with one ESSCertIDv2, its hashAlgorithm the default, SHA-256 (RFC 5035, 4)."""
    general_names = der.sequence(der.context(4, certificate.issuer_encoded))
    issuer_serial = der.sequence(general_names, der.integer(certificate.serial_number))
    return der.sequence(der.sequence(der.sequence(der.octet_string(certificate.fingerprint), issuer_serial)))


def cms_algorithm_protection(scheme: SignatureScheme) -> bytes:
    """``SEQUENCE { digestAlgorithm, signatureAlgorithm [1] IMPLICIT }`` (RFC 6211, 2)."""
    signature_algorithm = b"\xa1" + scheme.algorithm_identifier[1:]
    return der.sequence(scheme.digest.algorithm_identifier, signature_algorithm)
