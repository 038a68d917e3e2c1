"""Whom ``encrypt`` refuses to encrypt to, why, and who may say that it shall."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from smime_agent.certificates.contacts import Contacts
from tests.support.ca import Authority
from tests.support.correspondents import Encrypt
from tests.support.mails import MAIL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.command import Command
    from tests.support.correspondents import Correspondent, People

DONE, USAGE, REFUSED = 0, 2, 10
BOB = "bob@example.org"
NOW = datetime.now(UTC)


def crl(authority: Authority, *revoked: x509.Certificate) -> bytes:
    """A CRL of today."""
    builder = x509.CertificateRevocationListBuilder(authority.subject, NOW - timedelta(1), NOW + timedelta(1))
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder(certificate.serial_number, NOW - timedelta(1))
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


def unknown_critical() -> dict[str, Any]:
    said = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    return {"extra": ((said, True),)}


#: What is wrong with Bob's certificate, by the code of the reason.
REASONS: dict[str, Callable[[People], Correspondent]] = {
    "expired": lambda person: person("bob", not_before=-9, not_after=-1),
    "not-yet-valid": lambda person: person("bob", not_before=1),
    "key-usage": lambda person: person("bob", digital_signature=True, key_encipherment=False),
    "extended-key-usage": lambda person: person("bob", email_protection=False),
    "weak-key": lambda person: person("bob", "weak"),
    "unknown-issuer": lambda person: person("bob", authority=Authority("Nobody knows me", rsa_key=False)),
    "critical-extension": lambda person: person("bob", **unknown_critical()),
    "no-mailbox": lambda person: person("bob", addresses=("bobby@example.org",)),
}


@pytest.mark.parametrize("code", REASONS)
def test_each_reason_refuses_and_is_said(encrypt: Encrypt, person: People, code: str, tmp_path: Path) -> None:
    bob = REASONS[code](person)
    done = encrypt("--to", BOB, "--cert", bob.path, "-o", tmp_path / "out.eml")
    first, detail, hint = done.err.splitlines()
    assert (done.code, (tmp_path / "out.eml").exists()) == (REFUSED, False)
    assert first.startswith("smime-agent: error: nothing should be encrypted to the certificate of b")
    assert detail.endswith(f" ({code})")
    assert hint == "hint: if you are sure: --force"


@pytest.mark.parametrize("code", REASONS)
@pytest.mark.parametrize("how", ["force", "accept"])
def test_each_reason_can_be_overridden_and_is_said(encrypt: Encrypt, person: People, code: str, how: str) -> None:
    bob = REASONS[code](person)
    done = encrypt(
        "--to", BOB, "--cert", bob.path, "--no-self", *(["--force"] if how == "force" else ["--accept", code])
    )
    assert (done.code, done.err.count(f"({code}), and it is encrypted to all the same")) == (DONE, 1)
    assert bob.decrypt(done.out).endswith(b"Hello, Bob.\r\n")


@pytest.mark.parametrize("code", REASONS)
def test_another_reason_that_is_accepted_does_not_help(encrypt: Encrypt, person: People, code: str) -> None:
    other = "expired" if code != "expired" else "key-usage"
    assert encrypt("--to", BOB, "--cert", REASONS[code](person).path, "--accept", other).code == REFUSED


def test_a_certificate_that_signed_itself_is_refused(encrypt: Encrypt, person: People) -> None:
    bob = person("bob")
    bob.path.write_bytes(Authority("bob", rsa_key=True).pem)
    done = encrypt("--cert", bob.path, message=b"From: alice@example.org\nTo: undisclosed-recipients:;\n\nHello.\n")
    assert (done.code, "(self-signed)" in done.err) == (REFUSED, True)


def test_who_is_revoked_is_refused(encrypt: Encrypt, person: People, issuing_ca: Authority, tmp_path: Path) -> None:
    bob = person("bob")
    (tmp_path / "crl").write_bytes(crl(issuing_ca, bob.certificate))
    done = encrypt("--cert", bob.path, "--crl", tmp_path / "crl", "--offline", revocation="prefer")
    assert (done.code, "(revoked)" in done.err) == (REFUSED, True)


def test_who_is_not_revoked_is_not(
    command: Command, person: People, root_ca: Authority, issuing_ca: Authority, tmp_path: Path
) -> None:
    bob = person("bob")
    bob.path.write_bytes(bob.path.read_bytes() + issuing_ca.pem)
    for authority in (root_ca, issuing_ca):
        (tmp_path / authority.name).write_bytes(crl(authority))
    lists = [word for authority in (root_ca, issuing_ca) for word in ("--crl", tmp_path / authority.name)]
    encrypt = Encrypt(command, root_ca, tmp_path)
    done = encrypt("--cert", bob.path, *lists, "--offline", "--no-self", revocation="require")
    assert (done.code, done.err) == (DONE, "")


def test_where_an_answer_is_required_none_is_a_reason(encrypt: Encrypt, person: People) -> None:
    done = encrypt("--cert", person("bob").path, "--offline", revocation="require")
    assert (done.code, "(revocation-unknown)" in done.err) == (REFUSED, True)


def test_where_an_answer_is_preferred_none_is_a_warning(encrypt: Encrypt, person: People) -> None:
    done = encrypt("--cert", person("bob").path, "--offline", "--no-self", revocation="prefer")
    assert (done.code, done.err.count("warning"), "revo" in done.err) == (DONE, 1, True)


@pytest.mark.parametrize("code", ["expired", "critical-extension", "unknown-issuer"])
def test_what_is_overridden_is_not_the_answer_that_is_required(encrypt: Encrypt, person: People, code: str) -> None:
    words = ("--to", BOB, "--cert", REASONS[code](person).path, "--no-self", "--offline")
    forced = encrypt(*words, "--force", revocation="require")
    assert (forced.code, "(revocation-unknown)" in forced.err) == (REFUSED, True)
    both = ("--accept", code, "--accept", "revocation-unknown")
    assert encrypt(*words, *both, revocation="require").code == DONE


@pytest.mark.parametrize("code", ["expired", "extended-key-usage"])
def test_who_overrides_a_reason_is_told_that_nobody_was_asked_about_revocation(
    encrypt: Encrypt, person: People, issuing_ca: Authority, tmp_path: Path, code: str
) -> None:
    (tmp_path / "crl").write_bytes(crl(issuing_ca))
    words = ("--to", BOB, "--cert", REASONS[code](person).path, "--no-self", "--force")
    said = "was revoked is not known: nobody was asked about it"
    done = encrypt(*words, "--offline", revocation="prefer")
    assert (done.code, said in done.err) == (DONE, True)
    known = encrypt(*words, "--crl", tmp_path / "crl", revocation="prefer")
    assert (known.code, said in known.err) == (DONE, False)
    assert said not in encrypt(*words, revocation="off").err


def test_what_cannot_be_encrypted_to_cannot_be_forced(encrypt: Encrypt, person: People) -> None:
    bob = person("bob", "secp256k1")
    for option in (["--force"], []):
        done = encrypt("--to", BOB, "--cert", bob.path, *option)
        assert (done.code, "(unsupported-algorithm)" in done.err) == (REFUSED, True)
        assert done.err.endswith("hint: ask for another certificate, or leave this recipient out\n")
    assert encrypt("--to", BOB, "--cert", bob.path, "--accept", "unsupported-algorithm").code == USAGE


# Several reasons, several recipients


def test_force_is_for_one_kind_of_reason(encrypt: Encrypt, person: People) -> None:
    bob = person("bob", not_before=-9, not_after=-1, email_protection=False)
    done = encrypt("--cert", bob.path, "--force")
    assert done.code == REFUSED
    assert done.err.endswith("if you are sure of each: --accept expired --accept extended-key-usage\n")


def test_force_beside_accept_is_for_one_kind_more(encrypt: Encrypt, person: People) -> None:
    bob = person("bob", not_before=-9, not_after=-1, email_protection=False)
    done = encrypt("--cert", bob.path, "--force", "--accept", "expired")
    assert (done.code, "extended-key-usage), and" in done.err) == (DONE, True)


def test_each_of_several_reasons_can_be_accepted(encrypt: Encrypt, person: People) -> None:
    bob = person("bob", not_before=-9, not_after=-1, email_protection=False)
    assert encrypt("--cert", bob.path, "--accept", "expired", "--accept", "extended-key-usage").code == DONE


def test_one_refused_recipient_stops_the_whole_mail(encrypt: Encrypt, person: People) -> None:
    bob, carol = person("bob"), person("carol", not_before=-9, not_after=-1)
    done = encrypt("--to", BOB, "--to", "carol@example.org", "--cert", bob.path, "--cert", carol.path)
    assert (done.code, done.out) == (REFUSED, b"")
    assert "certificate of carol@example.org\n" in done.err


def test_a_refused_recipient_of_bcc_stops_the_whole_mail(encrypt: Encrypt, person: People, tmp_path: Path) -> None:
    bob, carol = person("bob"), person("carol", not_before=-9, not_after=-1)
    given = ("--cert", bob.path, "--cert", carol.path)
    done = encrypt("--to", BOB, "--bcc", "carol@example.org", *given, "--output-dir", tmp_path / "out")
    assert (done.code, (tmp_path / "out").exists()) == (REFUSED, False)


def test_force_with_one_reason_of_two_people_overrides_both(encrypt: Encrypt, person: People) -> None:
    people = [person(name, not_before=-9, not_after=-1) for name in ("bob", "carol")]
    words = [word for one in people for word in ("--to", one.address, "--cert", one.path)]
    done = encrypt(*words, "--force")
    assert (done.code, done.err.count("(expired), and it is encrypted to all the same")) == (DONE, 2)


def test_somebody_without_a_certificate_cannot_be_forced(encrypt: Encrypt, person: People) -> None:
    done = encrypt("--to", BOB, "--to", "carol@example.org", "--cert", person("bob").path, "--force")
    assert (done.code, done.out) == (REFUSED, b"")
    assert done.err.startswith("smime-agent: error: there is no certificate for carol@example.org\nhint: name a ")


def test_all_without_a_certificate_are_named(encrypt: Encrypt) -> None:
    done = encrypt("--to", BOB, "--to", "carol@example.org")
    assert done.err.splitlines()[:3] == [
        "smime-agent: error: 2 recipients have no certificate",
        f"  {BOB}",
        "  carol@example.org",
    ]


@pytest.mark.parametrize("reason", ["", "anything", "from-mismatch", "digest-mismatch", "no-certificate"])
def test_only_a_reason_against_a_certificate_can_be_accepted(encrypt: Encrypt, reason: str) -> None:
    done = encrypt("--to", BOB, "--accept", reason)
    assert (done.code, "is no reason that can be accepted" in done.err) == (USAGE, True)


# The address


def test_a_certificate_for_none_of_the_addressees_is_refused(encrypt: Encrypt, person: People) -> None:
    done = encrypt("--cert", person("carol").path)
    assert done.code == REFUSED
    assert "  carol@example.org: the certificate is for carol@example.org, not for bob@example.org (no-mail" in done.err


def test_a_certificate_of_the_sender_is_for_an_addressee(encrypt: Encrypt, person: People) -> None:
    assert encrypt("--cert", person("bob").path, "--cert", person("alice").path).code == DONE


def test_a_file_is_for_whomever_the_certificate_is(encrypt: Encrypt, person: People) -> None:
    done = encrypt("--cert", person("carol").path, "--format", "der", message=b"Hello.")
    assert (done.code, done.err) == (DONE, "")


def test_a_mail_to_undisclosed_recipients_is_for_whomever_the_certificate_is(encrypt: Encrypt, person: People) -> None:
    message = MAIL.replace(b"Bob <bob@example.org>", b"undisclosed-recipients:;")
    assert encrypt("--cert", person("carol").path, message=message).code == DONE


def test_the_only_certificate_that_is_left_is_not_for_another_of_several(encrypt: Encrypt, person: People) -> None:
    done = encrypt("--to", BOB, "--to", "dave@example.org", "--cert", person("carol").path)
    assert (done.code, "2 recipients have no certificate" in done.err) == (REFUSED, True)


# For programs


def test_json_says_who_is_refused_and_why(encrypt: Encrypt, person: People, tmp_path: Path) -> None:
    bob = person("bob", not_before=-9, not_after=-1)
    done = encrypt("--cert", bob.path, "--json", "-o", tmp_path / "out.eml")
    found = json.loads(done.out)
    (recipient,) = found["messages"][0]["recipients"]
    assert (done.code, found["encrypted"], found["reasons"][0]["code"]) == (REFUSED, False, "recipient-refused")
    assert (recipient["address"], [one["code"] for one in recipient["reasons"]]) == (BOB, ["expired"])


def test_json_says_who_has_no_certificate(encrypt: Encrypt, tmp_path: Path) -> None:
    found = json.loads(encrypt("--to", BOB, "--json", "-o", tmp_path / "out.eml").out)
    assert (found["missing"], found["messages"], found["encrypted"]) == ([BOB], [], False)


@pytest.mark.parametrize("json_too", [True, False])
def test_an_explanation_ends_as_encrypting_would(encrypt: Encrypt, person: People, *, json_too: bool) -> None:
    bob = person("bob", not_before=-9, not_after=-1)
    done = encrypt("--cert", bob.path, "--explain", *["--json"] * json_too)
    assert (done.code, "expired" in done.out.decode()) == (REFUSED, True)
    assert encrypt("--cert", bob.path, "--explain", "--force", *["--json"] * json_too).code == DONE


def test_the_contacts_are_checked_too(
    encrypt: Encrypt, person: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    bob = person("bob", not_before=-9, not_after=-1)
    contacts = Contacts(tmp_path / "share" / "smime-agent" / "contacts")
    contacts.remember(bob.ours, None, None, [], now=NOW)
    done = encrypt()
    assert (done.code, "(expired)" in done.err) == (REFUSED, True)
