"""Keys for keys that agree: each scheme both ways, and what must not be agreed on."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.algorithms import ContentEncryption, Curve, KeyAlgorithm, KeyKind
from smime_agent.cms.content_encryption import DecryptionError
from smime_agent.cms.key_agreement import key_agreement, originator_point, unwrap_agreed
from smime_agent.cms.recipient_info import (
    IssuerAndSerialNumber,
    KeyAgreeRecipientInfo,
    OriginatorPublicKey,
    read_recipient_info,
)
from smime_agent.cms.signer_info import AlgorithmIdentifier, algorithm_of
from smime_agent.errors import PolicyError, SmimeAgentError, UsageError
from smime_agent.verdict import UntrustworthyError
from smime_agent.x509 import Certificate
from tests.cms.opening import content_key, opened
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority

AES = "2.16.840.1.101.3.4.1"
EC, X25519 = "1.2.840.10045.2.1", "1.3.101.110"
P256 = KeyAlgorithm(KeyKind.EC, 256, Curve.P256)
CURVES: dict[str, ec.EllipticCurve] = {
    "secp256r1": ec.SECP256R1(),
    "secp384r1": ec.SECP384R1(),
    "secp521r1": ec.SECP521R1(),
    "brainpoolP256r1": ec.BrainpoolP256R1(),
    "secp256k1": ec.SECP256K1(),
}
OURS = {"secp256r1": "1.3.132.1.11.1", "secp384r1": "1.3.132.1.11.2", "secp521r1": "1.3.132.1.11.3"}
HKDF_SHA256 = "1.2.840.113549.1.9.16.3.19"
SCHEMES = [
    *("1.3.133.16.840.63.0.2", "1.3.133.16.840.63.0.3"),
    *(f"1.3.132.1.{scheme}.{number}" for scheme in (11, 14) for number in range(4)),
    *(f"1.2.840.113549.1.9.16.3.{number}" for number in (19, 20, 21)),
]


def private_key(name: str) -> Any:  # noqa: ANN401 - one of two kinds
    return x25519.X25519PrivateKey.generate() if name == "x25519" else ec.generate_private_key(CURVES[name])


def certificate_of(authority: Authority, key: Any) -> Certificate:  # noqa: ANN401 - any private key
    issued = authority.issue(key.public_key(), Wanted(key_agreement=True))
    return Certificate(issued.public_bytes(Encoding.DER))


def agreed(certificate: Certificate, cipher: ContentEncryption) -> KeyAgreeRecipientInfo:
    info = read_recipient_info(key_agreement(certificate, bytes(cipher.key_size), cipher, randomness=os.urandom))
    assert isinstance(info, KeyAgreeRecipientInfo)
    return info


@pytest.mark.parametrize("name", [*OURS, "x25519"])
@pytest.mark.parametrize("size", [16, 24, 32])
def test_the_key_comes_out_again(name: str, size: int, issuing_ca: Authority) -> None:
    key, secret = private_key(name), os.urandom(size)
    cipher = next(one for one in ContentEncryption if one.key_size == size)
    info = key_agreement(certificate_of(issuing_ca, key), secret, cipher, randomness=os.urandom)
    assert content_key((info,), key) == secret


@pytest.mark.parametrize("name", [*OURS, "x25519"])
def test_the_scheme_is_that_of_the_curve(name: str, issuing_ca: Authority) -> None:
    info = agreed(certificate_of(issuing_ca, private_key(name)), ContentEncryption.AES128_CBC)
    assert info.key_encryption_algorithm.oid == OURS.get(name, HKDF_SHA256)


@pytest.mark.parametrize(
    ("cipher", "number"),
    [
        (ContentEncryption.AES128_GCM, 5),
        (ContentEncryption.AES192_CBC, 25),
        (ContentEncryption.AES256_GCM, 45),
        (ContentEncryption.CHACHA20_POLY1305, 45),
    ],
)
def test_the_wrap_has_the_size_of_the_key(  # RFC 8551, 2.3
    cipher: ContentEncryption, number: int, issuing_ca: Authority
) -> None:
    info = agreed(certificate_of(issuing_ca, private_key("secp256r1")), cipher)
    assert info.key_encryption_algorithm.parameters == der.algorithm(f"{AES}.{number}")


def test_the_recipient_is_named_by_issuer_and_serial_number(issuing_ca: Authority) -> None:
    certificate = certificate_of(issuing_ca, private_key("x25519"))
    info = agreed(certificate, ContentEncryption.AES128_GCM)
    names = [one.recipient for one in info.recipient_encrypted_keys]
    assert names == [IssuerAndSerialNumber(certificate.issuer_encoded, certificate.serial_number)]
    assert info.version == 3


@pytest.mark.parametrize("name", ["secp256r1", "x25519"])
def test_no_key_pair_and_no_keying_material_is_used_twice(name: str, issuing_ca: Authority) -> None:
    certificate = certificate_of(issuing_ca, private_key(name))
    one, other = (agreed(certificate, ContentEncryption.AES128_GCM) for _ in range(2))
    assert one.originator != other.originator
    assert one.user_keying_material != other.user_keying_material


def test_a_key_on_a_curve_of_others_is_refused(issuing_ca: Authority) -> None:
    certificate = certificate_of(issuing_ca, private_key("brainpoolP256r1"))
    with pytest.raises(UsageError, match="brainpool"):
        key_agreement(certificate, bytes(16), ContentEncryption.AES128_GCM, randomness=os.urandom)


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31)])
def test_a_recipient_whose_key_gives_everybody_the_same_secret_is_refused(point: bytes, issuing_ca: Authority) -> None:
    certificate = certificate_of(issuing_ca, private_key("x25519"))
    certificate.public_key_info = der.sequence(der.algorithm(X25519), der.tlv(0x03, b"\0", point))
    with pytest.raises(UsageError, match="damaged"):
        key_agreement(certificate, bytes(16), ContentEncryption.AES128_GCM, randomness=os.urandom)


@pytest.mark.interop
@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("cofactor", ["0", "1"])
@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-256-gcm", "des-ede3-cbc"])
def test_what_openssl_agrees_on_is_unwrapped(  # noqa: PLR0913, PLR0917 - what a scheme is made of, and for whom
    digest: str, name: str, cofactor: str, cipher: str, issuing_ca: Authority, tmp_path: Path
) -> None:
    key, path = private_key(name), tmp_path / "certificate.pem"
    path.write_bytes(certificate_of(issuing_ca, key).pem)
    done = subprocess.run(
        [
            *("openssl", "cms", "-encrypt", "-binary", "-outform", "DER", f"-{cipher}", "-recip", path),
            *("-keyopt", f"ecdh_kdf_md:{digest}", "-keyopt", f"ecdh_cofactor_mode:{cofactor}"),
        ],
        input=b"content",
        capture_output=True,
        check=True,
    )
    assert opened(done.stdout, key, legacy=True) == b"content"


@pytest.mark.interop
def test_a_key_wrapped_with_triple_des_wants_to_be_asked_for(issuing_ca: Authority, tmp_path: Path) -> None:
    key, path = private_key("secp256r1"), tmp_path / "certificate.pem"
    path.write_bytes(certificate_of(issuing_ca, key).pem)
    command: list[str | Path] = ["openssl", "cms", "-encrypt", "-outform", "DER", "-des3", "-recip", path]
    done = subprocess.run(command, input=b"content", capture_output=True, check=True)
    with pytest.raises(PolicyError, match="weak"):
        opened(done.stdout, key)


@pytest.mark.vectors
@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("authEnvelopedForBobChaCha20Poly1305", "11-"),
        ("authEnvelopedForDanaX25519HKDF", "24-"),
        ("encryptedForBobAndDana", "11-"),
        ("encryptedForBobAndDana", "24-"),
        ("encryptedForBobRSAOaep", "11-"),
    ],
)
def test_what_others_made_for_the_keys_of_rfc_9216_is_opened(name: str, owner: str, vectors: Path) -> None:
    (path,) = (vectors / "rfc9216").glob(f"{owner}*")
    key: Any = load_pem_private_key(path.read_bytes(), None)
    octets = (vectors / "cms-on-rfc9216" / f"{name}.p7m").read_bytes()
    assert opened(octets, key) == b"This is some sample content."


@pytest.mark.parametrize("scheme", SCHEMES)
def test_another_secret_another_material_and_another_wrap_do_not_unwrap(scheme: str) -> None:
    algorithm = AlgorithmIdentifier(scheme, der.algorithm(f"{AES}.45"))
    for secret, ukm, wrapped in ((b"s" * 32, b"u", bytes(40)), (b"s" * 32, None, bytes(24)), (b"s", b"", b"")):
        with pytest.raises(DecryptionError):
            unwrap_agreed(secret, algorithm, ukm, wrapped)


def test_a_secret_that_everybody_knows_is_refused() -> None:  # RFC 8418, 2
    algorithm = AlgorithmIdentifier(HKDF_SHA256, der.algorithm(f"{AES}.5"))
    with pytest.raises(DecryptionError):
        unwrap_agreed(bytes(32), algorithm, None, bytes(24))


@pytest.mark.parametrize(
    "algorithm",
    [
        AlgorithmIdentifier("1.3.133.16.840.63.0.16", der.algorithm(f"{AES}.5")),  # ECMQV
        AlgorithmIdentifier("1.3.132.1.11.1", None),
        AlgorithmIdentifier("1.3.132.1.11.1", der.NULL),
        AlgorithmIdentifier("1.3.132.1.11.1", der.algorithm("1.2.3")),
    ],
)
def test_unknown_and_damaged_algorithms_are_refused(algorithm: AlgorithmIdentifier) -> None:
    with pytest.raises(UntrustworthyError):
        unwrap_agreed(bytes(32), algorithm, None, bytes(24))


@given(
    scheme=st.sampled_from(SCHEMES),
    wrap=st.sampled_from([f"{AES}.{number}" for number in (5, 25, 45, 8, 28, 48)] + ["1.2.840.113549.1.9.16.3.6"]),
    secret=st.binary(max_size=70),
    ukm=st.none() | st.binary(max_size=40),
    wrapped=st.binary(max_size=60),
)
def test_whatever_comes_only_errors_of_ours_come_out(
    scheme: str, wrap: str, secret: bytes, ukm: bytes | None, wrapped: bytes
) -> None:
    algorithm = AlgorithmIdentifier(scheme, der.algorithm(wrap))
    with pytest.raises(SmimeAgentError):
        unwrap_agreed(secret, algorithm, ukm, wrapped, legacy=True)


def originator(oid: str, parameters: bytes, octets: bytes) -> OriginatorPublicKey:
    return OriginatorPublicKey(algorithm_of(der.algorithm(oid, parameters)), octets)


@pytest.mark.parametrize("parameters", [b"", der.NULL, der.object_identifier(Curve.P256.oid)])
@pytest.mark.parametrize("form", [PublicFormat.CompressedPoint, PublicFormat.UncompressedPoint])
def test_a_point_is_read_in_both_forms_whatever_its_parameters(parameters: bytes, form: PublicFormat) -> None:
    key = private_key("secp256r1").public_key()
    octets = originator_point(originator(EC, parameters, key.public_bytes(Encoding.X962, form)), P256)
    assert octets == key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


GENERATOR = ec.derive_private_key(1, ec.SECP256R1()).public_key()
POINT = GENERATOR.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@pytest.mark.parametrize(
    ("key", "recipient"),
    [
        (originator(EC, b"", b""), P256),
        (originator(EC, b"", b"\0"), P256),  # the point at infinity
        (originator(EC, b"", POINT[:-1]), P256),
        (originator(EC, b"", POINT[:-1] + bytes((POINT[-1] ^ 1,))), P256),
        (originator(EC, b"", POINT), KeyAlgorithm(KeyKind.EC, 384, Curve.P384)),
        (originator(EC, der.object_identifier(Curve.P384.oid), POINT), P256),
        (originator(EC, der.sequence(), POINT), P256),
        (originator(X25519, b"", bytes(32)), P256),
        (originator(EC, b"", POINT), KeyAlgorithm(KeyKind.X25519, 256)),
        (originator(X25519, b"", bytes(31)), KeyAlgorithm(KeyKind.X25519, 256)),
        (originator(EC, b"", POINT), KeyAlgorithm(KeyKind.EC)),
        (originator(EC, b"", POINT), KeyAlgorithm(KeyKind.RSA, 2048)),
    ],
)
def test_no_point_of_the_recipients_curve_is_refused(key: OriginatorPublicKey, recipient: KeyAlgorithm) -> None:
    with pytest.raises(UntrustworthyError):
        originator_point(key, recipient)


@pytest.mark.vectors
@pytest.mark.parametrize("curve", Curve)
def test_points_are_judged_as_wycheproof_judges(curve: Curve, vectors: Path) -> None:
    tests = json.loads((vectors / f"wycheproof/ecdh_{curve.value}_test.json").read_text())["testGroups"][0]["tests"]
    head = der.algorithm(EC, der.object_identifier(curve.oid))
    judged = 0
    for case in tests:
        octets = bytes.fromhex(case["public"])
        place = octets.find(head)
        bits = octets[place + len(head) :]
        # Only what says that it is on this curve: the rest is about SubjectPublicKeyInfo, which no originator sends.
        if place < 0 or bits[:1] != b"\3" or "InvalidAsn" in case["flags"]:
            continue
        point = bits[4:] if bits[1] & 0x80 else bits[3:]
        key = originator(EC, b"", point)
        recipient = KeyAlgorithm(KeyKind.EC, curve.bits, curve)
        private = ec.derive_private_key(int(case["private"], 16), CURVES[curve.value])
        try:
            other = ec.EllipticCurvePublicKey.from_encoded_point(private.curve, originator_point(key, recipient))
        except UntrustworthyError:
            assert case["result"] != "valid", case
            continue
        assert private.exchange(ec.ECDH(), other).hex() == case["shared"], case
        judged += 1
    assert judged > 100


@pytest.mark.vectors
def test_low_points_are_judged_as_wycheproof_judges(vectors: Path) -> None:
    algorithm = AlgorithmIdentifier(HKDF_SHA256, der.algorithm(f"{AES}.5"))
    refused = 0
    for case in json.loads((vectors / "wycheproof/x25519_test.json").read_text())["testGroups"][0]["tests"]:
        point = originator_point(originator(X25519, b"", bytes.fromhex(case["public"])), KeyAlgorithm(KeyKind.X25519))
        private = x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(case["private"]))
        try:
            secret = private.exchange(x25519.X25519PublicKey.from_public_bytes(point))
        except ValueError:
            assert "ZeroSharedSecret" in case["flags"]
            with pytest.raises(DecryptionError):
                unwrap_agreed(bytes.fromhex(case["shared"]), algorithm, None, bytes(24))
            refused += 1
        else:
            assert secret.hex() == case["shared"]
    assert refused > 10
