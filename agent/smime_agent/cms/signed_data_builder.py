"""SignedData of one signer, assembled around a signature that a token made.

::

    ContentInfo ::= SEQUENCE { contentType, content [0] EXPLICIT SignedData }        -- RFC 5652, 3
    SignedData ::= SEQUENCE {                                                        -- RFC 5652, 5.1
      version CMSVersion,
      digestAlgorithms SET OF DigestAlgorithmIdentifier,
      encapContentInfo SEQUENCE { eContentType, eContent [0] EXPLICIT OCTET STRING OPTIONAL },
      certificates [0] IMPLICIT CertificateSet OPTIONAL,
      signerInfos SET OF SignerInfo }
    SignerInfo ::= SEQUENCE {                                                        -- RFC 5652, 5.3
      version, sid IssuerAndSerialNumber, digestAlgorithm,
      signedAttrs [0] IMPLICIT SignedAttributes, signatureAlgorithm, signature OCTET STRING }
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from smime_agent import der
from smime_agent.cms import oids
from smime_agent.cms.signed_attributes_builder import issuer_and_serial_number
from smime_agent.keys import ToBeSigned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from smime_agent.algorithms import SignatureScheme
    from smime_agent.keys import Identity

_SIGNED_DATA = der.object_identifier(oids.ID_SIGNED_DATA)
_DATA = der.object_identifier(oids.ID_DATA)
_VERSION = der.integer(1)  # the signer is named by issuer and serial number, the content is id-data


class SignedDataBuilder:
    """What does not change from one message of a signer to the next, encoded once."""

    def __init__(self, identity: Identity, scheme: SignatureScheme) -> None:
        """Prepare for messages signed by ``identity`` with ``scheme``."""
        digest_algorithm = scheme.digest.algorithm_identifier
        self._head = _VERSION + der.set_of([digest_algorithm])
        self._detached_head = self._head + der.sequence(_DATA) + _certificate_set(identity)
        self._certificates = _certificate_set(identity)
        self._signer_head = _VERSION + issuer_and_serial_number(identity.certificate) + digest_algorithm
        self._signature_algorithm = scheme.algorithm_identifier
        self._frame = lru_cache(maxsize=8)(self._framed)

    def detached(self, attributes: ToBeSigned, signature: bytes) -> bytes:
        """A ContentInfo whose content travels beside it."""
        head, middle = self._frame(len(attributes), len(signature))
        return b"".join((head, attributes[1:], middle, signature))

    def _framed(self, attributes: int, signature: int) -> tuple[bytes, bytes]:
        """The octets before the attributes and before the signature: their lengths alone decide them."""
        signer_infos = self._signer_infos(ToBeSigned(bytes(attributes)), bytes(signature))
        whole = der.sequence(_SIGNED_DATA, der.context(0, der.sequence(self._detached_head, signer_infos)))
        end = len(whole) - signature
        start = end - len(self._signature_algorithm) - len(der.header(der.OCTET_STRING, signature))
        return whole[: start - attributes + 1], whole[start:end]

    def attached(
        self, attributes: ToBeSigned, signature: bytes, content: Iterable[bytes], length: int
    ) -> Iterator[bytes]:
        """A ContentInfo around a content of ``length`` octets, in pieces no larger than those of the content."""
        tail = self._certificates + self._signer_infos(attributes, signature)
        head = b""

        def wrap(tag: int, before: bytes = b"", after: int = 0) -> bytes:
            inside = before + head
            return der.header(tag, len(inside) + length + after) + inside

        head = wrap(der.OCTET_STRING)
        head = wrap(0xA0)
        head = wrap(der.SEQUENCE, _DATA)  # EncapsulatedContentInfo
        head = wrap(der.SEQUENCE, self._head, len(tail))  # SignedData
        head = wrap(0xA0, after=len(tail))
        yield wrap(der.SEQUENCE, _SIGNED_DATA, len(tail))  # ContentInfo
        yield from content
        yield tail

    def _signer_infos(self, attributes: ToBeSigned, signature: bytes) -> bytes:
        # What is signed has the tag of SET OF, what travels that of [0] (RFC 5652, 5.4).
        travelling = b"\xa0" + attributes[1:]
        signer_info = der.sequence(
            self._signer_head, travelling, self._signature_algorithm, der.octet_string(signature)
        )
        return der.set_of([signer_info])


def _certificate_set(identity: Identity) -> bytes:
    """The signer's certificate, its chain, and the certificate to encrypt answers to (RFC 5652, 10.2.3)."""
    certificates = {identity.certificate.encoded, *(certificate.encoded for certificate in identity.chain)}
    if identity.encryption_certificate is not None:
        certificates.add(identity.encryption_certificate.encoded)
    return b"\xa0" + der.set_of(certificates)[1:]
