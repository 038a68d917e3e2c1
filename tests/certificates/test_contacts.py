"""The folder of other people's certificates."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.algorithms import ContentEncryption
from smime_agent.certificates import contacts as module
from smime_agent.certificates.contact_file import read_contact_file, write_contact_file
from smime_agent.certificates.contacts import MAX_SIZE, Contacts
from smime_agent.cms.capabilities import Capabilities, read_capabilities
from smime_agent.cms.oids import SMIME_CAPABILITIES
from smime_agent.errors import FileError
from smime_agent.x509 import Certificate, load_certificates
from tests.support.pki import MAIL, NOW, Party, signer, usage

if TYPE_CHECKING:
    from pathlib import Path

BOB_ADDRESS = "bob@example.org"
DAY = timedelta(days=1)
GCM = read_capabilities(der.sequence(der.algorithm(ContentEncryption.AES256_GCM.oid)))
CBC = read_capabilities(der.sequence(der.algorithm(ContentEncryption.AES128_CBC.oid)))
KEY = ec.generate_private_key(ec.SECP256R1())  # one for all: nothing that is asked here depends on it
ROOT = Party("Root", key=KEY)
CA = Party("CA", ROOT, key=ec.generate_private_key(ec.SECP256R1()))


def party(name: str = "Bob", **wanted: object) -> Party:
    defaults: dict[str, object] = {"key": KEY, "key_usage": usage("key_agreement"), "address": BOB_ADDRESS}
    return signer(CA, name, **(defaults | wanted))


def named(address: str) -> Party:
    """Somebody with an address as it may stand in a certificate, wise or not."""
    names = x509.SubjectAlternativeName([x509.RFC822Name(address)])
    return party(address=address, extra=((MAIL, False), (names, False)))


BOB, OTHER_BOB = party(), party("Bob again")
CAROL = party("Carol", address="carol@example.org")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "contacts"


@pytest.fixture
def contacts(folder: Path) -> Contacts:
    return Contacts(folder, at=NOW)


@pytest.fixture
def by_hand(folder: Path) -> Path:
    """The folder, into which a person puts files."""
    folder.mkdir(parents=True)
    return folder


def found(contacts: Contacts, address: str = BOB_ADDRESS) -> list[Party | Certificate]:
    names = {one.certificate: one for one in (BOB, OTHER_BOB, CAROL)}
    return [names.get(recipient.certificate, recipient.certificate) for recipient in contacts.find(address)]


def capabilities(contacts: Contacts) -> Capabilities | None:
    (recipient,) = contacts.find(BOB_ADDRESS)
    return recipient.capabilities


def remember(contacts: Contacts, who: Party = BOB, what: Capabilities | None = GCM, at: datetime | None = NOW) -> bool:
    return contacts.remember(who.certificate, what, at, [CA.certificate, ROOT.certificate], now=NOW)


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


# Remembered


def test_nobody_is_known_where_there_is_no_folder(contacts: Contacts) -> None:
    assert found(contacts) == []


def test_who_is_remembered_is_found(contacts: Contacts) -> None:
    remember(contacts)
    assert (found(contacts), capabilities(contacts)) == ([BOB], GCM)


def test_another_process_finds_it_too(contacts: Contacts, folder: Path) -> None:
    another = Contacts(folder, at=NOW)
    assert found(another) == []
    remember(contacts)
    assert found(another) == [BOB]


def test_others_are_not_found(contacts: Contacts) -> None:
    remember(contacts)
    assert found(contacts, "bobby@example.org") == []


@pytest.mark.parametrize("address", ["BOB@Example.ORG", '"bob"@example.org'])
def test_letter_case_and_quotes_do_not_count(contacts: Contacts, address: str) -> None:
    remember(contacts)
    assert found(contacts, address) == [BOB]


@pytest.mark.parametrize("address", ["müller@example.org", "mueller@bücher.example"])
def test_addresses_of_any_script_are_found(contacts: Contacts, address: str) -> None:
    who = party(address=address)
    remember(contacts, who)
    assert found(contacts, address) == [who.certificate]


def test_an_address_in_quotes_is_found(contacts: Contacts) -> None:
    address = '"o b"@example.org'
    who = named(address)
    remember(contacts, who)
    assert found(contacts, address) == [who.certificate]


@pytest.mark.parametrize("address", ["", "@", "bob", "b\udcffb@example.org", "bob@", '"'])
def test_what_is_no_address_is_nobody_s(contacts: Contacts, address: str) -> None:
    remember(contacts)
    assert found(contacts, address) == []


def test_the_chain_is_at_hand_without_its_root(contacts: Contacts) -> None:
    remember(contacts)
    assert set(contacts.pool(BOB_ADDRESS)) == {BOB.der, CA.der}


def test_the_folder_is_the_person_s_alone(contacts: Contacts, folder: Path) -> None:
    remember(contacts)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_so_is_a_file_in_a_folder_that_anybody_reads(contacts: Contacts, folder: Path) -> None:
    folder.mkdir(mode=0o755, parents=True)
    remember(contacts)
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]


def test_a_file_is_what_openssl_reads(contacts: Contacts, folder: Path) -> None:
    remember(contacts)
    shown = subprocess.run(
        ["openssl", "x509", "-in", only_file(folder), "-noout", "-email"], capture_output=True, check=True
    )
    assert shown.stdout == b"bob@example.org\n"


def test_a_file_says_to_people_what_it_holds(contacts: Contacts, folder: Path) -> None:
    remember(contacts)
    said = only_file(folder).read_text().partition("-----BEGIN")[0].splitlines()
    assert {
        "name: Bob",
        "addresses: bob@example.org",
        "issuer: CN=CA",
        "last signed: 2026-06-01T12:00:00Z",
        "reads: AES-256-GCM",
    } <= set(said)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "contacts").write_bytes(b"")
    with pytest.raises(FileError, match="contacts"):
        remember(Contacts(tmp_path / "contacts"))


# RFC 8551, 2.7.1


def test_a_later_signature_replaces_capabilities(contacts: Contacts) -> None:
    remember(contacts, at=NOW - DAY)
    assert remember(contacts, what=CBC, at=NOW)
    assert capabilities(contacts) == CBC


@pytest.mark.parametrize("at", [NOW - DAY, NOW, None], ids=["earlier", "at the same time", "without a time"])
def test_no_other_signature_does(contacts: Contacts, at: datetime | None) -> None:
    remember(contacts, at=NOW)
    assert not remember(contacts, what=CBC, at=at)
    assert capabilities(contacts) == GCM


def test_one_of_the_far_future_does_not(contacts: Contacts) -> None:
    remember(contacts, at=NOW)
    assert not remember(contacts, what=CBC, at=NOW + 2 * DAY)
    assert capabilities(contacts) == GCM


def test_nobody_is_remembered_for_a_signature_of_the_far_future(contacts: Contacts) -> None:
    assert not remember(contacts, at=NOW + 2 * DAY)
    assert found(contacts) == []


def test_one_from_a_time_when_our_clock_was_wrong_is_no_hindrance(contacts: Contacts) -> None:
    contacts.remember(BOB.certificate, GCM, NOW + 300 * DAY, [], now=NOW + 300 * DAY)
    assert remember(contacts, what=CBC, at=NOW)
    assert capabilities(contacts) == CBC


def test_a_later_signature_without_capabilities_leaves_them(contacts: Contacts) -> None:
    remember(contacts, at=NOW - DAY)
    remember(contacts, what=None, at=NOW)
    assert capabilities(contacts) == GCM


def test_a_signature_without_a_time_is_better_than_none(contacts: Contacts) -> None:
    assert remember(contacts, at=None)
    assert (found(contacts), capabilities(contacts)) == ([BOB], GCM)


def test_any_time_is_later_than_none(contacts: Contacts) -> None:
    remember(contacts, at=None)
    assert remember(contacts, what=CBC, at=NOW - DAY)
    assert capabilities(contacts) == CBC


# The order


def test_who_signed_last_comes_first(contacts: Contacts) -> None:
    remember(contacts, BOB, at=NOW - DAY)
    remember(contacts, OTHER_BOB, at=NOW)
    assert found(contacts) == [OTHER_BOB, BOB]


def test_both_certificates_of_an_address_are_kept(contacts: Contacts, folder: Path) -> None:
    remember(contacts, BOB)
    remember(contacts, OTHER_BOB)
    assert len(list(folder.iterdir())) == 2


def test_one_that_expired_comes_last_and_is_found(contacts: Contacts) -> None:
    expired = party(not_after=NOW - DAY)
    remember(contacts, BOB, at=NOW - 3 * DAY)
    remember(contacts, expired, at=NOW - 2 * DAY)
    assert found(contacts) == [BOB, expired.certificate]


def test_one_that_is_only_for_signing_comes_after_the_others(contacts: Contacts) -> None:
    signing = party(key_usage=usage("digital_signature"))
    remember(contacts, BOB, at=NOW - DAY)
    remember(contacts, signing, at=NOW)
    assert found(contacts) == [BOB, signing.certificate]


def test_without_a_signature_the_beginning_of_validity_counts(contacts: Contacts, by_hand: Path) -> None:
    new = party(not_before=NOW - DAY)
    (by_hand / "old.pem").write_bytes(BOB.certificate.pem)
    (by_hand / "new.pem").write_bytes(new.certificate.pem)
    assert found(contacts) == [new.certificate, BOB]


# By hand


def test_every_kind_of_file_is_read(contacts: Contacts, by_hand: Path) -> None:
    parties = {f"b{number}@example.org": party(address=f"b{number}@example.org") for number in range(6)}
    made = list(parties.values())
    (by_hand / "a.pem").write_bytes(b"Bag Attributes\n\n" + made[0].certificate.pem)
    (by_hand / "b.crt").write_bytes(made[1].certificate.pem.replace(b"\n", b"\r\n"))
    (by_hand / "c.CER").write_bytes(made[2].der)
    (by_hand / "d.der").write_bytes(made[3].der)
    (by_hand / "e.p7c").write_bytes(pkcs7.serialize_certificates([CA.x509, made[4].x509], Encoding.DER))
    (by_hand / "f.pem").write_bytes(pkcs7.serialize_certificates([made[5].x509], Encoding.PEM))
    assert [found(contacts, address) for address in parties] == [[one.certificate] for one in made]


def test_all_certificates_of_a_file_are_read(contacts: Contacts, by_hand: Path) -> None:
    (by_hand / "all.pem").write_bytes(BOB.certificate.pem + CAROL.certificate.pem)
    assert (found(contacts), found(contacts, "carol@example.org")) == ([BOB], [CAROL])


def test_certificates_of_cas_help_all_others(contacts: Contacts, by_hand: Path) -> None:
    (by_hand / "bob.der").write_bytes(BOB.der)
    (by_hand / "carol.der").write_bytes(CAROL.der)
    (by_hand / "ca.der").write_bytes(CA.der)
    assert set(contacts.pool(BOB_ADDRESS)) == {BOB.der, CA.der}


def test_what_a_file_says_is_about_its_first_certificate(contacts: Contacts, by_hand: Path) -> None:
    written = write_contact_file(CAROL.certificate, GCM, NOW, [])
    (by_hand / "both.pem").write_bytes(written + BOB.certificate.pem)
    assert capabilities(contacts) is None


def test_a_copy_by_hand_does_not_hide_what_was_said(contacts: Contacts, folder: Path) -> None:
    remember(contacts)
    (folder / "zz.pem").write_bytes(BOB.certificate.pem)
    assert capabilities(contacts) == GCM


def test_without_a_signature_the_certificate_itself_may_say_it(contacts: Contacts, by_hand: Path) -> None:
    said = x509.UnrecognizedExtension(x509.ObjectIdentifier(SMIME_CAPABILITIES), CBC.encoded)
    (by_hand / "bob.der").write_bytes(party(extra=((MAIL, False), (said, False))).der)
    assert capabilities(contacts) == CBC


def test_garbage_is_passed_over(contacts: Contacts, by_hand: Path) -> None:
    (by_hand / "bob.der").write_bytes(BOB.der)
    (by_hand / "empty.pem").write_bytes(b"")
    (by_hand / "a.der").write_bytes(b"bob \x30\x82")
    (by_hand / "a.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
    (by_hand / "b.pem").write_bytes(BOB.certificate.pem.replace(b"MII", b"AAA"))
    (by_hand / "c.p7c").write_bytes(pkcs7.serialize_certificates([BOB.x509], Encoding.DER)[:-900])
    (by_hand / "long.pem").write_bytes(CAROL.certificate.pem + bytes(MAX_SIZE))
    (by_hand / "folder.pem").mkdir()
    os.mkfifo(by_hand / "fifo.pem")
    (by_hand / "nowhere.pem").symlink_to("nothing")
    (by_hand / ".hidden.pem").write_bytes(CAROL.certificate.pem)
    (by_hand / "notes.txt").write_bytes(CAROL.certificate.pem)
    assert (found(contacts), found(contacts, "carol@example.org")) == ([BOB], [])


def test_damaged_capabilities_are_none(contacts: Contacts, folder: Path) -> None:
    remember(contacts)
    path = only_file(folder)
    path.write_bytes(path.read_bytes().replace(b"SMIME CAPABILITIES-----\nM", b"SMIME CAPABILITIES-----\nA"))
    os.utime(folder)
    assert capabilities(contacts) is None


def test_a_damaged_file_is_written_again(contacts: Contacts, folder: Path) -> None:
    remember(contacts)
    only_file(folder).write_bytes(b"")
    assert remember(contacts)
    assert found(contacts) == [BOB]


def test_only_so_many_files_are_looked_at(contacts: Contacts, by_hand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 3)
    for number in range(5):
        (by_hand / f"{number}.der").write_bytes(party(serial_number=number + 1).der)
    assert len(found(contacts)) == 3


def test_everybody_is_listed(contacts: Contacts, folder: Path) -> None:
    remember(contacts, BOB)
    (folder / "carol.der").write_bytes(CAROL.der)
    (folder / "ca.der").write_bytes(CA.der)
    assert [contact.certificate.name for contact in contacts.everybody()] == ["Bob", "Carol"]


# Names that somebody chose


@pytest.mark.parametrize(
    "address", ["../../etc/passwd@example.org", ".b@example.org", "-rf@example.org", "b" * 200 + "@c.example"]
)
def test_a_file_name_is_safe(contacts: Contacts, folder: Path, address: str) -> None:
    who = named(address)
    assert who.certificate.mailboxes == (address,)
    remember(contacts, who)
    name = only_file(folder).name
    assert not name.startswith((".", "-"))
    assert len(name) < 120
    assert found(contacts, address) == [who.certificate]


@pytest.mark.parametrize(
    "name",
    [
        "Bob\nlast signed: 2099-01-01T00:00:00Z",
        "Bob\r\n-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN SMIME CAPABILITIES-----",
        "\u202eboB",
    ],
)
def test_a_name_says_nothing_to_a_reader_of_the_file(contacts: Contacts, folder: Path, name: str) -> None:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name, _validate=False)])
    who = party(subject=subject)
    remember(contacts, who)
    read = read_contact_file(only_file(folder).read_bytes())
    assert (read.certificates, read.capabilities, read.seen) == ((who.der, CA.der), GCM.encoded, NOW)
    assert load_certificates(only_file(folder).read_bytes())[0] == who.certificate


@given(
    st.binary(max_size=80)
    | st.binary(max_size=40).map(lambda octets: b"-----BEGIN PKCS7-----\n" + octets + b"\n-----END PKCS7-----\n")
    | st.tuples(st.integers(0, 600), st.binary(max_size=3)).map(
        lambda cut: (data := write_contact_file(BOB.certificate, GCM, NOW, []))[: cut[0]] + cut[1] + data[cut[0] :]
    )
)
def test_of_garbage_comes_only_the_error_that_is_passed_over(data: bytes) -> None:
    with suppress(ValueError):
        read_contact_file(data)


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants them so
def test_what_is_written_is_read(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    read = read_contact_file(write_contact_file(BOB.certificate, CBC, moment, [CA.certificate]))
    assert (read.certificates, read.capabilities, read.seen) == ((BOB.der, CA.der), CBC.encoded, moment)
