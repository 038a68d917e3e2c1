"""Name constraints on addresses, in whatever form a certificate has them."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from smime_agent.trust.constraints import MailboxConstraints, forbidden_name
from smime_agent.trust.evidence import RevocationMode
from smime_agent.trust.path import PathValidator, TrustPolicy
from tests.support.pki import MAIL, NOW, Extensions, Party, signer

ROOT = Party("Example Root")


def constrained(permitted: list[str] | None = None, excluded: list[str] | None = None) -> Party:
    """A CA that may give out only these addresses, or not those."""
    trees = [[x509.RFC822Name(base) for base in bases] if bases else None for bases in (permitted, excluded)]
    return Party("Constrained CA", ROOT, extra=((x509.NameConstraints(*trees), True),))


def forbids(ca: Party, leaf: Party) -> bool:
    return forbidden_name((leaf.certificate, ca.certificate, ROOT.certificate)) is not None


@pytest.mark.parametrize(
    ("base", "address", "within"),
    [
        ("example.org", "alice@example.org", True),
        ("example.org", "alice@EXAMPLE.org", True),
        ("example.org", "alice@mail.example.org", False),
        ("example.org", "alice@badexample.org", False),
        (".example.org", "alice@mail.example.org", True),
        (".example.org", "alice@example.org", False),
        (".example.org", "alice@badexample.org", False),
        ("alice@example.org", "alice@example.org", True),
        ("alice@example.org", "bob@example.org", False),
        ("example.org", "example.org@example.com", False),
        ("xn--mller-kva.example", "älice@müller.example", True),
        ("xn--mller-kva.example", "alice@xn--mller-kva.example", True),
        (".xn--mller-kva.example", "älice@mail.müller.example", True),
        ("example.org", "älice@müller.example", False),
        ("example.org", "älice@example.org", True),
    ],
)
def test_what_is_within_a_permitted_tree(base: str, address: str, within: bool) -> None:  # noqa: FBT001 - pytest passes it
    assert forbids(constrained([base]), signer(None, address=address)) is not within


@pytest.mark.parametrize("address", ["alice@example.org", "älice@example.org", "alice@EXAMPLE.ORG"])
def test_an_excluded_host(address: str) -> None:
    assert forbids(constrained(excluded=["example.org"]), signer(None, address=address))


@pytest.mark.parametrize("address", ["alice@example.com", "älice@müller.example"])
def test_what_is_not_excluded(address: str) -> None:
    assert not forbids(constrained(excluded=["example.org"]), signer(None, address=address))


def test_an_excluded_mailbox_in_other_letters() -> None:
    assert forbids(constrained(excluded=["alice@example.org"]), signer(None, address="Alice@example.org"))


def test_a_host_in_u_labels_is_excluded_in_a_labels() -> None:
    assert forbids(constrained(excluded=["xn--mller-kva.example"]), signer(None, address="älice@MÜLLER.example"))


def test_every_address_counts() -> None:
    names = x509.SubjectAlternativeName([x509.RFC822Name("a@example.org"), x509.RFC822Name("a@example.com")])
    assert forbids(constrained(["example.org"]), signer(None, extra=((MAIL, False), (names, False))))


def in_subject(extra: Extensions = ()) -> Party:
    subject = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "alice@example.com")])
    return signer(None, address=None, subject=subject, extra=extra)


def test_an_address_in_the_subject_counts_where_there_is_no_other_name() -> None:
    assert forbids(constrained(["example.org"]), in_subject())


def test_an_address_in_the_subject_does_not_count_beside_other_names() -> None:
    names = x509.SubjectAlternativeName([x509.RFC822Name("alice@example.org")])
    assert not forbids(constrained(["example.org"]), in_subject(((names, False),)))


def test_constraints_of_several_cas_all_hold() -> None:
    first = constrained(["example.org", "example.com"])
    second = Party("Second", first, extra=((x509.NameConstraints([x509.RFC822Name("example.com")], None), True),))
    leaf = signer(second, address="alice@example.org")
    assert forbidden_name(tuple(one.certificate for one in (leaf, second, first, ROOT)))


def test_the_constraints_of_an_anchor_hold_too() -> None:
    anchor = constrained(["example.org"]).certificate
    assert forbidden_name((signer(None, address="alice@example.com").certificate, anchor))
    assert not forbidden_name((signer(None, address="alice@example.org").certificate, anchor))


def test_an_excluded_mailbox_is_excluded_in_quotes() -> None:
    constraints = MailboxConstraints()
    constraints.add(None, ["alice@example.org"])
    assert constraints.forbids('"alice"@example.org')


def test_a_directory_name_outside_of_what_is_permitted() -> None:
    tree = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example")]))
    ca = Party("Constrained CA", ROOT, extra=((x509.NameConstraints([tree], None), True),))
    assert forbids(ca, signer(None))


def test_names_of_a_kind_that_cannot_be_compared_are_forbidden() -> None:
    """RFC 5280, 4.2.1.10: process the constraint or reject the certificate."""
    tree = x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    ca = Party("Constrained CA", ROOT, extra=((x509.NameConstraints([tree], None), True),))
    name = x509.SubjectAlternativeName([x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")])
    assert forbids(ca, signer(None, address=None, extra=((name, False),)))
    assert not forbids(ca, signer(None))  # it has none


def test_without_constraints_nothing_is_forbidden() -> None:
    assert not MailboxConstraints().forbids("anybody@anywhere.example")


def test_a_constraint_in_a_labels_does_not_stop_a_valid_path() -> None:
    """The library alone would refuse it."""
    ca = constrained(["xn--mller-kva.example"])
    validator = PathValidator(TrustPolicy((ROOT.anchor,), NOW, RevocationMode.OFF))
    leaf = signer(ca, address="alice@xn--mller-kva.example")
    assert not validator.validate(leaf.certificate, [ca.der]).reasons
