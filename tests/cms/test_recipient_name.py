"""Recipients named by issuer and serial number or by their key, and keys that are for OAEP alone."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from smime_agent import der
from smime_agent.algorithms import ContentEncryption, KeyKind
from smime_agent.cms.enveloped_data import EnvelopedData
from smime_agent.cms.enveloped_data_builder import encrypt, recipient_info
from smime_agent.cms.key_transport import RSAES_OAEP_OID, needs_oaep
from smime_agent.cms.recipient_info import (
    IssuerAndSerialNumber,
    KeyAgreeRecipientInfo,
    KeyIdentifier,
    KeyTransRecipientInfo,
    read_recipient_info,
)
from smime_agent.cms.recipient_name import RecipientName
from smime_agent.errors import UsageError
from smime_agent.source import Source
from smime_agent.x509 import Certificate
from tests.cms.opening import opened
from tests.support.pki import DAY, NOW, Party

if TYPE_CHECKING:
    from pathlib import Path

CIPHER = ContentEncryption.AES256_CBC
KEY = bytes(range(32))
BY_KEY = RecipientName.SUBJECT_KEY_IDENTIFIER
CONTENT = b"Content-Type: text/plain\r\n\r\nHello.\r\n"


@pytest.fixture(scope="module", params=["rsa", "ec"])
def party(request: pytest.FixtureRequest) -> Party:
    key = rsa.generate_private_key(65537, 2048) if request.param == "rsa" else ec.generate_private_key(ec.SECP384R1())
    return Party("Bob", ca=False, key_usage=None, key=key)


def wrapped(certificate: Certificate, name: RecipientName = BY_KEY, *, oaep: bool = False) -> bytes:
    return recipient_info(certificate, KEY, CIPHER, oaep=oaep, randomness=os.urandom, name=name)


def recipient_of(encoded: bytes) -> IssuerAndSerialNumber | KeyIdentifier:
    info = read_recipient_info(encoded)
    if isinstance(info, KeyAgreeRecipientInfo):
        return info.recipient_encrypted_keys[0].recipient
    assert isinstance(info, KeyTransRecipientInfo)
    return info.recipient


def message(info: bytes) -> bytes:
    return b"".join(encrypt([CONTENT], len(CONTENT), CIPHER, KEY, [info], randomness=os.urandom))


def test_issuer_and_serial_number_are_the_default(party: Party) -> None:
    encoded = recipient_info(party.certificate, KEY, CIPHER, oaep=False, randomness=os.urandom)
    assert recipient_of(encoded) == IssuerAndSerialNumber(party.certificate.issuer_encoded, party.serial_number)


def test_a_key_identifier_names_the_key(party: Party) -> None:
    assert recipient_of(wrapped(party.certificate)) == KeyIdentifier(party.certificate.subject_key_identifier or b"")


def test_whoever_is_named_by_the_key_makes_it_version_2() -> None:  # RFC 5652, 6.1 and 6.2.1
    party = Party("Bob", ca=False, key_usage=None, key=rsa.generate_private_key(65537, 2048))
    info = wrapped(party.certificate)
    transport = read_recipient_info(info)
    assert isinstance(transport, KeyTransRecipientInfo)
    assert (transport.version, EnvelopedData.read(Source.from_bytes(message(info))).version) == (2, 2)


@pytest.mark.interop
def test_openssl_finds_who_is_named_by_the_key(party: Party, tmp_path: Path) -> None:
    path = tmp_path / "bob.pem"
    private = party.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(party.certificate.pem + private)
    command = ("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", path, "-recip", path)
    octets = message(wrapped(party.certificate))
    assert subprocess.run(command, input=octets, capture_output=True, check=True).stdout == CONTENT


def without_extensions(issuer: x509.Name, key_identifier: bytes | None) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Bob")])
    builder = x509.CertificateBuilder(issuer, name, key.public_key(), 7, NOW - DAY, NOW + DAY)
    if key_identifier is not None:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(key_identifier), critical=False)
    return Certificate(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))


def test_an_issuer_without_a_name_leaves_the_key() -> None:
    certificate = without_extensions(x509.Name([]), b"a key")
    encoded = recipient_info(certificate, KEY, CIPHER, oaep=False, randomness=os.urandom)
    assert recipient_of(encoded) == KeyIdentifier(b"a key")


def test_who_has_neither_cannot_be_named() -> None:
    certificate = without_extensions(x509.Name([]), None)
    with pytest.raises(UsageError, match="no subjectKeyIdentifier"):
        recipient_info(certificate, KEY, CIPHER, oaep=False, randomness=os.urandom)


# --- id-RSAES-OAEP ---

SHA384 = der.algorithm("2.16.840.1.101.3.4.2.2", der.NULL)
WITH_SHA384 = der.sequence(der.context(0, SHA384), der.context(1, der.algorithm("1.2.840.113549.1.1.8", SHA384)))


def for_oaep(key: rsa.RSAPrivateKey, parameters: bytes) -> Certificate:
    """A certificate whose key is named id-RSAES-OAEP, which no tool here makes."""
    party = Party("Bob", ca=False, key_usage=None, key=key)
    bits = der.tlv(0x03, b"\0", key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1))
    info = party.certificate.public_key_info
    other = der.sequence(der.algorithm(RSAES_OAEP_OID, parameters), bits)
    tbs = der.sequence(party.x509.tbs_certificate_bytes[4:].replace(info, other))
    algorithm = der.algorithm("1.2.840.10045.4.3.2")
    return Certificate(der.sequence(tbs, algorithm, der.tlv(0x03, b"\0", bytes(70))))


@pytest.mark.parametrize(
    ("parameters", "written"), [(b"", None), (WITH_SHA384, WITH_SHA384), (der.sequence(), der.sequence())]
)
def test_a_key_for_oaep_gets_oaep_as_it_says(parameters: bytes, written: bytes | None) -> None:  # RFC 4055, 4
    key = rsa.generate_private_key(65537, 2048)
    certificate = for_oaep(key, parameters)
    assert certificate.key_algorithm.kind is KeyKind.RSA
    assert needs_oaep(certificate)
    info = wrapped(certificate, RecipientName.ISSUER_AND_SERIAL_NUMBER, oaep=False)
    transport = read_recipient_info(info)
    assert isinstance(transport, KeyTransRecipientInfo)
    assert transport.key_encryption_algorithm.oid == RSAES_OAEP_OID
    assert written is None or transport.key_encryption_algorithm.parameters == written
    assert opened(message(info), key) == CONTENT


def test_a_key_for_oaep_with_what_nobody_has_is_refused() -> None:
    shake = der.sequence(der.context(0, der.algorithm("2.16.840.1.101.3.4.2.11")))
    with pytest.raises(UsageError, match="not supported"):
        wrapped(for_oaep(rsa.generate_private_key(65537, 2048), shake))
