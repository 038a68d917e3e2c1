"""``smime-agent encrypt``, as it is called; OpenSSL decrypts."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from smime_agent import der
from smime_agent.algorithms import ContentEncryption
from smime_agent.cms.oids import SMIME_CAPABILITIES
from tests.cms.opening import opened
from tests.support.correspondents import printed
from tests.support.mails import MAIL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority
    from tests.support.command import Command
    from tests.support.correspondents import Encrypt, People

DONE, USAGE, INVALID, REFUSED = 0, 2, 6, 10
BOB, CAROL, ALICE = "bob@example.org", "carol@example.org", "alice@example.org"
ENTITY = b"Content-Type: text/plain; charset=utf-8\r\n\r\nHello, Bob.\r\n"
OAEP_SHA256 = bytes.fromhex(  # RFC 4055, 4.1, with SHA-256
    "303c06092a864886f70d010107302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d0609608648016503"
    "0402010500"
)
HKDF_SHA256 = der.object_identifier("1.2.840.113549.1.9.16.3.19")  # RFC 8418, 7
TRIPLE_DES = der.algorithm("1.2.840.113549.3.7")
RC2 = der.algorithm("1.2.840.113549.3.2", der.integer(128))
GCM256, CBC256 = (der.algorithm(one.oid) for one in (ContentEncryption.AES256_GCM, ContentEncryption.AES256_CBC))


def capable(*capabilities: bytes) -> dict[str, Any]:
    """What makes a certificate say what its holder can decrypt (RFC 4262, 2)."""
    said = x509.UnrecognizedExtension(x509.ObjectIdentifier(SMIME_CAPABILITIES), der.sequence(*capabilities))
    return {"extra": ((said, False),)}


def cipher_of(message: bytes, form: str = "SMIME") -> str:
    """The content-encryption algorithm, as OpenSSL prints it."""
    found = re.search(r"contentEncryptionAlgorithm: *\n *algorithm: ([\w-]+)", printed(message, form))
    assert found
    return found[1]


# Who can read it


@pytest.mark.parametrize(
    ("kind", "cipher"),
    [
        ("rsa", "aes-128-cbc"),
        ("rsa-4096", "aes-128-cbc"),
        ("p256", "aes-256-gcm"),
        ("p384", "aes-256-gcm"),
        ("p521", "aes-256-gcm"),
    ],
)
def test_openssl_decrypts_what_is_taken_where_nothing_is_known(
    encrypt: Encrypt, person: People, kind: str, cipher: str
) -> None:
    bob = person("bob", kind)
    done = encrypt("--cert", bob.path)
    assert (done.code, bob.decrypt(done.out)) == (DONE, ENTITY)
    assert cipher_of(done.out) == cipher


def test_x25519_is_encrypted_to(encrypt: Encrypt, person: People) -> None:
    bob = person("bob", "x25519")
    done = encrypt("--cert", bob.path, "--format", "der", message=b"Hello.")
    assert opened(done.out, bob.key) == b"Hello."
    assert HKDF_SHA256 in done.out


@pytest.mark.parametrize("cipher", ["aes128-cbc", "aes192-cbc", "aes256-cbc", "aes128-gcm", "aes256-gcm"])
def test_the_cipher_that_was_asked_for_is_taken(encrypt: Encrypt, person: People, cipher: str) -> None:
    bob = person("bob")
    done = encrypt("--cert", bob.path, "--cipher", cipher)
    assert bob.decrypt(done.out) == ENTITY
    assert cipher_of(done.out).lower().removeprefix("id-").replace("-", "") == cipher.replace("-", "")


def test_chacha20_is_there_for_who_asks(encrypt: Encrypt, person: People) -> None:
    bob = person("bob")
    done = encrypt("--cert", bob.path, "--format", "der", "--cipher", "chacha20-poly1305", message=b"Hello.")
    assert opened(done.out, bob.key) == b"Hello."


@pytest.mark.parametrize("cipher", ["des3", "rc2", "3des", "des-ede3-cbc"])
def test_old_ciphers_cannot_be_asked_for(encrypt: Encrypt, person: People, cipher: str) -> None:
    assert encrypt("--cert", person("bob").path, "--cipher", cipher).code == USAGE


def test_old_ciphers_are_not_taken_for_who_claims_nothing_else(encrypt: Encrypt, person: People) -> None:
    bob = person("bob", **capable(TRIPLE_DES, RC2))
    done = encrypt("--cert", bob.path)
    assert cipher_of(done.out) == "aes-128-cbc"
    assert "bob@example.org may not be able to decrypt AES-128-CBC: they name only Triple DES, RC2" in done.err


def test_what_a_certificate_says_of_its_holder_counts(encrypt: Encrypt, person: People) -> None:
    bob = person("bob", **capable(CBC256, GCM256, OAEP_SHA256))
    done = encrypt("--cert", bob.path)
    assert bob.decrypt(done.out) == ENTITY
    assert cipher_of(done.out) == "aes-256-gcm"
    assert "algorithm: rsaesOaep" in printed(done.out)


@pytest.mark.parametrize(("padding", "algorithm"), [("pkcs1", "rsaEncryption"), ("oaep", "rsaesOaep")])
def test_the_padding_that_was_asked_for_is_taken(
    encrypt: Encrypt, person: People, padding: str, algorithm: str
) -> None:
    bob = person("bob")
    done = encrypt("--cert", bob.path, "--padding", padding)
    assert (bob.decrypt(done.out), f"algorithm: {algorithm}" in printed(done.out)) == (ENTITY, True)


@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_recipients_can_be_named_by_key_identifier(encrypt: Encrypt, person: People, kind: str) -> None:
    bob = person("bob", kind)
    done = encrypt("--cert", bob.path, "--keyid")
    assert bob.decrypt(done.out) == ENTITY
    assert re.search(r"d\.(?:subjectKeyIdentifier|rKeyId)", printed(done.out))
    assert "issuerAndSerialNumber" not in printed(done.out)


def test_each_of_several_recipients_can_read_it(encrypt: Encrypt, person: People) -> None:
    people = [person("bob"), person("carol", "p256"), person("dave", "p521", number=1)]
    message = MAIL.replace(b"To: Bob", b"Cc: carol@example.org, dave@example.org\nTo: Bob")
    done = encrypt(*(word for one in people for word in ("--cert", one.path)), message=message)
    assert [one.decrypt(done.out) for one in people] == [ENTITY] * 3


@pytest.mark.interop
def test_gpgsm_lists_the_recipient(encrypt: Encrypt, person: People, tmp_path: Path) -> None:
    bob = person("bob")
    done = encrypt("--cert", bob.path, "--format", "der", message=b"Hello.")
    (tmp_path / "gnupg").mkdir(mode=0o700)
    shown = subprocess.run(
        ["gpgsm", "--homedir", str(tmp_path / "gnupg"), "--batch", "--debug", "crypto", "--decrypt"],
        input=done.out,
        capture_output=True,
        check=False,
    ).stderr.decode()
    assert f"{bob.certificate.serial_number:X}" in shown.upper()


# What goes out


def test_the_fields_outside_stay_but_for_bcc(encrypt: Encrypt, person: People) -> None:
    message = MAIL.replace(b"Subject", b"Bcc: bob@example.org\nX-Mine: yes\nSubject")
    out = encrypt("--to", BOB, "--cert", person("bob").path, message=message).out
    head = out.partition(b"\r\n\r\n")[0]
    assert b"Bcc" not in head
    assert b"\r\nX-Mine: yes\r\nSubject: Greetings\r\n" in head
    assert b"Content-Type: application/pkcs7-mime; " in head


@pytest.mark.parametrize(("kind", "smime_type"), [("rsa", b"enveloped-data"), ("p256", b"authEnveloped-data")])
def test_the_smime_type_is_that_of_the_content(encrypt: Encrypt, person: People, kind: str, smime_type: bytes) -> None:
    assert b"smime-type=" + smime_type in encrypt("--cert", person("bob", kind).path).out


@pytest.mark.parametrize("form", ["DER", "PEM"])
def test_any_file_is_encrypted_as_it_is(encrypt: Encrypt, person: People, form: str) -> None:
    bob = person("bob")
    done = encrypt("--cert", bob.path, "--format", form.lower(), message=b"\x00\n\r\n\xff")
    assert bob.decrypt(done.out, form) == b"\x00\n\r\n\xff"


def test_the_same_mail_is_never_encrypted_alike(encrypt: Encrypt, person: People) -> None:
    bob = person("bob")
    assert encrypt("--cert", bob.path).out != encrypt("--cert", bob.path).out


def test_what_is_encrypted_is_not_encrypted_again(encrypt: Encrypt, person: People) -> None:
    bob = person("bob")
    once = encrypt("--cert", bob.path).out
    refused = encrypt("--cert", bob.path, message=once)
    assert (refused.code, refused.out) == (REFUSED, b"")
    twice = encrypt("--cert", bob.path, "--again", message=once)
    inner = bob.decrypt(twice.out)
    assert bob.decrypt(b"MIME-Version: 1.0\r\n" + inner) == ENTITY


def test_a_signed_mail_stays_signed_inside(encrypt: Encrypt, person: People, command: Command, alice: object) -> None:
    assert alice
    signed = command("sign", "--token", "alice", "--pin-source", "env:PIN", stdin=MAIL).out
    inner = person("bob").decrypt(encrypt("--cert", person("bob").path, message=signed).out)
    assert inner.startswith(b"Content-Type: multipart/signed")


def test_what_is_no_mail_is_refused(encrypt: Encrypt, person: People) -> None:
    assert encrypt("--cert", person("bob").path, message=b"\x00\x01").code == INVALID


# The sender


def test_the_sender_can_read_it_too(encrypt: Encrypt, person: People) -> None:
    bob, alice = person("bob"), person("alice", number=1)
    done = encrypt("--to", BOB, "--cert", bob.path, "--cert", alice.path)
    assert (bob.decrypt(done.out), alice.decrypt(done.out)) == (ENTITY, ENTITY)


def test_the_sender_cannot_where_that_was_asked(encrypt: Encrypt, person: People) -> None:
    bob, alice = person("bob"), person("alice", number=1)
    done = encrypt("--to", BOB, "--cert", bob.path, "--cert", alice.path, "--no-self")
    assert printed(done.out).count("d.ktri") == 1


def test_it_is_said_that_the_sender_cannot(encrypt: Encrypt, person: People) -> None:
    done = encrypt("--cert", person("bob").path)
    warning = "there is no certificate for alice@example.org: the sender will not be able to read it"
    assert (done.code, done.err) == (DONE, f"smime-agent: warning: {warning}\n")


def test_nothing_is_said_of_the_sender_with_no_self(encrypt: Encrypt, person: People) -> None:
    assert encrypt("--cert", person("bob").path, "--no-self").err == ""


def test_the_sender_holds_the_cipher_of_others_back_by_nothing(encrypt: Encrypt, person: People) -> None:
    bob, alice = person("bob", "p256"), person("alice", "rsa")
    done = encrypt("--to", BOB, "--cert", bob.path, "--cert", alice.path)
    assert cipher_of(done.out) == "aes-256-gcm"


def test_a_note_to_oneself(encrypt: Encrypt, person: People) -> None:
    alice = person("alice")
    message = MAIL.replace(b"To: Bob <bob@example.org>", b"To: alice@example.org")
    done = encrypt("--cert", alice.path, message=message)
    assert (done.err, alice.decrypt(done.out), printed(done.out).count("d.ktri")) == ("", ENTITY, 1)


# Bcc


@pytest.mark.parametrize(
    "named", ["by --bcc", "by --bcc and in the mail", "by --to and in the mail", "by --cert and in the mail"]
)
def test_who_is_in_bcc_gets_a_message_alone(encrypt: Encrypt, person: People, tmp_path: Path, named: str) -> None:
    bob, erin = person("bob"), person("erin", number=1)
    message = MAIL if named == "by --bcc" else MAIL.replace(b"Subject", b"Bcc: Erin <erin@example.org>\nSubject")
    words = {
        "by --bcc and in the mail": ("--bcc", "erin@example.org", "--to", BOB),
        "by --bcc": ("--to", BOB, "--bcc", "erin@example.org"),
        "by --to and in the mail": ("--to", BOB, "--to", "erin@example.org"),
        "by --cert and in the mail": (),
    }[named]
    out = tmp_path / "out"
    done = encrypt(*words, "--cert", bob.path, "--cert", erin.path, "--output-dir", out, message=message)
    assert done.code == DONE, done.err
    main, blind = (out / "mail.eml").read_bytes(), (out / "mail.bcc-1.eml").read_bytes()
    assert (bob.decrypt(main), erin.decrypt(blind)) == (ENTITY, ENTITY)
    numbers = [f"{one.certificate.serial_number:X}" for one in (bob, erin)]
    assert [number in printed(main) for number in numbers] == [True, False]
    assert [number in printed(blind) for number in numbers] == [False, True]
    heads = [message.partition(b"\r\n\r\n")[0].lower() for message in (main, blind)]  # base64 holds any three letters
    assert [word in heads[0] + heads[1] for word in (b"erin", b"bcc:")] == [False, False]
    assert "mail.bcc-1.eml is for erin@example.org alone" in done.err


def test_several_messages_need_a_folder(encrypt: Encrypt, person: People, tmp_path: Path) -> None:
    people = [word for name in ("bob", "erin") for word in ("--cert", person(name).path)]
    done = encrypt("--to", BOB, "--bcc", "erin@example.org", *people, "-o", tmp_path / "out.eml")
    assert (done.code, (tmp_path / "out.eml").exists()) == (USAGE, False)
    assert "hint: name a folder with --output-dir" in done.err


def test_who_is_in_bcc_and_in_cc_is_seen_anyway(encrypt: Encrypt, person: People) -> None:
    bob = person("bob")
    done = encrypt("--to", BOB, "--bcc", "BOB@example.org", "--cert", bob.path)
    assert (done.code, bob.decrypt(done.out)) == (DONE, ENTITY)


def test_a_mail_to_bcc_alone_is_one_message(encrypt: Encrypt, person: People) -> None:
    bob = person("bob")
    done = encrypt("--cert", bob.path, message=MAIL.replace(b"To: ", b"Bcc: "))
    assert (done.code, bob.decrypt(done.out)) == (DONE, ENTITY)


# Who is meant


def test_a_mail_to_nobody_needs_a_recipient(encrypt: Encrypt) -> None:
    done = encrypt(message=b"From: alice@example.org\n\nHello.\n")
    assert (done.code, "the mail is addressed to nobody" in done.err) == (USAGE, True)


def test_a_file_needs_a_recipient(encrypt: Encrypt) -> None:
    done = encrypt("--format", "der", message=b"Hello.")
    assert (done.code, "no recipient was named" in done.err) == (USAGE, True)


@pytest.mark.parametrize("address", ["bob", "", "bob@", "Bob <bob@example.org>"])
def test_what_is_no_address_is_refused(encrypt: Encrypt, address: str) -> None:
    assert encrypt("--to", address).code == USAGE


def test_an_addressee_who_will_not_be_able_to_read_it_is_told(encrypt: Encrypt, person: People) -> None:
    message = MAIL.replace(b"Subject", b"Cc: carol@example.org\nSubject")
    done = encrypt("--cert", person("bob").path, message=message)
    assert "warning: the mail is addressed to carol@example.org, and will not be readable there" in done.err


def test_a_certificate_that_is_for_nobody_is_told(encrypt: Encrypt, person: People) -> None:
    done = encrypt("--to", BOB, "--cert", person("bob").path, "--cert", person("carol").path)
    assert (done.code, "carol.pem is not used: it is for no recipient" in done.err) == (DONE, True)


def test_an_older_certificate_of_a_recipient_is_not_said_to_be_nobody_s(
    encrypt: Encrypt, person: People, tmp_path: Path
) -> None:
    older = tmp_path / "older.pem"
    older.write_bytes(person("bob", not_before=-9).path.read_bytes())
    done = encrypt("--to", BOB, "--cert", older, "--cert", person("bob", number=1).path)
    assert (done.code, "older.pem is not used: another one is" in done.err) == (DONE, True)


def test_a_certificate_that_the_sender_reads_with_is_not_called_unused(encrypt: Encrypt, person: People) -> None:
    alice = person("alice", "p256")
    words = ("--to", BOB, "--cert", person("bob").path, "--cert", alice.path)
    done = encrypt(*words)
    assert (alice.decrypt(done.out), done.err) == (ENTITY, "")
    assert "alice.pem is not used: it is for no recipient" in encrypt(*words, "--no-self").err


def test_a_file_with_all_that_somebody_ever_had_will_do(
    encrypt: Encrypt, person: People, issuing_ca: Authority
) -> None:
    parts = [
        person("bob", not_before=-9, not_after=-1),
        person("bob", "p256", digital_signature=True, key_agreement=False),
        person("bob", number=1),
    ]
    bob = parts[-1]
    pem = [one.certificate.public_bytes(Encoding.PEM) for one in parts]
    bob.path.write_bytes(b"".join((*pem, issuing_ca.pem)))
    done = encrypt("--cert", bob.path, "--no-self")
    assert (done.code, done.err.count("is not used: another one is")) == (DONE, 1)
    bob.path.write_bytes(pem[-1])
    assert bob.decrypt(done.out) == ENTITY


def test_of_two_certificates_of_one_person_the_newer_is_taken(encrypt: Encrypt, person: People) -> None:
    old = person("bob", not_before=-30)
    old.path.rename(old.path.with_name("old.pem"))
    new = person("bob", number=1)
    done = encrypt("--to", BOB, "--cert", new.path.with_name("old.pem"), "--cert", new.path)
    assert new.decrypt(done.out) == ENTITY
    assert f"{old.certificate.serial_number:X}" not in printed(done.out)
