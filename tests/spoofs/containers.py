"""Who signed, and what the SignedData is: signers, contents, and other things in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.spoofs.asn1 import NULL, context, integer, octets, oid, sequence
from tests.spoofs.certificates import Wanted
from tests.spoofs.cms import (
    COMPRESSED_DATA,
    DATA,
    DIGESTED_DATA,
    ENVELOPED_DATA,
    SIGNED_DATA,
    SignedData,
    SignerInfo,
    content_info,
    content_type,
    enveloped,
    message_digest,
    signed,
    signing_time,
    usual,
)
from tests.spoofs.keys import digest, digest_algorithm, ec_key
from tests.spoofs.mime import ALICE, ENTITY, OTHER_ENTITY, clear_mail, opaque, sent_by
from tests.spoofs.spoof import Spoof
from tests.spoofs.workshop import AUTHORITY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.certificates import Identity
    from tests.spoofs.workshop import Workshop


def containers(workshop: Workshop) -> Iterator[Spoof]:
    """All of them."""
    yield from _signers(workshop)
    yield from _who(workshop)
    yield from _detachment(workshop)
    yield from _confusion(workshop.alice)
    yield from _containers(workshop.alice)


def _signers(workshop: Workshop) -> Iterator[Spoof]:
    alice, mallory = (SignerInfo(each, usual(ENTITY)) for each in (workshop.alice, workshop.mallory))
    broken = replace(SignerInfo(workshop.carol, usual(ENTITY)), over=b"else")
    everybody = (*workshop.alice.chain, workshop.mallory.certificate, workshop.carol.certificate)
    weak = SignerInfo(workshop.alice, usual(ENTITY, "sha1"), digest="sha1")
    unknown = SignerInfo(workshop.person("dave@example.org"), usual(ENTITY))
    for label, signer_infos, verdict, code, why in (
        ("signers-second-broken", (alice, broken), "invalid", "signature-mismatch", "one of two is"),
        ("signers-first-broken", (broken, alice), "invalid", "signature-mismatch", "the other is"),
        ("signers-stranger-too", (alice, mallory), "mismatch", "signer-mismatch", "nobody knows who joined"),
        ("signers-stranger-first", (mallory, alice), "mismatch", "signer-mismatch", "the same"),
        ("signers-second-unknown", (alice, unknown), "untrusted", "no-certificate", "one cannot be checked"),
        ("signers-one-weak", (alice, weak), "untrusted", "weak-digest", "the worst counts"),
        ("signers-none", (), "invalid", "no-signer", "a signature of nobody"),
    ):
        yield Spoof(label, clear_mail(SignedData(signer_infos, everybody).der), verdict, code, why)
    nobody = SignedData((), workshop.alice.chain, ENTITY, digests=("sha256",))
    mail = sent_by(ALICE) + opaque(nobody.der)
    yield Spoof("signers-none-opaque", mail, "invalid", "no-signer", "the same, with its content")
    yield Spoof("no-certificates", clear_mail(SignedData((alice,)).der), "untrusted", "no-certificate", "nobody to ask")


def _who(workshop: Workshop) -> Iterator[Spoof]:
    brought = SignedData(
        (SignerInfo(workshop.mallory, usual(ENTITY)),), (*workshop.alice.chain, workshop.mallory.certificate)
    )
    why = "the victim's certificate is there, and did not sign"
    yield Spoof("certificate-of-victim-beside", clear_mail(brought.der), "mismatch", "from-mismatch", why)
    # The attacker's certificate claims the victim's key identifier; her key made the signature.
    shared = workshop.mallory_as_alice
    info = SignerInfo(workshop.alice, usual(ENTITY), by_key_identifier=True, key=shared.key)
    for label, certificates in (
        ("", (*workshop.alice.chain, shared.certificate)),
        ("-first", (shared.certificate, *workshop.alice.chain)),
    ):
        mail = clear_mail(SignedData((info,), certificates).der)
        why = "two certificates with one key identifier"
        yield Spoof(f"key-identifier-of-victim{label}", mail, "mismatch", "from-mismatch", why)

    # A CA of the same name gave the attacker a certificate with the victim's serial number.
    namesake = Wanted(ec_key("other issuing"), workshop.issuing.subject, None, AUTHORITY).made()
    twin = workshop.person(ALICE, issuer=namesake, key=ec_key("twin"), serial=workshop.alice.serial)
    for label, certificates in (
        ("", (*workshop.alice.chain, twin.certificate)),
        ("-first", (twin.certificate, namesake.certificate, *workshop.alice.chain)),
    ):
        mail = clear_mail(SignedData((SignerInfo(twin, usual(ENTITY)),), certificates).der)
        why = "two certificates with one issuer and serial number"
        yield Spoof(f"serial-number-of-victim{label}", mail, "untrusted", "unknown-issuer", why)


def _detachment(workshop: Workshop) -> Iterator[Spoof]:
    equal = signed(workshop.alice, ENTITY, attached=True)
    different = signed(workshop.alice, OTHER_ENTITY, attached=True)
    swapped = replace(different, content=OTHER_ENTITY)
    for label, cms, why in (
        ("detached-with-equal-content", equal, "which of two is shown?"),
        ("detached-with-other-content", swapped, "signed is one, shown another"),
        ("detached-with-empty-content", replace(equal, content=b""), "which of two is shown?"),
    ):
        yield Spoof(label, clear_mail(cms.der), "invalid", "unexpected-content", why)
    mail = sent_by(ALICE) + opaque(signed(workshop.alice, ENTITY).der)
    yield Spoof("opaque-without-content", mail, "invalid", "no-content", "a signature over nothing")


def _confusion(alice: Identity) -> Iterator[Spoof]:
    """The signature over attributes is also one over a content that is those attributes, in DER."""
    honest = SignerInfo(alice, usual(ENTITY))
    attributes = honest.to_be_signed
    info = SignerInfo(alice, (), attributes, signature=honest.signed)
    for label, kind in (("confusion", DATA), ("confusion-other-type", "1.2.840.113549.1.9.16.1.4")):
        cms = SignedData((info,), alice.chain, attributes, kind)
        mail = sent_by(ALICE) + opaque(cms.der)
        yield Spoof(label, mail, "invalid", "missing-attribute", "attributes of another mail as the content")
    plain = SignedData((SignerInfo(alice, (), ENTITY),), alice.chain, ENTITY, "1.2.840.113549.1.9.16.1.4")
    mail = sent_by(ALICE) + opaque(plain.der)
    stamp = "1.2.840.113549.1.9.16.1.4"
    for_stamps = (content_type(stamp), signing_time(), message_digest(ENTITY))
    attached = SignedData((SignerInfo(alice, for_stamps),), alice.chain, ENTITY, stamp)
    why = "signed as a time stamp, and not as a mail"
    yield Spoof("other-type-opaque", sent_by(ALICE) + opaque(attached.der), "invalid", "content-type-mismatch", why)
    detached = replace(attached, content=None)
    yield Spoof("other-type-detached", clear_mail(detached.der), "invalid", "content-type-mismatch", why)
    why = "attributes must be there for content that is not data (RFC 5652, 5.3)"
    yield Spoof("other-type-no-attributes", mail, "invalid", "missing-attribute", why)


def _containers(alice: Identity) -> Iterator[Spoof]:
    cms = signed(alice, ENTITY).der
    attached = signed(alice, ENTITY, attached=True)
    digested = sequence(
        integer(0),
        digest_algorithm("sha256"),
        sequence(oid(DATA), context(0, octets(ENTITY))),
        octets(digest("sha256", ENTITY)),
    )
    compressed = sequence(
        integer(0),
        sequence(oid("1.2.840.113549.1.9.16.3.8")),
        sequence(oid(DATA), context(0, octets(b"x\x9c\x03\0\0\0\0\x01"))),
    )
    for label, der, why in (
        ("cms-cut", cms[:-30], "the end is missing"),
        ("cms-empty", b"", "no octets"),
        ("cms-garbage", b"-----" + cms, "something before it"),
        ("cms-data", content_info(DATA, octets(ENTITY)), "plain data where a signature must be"),
        ("cms-enveloped", content_info(ENVELOPED_DATA, enveloped()), "something encrypted"),
        ("cms-digested", content_info(DIGESTED_DATA, digested), "a hash that anybody can make"),
        ("cms-compressed", content_info(COMPRESSED_DATA, compressed), "something compressed"),
        ("cms-in-cms", content_info(SIGNED_DATA, cms), "a ContentInfo where the SignedData must be"),
        ("cms-no-tag", sequence(oid(SIGNED_DATA), attached.body), "without its tag"),
        ("cms-null", sequence(oid(SIGNED_DATA), context(0, NULL)), "nothing inside"),
        ("cms-long-length", b"\x30\x84\x7f\xff\xff\xff" + cms[4:], "a length beyond the end"),
        ("cms-deep", _deep(cms), "five thousand levels"),
    ):
        yield Spoof(label, clear_mail(der), "invalid", "malformed-cms", why)
    for label, der in (("cms-trailing", b"\0\0"), ("cms-trailing-second", cms)):
        mail = clear_mail(cms + der)
        yield Spoof(label, mail, "unsigned", "trailing-data", "octets after it")
    for label, der, verdict, code in (
        ("opaque-data", content_info(DATA, octets(ENTITY)), "unsigned", "not-signed"),
        ("opaque-digested", content_info(DIGESTED_DATA, digested), "unsigned", "not-signed"),
        ("opaque-cut", attached.der[:-30], "invalid", "malformed-cms"),
        ("opaque-trailing", attached.der + ENTITY, "unsigned", "trailing-data"),
    ):
        yield Spoof(label, sent_by(ALICE) + opaque(der), verdict, code, "no SignedData, or more than one")


def _deep(value: bytes) -> bytes:
    for _ in range(5000):
        value = sequence(value)
    return value
