"""What was signed, and how: changes to the content, and to the CMS around it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.spoofs.asn1 import NULL, context, integer, octets, oid, sequence, set_of
from tests.spoofs.cms import (
    COMPRESSED_DATA,
    DATA,
    DIGESTED_DATA,
    ENVELOPED_DATA,
    SIGNED_DATA,
    SignedData,
    SignerInfo,
    algorithm_protection,
    attribute,
    content_info,
    content_type,
    enveloped,
    message_digest,
    old_signing_certificate,
    signed,
    signing_certificate,
    signing_time,
    usual,
)
from tests.spoofs.keys import digest, digest_algorithm, digest_info, pss_key, rsa_key
from tests.spoofs.mime import ALICE, ENTITY, OTHER_ENTITY, Clear, opaque, sent_by
from tests.spoofs.spoof import Spoof

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.certificates import Identity
    from tests.spoofs.workshop import Workshop

_Row = tuple[str, SignerInfo, str, str]


def signatures(workshop: Workshop) -> Iterator[Spoof]:
    """All of them."""
    yield from _contents(workshop)
    for label, signer_info, code, why in (
        *_attributes(workshop.alice),
        *_attribute_lies(workshop),
        *_algorithms(workshop),
        *_values(workshop),
    ):
        cms = SignedData((signer_info,), signer_info.signer.chain)
        verdict = "untrusted" if code in {"weak-digest", "no-certificate"} else "invalid"
        yield Spoof(label, _clear(cms), verdict, code, why)
    yield from _signers(workshop)
    yield from _who(workshop)
    yield from _detachment(workshop)
    yield from _confusion(workshop.alice)
    yield from _containers(workshop.alice)


def _clear(cms: SignedData, entity: bytes = ENTITY) -> bytes:
    return sent_by(ALICE) + Clear(entity, cms.der).whole


def _contents(workshop: Workshop) -> Iterator[Spoof]:
    cms = signed(workshop.alice, ENTITY)
    for label, entity, why in (
        ("content-swapped", OTHER_ENTITY, "another text"),
        ("content-header-changed", ENTITY.replace(b"text/plain", b"text/html"), "shown in another way"),
        ("content-header-added", b"Content-Disposition: attachment\r\n" + ENTITY, "a field more"),
        ("content-line-added", ENTITY + b"\r\nP.S. To my new account.\r\n", "a line more"),
        ("content-empty", b"", "nothing at all"),
        ("content-space-added", ENTITY.replace(b"today.", b"today. "), "a space"),
        ("content-letter-case", ENTITY.replace(b"text", b"TEXT"), "letter case of a header"),
    ):
        yield Spoof(label, _clear(cms, entity), "invalid", "digest-mismatch", why)
    swapped = replace(signed(workshop.alice, ENTITY), content=OTHER_ENTITY)
    mail = sent_by(ALICE) + opaque(swapped.der)
    yield Spoof("content-swapped-opaque", mail, "invalid", "digest-mismatch", "another text, attached")
    plain = SignedData((SignerInfo(workshop.alice, (), ENTITY),), workshop.alice.chain)
    why = "another text, without attributes"
    yield Spoof("content-swapped-no-attributes", _clear(plain, OTHER_ENTITY), "invalid", "signature-mismatch", why)


def _attributes(alice: Identity) -> Iterator[_Row]:
    kind, time, hashed = usual(ENTITY)
    both = attribute("1.2.840.113549.1.9.4", *(octets(digest("sha256", each)) for each in (ENTITY, OTHER_ENTITY)))
    other = message_digest(OTHER_ENTITY)
    two_times = signing_time("260301100000Z", "260301110000Z")
    later = signing_time("260301110000Z")
    for label, attributes, code, why in (
        ("attribute-no-content-type", (time, hashed), "missing-attribute", "contentType is missing"),
        ("attribute-no-digest", (kind, time), "missing-attribute", "nothing binds the content"),
        ("attribute-only-time", (time,), "missing-attribute", "neither is there"),
        ("attribute-two-content-types", (kind, kind, time, hashed), "duplicate-attribute", "twice the same"),
        ("attribute-two-digests", (kind, time, hashed, other), "duplicate-attribute", "which of two?"),
        ("attribute-two-digests-other-first", (kind, time, other, hashed), "duplicate-attribute", "which of two?"),
        ("attribute-two-times", (kind, time, later, hashed), "duplicate-attribute", "which of two?"),
        ("attribute-digest-values", (kind, time, both), "duplicate-attribute", "two values in one"),
        (
            "attribute-content-type-values",
            (content_type(DATA, SIGNED_DATA), time, hashed),
            "duplicate-attribute",
            "two values in one",
        ),
        ("attribute-time-values", (kind, two_times, hashed), "duplicate-attribute", "two values in one"),
        (
            "attribute-digest-no-value",
            (kind, time, attribute("1.2.840.113549.1.9.4")),
            "missing-attribute",
            "an attribute without a value",
        ),
        (
            "attribute-content-type-wrong",
            (content_type(ENVELOPED_DATA), time, hashed),
            "content-type-mismatch",
            "signed as something else",
        ),
        (
            "attribute-digest-empty",
            (kind, time, attribute("1.2.840.113549.1.9.4", octets(b""))),
            "digest-mismatch",
            "no octets",
        ),
        (
            "attribute-digest-prefix",
            (kind, time, attribute("1.2.840.113549.1.9.4", octets(digest("sha256", ENTITY)[:16]))),
            "digest-mismatch",
            "the first octets alone",
        ),
        ("attribute-digest-sha1", (kind, time, message_digest(ENTITY, "sha1")), "digest-mismatch", "of SHA-1"),
        ("attribute-digest-sha512", (kind, time, message_digest(ENTITY, "sha512")), "digest-mismatch", "of SHA-512"),
        ("attribute-digest-other", (kind, time, other), "digest-mismatch", "of another text"),
    ):
        yield label, SignerInfo(alice, attributes), code, why


def _attribute_lies(workshop: Workshop) -> Iterator[_Row]:
    alice = workshop.alice
    honest = SignerInfo(alice, usual(ENTITY))
    tagged = b"\xa0" + honest.to_be_signed[1:]
    yield "attributes-signed-as-tagged", replace(honest, over=tagged), "signature-mismatch", "[0] instead of SET"
    others = set_of(*usual(OTHER_ENTITY))
    yield "attributes-others-signed", replace(honest, over=others), "signature-mismatch", "other attributes"
    yield "attributes-content-signed", replace(honest, over=ENTITY), "signature-mismatch", "the content itself"
    for label, extra, code, why in (
        ("protection-signature", algorithm_protection(alice.key, "sha256", "sha512"), "algorithm-mismatch", "another"),
        ("protection-digest", algorithm_protection(alice.key, "sha512", "sha256"), "algorithm-mismatch", "another"),
        ("signing-certificate", signing_certificate(workshop.carol.certificate), "certificate-mismatch", "another"),
        (
            "signing-certificate-old",
            old_signing_certificate(workshop.carol.certificate),
            "certificate-mismatch",
            "another, by SHA-1",
        ),
    ):
        yield label, SignerInfo(alice, (*usual(ENTITY), extra)), code, f"the attribute names {why}"


def _algorithms(workshop: Workshop) -> Iterator[_Row]:
    alice = workshop.alice
    split = SignerInfo(alice, usual(ENTITY), signature_digest="sha512")
    yield "digests-differ", split, "algorithm-mismatch", "one for the content, another for the attributes"
    says = SignerInfo(alice, usual(ENTITY), algorithm=alice.key.algorithm("sha384"))
    yield "digests-differ-in-name", says, "algorithm-mismatch", "the signature is with the same one"
    pss = workshop.with_key(ALICE, pss_key("alice", "sha512"))
    why = "PSS parameters with another digest"
    yield "digests-differ-pss", SignerInfo(pss, usual(ENTITY)), "algorithm-mismatch", why
    rsa = workshop.with_key(ALICE, rsa_key("alice"))
    why = "the algorithm of another kind of key"
    wrong_key = SignerInfo(alice, usual(ENTITY), algorithm=rsa.key.algorithm("sha256"))
    yield "algorithm-of-another-key", wrong_key, "algorithm-mismatch", why
    for name in ("sha1", "md5"):
        weak = SignerInfo(rsa, usual(ENTITY, name), digest=name)
        yield f"weak-{name}", weak, "weak-digest", "collisions can be made"
    yield "weak-sha1-ecdsa", SignerInfo(alice, usual(ENTITY, "sha1"), digest="sha1"), "weak-digest", "the same"
    unknown = SignerInfo(alice, usual(ENTITY), algorithm=sequence(oid("1.3.6.1.4.1.99999.2")))
    yield "algorithm-unknown", unknown, "unsupported-algorithm", "nobody can check it"
    # A digest that is signed with nothing: "rsaEncryption" of nobody.
    none = SignerInfo(alice, usual(ENTITY), algorithm=sequence(oid("1.2.840.10045.2.1")), signature=b"")
    yield "algorithm-is-a-key", none, "signature-mismatch", "the identifier of a key, not of a signature"


def _values(workshop: Workshop) -> Iterator[_Row]:
    honest = SignerInfo(workshop.alice, usual(ENTITY))
    last = honest.signed[:-1] + bytes([honest.signed[-1] ^ 1])
    zero = sequence(integer(0), integer(0))
    for label, signature, why in (
        ("signature-bit", last, "one bit"),
        ("signature-empty", b"", "no octets"),
        ("signature-zeros", zero, "r and s are zero (CVE-2022-21449)"),
        ("signature-raw", b"\x01" * 64, "not the encoding of one"),
        ("signature-trailing", honest.signed + b"\0", "an octet more"),
    ):
        yield label, replace(honest, signature=signature), "signature-mismatch", why
    by_mallory = replace(honest, key=workshop.mallory.key)
    yield "signature-of-attacker", by_mallory, "signature-mismatch", "another key than the certificate's"
    cubic = workshop.with_key(ALICE, rsa_key("cubic", 2048, 3))
    forged = SignerInfo(cubic, usual(ENTITY))
    info = digest_info(forged.to_be_signed, "sha256")
    for label, start, why in (
        ("bleichenbacher", b"\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\x00" + info, "garbage after the hash, e = 3"),
        ("bleichenbacher-no-padding", b"\x00\x01\x00" + info, "and no padding"),
    ):
        yield label, replace(forged, signature=_cube_root(start)), "signature-mismatch", why


def _cube_root(start: bytes, size: int = 256) -> bytes:
    """A number whose cube begins with these octets."""
    wanted = int.from_bytes(start + b"\xff" * (size - len(start)))
    low, high = 0, 1 << size * 8 // 3 + 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= wanted else (low, middle - 1)
    assert (low**3).to_bytes(size).startswith(start)
    return low.to_bytes(size)


def _signers(workshop: Workshop) -> Iterator[Spoof]:
    alice, mallory = (SignerInfo(each, usual(ENTITY)) for each in (workshop.alice, workshop.mallory))
    broken = replace(SignerInfo(workshop.carol, usual(ENTITY)), over=b"else")
    everybody = (*workshop.alice.chain, workshop.mallory.certificate, workshop.carol.certificate)
    unknown = SignerInfo(workshop.person("dave@example.org"), usual(ENTITY))
    for label, signer_infos, verdict, code, why in (
        ("signers-second-broken", (alice, broken), "invalid", "signature-mismatch", "one of two is"),
        ("signers-first-broken", (broken, alice), "invalid", "signature-mismatch", "the other is"),
        ("signers-stranger-too", (alice, mallory), "mismatch", "signer-mismatch", "nobody knows who joined"),
        ("signers-stranger-first", (mallory, alice), "mismatch", "signer-mismatch", "the same"),
        ("signers-second-unknown", (alice, unknown), "untrusted", "no-certificate", "one cannot be checked"),
        ("signers-none", (), "invalid", "no-signer", "a signature of nobody"),
    ):
        yield Spoof(label, _clear(SignedData(signer_infos, everybody)), verdict, code, why)
    nobody = SignedData((), workshop.alice.chain, ENTITY, digests=("sha256",))
    mail = sent_by(ALICE) + opaque(nobody.der)
    yield Spoof("signers-none-opaque", mail, "invalid", "no-signer", "the same, with its content")
    yield Spoof("no-certificates", _clear(SignedData((alice,))), "untrusted", "no-certificate", "nobody to ask")


def _who(workshop: Workshop) -> Iterator[Spoof]:
    brought = SignedData(
        (SignerInfo(workshop.mallory, usual(ENTITY)),), (*workshop.alice.chain, workshop.mallory.certificate)
    )
    why = "the victim's certificate is there, and did not sign"
    yield Spoof("certificate-of-victim-beside", _clear(brought), "mismatch", "from-mismatch", why)
    # The attacker's certificate claims the victim's key identifier; her key made the signature.
    shared = workshop.mallory_as_alice
    info = SignerInfo(workshop.alice, usual(ENTITY), by_key_identifier=True, key=shared.key)
    for label, certificates in (
        ("", (*workshop.alice.chain, shared.certificate)),
        ("-first", (shared.certificate, *workshop.alice.chain)),
    ):
        mail = _clear(SignedData((info,), certificates))
        why = "two certificates with one key identifier"
        yield Spoof(f"key-identifier-of-victim{label}", mail, "mismatch", "from-mismatch", why)


def _detachment(workshop: Workshop) -> Iterator[Spoof]:
    equal = signed(workshop.alice, ENTITY, attached=True)
    different = signed(workshop.alice, OTHER_ENTITY, attached=True)
    swapped = replace(different, content=OTHER_ENTITY)
    for label, cms, why in (
        ("detached-with-equal-content", equal, "which of two is shown?"),
        ("detached-with-other-content", swapped, "signed is one, shown another"),
        ("detached-with-empty-content", replace(equal, content=b""), "which of two is shown?"),
    ):
        yield Spoof(label, _clear(cms), "invalid", "unexpected-content", why)
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
        yield Spoof(label, sent_by(ALICE) + Clear(ENTITY, der).whole, "invalid", "malformed-cms", why)
    info = SignerInfo(alice, usual(ENTITY), unsigned=(attribute("1.3.6.1.4.1.99999.5", _deep(NULL)),))
    mail = _clear(SignedData((info,), alice.chain))
    yield Spoof("attribute-deep", mail, "invalid", "limit-exceeded", "five thousand levels in an attribute")
    for label, der in (("cms-trailing", b"\0\0"), ("cms-trailing-second", cms)):
        mail = sent_by(ALICE) + Clear(ENTITY, cms + der).whole
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
