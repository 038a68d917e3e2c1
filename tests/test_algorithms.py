"""The closed enums: what each stands for in the standards, and which key signs how."""

from __future__ import annotations

import hashlib

import pytest
from asn1crypto import algos, cms, keys

from smime_agent.algorithms import (
    Curve,
    Digest,
    KeyAlgorithm,
    KeyKind,
    KeyType,
    Padding,
    SignatureAlgorithm,
    SignatureScheme,
)
from smime_agent.errors import PolicyError, UsageError

RSA = KeyAlgorithm(KeyKind.RSA, 2048)
ED25519 = KeyAlgorithm(KeyKind.ED25519, 256)


def curve(which: Curve) -> KeyAlgorithm:
    return KeyAlgorithm(KeyKind.EC, which.bits, which)


@pytest.mark.parametrize("digest", Digest)
def test_a_digest_is_the_one_of_that_name(digest: Digest) -> None:
    assert algos.DigestAlgorithmId.map(digest.oid) == digest.value
    assert digest.of(b"x") == hashlib.new(digest.value, b"x").digest()
    assert digest.size == len(digest.of(b""))
    assert digest.micalg == f"sha-{digest.size * 8}"


@pytest.mark.parametrize("digest", Digest)
def test_a_digest_algorithm_has_no_parameters(digest: Digest) -> None:  # RFC 5754, 2
    assert algos.DigestAlgorithm.load(digest.algorithm_identifier)["parameters"].dump() == b""


@pytest.mark.parametrize("which", Curve)
def test_a_curve_is_the_one_of_that_name(which: Curve) -> None:
    assert keys.NamedCurve.map(which.oid) == which.value
    assert f"{which.bits}" in which.value


@pytest.mark.parametrize(
    ("key_type", "algorithm"),
    [
        (KeyType.RSA_2048, KeyAlgorithm(KeyKind.RSA, 2048)),
        (KeyType.RSA_3072, KeyAlgorithm(KeyKind.RSA, 3072)),
        (KeyType.RSA_4096, KeyAlgorithm(KeyKind.RSA, 4096)),
        (KeyType.EC_P256, curve(Curve.P256)),
        (KeyType.EC_P384, curve(Curve.P384)),
        (KeyType.EC_P521, curve(Curve.P521)),
        (KeyType.ED25519, ED25519),
        (KeyType.X25519, KeyAlgorithm(KeyKind.X25519, 256)),
    ],
)
def test_a_key_type_says_what_is_made(key_type: KeyType, algorithm: KeyAlgorithm) -> None:
    assert key_type.algorithm == algorithm


@pytest.mark.parametrize(
    ("algorithm", "text"),
    [
        (RSA, "RSA 2048"),
        (curve(Curve.P521), "EC P-521"),
        (KeyAlgorithm(KeyKind.EC), "EC"),
        (ED25519, "Ed25519"),
        (KeyAlgorithm(KeyKind.OTHER), "other"),
    ],
)
def test_a_key_is_named_for_people(algorithm: KeyAlgorithm, text: str) -> None:
    assert str(algorithm) == text


@pytest.mark.parametrize(
    ("key", "digest", "padding", "expected"),
    [
        (RSA, None, None, (SignatureAlgorithm.RSASSA_PKCS1_V1_5, Digest.SHA256)),
        (RSA, Digest.SHA512, Padding.PKCS1, (SignatureAlgorithm.RSASSA_PKCS1_V1_5, Digest.SHA512)),
        (RSA, None, Padding.PSS, (SignatureAlgorithm.RSASSA_PSS, Digest.SHA256)),
        (curve(Curve.P256), None, None, (SignatureAlgorithm.ECDSA, Digest.SHA256)),
        (curve(Curve.P384), None, None, (SignatureAlgorithm.ECDSA, Digest.SHA384)),
        (curve(Curve.P521), None, None, (SignatureAlgorithm.ECDSA, Digest.SHA512)),
        (curve(Curve.P521), Digest.SHA256, None, (SignatureAlgorithm.ECDSA, Digest.SHA256)),
        (ED25519, None, None, (SignatureAlgorithm.ED25519, Digest.SHA512)),
        (ED25519, Digest.SHA512, None, (SignatureAlgorithm.ED25519, Digest.SHA512)),
    ],
)
def test_the_scheme_matches_the_key(
    key: KeyAlgorithm,
    digest: Digest | None,
    padding: Padding | None,
    expected: tuple[SignatureAlgorithm, Digest],
) -> None:
    assert SignatureScheme.for_key(key, digest, padding) == SignatureScheme(*expected)


@pytest.mark.parametrize(
    ("key", "digest", "padding"),
    [
        (curve(Curve.P256), None, Padding.PSS),
        (curve(Curve.P256), None, Padding.PKCS1),
        (ED25519, None, Padding.PSS),
        (ED25519, Digest.SHA256, None),
        (KeyAlgorithm(KeyKind.X25519, 256), None, None),
        (KeyAlgorithm(KeyKind.EC, 0), None, None),
        (KeyAlgorithm(KeyKind.OTHER), None, None),
    ],
)
def test_what_does_not_go_together_is_refused(
    key: KeyAlgorithm, digest: Digest | None, padding: Padding | None
) -> None:
    with pytest.raises(UsageError):
        SignatureScheme.for_key(key, digest, padding)


@pytest.mark.parametrize("bits", [1024, 2047])
def test_short_rsa_keys_do_not_sign(bits: int) -> None:
    with pytest.raises(PolicyError, match=f"an RSA key of {bits} bits is too short"):
        SignatureScheme.for_key(KeyAlgorithm(KeyKind.RSA, bits))


def read(algorithm: SignatureAlgorithm, digest: Digest) -> cms.SignedDigestAlgorithm:
    return cms.SignedDigestAlgorithm.load(SignatureScheme(algorithm, digest).algorithm_identifier, strict=True)


@pytest.mark.parametrize("digest", Digest)
def test_rsa_is_identified_as_rsa_encryption_with_null(digest: Digest) -> None:  # RFC 3370, 3.2
    identifier = read(SignatureAlgorithm.RSASSA_PKCS1_V1_5, digest)
    assert identifier["algorithm"].dotted == "1.2.840.113549.1.1.1"
    assert identifier["parameters"].dump() == b"\x05\x00"


@pytest.mark.parametrize("digest", Digest)
def test_ecdsa_is_identified_with_its_digest_and_no_parameters(digest: Digest) -> None:  # RFC 5754, 3.3
    identifier = read(SignatureAlgorithm.ECDSA, digest)
    assert identifier["algorithm"].native == f"{digest.value}_ecdsa"
    assert identifier["parameters"].dump() == b""


def test_ed25519_is_identified_without_parameters() -> None:  # RFC 8419, 2.2
    identifier = SignatureScheme(SignatureAlgorithm.ED25519, Digest.SHA512).algorithm_identifier
    assert identifier == bytes.fromhex("300506032b6570")


@pytest.mark.parametrize("digest", Digest)
def test_pss_says_all_of_its_parameters(digest: Digest) -> None:  # RFC 4056, 2.2
    identifier = read(SignatureAlgorithm.RSASSA_PSS, digest)
    parameters = identifier["parameters"]
    assert identifier["algorithm"].native == "rsassa_pss"
    assert parameters["hash_algorithm"]["algorithm"].native == digest.value
    assert parameters["mask_gen_algorithm"]["algorithm"].native == "mgf1"
    assert parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native == digest.value
    assert parameters["salt_length"].native == digest.size
    assert parameters["trailer_field"].native == "trailer_field_bc"
    assert b"\xa3" not in parameters.dump()[-4:]  # the default is not encoded
