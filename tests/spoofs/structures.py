"""What is shown around the part that is signed (RFC 9787, 4; RFC 1847, 2.1; RFC 2046, 5.1)."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.spoofs.cms import (
    ENVELOPED_DATA,
    SIGNED_DATA,
    SignedData,
    SignerInfo,
    content_info,
    content_type,
    enveloped,
    message_digest,
    signed,
)
from tests.spoofs.mime import (
    ALICE,
    BOUNDARY,
    ENTITY,
    MALLORY,
    OPAQUE,
    OTHER_ENTITY,
    SIGNATURE,
    SIGNED,
    TEXT,
    Clear,
    multipart,
    opaque,
    part,
    sent_by,
)
from tests.spoofs.spoof import Spoof

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.workshop import Workshop

_HTML = b"Content-Type: text/html; charset=utf-8\r\n\r\n"


def structures(workshop: Workshop) -> Iterator[Spoof]:
    """All of them."""
    yield from _wrapped(workshop)
    yield from _attached(workshop)
    yield from _after(workshop)
    yield from _parts(workshop)
    yield from _boundaries(workshop)
    yield from _types(workshop)
    yield from _nested(workshop)
    yield from _not_signed(workshop)
    yield from _limits(workshop)


def _wrapped(workshop: Workshop) -> Iterator[Spoof]:
    part_signed = workshop.entity(workshop.alice)
    attached = opaque(signed(workshop.alice, ENTITY, attached=True).der)
    opened, closed = (_HTML + html + b"\r\n" for html in (b'<div style="display:none">', b"</div><p>Pay account 0815"))
    footer = b"Content-Type: text/plain\r\n\r\n_____\r\nThe list\r\n"
    for label, whole, why in (
        ("mixed-first", multipart(b"multipart/mixed", part_signed, TEXT), "text after it"),
        ("mixed-second", multipart(b"multipart/mixed", TEXT, part_signed), "text before it"),
        ("mixed-alone", multipart(b"multipart/mixed", part_signed), "alone in a multipart"),
        ("mixed-opaque", multipart(b"multipart/mixed", TEXT, attached), "an opaque one"),
        ("list-footer", multipart(b"multipart/mixed", part_signed, footer), "a mailing list adds its footer"),
        ("mixed-around", multipart(b"multipart/mixed", opened, part_signed, closed), "hidden by HTML around it"),
        ("alternative", multipart(b"multipart/alternative", part_signed, closed), "the other is shown"),
        ("alternative-last", multipart(b"multipart/alternative", TEXT, part_signed), "one of two"),
        (
            "related-cid",
            multipart(
                b'multipart/related; type="text/html"',
                _HTML + b'<p>Pay account 0815<img src="cid:signed">\r\n',
                b"Content-ID: <signed>\r\n" + part_signed,
            ),
            "an image that is a signed text",
        ),
        ("digest", multipart(b"multipart/digest", b"\r\n" + sent_by(ALICE) + part_signed), "a digest of mails"),
    ):
        code = "signed-attachment" if label == "digest" else "partial"
        yield Spoof(f"wrapped-{label}", sent_by(ALICE) + whole, "unsigned", code, why)
    two = multipart(b"multipart/mixed", part_signed, workshop.entity(workshop.alice, OTHER_ENTITY))
    yield Spoof("wrapped-two-signed", sent_by(ALICE) + two, "unsigned", "partial", "two that are signed apart")
    deep = multipart(b"multipart/mixed", multipart(b"multipart/mixed", part_signed, boundary=b"=_deep"), TEXT)
    yield Spoof("wrapped-deep", sent_by(ALICE) + deep, "unsigned", "partial", "two levels down")


def _attached(workshop: Workshop) -> Iterator[Spoof]:
    mail = workshop.clear(ALICE, workshop.alice)
    message = b"Content-Type: message/rfc822\r\n\r\n" + mail
    in_base64 = part(b"message/global", mail)
    for label, whole, why in (
        ("alone", message, "a mail that is nothing but another"),
        ("forwarded", multipart(b"multipart/mixed", TEXT, message), "forwarded, with a text on top"),
        ("first", multipart(b"multipart/mixed", message, TEXT), "the attachment comes first"),
        ("base64", multipart(b"multipart/mixed", TEXT, in_base64), "in base64"),
        (
            "of-attacker",
            multipart(b"multipart/mixed", TEXT, b"Content-Type: message/rfc822\r\n\r\n" + mail),
            "not hers",
        ),
    ):
        sender = MALLORY if label == "of-attacker" else ALICE
        yield Spoof(f"attached-{label}", sent_by(sender) + whole, "unsigned", "signed-attachment", why)


def _after(workshop: Workshop) -> Iterator[Spoof]:
    clear = Clear(ENTITY, signed(workshop.alice, ENTITY).der)
    delimiter = b"--" + BOUNDARY
    for label, epilogue, why in (
        ("text", b"\r\nP.S. My account is 0815.\r\n", "a list's footer, or worse"),
        ("part", delimiter + b"\r\n" + TEXT + delimiter + b"--\r\n", "a part after the end"),
        ("html", b"<p>P.S. My account is 0815</p>\r\n", "HTML"),
        ("armour", b"\r\n-----BEGIN PKCS7-----\r\nAAAA\r\n-----END PKCS7-----\r\n", "another signature"),
    ):
        mail = sent_by(ALICE) + replace(clear, epilogue=epilogue).whole
        verdict, code = ("invalid", "malformed-mail") if label == "part" else ("unsigned", "trailing-data")
        yield Spoof(f"epilogue-{label}", mail, verdict, code, why)
    attached = opaque(signed(workshop.alice, ENTITY, attached=True).der)
    for label, after in (("text", b"\r\nP.S. My account is 0815.\r\n"), ("html", b"\r\n<p>0815</p>\r\n")):
        why = "text after the base64 of an opaque signature"
        yield Spoof(f"opaque-then-{label}", sent_by(ALICE) + attached + after, "unsigned", "trailing-data", why)

    both = [base64.encodebytes(signed(workshop.alice, each, attached=True).der) for each in (ENTITY, ENTITY + b" ")]
    body = b"".join(each if each.endswith(b"=\n") else each[:-1] + b"====\n" for each in both).replace(b"\n", b"\r\n")
    mail = sent_by(ALICE) + b"Content-Type: %b\r\nContent-Transfer-Encoding: base64\r\n\r\n%b" % (OPAQUE, body)
    why = "some stop at the padding, some go on"
    yield Spoof("opaque-then-opaque", mail, "unsigned", "trailing-data", why)


def _parts(workshop: Workshop) -> Iterator[Spoof]:
    clear = Clear(ENTITY, signed(workshop.alice, ENTITY).der)
    kind = (SIGNED % b"=_outer").partition(b"; boundary")[0]
    for label, parts, why in (
        ("one", (ENTITY,), "no signature"),
        ("only-signature", (clear.signature,), "no content"),
        ("three", (ENTITY, TEXT, clear.signature), "a part that nobody signed"),
        ("three-after", (ENTITY, clear.signature, TEXT), "a part after the signature"),
        ("three-before", (TEXT, ENTITY, clear.signature), "a part before the content"),
        ("signature-first", (clear.signature, ENTITY), "in the wrong order"),
        ("two-contents", (ENTITY, ENTITY), "no signature, and two contents"),
        ("none", (), "no part at all"),
        ("signature-twice", (ENTITY, clear.signature, clear.signature), "two signatures"),
    ):
        whole = multipart(kind, *parts)
        yield Spoof(f"parts-{label}", sent_by(ALICE) + whole, "invalid", "malformed-mail", why)
    cut = clear.whole[: clear.whole.index(b"\r\n--" + BOUNDARY + b"--")]
    yield Spoof("parts-no-end", sent_by(ALICE) + cut[:-300], "invalid", "malformed-cms", "cut off")
    in_base64 = b"Content-Transfer-Encoding: base64\r\nContent-Type: " + (clear.kind % BOUNDARY) + b"\r\n\r\n"
    mail = sent_by(ALICE) + in_base64 + base64.encodebytes(clear.body).replace(b"\n", b"\r\n")
    yield Spoof("multipart-in-base64", mail, "invalid", "malformed-mail", "a multipart has no encoding")


def _boundaries(workshop: Workshop) -> Iterator[Spoof]:
    clear = Clear(ENTITY, signed(workshop.alice, ENTITY).der)
    evil = b"--%b\r\n" + TEXT + b"\r\n"
    pieces = b'; boundary*0="=_si"; boundary*1="gned"'
    commented = b"%bboundary=other (; boundary=%b)" % (SIGNED.partition(b"boundary")[0], BOUNDARY)
    other = b'%b; boundary="other"' % (SIGNED % BOUNDARY)
    for label, changed, code, why in (
        ("prefix-in-preamble", replace(clear, preamble=evil % (BOUNDARY + b"-x")), "malformed-mail", "a longer one"),
        ("two", replace(clear, kind=other, preamble=evil % b"other"), "malformed-mail", "which of two?"),
        (
            "continuation",
            replace(
                clear, kind=b'%b; boundary*0="oth"; boundary*1="er"' % (SIGNED % BOUNDARY), preamble=evil % b"other"
            ),
            "malformed-mail",
            "one in pieces beside a whole (RFC 2231)",
        ),
        (
            "extended",
            replace(clear, kind=b"%b; boundary*=us-ascii''other" % (SIGNED % BOUNDARY), preamble=evil % b"other"),
            "malformed-mail",
            "one with a charset beside a plain one",
        ),
        (
            "in-pieces",
            replace(clear, kind=SIGNED.partition(b"; boundary")[0] + pieces),
            "malformed-mail",
            "RFC 2231 alone",
        ),
        ("missing", replace(clear, kind=SIGNED.partition(b"; boundary")[0]), "malformed-mail", "none at all"),
        ("empty", replace(clear, kind=SIGNED % b""), "malformed-mail", "an empty one"),
        ("wrong", replace(clear, kind=SIGNED % b"other"), "malformed-mail", "one that does not occur"),
        ("comment", replace(clear, kind=commented, preamble=evil % b"other"), "malformed-mail", "one in a comment"),
    ):
        mail = sent_by(ALICE) + changed.whole
        yield Spoof(f"boundary-{label}", mail, "invalid", code, why)


def _types(workshop: Workshop) -> Iterator[Spoof]:
    clear = Clear(ENTITY, signed(workshop.alice, ENTITY).der)
    for label, mail, why in (
        ("content-type-twice", sent_by(ALICE) + b"Content-Type: text/plain\r\n" + clear.whole, "which of two?"),
        (
            "content-type-twice-last",
            sent_by(ALICE) + clear.whole.replace(b"\r\n\r\n", b"\r\nContent-Type: text/html\r\n\r\n", 1),
            "which of two?",
        ),
        (
            "content-type-twice-odd",
            sent_by(ALICE) + b"content-TYPE : text/html\r\n" + clear.whole,
            "a space before the colon",
        ),
        (
            "transfer-encoding-twice",
            sent_by(ALICE)
            + b"Content-Transfer-Encoding: 7bit\r\n"
            + opaque(signed(workshop.alice, ENTITY, attached=True).der),
            "read in two ways",
        ),
    ):
        yield Spoof(label, mail, "invalid", "several-content-types", why)
    inner = replace(clear, signature_kind=SIGNATURE + b"\r\nContent-Type: text/plain")
    mail = sent_by(ALICE) + inner.whole
    yield Spoof("content-type-twice-inside", mail, "invalid", "several-content-types", "of the signature part")
    for label, kind, code, verdict, why in (
        (
            "protocol-openpgp",
            b'multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha256; boundary="%b"',
            "other-protection",
            "unsigned",
            "OpenPGP's name, S/MIME's part",
        ),
        (
            "protocol-unknown",
            b'multipart/signed; protocol="application/x-seal"; micalg=sha-256; boundary="%b"',
            "other-protection",
            "unsigned",
            "one that nobody knows",
        ),
    ):
        yield Spoof(label, sent_by(ALICE) + replace(clear, kind=kind).whole, verdict, code, why)
    octet_stream = replace(clear, signature_kind=b"text/plain; name=smime.p7s")
    mail = sent_by(ALICE) + octet_stream.whole
    yield Spoof("signature-is-text", mail, "invalid", "malformed-mail", "a signature that is shown as text")


def _nested(workshop: Workshop) -> Iterator[Spoof]:
    alice, mallory = workshop.alice, workshop.mallory
    inner = workshop.entity(alice)
    broken = Clear(OTHER_ENTITY, signed(alice, ENTITY).der).whole
    for label, entity, signer, verdict, code, why in (
        ("outer-stranger", inner, mallory, "mismatch", "from-mismatch", "the outer signer vouches for the mail"),
        ("inner-broken", broken, alice, "invalid", "digest-mismatch", "the inner text was changed"),
        ("outer-stranger-inner-broken", broken, mallory, "invalid", "digest-mismatch", "both"),
    ):
        mail = _nesting(entity, signed(signer, entity).der)
        yield Spoof(f"nested-{label}", mail, verdict, code, why)
    opaque_inner = opaque(signed(alice, ENTITY, attached=True).der)
    mail = sent_by(ALICE) + opaque(signed(mallory, opaque_inner, attached=True).der)
    yield Spoof("nested-opaque-outer-stranger", mail, "mismatch", "from-mismatch", "the same, opaque")
    # PKCS #7 nests without MIME: the content is a SignedData itself.
    body = signed(alice, ENTITY, attached=True).body
    info = SignerInfo(mallory, (content_type(SIGNED_DATA), message_digest(body)))
    mail = sent_by(ALICE) + opaque(SignedData((info,), mallory.chain, body, SIGNED_DATA).der)
    yield Spoof("nested-in-cms", mail, "invalid", "content-type-mismatch", "a SignedData in another")
    cut = inner + b"\r\nP.S. My account is 0815.\r\n"
    mail = _nesting(cut, signed(mallory, cut).der)
    yield Spoof("nested-with-epilogue", mail, "mismatch", "from-mismatch", "text that the stranger signed")


def _nesting(entity: bytes, cms: bytes) -> bytes:
    """A mail of the victim around an entity that has the usual boundary inside."""
    return sent_by(ALICE) + Clear(entity, cms, boundary=b"=_nesting").whole


def _not_signed(workshop: Workshop) -> Iterator[Spoof]:
    only = SignedData((), workshop.alice.chain, digests=())
    encrypted = content_info(ENVELOPED_DATA, enveloped())
    armour = b"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nPay 0815.\r\n-----BEGIN PGP SIGNATURE-----\r\n"
    pgp = b'multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha256'
    pgp_signature = b"Content-Type: application/pgp-signature\r\n\r\n" + armour
    pgp_encrypted = b'multipart/encrypted; protocol="application/pgp-encrypted"'
    version = b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
    claims = b"Content-Type: text/plain\r\n\r\ntrusted: signed by alice@example.org\r\n"
    stream = b"application/octet-stream; name=smime.p7m"
    as_text = replace(Clear(ENTITY, signed(workshop.alice, ENTITY).der), kind=b'multipart/mixed; boundary="%b"')
    for label, whole, code, why in (
        ("plain", TEXT, "not-signed", "nobody signed anything"),
        ("plain-claims", claims, "not-signed", "the text says it is trusted"),
        ("mixed-with-signature", as_text.whole, "not-signed", "the signature is a mere attachment"),
        ("octet-stream-encrypted", part(stream, encrypted), "encrypted", "the same, and it is encrypted"),
        ("encrypted", part(b"application/pkcs7-mime; smime-type=enveloped-data", encrypted), "encrypted", "encrypted"),
        ("encrypted-named-signed", opaque(encrypted), "encrypted", "its label says signed"),
        (
            "certificates",
            part(b"application/pkcs7-mime; smime-type=certs-only; name=smime.p7c", only.der),
            "certificates-only",
            "certificates of the victim",
        ),
        ("certificates-named-signed", opaque(only.der), "certificates-only", "the same, and its label says signed"),
        ("openpgp", multipart(pgp, ENTITY, pgp_signature), "other-protection", "OpenPGP"),
        ("openpgp-encrypted", multipart(pgp_encrypted, version, TEXT), "other-protection", "OpenPGP, encrypted"),
        ("openpgp-inline", b"Content-Type: text/plain\r\n\r\n" + armour, "not-signed", "OpenPGP in the text"),
        ("empty", b"\r\n", "not-signed", "no content"),
    ):
        yield Spoof(f"unsigned-{label}", sent_by(ALICE) + whole, "unsigned", code, why)

    garbage = sent_by(ALICE) + part(stream, b"Hello")
    why = "the name of a signed mail, and nothing signed"
    yield Spoof("unsigned-octet-stream-text", garbage, "invalid", "malformed-cms", why)


def _limits(workshop: Workshop) -> Iterator[Spoof]:
    inner = workshop.entity(workshop.alice)
    for level in range(150):
        inner = multipart(b"multipart/mixed", inner, boundary=b"=_level%d" % level)
    yield Spoof("deep-multiparts", sent_by(ALICE) + inner, "unsigned", "not-signed", "150 levels")
    layers = ENTITY
    for _ in range(60):
        layers = Clear(layers, signed(workshop.alice, layers).der, boundary=b"=_%d" % len(layers)).whole
    yield Spoof("deep-signatures", sent_by(ALICE) + layers, "invalid", "limit-exceeded", "60 signed layers")
