"""Which keys decrypt a message, on tokens of SoftHSM."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from pkcs11 import Attribute, CertificateType, ObjectClass

from smime_agent import der
from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.certificates.history import History, history_path
from smime_agent.cms.recipients import KeyRecipient, OtherRecipient, RecipientKind
from smime_agent.errors import (
    NoKeyError,
    PinIncorrectError,
    PinNotSetError,
    SmimeAgentError,
    TokenAbsentError,
    UsageError,
)
from smime_agent.tokens.objects import read_objects
from smime_agent.x509 import Certificate
from tests.keyring.people import (
    BY_KEY,
    CONTENT_KEY,
    TODAY,
    certificate_for,
    close_rings,
    enrolled,
    info_for,
    message_for,
    recipients_of,
    ring,
)
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from smime_agent.tokens.objects import TokenKey
    from tests.support.ca import Authority
    from tests.support.softhsm import SoftHsm, SoftToken

    NewToken = Callable[[str], SoftToken]


@pytest.fixture
def new_token(softhsm: SoftHsm, request: pytest.FixtureRequest) -> NewToken:
    """Makes empty tokens whose labels are this test's alone."""
    suffix = abs(hash(request.node.name)) % 10**9
    return lambda name: softhsm.new_token(f"{name} {suffix}")


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    close_rings()


@pytest.fixture(scope="module")
def alice_token(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    """One key with a certificate. Tests only read it."""
    token = softhsm.new_token("alice decrypts")
    enrolled(token, issuing_ca, name="Alice")
    return token


@pytest.fixture(scope="module")
def bob_token(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    """Another one."""
    token = softhsm.new_token("bob decrypts")
    enrolled(token, issuing_ca, name="Bob")
    return token


@pytest.fixture(scope="module")
def alice(alice_token: SoftToken) -> Certificate:
    return only_certificate(alice_token)


@pytest.fixture(scope="module")
def bob(bob_token: SoftToken) -> Certificate:
    return only_certificate(bob_token)


@pytest.fixture(scope="module")
def stranger(issuing_ca: Authority) -> Certificate:
    """Whose key is nowhere."""
    key = ec.generate_private_key(ec.SECP256R1())
    issued = issuing_ca.issue(key.public_key(), Wanted(("carol@example.org",), "Carol", key_agreement=True))
    return Certificate(issued.public_bytes(Encoding.DER))


def only_certificate(token: SoftToken) -> Certificate:
    with token.session() as session:
        (found,) = read_objects(session).certificates
    return found.certificate


def delete(token: SoftToken, *classes: ObjectClass) -> None:
    with token.session(writable=True) as session:
        session.login("for a test")
        with session.calling():
            for one in classes:
                for found in session.objects(one):
                    found.destroy()


def hide(token: SoftToken, certificate: Certificate) -> None:
    """A certificate that is seen after a login only, and nothing else that is seen before."""
    delete(token, ObjectClass.CERTIFICATE, ObjectClass.PUBLIC_KEY)
    with token.session(writable=True) as session:
        session.login("for a test")
        (key,) = read_objects(session).keys
        with session.calling():
            session.working().create_object(
                {
                    Attribute.CLASS: ObjectClass.CERTIFICATE,
                    Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
                    Attribute.TOKEN: True,
                    Attribute.PRIVATE: True,
                    Attribute.ID: key.id,
                    Attribute.SUBJECT: certificate.subject_encoded,
                    Attribute.VALUE: certificate.encoded,
                }
            )


# --- how a key is found ---


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.EC_P256, KeyType.EC_P384, KeyType.X25519])
@pytest.mark.parametrize("named_by", ["issuer and serial number", "key identifier"])
def test_the_key_that_the_message_names_unwraps(
    new_token: NewToken, issuing_ca: Authority, key_type: KeyType, named_by: str
) -> None:
    token = new_token("any")
    certificate = enrolled(token, issuing_ca, key_type)
    found = ring(token)
    message = message_for(certificate, name=BY_KEY) if named_by == "key identifier" else message_for(certificate)
    assert found.opened(message) == [f"key 01 'Alice' on token '{token.label}'"]
    assert found.asked() == [token.label]


def test_a_match_has_the_certificate(alice_token: SoftToken, alice: Certificate) -> None:
    (match,) = ring(alice_token).keyring.pairs(message_for(alice))
    assert match.certificate == alice


def test_the_key_may_be_on_the_second_token_and_the_first_is_left_alone(
    alice_token: SoftToken, bob_token: SoftToken, alice: Certificate, bob: Certificate
) -> None:
    found = ring(alice_token, bob_token)
    assert found.opened(message_for(bob)) == ["key 01 'Bob' on token 'bob decrypts'"]
    assert found.asked() == ["bob decrypts"]
    assert found.opened(message_for(alice)) == ["key 01 'Alice' on token 'alice decrypts'"]


def test_a_message_for_two_is_opened_with_one_pin(
    alice_token: SoftToken, bob_token: SoftToken, alice: Certificate, bob: Certificate
) -> None:
    found = ring(alice_token, bob_token)
    match = next(iter(found.keyring.pairs(message_for(bob, alice))))
    assert match.certificate == alice
    assert found.asked() == ["alice decrypts"]


def test_a_message_for_nobody_here_asks_for_no_pin(
    alice_token: SoftToken, bob_token: SoftToken, stranger: Certificate
) -> None:
    found = ring(alice_token, bob_token)
    with pytest.raises(NoKeyError, match="no key on token 'alice decrypts' or token 'bob decrypts' opens") as caught:
        found.opened(message_for(stranger))
    assert found.asked() == []
    assert caught.value.exit_code == 7


def test_the_issuers_name_may_be_written_in_another_way(
    alice_token: SoftToken, alice: Certificate, issuing_ca: Authority
) -> None:
    name = der.tlv(0x13, issuing_ca.name.upper().encode())  # PrintableString
    issuer = der.sequence(der.set_of([der.sequence(der.object_identifier("2.5.4.3"), name)]))
    encoded = info_for(alice).replace(alice.issuer_encoded, issuer)
    assert issuer in encoded
    assert ring(alice_token).opened(recipients_of(encoded))


def test_without_a_certificate_the_key_identifier_is_the_digest_of_the_key(
    new_token: NewToken, issuing_ca: Authority
) -> None:
    token = new_token("bare")
    key = token.generate(KeyType.EC_P256, KeyUsage.DECRYPT, "bare")
    certificate = certificate_for(issuing_ca, key, Wanted(key_agreement=True))
    (match,) = ring(token).keyring.pairs(message_for(certificate, name=BY_KEY))
    assert match.certificate is None
    assert match.decrypter.unwrap(match.recipient.wrapped).reveal() == CONTENT_KEY


def test_the_id_of_a_key_may_be_the_key_identifier(new_token: NewToken, issuing_ca: Authority) -> None:
    token = new_token("id")
    certificate = enrolled(token, issuing_ca)
    identifier = hashlib.sha256(b"somebody's way").digest()[:20]
    with token.session(writable=True) as session:
        session.login("for a test")
        with session.calling():
            for one in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY, ObjectClass.CERTIFICATE):
                for found in session.objects(one):
                    found[Attribute.ID] = identifier
    assert certificate.subject_key_identifier is not None
    encoded = info_for(certificate, BY_KEY).replace(certificate.subject_key_identifier, identifier)
    assert ring(token).opened(recipients_of(encoded))


def test_an_id_of_one_octet_is_no_key_identifier(alice_token: SoftToken, alice: Certificate) -> None:
    encoded = info_for(alice, BY_KEY)
    (recipient,) = recipients_of(encoded)
    assert isinstance(recipient, KeyRecipient)
    short = replace(recipient, identifier=replace(recipient.identifier, identifier=b"\x01"))  # type: ignore[arg-type]  # it is a KeyIdentifier
    with pytest.raises(NoKeyError):
        ring(alice_token).opened((short,))


def test_several_keys_with_one_key_identifier_are_all_tried(new_token: NewToken, issuing_ca: Authority) -> None:
    token = new_token("same")
    same = ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b""), False),)
    certificates = []
    for name in ("A", "B"):
        key = token.generate(KeyType.EC_P256, KeyUsage.DECRYPT, name)
        issued = _with_key_identifier(issuing_ca, key, Wanted(name=name, key_agreement=True, extra=same))
        token.store(issued.encoded)
        certificates.append(issued)
    names = [match.decrypter.name for match in ring(token).keyring.pairs(message_for(certificates[1], name=BY_KEY))]
    assert names == [f"key 01 'A' on token '{token.label}'", f"key 02 'B' on token '{token.label}'"]


def _with_key_identifier(authority: Authority, key: TokenKey, wanted: Wanted) -> Certificate:
    """A certificate whose subjectKeyIdentifier is the same whatever the key."""
    assert key.public_key_info is not None
    template = authority.issue(load_der_public_key(key.public_key_info), wanted)
    builder = x509.CertificateBuilder(
        issuer_name=template.issuer,
        subject_name=template.subject,
        public_key=template.public_key(),
        serial_number=template.serial_number,
        not_valid_before=template.not_valid_before_utc,
        not_valid_after=template.not_valid_after_utc,
    ).add_extension(x509.SubjectKeyIdentifier(b"the same for all of them"), critical=False)
    return Certificate(authority.sign(builder).public_bytes(Encoding.DER))


def test_one_key_that_is_named_twice_is_tried_for_both(alice_token: SoftToken, alice: Certificate) -> None:
    assert len(ring(alice_token).opened(message_for(alice, alice))) == 2


def test_the_same_recipient_is_tried_once(alice_token: SoftToken, alice: Certificate) -> None:
    encoded = info_for(alice)
    assert len(ring(alice_token).opened(recipients_of(encoded, encoded))) == 1


def test_a_key_of_another_kind_than_the_message_says_is_not_troubled(
    alice_token: SoftToken, alice: Certificate, issuing_ca: Authority
) -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    other = Certificate(issuing_ca.issue(key, Wanted(key_encipherment=True)).public_bytes(Encoding.DER))
    mine, theirs = (der.sequence(one.issuer_encoded, der.integer(one.serial_number)) for one in (alice, other))
    encoded = info_for(other)
    assert theirs in encoded
    encoded = der.sequence(encoded[encoded.index(b"\x02\x01\x00") :].replace(theirs, mine))
    found = ring(alice_token)
    with pytest.raises(NoKeyError):
        found.opened(recipients_of(encoded))
    assert found.asked() == []


# --- certificates that are not on the token ---


def test_a_renewed_certificate_does_not_lock_old_mail(new_token: NewToken, issuing_ca: Authority) -> None:
    token = new_token("renewed")
    old = enrolled(token, issuing_ca)
    with token.session() as session:
        (key,) = read_objects(session).keys
    delete(token, ObjectClass.CERTIFICATE)
    token.store(certificate_for(issuing_ca, key, Wanted(key_agreement=True)).encoded)
    with pytest.raises(NoKeyError):
        ring(token).opened(message_for(old))
    (match,) = ring(token, known=iter([old])).keyring.pairs(message_for(old))
    assert match.certificate == old
    assert match.decrypter.unwrap(match.recipient.wrapped).reveal() == CONTENT_KEY


def test_a_certificate_that_was_deleted_is_remembered(
    new_token: NewToken, issuing_ca: Authority, tmp_path: Path
) -> None:
    token = new_token("deleted")
    old = enrolled(token, issuing_ca)
    history = History(history_path(tmp_path))
    assert ring(token, history=history).opened(message_for(old))
    delete(token, ObjectClass.CERTIFICATE)
    assert ring(token, history=history).opened(message_for(old))


def test_both_certificates_of_one_key_name_it(new_token: NewToken, issuing_ca: Authority) -> None:
    token = new_token("both")
    old = enrolled(token, issuing_ca)
    with token.session() as session:
        (key,) = read_objects(session).keys
    new = certificate_for(issuing_ca, key, Wanted(key_agreement=True))
    token.store(new.encoded)
    found = ring(token)
    assert [match.certificate for one in (old, new) for match in found.keyring.pairs(message_for(one))] == [old, new]


def test_a_known_certificate_of_another_key_opens_nothing(alice_token: SoftToken, stranger: Certificate) -> None:
    found = ring(alice_token, known=[stranger])
    with pytest.raises(NoKeyError):
        found.opened(message_for(stranger))
    assert found.asked() == []


def test_what_is_known_is_not_read_while_it_is_not_needed(alice_token: SoftToken, alice: Certificate) -> None:
    known = iter([alice])
    next(iter(ring(alice_token, known=known).keyring.pairs(message_for(alice))))
    assert list(known) == [alice]


# --- what is hidden ---


def test_the_only_token_is_logged_in_to_if_it_shows_nothing(new_token: NewToken, issuing_ca: Authority) -> None:
    token = new_token("hidden")
    certificate = enrolled(token, issuing_ca)
    hide(token, certificate)
    found = ring(token)
    assert len(found.opened(message_for(certificate))) == 1
    assert found.asked() == [token.label]


def test_of_several_tokens_none_is_logged_in_to_without_a_reason(
    new_token: NewToken, issuing_ca: Authority, alice_token: SoftToken
) -> None:
    token = new_token("hidden")
    certificate = enrolled(token, issuing_ca)
    hide(token, certificate)
    found = ring(token, alice_token)
    with pytest.raises(NoKeyError):
        found.opened(message_for(certificate))
    assert found.asked() == []
    named = ring(token, alice_token, named=token.label)
    assert len(named.opened(message_for(certificate))) == 1


# --- a key that a person named ---


@pytest.mark.parametrize("name", ["01", "Alice", "alice@example.org", "pkcs11:id=%01"])
def test_a_key_that_was_named_is_tried_whoever_the_message_is_for(
    alice_token: SoftToken, stranger: Certificate, name: str
) -> None:
    found = ring(alice_token, key=name)
    (match,) = found.keyring.pairs(message_for(stranger))
    assert match.decrypter.name == "key 01 'Alice' on token 'alice decrypts'"
    assert found.asked() == ["alice decrypts"]


def test_no_other_key_is_tried_than_the_named_one(
    alice_token: SoftToken, bob_token: SoftToken, alice: Certificate, bob: Certificate
) -> None:
    found = ring(alice_token, bob_token, key="Bob")
    names = [match.decrypter.name for match in found.keyring.pairs(message_for(alice, bob))]
    assert set(names) == {"key 01 'Bob' on token 'bob decrypts'"}
    assert found.asked() == ["bob decrypts"]


def test_a_named_key_is_first_tried_for_the_recipient_that_names_it(
    bob_token: SoftToken, bob: Certificate, stranger: Certificate
) -> None:
    matches = list(ring(bob_token, key="Bob").keyring.pairs(message_for(stranger, bob)))
    assert matches[0].decrypter.unwrap(matches[0].recipient.wrapped).reveal() == CONTENT_KEY
    assert len(matches) == 2


def test_a_named_key_makes_ten_operations_at_most(alice_token: SoftToken, stranger: Certificate) -> None:
    message = message_for(*[stranger] * 30)
    assert len(list(ring(alice_token, key="01").keyring.pairs(message))) == 10


def test_a_named_key_that_is_not_there_is_told(alice_token: SoftToken, alice: Certificate) -> None:
    with pytest.raises(NoKeyError, match="there is no key 'nobody' on token 'alice decrypts'"):
        ring(alice_token, key="nobody").opened(message_for(alice))


def test_a_name_that_is_the_uri_of_something_else_is_refused(alice_token: SoftToken, alice: Certificate) -> None:
    with pytest.raises(UsageError):
        ring(alice_token, key="pkcs11:type=data").opened(message_for(alice))


# --- PINs ---


def test_a_wrong_pin_ends_the_search_and_is_not_tried_again(
    alice_token: SoftToken, bob_token: SoftToken, alice: Certificate, bob: Certificate
) -> None:
    found = ring(alice_token, bob_token, pin="wrong pin")
    for _ in range(2):
        with pytest.raises(PinIncorrectError):
            found.opened(message_for(alice, bob))
    assert found.asked() == ["alice decrypts"]


def test_after_close_the_pin_is_asked_for_anew(alice_token: SoftToken, alice: Certificate) -> None:
    found = ring(alice_token, pin="wrong pin")
    with pytest.raises(PinIncorrectError):
        found.opened(message_for(alice))
    found.keyring.close()
    found.prompter.answer = "fairly-secret"
    assert found.opened(message_for(alice))


def test_a_bulk_of_messages_looks_around_once_and_asks_once(alice_token: SoftToken, alice: Certificate) -> None:
    found = ring(alice_token)
    for _ in range(5):
        match = next(iter(found.keyring.pairs(message_for(alice))))
        assert match.decrypter.unwrap(match.recipient.wrapped).reveal() == CONTENT_KEY
    assert len(found.search.looks) == 1
    assert found.asked() == ["alice decrypts"]


def test_a_certificate_that_came_between_two_messages_is_found(
    new_token: NewToken, issuing_ca: Authority, stranger: Certificate
) -> None:
    token = new_token("growing")
    enrolled(token, issuing_ca, name="first")
    found = ring(token)
    with pytest.raises(NoKeyError):
        found.opened(message_for(stranger))
    second = enrolled(token, issuing_ca, name="second")
    assert found.opened(message_for(second)) == [f"key 02 'second' on token '{token.label}'"]


# --- nothing is found ---


def test_a_token_that_is_not_plugged_in_is_named(
    alice_token: SoftToken, bob_token: SoftToken, bob: Certificate, tmp_path: Path
) -> None:
    history = History(history_path(tmp_path))
    assert ring(bob_token, history=history).opened(message_for(bob))
    with pytest.raises(NoKeyError) as caught:
        ring(alice_token, history=history).opened(message_for(bob))
    (entry,) = (entry for entry in history.entries() if entry.certificate == bob)
    (line,) = caught.value.details
    assert line == (
        f"it is for CN=Bob (alice@example.org), serial {bob.serial_number:x}, valid from {bob.not_before:%Y-%m-%d} to "
        f"{bob.not_after:%Y-%m-%d}: its key was last seen on token 'bob decrypts' (serial {entry.serial}) on "
        "2026-05-17, which is not plugged in"
    )
    assert caught.value.hint == f"plug in token 'bob decrypts' (serial {entry.serial})"


@pytest.mark.parametrize("named", ["alice decrypts", "none of them"])
def test_a_token_that_is_plugged_in_while_another_was_named_is_not_called_absent(
    alice_token: SoftToken, bob_token: SoftToken, bob: Certificate, tmp_path: Path, named: str
) -> None:
    history = History(history_path(tmp_path))
    assert ring(bob_token, history=history).opened(message_for(bob))
    with pytest.raises(SmimeAgentError) as caught:
        ring(alice_token, bob_token, history=history, named=named).opened(message_for(bob))
    assert caught.value.details[0].endswith(", which is plugged in and was not looked at")
    assert str(caught.value.hint).startswith("leave --token out, or name token 'bob decrypts' (serial ")


def test_where_no_token_is_plugged_in_that_is_said(bob: Certificate) -> None:
    with pytest.raises(NoKeyError, match="no token is plugged in that opens this message") as caught:
        ring(known=[bob]).opened(message_for(bob))
    assert "CN=Bob" in caught.value.details[0]


def test_a_named_token_that_is_absent_is_exit_8(bob: Certificate) -> None:
    with pytest.raises(TokenAbsentError, match="no token 'bob decrypts' is plugged in") as caught:
        ring(named="bob decrypts", known=[bob]).opened(message_for(bob))
    assert "CN=Bob" in caught.value.details[0]


def test_a_stranger_is_named_as_the_message_does(alice_token: SoftToken, stranger: Certificate) -> None:
    with pytest.raises(NoKeyError) as caught:
        ring(alice_token).opened(message_for(stranger))
    number = f"{stranger.serial_number:x}"
    assert caught.value.details == (f"it is for the certificate with serial number {number} of CN=Test Issuing CA",)


def test_a_key_that_left_its_token_is_told(new_token: NewToken, issuing_ca: Authority, tmp_path: Path) -> None:
    token = new_token("left")
    certificate = enrolled(token, issuing_ca)
    history = History(history_path(tmp_path))
    assert ring(token, history=history).opened(message_for(certificate))
    delete(token, ObjectClass.CERTIFICATE, ObjectClass.PUBLIC_KEY, ObjectClass.PRIVATE_KEY)
    with pytest.raises(NoKeyError) as caught:
        ring(token, history=history).opened(message_for(certificate))
    assert caught.value.details[0].endswith(", which has it no longer")


def test_of_many_strangers_the_first_are_named_and_the_one_that_is_known(
    alice_token: SoftToken, stranger: Certificate, issuing_ca: Authority
) -> None:
    keys = [ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(8)]
    others = [Certificate(issuing_ca.issue(key, Wanted()).public_bytes(Encoding.DER)) for key in keys]
    with pytest.raises(NoKeyError) as caught:
        ring(alice_token, known=[stranger]).opened(message_for(*others, stranger))
    assert len(caught.value.details) == 6
    assert "CN=Carol" in caught.value.details[0]
    assert caught.value.details[-1] == "and for 4 others"


def test_recipients_that_no_key_is_for_are_counted_and_no_token_is_asked(alice_token: SoftToken) -> None:
    found = ring(alice_token)
    message = (
        OtherRecipient(RecipientKind.PASSWORD),
        OtherRecipient(RecipientKind.PASSWORD),
        OtherRecipient(RecipientKind.KEY_ENCRYPTION_KEY, "the key with identifier 01"),
        OtherRecipient(RecipientKind.UNREADABLE),
    )
    with pytest.raises(NoKeyError, match="not for a key on a token") as caught:
        found.opened(message)
    assert caught.value.details == (
        "2 recipients by a password, which is not supported and is for no key of yours",
        "1 recipient by a key that was agreed on before, which is not supported and is for no key of yours",
        "1 recipient cannot be read",
    )
    assert found.search.looks == []


def test_a_token_without_a_pin_is_no_obstacle(alice_token: SoftToken, alice: Certificate, softhsm: SoftHsm) -> None:
    blank = softhsm.new_token("without a PIN", user_pin=False)
    found = ring(blank, alice_token)
    assert len(found.opened(message_for(alice))) == 1
    with pytest.raises(PinNotSetError) as caught:
        ring(blank).opened(message_for(alice))
    assert caught.value.details


# --- large and hostile messages ---


def test_ten_thousand_recipients_are_looked_through_in_less_than_a_second(
    alice_token: SoftToken, alice: Certificate, bob_token: SoftToken
) -> None:
    mine = info_for(alice)
    number = der.integer(alice.serial_number)
    others = [mine.replace(number, number[:2] + one.to_bytes(len(number) - 2, "big")) for one in range(1, 10_000)]
    recipients = recipients_of(*others, mine)
    found = ring(bob_token, alice_token)
    started = time.process_time()
    assert len(found.opened(recipients)) == 1
    assert time.process_time() - started < 1.0
    started = time.process_time()
    with pytest.raises(NoKeyError):
        ring(bob_token, alice_token).opened(recipients[:-1])
    assert time.process_time() - started < 1.0


def test_ten_thousand_that_name_our_serial_number_cost_no_time(alice_token: SoftToken, alice: Certificate) -> None:
    sample = recipients_of(info_for(alice))[0]
    assert isinstance(sample, KeyRecipient)
    hostile = []
    for number in range(10_000):
        name = der.sequence(der.object_identifier("2.5.4.3"), der.utf8_string(f"Other CA {number}"))
        identifier = replace(sample.identifier, issuer=der.sequence(der.set_of([name])))  # type: ignore[arg-type]  # it has an issuer
        hostile.append(replace(sample, identifier=identifier))
    found = ring(alice_token)
    started = time.process_time()
    with pytest.raises(NoKeyError):
        found.opened(tuple(hostile))
    assert time.process_time() - started < 1.0
    assert found.asked() == []


def test_ten_thousand_that_name_our_key_are_ten_operations(alice_token: SoftToken, alice: Certificate) -> None:
    sample = recipients_of(info_for(alice))[0]
    assert isinstance(sample, KeyRecipient)
    hostile = tuple(replace(sample, wrapped=replace(sample.wrapped, position=one)) for one in range(10_000))
    assert len(list(ring(alice_token).keyring.pairs(hostile))) == 10


def test_everything_seen_is_recorded(
    alice_token: SoftToken, bob_token: SoftToken, alice: Certificate, bob: Certificate, tmp_path: Path
) -> None:
    history = History(history_path(tmp_path))
    ring(alice_token, bob_token, history=history).opened(message_for(bob))
    assert {entry.certificate for entry in history.entries()} == {alice, bob}
    assert {entry.last_seen for entry in history.entries()} == {TODAY}


def test_beside_a_token_that_cannot_be_logged_in_to_the_other_is_looked_at(
    new_token: NewToken, issuing_ca: Authority, softhsm: SoftHsm
) -> None:
    token, blank = new_token("hidden"), softhsm.new_token("beside the hidden one", user_pin=False)
    certificate = enrolled(token, issuing_ca)
    hide(token, certificate)
    assert len(ring(blank, token).opened(message_for(certificate))) == 1


def test_a_token_that_may_hide_the_key_is_named(
    new_token: NewToken, issuing_ca: Authority, alice_token: SoftToken, tmp_path: Path
) -> None:
    token = new_token("hidden")
    certificate = enrolled(token, issuing_ca)
    history = History(history_path(tmp_path))
    assert ring(token, history=history).opened(message_for(certificate))
    close_rings()
    hide(token, certificate)
    with pytest.raises(NoKeyError) as caught:
        ring(token, alice_token, history=history).opened(message_for(certificate))
    assert caught.value.details[0].endswith(
        f"on token '{token.label}' (serial {_serial(token)}) on 2026-05-17, which is plugged in"
    )
    assert caught.value.hint == f"token '{token.label}' may show more after a login: name it with --token"


def test_a_key_that_was_not_wanted_is_not_said_to_be_gone(
    alice_token: SoftToken, alice: Certificate, tmp_path: Path
) -> None:
    history = History(history_path(tmp_path))
    assert ring(alice_token, history=history).opened(message_for(alice))
    with pytest.raises(NoKeyError, match="there is no key 'nobody'") as caught:
        ring(alice_token, key="nobody", history=history).opened(message_for(alice))
    assert caught.value.details[0].endswith(", which is plugged in")


def _serial(token: SoftToken) -> str:
    with token.session() as session:
        return session.token.info.serial
