"""The road of verify: layers, what is said of each, and what the verdict is made of."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.trust.evidence import RevocationMode
from smime_agent.verdict import Verdict
from tests.spoofs.asn1 import oid, sequence, tlv
from tests.spoofs.certificates import extension, name, rfc822
from tests.spoofs.cms import SignerInfo, signed, usual
from tests.spoofs.keys import ec_key
from tests.spoofs.mime import ALICE, ENTITY, Clear, multipart, opaque, sent_by
from tests.spoofs.workshop import AUTHORITY, Leaf, Workshop, pem

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


# What an attacker tried


def test_dates_at_the_end_of_time_are_compared(workshop: Workshop, verifier: Verifier) -> None:
    made = signed(workshop.alice, ENTITY)
    info = SignerInfo(workshop.alice, usual(ENTITY, at="99991231235959Z"))
    mail = sent_by(ALICE) + Clear(ENTITY, replace(made, signer_infos=(info,)).der).whole
    assert "signing-time-in-future" in codes(verifier.verify(mail))


def test_a_name_that_is_slow_to_normalise_is_not_normalised(workshop: Workshop, verifier: Verifier) -> None:
    """The marks of one letter are sorted, which takes quadratic time."""
    slow = name("\u0301" * 50_000 + "\u0327" * 50_000)
    junk = workshop.leaf(Leaf((rfc822(ALICE),), slow)).certificate
    made = signed(workshop.alice, ENTITY)
    mail = sent_by(ALICE) + Clear(ENTITY, replace(made, certificates=(*made.certificates, junk)).der).whole
    begun = time.process_time()
    assert verifier.verify(mail).verdict is Verdict.TRUSTED
    assert time.process_time() - begun < 2


def test_an_object_identifier_that_is_slow_to_read_is_not_read(workshop: Workshop, verifier: Verifier) -> None:
    slow = extension("2.5.29.37", sequence(tlv(0x06, b"\x55" + b"\xff" * 200_000 + b"\x01")))
    strange = workshop.leaf(Leaf((rfc822(ALICE),), extra=(slow,), purpose=None))
    begun = time.process_time()
    assert codes(verifier.verify(workshop.clear(ALICE, strange))) == ["certificate-unreadable"]
    assert time.process_time() - begun < 2


def test_old_algorithms_in_a_path_are_not_trusted_for_an_archive_either(workshop: Workshop, tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    root.write_bytes(pem(workshop.root.certificate))
    old = workshop.person(ALICE, digest="sha1")
    options = VerifyOptions((root,), system_roots=False, revocation=RevocationMode.OFF, legacy=True)
    found = Verifier(options).verify(workshop.clear(ALICE, old))
    assert (found.verdict, codes(found)) == (Verdict.UNTRUSTED, ["weak-digest"])


@pytest.mark.parametrize(
    ("policies", "validation"), [(("1", "4"), "unknown"), (("4", "4"), "individual"), ((None, "4"), "unknown")]
)
def test_what_a_ca_validated_is_what_its_whole_path_may_say(
    workshop: Workshop, verifier: Verifier, policies: tuple[str | None, str], validation: str
) -> None:
    ours, leafs = (f"2.23.140.1.5.{number}.3" if number else None for number in policies)
    own = (certificate_policies(ours),) if ours else ()
    authority = workshop.authority(f"CA with {policies}", extensions=(*AUTHORITY, *own))
    leaf = Leaf((rfc822(ALICE),), extra=(certificate_policies(str(leafs)),))
    found = verifier.verify(workshop.clear(ALICE, workshop.leaf(leaf, issuer=authority)))
    assert (found.verdict, found.signers[0].validation) == (Verdict.TRUSTED, validation)


def certificate_policies(*policies: str) -> bytes:
    """RFC 5280, 4.2.1.4."""
    return extension("2.5.29.32", sequence(*(sequence(oid(policy)) for policy in policies)))
