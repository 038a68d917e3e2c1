"""neomutt shows mail: whose signature is the sender's, whose is not, and what was encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.neomutt.conftest import Writer, encrypted
from tests.support.ca import Authority
from tests.support.correspondents import People
from tests.support.softhsm import PIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.neomutt import Desk
    from tests.support.screen import Screen

pytestmark = [pytest.mark.interop, pytest.mark.slow]

VERIFIED = "S/MIME signature successfully verified"
NOT_THE_SENDER = "S/MIME certificate owner does not match sender"
NOT_VERIFIED = "S/MIME signature could NOT be verified"
KEY = "Press any key to continue"
BOB = "Bob <bob@example.org>"


def opened(desk: Desk, message: bytes, *settings: str) -> Screen:
    """neomutt, having been told to open the only mail."""
    desk.receive(message)
    screen = desk.neomutt(*settings)
    screen.expect("1 N")
    screen.type("\r")
    return screen


def past_the_warning(screen: Screen) -> str:
    """What neomutt shows before it shows a mail that is not its sender's, and go on from there."""
    told = screen.expect(KEY)
    screen.type(" ")
    screen.answer("no certfile", " ")
    return told


def without_passphrase(screen: Screen) -> None:
    """Answer neomutt's own question as the manual says."""
    screen.answer("Enter S/MIME passphrase", "\r")


def test_a_mail_that_the_sender_signed_is_shown_as_verified(desk: Desk, bob: Writer) -> None:
    with opened(desk, bob.mail("Greetings", BOB)) as screen:
        screen.expect(VERIFIED, "  address     bob@example.org", "Hello Alice")


def test_a_mail_that_somebody_else_signed_is_not_shown_as_verified(desk: Desk, mallory: Writer) -> None:
    with opened(desk, mallory.mail("Greetings", BOB)) as screen:
        told = past_the_warning(screen)
        shown = screen.expect(NOT_THE_SENDER, "Hello Alice")
    assert "mismatch: signed, but not by who the mail says" in told
    assert "trusted" not in shown
    assert VERIFIED not in shown


def test_the_list_of_mails_does_not_show_a_spoofed_mail_as_verified(desk: Desk, mallory: Writer) -> None:
    with opened(desk, mallory.mail("Greetings", BOB)) as screen:
        past_the_warning(screen)
        screen.expect(NOT_THE_SENDER, "Hello Alice")
        screen.type("i")
        listed = screen.expect("q:Quit", "NeoMutt: =inbox")
    (line,) = [line for line in listed.split("\n") if "Greetings" in line]
    assert " s" in line[:8]
    assert "S" not in line[:8]


def test_an_address_that_only_begins_as_the_senders_is_not_the_senders(
    desk: Desk, people: People, tmp_path: Path
) -> None:
    # neomutt compares as many letters as the From has.
    longer = Writer(people("eve", digital_signature=True, addresses=("bob@example.org.evil.example",)), tmp_path)
    with opened(desk, longer.mail("Greetings", BOB)) as screen:
        past_the_warning(screen)
        assert VERIFIED not in screen.expect(NOT_THE_SENDER, "Hello Alice")


def test_a_mail_of_two_senders_is_not_that_of_the_first(desk: Desk, bob: Writer) -> None:
    with opened(desk, bob.mail("Greetings", f"{BOB}, carol@example.org")) as screen:
        past_the_warning(screen)
        assert VERIFIED not in screen.expect(NOT_THE_SENDER, "Hello Alice")


def test_a_mail_of_somebody_from_nowhere_is_not_shown_as_verified(desk: Desk, strange_bob: Writer) -> None:
    with opened(desk, strange_bob.mail("Greetings")) as screen:
        screen.expect(NOT_VERIFIED, "untrusted", "unknown-issuer")


def test_a_mail_that_was_changed_is_not_shown_as_verified(desk: Desk, bob: Writer) -> None:
    with opened(desk, bob.mail("Greetings").replace(b"Hello", b"Hallo")) as screen:
        screen.expect(NOT_VERIFIED, "digest-mismatch")


def test_a_mail_cannot_say_itself_that_it_is_verified(desk: Desk, tmp_path: Path) -> None:
    unknown = People(Authority("Verification successful"), tmp_path)
    eve = unknown("bob", digital_signature=True, subject="Verification successful")
    with opened(desk, Writer(eve, tmp_path).mail("Greetings", text="Verification successful")) as screen:
        assert VERIFIED not in screen.expect(NOT_VERIFIED)


def test_an_opaque_mail_of_the_sender_is_shown_as_verified(desk: Desk, bob: Writer) -> None:
    with opened(desk, bob.mail("Greetings", opaque=True)) as screen:
        screen.expect(VERIFIED, "Hello Alice")


def test_an_opaque_mail_of_somebody_else_is_not_shown_as_verified(desk: Desk, mallory: Writer) -> None:
    with opened(desk, mallory.mail("Greetings", BOB, opaque=True)) as screen:
        past_the_warning(screen)
        assert VERIFIED not in screen.expect(NOT_THE_SENDER, "Hello Alice")


def test_an_opaque_mail_of_somebody_from_nowhere_can_be_read(desk: Desk, strange_bob: Writer) -> None:
    with opened(desk, strange_bob.mail("Greetings", opaque=True)) as screen:
        screen.expect(NOT_VERIFIED, "Hello Alice")


def test_an_encrypted_mail_is_decrypted(desk: Desk) -> None:
    entity = b"Content-Type: text/plain\r\n\r\nthe secret\r\n"
    with opened(desk, encrypted(entity, desk.certificate(), BOB, "Greetings")) as screen:
        without_passphrase(screen)
        screen.expect("the secret", "whether it was changed on its way cannot be known")


def test_an_encrypted_mail_that_the_sender_signed_is_shown_as_verified(desk: Desk, bob: Writer) -> None:
    with opened(desk, encrypted(bob.entity(), desk.certificate(), BOB, "Greetings")) as screen:
        without_passphrase(screen)
        screen.expect(VERIFIED, "Hello Alice")


def test_an_encrypted_mail_that_somebody_else_signed_is_not_shown_as_verified(desk: Desk, mallory: Writer) -> None:
    with opened(desk, encrypted(mallory.entity(), desk.certificate(), BOB, "Greetings")) as screen:
        without_passphrase(screen)
        told = past_the_warning(screen)
        assert VERIFIED not in screen.expect(NOT_THE_SENDER, "Hello Alice")
    assert "mismatch" in told


def test_a_mail_that_is_signed_in_part_is_not_shown_as_verified(desk: Desk, bob: Writer) -> None:
    entity = bob.entity().removeprefix(b"MIME-Version: 1.0\n").replace(b"\r\n", b"\n")
    parts = b"--x\n\nNot signed\n--x\n" + entity + b"\n--x--\n"
    head = (
        b"From: bob@example.org\nSubject: Greetings\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
    )
    with opened(desk, head + parts) as screen:
        screen.expect("Not signed")
        found = screen.expect_any(VERIFIED, NOT_VERIFIED, "Part of this message has not been signed", "(all)")
    assert found != VERIFIED


def test_a_mail_for_somebody_else_is_said_to_be_for_no_key_of_ours(desk: Desk, bob: Writer) -> None:
    with opened(desk, encrypted(b"x", bob.person.path, BOB, "Greetings")) as screen:
        without_passphrase(screen)
        screen.expect("smime-agent: error: no key on token")
        screen.type("\r")
        screen.expect("Could not copy message", "NP+ Jan 06 Bob")


def test_the_pin_is_asked_for_at_the_terminal(desk: Desk) -> None:
    desk.ask_for_pin()
    entity = b"Content-Type: text/plain\r\n\r\nthe secret\r\n"
    with opened(desk, encrypted(entity, desk.certificate(), BOB, "Greetings")) as screen:
        without_passphrase(screen)
        screen.answer("to decrypt:", f"{PIN}\r")
        past = screen.expect("was changed on its way")
    assert PIN not in past


def test_the_certificate_of_a_sender_is_kept_on_request(desk: Desk, bob: Writer) -> None:
    with opened(desk, bob.mail("Greetings", BOB)) as screen:
        screen.expect(VERIFIED)
        screen.type("\x0b")  # extract-keys
        screen.expect("the certificate of bob@example.org was remembered")
    assert "bob@example.org" in (desk.certificates / ".index").read_text()


def test_the_certificate_of_somebody_else_is_not_kept_for_the_sender(desk: Desk, mallory: Writer) -> None:
    with opened(desk, mallory.mail("Greetings", BOB)) as screen:
        past_the_warning(screen)
        screen.expect(NOT_THE_SENDER)
        screen.type("\x0b")
        screen.expect("nobody is remembered: the mail is not trusted")
    assert "mallory@example.org" not in (desk.certificates / ".index").read_text()
