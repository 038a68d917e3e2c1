"""Certificates as values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.algorithms import Curve, KeyAlgorithm, KeyKind
from smime_agent.cms.normal import value, values
from smime_agent.x509 import (
    Certificate,
    InvalidCertificateError,
    Validation,
    certificate_of,
    chain_of,
    load_certificates,
    same_name,
)
from tests.support.ca import Authority, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = ec.generate_private_key(ec.SECP256R1()).public_key()


def read(certificate: x509.Certificate) -> Certificate:
    return Certificate(certificate.public_bytes(Encoding.DER))


@pytest.fixture(scope="module")
def plain(issuing_ca: Authority) -> x509.Certificate:
    return issuing_ca.issue(KEY)


def test_it_says_what_the_certificate_says(plain: x509.Certificate) -> None:
    ours = read(plain)
    assert ours.serial_number == plain.serial_number
    assert (ours.not_before, ours.not_after) == (plain.not_valid_before_utc, plain.not_valid_after_utc)
    assert ours.fingerprint == plain.fingerprint(hashes.SHA256())
    assert ours.subject_encoded == plain.subject.public_bytes()
    assert ours.issuer_encoded == plain.issuer.public_bytes()
    assert ours.public_key_info == KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert ours.mailboxes == ("alice@example.org",)
    assert (ours.subject, ours.issuer, ours.name) == ("CN=Alice Example", "CN=Test Issuing CA", "Alice Example")
    assert ours.pem == plain.public_bytes(Encoding.PEM)


def test_two_are_the_same_when_their_octets_are(plain: x509.Certificate, issuing_ca: Authority) -> None:
    assert read(plain) == read(plain)
    assert len({read(plain), read(plain), read(issuing_ca.issue(KEY))}) == 2
    assert read(plain) != plain


PUBLIC_KEYS: list[tuple[Callable[[], object], KeyAlgorithm]] = [
    (lambda: rsa.generate_private_key(65537, 2048).public_key(), KeyAlgorithm(KeyKind.RSA, 2048)),
    (lambda: ec.generate_private_key(ec.SECP256R1()).public_key(), KeyAlgorithm(KeyKind.EC, 256, Curve.P256)),
    (lambda: ec.generate_private_key(ec.SECP384R1()).public_key(), KeyAlgorithm(KeyKind.EC, 384, Curve.P384)),
    (lambda: ec.generate_private_key(ec.SECP521R1()).public_key(), KeyAlgorithm(KeyKind.EC, 521, Curve.P521)),
    (
        lambda: ec.generate_private_key(ec.BrainpoolP256R1()).public_key(),
        KeyAlgorithm(KeyKind.EC, 256, variant="brainpoolP256r1"),
    ),
    (lambda: ed25519.Ed25519PrivateKey.generate().public_key(), KeyAlgorithm(KeyKind.ED25519, 256)),
    (lambda: x25519.X25519PrivateKey.generate().public_key(), KeyAlgorithm(KeyKind.X25519, 256)),
    (lambda: ed448.Ed448PrivateKey.generate().public_key(), KeyAlgorithm(KeyKind.ED448, 456)),
    (lambda: mldsa.MLDSA44PrivateKey.generate().public_key(), KeyAlgorithm(KeyKind.ML_DSA, variant="44")),
    (lambda: mldsa.MLDSA87PrivateKey.generate().public_key(), KeyAlgorithm(KeyKind.ML_DSA, variant="87")),
    (lambda: dsa.generate_private_key(1024).public_key(), KeyAlgorithm(KeyKind.DSA, 1024)),  # noqa: S505 - old archives
]


@pytest.mark.parametrize(("public_key", "algorithm"), PUBLIC_KEYS)
def test_the_key_is_told(issuing_ca: Authority, public_key: Callable[[], object], algorithm: KeyAlgorithm) -> None:
    assert read(issuing_ca.issue(public_key())).key_algorithm == algorithm


@pytest.mark.parametrize(
    ("addresses", "asked", "covered"),
    [
        (("alice@example.org",), "alice@example.org", True),
        (("alice@example.org",), "ALICE@Example.ORG", True),
        (("Alice@EXAMPLE.org",), "alice@example.org", True),
        (("alice@example.org",), "bob@example.org", False),
        (("alice@example.org",), "alice@example.com", False),
        (("alice@example.org",), "alice@example.org.evil.example", False),
        (("alice@example.org",), "alice", False),
        (("alice@example.org",), "", False),
        (("a@example.org", "b@example.org"), "b@example.org", True),
        (("alice@b\u00fccher.example",), "alice@b\u00fccher.example", True),
        (("alice@b\u00fccher.example",), "alice@xn--bcher-kva.example", True),
        (("alice@xn--bcher-kva.example",), "alice@B\u00dcCHER.example", True),
        (("j\u00fcrgen@example.org",), "j\u00fcrgen@example.org", True),
        (("j\u00fcrgen@b\u00fccher.example",), "j\u00fcrgen@b\u00fccher.example", True),
        (("j\u00fcrgen@example.org",), "jurgen@example.org", False),
        ((), "alice@example.org", False),
    ],
)
def test_it_covers_its_mailboxes(issuing_ca: Authority, addresses: tuple[str, ...], asked: str, covered: bool) -> None:  # noqa: FBT001 - a column
    assert read(issuing_ca.issue(KEY, Wanted(addresses=addresses))).covers(asked) is covered


def issued(issuing_ca: Authority, name: list[x509.NameAttribute[str]], *extensions: x509.ExtensionType) -> Certificate:
    builder = (
        x509.CertificateBuilder(issuing_ca.subject, x509.Name(name), KEY, 1)
        .not_valid_before(issuing_ca.certificate.not_valid_before_utc)
        .not_valid_after(issuing_ca.certificate.not_valid_after_utc)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return read(issuing_ca.sign(builder))


IN_THE_NAME = x509.NameAttribute(NameOID.EMAIL_ADDRESS, "old@example.org")


def test_a_mailbox_in_the_name_counts_where_there_is_no_san(issuing_ca: Authority) -> None:  # RFC 8550, 3
    assert issued(issuing_ca, [IN_THE_NAME]).mailboxes == ("old@example.org",)


def test_a_mailbox_in_the_name_does_not_count_beside_a_san(issuing_ca: Authority) -> None:
    names = x509.SubjectAlternativeName([x509.RFC822Name("new@example.org"), x509.DNSName("example.org")])
    assert issued(issuing_ca, [IN_THE_NAME], names).mailboxes == ("new@example.org",)


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ([x509.NameAttribute(NameOID.COMMON_NAME, "Alice")], "Alice"),
        ([IN_THE_NAME], "old@example.org"),
        ([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "ACME")], "O=ACME"),
        ([], "(empty name)"),
    ],
)
def test_it_is_known_by_the_shortest_name(
    issuing_ca: Authority, attributes: list[x509.NameAttribute[str]], name: str
) -> None:
    assert issued(issuing_ca, attributes).name == name


def test_the_most_specific_part_of_a_name_comes_first(issuing_ca: Authority) -> None:  # RFC 4514, 2.1
    name = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "ACME"),
        x509.NameAttribute(NameOID.COMMON_NAME, "Alice"),
    ]
    assert issued(issuing_ca, name).subject == "CN=Alice, O=ACME, C=DE"


def usage(**bits: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: bits.get(name, False) for name in names})


MAIL = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
ANY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
CODE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])


@pytest.mark.parametrize(
    ("extensions", "signs", "encrypts"),
    [
        ([], True, True),
        ([usage(digital_signature=True)], True, False),
        ([usage(content_commitment=True)], True, False),
        ([usage(key_agreement=True)], False, True),
        ([usage(key_encipherment=True)], False, False),  # that is for RSA
        ([usage(digital_signature=True, key_agreement=True), MAIL], True, True),
        ([usage(digital_signature=True), ANY], True, False),
        ([usage(digital_signature=True, key_agreement=True), CODE], False, False),
        ([CODE], False, False),
        ([usage(key_cert_sign=True)], False, False),
    ],
)
def test_what_it_may_be_used_for(
    issuing_ca: Authority,
    extensions: list[x509.ExtensionType],
    signs: bool,  # noqa: FBT001 - a column
    encrypts: bool,  # noqa: FBT001 - a column
) -> None:
    ours = issued(issuing_ca, [], *extensions)
    assert (ours.permits_signing, ours.permits_encryption) == (signs, encrypts)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x00",
        b"\x30\x80\x00\x00",
        bytes(100),
        b"x" * 1000,
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30" * 5000,
    ],
)
def test_garbage_is_no_certificate(data: bytes) -> None:
    with pytest.raises(InvalidCertificateError):
        Certificate(data)


@given(st.data())
def test_a_damaged_certificate_is_read_or_refused(plain: x509.Certificate, data: st.DataObject) -> None:
    octets = bytearray(plain.public_bytes(Encoding.DER))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        ours = Certificate(bytes(octets))
    except InvalidCertificateError:
        return
    ours.covers("alice@example.org")
    assert isinstance(ours.permits_signing, bool)
    assert isinstance(ours.permits_encryption, bool)
    assert isinstance(ours.is_ca, bool)
    assert isinstance(ours.name, str)
    assert ours.authority_key_identifier is None or isinstance(ours.authority_key_identifier, bytes)
    assert ours.may_have_issued(ours) in (True, False)


@given(st.integers(0, 600))
def test_a_cut_certificate_is_refused(plain: x509.Certificate, length: int) -> None:
    octets = plain.public_bytes(Encoding.DER)
    with pytest.raises(InvalidCertificateError):
        Certificate(octets[: min(length, len(octets) - 1)])


def test_octets_after_the_certificate_are_refused(plain: x509.Certificate) -> None:
    with pytest.raises(InvalidCertificateError):
        Certificate(plain.public_bytes(Encoding.DER) + b"\0")


def test_two_extensions_of_one_type_are_refused(plain: x509.Certificate) -> None:  # RFC 5280, 4.2
    """One reader would take the first, another the last."""
    octets = plain.public_bytes(Encoding.DER)
    twice = octets.replace(bytes.fromhex("0603551d23"), bytes.fromhex("0603551d0e"))  # the other key identifier
    assert twice != octets
    with pytest.raises(InvalidCertificateError):
        Certificate(twice)


def test_an_extension_of_a_type_that_the_reader_cannot_show_is_refused(plain: x509.Certificate) -> None:
    octets = plain.public_bytes(Encoding.DER)
    damaged = octets.replace(bytes.fromhex("0418301680"), bytes.fromhex("0418071680"))  # an ObjectDescriptor
    assert damaged != octets
    with pytest.raises(InvalidCertificateError):
        Certificate(damaged)


def test_a_serial_number_that_cannot_be_printed_is_refused(issuing_ca: Authority) -> None:
    octets = issuing_ca.issue(KEY).public_bytes(Encoding.DER)
    tbs = value(octets, der.SEQUENCE)
    fields = values(value(values(tbs)[0].encoded, der.SEQUENCE))
    parts = [fields[0].encoded, der.tlv(der.INTEGER, b"\1" * 3000), *(field.encoded for field in fields[2:])]
    with pytest.raises(InvalidCertificateError):
        Certificate(der.sequence(der.sequence(*parts), *(one.encoded for one in values(tbs)[1:])))


def san(*names: bytes) -> x509.UnrecognizedExtension:
    """GeneralNames that the cryptography package would not write."""
    return x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, der.sequence(*names))


def smtp_utf8(text: bytes, tag: int = der.UTF8_STRING) -> bytes:
    return der.context(0, der.object_identifier("1.3.6.1.5.5.7.8.9"), der.context(0, der.tlv(tag, text)))


@pytest.mark.parametrize(
    "name",
    [
        der.tlv(0x81, b""),
        der.tlv(0x81, b"alice"),
        der.tlv(0x81, b"@example.org"),
        der.tlv(0x81, b"alice@"),
        der.tlv(0x81, b"alice@example.org\0.evil.example"),
        der.tlv(0x81, b"alice@example.org\0"),
        der.tlv(0x81, b"alice@example.org\n"),
        der.tlv(0x81, b"alice@example.org "),
        der.tlv(0x81, b"alice@evil.example@example.org"),
        der.tlv(0x81, b"alice@example.org,bob@example.org"),
        der.tlv(0x81, b"<alice@example.org>"),
        der.tlv(0x81, b"*@*.org"),
        der.tlv(0x81, b"alice@.example.org"),
        der.tlv(0x81, b"j\xc3\xbcrgen@example.org"),
        der.tlv(0x81, b"\xffalice@example.org"),
        smtp_utf8(b"\xff\xfe@example.org"),
        smtp_utf8("j\u00fcrgen\u202e@example.org".encode()),
        smtp_utf8("j\u00fcrgen\u0000@example.org".encode()),
        smtp_utf8("j\u00fcrgen\u00a0x@example.org".encode()),
        smtp_utf8("j\u00fcrgen\u200b@example.org".encode()),
        smtp_utf8("j\u00fcrgen\ue000@example.org".encode()),
        smtp_utf8(b"alice@example.org", 0x16),
    ],
)
def test_a_name_that_only_looks_like_a_mailbox_is_none(issuing_ca: Authority, name: bytes) -> None:
    ours = issued(issuing_ca, [], san(name, der.tlv(0x81, b"bob@example.org")))
    assert ours.mailboxes == ("bob@example.org",)
    assert not ours.covers("alice@example.org")


def test_a_malformed_san_is_a_san(issuing_ca: Authority) -> None:
    assert issued(issuing_ca, [IN_THE_NAME], san(der.tlv(0x81, b"alice"))).mailboxes == ()


@pytest.mark.parametrize(
    "asked",
    ["alice", "", "@", "alice@", "@example.org", "alice@example.org\0", "alice@example.org\n", "\udcff@example.org"],
)
def test_what_is_no_mailbox_is_not_covered(issuing_ca: Authority, asked: str) -> None:
    assert not issued(issuing_ca, [], san(der.tlv(0x81, b"alice@example.org"))).covers(asked)


# --- policies ---


@pytest.mark.parametrize(
    ("policies", "validation"),
    [
        ((), Validation.UNKNOWN),
        (("2.23.140.1.5.1.1",), Validation.MAILBOX),
        (("2.23.140.1.5.2.2", "1.2.3"), Validation.ORGANIZATION),
        (("2.23.140.1.5.3.3",), Validation.SPONSOR),
        (("2.23.140.1.5.4.1", "2.23.140.1.5.4.2"), Validation.INDIVIDUAL),
        (("2.23.140.1.5.4.1", "2.23.140.1.5.1.1"), Validation.UNKNOWN),
        (("2.23.140.1.5.5.1",), Validation.UNKNOWN),
        (("2.23.140.1.5.1.4",), Validation.UNKNOWN),
        (("2.23.140.1.5.1",), Validation.UNKNOWN),
        (("2.23.140.1.5.1.1.1",), Validation.UNKNOWN),
        (("2.5.29.32.0",), Validation.UNKNOWN),
    ],
)
def test_what_was_validated(issuing_ca: Authority, policies: tuple[str, ...], validation: Validation) -> None:
    said = [x509.PolicyInformation(x509.ObjectIdentifier(policy), None) for policy in policies]
    ours = issued(issuing_ca, [], *([x509.CertificatePolicies(said)] if said else []))
    assert (ours.policies, ours.validation) == (frozenset(policies), validation)


@pytest.mark.parametrize("key", [dsa.generate_private_key(1024), ed448.Ed448PrivateKey.generate()])  # noqa: S505 - the same
def test_keys_that_only_sign_are_not_encrypted_to(issuing_ca: Authority, key: dsa.DSAPrivateKey) -> None:
    ours = read(issuing_ca.issue(key.public_key(), Wanted(key_agreement=True)))
    assert (ours.permits_signing, ours.permits_encryption) == (True, False)


def test_a_certificate_is_read_once(plain: x509.Certificate) -> None:
    octets = plain.public_bytes(Encoding.DER)
    assert certificate_of(octets) is certificate_of(bytes(bytearray(octets)))
    with pytest.raises(InvalidCertificateError):
        certificate_of(octets[:-1])


def common_name(tag: int, text: bytes) -> bytes:
    return der.sequence(der.tlv(der.SET, der.sequence(der.object_identifier("2.5.4.3"), der.tlv(tag, text))))


def test_names_are_the_same_in_other_string_types_and_letter_case() -> None:  # RFC 5280, 7.1
    utf8 = common_name(0x0C, b"Test CA")
    assert same_name(utf8, common_name(0x13, b"test  ca "))
    assert not same_name(utf8, common_name(0x0C, b"Test CB"))
    assert not same_name(utf8, b"")
    assert not same_name(utf8, common_name(0x0C, b"\xff"))
    assert not same_name(utf8, utf8 + b"x" * 100_000)


# --- files ---


def test_a_file_may_hold_der_or_any_number_in_pem(plain: x509.Certificate, root_ca: Authority) -> None:
    pem = plain.public_bytes(Encoding.PEM)
    assert load_certificates(plain.public_bytes(Encoding.DER)) == [read(plain)]
    assert load_certificates(b"subject: x\n" + pem + b"\n\ntext\r\n" + root_ca.pem) == [
        read(plain), read(root_ca.certificate),
    ]  # fmt: skip
    assert load_certificates(pem.replace(b"\n", b"\r\n")) == [read(plain)]
    assert load_certificates(pem.replace(b"CERTIFICATE", b"X509 CERTIFICATE")) == [read(plain)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\n\xff\xfe\n-----END CERTIFICATE-----\n",
    ],
)
def test_a_file_without_a_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidCertificateError):
        load_certificates(data)


# --- chains ---


def test_a_chain_ends_below_the_root(root_ca: Authority) -> None:
    upper = Authority("Upper", root_ca, rsa_key=False)
    lower = Authority("Lower", upper, rsa_key=False)
    leaf = read(lower.issue(KEY))
    pool = [read(one.certificate) for one in (root_ca, lower, upper)]
    assert chain_of(leaf, pool) == (read(lower.certificate), read(upper.certificate))
    assert chain_of(leaf, pool[2:]) == ()
    assert chain_of(leaf, [leaf]) == ()
    assert chain_of(read(root_ca.certificate), pool) == ()


def test_a_chain_takes_the_issuer_by_its_key_not_its_name_alone(root_ca: Authority) -> None:
    one, other = (Authority("Same name", root_ca, rsa_key=False) for _ in range(2))
    leaf = read(one.issue(KEY))
    assert chain_of(leaf, [read(other.certificate), read(one.certificate)]) == (read(one.certificate),)


def test_a_chain_that_goes_in_a_circle_ends() -> None:
    one = Authority("One", rsa_key=False)
    two = Authority("Two", one, rsa_key=False)
    one.parent = two
    one.__post_init__()
    leaf = read(two.issue(KEY))
    assert len(chain_of(leaf, [read(one.certificate), read(two.certificate)])) <= 2


def test_an_end_entity_is_no_issuer(issuing_ca: Authority) -> None:
    imposter = issuing_ca.issue(KEY, Wanted(name="Test Issuing CA"))
    leaf = read(issuing_ca.issue(KEY))
    assert chain_of(leaf, [read(imposter)]) == ()
