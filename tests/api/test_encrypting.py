"""Encrypting and decrypting, as an application does it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import smime_agent
from smime_agent import (
    Addressing,
    Certificates,
    Code,
    Contacts,
    ContentEncryption,
    Decryptor,
    EncryptOptions,
    Encryptor,
    FileError,
    Format,
    InvalidMessageError,
    NotEncryptedError,
    PinUnavailableError,
    PolicyError,
    Recipient,
    RecipientName,
    RecipientRefusedError,
    RevocationMode,
    SignOptions,
    UsageError,
    Verdict,
    Verifier,
    VerifyOptions,
    read_certificates,
)
from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.tokens.objects import read_objects
from tests.cms.opening import opened
from tests.support.ca import Authority, Wanted
from tests.support.correspondents import People, printed
from tests.support.mails import MAIL
from tests.support.softhsm import MODULE, KnownPin

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.correspondents import Correspondent
    from tests.support.softhsm import SoftHsm, SoftToken

BOB, ALICE = "bob@example.org", "alice@example.org"


@pytest.fixture
def person(issuing_ca: Authority, tmp_path: Path) -> People:
    return People(issuing_ca, tmp_path)


@pytest.fixture
def root(issuing_ca: Authority, tmp_path: Path) -> Path:
    path = tmp_path / "root.pem"
    path.write_bytes(issuing_ca.pem)
    return path


@pytest.fixture
def options(root: Path) -> EncryptOptions:
    return EncryptOptions(ca_files=(root,), system_roots=False, revocation=RevocationMode.OFF)


@pytest.fixture(scope="module")
def two(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    """A token of Alice, with a key for signing and one for decrypting."""
    token = softhsm.new_token("two keys")
    token.enrol(issuing_ca, KeyType.EC_P256)
    wanted = Wanted(digital_signature=False, key_agreement=True)
    token.enrol(issuing_ca, KeyType.EC_P256, wanted, KeyUsage.DECRYPT)
    return token


def to(*people: Correspondent) -> Addressing:
    return Addressing(certificates=read_certificates([one.path for one in people]))


def with_options(options: EncryptOptions, **changes: object) -> Encryptor:
    return Encryptor(replace(options, **changes))  # type: ignore[arg-type]  # by name


def test_ten_lines_sign_encrypt_decrypt_and_verify(two: SoftToken, person: People, root: Path) -> None:
    pin, bob = KnownPin(), person("bob")
    how = EncryptOptions(sign=SignOptions(), ca_files=(root,), system_roots=False, revocation=RevocationMode.OFF)
    judge = VerifyOptions(ca_files=(root,), system_roots=False, revocation=RevocationMode.OFF)
    with smime_agent.open_token(two.label, module=MODULE, pin_from=pin) as token:
        (mail,) = Encryptor(how).encrypt(MAIL, to(bob), token)
    with (
        smime_agent.open_keys(two.label, module=MODULE, pin_from=pin) as keys,
        Decryptor(keys, Verifier(judge)).opened(mail) as found,
    ):
        assert found.verification.verdict is Verdict.TRUSTED
        assert b"".join(found.content()) == bob.decrypt(mail)


def test_nobody_is_asked_for_a_pin_before_a_message_is_for_a_key(
    two: SoftToken, person: People, options: EncryptOptions
) -> None:
    pin = KnownPin()
    (mail,) = Encryptor(options).encrypt(MAIL, to(person("bob")))
    with smime_agent.open_keys(two.label, module=MODULE, pin_from=pin) as keys:
        decryptor = Decryptor(keys, Verifier(VerifyOptions(system_roots=False)))
        with pytest.raises(smime_agent.NoKeyError), decryptor.opened(mail):
            pass
        with pytest.raises(NotEncryptedError), decryptor.opened(MAIL):
            pass
    assert pin.requests == []


def test_a_program_that_gave_no_source_of_a_pin_is_told(two: SoftToken, options: EncryptOptions) -> None:
    with two.session() as session:
        own = [one.certificate for one in read_objects(session).certificates if one.certificate.permits_encryption]
    (mail,) = Encryptor(options).encrypt(MAIL, Addressing(certificates=Certificates.of(own)))
    with smime_agent.open_keys(two.label, module=MODULE) as keys:
        decryptor = Decryptor(keys, Verifier(VerifyOptions(system_roots=False)))
        with pytest.raises(PinUnavailableError) as caught, decryptor.opened(mail):
            pass
    assert "open_keys" in str(caught.value.hint)


def test_a_pin_itself_is_no_source(two: SoftToken) -> None:
    with pytest.raises(UsageError) as caught, smime_agent.open_keys(two.label, module=MODULE, pin_from="1234"):
        pass
    assert "1234" not in str(caught.value)


@pytest.mark.parametrize("kind", ["rsa", "p256", "p384", "p521", "x25519"])
@pytest.mark.parametrize("name", RecipientName)
@pytest.mark.parametrize("cipher", [*ContentEncryption, None])
def test_every_key_with_every_cipher_by_every_name(
    options: EncryptOptions, person: People, kind: str, name: RecipientName, cipher: ContentEncryption | None
) -> None:
    bob = person("bob", kind)
    encryptor = with_options(options, form=Format.DER, recipient_name=name, cipher=cipher)
    (message,) = encryptor.encrypt(b"Hello.", to(bob))
    assert opened(message, bob.key) == b"Hello."
    by_serial = bob.certificate.serial_number.to_bytes(21, "big").lstrip(b"\0") in message
    assert by_serial is (name is RecipientName.ISSUER_AND_SERIAL_NUMBER)


def test_openssl_finds_recipients_by_key_identifier(options: EncryptOptions, person: People) -> None:
    people = [person("bob", "rsa"), person("carol", "p256")]
    encryptor = with_options(options, form=Format.DER, recipient_name=RecipientName.SUBJECT_KEY_IDENTIFIER)
    (message,) = encryptor.encrypt(b"Hello.", to(*people))
    assert [one.decrypt(message, "DER") for one in people] == [b"Hello."] * 2


def test_all_of_it_is_written_while_it_is_consumed(options: EncryptOptions, person: People, tmp_path: Path) -> None:
    bob = person("bob")
    with Encryptor(options).opened(MAIL, to(bob)) as (message,):
        message.write_to(tmp_path / "out.eml")
        assert (message.plan.name, [one.address for one in message.plan.people]) == ("", [BOB])
        assert message.notes == (f"there is no certificate for {ALICE}: the sender will not be able to read it",)
    assert bob.decrypt((tmp_path / "out.eml").read_bytes()).endswith(b"Hello, Bob.\r\n")


def test_what_was_taken_already_is_no_empty_message(options: EncryptOptions, person: People, tmp_path: Path) -> None:
    with Encryptor(options).opened(MAIL, to(person("bob"))) as (message,):
        assert bytes(message)
        with pytest.raises(UsageError, match="taken already"):
            bytes(message)
        with pytest.raises(UsageError, match="taken already"):
            message.write_to(tmp_path / "out.eml")
    assert not list(tmp_path.glob("*out*"))


def test_a_plaintext_is_not_empty_when_its_message_was_closed(two: SoftToken, options: EncryptOptions) -> None:
    with two.session() as session:
        own = [one.certificate for one in read_objects(session).certificates if one.certificate.permits_encryption]
    (mail,) = Encryptor(options).encrypt(MAIL, Addressing(certificates=Certificates.of(own)))
    with smime_agent.open_keys(two.label, module=MODULE, pin_from=KnownPin()) as keys:
        with Decryptor(keys, Verifier(VerifyOptions(system_roots=False))).opened(mail) as found:
            assert b"".join(found.content()).endswith(b"Hello, Bob.\r\n")
        with pytest.raises(FileError, match="closed"):
            b"".join(found.content())


def test_each_recipient_of_bcc_has_a_message_alone(options: EncryptOptions, person: People) -> None:
    people = {name: person(name, number=number) for number, name in enumerate(("bob", "erin", "dave"))}
    addressing = Addressing((BOB,), ("erin@example.org", "dave@example.org"), to(*people.values()).certificates)
    with Encryptor(options).opened(MAIL, addressing) as messages:
        assert [message.plan.name for message in messages] == ["", "bcc-1", "bcc-2"]
        made = [bytes(message) for message in messages]
    for one, message in zip(people.values(), made, strict=True):
        one.decrypt(message)
        assert printed(message).count("d.ktri") == 1


def test_the_sender_is_in_every_message(options: EncryptOptions, person: People) -> None:
    bob, erin, alice = (person(name, number=number) for number, name in enumerate(("bob", "erin", "alice")))
    addressing = Addressing((BOB,), ("erin@example.org",), to(bob, erin).certificates)
    own = read_certificates([alice.path]).recipients
    made = Encryptor(options, own=own).encrypt(MAIL, addressing)
    assert [alice.decrypt(message).endswith(b"Hello, Bob.\r\n") for message in made] == [True, True]


def test_a_certificate_of_one_s_own_need_not_be_trusted_and_must_be_usable(
    options: EncryptOptions, person: People
) -> None:
    bob = person("bob")
    alice = person("alice", authority=Authority("Nobody knows me", rsa_key=False))
    own = read_certificates([alice.path]).recipients
    with Encryptor(options, own=own).opened(MAIL, to(bob)) as (message,):
        assert message.notes == ()
    expired = read_certificates([person("alice", not_before=-9, not_after=-1).path]).recipients
    with Encryptor(options, own=expired).opened(MAIL, to(bob)) as (message,):
        assert "is not valid now (expired): the sender, alice@example.org, will not be able" in message.notes[0]


def test_a_token_that_says_it_is_the_sender_s_does_not_read_along(
    options: EncryptOptions, person: People, tmp_path: Path
) -> None:
    bob, alice = person("bob"), person("alice")
    (tmp_path / "contacts").mkdir()
    (tmp_path / "contacts" / "alice.pem").write_bytes(alice.path.read_bytes())
    own = read_certificates([alice.path]).recipients
    mallory = person("alice", "p256", authority=Authority("Mallory", rsa_key=False))
    forged = read_certificates([mallory.path]).recipients
    among_own = Encryptor(options, own=(*forged, *own))
    beside_contacts = Encryptor(options, Contacts(tmp_path / "contacts"), own=forged)
    for encryptor in (among_own, beside_contacts):
        with encryptor.opened(MAIL, to(bob)) as (message,):
            assert [one.recipient.certificate for one in message.plan.people] == [bob.ours, alice.ours]


def test_contacts_are_a_directory(options: EncryptOptions, person: People, tmp_path: Path) -> None:
    bob = person("bob")
    (tmp_path / "contacts").mkdir()
    (tmp_path / "contacts" / "bob.pem").write_bytes(bob.path.read_bytes())
    (message,) = Encryptor(options, Contacts(tmp_path / "contacts")).encrypt(MAIL)
    assert bob.decrypt(message).endswith(b"Hello, Bob.\r\n")


class Confused:
    """A directory that knows one certificate for everybody."""

    def __init__(self, who: Correspondent) -> None:
        self.who = who

    def find(self, address: str) -> Sequence[Recipient]:
        del address
        return [Recipient(self.who.ours)]

    def pool(self, address: str) -> Sequence[bytes]:
        del address
        return ()


def test_a_directory_that_mixes_people_up_is_not_believed(options: EncryptOptions, person: People) -> None:
    with pytest.raises(RecipientRefusedError) as caught:
        Encryptor(options, Confused(person("carol"))).encrypt(MAIL)
    assert caught.value.details == (
        "carol@example.org: the certificate is for carol@example.org, not for bob@example.org (no-mailbox)",
    )


@pytest.mark.parametrize("how", [{"force": True}, {"accept": (Code.EXPIRED,)}], ids=["force", "accept"])
def test_a_reason_can_be_overridden(options: EncryptOptions, person: People, how: dict[str, object]) -> None:
    bob = person("bob", not_before=-9, not_after=-1)
    with pytest.raises(RecipientRefusedError):
        Encryptor(options).encrypt(MAIL, to(bob))
    (message,) = with_options(options, **how).encrypt(MAIL, to(bob))
    assert bob.decrypt(message).endswith(b"Hello, Bob.\r\n")


def test_one_encryptor_is_for_many_messages(options: EncryptOptions, person: People) -> None:
    bob = person("bob")
    encryptor = Encryptor(options)
    made = [encryptor.encrypt(MAIL, to(bob))[0] for _ in range(3)]
    assert all(bob.decrypt(message).endswith(b"Hello, Bob.\r\n") for message in made)


def test_to_sign_a_token_is_needed(options: EncryptOptions, person: People) -> None:
    with pytest.raises(UsageError, match="no token was given"):
        with_options(options, sign=SignOptions()).encrypt(MAIL, to(person("bob")))


@pytest.mark.parametrize(("message", "error"), [(b"\x00", InvalidMessageError), (b"", InvalidMessageError)])
def test_what_is_no_mail_is_refused(
    options: EncryptOptions, person: People, message: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Encryptor(options).encrypt(message, to(person("bob")))


def test_what_is_encrypted_is_refused(options: EncryptOptions, person: People) -> None:
    (once,) = Encryptor(options).encrypt(MAIL, to(person("bob")))
    with pytest.raises(PolicyError, match="already encrypted"):
        Encryptor(options).encrypt(once, to(person("bob")))


@pytest.mark.parametrize(
    "content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"]
)
def test_a_file_without_a_certificate_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pem").write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.pem"):
        read_certificates([tmp_path / "x.pem"])


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the certificate"):
        read_certificates([tmp_path / "x.pem"])
