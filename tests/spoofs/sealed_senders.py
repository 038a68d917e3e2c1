"""Encrypted mails that several people seem to have written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smime_agent.x509 import Certificate
from tests.spoofs.cms import signed
from tests.spoofs.envelopes import AUTH_ENVELOPED, CBC, Seal
from tests.spoofs.mime import ALICE, OPAQUE, Clear, part, sent_by
from tests.spoofs.sealed import MALLORY, SECRET, Sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.sealed import Envelopes
    from tests.spoofs.workshop import Workshop

_FROM_MALLORY = b"From: mallory@evil.example\r\nSubject: another one\r\n"
_FROM_ALICE = b"From: Alice <alice@example.org>\r\nSubject: the real one\r\n"


def sealed_senders(workshop: Workshop, given: Envelopes) -> Iterator[Sealed]:
    """All of them."""
    yield from _inside(workshop, given)
    yield from _headers(workshop, given)
    yield from _around(workshop, given)
    yield from _bare(workshop, given)


def _inside(workshop: Workshop, given: Envelopes) -> Iterator[Sealed]:
    """Signed, then encrypted."""
    by_alice, by_mallory = (workshop.entity(one, SECRET) for one in (workshop.alice, workshop.mallory))
    opaque = part(OPAQUE, signed(workshop.mallory, SECRET, attached=True).der)
    seal, trusted = given.seal.entity, (0, "")
    yield Sealed("honest", sent_by(ALICE) + seal(by_alice), *trusted, "as it should be", by_alice, is_trusted=True)
    why = "somebody else's signature under her name"
    for label, entity in (("clear", by_mallory), ("opaque", opaque)):
        yield Sealed(f"signed-by-other-{label}", sent_by(ALICE) + seal(entity), 4, "from-mismatch", why, entity)
    why = "her signature under somebody else's name"
    yield Sealed("signed-under-other", sent_by(MALLORY) + seal(by_alice), 4, "from-mismatch", why, by_alice)
    two = f"{ALICE}, {MALLORY}"
    yield Sealed("signed-by-one-of-two", sent_by(two) + seal(by_alice), 4, "from-mismatch", "two senders", by_alice)
    spoilt = by_alice.replace(b"4711", b"0815")
    yield Sealed("signed-spoilt", sent_by(ALICE) + seal(spoilt), 6, "digest-mismatch", "it was changed", spoilt)
    by_cbc = sent_by(ALICE) + Seal((given.bob,), CBC).entity(by_alice)
    why = "CBC, and a signature inside that would tell of a change"
    yield Sealed("honest-cbc", by_cbc, 0, "", why, by_alice, is_trusted=True, is_authenticated=False)
    garbled = by_alice.replace(b"Content-Type", b"Content-Type: text/html\r\nContent-Type", 1)
    yield Sealed(
        "signed-two-types", sent_by(ALICE) + seal(garbled), 6, "several-content-types", "two readings", garbled
    )


def _headers(workshop: Workshop, given: Envelopes) -> Iterator[Sealed]:
    """Header fields inside, which some programs show in place of those outside (RFC 9788)."""
    seal = given.seal.entity
    for label, sender, fields, exit_code, code, is_trusted in (
        ("same", ALICE, _FROM_ALICE, 0, "", True),
        ("other", ALICE, _FROM_MALLORY, 4, "from-mismatch", False),
        ("both", ALICE, _FROM_ALICE + _FROM_MALLORY, 4, "several-from", False),
    ):
        entity = workshop.entity(workshop.alice, fields + SECRET)
        why = f"a protected From: {label}"
        yield Sealed(
            f"header-{label}", sent_by(sender) + seal(entity), exit_code, code, why, entity, is_trusted=is_trusted
        )
    for label, content in (
        ("unsigned", _FROM_MALLORY + SECRET),
        ("wrapped", b"Content-Type: message/rfc822; forwarded=no\r\n\r\n" + _FROM_MALLORY + SECRET),
        ("terminal", b'From: "\x1b[2Jtrusted\xe2\x80\xae"@evil.example\r\n' + SECRET),
    ):
        why = "nobody signed it, and it has two senders"
        yield Sealed(f"header-{label}", sent_by(ALICE) + seal(content), 0, "other-sender", why, content)
    whole = sent_by(ALICE) + workshop.entity(workshop.mallory, SECRET)
    why = "her name in a mail that was encrypted whole, his signature, and his name outside"
    yield Sealed("header-between", sent_by(MALLORY) + seal(whole), 4, "from-mismatch", why, whole)
    wrapped = b"Content-Type: message/rfc822; forwarded=no\r\n\r\n" + _FROM_MALLORY + SECRET
    entity = workshop.entity(workshop.alice, wrapped)
    why = "another From in the mail that her signature is over"
    yield Sealed("header-wrapped-signed", sent_by(ALICE) + seal(entity), 4, "from-mismatch", why, entity)
    attached = workshop.entity(workshop.mallory, b"Content-Type: message/rfc822\r\n\r\n" + _FROM_ALICE + SECRET)
    why = "a mail of hers that is attached says nothing of this one"
    mail = sent_by(MALLORY) + seal(attached)
    yield Sealed("header-attached", mail, 0, "", why, attached, is_trusted=True)


def _around(workshop: Workshop, given: Envelopes) -> Iterator[Sealed]:
    """Encrypted, then signed: who signs last need not know what is inside."""
    mallory = workshop.mallory
    secret, seal = given.secret, given.seal.entity
    stolen = sent_by(MALLORY) + workshop.entity(mallory, secret)
    why = "his signature around what he cannot read"
    yield Sealed("around", stolen, 0, "", why, SECRET, is_trusted=True)
    yield Sealed(
        "around-under-other", sent_by(ALICE) + workshop.entity(mallory, secret), 4, "from-mismatch", why, SECRET
    )
    by_alice = workshop.entity(workshop.alice, SECRET)
    triple = workshop.entity(mallory, seal(by_alice))
    why = "two signers: the outer one vouches, and the reader is told of the other"
    yield Sealed("around-two-signers", sent_by(MALLORY) + triple, 0, "other-signer", why, by_alice, is_trusted=True)
    yield Sealed("around-two-signers-other", sent_by(ALICE) + triple, 4, "from-mismatch", "the same, as hers", by_alice)
    inner = _FROM_ALICE + SECRET
    mail = sent_by(MALLORY) + workshop.entity(mallory, seal(inner))
    yield Sealed("around-other-header", mail, 4, "from-mismatch", "her name in what he signed", inner)
    for_other = Seal((Certificate(workshop.carol.certificate),)).entity(SECRET)
    mail = sent_by(ALICE) + seal(for_other)
    yield Sealed("around-foreign", mail, 0, "no-key", "inside, it is for somebody else", for_other)
    entity = workshop.entity(mallory, secret)
    changed = sent_by(MALLORY) + Clear(secret.replace(b"\r\n\r\n", b"\r\nX-Other: x\r\n\r\n", 1), b"").whole
    signature = entity.rpartition(b"--=_signed\r\n")[2]
    changed = changed.rpartition(b"--=_signed\r\n")[0] + b"--=_signed\r\n" + signature
    yield Sealed("around-changed", changed, 6, "digest-mismatch", "the outer signature is over something else", SECRET)


def _bare(workshop: Workshop, given: Envelopes) -> Iterator[Sealed]:
    """Objects that no mail is around: the mail is inside."""
    for label, entity, exit_code, code in (
        ("other", sent_by(ALICE) + workshop.entity(workshop.mallory, SECRET), 4, "from-mismatch"),
        ("unsigned", sent_by(ALICE) + SECRET, 0, "not-signed"),
    ):
        yield Sealed(f"bare-{label}", given.seal.on(entity), exit_code, code, "a mail inside bare CMS", entity)
    honest = sent_by(ALICE) + workshop.entity(workshop.alice, SECRET)
    yield Sealed("bare-honest", given.seal.on(honest), 0, "no-sender", "an honest one", honest, is_trusted=True)
    # Mail programs forget what stands before the header.
    blank = b"\r\n\r\n" + sent_by(MALLORY) + part(AUTH_ENVELOPED, given.seal.on(SECRET))
    yield Sealed("bare-blank-lines", blank, 6, "malformed-mail", "blank lines before the header")
