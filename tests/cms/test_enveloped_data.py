"""EnvelopedData and its kin, as OpenSSL and the vectors make them, read back."""

from __future__ import annotations

import subprocess
import zlib
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.cms import oids
from smime_agent.cms.compressed_data import ID_ZLIB, CompressedData, DigestedData, EncryptedData
from smime_agent.cms.enveloped_data import AuthEnvelopedData, EnvelopedData
from smime_agent.cms.oids import ID_DATA
from smime_agent.cms.recipient_info import (
    ID_ORI_KEM,
    IssuerAndSerialNumber,
    KEKRecipientInfo,
    KEMRecipientInfo,
    KeyAgreeRecipientInfo,
    KeyIdentifier,
    KeyTransRecipientInfo,
    OriginatorPublicKey,
    OtherRecipientInfo,
    PasswordRecipientInfo,
    RecipientInfo,
    read_recipient_info,
)
from smime_agent.errors import SmimeAgentError
from smime_agent.source import Source
from smime_agent.verdict import UntrustworthyError
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority

CONTENT = b"Content-Type: text/plain\r\n\r\nHello, Bob.\r\n"
NAME = der.sequence(der.set_of([der.sequence(der.object_identifier("2.5.4.3"), der.utf8_string("CA"))]))
ISSUER_AND_SERIAL = der.sequence(NAME, der.integer(7))
ALGORITHM = der.algorithm("2.16.840.1.101.3.4.1.45")
KEY = der.octet_string(b"wrapped key")


def openssl(*arguments: str | Path, content: bytes = CONTENT) -> bytes:
    done = subprocess.run(["openssl", "cms", *arguments], input=content, capture_output=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def recipients(issuing_ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Certificates of an RSA and of an EC key."""
    folder = tmp_path_factory.mktemp("recipients")
    paths = []
    for name, key in (("rsa", rsa.generate_private_key(65537, 2048)), ("ec", ec.generate_private_key(ec.SECP256R1()))):
        certificate = issuing_ca.issue(key.public_key(), Wanted())
        path = folder / f"{name}.pem"
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def enveloped(recipients: list[Path]) -> bytes:
    """One for an RSA key with OAEP, one for an EC key, and one for each of two secrets."""
    rsa_certificate, ec_certificate = recipients
    return openssl(
        *("-encrypt", "-aes-256-cbc", "-outform", "DER", "-stream", "-binary"),
        *("-recip", rsa_certificate, "-keyopt", "rsa_padding_mode:oaep", "-recip", ec_certificate),
        *("-secretkey", "00112233445566778899AABBCCDDEEFF", "-secretkeyid", "6b6579"),
        *("-pwri_password", "secret"),
    )


def infos(octets: bytes) -> list[RecipientInfo]:
    return [read_recipient_info(one) for one in EnvelopedData.read(Source.from_bytes(octets)).recipient_infos]


@pytest.mark.interop
def test_the_kinds_of_recipients_are_told_apart(enveloped: bytes) -> None:
    kinds = {KeyTransRecipientInfo, KeyAgreeRecipientInfo, KEKRecipientInfo, PasswordRecipientInfo}
    assert {type(info) for info in infos(enveloped)} == kinds


@pytest.mark.interop
def test_the_version_is_that_of_openssl(enveloped: bytes) -> None:
    assert EnvelopedData.read(Source.from_bytes(enveloped)).version == 3


@pytest.mark.interop
def test_the_content_is_padded_to_blocks(enveloped: bytes) -> None:
    content = EnvelopedData.read(Source.from_bytes(enveloped)).encrypted_content_info.content
    assert content is not None
    assert content.size == len(CONTENT) // 16 * 16 + 16


@pytest.mark.interop
def test_a_key_transport_recipient_is_named_by_its_certificate(enveloped: bytes, issuing_ca: Authority) -> None:
    (info,) = (info for info in infos(enveloped) if isinstance(info, KeyTransRecipientInfo))
    assert isinstance(info.recipient, IssuerAndSerialNumber)
    assert info.recipient.issuer == issuing_ca.certificate.subject.public_bytes()


@pytest.mark.interop
def test_a_key_agreement_has_the_originators_key(enveloped: bytes) -> None:
    (info,) = (info for info in infos(enveloped) if isinstance(info, KeyAgreeRecipientInfo))
    assert isinstance(info.originator, OriginatorPublicKey)
    assert len(info.originator.public_key) == 65


@pytest.mark.interop
def test_a_password_recipient_has_its_key_derivation(enveloped: bytes) -> None:
    (info,) = (info for info in infos(enveloped) if isinstance(info, PasswordRecipientInfo))
    assert info.key_derivation_algorithm is not None
    assert info.key_derivation_algorithm.oid == "1.2.840.113549.1.5.12"


@pytest.mark.interop
def test_a_key_encryption_key_has_its_identifier(enveloped: bytes) -> None:
    (info,) = (info for info in infos(enveloped) if isinstance(info, KEKRecipientInfo))
    assert info.key == KeyIdentifier(b"key")


@pytest.mark.interop
def test_a_key_identifier_names_a_recipient_too(recipients: list[Path]) -> None:
    octets = openssl("-encrypt", "-aes128", "-outform", "DER", "-keyid", "-recip", recipients[0])
    (info,) = infos(octets)
    assert isinstance(info, KeyTransRecipientInfo)
    assert isinstance(info.recipient, KeyIdentifier)


@pytest.mark.interop
def test_an_authenticated_one_has_a_tag(recipients: list[Path]) -> None:
    octets = openssl("-encrypt", "-aes-256-gcm", "-outform", "DER", "-recip", recipients[1])
    assert len(AuthEnvelopedData.read(Source.from_bytes(octets)).mac) == 16


@pytest.mark.interop
def test_encrypted_data_is_read() -> None:
    key = ("-secretkey", "00112233445566778899AABBCCDDEEFF")
    octets = openssl("-EncryptedData_encrypt", "-aes-128-cbc", "-outform", "DER", *key)
    info = EncryptedData.read(Source.from_bytes(octets)).encrypted_content_info
    assert info.content_encryption_algorithm.oid == "2.16.840.1.101.3.4.1.2"


@pytest.mark.interop
def test_digested_data_is_read() -> None:
    octets = openssl("-digest_create", "-md", "sha256", "-outform", "DER", "-binary")
    found = DigestedData.read(Source.from_bytes(octets))
    assert found.content is not None
    assert b"".join(found.content.chunks()) == CONTENT


def test_one_of_another_type_is_refused(enveloped: bytes) -> None:
    with pytest.raises(UntrustworthyError):
        AuthEnvelopedData.read(Source.from_bytes(enveloped))


def test_octets_that_follow_are_counted(enveloped: bytes) -> None:
    assert EnvelopedData.read(Source.from_bytes(enveloped + b"12345")).trailing == 5


def test_a_kem_recipient_is_read() -> None:  # RFC 9629, 3
    kem = der.sequence(
        *(der.integer(0), ISSUER_AND_SERIAL, der.algorithm("2.16.840.1.101.3.4.4.2"), der.octet_string(b"ciphertext")),
        *(der.algorithm("1.2.840.113549.1.9.16.3.28"), der.integer(32), der.context(0, der.octet_string(b"ukm"))),
        *(ALGORITHM, KEY),
    )
    info = read_recipient_info(der.context(4, der.object_identifier(ID_ORI_KEM), kem))
    assert isinstance(info, KEMRecipientInfo)
    assert (info.kem_ciphertext, info.key_encryption_key_length, info.user_keying_material) == (
        b"ciphertext",
        32,
        b"ukm",
    )


def test_a_recipient_of_an_unknown_kind_keeps_its_value() -> None:
    info = read_recipient_info(der.context(4, der.object_identifier("1.2.3"), der.NULL))
    assert info == OtherRecipientInfo("1.2.3", der.NULL)


def test_a_key_agreement_with_keying_material_and_key_identifiers_is_read() -> None:
    key_identifier = der.context(0, der.octet_string(b"ski"), der.tlv(der.GENERALIZED_TIME, b"20260101000000Z"))
    info = read_recipient_info(
        der.context(
            1,
            der.integer(3),
            der.context(0, ISSUER_AND_SERIAL),
            der.context(1, der.octet_string(b"material")),
            ALGORITHM,
            der.sequence(der.sequence(key_identifier, KEY)),
        )
    )
    assert isinstance(info, KeyAgreeRecipientInfo)
    assert info.user_keying_material == b"material"
    assert info.recipient_encrypted_keys[0].recipient == KeyIdentifier(b"ski", "20260101000000Z")


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        der.NULL,
        der.sequence(),
        der.sequence(der.integer(0), ISSUER_AND_SERIAL, ALGORITHM),
        der.sequence(der.integer(0), ISSUER_AND_SERIAL, ALGORITHM, KEY, KEY),
        der.sequence(der.integer(0), ISSUER_AND_SERIAL, ALGORITHM, der.octet_string(bytes(20_000))),
        der.context(4, der.object_identifier("1.2.3")),
        der.context(5, der.integer(0)),
    ],
    ids=["nothing", "no kind", "empty", "no key", "two keys", "a long key", "no value", "unknown tag"],
)
def test_what_is_no_recipient_is_refused(encoded: bytes) -> None:
    with pytest.raises(UntrustworthyError):
        read_recipient_info(encoded)


@given(st.binary(max_size=200))
@example(b"\xa4\x80\x06\x03\x2a\x03\x04\x05\x00\x00\x00")
def test_octets_are_a_recipient_or_refused(octets: bytes) -> None:
    try:
        read_recipient_info(octets)
    except SmimeAgentError:
        return


def compressed(content: bytes, algorithm: str = ID_ZLIB) -> CompressedData:
    inside = der.sequence(der.object_identifier(ID_DATA), der.context(0, der.octet_string(content)))
    object_ = der.sequence(der.integer(0), der.algorithm(algorithm), inside)
    encoded = der.sequence(der.object_identifier(oids.ID_COMPRESSED_DATA), der.context(0, object_))
    return CompressedData.read(Source.from_bytes(encoded))


def test_a_compressed_content_comes_back() -> None:
    assert b"".join(compressed(zlib.compress(CONTENT)).decompressed(1000)) == CONTENT


def test_a_compressed_content_comes_in_small_blocks() -> None:
    blocks = list(compressed(zlib.compress(bytes(3_000_000))).decompressed(3_000_000))
    assert sum(map(len, blocks)) == 3_000_000
    assert max(map(len, blocks)) <= Source.CHUNK


@pytest.mark.parametrize(
    ("content", "algorithm"),
    [
        (zlib.compress(bytes(1001)), ID_ZLIB),
        (zlib.compress(CONTENT)[:-4], ID_ZLIB),
        (b"not compressed", ID_ZLIB),
        (zlib.compress(CONTENT), "1.2.3"),
    ],
    ids=["too much", "cut off", "damaged", "unknown"],
)
def test_what_cannot_be_decompressed_is_refused(content: bytes, algorithm: str) -> None:
    with pytest.raises(UntrustworthyError):
        list(compressed(content, algorithm).decompressed(1000))
