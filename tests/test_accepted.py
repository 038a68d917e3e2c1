"""What others may sign with."""

from __future__ import annotations

import hashlib

import pytest

from smime_agent import der
from smime_agent.accepted import SIGNATURE_ALGORITHMS, HashFunction, SignatureFamily
from smime_agent.algorithms import Digest, KeyKind

H = HashFunction


@pytest.mark.parametrize(
    ("oid", "function", "name", "size"),
    [
        ("1.2.840.113549.2.5", H.MD5, "MD5", 16),
        ("1.3.14.3.2.26", H.SHA1, "SHA-1", 20),
        ("2.16.840.1.101.3.4.2.4", H.SHA224, "SHA-224", 28),
        ("2.16.840.1.101.3.4.2.1", H.SHA256, "SHA-256", 32),
        ("2.16.840.1.101.3.4.2.2", H.SHA384, "SHA-384", 48),
        ("2.16.840.1.101.3.4.2.3", H.SHA512, "SHA-512", 64),
        ("2.16.840.1.101.3.4.2.5", H.SHA512_224, "SHA-512/224", 28),
        ("2.16.840.1.101.3.4.2.6", H.SHA512_256, "SHA-512/256", 32),
        ("2.16.840.1.101.3.4.2.7", H.SHA3_224, "SHA3-224", 28),
        ("2.16.840.1.101.3.4.2.8", H.SHA3_256, "SHA3-256", 32),
        ("2.16.840.1.101.3.4.2.9", H.SHA3_384, "SHA3-384", 48),
        ("2.16.840.1.101.3.4.2.10", H.SHA3_512, "SHA3-512", 64),
        ("2.16.840.1.101.3.4.2.11", H.SHAKE128, "SHAKE128", 32),
        ("2.16.840.1.101.3.4.2.12", H.SHAKE256, "SHAKE256", 64),
    ],
)
def test_hash_functions(oid: str, function: HashFunction, name: str, size: int) -> None:
    assert H.by_oid(oid) is H.by_oid(oid, der.NULL) is function
    assert H.by_oid(oid, der.integer(512)) is None
    assert (function.oid, str(function), function.size) == (oid, name, size)


def test_shake_with_a_length() -> None:  # RFC 8419, 2.3
    oid = "2.16.840.1.101.3.4.2.18"
    assert H.by_oid(oid, der.integer(512)) is H.SHAKE256
    assert [H.by_oid(oid, parameters) for parameters in (None, der.NULL, der.integer(256), b"")] == [None] * 4


def test_digests_are_those_of_the_library() -> None:
    assert H.SHA3_384.of(b"abc") == hashlib.sha3_384(b"abc").digest()
    assert H.SHAKE256.of(b"abc") == hashlib.shake_256(b"abc").digest(64)
    assert H.SHA512_256.of(b"abc").hex().startswith("53048e2681941ef9")


def test_what_is_weak() -> None:
    assert {function for function in H if function.is_weak} == {H.MD5, H.SHA1}


def test_what_we_produce_is_accepted() -> None:
    assert {H.by_oid(digest.oid) for digest in Digest} == {H.SHA256, H.SHA384, H.SHA512}


@pytest.mark.parametrize("oid", ["1.2.840.113549.2.2", "1.2.840.113549.2.4", "1.3.36.3.2.1", "1.2.3"])
def test_what_is_not_supported(oid: str) -> None:  # MD2, MD4, RIPEMD-160
    assert H.by_oid(oid) is None
    assert oid not in SIGNATURE_ALGORITHMS


@pytest.mark.parametrize(
    ("family", "kind", "pure"),
    [
        (SignatureFamily.RSASSA_PKCS1_V1_5, KeyKind.RSA, False),
        (SignatureFamily.RSASSA_PSS, KeyKind.RSA, False),
        (SignatureFamily.ECDSA, KeyKind.EC, False),
        (SignatureFamily.DSA, KeyKind.DSA, False),
        (SignatureFamily.ED25519, KeyKind.ED25519, True),
        (SignatureFamily.ED448, KeyKind.ED448, True),
        (SignatureFamily.ML_DSA_65, KeyKind.ML_DSA, True),
    ],
)
def test_families(family: SignatureFamily, kind: KeyKind, *, pure: bool) -> None:
    assert (family.key_kind, family.is_pure) == (kind, pure)
    assert (family.content_digests is not None) is pure
    assert family.is_legacy is (family is SignatureFamily.DSA)
