"""What strangers encrypt, decrypted by us with keys on a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from asn1crypto import cms

from smime_agent.cms.ciphers import DecryptionError
from smime_agent.errors import NoKeyError, PolicyError
from smime_agent.verdict import Code, UntrustworthyError, Verdict
from tests.interop.correspondents import Person
from tests.interop.envelope_book import Agreement, EnvelopeBook
from tests.interop.exchange import ENTITY, TOKEN, Exchange, opened
from tests.support.openssl_cms import mail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.api.decrypting import Decryptor
    from tests.support.ca import Authority
    from tests.support.command import Command

pytestmark = pytest.mark.interop

HASHES: Final = ("sha1", "sha224", "sha256", "sha384", "sha512")
CURVES: Final = ("p256", "p384", "p521")
#: As OpenSSL calls them, and as the standards do.
CIPHERS: Final = {
    **{f"aes-{bits}-cbc": f"AES-{bits}-CBC" for bits in (128, 192, 256)},
    **{f"aes-{bits}-gcm": f"AES-{bits}-GCM" for bits in (128, 192, 256)},
}
WEAK: Final = {"des3": "DES-EDE3-CBC", "rc2-40-cbc": "RC2-CBC", "rc2-64-cbc": "RC2-CBC", "rc2-cbc": "RC2-CBC"}
SECRETS: Final = (
    "-pwri_password",
    "secret",
    "-secretkey",
    "00112233445566778899aabbccddeeff",
    "-secretkeyid",
    "6b6579",
)
AES_WRAPS: Final = {bits: f"2.16.840.1.101.3.4.1.{arc}" for bits, arc in ((128, 5), (192, 25), (256, 45))}


@pytest.fixture(scope="module")
def decryptor(exchange: Exchange) -> Iterator[Decryptor]:
    with exchange.decryptor() as made:
        yield made


@pytest.fixture(scope="module")
def legacy(exchange: Exchange) -> Iterator[Decryptor]:
    with exchange.decryptor(legacy=True) as made:
        yield made


@pytest.fixture(scope="module")
def others(issuing_ca: Authority) -> list[Person]:
    """People whose keys are not on the token."""
    return [Person.enrolled(f"{kind}-other", issuing_ca) for kind in ("rsa", "p256", "p384", "p521")]


# Ciphers


@pytest.mark.parametrize("name", ["rsa", *CURVES])
@pytest.mark.parametrize("cipher", CIPHERS)
def test_a_cipher_of_openssl_is_decrypted(exchange: Exchange, decryptor: Decryptor, cipher: str, name: str) -> None:
    found = opened(decryptor, exchange.openssl.encrypt(ENTITY, exchange.people[name], cipher=cipher))
    algorithm, _, authenticated = found.how
    assert (found.content, algorithm, authenticated) == (ENTITY, CIPHERS[cipher], cipher.endswith("gcm"))


@pytest.mark.parametrize(
    ("stranger", "cipher"),
    [
        *(("gpgsm", f"aes-{bits}-cbc") for bits in (128, 192, 256)),
        ("cmsutil", "aes-128-cbc"),
        ("cryptography", "aes-128-cbc"),
        ("cryptography", "aes-256-cbc"),
        (EnvelopeBook.name, "chacha20-poly1305"),
    ],
)
def test_a_cipher_of_others_is_decrypted(exchange: Exchange, decryptor: Decryptor, stranger: str, cipher: str) -> None:
    person = exchange.people["x25519" if stranger == EnvelopeBook.name else "rsa"]
    assert opened(decryptor, exchange.strangers[stranger].encrypt(ENTITY, person, cipher=cipher)).content == ENTITY


@pytest.mark.parametrize("cipher", WEAK)
def test_a_weak_cipher_is_refused(exchange: Exchange, decryptor: Decryptor, cipher: str) -> None:
    message = exchange.openssl.encrypt(ENTITY, exchange.people["rsa"], cipher=cipher)
    with pytest.raises(PolicyError) as raised:
        opened(decryptor, message)
    assert raised.value.hint is not None
    assert "--legacy" in raised.value.hint


@pytest.mark.parametrize("cipher", WEAK)
def test_a_weak_cipher_is_decrypted_as_legacy(exchange: Exchange, legacy: Decryptor, cipher: str) -> None:
    found = opened(legacy, exchange.openssl.encrypt(ENTITY, exchange.people["rsa"], cipher=cipher))
    assert (found.content, found.how[0]) == (ENTITY, WEAK[cipher])


def test_triple_des_of_gpgsm_is_decrypted_as_legacy(exchange: Exchange, legacy: Decryptor) -> None:
    assert opened(legacy, exchange.gpgsm.encrypt(ENTITY, exchange.people["rsa"], cipher="des3")).content == ENTITY


@pytest.mark.parametrize("cipher", ["camellia-128-cbc", "seed-cbc", "des-cbc"])
def test_a_cipher_that_is_not_known_is_said_to_be_so(exchange: Exchange, legacy: Decryptor, cipher: str) -> None:
    message = exchange.openssl.encrypt(ENTITY, exchange.people["rsa"], cipher=cipher)
    with pytest.raises(UntrustworthyError) as raised:
        opened(legacy, message)
    assert raised.value.reason.code is Code.UNSUPPORTED_ALGORITHM


@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-256-gcm"])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 300_000])
def test_a_content_of_any_length_is_decrypted(exchange: Exchange, decryptor: Decryptor, size: int, cipher: str) -> None:
    content = bytes(size)
    message = exchange.openssl.encrypt(content, exchange.people["p256"], cipher=cipher)
    assert opened(decryptor, message).content == content


@pytest.mark.parametrize("at", [-1, -20, -40])
def test_an_octet_of_gcm_that_was_changed_is_noticed(exchange: Exchange, decryptor: Decryptor, at: int) -> None:
    message = bytearray(exchange.openssl.encrypt(ENTITY, exchange.people["rsa"], cipher="aes-256-gcm"))
    message[at] ^= 1
    with pytest.raises(DecryptionError):
        opened(decryptor, bytes(message))


# RSA


@pytest.mark.parametrize("label", ["", "00ff5075", "6c6162656c" * 20], ids=["none", "short", "long"])
@pytest.mark.parametrize("mask", HASHES)
@pytest.mark.parametrize("digest", HASHES)
def test_oaep_with_these_parameters_is_decrypted(
    exchange: Exchange, decryptor: Decryptor, digest: str, mask: str, label: str
) -> None:
    options = ["rsa_padding_mode:oaep", f"rsa_oaep_md:{digest}", f"rsa_mgf1_md:{mask}"]
    options += [f"rsa_oaep_label:{label}"] if label else []
    message = exchange.openssl.write(ENTITY, *exchange.openssl.recipient(exchange.people["rsa"], *options))
    found = opened(decryptor, message)
    assert (found.content, found.how[1]) == (ENTITY, "RSAES-OAEP")


@pytest.mark.parametrize("stranger", ["OpenSSL", "gpgsm", "cmsutil", "cryptography"])
def test_rsa_of_1993_is_decrypted(exchange: Exchange, decryptor: Decryptor, stranger: str) -> None:
    message = exchange.strangers[stranger].encrypt(ENTITY, exchange.people["rsa"])
    assert opened(decryptor, message).how[1] == "RSAES-PKCS1-v1_5"


# Agreement


@pytest.mark.parametrize("cofactor", [0, 1], ids=["standard", "cofactor"])
@pytest.mark.parametrize("digest", HASHES)
@pytest.mark.parametrize("curve", CURVES)
def test_a_key_derivation_of_openssl_is_done(
    exchange: Exchange, decryptor: Decryptor, curve: str, digest: str, cofactor: int
) -> None:
    options = (f"ecdh_kdf_md:{digest}", f"ecdh_cofactor_mode:{cofactor}")
    message = exchange.openssl.write(ENTITY, *exchange.openssl.recipient(exchange.people[curve], *options))
    assert opened(decryptor, message).content == ENTITY


@pytest.mark.parametrize("bits", AES_WRAPS)
@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-256-gcm"])
def test_a_key_wrap_of_openssl_is_undone(exchange: Exchange, decryptor: Decryptor, cipher: str, bits: int) -> None:
    recipient = exchange.openssl.recipient(exchange.people["p256"])
    message = exchange.openssl.write(ENTITY, *recipient, f"-aes{bits}-wrap", cipher=cipher)
    assert opened(decryptor, message).content == ENTITY


def test_a_key_wrapped_with_triple_des_is_refused(exchange: Exchange, decryptor: Decryptor) -> None:
    with pytest.raises(PolicyError, match="Triple DES"):
        opened(decryptor, wrapped_with_triple_des(exchange))


def test_a_key_wrapped_with_triple_des_is_unwrapped_as_legacy(exchange: Exchange, legacy: Decryptor) -> None:
    assert opened(legacy, wrapped_with_triple_des(exchange)).content == ENTITY


def wrapped_with_triple_des(exchange: Exchange) -> bytes:
    recipient = exchange.openssl.recipient(exchange.people["p256"])
    return exchange.openssl.write(ENTITY, *recipient, "-des3-wrap", cipher="des3")


@pytest.mark.parametrize("ukm", [None, b"", bytes(range(32))], ids=["no ukm", "empty ukm", "ukm"])
@pytest.mark.parametrize("wrap", AES_WRAPS)
@pytest.mark.parametrize("digest", [256, 384, 512])
def test_x25519_is_agreed_on(
    exchange: Exchange, decryptor: Decryptor, digest: int, wrap: int, ukm: bytes | None
) -> None:
    kdf = {256: 19, 384: 20, 512: 21}[digest]
    how = Agreement(f"1.2.840.113549.1.9.16.3.{kdf}", AES_WRAPS[wrap], ukm)
    message = EnvelopeBook().write(ENTITY, (exchange.people["x25519"], how))
    found = opened(decryptor, message)
    assert (found.content, found.how) == (ENTITY, ("ChaCha20-Poly1305", f"ECDH-HKDF-SHA{digest}", True))


# Recipients


@pytest.mark.parametrize("name", ["rsa", *CURVES])
def test_a_recipient_named_by_the_key_is_found(exchange: Exchange, decryptor: Decryptor, name: str) -> None:
    message = exchange.openssl.write(ENTITY, "-keyid", *exchange.openssl.recipient(exchange.people[name]))
    assert opened(decryptor, message).content == ENTITY


@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-256-gcm"])
@pytest.mark.parametrize("name", ["rsa", *CURVES])
def test_the_one_of_many_who_is_ours_is_found(
    exchange: Exchange, decryptor: Decryptor, others: list[Person], name: str, cipher: str
) -> None:
    ours = exchange.people[name]
    message = exchange.openssl.encrypt(ENTITY, *others[:2], ours, *others[2:], cipher=cipher)
    found = opened(decryptor, message)
    (encryption,) = found.found.encryptions
    assert (found.content, encryption.recipients, encryption.certificate) == (ENTITY, 5, ours.encoded)


@pytest.mark.parametrize("stranger", ["gpgsm", "cmsutil", "cryptography"])
def test_the_second_recipient_of_others_is_found(exchange: Exchange, decryptor: Decryptor, stranger: str) -> None:
    """Of Alice no key is on the token."""
    to = (exchange.people["alice"], exchange.people["rsa"])
    assert opened(decryptor, exchange.strangers[stranger].encrypt(ENTITY, *to)).content == ENTITY


def test_recipients_with_a_password_or_a_key_of_their_own_are_passed_over(
    exchange: Exchange, decryptor: Decryptor
) -> None:
    message = exchange.openssl.write(ENTITY, *SECRETS, *exchange.openssl.recipient(exchange.people["p256"]))
    found = opened(decryptor, message)
    assert (found.content, found.found.encryptions[0].recipients) == (ENTITY, 3)


def test_a_message_for_a_password_and_a_key_of_their_own_is_not_for_us(
    exchange: Exchange, decryptor: Decryptor
) -> None:
    with pytest.raises(NoKeyError, match="not for a key on a token") as raised:
        opened(decryptor, exchange.openssl.write(ENTITY, *SECRETS))
    assert sorted(line.split(", ")[0] for line in raised.value.details) == [
        "1 recipient by a key that was agreed on before",
        "1 recipient by a password",
    ]


@pytest.mark.parametrize("stranger", ["OpenSSL", "gpgsm", "cmsutil", "cryptography"])
def test_a_message_for_somebody_else_names_the_certificate(
    exchange: Exchange, decryptor: Decryptor, stranger: str
) -> None:
    alice = exchange.people["alice"]
    with pytest.raises(NoKeyError) as raised:
        opened(decryptor, exchange.strangers[stranger].encrypt(ENTITY, alice))
    assert f"serial number {alice.encoded.serial_number:x} of CN=Test Issuing CA" in raised.value.details[0]


# Forms


@pytest.mark.parametrize("stream", [(), ("-stream",)], ids=["in one piece", "streamed"])
@pytest.mark.parametrize("form", ["SMIME", "DER", "PEM"])
@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-128-gcm"])
def test_a_form_of_openssl_is_read(
    exchange: Exchange, decryptor: Decryptor, cipher: str, form: str, stream: tuple[str, ...]
) -> None:
    content = ENTITY + bytes(100_000)
    recipient = exchange.openssl.recipient(exchange.people["rsa"])
    message = exchange.openssl.write(content, *recipient, *stream, cipher=cipher, form=form)
    found = opened(decryptor, mail(message) if form == "SMIME" else message)
    assert (found.content, found.layers) == (content, ["encrypted"])


@pytest.mark.parametrize("options", [(), ("--armor",), ("--base64",)], ids=["BER", "PEM", "base64"])
def test_a_form_of_gpgsm_is_read(exchange: Exchange, decryptor: Decryptor, options: tuple[str, ...]) -> None:
    message = exchange.gpgsm.write(ENTITY, exchange.people["rsa"], options=options)
    assert opened(decryptor, message).content == ENTITY


def test_armour_of_gpgsm_around_a_signature_is_read(exchange: Exchange) -> None:
    found = exchange.verify(exchange.gpgsm.sign(ENTITY, exchange.people["alice"], detached=False, armour=True))
    assert found.verdict is Verdict.TRUSTED


@pytest.mark.parametrize("form", ["SMIME", "DER", "PEM"])
@pytest.mark.parametrize("name", ["rsa", "p521"])
def test_the_command_decrypts_it(exchange: Exchange, command: Command, name: str, form: str) -> None:
    recipient = exchange.openssl.recipient(exchange.people[name])
    message = exchange.openssl.write(ENTITY, *recipient, cipher="aes-256-gcm", form=form)
    options = ("--token", TOKEN, "--pin-source", "env:PIN", "--revocation", "off")
    done = command("decrypt", *options, stdin=mail(message) if form == "SMIME" else message)
    assert (done.code, done.out) == (0, ENTITY)


def test_an_envelope_whose_content_is_elsewhere_is_refused(exchange: Exchange, decryptor: Decryptor) -> None:
    """RFC 5652, 6.1: the encrypted content may be left out, and nobody says where it is then."""
    info = cms.ContentInfo.load(exchange.openssl.encrypt(ENTITY, exchange.people["rsa"]))
    envelope = info["content"]
    del envelope["encrypted_content_info"]["encrypted_content"]
    with pytest.raises(UntrustworthyError):
        opened(decryptor, info.dump(force=True))
