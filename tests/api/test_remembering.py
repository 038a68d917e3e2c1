"""Whom a verified mail lets us answer to, and who is not remembered."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from smime_agent import der
from smime_agent.algorithms import ContentEncryption
from smime_agent.api.remembering import Remembered, remember
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.certificates.contacts import Contacts
from smime_agent.cms import oids
from smime_agent.errors import FileError, UsageError
from smime_agent.trust.evidence import RevocationMode
from smime_agent.verdict import Verdict
from smime_agent.x509 import Certificate
from tests.cms.forge import Forge, attribute, signing_time
from tests.support.ca import Authority, Wanted

if TYPE_CHECKING:
    from pathlib import Path

ALICE, BOB = "alice@example.org", "bob@example.org"
#: What a certificate is for.
SIGNING: dict[str, bool] = {}
ENCRYPTING = {"digital_signature": False, "key_agreement": True}
BOTH = {"key_agreement": True}
GCM = der.sequence(der.algorithm(ContentEncryption.AES256_GCM.oid))
CBC = der.sequence(der.algorithm(ContentEncryption.AES128_CBC.oid))
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.now(UTC).replace(microsecond=0)


class Town:
    """People, their CAs, and a program that believes one of them."""

    def __init__(self, root: Authority, issuing: Authority, folder: Path) -> None:
        self.issuing = issuing
        self.intermediate = issuing.certificate.public_bytes(Encoding.DER)
        path = folder / "root.pem"
        path.write_bytes(root.pem)
        self.options = VerifyOptions((path,), system_roots=False, revocation=RevocationMode.OFF)
        self.verifier = Verifier(self.options)
        self.contacts = Contacts(folder / "contacts")

    def certificate(
        self, use: dict[str, bool], *addresses: str, key: ec.EllipticCurvePrivateKey = KEY, **wanted: float | str
    ) -> Certificate:
        said = Wanted(addresses or (ALICE,), **use, **wanted)  # type: ignore[arg-type]  # by name
        return Certificate(self.issuing.issue(key.public_key(), said).public_bytes(Encoding.DER))

    def mail(
        self,
        signer: Certificate,
        *others: Certificate,
        announced: tuple[bytes, ...] = (),
        sender: str = ALICE,
        at: datetime = NOW,
    ) -> bytes:
        """A mail that a certificate's holder signed, with other certificates beside it."""
        forge = Forge(
            signer, lambda octets: KEY.sign(octets, ec.ECDSA(hashes.SHA256())), der.algorithm("1.2.840.10045.4.3.2")
        )
        forge = forge.usual(*announced)
        attributes = tuple(one for one in forge.attributes or () if one != signing_time())
        certificates = (signer.encoded, *(one.encoded for one in others), self.intermediate)
        forge = replace(forge, attributes=(*attributes, signing_time(der.time(at))), certificates=certificates)
        head = (
            f"From: {sender}\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\n"
        )
        return f"{head}Content-Transfer-Encoding: base64\r\n\r\n".encode() + base64.encodebytes(forge.encode())

    def remember(self, mail: bytes) -> tuple[Remembered, ...]:
        return remember(self.verifier.verify(mail), self.verifier.check, self.contacts)

    def known(self, address: str = ALICE) -> list[Certificate]:
        return [recipient.certificate for recipient in self.contacts.find(address)]


@pytest.fixture
def town(root_ca: Authority, issuing_ca: Authority, tmp_path: Path) -> Town:
    return Town(root_ca, issuing_ca, tmp_path)


def capabilities(value: bytes = GCM) -> bytes:
    return attribute(oids.SMIME_CAPABILITIES, value)


def strange(*, digital_signature: bool = True, key_agreement: bool) -> Certificate:
    """A certificate for Alice from a CA that nobody knows."""
    wanted = Wanted(digital_signature=digital_signature, key_agreement=key_agreement)
    return Certificate(Authority("Another CA").issue(KEY.public_key(), wanted).public_bytes(Encoding.DER))


def preference(certificate: Certificate, oid: str = oids.ENCRYPTION_KEY_PREFERENCE) -> bytes:
    named = certificate.issuer_encoded + der.integer(certificate.serial_number)
    return attribute(oid, der.context(0, named) if oid == oids.ENCRYPTION_KEY_PREFERENCE else der.sequence(named))


# Who is remembered


def test_a_signer_who_can_be_encrypted_to_is(town: Town) -> None:
    alice = town.certificate(BOTH)
    assert town.remember(town.mail(alice)) == (Remembered(ALICE, alice, is_new=True, before=None),)
    assert town.known() == [alice]


def test_with_what_she_can_decrypt(town: Town) -> None:
    town.remember(town.mail(town.certificate(BOTH), announced=(capabilities(),)))
    (recipient,) = town.contacts.find(ALICE)
    assert recipient.capabilities is not None
    assert recipient.capabilities.content_encryption == (ContentEncryption.AES256_GCM,)


def test_with_the_certificates_above(town: Town) -> None:
    alice = town.certificate(BOTH)
    town.remember(town.mail(alice))
    assert set(town.contacts.pool(ALICE)) == {alice.encoded, town.intermediate}


def test_capabilities_that_are_none_do_no_harm(town: Town) -> None:
    town.remember(town.mail(town.certificate(BOTH), announced=(capabilities(der.integer(1)),)))
    assert [recipient.capabilities for recipient in town.contacts.find(ALICE)] == [None]


@pytest.mark.parametrize("oid", [oids.ENCRYPTION_KEY_PREFERENCE, oids.MICROSOFT_KEY_PREFERENCE])
def test_a_preferred_certificate_comes_before_the_signer_s(town: Town, oid: str) -> None:
    alice, preferred = town.certificate(BOTH), town.certificate(ENCRYPTING, key=OTHER_KEY)
    town.remember(town.mail(alice, preferred, announced=(preference(preferred, oid),)))
    assert town.known() == [preferred]


def test_the_preference_of_the_standard_comes_before_microsoft_s(town: Town) -> None:
    alice, one, other = town.certificate(BOTH), town.certificate(ENCRYPTING), town.certificate(ENCRYPTING)
    said = (preference(one), preference(other, oids.MICROSOFT_KEY_PREFERENCE))
    town.remember(town.mail(alice, one, other, announced=said))
    assert town.known() == [one]


def test_a_preferred_certificate_that_did_not_come_is_none(town: Town) -> None:
    alice, preferred = town.certificate(BOTH), town.certificate(ENCRYPTING)
    town.remember(town.mail(alice, announced=(preference(preferred),)))
    assert town.known() == [alice]


@pytest.mark.parametrize(
    ("use", "address", "not_after"),
    [(ENCRYPTING, BOB, 90), (SIGNING, ALICE, 90), (ENCRYPTING, ALICE, -0.5)],
    ids=["somebody else's", "only for signing", "expired"],
)
def test_a_preferred_certificate_has_to_be_right(
    town: Town, use: dict[str, bool], address: str, not_after: float
) -> None:
    alice, preferred = town.certificate(BOTH), town.certificate(use, address, not_after=not_after)
    town.remember(town.mail(alice, preferred, announced=(preference(preferred),)))
    assert (town.known(), town.known(BOB)) == ([alice], [])


def test_a_preference_that_is_none_does_no_harm(town: Town) -> None:
    alice = town.certificate(BOTH)
    town.remember(town.mail(alice, announced=(attribute(oids.ENCRYPTION_KEY_PREFERENCE, der.NULL),)))
    assert town.known() == [alice]


def test_without_a_preference_another_certificate_of_the_signer_is_taken(town: Town) -> None:
    alice, other = town.certificate(SIGNING), town.certificate(ENCRYPTING, key=OTHER_KEY)
    town.remember(town.mail(alice, other))
    assert town.known() == [other]


def test_one_of_the_same_subject_comes_first(town: Town) -> None:
    alice, same = town.certificate(SIGNING), town.certificate(ENCRYPTING, key=OTHER_KEY, not_before=-5)
    another = town.certificate(ENCRYPTING, key=OTHER_KEY, name="Alice in another place")
    town.remember(town.mail(alice, another, same))
    assert town.known() == [same]


def test_one_of_another_subject_and_the_same_mailbox_will_do(town: Town) -> None:
    another = town.certificate(ENCRYPTING, key=OTHER_KEY, name="Alice in another place")
    town.remember(town.mail(town.certificate(SIGNING), another))
    assert town.known() == [another]


def test_letter_case_of_the_sender_does_not_count(town: Town) -> None:
    alice = town.certificate(BOTH)
    town.remember(town.mail(alice, sender="Alice <ALICE@example.org>"))
    assert town.known() == [alice]


# Who is not


def test_somebody_who_only_signs_is_not(town: Town) -> None:
    assert town.remember(town.mail(town.certificate(SIGNING))) == ()
    assert town.known() == []


def test_others_whose_certificates_came_along_are_not(town: Town) -> None:
    town.remember(town.mail(town.certificate(BOTH), town.certificate(BOTH, BOB)))
    assert town.known(BOB) == []


def test_other_mailboxes_of_the_certificate_need_not_be_senders(town: Town) -> None:
    alice = town.certificate(BOTH, ALICE, "a.example@example.org")
    assert [one.address for one in town.remember(town.mail(alice))] == [ALICE]


def test_another_sender_is_not(town: Town) -> None:
    assert town.remember(town.mail(town.certificate(BOTH), sender=BOB)) == ()
    assert (town.known(), town.known(BOB)) == ([], [])


def test_a_sender_who_looks_like_another_is_not(town: Town) -> None:
    mail = town.mail(town.certificate(BOTH), sender='"bob@example.org" <alice@example.org>')
    assert [signer.verdict for signer in town.verifier.verify(mail).signers] == [Verdict.TRUSTED]
    assert town.remember(mail) == ()
    assert town.known() == []


def test_a_changed_mail_is_nobody_s(town: Town) -> None:
    encoded = town.mail(town.certificate(BOTH))
    head, _, body = encoded.partition(b"\r\n\r\n")
    changed = base64.b64decode(body).replace(b"Hello", b"Hullo")
    assert town.remember(head + b"\r\n\r\n" + base64.encodebytes(changed)) == ()
    assert town.known() == []


def test_who_is_not_trusted_is_not(town: Town) -> None:
    assert town.remember(town.mail(strange(key_agreement=True))) == ()
    assert town.known() == []


def test_nobody_says_who_sent_bare_cms(town: Town) -> None:
    body = town.mail(town.certificate(BOTH)).partition(b"\r\n\r\n")[2]
    found = town.verifier.verify(base64.b64decode(body))
    assert remember(found, town.verifier.check, town.contacts) == ()


def test_a_signature_of_the_future_is_nobody_s(town: Town) -> None:
    assert town.remember(town.mail(town.certificate(BOTH), at=NOW + timedelta(days=2))) == ()
    assert town.known() == []


def test_an_encryption_certificate_of_another_ca_is_not(town: Town) -> None:
    other = strange(digital_signature=False, key_agreement=True)
    assert town.remember(town.mail(town.certificate(SIGNING), other, announced=(preference(other),))) == ()


def test_a_path_that_only_an_archive_lets_pass_is_none(town: Town, issuing_ca: Authority) -> None:
    short = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 - what is tested
    issued = issuing_ca.issue(short, Wanted(digital_signature=False, key_encipherment=True))
    weak = Certificate(issued.public_bytes(Encoding.DER))
    town.verifier = Verifier(replace(town.options, legacy=True))
    assert town.remember(town.mail(town.certificate(SIGNING), weak, announced=(preference(weak),))) == ()


def test_nobody_is_as_of_another_time(town: Town) -> None:
    verifier = Verifier(replace(town.options, at=NOW - timedelta(hours=1)))
    found = verifier.verify(town.mail(town.certificate(BOTH)))
    with pytest.raises(UsageError, match="another time"):
        remember(found, verifier.check, town.contacts)


def test_a_thousand_certificates_are_not_all_read(town: Town) -> None:
    many = [town.certificate(ENCRYPTING, key=OTHER_KEY, not_after=-0.5)] * 3000
    assert town.remember(town.mail(town.certificate(SIGNING), *many)) == ()


# Again


def test_a_second_mail_is_nothing_new(town: Town) -> None:
    alice = town.certificate(BOTH)
    town.remember(town.mail(alice))
    assert town.remember(town.mail(alice)) == (Remembered(ALICE, alice, is_new=False, before=None),)


def test_a_second_certificate_is_new_and_the_first_is_told(town: Town) -> None:
    first, second = town.certificate(BOTH), town.certificate(BOTH)
    town.remember(town.mail(first, at=NOW - timedelta(hours=2)))
    assert town.remember(town.mail(second)) == (Remembered(ALICE, second, is_new=True, before=first),)
    assert town.known() == [second, first]


def test_an_old_mail_does_not_change_what_a_later_one_said(town: Town) -> None:
    alice = town.certificate(BOTH)
    town.remember(town.mail(alice, announced=(capabilities(GCM),)))
    town.remember(town.mail(alice, announced=(capabilities(CBC),), at=NOW - timedelta(hours=5)))
    (recipient,) = town.contacts.find(ALICE)
    assert recipient.capabilities is not None
    assert recipient.capabilities.content_encryption == (ContentEncryption.AES256_GCM,)


def test_a_folder_that_cannot_be_written_is_said(town: Town, tmp_path: Path) -> None:
    (tmp_path / "contacts").write_bytes(b"")
    with pytest.raises(FileError):
        town.remember(town.mail(town.certificate(BOTH)))
