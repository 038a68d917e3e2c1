"""Certificates that say the right address, and that nobody may believe."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.spoofs.asn1 import NULL, bits, context, integer, oid, sequence
from tests.spoofs.certificates import (
    CODE_SIGNING,
    EMAIL_ADDRESS,
    ENCIPHERS,
    FUTURE,
    ISSUES,
    PAST,
    SERVER_AUTH,
    SIGNS,
    SIGNS_CRLS,
    RevocationList,
    Wanted,
    basic_constraints,
    extended_key_usage,
    extension,
    key_usage,
    name,
    name_constraints,
    rfc822,
    smtp_utf8,
)
from tests.spoofs.cms import SignerInfo, signed, usual
from tests.spoofs.keys import dsa_key, ec_key, rsa_key
from tests.spoofs.mime import ALICE, ENTITY, clear_mail
from tests.spoofs.spoof import Spoof
from tests.spoofs.workshop import AUTHORITY, Leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.certificates import Identity
    from tests.spoofs.workshop import Workshop

_Row = tuple[str, "Identity", str, str]
_UNKNOWN = extension("1.3.6.1.4.1.99999.1", NULL, critical=True)
_EXPLICIT_POLICY = extension("2.5.29.36", sequence(b"\x80\x01\x00"), critical=True)


def paths(workshop: Workshop) -> Iterator[Spoof]:
    """All of them."""
    for label, signer, code, why in (
        *_issuers(workshop),
        *_authorities(workshop),
        *_constraints(workshop),
        *_times(workshop),
        *_uses(workshop),
        *_weak(workshop),
    ):
        yield Spoof(label, workshop.clear(ALICE, signer), "untrusted", code, why)
    yield from _international_constraints(workshop)
    yield from _signing_times(workshop)
    yield from _revocation(workshop)
    yield from _unreadable(workshop)


def _issuers(workshop: Workshop) -> Iterator[_Row]:
    alone = workshop.person(ALICE, issuer=None)
    yield "self-signed", alone, "self-signed", "anybody can"
    named = workshop.person(ALICE, issuer=None, subject=workshop.root.subject)
    yield "self-signed-with-name-of-root", named, "self-signed", "the root's name is no secret"
    stranger = Wanted(ec_key("stranger"), name("Stranger CA"), None, AUTHORITY).made()
    unknown = workshop.person(ALICE, issuer=stranger)
    yield "unknown-issuer", unknown, "unknown-issuer", "a CA that is not there"
    brought = replace(unknown, above=(stranger.certificate,))
    yield "unknown-root-in-mail", brought, "unknown-issuer", "a root that the mail brings is no anchor"
    namesake = Wanted(ec_key("namesake"), workshop.root.subject, None, AUTHORITY).made()
    forged = replace(workshop.person(ALICE, issuer=namesake), above=(namesake.certificate,))
    yield "root-with-same-name", forged, "unknown-issuer", "the name of the root, and another key"
    blind = workshop.person(ALICE, issuer=replace(namesake, above=()), identified=False)
    yield "root-with-same-name-unidentified", blind, "certificate-signature", "and no identifiers to tell them apart"
    yield "signature-spoilt", workshop.person(ALICE, spoilt=True), "certificate-signature", "nobody issued it"
    spoilt = workshop.authority("Spoof Spoilt CA", spoilt=True)
    yield "authority-signature-spoilt", workshop.person(ALICE, issuer=spoilt), "certificate-signature", "one above"
    missing = replace(workshop.alice, above=())
    yield "intermediate-missing", missing, "unknown-issuer", "no path without what is between"


def _authorities(workshop: Workshop) -> Iterator[_Row]:
    for label, extensions, code, why in (
        ("authority-no-constraints", (key_usage(ISSUES, SIGNS_CRLS),), "issuer-not-ca", "no basicConstraints"),
        ("authority-no-extensions", (), "issuer-not-ca", "none at all"),
        (
            "authority-says-it-is-none",
            (basic_constraints(ca=False), key_usage(ISSUES, SIGNS_CRLS)),
            "issuer-not-ca",
            "cA is false",
        ),
        ("authority-may-not-issue", (basic_constraints(ca=True), key_usage(SIGNS)), "issuer-not-ca", "keyUsage"),
        (
            "authority-for-hosts",
            (*AUTHORITY, extended_key_usage(SERVER_AUTH)),
            "extended-key-usage",
            "a CA for TLS servers",
        ),
        ("authority-unknown-critical", (*AUTHORITY, _UNKNOWN), "critical-extension", "nobody knows what it forbids"),
        ("authority-wants-policy", (*AUTHORITY, _EXPLICIT_POLICY), "certificate-policy", "and there is none"),
    ):
        above = workshop.authority(f"Spoof {label}", extensions=extensions)
        yield label, workshop.person(ALICE, issuer=above), code, why
    yield "issued-by-person", workshop.person(ALICE, issuer=workshop.carol), "issuer-not-ca", "a leaf is no CA"
    old = workshop.authority("Spoof Version 1", version=1)
    yield "authority-version-1", workshop.person(ALICE, issuer=old), "issuer-not-ca", "X.509 before extensions"
    short = (basic_constraints(ca=True, path_length=0), key_usage(ISSUES, SIGNS_CRLS))
    last = workshop.authority("Spoof Last CA", extensions=short)
    beyond = workshop.authority("Spoof Beyond CA", last)
    yield "path-length", workshop.person(ALICE, issuer=beyond), "path-length", "one CA more than allowed"


def _constraints(workshop: Workshop) -> Iterator[_Row]:
    for label, permitted, excluded, why in (
        ("constraint-permitted-host", ("evil.example",), (), "another host is permitted"),
        ("constraint-permitted-domain", (".example.org",), (), "hosts below it are, and it is not"),
        ("constraint-permitted-mailbox", ("mallory@evil.example",), (), "another mailbox is permitted"),
        ("constraint-permitted-mailbox-same-host", ("carol@example.org",), (), "another of the same host is"),
        ("constraint-excluded-host", (), ("example.org",), "its host is excluded"),
        ("constraint-excluded-domain", (), (".org",), "all hosts below org are"),
        ("constraint-excluded-mailbox", (), (ALICE,), "it is excluded itself"),
        ("constraint-excluded-wins", ("example.org",), (ALICE,), "permitted, and excluded"),
    ):
        above = _constrained(workshop, label, permitted, excluded)
        yield label, workshop.person(ALICE, issuer=above), "name-constraints", why
    shouting = _constrained(workshop, "shouting", (), ("EXAMPLE.ORG",))
    why = "its host is excluded, in capitals"
    yield "constraint-excluded-upper", workshop.person(ALICE, issuer=shouting), "name-constraints", why
    directory = name_constraints(excluded=[context(4, name("Alice"))])
    above = workshop.authority("Spoof directory", extensions=(*AUTHORITY, directory))
    yield "constraint-on-name", workshop.person(ALICE, issuer=above), "name-constraints", "the DN is excluded"
    above = _constrained(workshop, "two levels", ("evil.example",), ())
    below = workshop.authority("Spoof Unconstrained CA", above)
    yield "constraint-two-above", workshop.person(ALICE, issuer=below), "name-constraints", "of the CA's CA"
    leaf = Leaf(subject=name((EMAIL_ADDRESS, ALICE)))
    yield "constraint-on-dn", workshop.leaf(leaf, issuer=above), "name-constraints", "the DN's address too"


def _constrained(workshop: Workshop, label: str, permitted: tuple[str, ...], excluded: tuple[str, ...]) -> Identity:
    constraints = name_constraints(permitted=map(rfc822, permitted), excluded=map(rfc822, excluded))
    return workshop.authority(f"Spoof {label}", extensions=(*AUTHORITY, constraints))


def _international_constraints(workshop: Workshop) -> Iterator[Spoof]:
    address = "\u00e4lice@example.org"
    leaf = Leaf((smtp_utf8(address),))
    for label, permitted, excluded, why in (
        ("constraint-utf8-permitted", ("evil.example",), (), "an rfc822Name constrains it too (RFC 9598, 6)"),
        ("constraint-utf8-excluded", (), ("example.org",), "the same, excluded"),
        ("constraint-utf8-excluded-domain", (), (".org",), "the same, for all hosts below"),
    ):
        signer = workshop.leaf(leaf, issuer=_constrained(workshop, label, permitted, excluded))
        yield Spoof(label, workshop.clear(address, signer), "untrusted", "name-constraints", why)
    address = "\u00e4lice@b\u00fccher.example"
    a_label = "b\u00fccher.example".encode("idna").decode()
    for label, host in (("a-label", a_label), ("a-label-domain", ".example")):
        above = _constrained(workshop, label, (), (host,))
        mail = workshop.clear(address, workshop.leaf(Leaf((smtp_utf8(address),)), issuer=above))
        why = "an IDN is excluded by its A-label"
        yield Spoof(f"constraint-utf8-{label}", mail, "untrusted", "name-constraints", why)
    # RFC 5280, 4.2.1.10: a form of names that a program does not know how to constrain is refused.
    other = name_constraints(permitted=[smtp_utf8("\u00e4lice@example.org")])
    above = workshop.authority("Spoof other names", extensions=(*AUTHORITY, other))
    mail = workshop.clear(address, workshop.leaf(Leaf((smtp_utf8(address),)), issuer=above))
    yield Spoof("constraint-as-utf8", mail, "untrusted", "name-constraints", "a constraint that nobody has defined")
    # RFC 9598, 3: an ASCII local part has to be an rfc822Name. Else no constraint would see it.
    hidden = workshop.leaf(Leaf((smtp_utf8(ALICE),)), issuer=_constrained(workshop, "hidden", ("evil.example",), ()))
    why = "an ASCII address where constraints may not look"
    yield Spoof("constraint-utf8-ascii", workshop.clear(ALICE, hidden), "untrusted", "name-constraints", why)


def _times(workshop: Workshop) -> Iterator[_Row]:
    yield "expired", workshop.person(ALICE, validity=PAST), "expired", "it was good"
    yield "not-yet-valid", workshop.person(ALICE, validity=FUTURE), "not-yet-valid", "it will be good"
    # The signature claims a time at which the certificate was valid, as anybody can.
    forged = workshop.person(ALICE, validity=("250101000000Z", "260401000000Z"), key=ec_key("forged time"))
    yield "signing-time-within-expired", forged, "expired", "signingTime is only a claim"
    for label, validity in (("expired", PAST), ("not yet valid", FUTURE)):
        above = workshop.authority(f"Spoof {label} CA", validity=validity)
        row = f"issuer-{label.replace(' ', '-')}"
        yield row, workshop.person(ALICE, issuer=above), "issuer-expired", f"the CA is {label}"


def _uses(workshop: Workshop) -> Iterator[_Row]:
    names = (rfc822(ALICE),)
    for label, leaf, code, why in (
        ("purpose-hosts", Leaf(names, purpose=extended_key_usage(SERVER_AUTH)), "extended-key-usage", "for TLS"),
        ("purpose-code", Leaf(names, purpose=extended_key_usage(CODE_SIGNING)), "extended-key-usage", "for code"),
        ("usage-encryption", Leaf(names, usage=key_usage(ENCIPHERS)), "key-usage", "only for encryption to her"),
        ("usage-issuing", Leaf(names, usage=key_usage(ISSUES)), "key-usage", "only for certificates"),
        ("unknown-critical", Leaf(names, extra=(_UNKNOWN,)), "critical-extension", "nobody knows what it forbids"),
    ):
        yield label, workshop.leaf(leaf), code, why


def _weak(workshop: Workshop) -> Iterator[_Row]:
    yield "weak-chain-sha1", workshop.person(ALICE, digest="sha1"), "weak-digest", "its certificate can be forged"
    above = workshop.authority("Spoof SHA-1 CA", digest="sha1")
    yield "weak-chain-sha1-above", workshop.person(ALICE, issuer=above), "weak-digest", "so can the CA's"
    rsa_above = workshop.authority("Spoof RSA CA", key=rsa_key("authority"))
    yield "weak-chain-md5", workshop.person(ALICE, issuer=rsa_above, digest="md5"), "weak-digest", "MD5"
    yield "weak-key", workshop.with_key(ALICE, rsa_key("short", 1024)), "weak-key", "RSA with 1024 bits"
    small = workshop.authority("Spoof Small CA", key=rsa_key("small", 1024))
    yield "weak-key-above", workshop.person(ALICE, issuer=small), "weak-key", "the CA's key"
    yield "dsa", workshop.with_key(ALICE, dsa_key("alice")), "legacy-algorithm", "DSA"


def _signing_times(workshop: Workshop) -> Iterator[Spoof]:
    for label, at, code, why in (
        ("signing-time-future", "481101100000Z", "signing-time-in-future", "in twenty years"),
        ("signing-time-early", "240101100000Z", "signing-time-too-early", "before the certificate was there"),
    ):
        cms = replace(signed(workshop.alice, ENTITY), signer_infos=(_at(workshop.alice, at),))
        mail = clear_mail(cms.der)
        yield Spoof(label, mail, "untrusted", code, why)


def _at(signer: Identity, at: str) -> SignerInfo:
    return SignerInfo(signer, usual(ENTITY, at=at))


def _revocation(workshop: Workshop) -> Iterator[Spoof]:
    gone = workshop.clear(ALICE, workshop.revoked)
    prefer, require = (("--revocation", how, "--offline") for how in ("prefer", "require"))
    why = "the CRL of its issuer lists it"
    yield Spoof("revoked", gone, "untrusted", "revoked", why, (*prefer, "--crl", "{crl}"))
    both = ("--crl", "{crl}", "--crl", "{root_crl}")
    yield Spoof("revoked-required", gone, "untrusted", "revoked", why, (*require, *both))
    brought = replace(signed(workshop.revoked, ENTITY), crls=(workshop.files()["crl"],))
    mail = clear_mail(brought.der)
    yield Spoof("revoked-by-crl-in-mail", mail, "untrusted", "revoked", "the mail itself says so", prefer)
    above = workshop.clear(ALICE, workshop.person(ALICE, issuer=workshop.revoked_authority))
    files: tuple[str, ...] = ("--crl", "{root_crl}", "--crl", "{revoked_authority_crl}")
    yield Spoof("issuer-revoked", above, "untrusted", "issuer-revoked", "the CA was revoked", (*prefer, *files))
    hebrew = workshop.clear(ALICE, workshop.revoked_by_hebrew_authority)
    why = "the CRL of a CA whose name is not easy to compare lists it"
    yield Spoof("revoked-by-hebrew-authority", hebrew, "untrusted", "revoked", why, (*prefer, "--crl", "{hebrew_crl}"))
    mail = workshop.clear(ALICE, workshop.alice)
    for label, files, why in (
        ("revocation-nowhere", (), "nobody says it is good"),
        ("revocation-stale", ("--crl", "{stale_crl}", "--crl", "{root_crl}"), "the CRL is of last year"),
        ("revocation-forged", ("--crl", "{forged_crl}", "--crl", "{root_crl}"), "the CRL is not of its issuer"),
        ("revocation-of-issuer-only", ("--crl", "{root_crl}"), "only of the CA"),
        ("revocation-of-leaf-only", ("--crl", "{crl}"), "only of the leaf"),
    ):
        yield Spoof(label, mail, "untrusted", "revocation-unknown", why, (*require, *files))
    empty = replace(signed(workshop.alice, ENTITY), crls=(RevocationList(workshop.issuing, key=ec_key("x")).made(),))
    forged = clear_mail(empty.der)
    why = "the mail brings a CRL of its own making"
    options = (*require, "--crl", "{root_crl}")
    yield Spoof("revocation-forged-in-mail", forged, "untrusted", "revocation-unknown", why, options)


def _unreadable(workshop: Workshop) -> Iterator[Spoof]:
    for label, changed, why in (
        ("certificate-cut", workshop.alice.certificate[:-40], "the end is missing"),
        ("certificate-no-certificate", sequence(integer(1), bits(b"")), "something else"),
    ):
        cms = replace(signed(workshop.alice, ENTITY), certificates=(changed, workshop.issuing.certificate))
        mail = clear_mail(cms.der)
        verdict, code = ("invalid", "malformed-cms") if label == "certificate-cut" else ("untrusted", "no-certificate")
        yield Spoof(label, mail, verdict, code, why)
    point = sequence(sequence(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")), bits(b"\x04" + b"\x01" * 64))
    odd = workshop.person(ALICE, public_info=point)
    why = "a point that is not on the curve"
    yield Spoof("certificate-key-unreadable", workshop.clear(ALICE, odd), "invalid", "unsupported-algorithm", why)
    twice = Leaf((rfc822("mallory@evil.example"),), extra=(extension("2.5.29.17", sequence(rfc822(ALICE))),))
    mail = workshop.clear(ALICE, workshop.leaf(twice))
    yield Spoof("certificate-two-sans", mail, "untrusted", "certificate-unreadable", "the same extension twice")
