"""OCSP: the request, and whether a response is about the certificate, of when, and by whom (RFC 6960)."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.retrieval.answers import GARBAGE, Answer, Question, UnavailableError, refusals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from cryptography.x509.ocsp import OCSPResponse, OCSPSingleResponse

    from smime_agent.retrieval.limits import Limits
    from smime_agent.x509 import Certificate

_SHA1: Final = "1.3.14.3.2.26"
#: A response with more certificates than this is not one responder's.
_MAXIMUM_CERTIFICATES: Final = 8


@dataclass(frozen=True, slots=True)
class OcspQuestion(Question):
    """The status of one certificate, asked of one responder."""

    kind = "ocsp"

    @property
    def body(self) -> bytes:
        """The DER OCSPRequest."""
        name, key = _issuer_digests(self.certificate, self.issuer)
        return _request(name, key, self.certificate.serial_number)

    def bounds(self, limits: Limits) -> tuple[int, timedelta]:
        """As much as a response with its responder's certificates has."""
        return limits.ocsp_octets, limits.ocsp_age

    def judge(self, octets: bytes, now: datetime) -> Answer:
        """The response; without doubt if the issuer signed it, or whom the issuer asked to (RFC 6960, 4.2.2.2)."""
        from cryptography.x509.ocsp import OCSPCertStatus

        response, single = self._read(octets)
        doubt = None
        if single.certificate_status is OCSPCertStatus.UNKNOWN:
            doubt = f"{self.host} does not know the certificate"
        elif not _is_signed(response, self.issuer, now):
            doubt = f"the answer of {self.host} is signed neither with the issuer's key nor by who the issuer named"
        return Answer(octets, single.this_update_utc, single.next_update_utc, doubt)

    def recall(self, octets: bytes) -> Answer:
        """The response, its signature not checked again."""
        _, single = self._read(octets)
        return Answer(octets, single.this_update_utc, single.next_update_utc)

    def _read(self, octets: bytes) -> tuple[OCSPResponse, OCSPSingleResponse]:
        from cryptography.x509.ocsp import OCSPResponseStatus, load_der_ocsp_response

        name, key = _issuer_digests(self.certificate, self.issuer)
        asked = (name, key, self.certificate.serial_number)
        try:
            response = load_der_ocsp_response(octets)
            if response.response_status is not OCSPResponseStatus.SUCCESSFUL:
                status = response.response_status.name.lower().replace("_", " ")
                raise UnavailableError(f"{self.host} refused to answer: {status}")
            for single in response.responses:
                if (single.issuer_name_hash, single.issuer_key_hash, single.serial_number) == asked:
                    return response, single
        except refusals() as error:
            msg = f"{self.host} sent something that is no OCSP response"
            raise UnavailableError(msg) from error
        msg = f"{self.host} answered about another certificate"
        raise UnavailableError(msg)


def _request(name: bytes, key: bytes, serial_number: int) -> bytes:
    """The DER OCSPRequest for one certificate, without a nonce (RFC 6960, 4.1.1; RFC 5019, 2.1.1).

    A nonce would buy nothing: a responder may leave it out of its answer, so whoever wants to replay an answer asks
    for one without a nonce himself. What counts is nextUpdate. CertID is in SHA-1, which every responder knows.
    """
    certificate_id = der.sequence(
        der.algorithm(_SHA1, der.NULL), der.octet_string(name), der.octet_string(key), der.integer(serial_number)
    )
    return der.sequence(der.sequence(der.sequence(der.sequence(certificate_id))))


@lru_cache(maxsize=1024)
def _issuer_digests(certificate: Certificate, issuer: Certificate) -> tuple[bytes, bytes]:
    """The issuerNameHash and issuerKeyHash of a CertID: SHA-1 of the name, and of the key's BIT STRING alone."""
    from asn1crypto.keys import PublicKeyInfo

    name = hashlib.sha1(certificate.issuer_encoded, usedforsecurity=False).digest()
    try:
        return name, bytes(PublicKeyInfo.load(issuer.public_key_info).sha1)
    except GARBAGE as error:
        msg = "the issuer's key cannot be read"
        raise UnavailableError(msg) from error


def _is_signed(response: OCSPResponse, issuer: Certificate, now: datetime) -> bool:
    return any(_has_signed(key, response) for key in _responder_keys(response, issuer, now))


def _responder_keys(response: OCSPResponse, issuer: Certificate, now: datetime) -> Iterator[PublicKeyTypes]:
    """The keys that may sign for the issuer: its own, and those it gave to responders whose certificate is inside."""
    from cryptography import x509

    with suppress(*refusals()):
        above = x509.load_der_x509_certificate(issuer.encoded)
        yield above.public_key()
        for certificate in response.certificates[:_MAXIMUM_CERTIFICATES]:
            with suppress(*refusals()):
                if _is_responder(certificate, now):
                    certificate.verify_directly_issued_by(above)
                    yield certificate.public_key()


def _is_responder(certificate: x509.Certificate, now: datetime) -> bool:
    """The certificate is valid and has the extended key usage OCSPSigning (RFC 6960, 4.2.2.2)."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    is_valid = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    return is_valid and ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _has_signed(key: PublicKeyTypes, response: OCSPResponse) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

    signature, signed = response.signature, response.tbs_response_bytes
    try:
        digest = response.signature_hash_algorithm
        if isinstance(key, rsa.RSAPublicKey) and digest:
            key.verify(signature, signed, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest:
            key.verify(signature, signed, ec.ECDSA(digest))
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        else:
            return False
    except refusals():
        return False
    return True
