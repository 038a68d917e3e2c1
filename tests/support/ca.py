"""A certification authority for tests, in software: root, intermediate and whatever end-entity a test asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from smime_agent.certificates.request import general_name

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Wanted:
    """What an end-entity certificate is to say. Days count from now."""

    addresses: tuple[str, ...] = ("alice@example.org",)
    name: str = "Alice Example"
    not_before: float = -1
    not_after: float = 90
    digital_signature: bool = True
    key_encipherment: bool = False
    key_agreement: bool = False
    email_protection: bool = True
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()


@dataclass
class Authority:
    """A CA with its certificate; ``parent`` is the one that issued it, none for a root."""

    name: str
    parent: Authority | None = None
    rsa_key: bool = True
    key: CertificateIssuerPrivateKeyTypes = field(init=False)
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        """Make the key and the certificate."""
        self.key = rsa.generate_private_key(65537, 2048) if self.rsa_key else ec.generate_private_key(ec.SECP256R1())
        issuer = self.parent or self
        builder = _builder(self.subject, issuer.subject, self.key.public_key(), -10, 3650)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        self.certificate = issuer.sign(_identified(builder, self.key.public_key(), issuer.key.public_key()))

    @property
    def subject(self) -> x509.Name:
        """Its distinguished name."""
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])

    @property
    def pem(self) -> bytes:
        """Its certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """Sign whatever it is."""
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, public_key: object, wanted: Wanted = Wanted()) -> x509.Certificate:
        """An end-entity certificate for a public key of the cryptography package."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted.name)] if wanted.name else [])
        builder = _builder(subject, self.subject, public_key, wanted.not_before, wanted.not_after)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        usage = _usage(
            digital_signature=wanted.digital_signature,
            key_encipherment=wanted.key_encipherment,
            key_agreement=wanted.key_agreement,
        )
        builder = builder.add_extension(usage, critical=True)
        if wanted.addresses:
            names = x509.SubjectAlternativeName([general_name(address) for address in wanted.addresses])
            builder = builder.add_extension(names, critical=not wanted.name)
        purpose = ExtendedKeyUsageOID.EMAIL_PROTECTION if wanted.email_protection else ExtendedKeyUsageOID.CODE_SIGNING
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        for extension, critical in wanted.extra:
            builder = builder.add_extension(extension, critical)
        return self.sign(_identified(builder, public_key, self.key.public_key()))

    def issue_for_request(self, pem: bytes, wanted: Wanted = Wanted()) -> x509.Certificate:
        """A certificate for a PEM request, whose signature must be right."""
        request = x509.load_pem_x509_csr(pem)
        assert request.is_signature_valid
        return self.issue(request.public_key(), wanted)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: object, not_before: float, not_after: float
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=key)  # type: ignore[arg-type]  # any public key
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + not_before * DAY)
        .not_valid_after(now + not_after * DAY)
    )


def _identified(builder: x509.CertificateBuilder, subject_key: object, issuer_key: object) -> x509.CertificateBuilder:
    ski = x509.SubjectKeyIdentifier.from_public_key(subject_key)  # type: ignore[arg-type]  # any public key
    aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key)  # type: ignore[arg-type]  # any public key
    return builder.add_extension(ski, critical=False).add_extension(aki, critical=False)


def _usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_agreement: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=key_agreement,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
