"""Mails that look strange, and that nobody has a reason to refuse."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.spoofs.asn1 import NULL, indefinite, integer, octets, oid, sequence, tlv, utf8
from tests.spoofs.certificates import EMAIL_ADDRESS, name, rfc822, smtp_utf8
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
    BOUNDARY,
    ENTITY,
    OPAQUE,
    SIGNATURE,
    SIGNED,
    TEXT,
    Clear,
    field,
    head,
    multipart,
    opaque,
    part,
    sent_by,
)
from tests.spoofs.spoof import Honest
from tests.spoofs.workshop import Leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.certificates import Identity
    from tests.spoofs.workshop import Workshop


def honest(workshop: Workshop) -> list[Honest]:
    """All of them."""
    groups = (_senders, _certificates, _keys, _cms, _attributes, _ber, _clear_signed, _opaque, _contents, _revocation)
    return [mail for group in groups for mail in group(workshop)]


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
    idn = "b\u00fccher.example"
    a_label = idn.encode("idna").decode()
    shouting = workshop.leaf(Leaf((rfc822("ALICE@Example.ORG"),)))
    utf8_mailbox = workshop.leaf(Leaf((smtp_utf8("\u00e4lice@example.org"),)))
    utf8_idn = workshop.leaf(Leaf((smtp_utf8(f"\u00e4lice@{idn}"),)))
    at_idn = workshop.leaf(Leaf((rfc822(f"alice@{a_label}"),)))
    for label, sender, signer, why in (
        ("several-addresses", ALICE, both, "the second of two"),
        ("several-covered", f"{ALICE}, alice@home.example", both, "two mailboxes, both hers"),
        ("address-in-dn", ALICE, dn, "no SAN, emailAddress in the DN"),
        ("letter-case", ALICE, shouting, "capitals in the certificate"),
        ("a-label", f"alice@{a_label}", at_idn, "an IDN as its A-label"),
        ("u-label", f"alice@{idn}", at_idn, "the From says the U-label"),
        ("utf8-mailbox", "\u00e4lice@example.org", utf8_mailbox, "SmtpUTF8Mailbox"),
        ("utf8-mailbox-idn", f"\u00e4lice@{idn}", utf8_idn, "SmtpUTF8Mailbox at an IDN"),
        ("utf8-mailbox-a-label", f"\u00e4lice@{a_label}", utf8_idn, "the same, and the From says the A-label"),
        ("no-key-usage", ALICE, workshop.leaf(Leaf((rfc822(ALICE),), usage=None)), "no keyUsage permits all"),
        ("no-purpose", ALICE, workshop.leaf(Leaf((rfc822(ALICE),), purpose=None)), "so does no extendedKeyUsage"),
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


def _below(workshop: Workshop) -> Identity:
    return workshop.authority("Spoof Lower CA", workshop.issuing)


def _keys(workshop: Workshop) -> Iterator[Honest]:
    ed25519 = SignerInfo(workshop.with_key(ALICE, ed25519_key("alice")), usual(ENTITY, "sha512"), digest="sha512")
    pss = SignerInfo(workshop.with_key(ALICE, pss_key("alice")), usual(ENTITY))
    rsa = SignerInfo(workshop.with_key(ALICE, rsa_key("alice")), usual(ENTITY))
    rsa512 = replace(rsa, attributes=usual(ENTITY, "sha512"), digest="sha512")
    named_by_key = replace(rsa, algorithm=sequence(oid("1.2.840.113549.1.1.1"), NULL))
    for label, info, why in (
        ("rsa", rsa, "RSA with PKCS #1 v1.5"),
        ("rsa-sha512", rsa512, "with SHA-512"),
        ("rsa-encryption", named_by_key, "the algorithm is rsaEncryption (RFC 3370, 3.2)"),
        ("pss", pss, "RSA with PSS"),
        ("ed25519", ed25519, "Ed25519"),
        ("ecdsa-sha384", SignerInfo(workshop.alice, usual(ENTITY, "sha384"), digest="sha384"), "ECDSA with SHA-384"),
    ):
        yield Honest(f"key-{label}", _mail(SignedData((info,), info.signer.chain)), why)


def _mail(cms: SignedData | bytes, entity: bytes = ENTITY) -> bytes:
    return sent_by(ALICE) + Clear(entity, cms if isinstance(cms, bytes) else cms.der).whole


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
        yield Honest(f"cms-{label}", _mail(cms), why)
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
        yield Honest(f"attribute-{label}", _mail(SignedData((SignerInfo(alice, attributes),), alice.chain)), why)
    # What travels need not be in DER's order; what is signed is (RFC 5652, 5.4).
    info = SignerInfo(alice, usual(ENTITY))
    ordered, as_sent = (b"".join(each) for each in (sorted(info.attributes), sorted(info.attributes, reverse=True)))
    der = SignedData((info,), alice.chain).der.replace(ordered, as_sent)
    yield Honest("attribute-order", _mail(der), "not in DER's order")


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
    yield Honest("ber-detached", _mail(cms), "indefinite lengths around a detached signature")
    der = signed(alice, ENTITY).der
    long = b"\x30\x84" + len(der[4:]).to_bytes(4) + der[4:]
    yield Honest("ber-long-length", _mail(long), "a length in more octets than it needs")


def _clear_signed(workshop: Workshop) -> Iterator[Honest]:
    clear = Clear(ENTITY, signed(workshop.alice, ENTITY).der)
    old = SIGNED.replace(b"pkcs7-signature", b"x-pkcs7-signature")
    thunderbird = b"This is a cryptographically signed message in MIME format.\r\n\r\n"
    named = SIGNATURE + b"\r\nContent-Disposition: attachment; filename=smime.p7s\r\nContent-Description: S/MIME"
    token = SIGNED.replace(b'"application/pkcs7-signature"', b"application/pkcs7-signature")
    for label, changed, why in (
        ("old-type", replace(clear, kind=old, signature_kind=b"application/x-pkcs7-signature"), "the type before 1998"),
        ("old-protocol-only", replace(clear, kind=old), "protocol of one form, part of the other"),
        ("micalg-wrong", replace(clear, kind=SIGNED.replace(b"sha-256", b"sha1")), "micalg is a hint"),
        ("micalg-unknown", replace(clear, kind=SIGNED.replace(b"sha-256", b"unknown")), "or unknown"),
        ("micalg-missing", replace(clear, kind=SIGNED.replace(b" micalg=sha-256;", b"")), "or missing"),
        ("micalg-list", replace(clear, kind=SIGNED.replace(b"sha-256", b'"sha-256,sha1"')), "or a list"),
        ("preamble", replace(clear, preamble=thunderbird), "a text that no mail program shows"),
        ("preamble-line", replace(clear, preamble=b"\r\n"), "an empty line"),
        ("epilogue-line", replace(clear, epilogue=b"\r\n\r\n"), "empty lines after the end"),
        ("signature-fields", replace(clear, signature_kind=named), "more fields of the signature part"),
        ("unquoted-protocol", replace(clear, kind=token), "protocol without quotes, as many write it"),
        ("type-upper", replace(clear, kind=SIGNED.replace(b"multipart/signed", b"Multipart/SIGNED")), "letter case"),
        ("octet-stream", replace(clear, signature_kind=b"application/octet-stream; name=smime.p7s"), "by its name"),
    ):
        yield Honest(f"clear-{label}", sent_by(ALICE) + changed.whole, why)
    padded = clear.whole.replace(b"--" + BOUNDARY + b"\r\n", b"--" + BOUNDARY + b" \t \r\n")
    yield Honest("clear-padding", sent_by(ALICE) + padded, "transport padding after the delimiters")
    whole = sent_by(ALICE) + clear.whole
    yield Honest("clear-lf", whole.replace(b"\r\n", b"\n"), "stored with LF")
    yield Honest("clear-no-last-newline", whole.rstrip(b"\r\n"), "no line end after the last delimiter")
    from_line = b"From alice@example.org Sun Mar  1 10:00:00 2026\n"
    yield Honest("clear-mbox-line", from_line + whole.replace(b"\r\n", b"\n"), "the first line of an mbox")
    no_version = whole.replace(b"MIME-Version: 1.0\r\n", b"")
    yield Honest("clear-no-mime-version", no_version, "no MIME-Version")
    utf8_subject = whole.replace(b"Subject: Invoice", "Subject: R\u00e9sum\u00e9".encode())
    yield Honest("clear-utf8-header", utf8_subject, "UTF-8 in another field")
    base64_lines = (b"\n", b" \r\n", b"\r\n\r\n")
    der = base64.b64encode(clear.cms)
    for label, size, end in zip(("long", "spaces", "gaps"), (900, 61, 4), base64_lines, strict=True):
        wrapped = end.join(der[begin : begin + size] for begin in range(0, len(der), size)) + b"\r\n"
        mail = whole.replace(base64.encodebytes(clear.cms).replace(b"\n", b"\r\n"), wrapped)
        yield Honest(f"clear-base64-{label}", mail, "base64 with odd lines")
    late = head(field("From", ALICE), date="Sun, 01 Mar 2026 10:30:00 +0000") + clear.whole
    yield Honest("clear-date-later", late, "clocks differ by half an hour")
    zone = head(field("From", ALICE), date="Sun, 01 Mar 2026 19:00:00 +0900") + clear.whole
    yield Honest("clear-date-zone", zone, "the same time in another zone")


def _opaque(workshop: Workshop) -> Iterator[Honest]:
    cms = signed(workshop.alice, ENTITY, attached=True).der
    for label, kind, why in (
        ("plain", OPAQUE, "opaque"),
        ("old-type", b"application/x-pkcs7-mime; smime-type=signed-data; name=smime.p7m", "the type before 1998"),
        ("no-smime-type", b"application/pkcs7-mime; name=smime.p7m", "without smime-type"),
        ("no-parameters", b"application/pkcs7-mime", "without any parameter"),
        ("smime-type-case", b"application/pkcs7-mime; smime-type=Signed-Data", "letter case"),
        ("octet-stream", b"application/octet-stream; name=smime.p7m", "by its name alone (RFC 8551, 3.2.1)"),
    ):
        yield Honest(f"opaque-{label}", sent_by(ALICE) + opaque(cms, kind), why)
    binary = b"Content-Type: %b\r\nContent-Transfer-Encoding: binary\r\n\r\n%b" % (OPAQUE, cms)
    yield Honest("opaque-binary", sent_by(ALICE) + binary, "in binary")
    lf = (sent_by(ALICE) + opaque(cms)).replace(b"\r\n", b"\n")
    yield Honest("opaque-lf", lf, "stored with LF")
    lf_content = signed(workshop.alice, ENTITY.replace(b"\r\n", b"\n"), attached=True).der
    yield Honest("opaque-lf-content", sent_by(ALICE) + opaque(lf_content), "signed with LF, as it is")


def _contents(workshop: Workshop) -> Iterator[Honest]:
    latin = ENTITY.replace(b"utf-8", b"iso-8859-1").replace(b"today", b"f\xe9vrier")
    image = part(b"image/png", bytes(range(256)))
    message = b"Content-Type: message/rfc822\r\n\r\n" + sent_by("dave@example.net") + TEXT
    alternative = multipart(b"multipart/alternative", TEXT, TEXT.replace(b"plain", b"html"), boundary=b"=_alternative")
    delimiter_like = ENTITY + b"--" + BOUNDARY[:-1] + b"\r\n-- \r\nAlice\r\n"
    for label, entity, why in (
        ("empty-body", b"Content-Type: text/plain\r\n\r\n", "an empty body"),
        ("no-header", b"\r\nHello\r\n", "no field at all"),
        ("no-final-newline", ENTITY.rstrip(b"\r\n"), "no line end at the end"),
        ("blank-lines", ENTITY + b"\r\n\r\n\r\n", "empty lines at the end"),
        ("eight-bit", latin, "eight-bit text"),
        ("trailing-spaces", ENTITY + b"with spaces   \r\n\t\r\n", "white space at the ends of lines"),
        ("multipart", multipart(b"multipart/mixed", alternative, image), "multiparts in each other"),
        ("attached-mail", multipart(b"multipart/mixed", TEXT, message), "somebody else's mail as an attachment"),
        ("like-delimiter", delimiter_like, "lines that are nearly delimiters"),
        ("from-line", ENTITY + b"From here on\r\n", "a line that begins with From"),
        ("long-line", ENTITY + b"x" * 5000 + b"\r\n", "a long line"),
        ("nested-own", workshop.entity(workshop.alice), "signed twice by herself"),
        ("nested-other", workshop.entity(workshop.carol), "she signed what another had signed"),
    ):
        boundary = b"=_nesting" if label.startswith("nested") else BOUNDARY
        clear = Clear(entity, signed(workshop.alice, entity).der, boundary=boundary)
        yield Honest(f"content-{label}", sent_by(ALICE) + clear.whole, why)


def _revocation(workshop: Workshop) -> Iterator[Honest]:
    mail = workshop.clear(ALICE, workshop.alice)
    offline = ("--offline", "--revocation")
    files = ("--crl", "{crl}", "--crl", "{root_crl}")
    yield Honest("revocation-required", mail, "the CRLs do not list her", (*offline, "require", *files))
    yield Honest("revocation-preferred", mail, "nobody can say", (*offline, "prefer"))
    forged = ("--crl", "{forged_crl}")
    yield Honest("revocation-forged-crl", mail, "a CRL that nobody issued says nothing", (*offline, "prefer", *forged))
    yield Honest("expected-sender", mail, "it was asked for", ("--from", "ALICE@example.org"))
