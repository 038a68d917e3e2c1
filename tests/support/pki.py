"""Certificates, CRLs and OCSP responses that say whatever a test wants, wrong or right, with fast keys (P-256)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from smime_agent import der
from smime_agent.certificates.request import general_name
from smime_agent.trust.anchors import Anchor
from smime_agent.x509 import Certificate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MAIL = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
Extensions = tuple[tuple[x509.ExtensionType, bool], ...]


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def usage(*bits: str) -> x509.KeyUsage:
    """A keyUsage with these bits, by their names in the cryptography package."""
    return x509.KeyUsage(**{name: name in bits for name in _USAGES})


CA_USAGE = usage("key_cert_sign", "crl_sign")


@dataclass
class Party:
    """Somebody with a key and a certificate, which ``issuer`` signed; without one it is signed by itself."""

    name: str
    issuer: Party | None = None
    ca: bool | None = True  # None: no basicConstraints
    path_length: int | None = None
    key_usage: x509.KeyUsage | None = CA_USAGE
    extra: Extensions = ()
    address: str | None = None
    not_before: datetime = NOW - 400 * DAY
    not_after: datetime = NOW + 400 * DAY
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    digest: Any = field(default_factory=hashes.SHA256)  # None for keys that have one of their own
    serial_number: int = field(default_factory=x509.random_serial_number)
    subject: x509.Name | None = None

    def __post_init__(self) -> None:
        """Make the certificate."""
        issuer = self.issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.distinguished_name)
            .issuer_name(issuer.distinguished_name)
            .public_key(self.key.public_key())
            .serial_number(self.serial_number)
            .not_valid_before(self.not_before)
            .not_valid_after(self.not_after)
        )
        for extension, critical in self._extensions():
            builder = builder.add_extension(extension, critical=critical)
        self.x509 = builder.sign(issuer.key, issuer.digest if self.issuer else self.digest)
        self.der = self.x509.public_bytes(Encoding.DER)

    def _extensions(self) -> Iterable[tuple[x509.ExtensionType, bool]]:
        given = {type(extension) for extension, _ in self.extra}
        if self.ca is not None:
            yield x509.BasicConstraints(ca=self.ca, path_length=self.path_length), True
        if self.key_usage is not None:
            yield self.key_usage, True
        if self.address is not None and x509.SubjectAlternativeName not in given:
            yield x509.SubjectAlternativeName([general_name(self.address)]), False
        yield x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False
        if self.issuer:
            yield x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issuer.key.public_key()), False
        yield from self.extra

    @property
    def distinguished_name(self) -> x509.Name:
        """Its distinguished name: the common name alone, unless another was wanted."""
        return self.subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])

    @cached_property
    def certificate(self) -> Certificate:
        """Its certificate as the program has it."""
        return Certificate(self.der)

    @property
    def anchor(self) -> Anchor:
        """Its certificate as a trust anchor."""
        return Anchor(self.certificate, "a test")

    def crl(
        self,
        *revoked: tuple[int, datetime, x509.ReasonFlags | None],
        this_update: datetime = NOW - DAY,
        next_update: datetime = NOW + DAY,
        extra: Extensions = (),
    ) -> bytes:
        """A CRL of its own."""
        builder = x509.CertificateRevocationListBuilder(self.distinguished_name, this_update, next_update)
        for serial_number, date, reason in revoked:
            entry = x509.RevokedCertificateBuilder(serial_number, date)
            entry = entry.add_extension(x509.CRLReason(reason), critical=False) if reason else entry
            builder = builder.add_revoked_certificate(entry.build())
        for extension, critical in extra:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


def signer(issuer: Party | None, name: str = "Alice", **wanted: Any) -> Party:  # noqa: ANN401 - any field of a party
    """An end-entity certificate for mail, as it should be, unless something else is wanted."""
    defaults: dict[str, Any] = {
        "ca": False,
        "key_usage": usage("digital_signature"),
        "address": "alice@example.org",
        "extra": ((MAIL, False),),
    }
    return Party(name, issuer, **(defaults | wanted))


def response(  # noqa: PLR0913 - an OCSP response says many things
    about: Party,
    responder: Party,
    *,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    since: datetime | None = None,
    reason: x509.ReasonFlags | None = None,
    this_update: datetime = NOW - DAY,
    next_update: datetime | None = NOW + DAY,
    certificates: Sequence[x509.Certificate] | None = None,
) -> bytes:
    """An OCSP response about a certificate, signed by ``responder``, whose certificate travels with it."""
    assert about.issuer
    builder = ocsp.OCSPResponseBuilder().add_response(
        about.x509, about.issuer.x509, hashes.SHA256(), status, this_update, next_update, since, reason
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, responder.x509)
    travelling = [responder.x509] if certificates is None else certificates
    builder = builder.certificates(travelling) if travelling else builder
    return builder.sign(responder.key, hashes.SHA256()).public_bytes(Encoding.DER)


def version_1(party: Party) -> bytes:
    """A root of version 1, which has no extensions, with the name and key of ``party``."""
    algorithm = der.algorithm("1.2.840.10045.4.3.2")
    name = party.distinguished_name.public_bytes()
    key = party.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    validity = der.sequence(der.time(party.not_before), der.time(party.not_after))
    tbs = der.sequence(der.integer(1), algorithm, name, validity, name, key)
    signature = party.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return der.sequence(tbs, algorithm, der.tlv(0x03, b"\0", signature))


def with_sha1(party: Party) -> bytes:
    """The certificate of ``party``, whose issuer has an RSA key, signed with SHA-1."""
    sha256, sha1 = (der.algorithm(f"1.2.840.113549.1.1.{number}", der.NULL) for number in (11, 5))
    tbs = party.x509.tbs_certificate_bytes.replace(sha256, sha1)
    signature = (party.issuer or party).key.sign(tbs, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - what is tested
    return der.sequence(tbs, sha1, der.tlv(0x03, b"\0", signature))


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key, which may be too short."""
    return rsa.generate_private_key(65537, bits)


def signed_list(party: Party, entries: bytes) -> bytes:
    """A CRL of ``party``, whose key is RSA, with these encoded entries."""
    algorithm = der.algorithm("1.2.840.113549.1.1.11", der.NULL)
    tbs = der.sequence(
        der.integer(1),
        algorithm,
        party.distinguished_name.public_bytes(),
        der.time(NOW - DAY),
        der.time(NOW + DAY),
        der.sequence(entries) if entries else b"",
    )
    signature = party.key.sign(tbs, padding.PKCS1v15(), hashes.SHA256())
    return der.sequence(tbs, algorithm, der.tlv(0x03, b"\0", signature))
