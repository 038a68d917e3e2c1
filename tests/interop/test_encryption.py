"""What we encrypt, before everybody who could have to decrypt it."""

from __future__ import annotations

import os
from base64 import b64decode
from typing import TYPE_CHECKING, Final

import pytest

from smime_agent.algorithms import ContentEncryption, KeyType
from smime_agent.api.encrypting import EncryptOptions
from smime_agent.api.signing import Format, SignOptions
from smime_agent.cms.recipient_name import RecipientName
from smime_agent.smime.encrypt import Plaintext, encrypt_content
from smime_agent.smime.negotiation import RsaPadding, negotiate
from smime_agent.smime.recipients import Recipient
from tests.interop.correspondents import KEYS, Failed, OpenSsl, Person
from tests.interop.envelope_book import EnvelopeBook
from tests.interop.exchange import ENTITY, STRANGERS, Exchange
from tests.interop.judges import UNABLE, Form, Judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop.conftest import Bench
    from tests.support.command import Command

pytestmark = pytest.mark.interop

GCM, CHACHA = ContentEncryption.AES256_GCM, ContentEncryption.CHACHA20_POLY1305
WAYS: Final = ("rsa pkcs1", "rsa oaep", *(name for name in KEYS if name != "rsa"))
MAIL: Final = b"From: alice@example.org\r\nTo: rsa@example.org\r\nSubject: a test\r\n" + ENTITY


#: OpenSSL 3.0.19, gpgsm 2.2.40, NSS 3.87, cryptography 50. A newer one may have learned: then its verdict counts.
ABILITIES: Final = {
    "OpenSSL": "RSA and ECDH on NIST's curves, with AES in CBC and GCM",
    "gpgsm": "RSAES-PKCS1-v1_5 with CBC",
    "cmsutil": "RSAES-PKCS1-v1_5 with CBC",
    "cryptography": "RSAES-PKCS1-v1_5 with CBC of AES-128 and AES-256",
}


def can_decrypt(stranger: str, way: str, cipher: ContentEncryption) -> bool:
    """Whether a program is known to decrypt it."""
    if stranger == EnvelopeBook.name:
        return True
    if stranger == OpenSsl.name:  # X25519 from version 3.3 on
        return way != "x25519" and cipher is not CHACHA
    knows = stranger != "cryptography" or cipher is not ContentEncryption.AES192_CBC
    return way == "rsa pkcs1" and not cipher.is_authenticated and knows


def person_of(exchange: Exchange, way: str) -> Person:
    return exchange.people[way.split(maxsplit=1)[0]]


def padding_of(way: str) -> RsaPadding | None:
    return RsaPadding(way.split()[1]) if " " in way else None


@pytest.fixture(scope="module")
def encrypted(exchange: Exchange) -> Callable[[str, ContentEncryption], bytes]:
    """One message for each way and cipher, for all strangers."""
    made: dict[tuple[str, ContentEncryption], bytes] = {}

    def of(way: str, cipher: ContentEncryption) -> bytes:
        if (way, cipher) not in made:
            person = person_of(exchange, way)
            how = EncryptOptions(form=Format.DER, cipher=cipher, padding=padding_of(way))
            made[way, cipher] = exchange.encrypt(ENTITY, person, how=how)
        return made[way, cipher]

    return of


@pytest.mark.parametrize("stranger", [one.name for one in STRANGERS])
@pytest.mark.parametrize("cipher", ContentEncryption, ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_the_stranger_decrypts_it_or_cannot(  # noqa: PLR0913, PLR0917 - all who take part
    exchange: Exchange,
    encrypted: Callable[[str, ContentEncryption], bytes],
    way: str,
    cipher: ContentEncryption,
    stranger: str,
    record_property: Callable[[str, object], None],
) -> None:
    try:
        found = exchange.strangers[stranger].decrypt(encrypted(way, cipher), person_of(exchange, way))
    except Failed:
        if can_decrypt(stranger, way, cipher):
            raise
        record_property(UNABLE, f"{stranger} decrypts {ABILITIES[stranger]} alone")
    else:
        assert found == ENTITY


#: Who decrypts whatever is for whom.
READERS: Final = [
    *((OpenSsl.name, name) for name in KEYS if name != "x25519"),
    *((EnvelopeBook.name, name) for name in KEYS),
]


@pytest.mark.parametrize(("stranger", "name"), READERS)
@pytest.mark.parametrize("cipher", [ContentEncryption.AES128_GCM, ContentEncryption.AES256_CBC], ids=str)
def test_each_of_several_recipients_decrypts_it(
    exchange: Exchange, cipher: ContentEncryption, stranger: str, name: str
) -> None:
    assert exchange.strangers[stranger].decrypt(for_all(exchange, cipher), exchange.people[name]) == ENTITY


def test_gpgsm_finds_an_rsa_recipient_among_others(exchange: Exchange) -> None:
    """NSS and cryptography read no message that has a recipient on a curve."""
    message = for_all(exchange, ContentEncryption.AES256_CBC)
    assert exchange.gpgsm.decrypt(message, exchange.people["rsa"]) == ENTITY


@pytest.mark.parametrize(("stranger", "name"), [*READERS, ("cmsutil", "rsa")])
def test_a_recipient_named_by_the_key_decrypts_it(exchange: Exchange, stranger: str, name: str) -> None:
    person = exchange.people[name]
    negotiated = negotiate([Recipient(person.encoded)], cipher=ContentEncryption.AES128_CBC)
    content = Plaintext(len(ENTITY), lambda: iter([ENTITY]))
    chunks = encrypt_content(content, negotiated, randomness=os.urandom, name=RecipientName.SUBJECT_KEY_IDENTIFIER)
    assert exchange.strangers[stranger].decrypt(b"".join(chunks), person) == ENTITY


@pytest.mark.parametrize("cipher", [ContentEncryption.AES128_CBC, GCM, CHACHA], ids=str)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 300_000])
def test_a_content_of_any_length_is_decrypted(exchange: Exchange, size: int, cipher: ContentEncryption) -> None:
    content = os.urandom(size)
    stranger = exchange.strangers[EnvelopeBook.name] if cipher is CHACHA else exchange.openssl
    person = exchange.people["p256"]
    message = exchange.encrypt(content, person, how=EncryptOptions(form=Format.DER, cipher=cipher))
    assert stranger.decrypt(message, person) == content


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("cipher", [ContentEncryption.AES128_CBC, GCM], ids=str)
def test_openssl_reads_every_form(exchange: Exchange, cipher: ContentEncryption, form: Format) -> None:
    content = MAIL if form is Format.SMIME else ENTITY
    message = exchange.encrypt(content, exchange.people["rsa"], how=EncryptOptions(form=form, cipher=cipher))
    assert exchange.openssl.read(message, exchange.people["rsa"], form.value.upper()) == ENTITY


@pytest.mark.parametrize("cipher", [GCM, CHACHA], ids=str)
def test_the_stranger_has_looked_at_the_tag(exchange: Exchange, cipher: ContentEncryption) -> None:
    """Who does not know a message that was changed has not agreed to any."""
    message = exchange.encrypt(ENTITY, exchange.people["rsa"], how=EncryptOptions(form=Format.DER, cipher=cipher))
    changed = message[:-1] + bytes([message[-1] ^ 1])
    stranger = exchange.openssl if cipher is GCM else exchange.strangers[EnvelopeBook.name]
    with pytest.raises(Failed):
        stranger.decrypt(changed, exchange.people["rsa"])


# Signed on a token before


@pytest.mark.parametrize("form", Form, ids=lambda form: form.value)
@pytest.mark.parametrize("stranger", ["OpenSSL", "gpgsm", "cmsutil"])
def test_the_stranger_decrypts_and_verifies(
    exchange: Exchange, bench: Bench, judges: dict[str, Judge], stranger: str, form: Form
) -> None:
    how = EncryptOptions(cipher=ContentEncryption.AES128_CBC, sign=SignOptions(opaque=form is Form.OPAQUE))
    mail = exchange.encrypt(MAIL, exchange.people["rsa"], how=how, token=bench.login(KeyType.RSA_2048))
    encrypted = b64decode(mail.partition(b"\r\n\r\n")[2])
    inside = exchange.strangers[stranger].decrypt(encrypted, exchange.people["rsa"])
    assert judges[stranger].verify(b"MIME-Version: 1.0\r\n" + inside, form) == ENTITY


# On the command line


@pytest.mark.parametrize("cipher", [ContentEncryption.AES192_CBC, GCM], ids=str)
def test_what_the_command_encrypts_is_decrypted(
    exchange: Exchange, command: Command, cipher: ContentEncryption, tmp_path: Path
) -> None:
    person = exchange.people["rsa"]  # to whom the mail is addressed
    path = tmp_path / "rsa.pem"
    path.write_bytes(person.certificate_pem + exchange.chain_pem)
    done = command(
        *("encrypt", "--cert", path, "--cipher", cipher.value, "--no-self"),
        *("--ca-file", exchange.root, "--revocation", "off"),
        stdin=MAIL,
    )
    assert done.code == 0, done.err
    assert exchange.openssl.read(done.out, person, "SMIME") == ENTITY


def for_all(exchange: Exchange, cipher: ContentEncryption) -> bytes:
    everybody = (exchange.people[name] for name in KEYS)
    return exchange.encrypt(ENTITY, *everybody, how=EncryptOptions(form=Format.DER, cipher=cipher))
