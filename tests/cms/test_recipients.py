"""For whom messages are that OpenSSL made, and some that it would not make."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.algorithms import Curve, KeyAlgorithm, KeyKind
from smime_agent.cms.enveloped_data import EnvelopedData
from smime_agent.cms.recipient_info import ID_ORI_KEM, IssuerAndSerialNumber, KeyIdentifier
from smime_agent.cms.recipients import KeyRecipient, OtherRecipient, RecipientKind, Recipients, read_recipients
from smime_agent.cms.signer_info import AlgorithmIdentifier
from smime_agent.source import Source
from smime_agent.verdict import UntrustworthyError
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from cryptography import x509

    from tests.support.ca import Authority

CIPHER = AlgorithmIdentifier("2.16.840.1.101.3.4.1.42", der.octet_string(bytes(16)))
NAME = der.sequence(der.set_of([der.sequence(der.object_identifier("2.5.4.3"), der.utf8_string("CA"))]))
WRAP = der.algorithm("1.3.132.1.11.1", der.algorithm("2.16.840.1.101.3.4.1.45"))
RSA, P256, X25519 = (
    KeyAlgorithm(KeyKind.RSA, 2048),
    KeyAlgorithm(KeyKind.EC, 256, Curve.P256),
    KeyAlgorithm(KeyKind.X25519, 256),
)


def transport(number: int, issuer: bytes = NAME) -> bytes:
    name = der.sequence(issuer, der.integer(number))
    return der.sequence(
        der.integer(0), name, der.algorithm("1.2.840.113549.1.1.1", der.NULL), der.octet_string(bytes(256))
    )


def agreement(*numbers: int, originator: bytes | None = None) -> bytes:
    key = der.tlv(0xA1, der.algorithm("1.2.840.10045.2.1"), der.tlv(3, bytes(66)))
    keys = [der.sequence(der.sequence(NAME, der.integer(one)), der.octet_string(bytes(40))) for one in numbers]
    return der.tlv(0xA1, der.integer(3), der.tlv(0xA0, originator or key), WRAP, der.sequence(*keys))


@pytest.fixture(scope="module")
def certificates(issuing_ca: Authority) -> list[x509.Certificate]:
    keys = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    return [issuing_ca.issue(key.public_key(), Wanted()) for key in keys]


@pytest.fixture(scope="module")
def mixed(certificates: list[x509.Certificate], tmp_path_factory: pytest.TempPathFactory) -> Recipients:
    """What OpenSSL writes for an RSA key, an EC key, a shared key and a password."""
    folder = tmp_path_factory.mktemp("recipients")
    command = ["openssl", "cms", "-encrypt", "-aes-256-cbc", "-outform", "DER"]
    for name, certificate in zip(("rsa", "ec"), certificates, strict=True):
        (folder / name).write_bytes(certificate.public_bytes(Encoding.PEM))
        command += ["-recip", str(folder / name)]
    command += ["-secretkey", "00" * 16, "-secretkeyid", "6b6579", "-pwri_password", "secret"]
    encoded = subprocess.run(command, input=b"Hello", capture_output=True, check=True).stdout
    found = EnvelopedData.read(Source.from_bytes(encoded))
    return read_recipients(found.recipient_infos, found.encrypted_content_info.content_encryption_algorithm)


@pytest.mark.interop
def test_the_kinds_are_those_that_openssl_wrote(mixed: Recipients) -> None:
    assert {one.kind for one in mixed} == {
        RecipientKind.KEY_TRANSPORT,
        RecipientKind.KEY_AGREEMENT,
        RecipientKind.KEY_ENCRYPTION_KEY,
        RecipientKind.PASSWORD,
    }


@pytest.mark.interop
def test_a_recipient_has_the_names_of_its_certificate(mixed: Recipients, certificates: list[x509.Certificate]) -> None:
    (one,) = (one for one in mixed if one.kind is RecipientKind.KEY_AGREEMENT)
    assert isinstance(one, KeyRecipient)
    certificate = certificates[1]
    assert one.identifier == IssuerAndSerialNumber(certificate.issuer.public_bytes(), certificate.serial_number)
    assert one.name == f"the certificate with serial number {certificate.serial_number:x} of CN=Test Issuing CA"


@pytest.mark.interop
def test_a_shared_key_has_its_name(mixed: Recipients) -> None:
    (one,) = (one for one in mixed if one.kind is RecipientKind.KEY_ENCRYPTION_KEY)
    assert one.name == "the key with identifier 6b6579"


def test_the_wrapped_key_says_which_recipient_is_meant_and_how_long_the_key_is() -> None:
    encoded = agreement(1, 2, 3)
    found = read_recipients([transport(1), encoded], CIPHER)
    wrapped = [one.wrapped for one in found if isinstance(one, KeyRecipient)]
    assert [one.position for one in wrapped] == [0, 0, 1, 2]
    assert wrapped[3].recipient_info == encoded
    assert {one.content_encryption for one in wrapped} == {der.algorithm(CIPHER.oid, CIPHER.parameters or b"")}


@pytest.mark.parametrize(
    ("encoded", "fitting"),
    [
        (transport(1), [RSA]),
        (agreement(1), [P256]),
        (agreement(1, originator=der.sequence(NAME, der.integer(1))), [P256, X25519]),
    ],
    ids=["transport", "agreement", "static agreement"],
)
def test_a_key_of_another_kind_does_not_fit(encoded: bytes, fitting: list[KeyAlgorithm]) -> None:
    (one,) = read_recipients([encoded], CIPHER)
    assert isinstance(one, KeyRecipient)
    assert [algorithm for algorithm in (RSA, P256, X25519) if one.fits(algorithm)] == fitting


def test_what_is_written_for_x25519_is_not_for_an_ec_key() -> None:
    key = der.tlv(0xA1, der.algorithm("1.3.101.110"), der.tlv(3, bytes(33)))
    (one,) = read_recipients([agreement(1, originator=key)], CIPHER)
    assert isinstance(one, KeyRecipient)
    assert [algorithm for algorithm in (RSA, P256, X25519) if one.fits(algorithm)] == [X25519]


def test_one_that_cannot_be_read_is_no_obstacle() -> None:
    found = read_recipients([b"\x30\x03\x02\x01\x00", transport(7), b"", b"\x04\x00"], CIPHER)
    assert [one.kind for one in found] == [
        RecipientKind.UNREADABLE,
        RecipientKind.KEY_TRANSPORT,
        RecipientKind.UNREADABLE,
        RecipientKind.UNREADABLE,
    ]


def test_key_encapsulation_and_the_unknown_are_told_apart() -> None:
    unknown = der.tlv(0xA4, der.object_identifier("1.2.3"), der.NULL)
    kem = der.tlv(
        0xA4,
        der.object_identifier(ID_ORI_KEM),
        der.sequence(
            der.integer(0),
            der.tlv(0x80, b"key"),
            der.algorithm("2.16.840.1.101.3.4.4.2"),
            der.octet_string(b"ciphertext"),
            der.algorithm("1.2.840.113549.1.9.16.3.28"),
            der.integer(32),
            der.algorithm("2.16.840.1.101.3.4.1.45"),
            der.octet_string(b"wrapped"),
        ),
    )
    assert read_recipients([unknown, kem], CIPHER) == (
        OtherRecipient(RecipientKind.UNKNOWN, "1.2.3"),
        OtherRecipient(RecipientKind.KEY_ENCAPSULATION, "the key with identifier 6b6579"),
    )


def test_more_than_ten_thousand_are_refused_wherever_they_stand() -> None:
    half = agreement(*range(5_001))
    with pytest.raises(UntrustworthyError, match="more than 10000 recipients"):
        read_recipients([half, half], CIPHER)


def test_ten_thousand_take_less_than_a_second() -> None:
    encoded = [transport(number << 100) for number in range(5_000)] + [agreement(*range(5_000))]
    started = time.process_time()
    assert len(read_recipients(encoded, CIPHER)) == 10_000
    assert time.process_time() - started < 1.0


def test_a_long_name_is_cut() -> None:
    issuer = der.sequence(der.set_of([der.sequence(der.object_identifier("2.5.4.3"), der.utf8_string("x" * 100_000))]))
    (one,) = read_recipients([transport(1, issuer)], CIPHER)
    assert len(one.name) < 400


def test_a_long_key_identifier_is_cut() -> None:
    name = der.tlv(0x80, b"\xab" * 1_000)
    algorithm = der.algorithm("1.2.840.113549.1.1.1", der.NULL)
    (one,) = read_recipients([der.sequence(der.integer(2), name, algorithm, der.octet_string(b""))], CIPHER)
    assert isinstance(one, KeyRecipient)
    assert isinstance(one.identifier, KeyIdentifier)
    assert len(one.name) < 200


@given(st.lists(st.binary(max_size=60) | st.just(transport(1)) | st.just(agreement(1, 2)), max_size=5), st.data())
def test_garbage_is_unreadable_and_nothing_else(encoded: list[bytes], data: st.DataObject) -> None:
    for place, one in enumerate(encoded):
        if one:
            at = data.draw(st.integers(0, len(one) - 1))
            encoded[place] = one[:at] + bytes((one[at] ^ data.draw(st.integers(0, 255)),)) + one[at + 1 :]
    for found in read_recipients(encoded, CIPHER):
        assert isinstance(found.name, str)
