"""Content-encryption keys unwrapped on SoftHSM, wrapped by ``cryptography`` and OpenSSL."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from pkcs11 import Attribute, Mechanism, ObjectClass

from smime_agent import der
from smime_agent.accepted import HashFunction
from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.cms.ciphers import DecryptionError
from smime_agent.cms.envelope import open_envelope, read_envelope
from smime_agent.errors import MechanismError, NoKeyError, PolicyError
from smime_agent.keys import WrappedKey
from smime_agent.source import Source
from smime_agent.tokens.decrypter import TokenDecrypter
from smime_agent.tokens.objects import read_objects
from smime_agent.verdict import UntrustworthyError
from tests.support.ca import Wanted
from tests.tokens.wrapping import (
    CONTENT_KEY,
    RC2_40,
    agreed,
    agreement,
    block,
    oaep,
    pkcs1_v1_5,
    raw,
    rsa_public,
    transported,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    import pkcs11

    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.session import TokenSession
    from tests.support.ca import Authority
    from tests.support.softhsm import SoftHsm, SoftToken

KEY_TYPES = [KeyType.RSA_2048, KeyType.EC_P256, KeyType.EC_P384, KeyType.EC_P521, KeyType.X25519]
ON_CURVES = KEY_TYPES[1:]
SHA1, SHA256 = HashFunction.SHA1, HashFunction.SHA256
#: No key of ours has this one: an attacker who sees a decrypted content made with it learns something.
RANDOM = b"\xee" * 32
HASHES = {
    HashFunction.SHA1: hashes.SHA1(),  # noqa: S303 - the default of RSAES-OAEP
    HashFunction.SHA224: hashes.SHA224(),
    HashFunction.SHA256: hashes.SHA256(),
    HashFunction.SHA384: hashes.SHA384(),
    HashFunction.SHA512: hashes.SHA512(),
}


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm) -> SoftToken:
    """A key of each type, labelled with it."""
    made = softhsm.new_token("decryption")
    for key_type in KEY_TYPES:
        usage = KeyUsage.BOTH if key_type is KeyType.RSA_2048 else KeyUsage.DECRYPT
        made.generate(key_type, usage, key_type.value)
    return made


@pytest.fixture
def session(token: SoftToken) -> Iterator[TokenSession]:
    with token.session() as opened:
        opened.login("for a test")
        yield opened


@pytest.fixture
def rsa(session: TokenSession) -> TokenDecrypter:
    return decrypter(session, KeyType.RSA_2048)


@pytest.fixture
def the_other_way(session: TokenSession, monkeypatch: pytest.MonkeyPatch) -> TokenDecrypter:
    listed = _Listing(session.token.slot, {Mechanism.RSA_PKCS, Mechanism.RSA_X_509})
    monkeypatch.setattr(session.token.__class__, "slot", listed)
    made = decrypter(session, KeyType.RSA_2048)
    monkeypatch.setattr(made, "_quirks", replace(made._quirks, rejects_implicitly=True))
    return made


@pytest.fixture(params=["rsa", "the_other_way"])
def either(request: pytest.FixtureRequest) -> TokenDecrypter:
    """The host takes off the padding of PKCS #1 v1.5 and the token that of OAEP, or the other way round."""
    made: TokenDecrypter = request.getfixturevalue(request.param)
    return made


def decrypter(session: TokenSession, key_type: KeyType) -> TokenDecrypter:
    key = next(key for key in read_objects(session).keys if key.label == key_type.value)
    return TokenDecrypter(session, key, substitute=lambda _, size: RANDOM[:size])


class _Listing:
    """A slot that lists what a test says."""

    def __init__(self, slot: pkcs11.Slot, mechanisms: Collection[Mechanism]) -> None:
        self._slot, self._mechanisms = slot, mechanisms

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a slot has
        return getattr(self._slot, name)

    def get_mechanisms(self) -> Collection[Mechanism]:
        return self._mechanisms


def test_a_key_by_pkcs1_v1_5_is_unwrapped(either: TokenDecrypter) -> None:
    wrapped = transported(pkcs1_v1_5(either.key))
    assert [either.unwrap(wrapped).reveal() for _ in range(2)] == [CONTENT_KEY] * 2


@pytest.mark.parametrize("label", [b"", b"for\0 Bob"])
@pytest.mark.parametrize("mask", HASHES)
@pytest.mark.parametrize("hash_function", HASHES)
def test_a_key_by_oaep_is_unwrapped(
    either: TokenDecrypter, hash_function: HashFunction, mask: HashFunction, label: bytes
) -> None:
    scheme = padding.OAEP(padding.MGF1(HASHES[mask]), HASHES[hash_function], label or None)
    ciphertext = rsa_public(either.key).encrypt(CONTENT_KEY, scheme)
    assert either.unwrap(transported(ciphertext, oaep(hash_function, mask, label))).reveal() == CONTENT_KEY


@pytest.mark.parametrize("ukm", [None, b"", b"user keying material"])
@pytest.mark.parametrize("position", [0, 2])
@pytest.mark.parametrize("key_type", ON_CURVES)
def test_an_agreed_key_is_unwrapped(session: TokenSession, key_type: KeyType, position: int, ukm: bytes | None) -> None:
    made = decrypter(session, key_type)
    kdf = "1.2.840.113549.1.9.16.3.19" if key_type is KeyType.X25519 else "1.3.132.1.11.1"
    wrapped = agreed(made.key, position=position, kdf=kdf, ukm=ukm)
    assert [made.unwrap(wrapped).reveal() for _ in range(2)] == [CONTENT_KEY] * 2


def test_the_name_tells_which_key_on_which_token(rsa: TokenDecrypter) -> None:
    assert rsa.name == "key 01 'rsa:2048' on token 'decryption'"


# --- what OpenSSL encrypts -------------------------------------------------------------------------------------------


@pytest.mark.interop
@pytest.mark.parametrize(
    ("key_type", "options"),
    [
        (KeyType.RSA_2048, ()),
        (KeyType.RSA_2048, ("-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256")),
        (KeyType.RSA_2048, ("-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_label:6c6162656c")),
        (KeyType.EC_P256, ()),
        (KeyType.EC_P384, ("-keyopt", "ecdh_kdf_md:sha384")),
        (KeyType.EC_P521, ("-keyopt", "ecdh_cofactor_mode:1")),
    ],
)
def test_what_openssl_encrypts_is_decrypted(
    session: TokenSession, issuing_ca: Authority, tmp_path: Path, key_type: KeyType, options: tuple[str, ...]
) -> None:
    made = decrypter(session, key_type)
    assert made.key.public_key_info is not None
    wanted = Wanted(key_encipherment=True, key_agreement=key_type is not KeyType.RSA_2048)
    certificate = issuing_ca.issue(load_der_public_key(made.key.public_key_info), wanted)
    (tmp_path / "to.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    command = [
        "openssl",
        "cms",
        "-encrypt",
        "-binary",
        "-outform",
        "DER",
        "-aes256",
        "-recip",
        str(tmp_path / "to.pem"),
    ]
    done = subprocess.run([*command, *options], input=b"a content", capture_output=True, check=True)
    with Source.from_bytes(done.stdout) as source:
        envelope = read_envelope(source)
        algorithm = der.algorithm(envelope.algorithm.oid, envelope.algorithm.parameters or b"")
        key = made.unwrap(WrappedKey(envelope.recipient_infos[0], 0, algorithm))
        plain = open_envelope(envelope, key, legacy=False)
        assert b"".join(plain.chunks()) == b"a content"


# --- RSAES-PKCS1-v1_5 that is wrong: a random key, and no word ------------------------------------------------------


def test_wrong_padding_gives_the_random_key(either: TokenDecrypter) -> None:
    key = either.key
    wrong = [
        block(key, head=b"\0\1"),
        block(key, head=b"\1\2"),
        block(key, gap=b"\1"),  # no zero before the key, and none in it but the first octet
        block(key, CONTENT_KEY[1:], gap=b"\1"),  # none at all
        block(key, head=b"\0\2" + b"\xa5" * 7 + b"\0"),  # seven octets of padding
        bytes(256),
        b"\0\2" + bytes(254),
    ]
    assert {either.unwrap(transported(raw(key, one))).reveal() for one in wrong} == {RANDOM}


def test_a_key_of_a_length_that_the_content_does_not_have_gives_the_random_key(either: TokenDecrypter) -> None:
    lengths = (0, 1, 16, 31, 33, 245)
    found = {either.unwrap(transported(pkcs1_v1_5(either.key, bytes(size)))).reveal() for size in lengths}
    assert found == {RANDOM}


def test_with_rc2_a_key_of_any_length_is_one(either: TokenDecrypter) -> None:
    for size in (1, 5, 16, 128):
        wrapped = transported(pkcs1_v1_5(either.key, (CONTENT_KEY * 4)[:size]), cipher=RC2_40)
        assert either.unwrap(wrapped).reveal() == (CONTENT_KEY * 4)[:size]
    for size in (0, 129):
        wrapped = transported(pkcs1_v1_5(either.key, bytes(size)), cipher=RC2_40)
        assert either.unwrap(wrapped).reveal() == RANDOM[:5]


def test_a_ciphertext_of_another_length_gives_the_random_key(either: TokenDecrypter) -> None:
    ciphertext = pkcs1_v1_5(either.key)
    for wrong in (b"", b"\0", ciphertext[:-1], b"\0" + ciphertext, ciphertext * 2):
        assert either.unwrap(transported(wrong)).reveal() == RANDOM


def test_a_ciphertext_of_the_modulus_and_more_gives_the_random_key(either: TokenDecrypter) -> None:
    modulus = rsa_public(either.key).public_numbers().n
    for number in (modulus, modulus + int.from_bytes(pkcs1_v1_5(either.key)) % (2**2048 - modulus), 2**2048 - 1):
        assert either.unwrap(transported(number.to_bytes(256))).reveal() == RANDOM


def test_a_ciphertext_without_its_leading_zeros_is_decrypted(either: TokenDecrypter) -> None:
    ciphertext = next(one for one in iter(lambda: pkcs1_v1_5(either.key), None) if one[0] == 0)
    assert either.unwrap(transported(ciphertext.lstrip(b"\0"))).reveal() == CONTENT_KEY


def test_after_a_failure_the_next_key_is_unwrapped(either: TokenDecrypter) -> None:
    right = transported(pkcs1_v1_5(either.key))
    for wrong in (transported(raw(either.key, bytes(256))), transported(bytes(256), oaep(SHA1, SHA1))):
        with suppress(DecryptionError):
            either.unwrap(wrong)
        assert either.unwrap(right).reveal() == CONTENT_KEY


# --- the others say that they fail, and not why ---------------------------------------------------------------------


def oaep_block(key: TokenKey, label: bytes, change: Callable[[bytearray], None]) -> bytes:
    """A block by RFC 8017, 7.1.1, with SHA-256 and a seed of zeros, whose unmasked octets are changed."""
    size = rsa_public(key).key_size // 8
    encoded = bytearray(b"\0" * 33 + sha256(label).digest() + b"\0" * (size - 98) + b"\1" + CONTENT_KEY)
    change(encoded)
    seed, data = bytes(encoded[1:33]), bytes(encoded[33:])
    masked = bytes(a ^ b for a, b in zip(data, mgf1(seed, len(data)), strict=True))
    return bytes(encoded[:1]) + bytes(a ^ b for a, b in zip(seed, mgf1(masked, 32), strict=True)) + masked


def mgf1(seed: bytes, length: int) -> bytes:
    return b"".join(sha256(seed + bytes((0, 0, 0, i))).digest() for i in range(9))[:length]


def nothing(_: bytearray) -> None:
    """Change nothing."""


def setting(at: int, octet: int) -> Callable[[bytearray], None]:
    def change(encoded: bytearray) -> None:
        encoded[at] = octet

    return change


def all_zeros(encoded: bytearray) -> None:
    encoded[65:] = bytes(len(encoded) - 65)


def test_the_blocks_of_these_tests_are_right(either: TokenDecrypter) -> None:
    ciphertext = raw(either.key, oaep_block(either.key, b"", nothing))
    assert either.unwrap(transported(ciphertext, oaep(SHA256, SHA256))).reveal() == CONTENT_KEY


@pytest.mark.parametrize(
    "change",
    [setting(0, 1), setting(33, 0), setting(64, 0), setting(65, 2), setting(100, 0xFF), all_zeros],
    ids=["first octet", "label", "end of the label", "before the 1", "in the zeros", "no 1"],
)
def test_oaep_that_is_wrong_is_refused(either: TokenDecrypter, change: Callable[[bytearray], None]) -> None:
    ciphertext = raw(either.key, oaep_block(either.key, b"", change))
    with pytest.raises(DecryptionError, match=r"^the content cannot be decrypted$"):
        either.unwrap(transported(ciphertext, oaep(SHA256, SHA256)))


def test_oaep_with_another_label_or_length_is_refused(either: TokenDecrypter) -> None:
    ciphertext = raw(either.key, oaep_block(either.key, b"", nothing))
    for wrong, label in ((ciphertext, b"x"), (ciphertext[:-1], b""), (b"\0" + ciphertext, b""), (b"\xff" * 256, b"")):
        with pytest.raises(DecryptionError):
            either.unwrap(transported(wrong, oaep(SHA256, SHA256, label)))


def test_a_key_of_a_length_that_the_content_does_not_have_is_refused(either: TokenDecrypter) -> None:
    scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    for size in (0, 16, 33):
        ciphertext = rsa_public(either.key).encrypt(bytes(size), scheme)
        with pytest.raises(DecryptionError):
            either.unwrap(transported(ciphertext, oaep(SHA256, SHA256)))


@pytest.mark.parametrize("key_type", ON_CURVES)
def test_an_agreed_key_that_was_changed_is_refused(session: TokenSession, key_type: KeyType) -> None:
    made = decrypter(session, key_type)
    wrapped = agreed(made.key)
    info = wrapped.recipient_info
    with pytest.raises(DecryptionError):
        made.unwrap(replace(wrapped, recipient_info=info[:-1] + bytes((info[-1] ^ 1,))))


def test_a_point_of_low_order_is_refused(session: TokenSession) -> None:
    made = decrypter(session, KeyType.X25519)
    hkdf = "1.2.840.113549.1.9.16.3.19"
    spki = der.sequence(der.algorithm("1.3.101.110"), der.tlv(0x03, bytes(33)))
    wrapped = agreement(spki, bytes(32), kdf=hkdf)
    with pytest.raises(DecryptionError):
        made.unwrap(wrapped)


# --- what is not for this key ---------------------------------------------------------------------------------------


def test_a_recipient_of_another_kind_is_refused(session: TokenSession) -> None:
    rsa, curve = decrypter(session, KeyType.RSA_2048), decrypter(session, KeyType.EC_P256)
    with pytest.raises(UntrustworthyError, match="not for a key of type EC P-256"):
        curve.unwrap(transported(pkcs1_v1_5(rsa.key)))
    with pytest.raises(UntrustworthyError, match="not for a key of type RSA 2048"):
        rsa.unwrap(agreed(curve.key))


def test_a_recipient_that_is_not_there_is_refused(session: TokenSession) -> None:
    made = decrypter(session, KeyType.EC_P256)
    for position in (1, -1):
        with pytest.raises(UntrustworthyError, match="no such recipient"):
            made.unwrap(replace(agreed(made.key), position=position))


def test_an_algorithm_that_is_not_known_is_refused(rsa: TokenDecrypter) -> None:
    ciphertext = pkcs1_v1_5(rsa.key)
    with pytest.raises(UntrustworthyError, match=r"key transport algorithm 1\.2\.3 is not supported"):
        rsa.unwrap(transported(ciphertext, der.algorithm("1.2.3")))
    with pytest.raises(UntrustworthyError, match=r"1\.2\.3"):
        rsa.unwrap(transported(ciphertext, cipher=der.algorithm("1.2.3")))


def test_a_key_that_is_gone_is_said_to_be(softhsm: SoftHsm) -> None:
    token = softhsm.new_token("gone")
    key = token.generate(KeyType.RSA_2048, KeyUsage.DECRYPT)
    with token.session() as session, token.session(writable=True) as other:
        session.login("for a test")
        other.login("for a test")
        made = TokenDecrypter(session, key)
        with other.calling():
            for found in list(other.working().get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})):
                found.destroy()
        with pytest.raises(NoKeyError, match="no longer on token 'gone'"):
            made.unwrap(transported(pkcs1_v1_5(key)))


def test_a_token_without_the_mechanisms_says_which_it_lacks(
    session: TokenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.token.__class__, "slot", _Listing(session.token.slot, set()))
    made = decrypter(session, KeyType.RSA_2048)
    with pytest.raises(MechanismError, match="it lists no CKM_RSA_X_509 or CKM_RSA_PKCS"):
        made.unwrap(transported(pkcs1_v1_5(made.key)))


def test_triple_des_wraps_only_with_legacy_and_the_token_is_not_asked(
    session: TokenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = decrypter(session, KeyType.EC_P256)
    monkeypatch.setattr("smime_agent.tokens.native.FunctionList.derive", None)
    with pytest.raises(PolicyError, match="Triple DES"):
        made.unwrap(agreed(made.key, wrap=der.algorithm("1.2.840.113549.1.9.16.3.6")))
