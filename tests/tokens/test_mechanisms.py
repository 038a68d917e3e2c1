"""Plans for signatures, and the host's part of them checked by ``cryptography``."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from hypothesis import given
from hypothesis import strategies as st
from pkcs11 import MGF, Mechanism

from smime_agent.algorithms import Curve, Digest, KeyAlgorithm, KeyKind, Padding, SignatureScheme
from smime_agent.errors import MechanismError
from smime_agent.tokens.mechanisms import HostStep, plan_signature, quirks_of

if TYPE_CHECKING:
    from collections.abc import Collection

RSA = KeyAlgorithm(KeyKind.RSA, 2048)
P256, P384, P521 = (KeyAlgorithm(KeyKind.EC, curve.bits, curve) for curve in Curve)
ED25519 = KeyAlgorithm(KeyKind.ED25519, 256)

PKCS1 = {Mechanism.RSA_PKCS}
PSS = {Mechanism.RSA_PKCS_PSS}
RAW = {Mechanism.RSA_X_509}
ECDSA = {Mechanism.ECDSA}
EDDSA = {Mechanism.EDDSA}
EVERYTHING = PKCS1 | PSS | RAW | ECDSA | EDDSA | {Mechanism.SHA256_RSA_PKCS, Mechanism.ECDSA_SHA256}

HASHES = {Digest.SHA256: hashes.SHA256(), Digest.SHA384: hashes.SHA384(), Digest.SHA512: hashes.SHA512()}
TBS = b"the signed attributes of a mail"


def scheme(key: KeyAlgorithm, digest: Digest | None = None, rsa_padding: Padding | None = None) -> SignatureScheme:
    return SignatureScheme.for_key(key, digest, rsa_padding)


PLANS = [
    (RSA, None, None, EVERYTHING, HostStep.DIGEST_INFO, Mechanism.RSA_PKCS),
    (RSA, None, None, PKCS1, HostStep.DIGEST_INFO, Mechanism.RSA_PKCS),
    (RSA, None, None, RAW, HostStep.EMSA_PKCS1, Mechanism.RSA_X_509),
    (RSA, None, None, PSS | RAW, HostStep.EMSA_PKCS1, Mechanism.RSA_X_509),
    (RSA, Digest.SHA512, Padding.PKCS1, EVERYTHING, HostStep.DIGEST_INFO, Mechanism.RSA_PKCS),
    (RSA, None, Padding.PSS, EVERYTHING, HostStep.DIGEST, Mechanism.RSA_PKCS_PSS),
    (RSA, None, Padding.PSS, PKCS1 | RAW, HostStep.EMSA_PSS, Mechanism.RSA_X_509),
    (P256, None, None, EVERYTHING, HostStep.DIGEST, Mechanism.ECDSA),
    (P256, Digest.SHA384, None, ECDSA, HostStep.TRUNCATED_DIGEST, Mechanism.ECDSA),
    (P256, Digest.SHA512, None, ECDSA, HostStep.TRUNCATED_DIGEST, Mechanism.ECDSA),
    (P384, None, None, ECDSA, HostStep.DIGEST, Mechanism.ECDSA),
    (P384, Digest.SHA256, None, ECDSA, HostStep.DIGEST, Mechanism.ECDSA),
    (P384, Digest.SHA512, None, ECDSA, HostStep.TRUNCATED_DIGEST, Mechanism.ECDSA),
    (P521, None, None, ECDSA, HostStep.DIGEST, Mechanism.ECDSA),
    (P521, Digest.SHA256, None, ECDSA, HostStep.DIGEST, Mechanism.ECDSA),
    (ED25519, None, None, EVERYTHING, HostStep.NOTHING, Mechanism.EDDSA),
]


@pytest.mark.parametrize(("key", "digest", "rsa_padding", "listed", "host", "mechanism"), PLANS)
def test_the_plan_is_the_best_that_the_token_lists(  # noqa: PLR0913, PLR0917 - six columns
    key: KeyAlgorithm,
    digest: Digest | None,
    rsa_padding: Padding | None,
    listed: Collection[Mechanism],
    host: HostStep,
    mechanism: Mechanism,
) -> None:
    plan = plan_signature(scheme(key, digest, rsa_padding), key, listed)
    assert (plan.host, plan.mechanism) == (host, mechanism)


@pytest.mark.parametrize(
    ("key", "rsa_padding", "listed", "missing"),
    [
        (RSA, None, PSS | ECDSA, "CKM_RSA_PKCS or CKM_RSA_X_509"),
        (RSA, Padding.PSS, PKCS1, "CKM_RSA_PKCS_PSS or CKM_RSA_X_509"),
        (P256, None, RAW | {Mechanism.ECDSA_SHA256}, "CKM_ECDSA"),
        (ED25519, None, ECDSA, "CKM_EDDSA"),
        (RSA, None, frozenset(), "CKM_RSA_PKCS or CKM_RSA_X_509"),
        (RSA, None, {0x80000001}, "CKM_RSA_PKCS or CKM_RSA_X_509"),
    ],
)
def test_what_the_token_lacks_is_named(
    key: KeyAlgorithm, rsa_padding: Padding | None, listed: Collection[Mechanism | int], missing: str
) -> None:
    with pytest.raises(MechanismError) as caught:
        plan_signature(scheme(key, None, rsa_padding), key, listed)
    assert str(caught.value).endswith(f"it lists no {missing}")
    assert caught.value.exit_code == 8
    assert caught.value.hint


@pytest.mark.parametrize(
    ("digest", "parameter"),
    [
        (Digest.SHA256, (Mechanism.SHA256, MGF.SHA256, 32)),
        (Digest.SHA384, (Mechanism.SHA384, MGF.SHA384, 48)),
        (Digest.SHA512, (Mechanism.SHA512, MGF.SHA512, 64)),
    ],
)
def test_the_token_is_told_the_pss_parameters_in_full(digest: Digest, parameter: object) -> None:
    assert plan_signature(scheme(RSA, digest, Padding.PSS), RSA, PSS).parameter == parameter


def test_a_plan_explains_itself() -> None:
    text = plan_signature(scheme(RSA, None, Padding.PSS), RSA, RAW).explain()
    assert text.startswith("RSASSA-PSS with SHA-256: host: hash, salt, pad (EMSA-PSS); token: CKM_RSA_X_509")


@pytest.mark.parametrize("digest", Digest)
def test_the_token_is_given_no_more_than_the_curve_takes(digest: Digest) -> None:
    plan = plan_signature(scheme(P256, digest), P256, ECDSA)
    assert plan.prepare(TBS) == hashlib.new(digest.value, TBS).digest()[:32]


def test_ed25519_is_given_all_of_it() -> None:
    plan = plan_signature(scheme(ED25519), ED25519, EDDSA)
    assert plan.prepare(TBS) == TBS
    assert plan.finish(b"s" * 64) == b"s" * 64


def raw_rsa(key: rsa.RSAPrivateKey, block: bytes) -> bytes:
    """What CKM_RSA_X_509 computes."""
    numbers = key.private_numbers()
    modulus = numbers.public_numbers.n
    return pow(int.from_bytes(block, "big"), numbers.d, modulus).to_bytes((key.key_size + 7) // 8, "big")


def key_from(p: int, q: int) -> rsa.RSAPrivateKey:
    d = pow(65537, -1, (p - 1) * (q - 1))
    exponents = (rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q))
    return rsa.RSAPrivateNumbers(p, q, d, *exponents, rsa.RSAPublicNumbers(65537, p * q)).private_key()


@pytest.fixture(scope="module", params=[2048, 2049, 2054])
def rsa_key(request: pytest.FixtureRequest) -> rsa.RSAPrivateKey:
    """Sizes that are no multiple of eight too: the padding counts bits."""
    bits: int = request.param
    if bits % 2:  # OpenSSL makes none of an odd size
        smaller, larger = (rsa.generate_private_key(65537, size).private_numbers() for size in (bits - 1, bits + 1))
        key = key_from(smaller.p, larger.p)
    else:
        key = rsa.generate_private_key(65537, bits)
    assert key.key_size == bits
    return key


@pytest.mark.parametrize("digest", Digest)
def test_padding_on_the_host_is_emsa_pkcs1(rsa_key: rsa.RSAPrivateKey, digest: Digest) -> None:
    algorithm = KeyAlgorithm(KeyKind.RSA, rsa_key.key_size)
    plan = plan_signature(scheme(algorithm, digest), algorithm, RAW)
    signature = plan.finish(raw_rsa(rsa_key, plan.prepare(TBS)))
    rsa_key.public_key().verify(signature, TBS, padding.PKCS1v15(), HASHES[digest])


@pytest.mark.parametrize("digest", Digest)
def test_padding_on_the_host_is_emsa_pss_with_a_salt_as_long_as_the_digest(
    rsa_key: rsa.RSAPrivateKey, digest: Digest
) -> None:
    algorithm = KeyAlgorithm(KeyKind.RSA, rsa_key.key_size)
    plan = plan_signature(scheme(algorithm, digest, Padding.PSS), algorithm, RAW)
    signature = plan.finish(raw_rsa(rsa_key, plan.prepare(TBS)))
    pss = padding.PSS(padding.MGF1(HASHES[digest]), digest.size)
    rsa_key.public_key().verify(signature, TBS, pss, HASHES[digest])


def test_two_pss_paddings_differ() -> None:
    plan = plan_signature(scheme(RSA, None, Padding.PSS), RSA, RAW)
    assert plan.prepare(TBS) != plan.prepare(TBS)


@pytest.mark.parametrize("digest", Digest)
def test_digest_info_is_what_pkcs1_signs(digest: Digest) -> None:
    key = rsa.generate_private_key(65537, 2048)
    plan = plan_signature(scheme(RSA, digest), RSA, PKCS1)
    signature = key.sign(TBS, padding.PKCS1v15(), HASHES[digest])
    assert key.public_key().recover_data_from_signature(signature, padding.PKCS1v15(), None) == plan.prepare(TBS)


@given(st.integers(1, 2**256 - 1), st.integers(1, 2**256 - 1))
def test_r_and_s_become_a_der_value(r: int, s: int) -> None:
    plan = plan_signature(scheme(P256), P256, ECDSA)
    assert plan.finish(r.to_bytes(32, "big") + s.to_bytes(32, "big")) == utils.encode_dss_signature(r, s)


@pytest.mark.parametrize("digest", Digest)
@pytest.mark.parametrize("curve", Curve)
def test_any_digest_verifies_on_any_curve(curve: Curve, digest: Digest) -> None:
    key = ec.generate_private_key({256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}[curve.bits])
    algorithm = KeyAlgorithm(KeyKind.EC, curve.bits, curve)
    plan = plan_signature(scheme(algorithm, digest), algorithm, ECDSA)
    prepared = plan.prepare(TBS)
    # What the token does: sign a number that somebody else has hashed.
    by_length = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}[len(prepared)]
    r, s = utils.decode_dss_signature(key.sign(prepared, ec.ECDSA(utils.Prehashed(by_length))))
    size = (curve.bits + 7) // 8
    signature = plan.finish(r.to_bytes(size, "big") + s.to_bytes(size, "big"))
    key.public_key().verify(signature, TBS, ec.ECDSA(HASHES[digest]))
    with pytest.raises(InvalidSignature):
        key.public_key().verify(signature, TBS + b"!", ec.ECDSA(HASHES[digest]))


@pytest.mark.parametrize(
    ("description", "edwards"),
    [("Implementation of PKCS11", True), ("SoftHSM 2.7", True), ("OpenSC smartcard framework", False), ("", False)],
)
def test_softhsm_is_known_by_its_description(description: str, edwards: bool) -> None:  # noqa: FBT001 - a column
    assert quirks_of(description).x25519_as_edwards is edwards
