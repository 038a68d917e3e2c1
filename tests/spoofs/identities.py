"""Whose certificate it is: each signs rightly, with a certificate of the trusted CA that is not for the From."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.spoofs.asn1 import context, sequence
from tests.spoofs.certificates import EMAIL_ADDRESS, dns, extension, name, rfc822, smtp_utf8, uri
from tests.spoofs.mime import ALICE, MALLORY
from tests.spoofs.spoof import Spoof
from tests.spoofs.workshop import Leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.workshop import Workshop


def identities(workshop: Workshop) -> Iterator[Spoof]:
    """All of them."""
    yield from _without_alternative_name(workshop)
    yield from _alternative_names(workshop)
    yield from _lookalikes(workshop)
    yield from _octets(workshop)


def _without_alternative_name(workshop: Workshop) -> Iterator[Spoof]:
    mail = workshop.clear(ALICE)
    yield Spoof("certificate-of-another", mail, "mismatch", "from-mismatch", "the attacker signs as herself")
    for label, leaf, code, why in (
        ("certificate-no-address", Leaf(), "no-mailbox", "a certificate for nobody in particular"),
        ("certificate-address-in-cn", Leaf(subject=name(ALICE)), "no-mailbox", "a common name is no address"),
        (
            "certificate-address-in-dn-beside-san",
            Leaf((rfc822(MALLORY),), name("Alice", (EMAIL_ADDRESS, ALICE))),
            "from-mismatch",
            "the DN counts only where there is no SAN (RFC 8550, 3)",
        ),
        (
            "certificate-address-in-dn-beside-dns",
            Leaf((dns("example.org"),), name("Alice", (EMAIL_ADDRESS, ALICE))),
            "no-mailbox",
            "the same, and the SAN has no address",
        ),
        (
            "certificate-two-in-dn",
            Leaf(subject=name((EMAIL_ADDRESS, MALLORY), (EMAIL_ADDRESS, "carol@example.org"))),
            "from-mismatch",
            "two addresses in the DN, neither the From's",
        ),
        (
            "certificate-two-in-one-dn",
            Leaf(subject=name((EMAIL_ADDRESS, f"{ALICE}, {MALLORY}"))),
            "no-mailbox",
            "two addresses in one attribute",
        ),
        (
            "certificate-utf8-in-dn",
            Leaf(subject=name((EMAIL_ADDRESS, "\u0430lice@example.org"))),
            "no-mailbox",
            "a Cyrillic letter in emailAddress, which is an IA5String",
        ),
        (
            "certificate-empty-san",
            Leaf(subject=name((EMAIL_ADDRESS, ALICE)), extra=(extension("2.5.29.17", sequence()),)),
            "no-mailbox",
            "a SAN without a name, beside the DN's address",
        ),
        (
            "certificate-address-in-directory-name",
            Leaf((context(4, name((EMAIL_ADDRESS, ALICE))),)),
            "no-mailbox",
            "an address in a DN in the SAN",
        ),
        (
            "certificate-address-of-issuer",
            Leaf((rfc822(MALLORY),), extra=(extension("2.5.29.18", sequence(rfc822(ALICE))),)),
            "from-mismatch",
            "issuerAltName",
        ),
        ("certificate-dns-only", Leaf((dns("example.org"),)), "no-mailbox", "the domain's host is not its people"),
        ("certificate-uri", Leaf((uri(f"mailto:{ALICE}"),)), "no-mailbox", "a link is no mailbox"),
    ):
        yield Spoof(label, workshop.clear(ALICE, workshop.leaf(leaf)), "mismatch", code, why)


def _alternative_names(workshop: Workshop) -> Iterator[Spoof]:
    for label, sender, address, why in (
        ("san-wildcard", ALICE, "*@example.org", "no wildcards in mailboxes"),
        ("san-plus", ALICE, "alice+x@example.org", "a tag is another mailbox"),
        ("from-plus", "alice+x@example.org", ALICE, "the same, the other way round"),
        ("san-dots", ALICE, "a.lice@example.org", "dots count"),
        ("san-prefix", ALICE, "alice@example.organic", "a domain that begins like it"),
        ("san-suffix", ALICE, "notalice@example.org", "a mailbox that ends like it"),
        ("san-subdomain", ALICE, "alice@mail.example.org", "a subdomain"),
        ("san-quoted", ALICE, '"alice@example.org"@evil.example', "quoted, at the attacker's"),
    ):
        mail = workshop.clear(sender, workshop.leaf(Leaf((rfc822(address),))))
        yield Spoof(label, mail, "mismatch", "from-mismatch", why)
    for label, address, why in (
        ("san-wildcard-domain", "alice@*.org", "no wildcards in domains"),
        ("san-wildcard-all", "*", "nor alone"),
        ("san-regular-expression", "alice@example...", "nor patterns"),
        ("san-domain-only", "example.org", "a form of name constraints"),
        ("san-at-domain", "@example.org", "a form of mail servers"),
        ("san-local-part-only", "alice", "without a domain"),
        ("san-trailing-dot", "alice@example.org.", "a dot that DNS forgives"),
        ("san-source-route", f"@evil.example:{ALICE}", "a route"),
    ):
        mail = workshop.clear(ALICE, workshop.leaf(Leaf((rfc822(address),))))
        yield Spoof(label, mail, "mismatch", "no-mailbox", why)


def _lookalikes(workshop: Workshop) -> Iterator[Spoof]:
    idn = "\u0435xample.org".encode("idna").decode()
    for label, sender, names, why in (
        ("case-kelvin-in-certificate", "mark@example.org", smtp_utf8("mar\u212a@example.org"), "its lower case is k"),
        ("case-kelvin-in-from", "mar\u212a@example.org", rfc822("mark@example.org"), "the other way round"),
        ("case-long-s-in-certificate", "susan@example.org", smtp_utf8("\u017fusan@example.org"), "upper case is S"),
        ("case-long-s-in-from", "\u017fusan@example.org", rfc822("susan@example.org"), "the other way round"),
        ("case-long-s-domain", "al@\u017fite.example", rfc822("al@site.example"), "in the domain"),
        ("case-dotless-i", "al\u0131ce@example.org", rfc822(ALICE), "the dotless i"),
        ("case-dotted-i", "al\u0130ce@example.org", rfc822(ALICE), "the dotted capital, two in lower case"),
        ("case-sharp-s", "stra\u00dfe@example.org", rfc822("strasse@example.org"), "folds to ss"),
        ("homograph-in-certificate", ALICE, smtp_utf8("\u0430lice@example.org"), "a Cyrillic letter"),
        ("homograph-in-from", "\u0430lice@example.org", rfc822(ALICE), "the other way round"),
        ("homograph-domain-certificate", ALICE, rfc822(f"alice@{idn}"), "a Cyrillic letter in the domain"),
        ("homograph-domain-from", "alice@\u0435xample.org", rfc822(ALICE), "the other way round"),
        ("homograph-domain-a-label", f"alice@{idn}", rfc822(ALICE), "the other way round, as an A-label"),
        ("digit-for-letter", "a1ice@example.org", rfc822(ALICE), "a one for an l"),
        ("two-letters-for-one", "alice@exarnple.org", rfc822(ALICE), "r and n for an m"),
        ("utf8-decomposed", "jos\u00e9@example.org", smtp_utf8("jose\u0301@example.org"), "octets count (RFC 9598)"),
        ("utf8-without-accent", "jose@example.org", smtp_utf8("jos\u00e9@example.org"), "an accent counts"),
        ("utf8-full-width", ALICE, smtp_utf8("\uff41lice@example.org"), "compatibility forms do not count"),
    ):
        mail = workshop.clear(sender, workshop.leaf(Leaf((names,))))
        yield Spoof(label, mail, "mismatch", "lookalike", why)
    other = workshop.leaf(Leaf((smtp_utf8("\u00e4lice@example.org"),)))
    mail = workshop.clear("\u00f6lice@example.org", other)
    yield Spoof("utf8-another-letter", mail, "mismatch", "from-mismatch", "a near miss")


def _octets(workshop: Workshop) -> Iterator[Spoof]:
    for label, address, why in (
        ("san-nul", f"{ALICE}\0.evil.example", "what ends a string in C"),
        ("san-nul-before-at", "alice\0@example.org", "the same"),
        ("san-newline", f"{MALLORY}\n{ALICE}", "two lines"),
        ("san-display-name", f"Alice <{ALICE}>", "no mailbox, but a name and a mailbox (RFC 5280, 4.2.1.6)"),
        ("san-angles", f"<{ALICE}>", "in angles"),
        ("san-list", f"{ALICE}, {MALLORY}", "a list"),
        ("san-leading-space", f" {ALICE}", "a space before"),
        ("san-trailing-space", f"{ALICE} ", "a space after"),
        ("san-comment", "alice(evil)@example.org", "a comment"),
        ("san-empty", "", "no octets at all"),
    ):
        mail = workshop.clear(ALICE, workshop.leaf(Leaf((rfc822(address),))))
        yield Spoof(label, mail, "mismatch", "no-mailbox", why)
    for label, names, why in (
        ("san-eight-bit", rfc822("\u0430lice@example.org".encode()), "an IA5String that holds UTF-8"),
        ("san-latin-1", rfc822(b"al\xedce@example.org"), "an IA5String that holds Latin-1"),
        ("utf8-invisible", smtp_utf8("al\u200bice@example.org"), "a character without a width"),
    ):
        mail = workshop.clear(ALICE, workshop.leaf(Leaf((names,))))
        yield Spoof(label, mail, "mismatch", "no-mailbox", why)
