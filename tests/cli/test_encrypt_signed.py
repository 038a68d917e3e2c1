"""``encrypt --sign``: signed on a token, then encrypted; OpenSSL decrypts, then verifies."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from smime_agent.algorithms import KeyType, KeyUsage
from tests.support.ca import Wanted
from tests.support.correspondents import printed
from tests.support.mails import MAIL
from tests.support.softhsm import KnownPin

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority
    from tests.support.command import Command
    from tests.support.correspondents import Encrypt, People
    from tests.support.softhsm import SoftHsm, SoftToken

DONE, USAGE, NO_KEY, PIN, REFUSED = 0, 2, 7, 9, 10
HEAD = b"MIME-Version: 1.0\r\n"


@pytest.fixture(scope="module")
def desk(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    """A token of Alice with a key to sign with and one to decrypt with."""
    token = softhsm.new_token("desk")
    token.enrol(issuing_ca, KeyType.EC_P256)
    wanted = Wanted(digital_signature=False, key_agreement=True)
    token.enrol(issuing_ca, KeyType.EC_P256, wanted, KeyUsage.DECRYPT)
    return token


def signing(token: SoftToken) -> tuple[str, ...]:
    return ("--sign", "--token", token.label, "--pin-source", "env:PIN")


def verified(message: bytes, root: Path) -> bytes:
    """What OpenSSL takes for signed."""
    command = ["openssl", "cms", "-verify", "-CAfile", str(root), "-partial_chain"]
    done = subprocess.run(command, input=HEAD + message, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize(
    ("options", "content_type"),
    [((), b"multipart/signed"), (("--opaque",), b"application/pkcs7-mime; smime-type=signed-data")],
    ids=["clear", "opaque"],
)
def test_openssl_decrypts_and_then_verifies(
    encrypt: Encrypt, person: People, alice: SoftToken, options: tuple[str, ...], content_type: bytes
) -> None:
    bob = person("bob")
    done = encrypt("--cert", bob.path, *signing(alice), *options)
    inner = bob.decrypt(done.out)
    assert (done.code, inner.startswith(b"Content-Type: " + content_type)) == (DONE, True)
    assert verified(inner, encrypt.root).endswith(b"\r\n\r\nHello, Bob.\r\n")


def test_nothing_of_the_signature_is_seen_from_outside(encrypt: Encrypt, person: People, alice: SoftToken) -> None:
    out = encrypt("--cert", person("bob").path, *signing(alice)).out
    assert (b"multipart/signed" in out, b"smime-type=enveloped-data" in out) == (False, True)


def test_bcc_recipients_get_the_same_signature_and_no_other_recipient(
    encrypt: Encrypt, person: People, alice: SoftToken, tmp_path: Path
) -> None:
    bob, erin = person("bob"), person("erin", number=1)
    message = MAIL.replace(b"Subject", b"Bcc: erin@example.org\nSubject")
    given = ("--cert", bob.path, "--cert", erin.path, "--output-dir", tmp_path / "out")
    assert encrypt(*given, *signing(alice), message=message).code == DONE
    main, blind = ((tmp_path / "out" / name).read_bytes() for name in ("mail.eml", "mail.bcc-1.eml"))
    assert bob.decrypt(main) == erin.decrypt(blind)
    assert printed(blind).count("d.ktri") == 1


def test_the_signer_can_read_it_with_the_key_for_decrypting(
    encrypt: Encrypt, person: People, desk: SoftToken, command: Command
) -> None:
    done = encrypt("--cert", person("bob").path, *signing(desk))
    assert done.err == ""
    read = command("decrypt", "--token", desk.label, "--pin-source", "env:PIN", "--json", stdin=done.out)
    found = json.loads(read.out)
    assert (found["decrypted"], found["recipient"]["mailboxes"]) == (True, ["alice@example.org"])


def test_a_signer_without_a_key_for_decrypting_is_warned(encrypt: Encrypt, person: People, alice: SoftToken) -> None:
    done = encrypt("--cert", person("bob").path, *signing(alice))
    assert "there is no certificate for alice@example.org: the sender will not be able to read it" in done.err


def test_a_note_to_oneself_is_for_the_token_that_signs(encrypt: Encrypt, desk: SoftToken) -> None:
    message = MAIL.replace(b"To: Bob <bob@example.org>", b"To: alice@example.org")
    done = encrypt(*signing(desk), message=message)
    assert (done.code, done.err, printed(done.out).count("d.kari")) == (DONE, "", 1)


def test_a_note_to_oneself_that_could_not_be_read_is_refused(encrypt: Encrypt, alice: SoftToken) -> None:
    message = MAIL.replace(b"To: Bob <bob@example.org>", b"To: alice@example.org")
    done = encrypt(*signing(alice), message=message)
    assert (done.code, "there is no certificate for alice@example.org\n" in done.err) == (REFUSED, True)


def test_nobody_is_asked_for_a_pin_for_what_is_refused(encrypt: Encrypt, person: People) -> None:
    expired = person("bob", not_before=-9, not_after=-1)
    done = encrypt("--cert", expired.path, "--sign", "--token", "desk", "--pin-source", "file:/nowhere")
    assert done.code == REFUSED


def test_a_wrong_pin_writes_nothing(encrypt: Encrypt, person: People, desk: SoftToken, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(KnownPin().answer + "x")
    words = ("--sign", "--token", desk.label, "--pin-source", f"file:{tmp_path / 'pin'}")
    done = encrypt("--cert", person("bob").path, *words, "-o", tmp_path / "out.eml")
    assert (done.code, (tmp_path / "out.eml").exists()) == (PIN, False)


def test_who_is_not_the_sender_has_no_key(encrypt: Encrypt, person: People, alice: SoftToken) -> None:
    message = MAIL.replace(b"alice@", b"carol@")
    assert encrypt("--cert", person("bob").path, *signing(alice), message=message).code == NO_KEY


def test_a_signed_mail_is_not_signed_again(
    encrypt: Encrypt, person: People, alice: SoftToken, command: Command
) -> None:
    signed = command("sign", "--token", alice.label, "--pin-source", "env:PIN", stdin=MAIL).out
    done = encrypt("--cert", person("bob").path, *signing(alice), message=signed)
    assert (done.code, done.out) == (REFUSED, b"")
    assert encrypt("--cert", person("bob").path, *signing(alice), "--again", message=signed).code == DONE


@pytest.mark.parametrize("option", [("--token", "x"), ("--key", "x"), ("--opaque",), ("--pin-source", "env:X")])
def test_options_of_signing_need_it(encrypt: Encrypt, option: tuple[str, ...]) -> None:
    done = encrypt(*option)
    assert (done.code, f"{option[0]} is for --sign" in done.err) == (USAGE, True)


def test_a_file_is_not_signed_on_the_way(encrypt: Encrypt, person: People, alice: SoftToken) -> None:
    done = encrypt("--cert", person("bob").path, "--format", "der", *signing(alice))
    assert (done.code, "only a mail is signed before" in done.err) == (USAGE, True)


def test_an_explanation_uses_no_token(encrypt: Encrypt, person: People) -> None:
    done = encrypt("--cert", person("bob").path, "--sign", "--token", "nowhere", "--explain")
    assert (done.code, "by a certificate on the token that signs" in done.out.decode()) == (DONE, True)
