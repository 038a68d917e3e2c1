"""Whether the signer is who the mail says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smime_agent.mime import read_claims
from smime_agent.trust.identity import check_covered, check_date, check_identity
from smime_agent.x509 import Certificate
from tests.support.ca import Authority, Wanted

SIGNED_AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    """A CA."""
    return Authority("A CA", rsa_key=False)


def certificate(authority: Authority, *addresses: str) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return Certificate(authority.issue(key, Wanted(addresses)).public_bytes(Encoding.DER))


def identity(header: str, *certificates: Certificate, expected: str | None = None) -> list[str]:
    """The codes against a header."""
    fields = [line.encode() + b"\r\n" for line in header.splitlines()]
    return [reason.code.value for reason in check_identity(read_claims(fields), certificates, expected)]


@pytest.mark.parametrize(
    "header",
    [
        "From: alice@example.org",
        "From: Alice <ALICE@Example.ORG>",
        "From: alice@example.org\nSender: Alice <alice@example.org>",
        "From: alice@example.org\nReply-To: bob@example.org",
    ],
)
def test_the_signer_is_the_sender(authority: Authority, header: str) -> None:
    assert identity(header, certificate(authority, "alice@example.org")) == []


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("From: bob@example.org", "from-mismatch"),
        ("From: alice@example.org, bob@example.org", "from-mismatch"),
        ("From: alice+x@example.org", "from-mismatch"),
        ("From: alice@example.org.evil.example", "from-mismatch"),
        ("From: alice@example.org\nSender: bob@example.org", "sender-mismatch"),
        ("From: bob@example.org\nSender: alice@example.org", "from-mismatch"),
        ("From: \u0430lice@example.org", "lookalike"),
        ("From: alice@examp1e.org", "lookalike"),
        ("To: bob@example.org", "from-missing"),
        ("From: alice@example.org\nFrom: alice@example.org", "several-from"),
    ],
)
def test_the_signer_is_not_the_sender(authority: Authority, header: str, code: str) -> None:
    assert identity(header, certificate(authority, "alice@example.org"))[0] == code


def test_a_certificate_without_an_address_is_for_no_sender(authority: Authority) -> None:
    assert identity("From: alice@example.org", certificate(authority)) == ["no-mailbox"]


def test_two_signers_can_be_the_two_senders(authority: Authority) -> None:
    both = certificate(authority, "alice@example.org"), certificate(authority, "bob@example.org")
    assert identity("From: alice@example.org, bob@example.org", *both) == []


def test_a_second_signer_has_to_be_a_sender_too(authority: Authority) -> None:
    both = certificate(authority, "alice@example.org"), certificate(authority, "bob@example.org")
    assert identity("From: alice@example.org", *both) == ["signer-mismatch"]


def test_an_expected_sender_stands_in_where_there_is_no_from(authority: Authority) -> None:
    alice = certificate(authority, "alice@example.org")
    assert identity("To: bob@example.org", alice, expected="alice@example.org") == []
    assert identity("To: bob@example.org", alice, expected="bob@example.org") == ["from-mismatch"]


def test_an_expected_sender_does_not_replace_the_from(authority: Authority) -> None:
    alice = certificate(authority, "alice@example.org")
    assert identity("From: bob@example.org", alice, expected="alice@example.org")[0] == "expected-sender"


def test_a_long_list_of_addresses_is_cut(authority: Authority) -> None:
    many = certificate(authority, *(f"a{number}@example.org" for number in range(50)))
    (reason,) = check_covered(["bob@example.org"], [many])
    assert reason.text.endswith("and 47 more")


@pytest.mark.parametrize(
    ("after", "codes"), [(timedelta(), []), (timedelta(minutes=59), []), (timedelta(hours=2), ["date-mismatch"])]
)
def test_a_mail_may_not_be_dated_long_after_it_was_signed(after: timedelta, codes: list[str]) -> None:
    date = (SIGNED_AT + after).strftime("%d %b %Y %H:%M:%S +0000")
    claims = read_claims([f"Date: {date}\r\n".encode()])
    assert [reason.code.value for reason in check_date(claims, [SIGNED_AT])] == codes


def test_a_mail_may_be_signed_long_after_its_date() -> None:
    claims = read_claims([b"Date: 1 Jan 2020 00:00:00 +0000\r\n"])
    assert list(check_date(claims, [SIGNED_AT])) == []


def test_without_a_signing_time_nothing_is_compared() -> None:
    claims = read_claims([b"Date: 1 Jan 2020 00:00:00 +0000\r\n"])
    assert list(check_date(claims, [None])) == []
