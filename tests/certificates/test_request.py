"""Certification requests, read by ``cryptography`` and OpenSSL."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from smime_agent.algorithms import Digest, KeyType, KeyUsage, Padding
from smime_agent.certificates.request import Subject, certification_request, general_name
from smime_agent.errors import UsageError
from smime_agent.x509 import Certificate
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.session import TokenSession
    from tests.support.ca import Authority
    from tests.support.softhsm import SoftHsm, SoftToken

ALICE = Subject(("alice@example.org",))
SMTP_UTF8_MAILBOX = "1.3.6.1.5.5.7.8.9"


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm) -> SoftToken:
    made = softhsm.new_token("requests")
    for key_type in KeyType:
        if key_type not in (KeyType.RSA_3072, KeyType.RSA_4096, KeyType.X25519):
            made.generate(key_type, KeyUsage.SIGN, key_type.value)
    made.generate(KeyType.X25519, KeyUsage.DECRYPT, KeyType.X25519.value)
    made.generate(KeyType.EC_P256, KeyUsage.BOTH, "both")
    made.generate(KeyType.RSA_2048, KeyUsage.BOTH, "both-rsa")
    return made


@pytest.fixture
def session(token: SoftToken) -> Iterator[TokenSession]:
    with token.session() as opened:
        opened.login("for a test")
        yield opened


def key_of(session: TokenSession, label: str) -> TokenKey:
    from smime_agent.keyring import TokenKeyring

    return TokenKeyring(session).key(label)


def requested(
    session: TokenSession,
    subject: Subject = ALICE,
    label: str = "ec:p256",
    digest: Digest | None = None,
    rsa_padding: Padding | None = None,
) -> x509.CertificateSigningRequest:
    pem = certification_request(session, key_of(session, label), subject, digest, rsa_padding)
    return x509.load_pem_x509_csr(pem)


WAYS = [
    ("rsa:2048", None, None, "sha256WithRSAEncryption"),
    ("rsa:2048", Digest.SHA512, Padding.PKCS1, "sha512WithRSAEncryption"),
    ("rsa:2048", None, Padding.PSS, "rsassaPss"),
    ("rsa:2048", Digest.SHA384, Padding.PSS, "rsassaPss"),
    ("ec:p256", None, None, "ecdsa-with-SHA256"),
    ("ec:p384", None, None, "ecdsa-with-SHA384"),
    ("ec:p521", None, None, "ecdsa-with-SHA512"),
    ("ec:p256", Digest.SHA512, None, "ecdsa-with-SHA512"),
    ("ed25519", None, None, "ED25519"),
]


@pytest.mark.interop
@pytest.mark.parametrize(("label", "digest", "rsa_padding", "name"), WAYS)
def test_openssl_verifies_a_request(
    session: TokenSession, label: str, digest: Digest | None, rsa_padding: Padding | None, name: str
) -> None:
    pem = certification_request(session, key_of(session, label), ALICE, digest, rsa_padding)
    command = ["openssl", "req", "-verify", "-noout", "-text"]
    done = subprocess.run(command, input=pem, capture_output=True, check=False)
    assert done.returncode == 0
    assert b"verify OK" in done.stdout + done.stderr
    assert f"Signature Algorithm: {name}".encode() in done.stdout


@pytest.mark.parametrize(("label", "digest", "rsa_padding", "name"), WAYS)
def test_the_request_is_for_the_key_and_signed_by_it(
    session: TokenSession, label: str, digest: Digest | None, rsa_padding: Padding | None, name: str
) -> None:
    request = requested(session, label=label, digest=digest, rsa_padding=rsa_padding)
    assert name
    assert request.is_signature_valid
    info = request.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert info == key_of(session, label).public_key_info


def test_the_pss_salt_is_as_long_as_the_digest(session: TokenSession) -> None:
    request = requested(session, label="rsa:2048", digest=Digest.SHA384, rsa_padding=Padding.PSS)
    parameters = request.signature_algorithm_parameters
    assert isinstance(parameters, padding.PSS)
    assert parameters._salt_length == 48


def test_it_asks_for_mail_and_for_what_the_key_can_do(session: TokenSession) -> None:
    extensions = requested(session).extensions
    assert {extension.oid.dotted_string: extension.critical for extension in extensions} == {
        "2.5.29.17": False,
        "2.5.29.15": True,
        "2.5.29.37": False,
    }
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]


@pytest.mark.parametrize(
    ("label", "bits"),
    [
        ("ec:p256", {"digital_signature"}),
        ("ed25519", {"digital_signature"}),
        ("rsa:2048", {"digital_signature"}),
        ("both", {"digital_signature", "key_agreement"}),
        ("both-rsa", {"digital_signature", "key_encipherment"}),
    ],
)
def test_the_key_usage_is_that_of_the_token(session: TokenSession, label: str, bits: set[str]) -> None:
    usage = requested(session, label=label).extensions.get_extension_for_class(x509.KeyUsage).value
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign",
    )  # fmt: skip
    assert {name for name in names if getattr(usage, name)} == bits


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (ALICE, [(NameOID.COMMON_NAME, "alice@example.org")]),
        (Subject(("alice@example.org",), "Alice Example"), [(NameOID.COMMON_NAME, "Alice Example")]),
        (
            Subject(("alice@example.org",), "Alic\u00e9", "ACME & S\u00f6hne"),
            [(NameOID.ORGANIZATION_NAME, "ACME & S\u00f6hne"), (NameOID.COMMON_NAME, "Alic\u00e9")],
        ),
        (
            Subject(("alice@example.org",), organization="ACME"),
            [(NameOID.ORGANIZATION_NAME, "ACME"), (NameOID.COMMON_NAME, "alice@example.org")],
        ),
        (Subject(("a" * 60 + "@example.org",)), []),
        (Subject(("alice@example.org",), "n" * 64), [(NameOID.COMMON_NAME, "n" * 64)]),
    ],
)
def test_the_subject_is_named(session: TokenSession, subject: Subject, expected: list[object]) -> None:
    assert [(part.oid, part.value) for part in requested(session, subject).subject] == expected


@pytest.mark.parametrize("field", ["name", "organization"])
def test_a_name_that_is_too_long_is_refused(session: TokenSession, field: str) -> None:
    subject = Subject(("alice@example.org",), **{field: "n" * 65})
    with pytest.raises(UsageError, match="longer than the 64 characters"):
        requested(session, subject)


@pytest.mark.parametrize("field", ["name", "organization"])
@pytest.mark.parametrize("value", ["\ud800", "a\nb", "a\0b"])
def test_a_name_that_is_no_text_is_a_usage_error(session: TokenSession, field: str, value: str) -> None:
    with pytest.raises(UsageError):
        requested(session, Subject(("alice@example.org",), **{field: value}))


@pytest.mark.parametrize(
    ("address", "kind", "value"),
    [
        ("alice@example.org", "rfc822", "alice@example.org"),
        ("Alice.O'Hara+x@Example.Org", "rfc822", "Alice.O'Hara+x@Example.Org"),
        ("alice@b\u00fccher.example", "rfc822", "alice@xn--bcher-kva.example"),
        # RFC 9598, 3: UTF8String, its domain in A-labels.
        ("j\u00fcrgen@example.org", "utf8", "j\u00fcrgen@example.org"),
        ("j\u00fcrgen@b\u00fccher.example", "utf8", "j\u00fcrgen@xn--bcher-kva.example"),
        ("\u7528\u6237@example.org", "utf8", "\u7528\u6237@example.org"),
    ],
)
def test_a_mailbox_becomes_the_right_kind_of_name(
    session: TokenSession, issuing_ca: Authority, address: str, kind: str, value: str
) -> None:
    request = requested(session, Subject((address,)))
    (name,) = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if kind == "rfc822":
        assert name == x509.RFC822Name(value)
    else:
        assert isinstance(name, x509.OtherName)
        assert name.type_id.dotted_string == SMTP_UTF8_MAILBOX
        assert name.value == b"\x0c" + bytes([len(value.encode())]) + value.encode()
    certificate = issuing_ca.issue(request.public_key(), Wanted(addresses=(address,)))
    assert Certificate(certificate.public_bytes(Encoding.DER)).covers(address)


def test_several_mailboxes_keep_their_order(session: TokenSession) -> None:
    addresses = ("b@example.org", "a@example.org", "j\u00fcrgen@example.org")
    extensions = requested(session, Subject(addresses)).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [general_name(address) for address in addresses]


@pytest.mark.parametrize(
    "address",
    [
        "", "alice", "@example.org", "alice@", "Alice <alice@example.org>", "alice@exa mple.org", "a\n@example.org",
        "a@b\u00fc..example", "alice@" + "x" * 64 + ".example", "a\0@example.org", "\ud800@example.org", "@",
        "a@\u3002",
    ],
)  # fmt: skip
def test_what_is_no_address_is_a_usage_error(address: str) -> None:
    with pytest.raises(UsageError, match="is not a mail address"):
        general_name(address)


def test_a_key_that_cannot_sign_cannot_ask(session: TokenSession) -> None:
    with pytest.raises(UsageError, match="X25519"):
        requested(session, label="x25519")
