"""Content-encryption keys unwrapped on NSS softoken: a second reading of PKCS#11, and one that rejects implicitly."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from pkcs11 import Mechanism

from smime_agent.accepted import HashFunction
from smime_agent.algorithms import KeyKind
from smime_agent.cms.ciphers import DecryptionError
from smime_agent.cms.key_transport import OaepParameters
from smime_agent.tokens.decrypter import TokenDecrypter
from smime_agent.tokens.native import CKR_OK, CryptokiMechanism
from smime_agent.tokens.objects import read_objects
from tests.tokens.wrapping import CONTENT_KEY, RC2_40, agreed, block, oaep, pkcs1_v1_5, raw, rsa_public, transported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.tokens.session import TokenSession
    from tests.support.softtoken import Softoken

SUBSTITUTE = b"\xee" * 32
HASHES = {
    HashFunction.SHA1: hashes.SHA1(),  # noqa: S303 - the default of RSAES-OAEP
    HashFunction.SHA224: hashes.SHA224(),
    HashFunction.SHA256: hashes.SHA256(),
    HashFunction.SHA384: hashes.SHA384(),
    HashFunction.SHA512: hashes.SHA512(),
}
CURVES = ["p256", "p384", "p521"]


@pytest.fixture(scope="module")
def session(softoken: Softoken) -> Iterator[TokenSession]:
    with softoken.session() as opened:
        opened.login("for a test")
        yield opened


@pytest.fixture
def rsa(session: TokenSession) -> TokenDecrypter:
    return decrypter(session, "rsa")


def decrypter(session: TokenSession, label: str) -> TokenDecrypter:
    key = next(key for key in read_objects(session).keys if key.label == label)
    return TokenDecrypter(session, key, substitute=lambda _, size: SUBSTITUTE[:size])


def test_a_key_by_pkcs1_v1_5_is_unwrapped(rsa: TokenDecrypter) -> None:
    wrapped = transported(pkcs1_v1_5(rsa.key))
    assert [rsa.unwrap(wrapped).reveal() for _ in range(2)] == [CONTENT_KEY] * 2


@pytest.mark.parametrize("label", [b"", b"for\0 Bob"])
@pytest.mark.parametrize("mask", HASHES)
@pytest.mark.parametrize("hash_function", HASHES)
def test_the_token_does_oaep_with_everything(
    rsa: TokenDecrypter, monkeypatch: pytest.MonkeyPatch, hash_function: HashFunction, mask: HashFunction, label: bytes
) -> None:
    monkeypatch.setattr("smime_agent.tokens.decrypter.remove_oaep", None)  # the host has no part in it
    scheme = padding.OAEP(padding.MGF1(HASHES[mask]), HASHES[hash_function], label or None)
    ciphertext = rsa_public(rsa.key).encrypt(CONTENT_KEY, scheme)
    assert rsa.plans(OaepParameters(hash_function, mask, label))[0].mechanism is Mechanism.RSA_PKCS_OAEP
    assert rsa.unwrap(transported(ciphertext, oaep(hash_function, mask, label))).reveal() == CONTENT_KEY


@pytest.mark.parametrize("ukm", [None, b"user keying material"])
@pytest.mark.parametrize("label", CURVES)
def test_an_agreed_key_is_unwrapped(session: TokenSession, label: str, ukm: bytes | None) -> None:
    made = decrypter(session, label)
    wrapped = agreed(made.key, position=1, ukm=ukm)
    assert [made.unwrap(wrapped).reveal() for _ in range(2)] == [CONTENT_KEY] * 2


def test_every_secret_is_as_long_as_the_field(session: TokenSession) -> None:
    made = decrypter(session, "p256")
    for _ in range(600):  # two in 512 begin with a zero
        assert made.unwrap(agreed(made.key)).reveal() == CONTENT_KEY


# --- implicit rejection ----------------------------------------------------------------------------------------------


def wrong_paddings(decrypter: TokenDecrypter) -> list[bytes]:
    key = decrypter.key
    wrong = [block(key, head=b"\0\1"), block(key, head=b"\1\2"), block(key, CONTENT_KEY[1:], gap=b"\1")]
    wrong += [block(key, head=b"\0\2" + b"\xa5" * 7 + b"\0"), bytes(256), b"\0\2" + bytes(254)]
    wrong += [b"\0" + os.urandom(255) for _ in range(200)]
    return [raw(key, one) for one in wrong]


def test_the_module_calls_a_wrong_padding_right(session: TokenSession, rsa: TokenDecrypter) -> None:
    functions = session.token.module.functions
    for ciphertext in wrong_paddings(rsa)[:20]:
        with session.calling():
            functions.decrypt_init(rsa._working(), CryptokiMechanism(Mechanism.RSA_PKCS), rsa._handle())
            code, _ = functions.decrypt(rsa._working(), ciphertext)
        assert code == CKR_OK


def test_wrong_padding_gives_a_wrong_key_and_always_the_same(rsa: TokenDecrypter) -> None:
    for ciphertext in wrong_paddings(rsa):
        wrapped = transported(ciphertext)
        first, second = (rsa.unwrap(wrapped).reveal() for _ in range(2))
        assert first == second != CONTENT_KEY
        assert len(first) == len(CONTENT_KEY)


def test_with_rc2_a_wrong_padding_gives_a_key_too(rsa: TokenDecrypter) -> None:
    for ciphertext in wrong_paddings(rsa):
        assert 1 <= len(rsa.unwrap(transported(ciphertext, cipher=RC2_40)).reveal()) <= 128


def test_a_key_of_a_length_that_the_content_does_not_have_gives_another(rsa: TokenDecrypter) -> None:
    lengths = (0, 1, 16, 31, 33, 245)
    found = {rsa.unwrap(transported(pkcs1_v1_5(rsa.key, bytes(size)))).reveal() for size in lengths}
    assert found == {SUBSTITUTE}


def test_a_number_that_is_no_ciphertext_gives_another_key(rsa: TokenDecrypter) -> None:
    ciphertext, modulus = pkcs1_v1_5(rsa.key), rsa_public(rsa.key).public_numbers().n
    for wrong in (b"", b"\0" + ciphertext, ciphertext * 2, modulus.to_bytes(256), b"\xff" * 256):
        assert rsa.unwrap(transported(wrong)).reveal() == SUBSTITUTE


# --- what fails ------------------------------------------------------------------------------------------------------


def test_oaep_that_is_wrong_is_refused_and_the_next_key_is_unwrapped(rsa: TokenDecrypter) -> None:
    algorithm = oaep(HashFunction.SHA256, HashFunction.SHA256)
    for ciphertext in [pkcs1_v1_5(rsa.key), *wrong_paddings(rsa)[:20]]:
        with pytest.raises(DecryptionError, match=r"^the content cannot be decrypted$"):
            rsa.unwrap(transported(ciphertext, algorithm))
        assert rsa.unwrap(transported(pkcs1_v1_5(rsa.key))).reveal() == CONTENT_KEY


@pytest.mark.parametrize("label", CURVES)
def test_an_agreed_key_that_was_changed_is_refused(session: TokenSession, label: str) -> None:
    made = decrypter(session, label)
    wrapped = agreed(made.key)
    info = wrapped.recipient_info
    damaged = type(wrapped)(info[:-1] + bytes((info[-1] ^ 1,)), wrapped.position, wrapped.content_encryption)
    with pytest.raises(DecryptionError):
        made.unwrap(damaged)
    assert made.unwrap(wrapped).reveal() == CONTENT_KEY


def test_what_the_token_shows_is_what_was_put_in(session: TokenSession) -> None:
    objects = read_objects(session)
    assert {key.label: key.algorithm.kind for key in objects.keys} == {
        "rsa": KeyKind.RSA,
        **dict.fromkeys(CURVES, KeyKind.EC),
    }
    assert all(len(objects.certificates_of(key)) == 1 and key.can_decrypt for key in objects.keys)
