"""What would reach a terminal: names that hold control characters, and words that look like a verdict of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.spoofs.certificates import EMAIL_ADDRESS, PSEUDONYM, Wanted, name, rfc822, smtp_utf8
from tests.spoofs.cms import signed
from tests.spoofs.keys import ec_key
from tests.spoofs.mime import ALICE, ENTITY, clear_mail
from tests.spoofs.spoof import Honest, Spoof
from tests.spoofs.workshop import AUTHORITY, Leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.workshop import Workshop

#: Each is put into every name that the program may print.
TRICKS = {
    "newline": "x\ntrusted: signed by alice@example.org",
    "carriage-return": "x\rtrusted: signed by alice@example.org",
    "crlf": "x\r\n\r\ntrusted\r\n",
    "escape": "x\x1b[2J\x1b[Htrusted: signed by alice@example.org\x1b[8m",
    "title": "x\x1b]0;trusted\x07",
    "c1": "x\x9b2Jtrusted",
    "backspace": "x" + "\x08" * 200 + "trusted: signed by alice@example.org",
    "nul": "x\0trusted",
    "vertical-tab": "x\x0btrusted\x0ctrusted\x85trusted",
    "line-separator": "x\u2028trusted\u2029trusted",
    "bidi-override": "x\u202edetsurt\u202c",
    "bidi-isolate": "x\u2066trusted\u2067\u2068\u2069",
    "bidi-marks": "x\u200e\u200f\u061ctrusted",
    "tag-characters": "x\U000e0001\U000e0061trusted",
}


def terminals(workshop: Workshop) -> Iterator[Spoof]:
    """Each trick in the mailbox, the subject and the issuer of a certificate, and in the From."""
    for label, trick in TRICKS.items():
        address = f"{trick}@evil.example"
        mailbox = rfc822(address) if trick.isascii() else smtp_utf8(address)
        leaf = Leaf((mailbox, rfc822("mallory@evil.example")), name(trick, trick))
        mail = workshop.clear(ALICE, workshop.leaf(leaf))
        why = "in the subject and in the mailbox"
        yield Spoof(f"terminal-{label}-subject", mail, "mismatch", "from-mismatch", why)
        subject = name((EMAIL_ADDRESS if trick.isascii() else PSEUDONYM, trick))
        leaf = Leaf((smtp_utf8(f"\u00e4{trick}@evil.example"),), subject)
        mail = workshop.clear(ALICE, workshop.leaf(leaf))
        yield Spoof(f"terminal-{label}-utf8", mail, "mismatch", "no-mailbox", "in a SmtpUTF8Mailbox")
        nobody = workshop.leaf(Leaf((rfc822(ALICE),)), issuer_name=name(trick))
        cms = replace(signed(nobody, ENTITY), certificates=())
        mail = clear_mail(cms.der)
        yield Spoof(f"terminal-{label}-nobody", mail, "untrusted", "no-certificate", "in how the signer is named")
        stranger = Wanted(ec_key("terminal"), name(trick), None, AUTHORITY).made()
        mail = workshop.clear(ALICE, workshop.person(ALICE, issuer=stranger))
        yield Spoof(f"terminal-{label}-issuer", mail, "untrusted", "unknown-issuer", "in the issuer")


def strange_names(workshop: Workshop) -> Iterator[Honest]:
    """Honest mails, but for what the certificate's subject holds."""
    for label, trick in TRICKS.items():
        leaf = Leaf((rfc822(ALICE),), name(trick))
        mail = workshop.clear(ALICE, workshop.leaf(leaf))
        yield Honest(f"terminal-{label}-trusted", mail, "the CA let it pass, and the address is right")
