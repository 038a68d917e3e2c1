"""Wycheproof's keys on SoftHSM, its ciphertexts and points through our whole road to a content-encryption key."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from pkcs11 import Attribute, KeyType, ObjectClass

from smime_agent import der
from smime_agent.accepted import HashFunction
from smime_agent.algorithms import Curve, KeyAlgorithm, KeyKind
from smime_agent.cms.ciphers import DecryptionError
from smime_agent.cms.key_agreement import unwrap_agreed
from smime_agent.cms.signer_info import algorithm_of
from smime_agent.tokens.decrypter import TokenDecrypter
from smime_agent.tokens.objects import TokenKey
from smime_agent.tokens.rsa_padding import remove_pkcs1_v1_5
from smime_agent.verdict import UntrustworthyError
from tests.tokens.wrapping import CONTENT_KEY, RC2_40, agreement, oaep, transported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from smime_agent.keys import WrappedKey
    from smime_agent.tokens.session import TokenSession
    from tests.support.softhsm import SoftHsm

pytestmark = [pytest.mark.vectors, pytest.mark.slow]
RANDOM = b"\xee" * 5
ID = b"\x77"
#: With RC2 keys of all these lengths are taken, so that most of the vectors' messages come through.
TAKEN = range(1, 129)


@pytest.fixture(scope="module")
def session(softhsm: SoftHsm) -> Iterator[TokenSession]:
    with softhsm.new_token("wycheproof").session() as opened:
        opened.login("for a test")
        yield opened


@contextmanager
def decrypter(session: TokenSession, key: TokenKey, template: dict[Attribute, Any]) -> Iterator[TokenDecrypter]:
    """A private key as a session object: it goes when this is left."""
    common = {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.TOKEN: False,
        Attribute.ID: ID,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
    }
    with session.calling():
        made = session.holder.create_object({**common, **template})
    try:
        yield TokenDecrypter(session, key, substitute=lambda _, size: RANDOM[:size])
    finally:
        with session.calling():
            made.destroy()


def groups(vectors: Path, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((vectors / f"wycheproof/{name}_test.json").read_text())["testGroups"]
    return found


def token_key(algorithm: KeyAlgorithm, public_key_info: bytes | None) -> TokenKey:
    return TokenKey(ID, "", algorithm, public_key_info, False, True, False, True)  # noqa: FBT003 - all its fields


def load_rsa(group: dict[str, Any]) -> rsa.RSAPrivateKey:
    key = load_der_private_key(bytes.fromhex(group["privateKeyPkcs8"]), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@contextmanager
def rsa_decrypter(session: TokenSession, key: rsa.RSAPrivateKey) -> Iterator[TokenDecrypter]:
    numbers = key.private_numbers()
    template = {
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.DECRYPT: True,
        Attribute.MODULUS: octets(numbers.public_numbers.n),
        Attribute.PUBLIC_EXPONENT: octets(numbers.public_numbers.e),
        Attribute.PRIVATE_EXPONENT: octets(numbers.d),
        Attribute.PRIME_1: octets(numbers.p),
        Attribute.PRIME_2: octets(numbers.q),
        Attribute.EXPONENT_1: octets(numbers.dmp1),
        Attribute.EXPONENT_2: octets(numbers.dmq1),
        Attribute.COEFFICIENT: octets(numbers.iqmp),
    }
    info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with decrypter(session, token_key(KeyAlgorithm(KeyKind.RSA, key.key_size), info), template) as made:
        yield made


def octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)


def raw(key: rsa.RSAPrivateKey, ciphertext: bytes) -> bytes:
    """What a token with raw RSA alone would give."""
    numbers = key.private_numbers()
    number = int.from_bytes(ciphertext)
    modulo_p, modulo_q = pow(number, numbers.dmp1, numbers.p), pow(number, numbers.dmq1, numbers.q)
    plain = modulo_q + numbers.q * ((modulo_p - modulo_q) * numbers.iqmp % numbers.p)
    return plain.to_bytes(key.key_size // 8)


@pytest.mark.parametrize("bits", [2048, 3072])
def test_pkcs1_v1_5(session: TokenSession, vectors: Path, bits: int) -> None:
    for group in groups(vectors, f"rsa_pkcs1_{bits}"):
        key = load_rsa(group)
        with rsa_decrypter(session, key) as made:
            for case in group["tests"]:
                ciphertext, message = bytes.fromhex(case["ct"]), bytes.fromhex(case["msg"])
                valid = case["result"] == "valid"
                found = made.unwrap(transported(ciphertext, cipher=RC2_40)).reveal()
                assert found == (message if valid and len(message) in TAKEN else RANDOM), case
                if len(ciphertext) == bits // 8:
                    right, unpadded = remove_pkcs1_v1_5(raw(key, ciphertext), range(bits // 8))
                    assert (unpadded if right else None) == (message if valid else None), case


@pytest.mark.parametrize(
    "name", ["2048_sha1_mgf1sha1", "2048_sha256_mgf1sha1", "2048_sha256_mgf1sha256", "2048_sha512_mgf1sha512", "misc"]
)
def test_oaep(session: TokenSession, vectors: Path, name: str) -> None:
    for group in groups(vectors, f"rsa_oaep_{name}"):
        key = load_rsa(group)
        hash_function, mask = (by_name(group[which]) for which in ("sha", "mgfSha"))
        with rsa_decrypter(session, key) as made:
            for case in group["tests"]:
                ciphertext, message, label = (bytes.fromhex(case[which]) for which in ("ct", "msg", "label"))
                # The acceptable ones have a ciphertext that is a small number: it is a ciphertext all the same.
                valid = case["result"] in {"valid", "acceptable"}
                wrapped = transported(ciphertext, oaep(hash_function, mask, label), RC2_40)
                assert unwrapped(made, wrapped) == (message if valid and len(message) in TAKEN else None), case


def by_name(name: str) -> HashFunction:
    return next(one for one in HashFunction if str(one) == name)


def unwrapped(made: TokenDecrypter, wrapped: WrappedKey) -> bytes | None:
    try:
        return made.unwrap(wrapped).reveal()
    except (DecryptionError, UntrustworthyError):
        return None


#: Acceptable points of which some are taken: a compressed one is a point, and BER leaves open what DER does not. A
#: curve that is not named is not taken, whatever its parameters are (RFC 5480, 2.1.1).
ACCEPTED = {"CompressedPublic", "CompressedPoint", "InvalidAsn"}


@pytest.mark.parametrize("curve", Curve)
def test_ecdh(session: TokenSession, vectors: Path, curve: Curve) -> None:
    (group,) = groups(vectors, f"ecdh_{curve.value}")
    algorithm = KeyAlgorithm(KeyKind.EC, curve.bits, curve)
    size = (curve.bits + 7) // 8
    taken = set()
    for case in group["tests"]:
        shared = bytes.fromhex(case["shared"])
        if case["result"] != "invalid":
            assert len(shared) == size
        template = {
            Attribute.KEY_TYPE: KeyType.EC,
            Attribute.DERIVE: True,
            Attribute.EC_PARAMS: der.object_identifier(curve.oid),
            Attribute.VALUE: octets(int(case["private"], 16)),
        }
        with decrypter(session, token_key(algorithm, None), template) as made:
            found = unwrapped(made, agreement(bytes.fromhex(case["public"]), shared))
        if case["result"] == "valid":
            assert found == CONTENT_KEY, case
        elif case["result"] == "invalid":
            assert found is None, case
        elif found is not None:
            assert found == CONTENT_KEY, case
            taken |= set(case["flags"])
    assert taken == ACCEPTED


def test_x25519(session: TokenSession, vectors: Path) -> None:
    (group,) = groups(vectors, "x25519")
    hkdf = "1.2.840.113549.1.9.16.3.19"
    for case in group["tests"]:
        point, private, shared = (bytes.fromhex(case[which]) for which in ("public", "private", "shared"))
        template = {
            Attribute.KEY_TYPE: KeyType.EC_EDWARDS,
            Attribute.DERIVE: True,
            Attribute.EC_PARAMS: der.object_identifier("1.3.101.110"),
            Attribute.VALUE: private,
        }
        spki = der.sequence(der.algorithm("1.3.101.110"), der.tlv(0x03, b"\0", point))
        with decrypter(session, token_key(KeyAlgorithm(KeyKind.X25519, 256), None), template) as made:
            found = unwrapped(made, agreement(spki, shared, kdf=hkdf))
        # RFC 7748, 5: points of the twist and ones that are not reduced are points. RFC 8418, 2: zero is no secret.
        refused = "ZeroSharedSecret" in case["flags"]
        assert found == (None if refused else CONTENT_KEY), case


def test_aes_key_wrap(monkeypatch: pytest.MonkeyPatch, vectors: Path) -> None:
    wraps = {128: 5, 192: 25, 256: 45}
    for group in groups(vectors, "aes_wrap"):
        wrap = der.algorithm(f"2.16.840.1.101.3.4.1.{wraps[group['keySize']]}")
        algorithm = algorithm_of(der.algorithm("1.3.132.1.11.1", wrap))
        for case in group["tests"]:
            key, message, ciphertext = (bytes.fromhex(case[which]) for which in ("key", "msg", "ct"))
            monkeypatch.setattr("smime_agent.cms.key_agreement._Scheme.key", lambda *_, key=key: key)
            try:
                found: bytes | None = unwrap_agreed(b"", algorithm, None, ciphertext)
            except DecryptionError:
                found = None
            # The acceptable ones wrap eight octets, less than RFC 3394, 2, allows: no cipher of ours has such keys.
            assert found == (message if case["result"] == "valid" else None), case
