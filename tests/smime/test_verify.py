"""The road of verify: layers, what is said of each, and what the verdict is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.trust.evidence import RevocationMode
from smime_agent.verdict import Verdict
from tests.spoofs.certificates import rfc822
from tests.spoofs.cms import SignerInfo, signed, usual
from tests.spoofs.keys import ec_key
from tests.spoofs.mime import ALICE, ENTITY, Clear, multipart, opaque, sent_by
from tests.spoofs.workshop import Leaf, Workshop, pem

if TYPE_CHECKING:
    from pathlib import Path

    from smime_agent.smime.verification import Verification


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    """The people."""
    return Workshop()


@pytest.fixture(scope="module")
def verifier(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    """One that trusts their root."""
    root: Path = tmp_path_factory.mktemp("anchor") / "root.pem"
    root.write_bytes(pem(workshop.root.certificate))
    return Verifier(VerifyOptions((root,), system_roots=False, revocation=RevocationMode.OFF))


def codes(found: Verification) -> list[str]:
    return [reason.code.value for reason in found.reasons]


def notes(found: Verification) -> set[str]:
    return {note.code.value for note in found.notes} - {"revocation-not-checked"}


def test_layers_are_reported_from_the_outside_in(workshop: Workshop, verifier: Verifier) -> None:
    inner = workshop.entity(workshop.carol)
    mail = sent_by(ALICE) + opaque(signed(workshop.alice, inner, attached=True).der)
    found = verifier.verify(mail)
    assert [(layer.type.value, layer.form) for layer in found.layers] == [
        ("signed", "application/pkcs7-mime"),
        ("signed", "multipart/signed"),
    ]
    assert [signer.certificate and signer.certificate.holder for signer in found.signers] == [
        "alice@example.org",
        "carol@example.org",
    ]


def test_an_inner_signer_who_is_not_the_sender_is_a_note(workshop: Workshop, verifier: Verifier) -> None:
    inner = workshop.entity(workshop.carol)
    found = verifier.verify(sent_by(ALICE) + opaque(signed(workshop.alice, inner, attached=True).der))
    assert (found.verdict, notes(found)) == (Verdict.TRUSTED, {"other-signer"})


def test_more_layers_than_anybody_puts_around_a_mail_are_refused(workshop: Workshop, verifier: Verifier) -> None:
    entity = ENTITY
    for level in range(11):
        clear = Clear(entity, signed(workshop.alice, entity).der, boundary=b"=_level%d" % level)
        entity = clear.whole
    assert codes(verifier.verify(sent_by(ALICE) + entity)) == ["limit-exceeded"]


def test_an_encrypted_mail_may_be_signed_inside(verifier: Verifier) -> None:
    enveloped = bytes.fromhex("3080 0609 2a864886f70d010703 a080 3080 020100 3100 3080 0000 0000 0000 0000")
    found = verifier.verify(sent_by(ALICE) + opaque(enveloped))
    assert (codes(found), [layer.type.value for layer in found.layers]) == (["encrypted"], ["encrypted"])


def test_a_signed_part_of_an_unsigned_mail_is_named(workshop: Workshop, verifier: Verifier) -> None:
    footer = b"Content-Type: text/plain\r\n\r\nA list's footer.\r\n"
    mail = sent_by(ALICE) + multipart(b"multipart/mixed", workshop.entity(workshop.alice), footer)
    found = verifier.verify(mail)
    assert (found.verdict, codes(found), found.layers) == (Verdict.UNSIGNED, ["partial"], ())
    assert "part 1.1" in found.reasons[0].text


def test_a_signed_mail_in_a_signed_mail_is_a_note(workshop: Workshop, verifier: Verifier) -> None:
    attached = b"Content-Type: message/rfc822\r\n\r\n" + workshop.clear(ALICE, workshop.alice)
    entity = multipart(b"multipart/mixed", ENTITY, attached)
    outer = Clear(entity, signed(workshop.carol, entity).der, boundary=b"=_around").whole
    found = verifier.verify(sent_by("carol@example.org") + outer)
    assert (found.verdict, notes(found)) == (Verdict.TRUSTED, {"nested-message"})


def test_a_mail_that_was_cut_off_after_its_signature_is_told(workshop: Workshop, verifier: Verifier) -> None:
    mail = workshop.clear(ALICE, workshop.alice).rpartition(b"--=_signed--")[0]
    found = verifier.verify(mail)
    assert (found.verdict, notes(found)) == (Verdict.TRUSTED, {"not-closed"})


def test_of_two_certificates_of_one_key_the_better_one_counts(workshop: Workshop, verifier: Verifier) -> None:
    """A renewed certificate has the key, and often the key identifier, of the one before."""
    leaf = Leaf((rfc822(ALICE),))
    old = workshop.leaf(leaf, key=ec_key("renewed"), validity=("240101000000Z", "250101000000Z"))
    new = workshop.leaf(leaf, key=ec_key("renewed"))
    made = replace(signed(new, ENTITY), signer_infos=(SignerInfo(new, usual(ENTITY), by_key_identifier=True),))
    for order in ((old, new), (new, old)):
        certificates = (*(one.certificate for one in order), workshop.issuing.certificate)
        mail = sent_by(ALICE) + Clear(ENTITY, replace(made, certificates=certificates).der).whole
        found = verifier.verify(mail)
        assert (found.verdict, found.signers[0].certificate and found.signers[0].certificate.encoded) == (
            Verdict.TRUSTED,
            new.certificate,
        )


def test_what_was_signed_can_be_read_while_it_is_open(workshop: Workshop, verifier: Verifier) -> None:
    with verifier.opened(workshop.clear(ALICE, workshop.alice)) as found:
        content = found.signed_content()
        assert content is not None
        assert b"".join(content()) == ENTITY


def test_nothing_can_be_read_of_what_was_changed(workshop: Workshop, verifier: Verifier) -> None:
    mail = workshop.clear(ALICE, workshop.alice).replace(b"invoice of today", b"invoice of Monday")
    with verifier.opened(mail) as found:
        assert found.signed_content() is None
