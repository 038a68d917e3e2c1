"""Whole messages with recipients, changed everywhere: on the road of ``decrypt``, by keys in memory and on a token."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from smime_agent.accepted import RSA_ENCRYPTION_OID
from smime_agent.algorithms import ContentEncryption, KeyType
from smime_agent.api.decrypting import Decryptor
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.cms.ciphers import DecryptionError
from smime_agent.cms.enveloped_data_builder import encrypt
from smime_agent.errors import InvalidMessageError, NoKeyError, NotEncryptedError, SmimeAgentError
from smime_agent.trust.evidence import RevocationMode
from tests.keyring.people import close_rings, enrolled, ring
from tests.spoofs.asn1 import NULL, integer, octets, oid, sequence
from tests.spoofs.envelopes import CBC, CHACHA20, GCM, Seal, bob_of
from tests.support.host_keys import HostKeys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from smime_agent.x509 import Certificate
    from tests.support.ca import Authority
    from tests.support.softhsm import SoftHsm, SoftToken

CONTENT: Final = b"Content-Type: text/plain\r\n\r\nThe plan is to meet at nine.\r\n"
THE_ANSWER: Final = (
    DecryptionError,
    "the content cannot be decrypted",
    "it was changed, or encrypted for another key than it says",
    (),
    "decryption-failed",
    6,
)
REFUSALS: Final = (InvalidMessageError, NoKeyError, NotEncryptedError)
KINDS: Final = {
    "ECDH": ("ec", True),
    "RSAES-OAEP": ("rsa", True),
    "RSAES-PKCS1-v1_5": ("rsa", False),
}


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    """One that trusts nobody, and asks nobody."""
    return Verifier(VerifyOptions(system_roots=False, revocation=RevocationMode.OFF, offline=True))


@pytest.fixture(scope="module")
def decryptor(verifier: Verifier) -> Decryptor:
    """Bob's keys, in memory."""
    return Decryptor(HostKeys(bob_of("ec"), bob_of("rsa")), verifier, legacy=True)


def message(kind: str, cipher: ContentEncryption) -> bytes:
    """An object for Bob."""
    key, oaep = KINDS[kind]
    return Seal((bob_of(key).certificate,), cipher, oaep).on(CONTENT)


def opened(decryptor: Decryptor, octets_: bytes) -> tuple[bytes, bool]:
    """What came out, and whether it is authenticated."""
    with decryptor.opened(octets_) as found:
        return b"".join(found.content()), found.is_authenticated


def outcomes(decryptor: Decryptor, messages: Iterable[bytes]) -> Counter[tuple[bytes, bool]]:
    """What came out of those that were not refused; nothing but our own refusals is let through."""
    found: Counter[tuple[bytes, bool]] = Counter()
    for one in messages:
        try:
            found[opened(decryptor, one)] += 1
        except REFUSALS:
            continue
    return found


def flipped(octets_: bytes, step: int = 1) -> Iterator[bytes]:
    """The messages that differ in one bit, each or only one in ``step`` of them."""
    for at in range(0, 8 * len(octets_), step):
        yield octets_[: at // 8] + bytes((octets_[at // 8] ^ 1 << at % 8,)) + octets_[at // 8 + 1 :]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cipher", [GCM, CHACHA20])
def test_no_flipped_bit_makes_an_authenticated_message_another(
    decryptor: Decryptor, kind: str, cipher: ContentEncryption
) -> None:
    assert outcomes(decryptor, flipped(message(kind, cipher))).keys() == {(CONTENT, True)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_of_cbc_is_refused_or_called_not_authenticated(decryptor: Decryptor, kind: str) -> None:
    found = outcomes(decryptor, flipped(message(kind, CBC)))
    assert {is_authenticated for _, is_authenticated in found} == {False}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cipher", [GCM, CHACHA20, CBC])
def test_a_message_that_was_cut_off_is_refused_at_every_length(
    decryptor: Decryptor, kind: str, cipher: ContentEncryption
) -> None:
    whole = message(kind, cipher)
    assert not outcomes(decryptor, (whole[:size] for size in range(len(whole))))


@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_that_was_cut_off_is_refused_at_every_length(decryptor: Decryptor, kind: str) -> None:
    key, oaep = KINDS[kind]
    entity = Seal((bob_of(key).certificate,), GCM, oaep).entity(CONTENT)
    mail = b"From: alice@example.org\r\nSubject: x\r\n" + entity
    assert outcomes(decryptor, [mail]) == {(CONTENT, True): 1}
    assert outcomes(decryptor, (mail[:size] for size in range(len(mail) - 4))).keys() <= {(CONTENT, True)}


# --- a token -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm) -> SoftToken:
    """A token of SoftHSM."""
    return softhsm.new_token("tampering")


@pytest.fixture(scope="module")
def token_certificates(token: SoftToken, issuing_ca: Authority) -> dict[str, Certificate]:
    """Of the keys on it."""
    by_rsa = enrolled(token, issuing_ca, KeyType.RSA_2048, "Bob RSA")
    return {"ECDH": enrolled(token, issuing_ca, name="Bob"), "RSAES-OAEP": by_rsa, "RSAES-PKCS1-v1_5": by_rsa}


@pytest.fixture
def token_decryptor(token: SoftToken, verifier: Verifier) -> Iterator[Decryptor]:
    """Its keys."""
    yield Decryptor(ring(token).keyring, verifier)
    close_rings()


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_token_too_no_flipped_bit_makes_a_message_another(
    token_decryptor: Decryptor, token_certificates: dict[str, Certificate], kind: str
) -> None:
    whole = Seal((token_certificates[kind],), GCM, KINDS[kind][1]).on(CONTENT)
    assert opened(token_decryptor, whole) == (CONTENT, True)
    assert outcomes(token_decryptor, flipped(whole, step=23)).keys() <= {(CONTENT, True)}


# --- one answer ----------------------------------------------------------------------------------------------------


def key_transport(certificate: Certificate, encrypted_key: bytes) -> bytes:
    """A KeyTransRecipientInfo by RSAES-PKCS1-v1_5 with any octets in it."""
    named = sequence(certificate.issuer_encoded, integer(certificate.serial_number))
    return sequence(integer(0), named, sequence(oid(RSA_ENCRYPTION_OID), NULL), octets(encrypted_key))


def with_encrypted_key(certificate: Certificate, cipher: ContentEncryption, encrypted_key: bytes) -> bytes:
    """A message whose content nobody has the key of."""
    key = os.urandom(cipher.key_size)
    info = key_transport(certificate, encrypted_key)
    return b"".join(encrypt([CONTENT * 9], len(CONTENT) * 9, cipher, key, [info], randomness=os.urandom))


def wrongly_encrypted_keys(certificate: Certificate, size: int) -> dict[str, bytes]:
    """All that can be wrong with an encrypted key, as whoever looks for a padding oracle sends it."""
    public = load_der_public_key(certificate.public_key_info)
    assert isinstance(public, rsa.RSAPublicKey)
    width = (public.key_size + 7) // 8
    numbers = public.public_numbers()

    def raw(encoded: bytes) -> bytes:
        return pow(int.from_bytes(encoded.rjust(width, b"\0")), numbers.e, numbers.n).to_bytes(width)

    filling = b"\x11" * (width - size - 3)
    return {
        "the right form, and another key": public.encrypt(os.urandom(size), padding.PKCS1v15()),
        "a key that is too short": public.encrypt(os.urandom(size - 1), padding.PKCS1v15()),
        "a key that is too long": public.encrypt(os.urandom(size + 1), padding.PKCS1v15()),
        "no key": public.encrypt(b"", padding.PKCS1v15()),
        "does not begin with 00": raw(b"\x01\x02" + filling + b"\0" + os.urandom(size)),
        "block type 1": raw(b"\x00\x01" + filling + b"\0" + os.urandom(size)),
        "no separator": raw(b"\x00\x02" + b"\x11" * (width - 2)),
        "a separator too early": raw(b"\x00\x02\x11\x11\0" + b"\x11" * (width - 5)),
        "nought": bytes(width),
        "one": bytes(width - 1) + b"\1",
        "more than the modulus": b"\xff" * width,
        "too long": b"\x01" * (width + 1),
        "too short": b"\x01" * (width // 2),
        "nothing": b"",
    }


def refusal(decryptor: Decryptor, octets_: bytes) -> tuple[object, ...]:
    """All that whoever sent it can be told."""
    with pytest.raises(SmimeAgentError) as raised:
        opened(decryptor, octets_)
    error = raised.value
    return type(error), str(error), error.hint, error.details, error.code, error.exit_code


def refusals(decryptor: Decryptor, certificate: Certificate, cipher: ContentEncryption) -> dict[str, object]:
    """The answer to each; a wrong key of CBC passes for the right one once in 256 times, and is tried again then."""
    found: dict[str, object] = {}
    for name, encrypted_key in wrongly_encrypted_keys(certificate, cipher.key_size).items():
        messages = (with_encrypted_key(certificate, cipher, encrypted_key) for _ in range(6))
        one = next((one for one in messages if not outcomes(decryptor, [one])), b"")
        found[name] = refusal(decryptor, one)
    return found


@pytest.mark.parametrize("cipher", [GCM, CBC])
def test_there_is_one_answer_to_whatever_is_wrong_with_an_encrypted_key(
    token_decryptor: Decryptor, token_certificates: dict[str, Certificate], cipher: ContentEncryption
) -> None:
    answers = refusals(token_decryptor, token_certificates["RSAES-PKCS1-v1_5"], cipher)
    assert set(answers.values()) == {THE_ANSWER}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_answer_to_a_changed_content_and_to_a_changed_tag_too(
    token_decryptor: Decryptor, token_certificates: dict[str, Certificate], kind: str
) -> None:
    whole = Seal((token_certificates[kind],), GCM, KINDS[kind][1]).on(CONTENT)
    for at in (-1, -16, -40):  # before the tag of 16 octets stand its own two, and the content before them
        changed = bytearray(whole)
        changed[at] ^= 0x10
        assert refusal(token_decryptor, bytes(changed)) == THE_ANSWER
