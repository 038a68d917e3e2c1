"""Keys for RSA keys: what OpenSSL makes of ours, and we of OpenSSL's."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.accepted import HashFunction
from smime_agent.cms.key_transport import OaepParameters, key_transport, oaep_parameters
from smime_agent.cms.recipient_info import IssuerAndSerialNumber, KeyTransRecipientInfo, read_recipient_info
from smime_agent.errors import UsageError
from smime_agent.verdict import UntrustworthyError
from smime_agent.x509 import Certificate
from tests.cms.opening import opened, rsa_padding
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority

KEY = bytes(range(32))
SHA256 = der.algorithm(HashFunction.SHA256.oid, der.NULL)
MGF1 = "1.2.840.113549.1.1.8"
LABEL = "1.2.840.113549.1.1.9"
#: RFC 4055, 4.1: what stands for SHA-256 throughout and an empty label.
IN_FULL = der.sequence(der.context(0, SHA256), der.context(1, der.algorithm(MGF1, SHA256)))


def certificate_of(authority: Authority, key: Any) -> Certificate:  # noqa: ANN401 - any private key
    issued = authority.issue(key.public_key(), Wanted(key_encipherment=True))
    return Certificate(issued.public_bytes(Encoding.DER))


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def certificate(issuing_ca: Authority, private_key: rsa.RSAPrivateKey) -> Certificate:
    return certificate_of(issuing_ca, private_key)


@pytest.mark.parametrize("oaep", [False, True])
def test_the_key_comes_out_again(*, oaep: bool, private_key: rsa.RSAPrivateKey, certificate: Certificate) -> None:
    info = read_recipient_info(key_transport(certificate, KEY, oaep=oaep))
    assert isinstance(info, KeyTransRecipientInfo)
    assert private_key.decrypt(info.encrypted_key, rsa_padding(info)) == KEY


def test_the_recipient_is_named_by_issuer_and_serial_number(certificate: Certificate) -> None:
    info = read_recipient_info(key_transport(certificate, KEY, oaep=False))
    assert isinstance(info, KeyTransRecipientInfo)
    assert info.recipient == IssuerAndSerialNumber(certificate.issuer_encoded, certificate.serial_number)
    assert info.version == 0


def test_pkcs1_has_null_for_parameters(certificate: Certificate) -> None:  # RFC 3370, 4.2.1
    info = read_recipient_info(key_transport(certificate, KEY, oaep=False))
    assert isinstance(info, KeyTransRecipientInfo)
    assert info.key_encryption_algorithm.parameters == der.NULL


def test_oaep_says_what_is_no_default(certificate: Certificate) -> None:
    info = read_recipient_info(key_transport(certificate, KEY, oaep=True))
    assert isinstance(info, KeyTransRecipientInfo)
    assert info.key_encryption_algorithm.parameters == IN_FULL


def test_nothing_said_is_sha_1_throughout() -> None:
    assert oaep_parameters(der.sequence()) == OaepParameters(HashFunction.SHA1, HashFunction.SHA1, b"")


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        b"",
        der.NULL,
        der.sequence(der.NULL),
        der.sequence(der.context(0)),
        der.sequence(der.context(0, SHA256, SHA256)),
        der.sequence(der.context(0, der.algorithm("1.2.3"))),
        der.sequence(der.context(1, der.algorithm(MGF1))),
        der.sequence(der.context(1, der.algorithm("1.2.3", SHA256))),
        der.sequence(der.context(1, der.algorithm(MGF1, SHA256)), der.context(0, SHA256)),
        der.sequence(der.context(0, SHA256), der.context(0, SHA256)),
        der.sequence(der.context(2, der.algorithm(LABEL))),
        der.sequence(der.context(2, der.algorithm("1.2.3", der.octet_string(b"label")))),
        der.sequence(der.context(2, der.algorithm(LABEL, der.octet_string(bytes(1025))))),
        der.sequence(der.context(3, der.integer(1))),
    ],
)
def test_parameters_that_are_none_are_refused(parameters: bytes | None) -> None:
    with pytest.raises(UntrustworthyError):
        oaep_parameters(parameters)


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda inside: der.sequence(der.context(0, inside))))
def test_whatever_comes_only_errors_of_ours_come_out(parameters: bytes) -> None:
    with suppress(UntrustworthyError):
        oaep_parameters(parameters)


@pytest.mark.interop
@pytest.mark.parametrize("label", ["", "6c6162656c"])
@pytest.mark.parametrize("mask", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha384", "sha512"])
def test_oaep_of_openssl_is_opened(  # noqa: PLR0913, PLR0917 - what OAEP is made of, and for whom
    digest: str, mask: str, label: str, private_key: rsa.RSAPrivateKey, certificate: Certificate, tmp_path: Path
) -> None:
    path = tmp_path / "certificate.pem"
    path.write_bytes(certificate.pem)
    options = ["rsa_padding_mode:oaep", f"rsa_oaep_md:{digest}", f"rsa_mgf1_md:{mask}"]
    options += [f"rsa_oaep_label:{label}"] if label else []
    done = subprocess.run(
        [
            *("openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes128", "-recip", path),
            *(word for option in options for word in ("-keyopt", option)),
        ],
        input=b"content",
        capture_output=True,
        check=True,
    )
    assert opened(done.stdout, private_key) == b"content"


def test_a_key_on_a_curve_takes_no_transport(issuing_ca: Authority) -> None:
    with pytest.raises(UsageError):
        key_transport(certificate_of(issuing_ca, ec.generate_private_key(ec.SECP256R1())), KEY, oaep=False)


def test_a_key_that_is_restricted_to_pss_does_not_encrypt(issuing_ca: Authority) -> None:
    certificate = certificate_of(issuing_ca, rsa.generate_private_key(65537, 2048))
    certificate.public_key_info = certificate.public_key_info.replace(
        der.object_identifier("1.2.840.113549.1.1.1"), der.object_identifier("1.2.840.113549.1.1.10")
    )
    with pytest.raises(UsageError, match="something else"):
        key_transport(certificate, KEY, oaep=False)


def test_a_key_that_is_too_short_for_oaep_is_refused(issuing_ca: Authority) -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is to be too short
    with pytest.raises(UsageError, match="short"):
        key_transport(certificate_of(issuing_ca, key), os.urandom(64), oaep=True)


def test_an_exponent_that_takes_forever_is_refused(issuing_ca: Authority) -> None:
    certificate = certificate_of(issuing_ca, rsa.generate_private_key(65537, 2048))
    numbers = der.sequence(der.unsigned(b"\xff" * 256), der.unsigned(b"\xff" * 256))
    algorithm = der.algorithm("1.2.840.113549.1.1.1", der.NULL)
    certificate.public_key_info = der.sequence(algorithm, der.tlv(0x03, b"\0", numbers))
    with pytest.raises(UsageError):
        key_transport(certificate, KEY, oaep=False)
