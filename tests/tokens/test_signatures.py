"""Signatures made on SoftHSM, verified by ``cryptography``; also where the token lists less than it should."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pkcs11
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import Mechanism

from smime_agent.algorithms import Digest, KeyType, KeyUsage, Padding, SignatureScheme
from smime_agent.errors import MechanismError, NoKeyError
from smime_agent.tokens.objects import read_objects
from smime_agent.tokens.private_key import private_key
from smime_agent.tokens.signer import SigningKey

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.session import TokenSession
    from tests.support.softhsm import SoftHsm, SoftToken

HASHES = {Digest.SHA256: hashes.SHA256(), Digest.SHA384: hashes.SHA384(), Digest.SHA512: hashes.SHA512()}
TBS = b"the signed attributes of a mail"

WAYS = [
    (KeyType.RSA_2048, None, Padding.PKCS1),
    (KeyType.RSA_2048, Digest.SHA512, Padding.PKCS1),
    (KeyType.RSA_2048, None, Padding.PSS),
    (KeyType.RSA_2048, Digest.SHA384, Padding.PSS),
    (KeyType.RSA_3072, Digest.SHA512, Padding.PSS),
    (KeyType.EC_P256, None, None),
    (KeyType.EC_P256, Digest.SHA384, None),
    (KeyType.EC_P256, Digest.SHA512, None),
    (KeyType.EC_P384, None, None),
    (KeyType.EC_P384, Digest.SHA256, None),
    (KeyType.EC_P384, Digest.SHA512, None),
    (KeyType.EC_P521, None, None),
    (KeyType.EC_P521, Digest.SHA256, None),
    (KeyType.ED25519, None, None),
]


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm) -> SoftToken:
    """A key of each type, labelled with it."""
    made = softhsm.new_token("signatures")
    for key_type in {way[0] for way in WAYS}:
        made.generate(key_type, KeyUsage.SIGN, key_type.value)
    return made


@pytest.fixture
def session(token: SoftToken) -> Iterator[TokenSession]:
    with token.session() as opened:
        opened.login("for a test")
        yield opened


def key_of(session: TokenSession, key_type: KeyType) -> TokenKey:
    return next(key for key in read_objects(session).keys if key.label == key_type.value)


def public_half(key: TokenKey) -> object:
    assert key.public_key_info
    return load_der_public_key(key.public_key_info)


def verify(key: TokenKey, signature: bytes, scheme: SignatureScheme, rsa_padding: Padding | None) -> None:
    digest = HASHES[scheme.digest]
    match public_half(key):
        case rsa.RSAPublicKey() as public:
            pss = padding.PSS(padding.MGF1(digest), scheme.digest.size)
            public.verify(signature, TBS, pss if rsa_padding is Padding.PSS else padding.PKCS1v15(), digest)
        case ec.EllipticCurvePublicKey() as public:
            public.verify(signature, TBS, ec.ECDSA(digest))
        case ed25519.Ed25519PublicKey() as public:
            public.verify(signature, TBS)


@pytest.mark.parametrize(("key_type", "digest", "rsa_padding"), WAYS)
def test_every_way_of_signing_verifies(
    session: TokenSession, key_type: KeyType, digest: Digest | None, rsa_padding: Padding | None
) -> None:
    key = key_of(session, key_type)
    scheme = SignatureScheme.for_key(key.algorithm, digest, rsa_padding)
    signing = SigningKey(session, key, scheme)
    for _ in range(2):
        verify(key, signing.sign(TBS), scheme, rsa_padding)


@pytest.mark.parametrize("rsa_padding", Padding)
@pytest.mark.parametrize("digest", Digest)
def test_padding_on_the_host_verifies(
    session: TokenSession, monkeypatch: pytest.MonkeyPatch, digest: Digest, rsa_padding: Padding
) -> None:
    key = key_of(session, KeyType.RSA_2048)
    scheme = SignatureScheme.for_key(key.algorithm, digest, rsa_padding)
    monkeypatch.setattr(session.token.__class__, "slot", _Listing(session.token.slot, {Mechanism.RSA_X_509}))
    signing = SigningKey(session, key, scheme)
    assert signing.plan.mechanism is Mechanism.RSA_X_509
    for _ in range(2):
        verify(key, signing.sign(TBS), scheme, rsa_padding)


class _Listing:
    """A slot that lists what a test says."""

    def __init__(self, slot: pkcs11.Slot, mechanisms: Collection[Mechanism]) -> None:
        self._slot, self._mechanisms = slot, mechanisms

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a slot has
        return getattr(self._slot, name)

    def get_mechanisms(self) -> Collection[Mechanism]:
        return self._mechanisms


def test_a_token_that_lists_too_little_is_not_asked(session: TokenSession, monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of(session, KeyType.EC_P256)
    monkeypatch.setattr(session.token.__class__, "slot", _Listing(session.token.slot, {Mechanism.RSA_PKCS}))
    with pytest.raises(MechanismError, match="it lists no CKM_ECDSA"):
        SigningKey(session, key, SignatureScheme.for_key(key.algorithm))


def test_another_text_has_another_signature(session: TokenSession) -> None:
    key = key_of(session, KeyType.EC_P256)
    scheme = SignatureScheme.for_key(key.algorithm)
    signature = SigningKey(session, key, scheme).sign(TBS + b"!")
    with pytest.raises(InvalidSignature):
        verify(key, signature, scheme, None)


def test_a_key_that_is_deleted_meanwhile_is_missed(softhsm: SoftHsm) -> None:
    token = softhsm.new_token("deleted key")
    token.generate(KeyType.EC_P256)
    with token.session(writable=True) as session:
        session.login("for a test")
        (key,) = read_objects(session).keys
        signing = SigningKey(session, key, SignatureScheme.for_key(key.algorithm))
        with session.calling():
            for found in session.objects(pkcs11.ObjectClass.PRIVATE_KEY):
                found.destroy()
        with pytest.raises(NoKeyError, match="key 01 is no longer on token 'deleted key'"):
            signing.sign(TBS)


# --- as private keys of the cryptography package ---


@pytest.mark.parametrize(("key_type", "digest", "rsa_padding"), WAYS)
def test_the_cryptography_package_can_use_the_key(
    session: TokenSession, key_type: KeyType, digest: Digest | None, rsa_padding: Padding | None
) -> None:
    key = key_of(session, key_type)
    scheme = SignatureScheme.for_key(key.algorithm, digest, rsa_padding)
    chosen = HASHES[scheme.digest]
    ours: Any = private_key(session, key)
    match ours:
        case rsa.RSAPrivateKey():
            pss = padding.PSS(padding.MGF1(chosen), scheme.digest.size)
            signature = ours.sign(TBS, pss if rsa_padding is Padding.PSS else padding.PKCS1v15(), chosen)
        case ec.EllipticCurvePrivateKey():
            signature = ours.sign(TBS, ec.ECDSA(chosen))
        case _:
            signature = ours.sign(TBS)
    verify(key, signature, scheme, rsa_padding)


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.EC_P256, KeyType.ED25519])
@pytest.mark.parametrize("power", ["private_bytes", "private_numbers", "private_bytes_raw", "decrypt", "exchange"])
def test_the_key_cannot_be_taken_out_that_way(session: TokenSession, key_type: KeyType, power: str) -> None:
    ours: Any = private_key(session, key_of(session, key_type))
    with pytest.raises(MechanismError, match="cannot leave token 'signatures'"):
        getattr(ours, power)(None)


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.EC_P256, KeyType.EC_P521, KeyType.ED25519])
def test_size_and_public_half_are_those_of_the_token(session: TokenSession, key_type: KeyType) -> None:
    key = key_of(session, key_type)
    ours: Any = private_key(session, key)
    assert ours.public_key() == public_half(key)
    assert ours.key_size == key.algorithm.bits == key_type.algorithm.bits
