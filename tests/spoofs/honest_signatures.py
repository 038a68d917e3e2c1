"""Honest signatures of all kinds: keys, attributes, encodings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.spoofs.asn1 import NULL, indefinite, integer, octets, oid, sequence, tlv, utf8
from tests.spoofs.cms import (
    AT,
    COUNTERSIGNATURE,
    DATA,
    SIGNED_DATA,
    SignedData,
    SignerInfo,
    algorithm_protection,
    attribute,
    content_type,
    message_digest,
    signed,
    signing_certificate,
    signing_time,
    usual,
)
from tests.spoofs.keys import ed25519_key, pss_key, rsa_key
from tests.spoofs.mime import (
    ALICE,
    ENTITY,
    Clear,
    clear_mail,
    opaque,
    sent_by,
)
from tests.spoofs.spoof import Honest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.workshop import Workshop


def honest_signatures(workshop: Workshop) -> Iterator[Honest]:
    """All of them."""
    yield from _keys(workshop)
    yield from _cms(workshop)
    yield from _attributes(workshop)
    yield from _ber(workshop)


def _keys(workshop: Workshop) -> Iterator[Honest]:
    ed25519 = SignerInfo(workshop.with_key(ALICE, ed25519_key("alice")), usual(ENTITY, "sha512"), digest="sha512")
    pss = SignerInfo(workshop.with_key(ALICE, pss_key("alice")), usual(ENTITY))
    rsa = SignerInfo(workshop.with_key(ALICE, rsa_key("alice")), usual(ENTITY))
    cubic = SignerInfo(workshop.with_key(ALICE, rsa_key("cubic", 2048, 3)), usual(ENTITY))
    rsa512 = replace(rsa, attributes=usual(ENTITY, "sha512"), digest="sha512")
    named_by_key = replace(rsa, algorithm=sequence(oid("1.2.840.113549.1.1.1"), NULL))
    for label, info, why in (
        ("rsa", rsa, "RSA with PKCS #1 v1.5"),
        ("rsa-sha512", rsa512, "with SHA-512"),
        ("rsa-encryption", named_by_key, "the algorithm is rsaEncryption (RFC 3370, 3.2)"),
        ("rsa-cubic", cubic, "with the exponent 3"),
        ("pss", pss, "RSA with PSS"),
        ("ed25519", ed25519, "Ed25519"),
        ("ecdsa-sha384", SignerInfo(workshop.alice, usual(ENTITY, "sha384"), digest="sha384"), "ECDSA with SHA-384"),
    ):
        yield Honest(f"key-{label}", clear_mail(SignedData((info,), info.signer.chain).der), why)


def _cms(workshop: Workshop) -> Iterator[Honest]:
    alice = workshop.alice
    info = SignerInfo(alice, usual(ENTITY))
    plain = SignedData((info,), alice.chain)
    second = SignerInfo(workshop.with_key(ALICE, rsa_key("alice")), usual(ENTITY))
    home = SignerInfo(workshop.person("alice@home.example"), usual(ENTITY))
    counter = attribute(COUNTERSIGNATURE, _countersignature(workshop, info.signed))
    strange = attribute("1.3.6.1.4.1.99999.3", utf8("whatever"))
    everybody = (workshop.mallory.certificate, *alice.chain, workshop.carol.certificate, workshop.root.certificate)
    for label, cms, why in (
        ("key-identifier", replace(plain, signer_infos=(replace(info, by_key_identifier=True),)), "SKI"),
        ("no-attributes", replace(plain, signer_infos=(SignerInfo(alice, (), ENTITY),)), "no signed attributes"),
        ("other-certificates", replace(plain, certificates=everybody), "certificates that have no part in it"),
        ("chain-first", replace(plain, certificates=alice.chain[::-1]), "the CA's certificate first"),
        ("certificate-twice", replace(plain, certificates=(*alice.chain, *alice.chain)), "each twice"),
        ("root-too", replace(plain, certificates=(*alice.chain, workshop.root.certificate)), "the root as well"),
        ("unsigned-attribute", replace(plain, signer_infos=(replace(info, unsigned=(strange,)),)), "an unknown one"),
        ("countersigned", replace(plain, signer_infos=(replace(info, unsigned=(counter,)),)), "a countersignature"),
        ("no-digests", replace(plain, digests=()), "digestAlgorithms may be empty (RFC 5652, 5.1)"),
        ("more-digests", replace(plain, digests=("sha1", "sha256", "sha512")), "or name more than are used"),
        ("crl-inside", replace(plain, crls=(workshop.files()["crl"],)), "a CRL comes with it"),
        ("two-keys", SignedData((info, second), (*alice.chain, *second.signer.chain)), "two of her keys"),
    ):
        yield Honest(f"cms-{label}", clear_mail(cms.der), why)
    covered = sent_by(f"{ALICE}, alice@home.example")
    both = SignedData((info, home), (*alice.chain, *home.signer.chain))
    yield Honest("cms-two-signers", covered + Clear(ENTITY, both.der).whole, "two signers for two mailboxes")


def _countersignature(workshop: Workshop, signature: bytes) -> bytes:
    attributes = (signing_time(AT), message_digest(signature))
    return SignerInfo(workshop.carol, attributes).der


def _attributes(workshop: Workshop) -> Iterator[Honest]:
    alice = workshop.alice
    capabilities = attribute("1.2.840.113549.1.9.15", sequence(sequence(oid("2.16.840.1.101.3.4.1.46"))))
    for label, attributes, why in (
        ("no-time", (content_type(), message_digest(ENTITY)), "signingTime is missing"),
        ("generalized-time", (content_type(), signing_time("20260301100000Z"), message_digest(ENTITY)), "long year"),
        ("protection", (*usual(ENTITY), algorithm_protection(alice.key)), "CMSAlgorithmProtection"),
        ("signing-certificate", (*usual(ENTITY), signing_certificate(alice.certificate)), "signingCertificateV2"),
        ("capabilities", (*usual(ENTITY), capabilities), "SMIMECapabilities"),
        ("unknown", (*usual(ENTITY), attribute("1.3.6.1.4.1.99999.4", utf8("whatever"))), "an unknown one"),
        ("unknown-values", (*usual(ENTITY), attribute("1.3.6.1.4.1.99999.4", utf8("a"), utf8("b"))), "with two values"),
    ):
        cms = SignedData((SignerInfo(alice, attributes),), alice.chain)
        yield Honest(f"attribute-{label}", clear_mail(cms.der), why)
    # What travels need not be in DER's order; what is signed is (RFC 5652, 5.4).
    info = SignerInfo(alice, usual(ENTITY))
    ordered, as_sent = (b"".join(each) for each in (sorted(info.attributes), sorted(info.attributes, reverse=True)))
    der = SignedData((info,), alice.chain).der.replace(ordered, as_sent)
    yield Honest("attribute-order", clear_mail(der), "not in DER's order")


def _ber(workshop: Workshop) -> Iterator[Honest]:
    alice = workshop.alice
    info = SignerInfo(alice, usual(ENTITY))
    pieces = [octets(ENTITY[begin : begin + 10]) for begin in range(0, len(ENTITY), 10)]
    for label, content, why in (
        ("stream", indefinite(0x24, *pieces), "indefinite lengths and a content in pieces"),
        ("pieces", tlv(0x24, *pieces), "a content in pieces of known length"),
        ("nested-pieces", indefinite(0x24, tlv(0x24, *pieces[:2]), indefinite(0x24, *pieces[2:])), "in two levels"),
    ):
        body = indefinite(
            0x30,
            integer(1),
            tlv(0x31, sequence(oid("2.16.840.1.101.3.4.2.1"), NULL)),
            indefinite(0x30, oid(DATA), indefinite(0xA0, content)),
            indefinite(0xA0, *alice.chain),
            tlv(0x31, info.der),
        )
        cms = indefinite(0x30, oid(SIGNED_DATA), indefinite(0xA0, body))
        yield Honest(f"ber-{label}", sent_by(ALICE) + opaque(cms), why)
    cms = indefinite(0x30, oid(SIGNED_DATA), indefinite(0xA0, SignedData((info,), alice.chain).body))
    yield Honest("ber-detached", clear_mail(cms), "indefinite lengths around a detached signature")
    der = signed(alice, ENTITY).der
    long = b"\x30\x84" + len(der[4:]).to_bytes(4) + der[4:]
    yield Honest("ber-long-length", clear_mail(long), "a length in more octets than it needs")
