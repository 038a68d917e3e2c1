"""What others say that mail to them may be encrypted with."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.algorithms import ContentEncryption
from smime_agent.cms.capabilities import (
    MAX_CAPABILITIES,
    MAX_SIZE,
    Capabilities,
    capabilities_of_certificate,
    read_capabilities,
)
from smime_agent.verdict import UntrustworthyError
from smime_agent.x509 import Certificate

AES_128_CBC = bytes.fromhex("300b0609608648016503040102")  # RFC 3565, 5.1
CHACHA20 = bytes.fromhex("300d060b2a864886f70d0109100312")  # RFC 8103, 4
RC2_40 = bytes.fromhex("300d06082a864886f70d0302020128")
TRIPLE_DES = bytes.fromhex("300a06082a864886f70d0307")
OAEP_SHA1 = bytes.fromhex("300d06092a864886f70d0101073000")  # RFC 3560, 5
OAEP_SHA256_AS_PRINTED = bytes.fromhex(
    "303806092a864886f70d010107302b300d06096086480165030402010500301a06092a864886f70d010108300d0609608648016503040201"
    "0500"
)
#: The same with the tags of RFC 4055, 4.1; and as OpenSSL writes it, with nothing for NULL.
OAEP_SHA256 = bytes.fromhex(
    "303c06092a864886f70d010107302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165"
    "030402010500"
)
OAEP_SHA256_WITHOUT_NULL = bytes.fromhex(
    "303806092a864886f70d010107302ba00d300b0609608648016503040201a11a301806092a864886f70d010108300b0609608648016503040201"
)
OAEP_SHA384 = OAEP_SHA256.replace(bytes.fromhex("0402010500"), bytes.fromhex("0402020500"))
MIXED = OAEP_SHA256[: OAEP_SHA256.index(b"\xa1")].replace(b"\x30\x3c", b"\x30\x1e").replace(b"\x30\x2f", b"\x30\x11")


def read(*members: bytes) -> Capabilities:
    return read_capabilities(der.sequence(*members))


def test_ciphers_that_are_never_used_here_are_named() -> None:
    found = read(TRIPLE_DES, RC2_40, RC2_40, AES_128_CBC)
    assert (found.content_encryption, found.retired) == ((ContentEncryption.AES128_CBC,), ("Triple DES", "RC2"))


def test_the_order_is_the_sender_s() -> None:
    aes256 = der.algorithm(ContentEncryption.AES256_CBC.oid)
    assert read(CHACHA20, aes256, AES_128_CBC).content_encryption == (
        ContentEncryption.CHACHA20_POLY1305,
        ContentEncryption.AES256_CBC,
        ContentEncryption.AES128_CBC,
    )


def test_what_we_never_produce_or_do_not_know_is_left_out() -> None:
    unknown = der.algorithm("1.2.3.4.5", der.sequence(der.integer(1)))
    assert read(RC2_40, unknown, AES_128_CBC, TRIPLE_DES).content_encryption == (ContentEncryption.AES128_CBC,)


def test_none_is_a_list_too() -> None:
    assert read() == Capabilities((), oaep_sha256=False, encoded=b"\x30\x00")


def test_what_is_said_twice_counts_once() -> None:
    again = read(AES_128_CBC, CHACHA20, AES_128_CBC).content_encryption
    assert again == (ContentEncryption.AES128_CBC, ContentEncryption.CHACHA20_POLY1305)


def test_null_parameters_are_none() -> None:
    with_null = der.algorithm(ContentEncryption.AES128_GCM.oid, der.NULL)
    assert read(with_null).content_encryption == (ContentEncryption.AES128_GCM,)


def test_a_cipher_with_parameters_is_another() -> None:
    with_parameters = der.algorithm(ContentEncryption.AES128_GCM.oid, der.integer(4))
    assert read(with_parameters).content_encryption == ()


def test_bare_object_identifiers_are_read() -> None:
    assert read(AES_128_CBC[2:], CHACHA20[2:]).content_encryption == (
        ContentEncryption.AES128_CBC,
        ContentEncryption.CHACHA20_POLY1305,
    )


@pytest.mark.parametrize(
    "oaep",
    [OAEP_SHA256, OAEP_SHA256_WITHOUT_NULL, OAEP_SHA256_AS_PRINTED],
    ids=["tagged", "without NULL", "as RFC 3560 prints it"],
)
def test_oaep_with_sha_256(oaep: bytes) -> None:
    assert read(AES_128_CBC, oaep).oaep_sha256


@pytest.mark.parametrize(
    "oaep",
    [
        OAEP_SHA1,
        OAEP_SHA384,
        MIXED,
        der.algorithm("1.2.840.113549.1.1.7"),
        der.algorithm("1.2.840.113549.1.1.7", der.sequence(der.context(0, der.integer(1)))),
    ],
    ids=["SHA-1", "SHA-384", "SHA-256 with the mask of SHA-1", "no parameters", "garbage"],
)
def test_oaep_with_something_else_is_not_that(oaep: bytes) -> None:
    capabilities = read(oaep, AES_128_CBC)
    assert not capabilities.oaep_sha256
    assert capabilities.content_encryption == (ContentEncryption.AES128_CBC,)


def test_ber_becomes_der() -> None:
    indefinite = b"\x30\x80" + AES_128_CBC + b"\x00\x00"
    assert read_capabilities(indefinite).encoded == der.sequence(AES_128_CBC)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\x05\x00",
        der.sequence(der.integer(1)),
        der.sequence(der.sequence(der.integer(1))),
        der.sequence(AES_128_CBC) + b"\0",
        der.sequence(*[AES_128_CBC] * (MAX_CAPABILITIES + 1)),
        der.sequence(der.algorithm("1.2.3", der.octet_string(bytes(MAX_SIZE)))),
    ],
    ids=["nothing", "no sequence", "no capability", "no identifier", "something after it", "too many", "too long"],
)
def test_what_is_no_list_is_refused(encoded: bytes) -> None:
    with pytest.raises(UntrustworthyError):
        read_capabilities(encoded)


@given(st.binary(max_size=60) | st.lists(st.binary(max_size=20)).map(lambda members: der.sequence(*members)))
def test_only_our_own_error_comes_of_garbage(encoded: bytes) -> None:
    with suppress(UntrustworthyError):
        read_capabilities(encoded)


def certificate_with(value: bytes | None) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bob")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=9))
    builder = builder.add_extension(x509.SubjectKeyIdentifier(b"key"), critical=False)
    if value is not None:
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.840.113549.1.9.15"), value)
        builder = builder.add_extension(extension, critical=False)
    return Certificate(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))


def test_a_certificate_may_say_it_too() -> None:
    said = capabilities_of_certificate(certificate_with(der.sequence(AES_128_CBC)))
    assert said == read(AES_128_CBC)


@pytest.mark.parametrize("value", [None, b"garbage"], ids=["no extension", "a damaged one"])
def test_a_certificate_that_says_nothing(value: bytes | None) -> None:
    assert capabilities_of_certificate(certificate_with(value)) is None
