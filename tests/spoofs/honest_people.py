"""Honest senders and certificates that look strange."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.spoofs.asn1 import context, oid, sequence, set_of, tlv, utf8
from tests.spoofs.certificates import (
    ANY_PURPOSE,
    CODE_SIGNING,
    COMMITS,
    EMAIL_ADDRESS,
    EMAIL_PROTECTION,
    PAST,
    Wanted,
    dns,
    extended_key_usage,
    key_usage,
    name,
    name_constraints,
    rfc822,
    smtp_utf8,
)
from tests.spoofs.keys import ec_key
from tests.spoofs.mime import (
    ALICE,
)
from tests.spoofs.spoof import Honest
from tests.spoofs.workshop import AUTHORITY, Leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.certificates import Identity
    from tests.spoofs.workshop import Workshop


def honest_people(workshop: Workshop) -> Iterator[Honest]:
    """All of them."""
    yield from _senders(workshop)
    yield from _certificates(workshop)
    yield from _chains(workshop)
    yield from _revocation(workshop)


def _senders(workshop: Workshop) -> Iterator[Honest]:
    for label, value, why in (
        ("plain", ALICE, "an address alone"),
        ("own-address-as-name", f'"{ALICE}" <{ALICE}>', "the name is the same address"),
        ("own-address-upper", f'"{ALICE.upper()}" <{ALICE}>', "in other letter case"),
        ("own-address-in-word", "=?utf-8?q?alice=40example=2Eorg?= <alice@example.org>", "encoded"),
        ("own-address-in-comment", f"{ALICE} ({ALICE})", "in a comment"),
        ("quoted-name", f'"Example, Alice \\"A.\\"" <{ALICE}>', "quoted, with quoted pairs"),
        ("encoded-name", f"=?utf-8?q?Al=C3=ADce_Exam?= =?utf-8?b?cGxl?= <{ALICE}>", "two encoded words"),
        ("encoded-name-latin", f"=?iso-8859-1?q?Al=EDce?= <{ALICE}>", "in Latin-1"),
        ("utf8-name", f"Al\u00edce <{ALICE}>", "unencoded UTF-8 (RFC 6532)"),
        ("latin-name", b"Al\xedce <alice@example.org>", "unencoded Latin-1, which old programs send"),
        ("comments", f"(the real) Alice (Example) <{ALICE}> (at home)", "comments everywhere"),
        ("at-in-name", f'"Alice @ Example Ltd." <{ALICE}>', "an @ that makes no address"),
        ("folded", f"Alice\r\n\tExample\r\n <{ALICE}>", "folded"),
        ("upper-local-part", "Alice@example.org", "letter case of the local part"),
        ("upper-domain", "alice@EXAMPLE.Org", "letter case of the domain"),
        ("group", f"Authors: {ALICE};", "a group of one"),
        ("quoted-local-part", '"alice"@example.org', "quotes without need"),
        ("spaces", f"  <{ALICE}>  ", "white space"),
        ("twice-the-same", f"{ALICE}, Alice <{ALICE}>", "the same mailbox twice"),
        ("trailing-comma", f"{ALICE},", "an empty element (RFC 5322, 4.4)"),
    ):
        yield Honest(f"from-{label}", workshop.clear(value, workshop.alice), why)
    for label, fields, why in (
        ("reply-to", (("From", ALICE), ("Reply-To", "list@elsewhere.example")), "answers go elsewhere"),
        ("sender-same", (("From", ALICE), ("Sender", ALICE)), "Sender is From"),
        ("resent", (("Resent-From", "bob@example.net"), ("From", ALICE)), "somebody sent it again"),
        ("lower-case-fields", (("from", ALICE), ("sender", ALICE)), "names of fields in lower case"),
        ("list-fields", (("From", ALICE), ("List-Id", "<list.example.net>")), "through a list"),
    ):
        yield Honest(f"from-{label}", workshop.headed(*fields, signer=workshop.alice), why)


def _certificates(workshop: Workshop) -> Iterator[Honest]:
    both = workshop.leaf(Leaf((rfc822("alice@home.example"), rfc822(ALICE))))
    dn = workshop.leaf(Leaf(subject=name("Alice", (EMAIL_ADDRESS, ALICE))))
    address = sequence(oid(EMAIL_ADDRESS), tlv(0x16, ALICE.encode()))
    as_utf8 = sequence(set_of(sequence(oid(EMAIL_ADDRESS), utf8(ALICE))))
    together = sequence(set_of(sequence(oid("2.5.4.3"), utf8("Alice")), address))
    idn = "b\u00fccher.example"
    a_label = idn.encode("idna").decode()
    shouting = workshop.leaf(Leaf((rfc822("ALICE@Example.ORG"),)))
    utf8_mailbox = workshop.leaf(Leaf((smtp_utf8("\u00e4lice@example.org"),)))
    utf8_idn = workshop.leaf(Leaf((smtp_utf8(f"\u00e4lice@{idn}"),)))
    at_idn = workshop.leaf(Leaf((rfc822(f"alice@{a_label}"),)))
    any_purpose, purposes = extended_key_usage(ANY_PURPOSE), extended_key_usage(CODE_SIGNING, EMAIL_PROTECTION)
    principal = context(0, oid("1.3.6.1.4.1.311.20.2.3"), context(0, utf8("alice@internal")))
    for_mail = workshop.authority("Spoof Mail CA", extensions=(*AUTHORITY, extended_key_usage(EMAIL_PROTECTION)))
    for label, sender, signer, why in (
        ("several-addresses", ALICE, both, "the second of two"),
        ("several-covered", f"{ALICE}, alice@home.example", both, "two mailboxes, both hers"),
        ("address-in-dn", ALICE, dn, "no SAN, emailAddress in the DN"),
        ("address-in-dn-utf8", ALICE, workshop.leaf(Leaf(subject=as_utf8)), "the same as a UTF8String"),
        ("address-in-dn-together", ALICE, workshop.leaf(Leaf(subject=together)), "in one RDN with the name"),
        ("letter-case", ALICE, shouting, "capitals in the certificate"),
        ("a-label", f"alice@{a_label}", at_idn, "an IDN as its A-label"),
        ("u-label", f"alice@{idn}", at_idn, "the From says the U-label"),
        ("utf8-mailbox", "\u00e4lice@example.org", utf8_mailbox, "SmtpUTF8Mailbox"),
        ("utf8-mailbox-idn", f"\u00e4lice@{idn}", utf8_idn, "SmtpUTF8Mailbox at an IDN"),
        ("utf8-mailbox-a-label", f"\u00e4lice@{a_label}", utf8_idn, "the same, and the From says the A-label"),
        ("no-key-usage", ALICE, workshop.leaf(Leaf((rfc822(ALICE),), usage=None)), "no keyUsage permits all"),
        ("no-purpose", ALICE, workshop.leaf(Leaf((rfc822(ALICE),), purpose=None)), "so does no extendedKeyUsage"),
        ("usage-commitment", ALICE, workshop.leaf(Leaf((rfc822(ALICE),), usage=key_usage(COMMITS))), "nonRepudiation"),
        ("purpose-any", ALICE, workshop.leaf(Leaf((rfc822(ALICE),), purpose=any_purpose)), "anyExtendedKeyUsage"),
        ("purpose-several", ALICE, workshop.leaf(Leaf((rfc822(ALICE),), purpose=purposes)), "for mail and code"),
        ("other-names", ALICE, workshop.leaf(Leaf((principal, dns("example.org"), rfc822(ALICE)))), "names beside it"),
        ("constrained", ALICE, workshop.person(ALICE, issuer=_constrained(workshop)), "within all constraints"),
        ("authority-for-mail", ALICE, workshop.person(ALICE, issuer=for_mail), "a CA for mail alone"),
        ("no-constraints", ALICE, workshop.leaf(Leaf((rfc822(ALICE),), constraints=None)), "no basicConstraints"),
        ("empty-subject", ALICE, workshop.leaf(Leaf((rfc822(ALICE),), name())), "an empty subject"),
        ("by-root", ALICE, workshop.person(ALICE, issuer=workshop.root), "issued by the root itself"),
        ("long-chain", ALICE, workshop.person(ALICE, issuer=_below(workshop)), "two CAs between"),
    ):
        yield Honest(f"certificate-{label}", workshop.clear(sender, signer), why)
    for label, subject, why in (
        ("hebrew", "\u05d9\u05e9\u05e8\u05d0\u05dc 012345678", "a Hebrew name and a number"),
        ("arabic", "\u0639\u0644\u064a\u0633 (Alice)", "an Arabic name and a Latin one"),
        ("emoji", "Alice \U0001f600", "a picture"),
        ("new-letter", "Alice \u1e9e", "a letter that is newer than RFC 4518"),
        ("decomposed", "Alice A\u0308", "a letter and its accent"),
    ):
        signer = workshop.leaf(Leaf((rfc822(ALICE),), name(subject)))
        yield Honest(f"subject-{label}", workshop.clear(ALICE, signer), why)


def _chains(workshop: Workshop) -> Iterator[Honest]:
    issuing = workshop.issuing
    shouted = sequence(set_of(sequence(oid("2.5.4.3"), tlv(0x13, b"SPOOF  issuing ca"))))
    respelt = workshop.person(ALICE, issuer_name=shouted)
    unidentified = workshop.person(ALICE, identified=False)
    old = workshop.authority("Spoof Issuing CA", validity=PAST)
    stranger = Wanted(ec_key("stranger"), name("Stranger CA"), None, AUTHORITY).made()
    crossed = workshop.authority("Spoof Issuing CA", stranger)
    namesake = workshop.authority("Spoof Issuing CA", key=ec_key("another issuing"))
    alice = workshop.alice
    for label, signer, why in (
        ("respelt", respelt, "the issuer's name in another string type and letter case (RFC 5280, 7.1)"),
        ("unidentified", unidentified, "no key identifiers"),
        ("renewed", replace(alice, above=(old.certificate, issuing.certificate)), "the CA's old certificate too"),
        ("crossed", replace(alice, above=(crossed.certificate, stranger.certificate, issuing.certificate)), "two ways"),
        ("namesake", replace(alice, above=(namesake.certificate, issuing.certificate)), "another key of the CA"),
    ):
        yield Honest(f"chain-{label}", workshop.clear(ALICE, signer), why)


def _constrained(workshop: Workshop) -> Identity:
    permitted = (rfc822("example.org"), rfc822("alice@home.example"), dns("evil.example"))
    excluded = (rfc822("mallory@example.org"), rfc822(".example.org"), rfc822("evil.example"), dns("example.org"))
    constraints = name_constraints(permitted=permitted, excluded=excluded)
    return workshop.authority("Spoof Constrained CA", extensions=(*AUTHORITY, constraints))


def _below(workshop: Workshop) -> Identity:
    return workshop.authority("Spoof Lower CA", workshop.issuing)


def _revocation(workshop: Workshop) -> Iterator[Honest]:
    mail = workshop.clear(ALICE, workshop.alice)
    offline = ("--offline", "--revocation")
    files = ("--crl", "{crl}", "--crl", "{root_crl}")
    yield Honest("revocation-required", mail, "the CRLs do not list her", (*offline, "require", *files))
    yield Honest("revocation-preferred", mail, "nobody can say", (*offline, "prefer"))
    forged = ("--crl", "{forged_crl}")
    yield Honest("revocation-forged-crl", mail, "a CRL that nobody issued says nothing", (*offline, "prefer", *forged))
    yield Honest("expected-sender", mail, "it was asked for", ("--from", "ALICE@example.org"))
