"""neomutt sends mail: signed, encrypted, both, or not at all; OpenSSL judges what comes out."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.softhsm import PIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.neomutt.conftest import Writer
    from tests.support.neomutt import Desk
    from tests.support.screen import Screen

pytestmark = [pytest.mark.interop, pytest.mark.slow]

TEXT = b"Dear Bob,\r\n=46rom here on =FC is no ASCII.=20\r\n=2E\r\n"
NOT_ASCII = "is no ASCII"


def composed(screen: Screen, to: str = "bob@example.org") -> None:
    """Write a mail, up to the menu that sends it."""
    screen.expect("NeoMutt: =inbox")
    screen.type("m")
    screen.answer("To:", f"{to}\r")
    screen.answer("Subject:", "Greetings\r")
    screen.expect("NeoMutt: Compose")


def protected(screen: Screen, how: str, shown: str) -> None:
    """Choose in the menu of S/MIME: e, s or b."""
    screen.type("S")
    screen.answer("S/MIME (e)ncrypt", how)
    screen.expect(shown)
    screen.type("y")


def signed_by(message: bytes, desk: Desk) -> tuple[bytes, str]:
    """What OpenSSL says that was signed, and by whom."""
    signer = desk.folder / "signer.pem"
    trust = ["-CAfile", str(desk.folder / "ca.pem"), "-signer", str(signer)]
    done = subprocess.run(["openssl", "cms", "-verify", *trust], input=message, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    addresses = ["openssl", "x509", "-in", str(signer), "-noout", "-email"]
    return done.stdout, subprocess.run(addresses, capture_output=True, check=True).stdout.decode().strip()


def know(desk: Desk, person: Path) -> None:
    """Put a certificate into the contacts."""
    contacts = desk.folder / ".local/share/smime-agent/contacts"
    contacts.mkdir(exist_ok=True)
    (contacts / person.name).write_bytes(person.read_bytes())


def send(desk: Desk, how: str, shown: str, *settings: str, passphrase: bool = True) -> bytes:
    """Send a mail to Bob."""
    with desk.neomutt(*settings) as screen:
        composed(screen)
        protected(screen, how, shown)
        if passphrase:
            screen.answer("Enter S/MIME passphrase", "\r")
        while screen.expect_any("Mail sent", "Press any key to continue") != "Mail sent":
            screen.type(" ")  # of revocation nothing is known here, which is told
            screen.until(lambda: "Press any key" not in screen.text, "screen without a question")
    return desk.outbox.read_bytes()


def test_a_mail_that_neomutt_signs_is_good_for_openssl(desk: Desk) -> None:
    content, signer = signed_by(send(desk, "s", "Sign (S/MIME)"), desk)
    assert content.endswith(b"\r\n\r\n" + TEXT)
    assert signer == "alice@example.org"


def test_the_key_that_signs_is_that_of_the_from(desk: Desk) -> None:
    message = send(desk, "s", "Sign (S/MIME)", "set from=alice@work.example.org")
    assert signed_by(message, desk)[1] == "alice@work.example.org"


def test_the_mail_names_the_digest_that_was_used(desk: Desk) -> None:
    # The key at work is on P-384, which is signed with SHA-384 otherwise.
    message = send(desk, "s", "Sign (S/MIME)", "set from=alice@work.example.org")
    (desk.folder / "signed").write_bytes(message)
    shown = desk.agent("inspect", desk.folder / "signed").out
    assert b"micalg=sha-256" in message
    assert b"SHA-256" in shown
    assert b"SHA-384" not in shown


def test_what_neomutt_signs_is_trusted_here_too(desk: Desk) -> None:
    send(desk, "s", "Sign (S/MIME)")
    done = desk.agent("verify", desk.outbox)
    assert done.code == 0, done.out.decode()


def test_a_mail_that_neomutt_encrypts_is_decrypted_by_its_recipient(desk: Desk, bob: Writer) -> None:
    know(desk, bob.person.path)
    message = send(desk, "e", "Encrypt (S/MIME)", passphrase=False)
    assert NOT_ASCII.encode() not in message
    assert bob.person.decrypt(message).endswith(b"\r\n\r\n" + TEXT)


def test_a_mail_that_neomutt_encrypts_can_be_read_by_its_sender(desk: Desk, bob: Writer) -> None:
    know(desk, bob.person.path)
    send(desk, "e", "Encrypt (S/MIME)", passphrase=False)
    assert desk.agent("decrypt", desk.outbox).out.endswith(b"\r\n\r\n" + TEXT)


def test_a_mail_that_neomutt_signs_and_encrypts_is_both(desk: Desk, bob: Writer) -> None:
    know(desk, bob.person.path)
    inside = bob.person.decrypt(send(desk, "b", "Sign, Encrypt (S/MIME)"))
    content, signer = signed_by(inside, desk)
    assert content.endswith(b"\r\n\r\n" + TEXT)
    assert signer == "alice@example.org"


def test_the_sent_mail_is_shown_as_ones_own(desk: Desk, bob: Writer) -> None:
    know(desk, bob.person.path)
    send(desk, "b", "Sign, Encrypt (S/MIME)")
    with desk.neomutt(f"set spool_file={desk.folder}/sent") as screen:
        screen.expect("Greetings")
        screen.type("\r")
        screen.answer("Enter S/MIME passphrase", "\r")
        screen.expect("S/MIME signature successfully verified", "address     alice@example.org")


def test_nothing_is_sent_to_somebody_without_a_certificate(desk: Desk) -> None:
    with desk.neomutt() as screen:
        composed(screen, "nobody@example.org")
        protected(screen, "e", "Encrypt (S/MIME)")
        screen.answer("Enter keyID for nobody@example.org", "\x07")
        screen.expect("NeoMutt: Compose")
    assert not desk.outbox.exists()


def test_nothing_is_encrypted_to_a_certificate_that_is_not_trusted(desk: Desk, strange_bob: Writer) -> None:
    know(desk, strange_bob.person.path)
    with desk.neomutt() as screen:
        composed(screen)
        protected(screen, "e", "Encrypt (S/MIME)")
        screen.expect("smime-agent: error: nothing should be encrypted to")
        screen.answer("Press any key", " ")
    assert not desk.outbox.exists()


def test_an_expired_certificate_is_not_taken(desk: Desk, expired_bob: Writer) -> None:
    know(desk, expired_bob.person.path)
    with desk.neomutt() as screen:
        composed(screen)
        protected(screen, "e", "Encrypt (S/MIME)")
        screen.expect("Expired")  # the menu of keys, of which none is taken unasked
    assert not desk.outbox.exists()


def test_a_passphrase_that_was_typed_all_the_same_is_no_pin(desk: Desk) -> None:
    with desk.neomutt() as screen:
        composed(screen)
        protected(screen, "s", "Sign (S/MIME)")
        screen.answer("Enter S/MIME passphrase", "wrong\r")
        screen.expect("Mail sent")


def test_the_pin_is_asked_for_at_the_terminal(desk: Desk) -> None:
    desk.ask_for_pin()
    with desk.neomutt() as screen:
        composed(screen)
        protected(screen, "s", "Sign (S/MIME)")
        screen.answer("Enter S/MIME passphrase", "\r")
        screen.answer("to sign:", f"{PIN}\r")
        screen.expect("Mail sent")
        assert PIN not in screen.text


def test_a_wrong_pin_sends_nothing_and_is_told(desk: Desk) -> None:
    desk.ask_for_pin()
    with desk.neomutt() as screen:
        composed(screen)
        protected(screen, "s", "Sign (S/MIME)")
        screen.answer("Enter S/MIME passphrase", "\r")
        screen.answer("to sign:", "wrong\r")
        screen.expect("smime-agent: error: wrong PIN", "Press any key")
    assert not desk.outbox.exists()


def test_neomutt_asks_for_its_passphrase_once_in_a_session(desk: Desk) -> None:
    with desk.neomutt() as screen:
        for number in range(2):
            composed(screen)
            protected(screen, "s", "Sign (S/MIME)")
            if number == 0:
                screen.answer("Enter S/MIME passphrase", "\r")
            screen.expect("Mail sent")
            desk.outbox.unlink()
            screen.type("\x0c")
            screen.until(lambda: "Mail sent" not in screen.text, "fresh screen")
