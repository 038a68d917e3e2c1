"""What was signed, and how: changes to the content, and to the CMS around it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.spoofs.asn1 import integer, octets, oid, sequence, set_of
from tests.spoofs.cms import (
    DATA,
    ENVELOPED_DATA,
    SIGNED_DATA,
    SignedData,
    SignerInfo,
    algorithm_protection,
    attribute,
    content_type,
    message_digest,
    old_signing_certificate,
    signed,
    signing_certificate,
    signing_time,
    usual,
)
from tests.spoofs.keys import digest, digest_info, pss_key, rsa_key
from tests.spoofs.mime import ALICE, ENTITY, OTHER_ENTITY, clear_mail, opaque, sent_by
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
        *_unsigned_attributes(workshop.alice),
        *_attribute_lies(workshop),
        *_algorithms(workshop),
        *_values(workshop),
    ):
        cms = SignedData((signer_info,), signer_info.signer.chain)
        verdict = "untrusted" if code in {"weak-digest", "no-certificate"} else "invalid"
        yield Spoof(label, clear_mail(cms.der), verdict, code, why)


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
        yield Spoof(label, clear_mail(cms.der, entity), "invalid", "digest-mismatch", why)
    swapped = replace(signed(workshop.alice, ENTITY), content=OTHER_ENTITY)
    mail = sent_by(ALICE) + opaque(swapped.der)
    yield Spoof("content-swapped-opaque", mail, "invalid", "digest-mismatch", "another text, attached")
    plain = SignedData((SignerInfo(workshop.alice, (), ENTITY),), workshop.alice.chain)
    why = "another text, without attributes"
    mail = clear_mail(plain.der, OTHER_ENTITY)
    yield Spoof("content-swapped-no-attributes", mail, "invalid", "signature-mismatch", why)


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


def _unsigned_attributes(alice: Identity) -> Iterator[_Row]:
    kind, time, hashed = usual(ENTITY)
    why = "a digest that is not signed"
    yield "attribute-digest-unsigned", SignerInfo(alice, (kind, time), unsigned=(hashed,)), "missing-attribute", why
    plain = SignerInfo(alice, (), ENTITY)
    why = "no attributes where they are said to be (RFC 5652, 5.3: at least one)"
    yield "attributes-empty", replace(plain, encoded=b"\xa0\x00"), "malformed-cms", why
    over_nothing = replace(plain, encoded=b"\xa0\x00", over=b"\x31\x00")
    yield "attributes-empty-signed", over_nothing, "malformed-cms", why
    added = replace(plain, encoded=b"\xa0" + set_of(*usual(ENTITY))[1:])
    yield "attributes-added", added, "signature-mismatch", "a signature without attributes, and some put before it"
    honest = SignerInfo(alice, usual(ENTITY))
    yield "attributes-removed", replace(honest, encoded=b""), "signature-mismatch", "the other way round"


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
