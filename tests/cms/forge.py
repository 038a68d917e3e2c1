"""SignedData as anybody might write it, right or wrong: every part can be put in another's place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from smime_agent import der
from smime_agent.accepted import HashFunction
from smime_agent.cms import SignedData, check_signature, digest_content, oids
from smime_agent.cms.public_key import _HASHES
from smime_agent.source import Source
from smime_agent.x509 import Certificate
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives import hashes

    from smime_agent.cms import CheckedSignature
    from smime_agent.cms.signature_algorithm import SignatureAlgorithm
    from tests.support.ca import Authority

CONTENT = b"Content-Type: text/plain\r\n\r\nHello, Bob.\r\n"
AT = datetime(2026, 5, 17, 12, 30, 1, tzinfo=UTC)
ALICE = Wanted()
SHA1, SHA256 = (der.algorithm(one.oid) for one in (HashFunction.SHA1, HashFunction.SHA256))


def indefinite(tag: int, *contents: bytes) -> bytes:
    """A value without a length."""
    return bytes((tag, 0x80)) + b"".join(contents) + b"\0\0"


def attribute(oid: str, *values: bytes) -> bytes:
    return der.sequence(der.object_identifier(oid), der.tlv(der.SET, *values))


def content_type(oid: str = oids.ID_DATA) -> bytes:
    return attribute(oids.CONTENT_TYPE, der.object_identifier(oid))


def message_digest(digest: bytes) -> bytes:
    return attribute(oids.MESSAGE_DIGEST, der.octet_string(digest))


def signing_time(value: bytes | None = None) -> bytes:
    return attribute(oids.SIGNING_TIME, value or der.time(AT))


def ess_certificate(digest: bytes, *rest: bytes, hash_algorithm: bytes = b"") -> bytes:
    return der.sequence(der.sequence(der.sequence(hash_algorithm, der.octet_string(digest), *rest)))


def issuer_serial(certificate: Certificate) -> bytes:
    names = der.sequence(der.context(4, certificate.issuer_encoded))
    return der.sequence(names, der.integer(certificate.serial_number))


@dataclass(frozen=True)
class Forge:
    """One signer's SignedData. ``sign`` makes the signature over octets."""

    certificate: Certificate
    sign: Callable[[bytes], bytes]
    signature_algorithm: bytes
    digest_algorithm: bytes = SHA256
    digest: HashFunction = HashFunction.SHA256
    content: bytes = CONTENT
    content_type: str = oids.ID_DATA
    attributes: tuple[bytes, ...] | None = ()
    sort: bool = True
    has_key_identifier: bool = False
    certificates: tuple[bytes, ...] | None = None
    unsigned: bytes = b""
    detached: bool = False

    def usual(self, *more: bytes) -> Forge:
        """With the attributes that everybody writes, and more."""
        usual = (content_type(self.content_type), message_digest(self.digest.of(self.content)), signing_time())
        return replace(self, attributes=(*usual, *more))

    def bare(self) -> Forge:
        """Without signed attributes."""
        return replace(self, attributes=None)

    def but(self, **changes: Any) -> Forge:  # noqa: ANN401 - whatever the fields are
        return replace(self, **changes)

    def signer_info(self) -> bytes:
        certificate = self.certificate
        sid = der.sequence(certificate.issuer_encoded, der.integer(certificate.serial_number))
        if self.has_key_identifier:
            sid = der.tlv(0x80, certificate.subject_key_identifier or b"")
        attributes = b""
        signed = self.content
        if self.attributes is not None:
            parts = sorted(self.attributes) if self.sort else list(self.attributes)
            signed = der.tlv(der.SET, *parts)
            attributes = b"\xa0" + signed[1:]
        return der.sequence(
            der.integer(3 if self.has_key_identifier else 1),
            sid,
            self.digest_algorithm,
            attributes,
            self.signature_algorithm,
            der.octet_string(self.sign(signed)),
            self.unsigned,
        )

    def encode(self, *other_signers: bytes) -> bytes:
        certificates = (self.certificate.encoded,) if self.certificates is None else self.certificates
        content = b"" if self.detached else der.context(0, der.octet_string(self.content))
        signed_data = der.sequence(
            der.integer(1),
            der.set_of([self.digest_algorithm]),
            der.sequence(der.object_identifier(self.content_type), content),
            der.context(0, *certificates) if certificates else b"",
            der.tlv(der.SET, self.signer_info(), *other_signers),
        )
        return der.sequence(der.object_identifier(oids.ID_SIGNED_DATA), der.context(0, signed_data))

    def check(self, certificate: Certificate | None = None) -> CheckedSignature:
        return check(self.encode(), certificate or self.certificate, self.content)


def read(octets: bytes) -> SignedData:
    return SignedData.read(Source.from_bytes(octets))


def check(octets: bytes, certificate: Certificate, content: bytes = CONTENT) -> CheckedSignature:
    """The first signer, checked."""
    signed_data = read(octets)
    digests = digest_content([content], [one.digest_algorithm for one in signed_data.signer_infos])
    return check_signature(signed_data, signed_data.signer_infos[0], digests, certificate, content=lambda: content)


def certified(authority: Authority, key: object, wanted: Wanted = ALICE) -> Certificate:
    """A certificate for a public key of the cryptography package."""
    return Certificate(authority.issue(key, wanted).public_bytes(Encoding.DER))


def rsa_forge(authority: Authority, key: rsa.RSAPrivateKey, digest: HashFunction = HashFunction.SHA256) -> Forge:
    def sign(octets: bytes) -> bytes:
        return key.sign(octets, padding.PKCS1v15(), primitive(digest))

    algorithm = der.algorithm("1.2.840.113549.1.1.1", der.NULL)
    return Forge(certified(authority, key.public_key()), sign, algorithm, der.algorithm(digest.oid), digest).usual()


def pss_forge(authority: Authority, key: rsa.RSAPrivateKey, how: SignatureAlgorithm, parameters: bytes) -> Forge:
    digest, mask = how.hash_function, how.mask_hash
    assert digest is not None
    assert mask is not None

    def sign(octets: bytes) -> bytes:
        return key.sign(octets, padding.PSS(padding.MGF1(primitive(mask)), how.salt_length), primitive(digest))

    algorithm = der.algorithm("1.2.840.113549.1.1.10", parameters)
    return Forge(certified(authority, key.public_key()), sign, algorithm, der.algorithm(digest.oid), digest).usual()


def ec_forge(authority: Authority, key: ec.EllipticCurvePrivateKey, oid: str, digest: HashFunction) -> Forge:
    def sign(octets: bytes) -> bytes:
        return key.sign(octets, ec.ECDSA(primitive(digest)))

    certificate = certified(authority, key.public_key())
    return Forge(certificate, sign, der.algorithm(oid), der.algorithm(digest.oid), digest).usual()


def dsa_forge(authority: Authority, key: dsa.DSAPrivateKey, oid: str, digest: HashFunction) -> Forge:
    def sign(octets: bytes) -> bytes:
        return key.sign(octets, primitive(digest))

    certificate = certified(authority, key.public_key())
    return Forge(certificate, sign, der.algorithm(oid), der.algorithm(digest.oid), digest).usual()


def pure_forge(authority: Authority, key: Any, oid: str, digest: HashFunction, digest_algorithm: bytes = b"") -> Forge:  # noqa: ANN401 - one of five classes
    certificate = certified(authority, key.public_key())
    return Forge(
        certificate, key.sign, der.algorithm(oid), digest_algorithm or der.algorithm(digest.oid), digest
    ).usual()


def primitive(function: HashFunction) -> hashes.HashAlgorithm:
    return _HASHES[function]()


def pss_parameters(digest: HashFunction, mask: HashFunction, salt: int) -> bytes:
    """RSASSA-PSS-params in full."""
    mgf1 = der.algorithm("1.2.840.113549.1.1.8", der.algorithm(mask.oid, der.NULL))
    return der.sequence(
        der.context(0, der.algorithm(digest.oid, der.NULL)), der.context(1, mgf1), der.context(2, der.integer(salt))
    )
