"""Certification requests, signed on the token (RFC 2986)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding as paddings
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from smime_agent import der
from smime_agent.algorithms import KeyKind, Padding, SignatureScheme
from smime_agent.errors import UsageError
from smime_agent.mime.addresses import addr_specs
from smime_agent.tokens.private_key import private_key

if TYPE_CHECKING:
    from smime_agent.algorithms import Digest
    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.session import TokenSession

_Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
_SMTP_UTF8_MAILBOX = ObjectIdentifier("1.3.6.1.5.5.7.8.9")
_HASHES: dict[str, type[_Hash]] = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
_LONGEST_NAME = 64  # ub-common-name and ub-organization-name, RFC 5280, appendix A.1


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate is to name: at least one mailbox, and a person or an organization if wanted."""

    addresses: tuple[str, ...]
    name: str | None = None
    organization: str | None = None


def certification_request(
    session: TokenSession,
    key: TokenKey,
    subject: Subject,
    digest: Digest | None = None,
    padding: Padding | None = None,
) -> bytes:
    """A PEM certification request for ``key``, signed by it in a login.

    It asks for the mailboxes as subjectAltName, the keyUsage that the key has on the token, and emailProtection.

    Raises:
        UsageError: an address or a name cannot be in a certificate, or the key cannot sign.
    """
    scheme = SignatureScheme.for_key(key.algorithm, digest, padding)
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_subject_name(subject))
        .add_extension(x509.SubjectAlternativeName([general_name(one) for one in subject.addresses]), critical=False)
        .add_extension(_key_usage(key), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    )
    algorithm = None if key.algorithm.kind is KeyKind.ED25519 else _HASHES[scheme.digest.value]()
    pss = (
        paddings.PSS(paddings.MGF1(_HASHES[scheme.digest.value]()), scheme.digest.size)
        if padding is Padding.PSS
        else None
    )
    request = builder.sign(private_key(session, key), algorithm, rsa_padding=pss)
    return request.public_bytes(serialization.Encoding.PEM)


def general_name(address: str) -> x509.GeneralName:
    """The subjectAltName of a mailbox: rfc822Name, or SmtpUTF8Mailbox where the local part is not ASCII (RFC 9598, 3).

    Raises:
        UsageError: it is no address.
    """
    local, _, domain = address.rpartition("@")
    try:
        host = domain.encode("idna").decode()
    except UnicodeError:
        host = ""
    odd = any(c.isspace() or not c.isprintable() for c in address) or ":" in local or domain.startswith("[")
    if not host or odd or addr_specs(address.encode(errors="replace")) != [address]:
        msg = f"'{address}' is not a mail address"
        raise UsageError(msg, hint="give the bare address, such as alice@example.org")
    if not domain.isascii() and host.encode().decode("idna") != domain.lower():
        # IDNA 2003 makes "ss" of a sharp s, which is another domain today (RFC 5894, 7.2).
        msg = f"the domain of '{address}' can be read in two ways"
        raise UsageError(msg, hint="give it in its xn-- form")
    if local.isascii():
        return x509.RFC822Name(f"{local}@{host}")
    return x509.OtherName(_SMTP_UTF8_MAILBOX, der.utf8_string(f"{local}@{host}"))


def _subject_name(subject: Subject) -> x509.Name:
    """The organization, then the name; where there is none, the first mailbox stands for it."""
    parts = []
    if subject.organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, _bounded(subject.organization)))
    common = subject.name or (subject.addresses[0] if len(subject.addresses[0]) <= _LONGEST_NAME else None)
    if common:
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, _bounded(common)))
    return x509.Name(parts)


def _bounded(value: str) -> str:
    if len(value) > _LONGEST_NAME:
        msg = f"'{value}' is longer than the {_LONGEST_NAME} characters that a certificate allows"
        raise UsageError(msg)
    if not value.isprintable():
        msg = f"'{value}' is not a name: it holds what cannot be printed"
        raise UsageError(msg)
    return value


def _key_usage(key: TokenKey) -> x509.KeyUsage:
    """What the key may be used for on the token, in the words of RFC 5280, 4.2.1.3."""
    rsa = key.algorithm.kind is KeyKind.RSA
    return x509.KeyUsage(
        digital_signature=key.can_sign,
        content_commitment=False,
        key_encipherment=key.can_decrypt and rsa,
        data_encipherment=False,
        key_agreement=key.can_decrypt and not rsa,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
