"""Encrypted mails under other labels, in other encodings, and objects whose cipher was tampered with."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Final

from smime_agent.x509 import Certificate
from tests.spoofs.asn1 import implicit, integer, octets, oid, sequence, tlv
from tests.spoofs.cms import DATA, ENVELOPED_DATA, content_info, content_type, signed
from tests.spoofs.envelopes import AUTH_ENVELOPED, AUTH_ENVELOPED_DATA, Seal, auth_enveloped, compressed, enveloped_cbc
from tests.spoofs.mime import ALICE, part, sent_by
from tests.spoofs.sealed import SECRET, Sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.sealed import Envelopes
    from tests.spoofs.workshop import Workshop

_NOT = 3, "not-encrypted"
_TRIPLE_DES: Final = "1.2.840.113549.3.7"
_GCM: Final = "2.16.840.1.101.3.4.1.46"
_CBC: Final = "2.16.840.1.101.3.4.1.42"


def sealed_forms(workshop: Workshop, given: Envelopes) -> Iterator[Sealed]:
    """All of them."""
    yield from _labels(given)
    yield from _encodings(given)
    yield from _ciphers(given)
    yield from _gadgets(given)
    yield from _objects(workshop, given)


def _labels(given: Envelopes) -> Iterator[Sealed]:
    cms = given.seal.on(SECRET)
    for label, kind, opens in (
        ("text", b"text/plain", None),
        ("html", b"text/html", None),
        ("image", b"image/png; name=smime.p7m", None),
        ("octets", b"application/octet-stream", None),
        ("octets-named", b"application/octet-stream; name=smime.p7m", SECRET),
        ("signed-data", b"application/pkcs7-mime; smime-type=signed-data; name=smime.p7m", SECRET),
        ("certs-only", b"application/pkcs7-mime; smime-type=certs-only; name=smime.p7c", SECRET),
        ("enveloped", b"application/pkcs7-mime; smime-type=enveloped-data", SECRET),
        ("no-type", b"application/pkcs7-mime", SECRET),
        ("x-type", b"application/x-pkcs7-mime", SECRET),
        ("cms", b"application/cms", SECRET),
        ("multipart", b'multipart/mixed; boundary="x"', None),
        ("message", b"message/rfc822", None),
    ):
        why = f"labelled as {kind.decode()}"
        mail = sent_by(ALICE) + part(kind, cms)
        found = (0, "not-signed") if opens else _NOT
        yield Sealed(f"label-{label}", mail, *found, why, opens)
    twice = sent_by(ALICE) + b"Content-Type: text/html\r\n" + given.secret
    yield Sealed("label-twice", twice, 6, "several-content-types", "each reader takes one of two")


def _encodings(given: Envelopes) -> Iterator[Sealed]:
    cms = given.seal.on(SECRET)
    text = base64.encodebytes(cms).replace(b"\n", b"\r\n")
    for label, field, body, exit_code, code, opens in (
        ("7bit", b"7bit", text, 6, "malformed-mail", None),
        ("binary", b"binary", cms, 0, "not-signed", SECRET),
        ("base64-of-base64", b"base64", base64.encodebytes(text), 6, "malformed-cms", None),
        ("unknown", b"x-uuencode", text, 6, "malformed-mail", None),
        ("text-after", b"base64", text + b"<img src='http://evil.example/\r\n", 0, "trailing-data", SECRET),
    ):
        head = sent_by(ALICE) + b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n" % (AUTH_ENVELOPED, field)
        yield Sealed(f"encoding-{label}", head + body, exit_code, code, f"the encoding is {label}", opens)
    twice = (sent_by(ALICE) + given.secret).replace(b"base64\r\n", b"base64\r\nContent-Transfer-Encoding: 7bit\r\n", 1)
    yield Sealed("encoding-twice", twice, 6, "several-content-types", "two Content-Transfer-Encoding fields")


def _ciphers(given: Envelopes) -> Iterator[Sealed]:
    """The same key and ciphertext under another name (RFC 9709, 1)."""
    key = os.urandom(32)
    infos = Seal((given.bob,)).recipient_infos(key)
    honest = auth_enveloped(infos, SECRET, key)
    failed = 6, "decryption-failed"
    mismatch = 6, "algorithm-mismatch"
    vector, ciphertext = os.urandom(16), os.urandom(37)  # not a number of blocks: else it is whole now and then

    def info(algorithm: str, parameters: bytes) -> bytes:
        return sequence(oid(DATA), sequence(oid(algorithm), parameters), implicit(0, ciphertext))

    gcm = sequence(octets(vector[:12]), integer(16))
    recipients = tlv(0x31, *infos)
    tag = octets(bytes(16))
    enveloped, authenticated = ENVELOPED_DATA, AUTH_ENVELOPED_DATA
    for label, kind, body, found, why in (
        ("gcm-as-cbc", enveloped, sequence(integer(2), recipients, info(_CBC, octets(vector))), failed, "a tag less"),
        ("gcm-enveloped", enveloped, sequence(integer(2), recipients, info(_GCM, gcm)), mismatch, "without its tag"),
        (
            "cbc-authenticated",
            authenticated,
            sequence(integer(0), recipients, info(_CBC, octets(vector)), tag),
            mismatch,
            "CBC that says it is authenticated",
        ),
        ("gcm-forged", authenticated, sequence(integer(0), recipients, info(_GCM, gcm), tag), failed, "a tag of zeros"),
        (
            "triple-des",
            enveloped,
            sequence(integer(2), recipients, info(_TRIPLE_DES, octets(bytes(8)))),
            (10, "policy"),
            "a weak cipher by the same key",
        ),
        (
            "other-cipher",
            enveloped,
            sequence(integer(2), recipients, info("1.2.3", octets(bytes(8)))),
            (6, "unsupported-algorithm"),
            "a cipher that nobody knows",
        ),
    ):
        mail = sent_by(ALICE) + part(AUTH_ENVELOPED, content_info(kind, body))
        yield Sealed(f"cipher-{label}", mail, *found, why)
    changed = honest[:-20] + bytes((honest[-20] ^ 1,)) + honest[-19:]
    yield Sealed("cipher-changed", sent_by(ALICE) + part(AUTH_ENVELOPED, changed), *failed, "one bit of it")


def _gadgets(given: Envelopes) -> Iterator[Sealed]:
    """CBC without a MAC: whoever knows 16 octets of the content writes as many of his own (EFAIL, 4)."""
    content = SECRET[:-2]
    key = os.urandom(16)
    infos = Seal((given.bob,)).recipient_infos(key)
    whole = enveloped_cbc(infos, content, key)
    start = whole.index(oid("2.16.840.1.101.3.4.1.2")) + 13
    vector = whole[start : start + 16]

    def with_vector(wanted: bytes) -> bytes:
        other = bytes(a ^ b ^ c for a, b, c in zip(vector, content, wanted, strict=False))
        return whole[:start] + other + whole[start + 16 :]

    html = b"Content-Type: te"
    assert content.startswith(html)
    for label, wanted, why in (
        ("vector", b"Content-type: te", "the first block is what the attacker wants"),
        ("first-line", b"X: y\r\n\r\n<img x='", "the header ends there, and HTML begins"),
        ("base64", b"0: 1\r\n\r\nMIIBAAYJ", "it looks like another object"),
    ):
        mail = sent_by(ALICE) + part(AUTH_ENVELOPED, with_vector(wanted))
        opens = wanted + content[16:]
        yield Sealed(f"gadget-{label}", mail, 0, "not-signed", why, opens, is_authenticated=False)
    shorter = _with_ciphertext(infos, vector, whole[start + 18 :][:32])
    mail = sent_by(ALICE) + part(AUTH_ENVELOPED, shorter)
    yield Sealed("gadget-cut", mail, 6, "decryption-failed", "blocks are missing: no padding is at its end")
    odd = _with_ciphertext(infos, vector, whole[start + 18 :][:37])
    yield Sealed("gadget-odd", sent_by(ALICE) + part(AUTH_ENVELOPED, odd), 6, "decryption-failed", "half a block")
    none = _with_ciphertext(infos, vector, b"")
    yield Sealed("gadget-empty", sent_by(ALICE) + part(AUTH_ENVELOPED, none), 6, "decryption-failed", "no block")


def _with_ciphertext(infos: list[bytes], vector: bytes, ciphertext: bytes) -> bytes:
    info = sequence(oid(DATA), sequence(oid("2.16.840.1.101.3.4.1.2"), octets(vector)), implicit(0, ciphertext))
    return content_info(ENVELOPED_DATA, sequence(integer(2), tlv(0x31, *infos), info))


def _objects(workshop: Workshop, given: Envelopes) -> Iterator[Sealed]:
    key = os.urandom(32)
    infos = given.seal.recipient_infos(key)

    def mailed(cms: bytes) -> bytes:
        return sent_by(ALICE) + part(AUTH_ENVELOPED, cms)

    second = given.seal.on(SECRET.replace(b"4711", b"0815"))
    yield Sealed("object-second", mailed(given.seal.on(SECRET) + second), 0, "trailing-data", "two objects", SECRET)
    elsewhere = enveloped_cbc(infos, SECRET, key[:16], encrypted=b"")
    yield Sealed("object-empty", mailed(elsewhere), 6, "no-content", "the content is elsewhere")
    stamp = "1.2.840.113549.1.9.16.1.4"
    other = auth_enveloped(infos, SECRET, key, kind=stamp)
    why = "it says that it is a time stamp"
    yield Sealed("object-other-type", mailed(other), 6, "content-type-mismatch", why, SECRET)
    liar = auth_enveloped(infos, SECRET, key, kind=stamp, attributes=content_type())
    yield Sealed("object-two-types", mailed(liar), 6, "content-type-mismatch", "two types for one content")
    inner = signed(workshop.alice, SECRET, attached=True)
    bare = auth_enveloped(infos, inner.body, key, kind="1.2.840.113549.1.7.2")
    why = "a signature without its ContentInfo, as PKCS #7 had it: it is not looked at, and not trusted"
    yield Sealed("object-signed-body", mailed(bare), 6, "content-type-mismatch", why, inner.body)
    innermost = layers = given.seal.on(SECRET)
    for _ in range(10):
        layers = given.seal.on(layers)
    yield Sealed("object-eleven-layers", mailed(layers), 6, "limit-exceeded", "more layers than are opened", innermost)
    bomb = compressed(bytes(101 << 20))
    yield Sealed("object-bomb", mailed(given.seal.on(bomb)), 6, "limit-exceeded", "a zip bomb", bomb)
    packed = mailed(given.seal.on(compressed(SECRET)))
    yield Sealed("object-compressed", packed, 0, "not-signed", "compressed inside: that is undone", SECRET)
    yield Sealed(
        "object-foreign",
        mailed(Seal((Certificate(workshop.carol.certificate),)).on(SECRET)),
        7,
        "no-key",
        "for another",
    )
